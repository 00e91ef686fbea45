"""Fit methods, one per file: the constant METHOD of a file in this folder."""

from __future__ import annotations

from typing import Any

from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.plugin import PluginFolder

__all__ = ["get", "names"]

_FOLDER: PluginFolder[FitMethod] = PluginFolder(
    __name__,
    __path__,
    "METHOD",
    FitMethod,  # type: ignore[type-abstract]
    "method",
)


def names() -> tuple[str, ...]:
    """Return the names of all methods.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "varpro" in ik.methods.names()
    True
    """
    return _FOLDER.names()


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
        For an unknown name or option; the message lists the valid ones.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.methods.get("segmented", b_split=150)
    Segmented(b_split=150, steps=3)
    """
    return _FOLDER.get(name, **options)


def __getattr__(name: str) -> Any:
    # For ik.methods.VarPro etc., without importing every method (and numba) at once.
    return _FOLDER.by_class_name(name)
