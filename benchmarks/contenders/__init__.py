"""Contenders, one file per package. A file here with a constant CONTENDERS takes part.

A file may import only NumPy and ``benchmarks.contender`` before its fits are created.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from benchmarks.contender import Contender

__all__ = ["all_contenders", "contenders_of"]


def all_contenders() -> dict[str, tuple[Contender, ...]]:
    """Return the contenders of each file, by the name of the file."""
    return {module.name: contenders_of(module.name) for module in iter_modules(__path__)}


def contenders_of(file: str) -> tuple[Contender, ...]:
    """Return the contenders of one file."""
    found: tuple[Contender, ...] = import_module(f"{__name__}.{file}").CONTENDERS
    return found
