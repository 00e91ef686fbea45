"""Checks of b-value thresholds: a number, and enough b-values on each side of it."""

from __future__ import annotations

import math

import numpy as np

from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.scan.acquisition import Acquisition

__all__ = [
    "LOWER_B",
    "UPPER_B",
    "at_shell",
    "check_threshold",
    "require_split",
    "require_two",
]


def check_threshold(name: str, value: float) -> None:
    """Raise OptionError if a threshold is not a finite number >= 0."""
    try:
        good = math.isfinite(value) and value >= 0.0
    except TypeError:
        good = False
    if not good:
        raise OptionError(f"{name} is {value!r}; expected a b-value >= 0 in s/mm^2")


LOWER_B = {"unit": "s/mm^2", "upper": False}
"""Metadata of an option that is a lowest b-value: commands read it in the unit of the scan."""

UPPER_B = {"unit": "s/mm^2", "upper": True}
"""Metadata of an option that is a highest b-value."""

# The blood signal never vanishes as early as this: the threshold is in another unit.
_LOWEST_SPLIT = 10.0


def at_shell(acquisition: Acquisition, threshold: float, *, upper: bool) -> float:
    """Return a threshold moved so that a shell that straddles it is entirely beyond it.

    The mean of volumes around b = 200 is below 200 as often as above it.

    Parameters
    ----------
    acquisition : Acquisition
        The scan.
    threshold : float
        b-value, s/mm^2.
    upper : bool
        Whether the values up to the threshold are meant, instead of those from it on.

    Returns
    -------
    float
        The threshold, unless it lies between the volumes of one shell.
    """
    for shell in acquisition.shells:
        own = acquisition.bvals[list(shell.volumes)]
        if own.min() < threshold <= own.max() and not upper:
            return float(own.min())
        if own.min() <= threshold < own.max() and upper:
            return float(own.max())
    return threshold


def require_split(acquisition: Acquisition, name: str, value: float) -> None:
    """Raise AcquisitionError unless a threshold has b-values below it, and two beyond it.

    Below 10 s/mm^2 and all b > 0 it separates nothing and was meant in another unit. Any other
    threshold below the lowest b > 0 treats all of these as tissue, as simple protocols do.
    """
    b = acquisition.bvals
    lowest = float(b[b > 0].min())
    if value < min(_LOWEST_SPLIT, lowest):
        raise AcquisitionError(
            f"{name} is {value:g} s/mm^2; expected a b-value at which the blood signal is gone, "
            f"like 200, and the lowest b > 0 is {lowest:g}. Thresholds are in s/mm^2; on the "
            "command line in the unit of --b-unit"
        )
    require_two(acquisition, name, lower=value)


def require_two(
    acquisition: Acquisition, name: str, *, lower: float = 0.0, upper: float = math.inf
) -> None:
    """Raise AcquisitionError unless two distinct b-values lie between `lower` and `upper`."""
    bvals = acquisition.shell_bvals
    lower = at_shell(acquisition, lower, upper=False)
    upper = at_shell(acquisition, upper, upper=True)
    inside = np.unique(bvals[(bvals >= lower) & (bvals <= upper)])
    if inside.size < 2:
        side = f"b >= {lower:g}" if math.isinf(upper) else f"b <= {upper:g}"
        listed = ", ".join(f"{b:g}" for b in np.unique(bvals))
        raise AcquisitionError(
            f"{name}: a line needs two b-values with {side}, got {inside.size}; "
            f"the scan has {listed}. Choose another {name}, in s/mm^2"
        )
    if upper < math.inf and inside.size == np.unique(bvals).size:
        raise AcquisitionError(
            f"{name} is {upper:g} s/mm^2 and no b-value lies beyond it: the highest is "
            f"{bvals.max():g}; expected a lower one. Choose another {name}, in s/mm^2"
        )
