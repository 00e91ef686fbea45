"""Echo times: how the highest b-value of a protocol sets the echo time, and so the signal."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import brentq

from ivimkit import organs
from ivimkit.errors import OptionError
from ivimkit.scan.gradient_timing import GYROMAGNETIC_RATIO

__all__ = ["REFERENCE_B_MAX", "EchoTime", "StejskalTanner", "TabledEchoTime", "tissue_T2_ms"]

REFERENCE_B_MAX = 800.0
"""The SNR of a design is that at the echo time of this highest b-value, in s/mm^2; or at that of
the last row of a table of echo times which does not reach it."""

_MAX_ECHO_TIME_MS = 1000.0
_MIN_GRADIENT, _MAX_GRADIENT = 1.0, 1000.0


def tissue_T2_ms(organ: str | None) -> float:
    """Return the T2 of an organ at 3 T in ms, from the literature.

    Parameters
    ----------
    organ : str, optional
        One of `ivimkit.organs.names`.

    Raises
    ------
    OptionError
        If none is known.

    Examples
    --------
    >>> from ivimkit.planning import tissue_T2_ms
    >>> tissue_T2_ms("liver")
    34.0
    """
    known = {name: organs.get(name).value("T2_tissue") for name in organs.names()}
    value = known.get(organ or "")
    if value is None:
        raise OptionError(
            f"no T2 is known for {organ or 'tissue in general'}; expected one of "
            f"{', '.join(known)}. Give the T2 of the tissue (--t2 MS)",
            python="Pass T2_ms=",
        )
    return value


@dataclass(frozen=True)
class EchoTime(ABC):
    """The echo time of all volumes of a protocol, which its highest b-value determines.

    Parameters
    ----------
    T2_ms : float
        T2 of the tissue, ms.
    """

    T2_ms: float

    def _check_T2(self) -> None:
        if not (math.isfinite(self.T2_ms) and self.T2_ms > 0.0):
            raise OptionError(f"T2 is {self.T2_ms!r} ms; expected a number > 0, like 34 (--t2)")

    @abstractmethod
    def ms(self, b_max: float) -> float:
        """Return the echo time in ms of a protocol with this highest b-value, in s/mm^2."""

    @property
    def reference_b_max(self) -> float:
        """Highest b-value of a protocol whose echo time the SNR refers to, in s/mm^2."""
        return REFERENCE_B_MAX

    def reaches(self, b_max: float) -> bool:
        """Return whether a protocol can have this highest b-value, in s/mm^2."""
        try:
            self.ms(b_max)
        except OptionError:
            return False
        return True

    def gain(self, b_max: float) -> float:
        """Return the signal relative to that of a protocol with the highest b-value of the SNR.

        Examples
        --------
        >>> from ivimkit.planning import TabledEchoTime
        >>> table = TabledEchoTime(T2_ms=34.0, b_max=(500.0, 1000.0), times_ms=(60.0, 75.0))
        >>> round(table.gain(500.0), 3)
        1.303
        """
        return math.exp((self.ms(self.reference_b_max) - self.ms(b_max)) / self.T2_ms)


@final
@dataclass(frozen=True)
class StejskalTanner(EchoTime):
    """Two monopolar gradients around the refocusing pulse of a spin echo with an EPI readout.

    Both gradients have the duration delta. The first begins when the excitation ends, the second
    ends when the readout begins; between the refocusing pulse and the readout there is only the
    second. With the echo time TE, this gives ``delta = (TE - refocusing) / 2 - readout`` and
    ``Delta = (TE + refocusing) / 2 - excitation``, the distance of their beginnings, and
    ``b = (gamma G delta)^2 (Delta - delta / 3)``. The echo time is the shortest with which
    the highest b-value is reached; ramps are neglected.

    Parameters
    ----------
    T2_ms : float
        T2 of the tissue, ms.
    gradient : float
        Gradient strength G, mT/m.
    readout_ms : float
        From the beginning of the readout to the echo.
    refocusing_ms : float
        Duration of the refocusing pulse, with its crushers.
    excitation_ms : float
        From the middle of the excitation pulse to its end.

    Raises
    ------
    OptionError
        If a number is out of range.

    References
    ----------
    Stejskal EO, Tanner JE. J Chem Phys 1965;42:288-292. doi:10.1063/1.1695690

    Examples
    --------
    >>> from ivimkit.planning import StejskalTanner
    >>> strong, weak = (StejskalTanner(T2_ms=34.0, gradient=g) for g in (80.0, 33.0))
    >>> strong.ms(800) < weak.ms(800) < weak.ms(1200)
    True
    """

    gradient: float = 45.0
    readout_ms: float = 15.0
    refocusing_ms: float = 8.0
    excitation_ms: float = 3.0

    def __post_init__(self) -> None:
        self._check_T2()
        if not _MIN_GRADIENT <= self.gradient <= _MAX_GRADIENT:
            raise OptionError(
                f"the gradient is {self.gradient!r} mT/m; expected {_MIN_GRADIENT:g} to "
                f"{_MAX_GRADIENT:g}, like 45 (--gradient)"
            )

    def ms(self, b_max: float) -> float:
        """Return the echo time in ms of a protocol with this highest b-value, in s/mm^2."""
        shortest = 2.0 * self.readout_ms + self.refocusing_ms
        if b_max <= 0.0:
            return shortest
        if self._b(_MAX_ECHO_TIME_MS) < b_max:
            raise OptionError(
                f"a gradient of {self.gradient:g} mT/m does not reach b = {b_max:g} s/mm^2 within "
                "an echo time of 1 s; expected a stronger gradient or a lower b. Check --gradient"
            )
        return float(brentq(lambda time: self._b(time) - b_max, shortest, _MAX_ECHO_TIME_MS))

    def _b(self, echo_time_ms: float) -> float:
        """Return the highest b-value of an echo time, s/mm^2."""
        duration = 1e-3 * ((echo_time_ms - self.refocusing_ms) / 2.0 - self.readout_ms)
        distance = 1e-3 * ((echo_time_ms + self.refocusing_ms) / 2.0 - self.excitation_ms)
        wave_number_per_mm = 1e-3 * GYROMAGNETIC_RATIO * (1e-3 * self.gradient) * duration
        return wave_number_per_mm**2 * (distance - duration / 3.0)


@final
@dataclass(frozen=True)
class TabledEchoTime(EchoTime):
    """Echo times as the scanner shows them for several highest b-values, with lines in between.

    Parameters
    ----------
    T2_ms : float
        T2 of the tissue, ms.
    b_max : sequence of float
        Highest b-values, ascending, in s/mm^2.
    times_ms : sequence of float
        Echo time of each, in ms.

    Raises
    ------
    OptionError
        If there are fewer than two rows, or they are not in ascending order.

    Examples
    --------
    >>> from ivimkit.planning import TabledEchoTime
    >>> TabledEchoTime(T2_ms=34.0, b_max=(400.0, 800.0), times_ms=(50.0, 60.0)).ms(600.0)
    55.0
    """

    b_max: Sequence[float] = ()
    times_ms: Sequence[float] = ()

    def __post_init__(self) -> None:
        self._check_T2()
        b, times = np.asarray(self.b_max), np.asarray(self.times_ms)
        if b.shape != times.shape or b.size < 2:
            raise OptionError(
                f"there are {b.size} highest b-values and {times.size} echo times; expected two "
                "or more of each. Add rows to the table"
            )
        ascending = (np.diff(b) > 0.0).all() and (np.diff(times) >= 0.0).all()
        if not (np.isfinite(b).all() and np.isfinite(times).all() and ascending and times[0] > 0):
            raise OptionError(
                "the table of echo times is not in order; expected ascending b-values, and echo "
                "times in ms, > 0, that do not fall. Sort its rows by b"
            )

    @property
    def reference_b_max(self) -> float:
        """Highest b-value of a protocol whose echo time the SNR refers to, in s/mm^2."""
        return min(REFERENCE_B_MAX, self.b_max[-1])

    def ms(self, b_max: float) -> float:
        """Return the echo time in ms of a protocol with this highest b-value, in s/mm^2."""
        if b_max > self.b_max[-1]:
            raise OptionError(
                f"the table of echo times ends at b = {self.b_max[-1]:g} s/mm^2; expected it to "
                f"reach {b_max:g}. Add a row, or lower the highest b-value (--bmax)"
            )
        return float(np.interp(b_max, self.b_max, self.times_ms))
