"""Uncertainty estimators, one per file: the constant ESTIMATOR of a file in this folder."""

from __future__ import annotations

from typing import Any

from ivimkit.extend.estimator import Estimator
from ivimkit.extend.plugin import PluginFolder

__all__ = ["get", "names"]

_FOLDER: PluginFolder[Estimator] = PluginFolder(
    __name__,
    __path__,
    "ESTIMATOR",
    Estimator,  # type: ignore[type-abstract]
    "uncertainty",
)


def names() -> tuple[str, ...]:
    """Return the names of all estimators.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "curvature" in ik.uncertainty.names()
    True
    """
    return _FOLDER.names()


def get(name: str | Estimator, **options: Any) -> Estimator:
    """Return an estimator by its name, with its options; an estimator is returned as it is.

    Parameters
    ----------
    name : str or Estimator
        One of `names`.
    **options
        Options of the estimator; those not given have their defaults.

    Returns
    -------
    Estimator

    Raises
    ------
    OptionError
        For an unknown name or option; the message lists the valid ones.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.uncertainty.get("curvature").name
    'curvature'
    """
    return _FOLDER.get(name, **options)


def __getattr__(name: str) -> Any:
    return _FOLDER.by_class_name(name)
