"""Steps before the fit, one file each. A file here with a constant STEP is a step."""

from __future__ import annotations

from typing import Any

from ivimkit.extend.plugin import PluginFolder
from ivimkit.extend.preprocessing_step import STAGES, Step
from ivimkit.steps._motion import MotionEstimate, estimate_motion

__all__ = ["MotionEstimate", "estimate_motion", "get", "names"]

_FOLDER: PluginFolder[Step] = PluginFolder(
    __name__,
    __path__,
    "STEP",
    Step,  # type: ignore[type-abstract]
    "step",
)


def names() -> tuple[str, ...]:
    """Return the names of all steps, in the order in which they are applied.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "mask" in ik.steps.names()
    True
    """
    order = list(STAGES)
    return tuple(sorted(_FOLDER.names(), key=lambda name: (_stage(name, order), name)))


def _stage(name: str, order: list[str]) -> int:
    return order.index(_FOLDER.load(name).stage)


def get(name: str | Step, **options: Any) -> Step:
    """Return a step by its name, with its options; a step is returned unchanged.

    Parameters
    ----------
    name : str or Step
        One of `names`.
    **options
        Options of the step; those not given keep their defaults.

    Returns
    -------
    Step

    Raises
    ------
    OptionError
        For an unknown name or option; the message lists the available ones.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.steps.get("mask", kind="brain").stage
    'mask'
    """
    return _FOLDER.get(name, **options)


def __getattr__(name: str) -> Any:
    return _FOLDER.by_class_name(name)
