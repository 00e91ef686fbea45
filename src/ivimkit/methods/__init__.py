"""Fit methods, one file each. A file in this folder with a constant METHOD is a method."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ivimkit.errors import OptionError
from ivimkit.fit_method import FitMethod

__all__ = ["get", "names"]


def names() -> tuple[str, ...]:
    """Return the names of all methods.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "varpro" in ik.methods.names()
    True
    """
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def _load(name: str) -> type[FitMethod]:
    method: type[FitMethod] = import_module(f"{__name__}.{name}").METHOD
    return method


def get(name: str | FitMethod, **options: Any) -> FitMethod:
    """Return a method by its name, with its options; a method is returned as it is.

    Parameters
    ----------
    name : str or FitMethod
        One of `names`.
    **options
        Options of the method; those not given have their defaults.

    Returns
    -------
    FitMethod

    Raises
    ------
    OptionError
        For an unknown name or option; the message lists those there are.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.methods.get("segmented", b_split=150)
    Segmented(b_split=150, steps=3)
    """
    if isinstance(name, FitMethod):
        if options:
            raise OptionError(
                f"options {', '.join(options)} were given beside a method object; "
                "expected them where the object was made"
            )
        return name
    if name not in names():
        raise OptionError(f"unknown method {name!r}; there are {', '.join(names())}")
    return _load(name).from_options(**options)


def __getattr__(name: str) -> Any:
    # ik.methods.VarPro and so on, without importing every method (and numba) up front.
    if not name.startswith("_"):
        for method in map(_load, names()):
            if method.__name__ == name:
                return method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
