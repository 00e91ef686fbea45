"""Checks of b-value thresholds: a number, and enough b-values on each side of it."""

from __future__ import annotations

import math

import numpy as np

from ivimkit.acquisition import Acquisition
from ivimkit.errors import AcquisitionError, OptionError

__all__ = ["check_threshold", "require_two"]


def check_threshold(name: str, value: float) -> None:
    """Raise OptionError if a threshold is not a finite number >= 0."""
    try:
        good = math.isfinite(value) and value >= 0.0
    except TypeError:
        good = False
    if not good:
        raise OptionError(f"{name} is {value!r}; expected a b-value >= 0 in s/mm^2")


def require_two(
    acquisition: Acquisition, name: str, *, lower: float = 0.0, upper: float = math.inf
) -> None:
    """Raise AcquisitionError unless two different b-values lie from `lower` to `upper`."""
    bvals = acquisition.shell_bvals
    inside = np.unique(bvals[(bvals >= lower) & (bvals <= upper)])
    if inside.size < 2:
        side = f"b >= {lower:g}" if math.isinf(upper) else f"b <= {upper:g}"
        listed = ", ".join(f"{b:g}" for b in np.unique(bvals))
        raise AcquisitionError(
            f"{name}: a line needs two b-values with {side}, got {inside.size}; "
            f"the scan has {listed}. Choose another {name}"
        )
