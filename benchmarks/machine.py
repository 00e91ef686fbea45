"""Machine: the system, versions and commit of a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["REPOSITORY", "commit", "describe_machine", "usable_cores", "versions"]

REPOSITORY = Path(__file__).resolve().parent.parent

_PACKAGES = ("ivimkit", "numpy", "scipy", "numba", "llvmlite", "nibabel", "dipy", "emcee")


def usable_cores() -> list[int]:
    """Return the cores available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def describe_machine() -> dict[str, str]:
    """Return the processor name and target, cores and memory."""
    from llvmlite import binding  # type: ignore[import-untyped]

    wide = "AVX-512" if binding.get_host_cpu_features().get("avx512f") else "no AVX-512"
    return {
        "cpu": f"{_cpu_model()} ({binding.get_host_cpu_name()}, {wide})",
        "cores": f"{len(usable_cores())} of {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _cpu_model() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def versions() -> dict[str, str]:
    """Return the versions of the packages involved; those not installed are left out."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit, with ``+`` if there are uncommitted changes."""
    shown = _git("rev-parse", "--short=12", "HEAD")
    if not shown:
        return "no commit"
    return shown + ("+" if _git("status", "--porcelain", "--", "src", "benchmarks") else "")


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
