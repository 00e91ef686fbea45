"""Drift: how the signal of the scanner falls during a session."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError

__all__ = ["DRIFT_KINDS", "Drift"]

DRIFT_KINDS = ("linear", "quadratic")
"""Courses of a drift."""

_MAX_PERCENT = 90.0


@dataclass(frozen=True)
class Drift:
    """How the signal of the scanner falls during a session.

    Parameters
    ----------
    percent : float
        How much less signal the last volume has than the first; below 0 it has more.
    kind : {"linear", "quadratic"}
        ``"linear"``: the same loss from each volume to the next. ``"quadratic"``: more at first,
        and none at the end, like that of a scanner that warms up.

    Raises
    ------
    OptionError
        If there is no such kind, or the percentage is not a number from -90 to 90.

    References
    ----------
    Vos et al. 2017, doi:10.1002/mrm.26124

    Examples
    --------
    >>> from ivimkit import simulate
    >>> simulate.Drift(8, "quadratic").factors(5).round(3).tolist()
    [1.0, 0.965, 0.94, 0.925, 0.92]
    """

    percent: float = 5.0
    kind: str = "linear"

    def __post_init__(self) -> None:
        if self.kind not in DRIFT_KINDS:
            raise OptionError(
                f"there is no drift {self.kind!r}; expected one of {', '.join(DRIFT_KINDS)}"
            )
        if not -_MAX_PERCENT <= self.percent <= _MAX_PERCENT:
            raise OptionError(
                f"the drift is {self.percent!r} percent; expected a number from "
                f"{-_MAX_PERCENT:g} to {_MAX_PERCENT:g}"
            )

    def factors(self, n_volumes: int) -> NDArray[np.float64]:
        """Return the factor on the signal of each volume.

        Parameters
        ----------
        n_volumes : int
            Number of volumes, in the order in which they were measured.

        Returns
        -------
        ndarray, shape (n_volumes,)
        """
        time = np.arange(n_volumes) / max(n_volumes - 1, 1)
        lost = time if self.kind == "linear" else 2.0 * time - time**2
        return 1.0 - self.percent / 100.0 * lost
