"""What this process may use: processors and memory, as the system or a container allows."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from ivimkit.engine import default_threads

__all__ = ["BYTES_PER_MB", "memory_mb", "peak_memory_mb", "processors"]

BYTES_PER_MB = 1_000_000
_KIB = 1024
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
# Version 1 of cgroups writes a number near 2^63 for "no limit".
_UNLIMITED = 1 << 60


def processors(groups: Path = _GROUPS, own_group: Path = _OWN_GROUP) -> int:
    """Return the number of processors: those of the affinity, or fewer by a quota of cgroups."""
    folders = list(_group_folders(groups, own_group))
    quota = min(min(_quota(folder), _old_quota(folder / "cpu")) for folder in folders)
    # A quota of 1.5 processors keeps two threads busy, each for three quarters of the time.
    return default_threads() if math.isinf(quota) else min(default_threads(), math.ceil(quota))


def memory_mb(groups: Path = _GROUPS, own_group: Path = _OWN_GROUP) -> float:
    """Return the memory, 10⁶ bytes: that of the machine, or less by a limit of cgroups."""
    limits = [
        limit
        for folder in _group_folders(groups, own_group)
        for name in ("memory.max", "memory/memory.limit_in_bytes")
        if (limit := _number(folder / name)) < _UNLIMITED
    ]
    return min([_physical(), *limits]) / BYTES_PER_MB


def peak_memory_mb() -> float:
    """Return the largest memory of this process so far, 10⁶ bytes; 0 where nobody says."""
    try:
        import resource
    except ImportError:  # Windows.
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB / BYTES_PER_MB


def _group_folders(groups: Path, own_group: Path) -> Iterator[Path]:
    """Yield the folders of the group of this process and of those above it."""
    try:
        lines = own_group.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    own = next((line.split("::", 1)[1] for line in lines if line.startswith("0::")), "/")
    inner = Path(own.lstrip("/"))
    for part in (inner, *inner.parents):
        yield groups / part


def _quota(folder: Path) -> float:
    """Return the processors of ``cpu.max``, like ``150000 100000``; inf for no limit."""
    try:
        allowed, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return math.inf if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _old_quota(folder: Path) -> float:
    allowed, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    known = 0 < allowed < math.inf and 0 < period < math.inf
    return allowed / period if known else math.inf


def _number(path: Path) -> float:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return math.inf


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # Windows.
        return math.inf
