"""What this process may use: processors and memory, as the system or a container allows."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "BYTES_PER_MB",
    "PROCESS_MB",
    "default_threads",
    "free_memory_mb",
    "memory_mb",
    "peak_memory_mb",
    "processors",
]

BYTES_PER_MB = 1_000_000

PROCESS_MB = 250.0
"""Memory of a process with compiled code, before it has a scan, 10⁶ bytes."""

_KIB = 1024
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_OF_SYSTEM = Path("/proc/meminfo")
# Limit, use and its parts, of cgroups of version 2 and 1.
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
# Version 1 of cgroups writes a number near 2^63 for "no limit".
_UNLIMITED = 1 << 60


def default_threads() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        for name, _, _ in _LIMITS
        if (limit := _number(folder / name)) < _UNLIMITED
    ]
    return min([_physical(), *limits]) / BYTES_PER_MB


def free_memory_mb(
    groups: Path = _GROUPS, own_group: Path = _OWN_GROUP, of_system: Path = _OF_SYSTEM
) -> float:
    """Return the free memory, 10⁶ bytes: of the machine, or less by a limit of cgroups.

    Copies of files in memory count as free, as the system gives them up when it needs the room.
    """
    left = [
        limit - _number(folder / used) + _of_files(folder / stat)
        for folder in _group_folders(groups, own_group)
        for limited, used, stat in _LIMITS
        if (limit := _number(folder / limited)) < _UNLIMITED and (folder / used).is_file()
    ]
    return max(min([_available(of_system), *left]), 0.0) / BYTES_PER_MB


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


def _of_files(path: Path) -> float:
    """Return the bytes of a group that are copies of files."""
    names = {"inactive_file", "active_file"}
    return sum(int(size) for name, size in _pairs(path) if name in names)


def _available(path: Path) -> float:
    """Return what Linux calls available; elsewhere, all there is."""
    found = (int(size) * _KIB for name, size in _pairs(path) if name == "MemAvailable:")
    return float(next(found, _physical()))


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the first two words of each line of a file of the system."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[1].isdecimal():
            yield words[0], words[1]


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # Windows.
        return math.inf
