"""Verdict on a lesion and its reference: a direction, no difference found, or unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.quality.central_values import MIN_VALUES, Estimate, difference_of, of_voxels
from ivimkit.quality.effect_size import Effect
from ivimkit.scan.blocks import finite

__all__ = ["Evidence", "Verdict", "evidence_of", "judge"]

MIN_RELIABLE_SHARE = 0.5
"""Share of the voxels with a value that must be reliable for a statement about the voxels."""

_NOTHING = Estimate()
_TRIVIAL = 0.02
"""Share of the reference: a difference of the mean signals up to this is no contradiction."""


@dataclass(frozen=True)
class Evidence:
    """What is known about one region.

    Parameters
    ----------
    voxels : Estimate
        Median of the voxels used.
    reliable, n, of : int
        Numbers of voxels that are reliable, are used, and have a value.
    signal : Estimate
        The fit of the mean signal.
    """

    voxels: Estimate
    reliable: int
    n: int
    of: int
    signal: Estimate

    @property
    def enough(self) -> bool:
        """Whether the voxels used represent the region."""
        return self.n >= MIN_VALUES and self.n >= MIN_RELIABLE_SHARE * self.of


def evidence_of(
    values: NDArray[Any],
    unreliable: NDArray[np.bool_],
    region: NDArray[np.bool_],
    signal: Estimate,
    *,
    reliable_only: bool,
) -> tuple[NDArray[np.float64], Evidence]:
    """Return the values of a map that are used in a region, and what is known about it.

    Parameters
    ----------
    values : ndarray
        The map.
    unreliable, region : ndarray of bool, shape of the map
        Voxels whose value is not reliable; those of the region.
    signal : Estimate
        The fit of the mean signal.
    reliable_only : bool
        Whether to leave out voxels whose value is not reliable.
    """
    every, reliable = finite(values[region]), finite(values[region & ~unreliable])
    used = reliable if reliable_only else every
    return used, Evidence(of_voxels(used), reliable.size, used.size, every.size, signal)


@dataclass(frozen=True)
class Verdict:
    """The verdict on a map.

    Parameters
    ----------
    word : {"lower", "higher", "no difference", "unknown"}
        The lesion relative to the reference; ``no difference`` means that none was found.
    basis : {"voxels", "mean signal", "none"}
        What it rests on.
    lesion, reference, difference : Estimate
        Both, and lesion minus reference.
    why : str
        Why it is unknown; empty otherwise.
    """

    word: str
    basis: str
    lesion: Estimate = _NOTHING
    reference: Estimate = _NOTHING
    difference: Estimate = _NOTHING
    why: str = ""


def judge(lesion: Evidence, reference: Evidence, means: Effect) -> Verdict:
    """Return the verdict that the evidence allows.

    The reliable voxels decide by the 95 % limits of the difference of their medians, if there are
    enough of them, else the fits of the mean signals. If the limits exclude 0 but other evidence
    supports the opposite direction, or none, the verdict is unknown.

    Parameters
    ----------
    lesion, reference : Evidence
        Of both regions.
    means : Effect
        Of the voxels, whose interval of g is about the means.

    Returns
    -------
    Verdict
    """
    of_signals = difference_of(lesion.signal, reference.signal)
    if lesion.enough and reference.enough:
        basis, pair = "voxels", (lesion.voxels, reference.voxels)
    elif of_signals.known:
        basis, pair = "mean signal", (lesion.signal, reference.signal)
    else:
        few = f"only {lesion.n} of {lesion.of} and {reference.n} of {reference.of}"
        return Verdict("unknown", "none", why=f"{few} voxels are reliable")
    difference = difference_of(*pair)
    if not difference.known:
        return Verdict("unknown", basis, *pair, difference, "there are no limits")
    if difference.low <= 0.0 <= difference.high:
        return Verdict("no difference", basis, *pair, difference)
    word = "lower" if difference.value < 0.0 else "higher"
    why = _doubt(word, difference, of_signals, reference, means) if basis == "voxels" else ""
    return Verdict("unknown" if why else word, basis, *pair, difference, why)


def _doubt(
    word: str, difference: Estimate, of_signals: Estimate, reference: Evidence, means: Effect
) -> str:
    """Return the evidence against the direction of the medians; empty if there is none."""
    sign = math.copysign(1.0, difference.value)
    least = _TRIVIAL * abs(reference.signal.value)
    if math.isfinite(of_signals.value) and sign * of_signals.value < -least:
        other = {"lower": "higher", "higher": "lower"}[word]
        return f"the voxels are {word}, the mean signal is {other}"
    if math.isfinite(means.g) and means.g_lo <= 0.0 <= means.g_hi:
        return "medians and means of the voxels disagree"
    return ""
