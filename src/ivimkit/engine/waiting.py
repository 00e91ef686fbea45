"""Log messages at the start of steps that take long before the first voxel is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["COMPILING", "LEARNING", "is_compiled", "say_compiling", "say_learning"]

COMPILING = "compiling for this machine, once; 20 to 40 s"
LEARNING = "learning the prior from the scan"

_log = logging.getLogger("ivimkit")


def say_compiling(drivers: Iterable[Callable[..., Any]]) -> None:
    """Log that drivers are about to be compiled, if any is not on disk or in memory.

    It is a warning because these are shown by default: the wait is long and silent.
    """
    if not all(map(is_compiled, drivers)):
        _log.warning(COMPILING)


def say_learning() -> None:
    """Log that a method begins to learn from the scan."""
    _log.info(LEARNING)


def is_compiled(driver: Any) -> bool:
    """Return whether a driver is in memory or in the cache, by its name that contains a hash."""
    if getattr(driver, "overloads", True):
        return True  # Without a compiler it does not take long.
    folder = driver.stats.cache_path
    name = driver.py_func.__qualname__
    return folder is not None and any(Path(folder).glob(f"*{name}*.nbi"))
