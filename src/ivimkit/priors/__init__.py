"""Priors of method bayes, one file each. A file here with a constant PRIOR is a prior."""

from __future__ import annotations

from typing import Any

from ivimkit.extend.plugin import PluginFolder
from ivimkit.extend.prior import Prior

__all__ = ["get", "names"]

_FOLDER: PluginFolder[Prior] = PluginFolder(
    __name__,
    __path__,
    "PRIOR",
    Prior,  # type: ignore[type-abstract]
    "prior",
)


def names() -> tuple[str, ...]:
    """Return the names of all priors.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "learned" in ik.priors.names()
    True
    """
    return _FOLDER.names()


def get(name: str | Prior, **options: Any) -> Prior:
    """Return a prior by its name, with its options; a prior is returned as it is.

    Parameters
    ----------
    name : str or Prior
        One of `names`.
    **options
        Options of the prior; those not given have their defaults.

    Returns
    -------
    Prior

    Raises
    ------
    OptionError
        For an unknown name or option; the message lists those there are.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.priors.get("organ", organ="liver").trains
    False
    """
    return _FOLDER.get(name, **options)


def __getattr__(name: str) -> Any:
    return _FOLDER.by_class_name(name)
