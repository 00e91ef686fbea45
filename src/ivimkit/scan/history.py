"""History: what was done to the signal of a scan since it was acquired."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ivimkit.rounding import rounded
from ivimkit.scan.source import Source

__all__ = [
    "NOISE_SHARES",
    "NOISE_STATES",
    "NO_HISTORY",
    "RESIDUALS",
    "VARYING_WEIGHTS",
    "History",
    "NoiseState",
    "StepRecord",
]

NoiseState = Literal["raw", "interpolated", "changed"]
"""What is left of the noise of the scanner, see `NOISE_STATES`."""

NOISE_STATES: dict[NoiseState, str] = {
    "raw": "as acquired, independent from voxel to voxel",
    "interpolated": "that of interpolated voxels, lower than acquired, and alike in neighbours",
    "changed": "that of a denoised scan: what is left depends on the signal, and residuals do not "
    "show it",
}
"""The states of the noise, in ascending order of how far it is from that of the scanner."""


RESIDUALS = "residual_percent_of_S0"
"""Name, among the numbers of a step, of the residuals of a fit before and after it."""

NOISE_SHARES, VARYING_WEIGHTS = "noise_share", "varying_weights"
"""Names, among the numbers of a step, of the share of its noise that interpolation left of each
volume, whose inverse is its weight; and of the volumes whose weight is lower in some voxels."""


@dataclass(frozen=True)
class StepRecord:
    """One step that was applied to a scan.

    Parameters
    ----------
    name : str
        Name of the step, see `ivimkit.steps`.
    summary : str
        What it did, in one sentence without a full stop.
    options : mapping
        All its options, with their values.
    versions : mapping of str to str
        Versions of ivimkit and of the libraries that did the work.
    numbers : mapping
        What it found: numbers, texts and lists of them, by name. Lists of one entry per volume
        have the order of the volumes when the step was applied.
    noise : {"raw", "interpolated", "changed"}
        What it left of the noise, see `NOISE_STATES`.
    references : tuple of str
        Sources of its method, each with its DOI.
    """

    name: str
    summary: str
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    noise: NoiseState = "raw"
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """What was done to the signal of a scan since it was acquired.

    Parameters
    ----------
    steps : tuple of StepRecord
        The steps, in the order in which they were applied.
    sources : tuple of Source
        The files of the scan before the first step.
    not_judged : mapping of str to str
        Steps of which ``auto`` could not find out whether the scan needs them, and why.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> ik.DWI(np.ones((2, 3)), [0, 100, 800]).history.noise
    'raw'
    """

    steps: tuple[StepRecord, ...] = ()
    sources: tuple[Source, ...] = ()
    not_judged: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.steps)

    @property
    def noise(self) -> NoiseState:
        """What is left of the noise of the scanner: the worst state of all steps."""
        order = list(NOISE_STATES)
        return max((step.noise for step in self.steps), key=order.index, default="raw")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the steps."""
        return tuple(step.name for step in self.steps)

    @property
    def residuals(self) -> tuple[float, float] | None:
        """Median residuals of a quick fit over the tissue before and after all steps, % of S0."""
        known = [step.numbers[RESIDUALS] for step in self.steps if RESIDUALS in step.numbers]
        return (float(known[0]["before"]), float(known[-1]["after"])) if known else None

    @property
    def residuals_told(self) -> tuple[str, ...]:
        """A sentence on the residuals before and after, or none if they are not known."""
        if self.residuals is None:
            return ()
        before, after = (rounded(percent) for percent in self.residuals)
        return (
            f"residuals of a bi-exponential fit: {before} % of S0 before, {after} % after (median "
            "over the tissue)",
        )

    @property
    def noise_shares(self) -> tuple[float, ...] | None:
        """Share of its noise that interpolation left of each volume, in their order then."""
        found = self._of_interpolation
        return None if found is None else tuple(found[NOISE_SHARES])

    @property
    def interpolated_weights(self) -> tuple[float, ...] | None:
        """Weights by what interpolation left of the noise, NaN where they differ between voxels.

        One per volume, in their order when they were interpolated; None if there are none.
        """
        found = self._of_interpolation
        if found is None:
            return None
        varying = set(found.get(VARYING_WEIGHTS, ()))
        shares = enumerate(found[NOISE_SHARES])
        return tuple(math.nan if k in varying else 1.0 / share for k, share in shares)

    @property
    def _of_interpolation(self) -> Mapping[str, Any] | None:
        """The numbers of the last step that weights volumes by their noise."""
        known = (step.numbers for step in reversed(self.steps))
        return next((numbers for numbers in known if NOISE_SHARES in numbers), None)

    def step(self, name: str) -> StepRecord | None:
        """Return the record of a step by its name; None if it was not applied."""
        return next((step for step in self.steps if step.name == name), None)

    def followed_by(self, record: StepRecord) -> History:
        """Return the history with one more step."""
        return replace(self, steps=(*self.steps, record))


NO_HISTORY = History()
"""The history of a scan as it was acquired."""
