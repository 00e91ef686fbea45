"""Align: all volumes show the tissue in its place, by rigid or affine registration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, OptionError
from ivimkit.extend.preprocessing_step import (
    Decision,
    Outcome,
    Progress,
    Step,
    Workpiece,
    check_yes_or_no,
)
from ivimkit.rounding import percent, rounded
from ivimkit.scan.dwi import DWI
from ivimkit.steps._directions import with_turned_directions
from ivimkit.steps._image_stack import check_movable
from ivimkit.steps._interpolated_noise import Precisions
from ivimkit.steps._motion import (
    MAX_SHIFT_MM,
    MotionEstimate,
    check_transform,
    estimate_motion,
    rotations_of,
)
from ivimkit.steps._moved_scan import check_not_moved, missing_share, moved_scan
from ivimkit.steps._registration import LIBRARY
from ivimkit.steps._resampling import matrix_positions

__all__ = ["STEP", "Align"]

_SEARCH_SHARE, _RESAMPLING_SHARE = 0.55, 0.15
"""Shares of the time of registration and resampling; the rest is the second registration."""


@final
@dataclass(frozen=True)
class Align(Step):
    """All volumes show the tissue in its place, by rigid or affine registration.

    Every volume is registered to the mean of the lowest b-value by mutual information [1]_, and
    read by one cubic B-spline interpolation [2]_. Gradient directions turn with the volumes. A
    voxel that a moved volume did not see has the weight 0 in it. A volume whose movement cannot be
    found is left alone and named in the record; one that moved by less than the error of the
    estimate (0.25 mm, or 6 % of the edge of a voxel) stays as acquired.

    Values get weights: the inverse of the share of their noise that interpolation left. Volumes as
    acquired among interpolated ones (or the other way round, whichever are fewer) weigh less where
    they show structure that interpolation has blurred in the others. So credible intervals remain
    valid; where tissue differs from voxel to voxel they refer to a blurred voxel.

    Parameters
    ----------
    transform : {"rigid", "affine", "translation"}
        Shifts and turns; with scales and shears, too, as eddy currents cause; shifts alone.
    slices : bool
        Whether each slice is moved separately in its plane, for breath-holds that differ from
        slice to slice. Always with fewer than 8 slices.
    max_shift_mm : float
        Displacement above which a volume is left alone, mm.

    References
    ----------
    .. [1] Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W. PET-CT image registration in the
       chest using free-form deformations. IEEE Trans Med Imaging 2003;22:120-128.
       doi:10.1109/TMI.2003.809072
    .. [2] Unser M. Splines: a perfect fit for signal and image processing. IEEE Signal Process Mag
       1999;16:22-38. doi:10.1109/79.799930

    Examples
    --------
    >>> from ivimkit import preprocess, simulate, steps
    >>> moving = simulate.Artefacts(motion=simulate.Motion("rigid", mm=5))
    >>> made = simulate.phantom(shape=(24, 18, 8), bvals=[0, 50, 800], artefacts=moving)
    >>> aligned = preprocess(made.dwi, steps.Align())
    >>> aligned.dwi.history.noise, len(aligned.records[0].numbers["shift_mm"])
    ('interpolated', 3)
    """

    name: ClassVar[str] = "align"
    title: ClassVar[str] = "Alignment of the volumes"
    stage: ClassVar[str] = "align"
    libraries: ClassVar[Mapping[str, str]] = {LIBRARY: LIBRARY}
    references: ClassVar[tuple[str, ...]] = (
        "Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W. PET-CT image registration in the "
        "chest using free-form deformations. IEEE Trans Med Imaging 2003;22:120-128. "
        "doi:10.1109/TMI.2003.809072",
        "Unser M. Splines: a perfect fit for signal and image processing. IEEE Signal Process Mag "
        "1999;16:22-38. doi:10.1109/79.799930",
    )

    transform: str = "rigid"
    slices: bool = False
    max_shift_mm: float = MAX_SHIFT_MM

    def __post_init__(self) -> None:
        check_transform(self.transform)
        check_yes_or_no("slices", self.slices)
        if not 0.0 < self.max_shift_mm < math.inf:
            raise OptionError(
                f"max_shift_mm is {self.max_shift_mm!r}; expected a number of mm above 0"
            )

    def check(self, dwi: DWI) -> None:
        """Check that the scan has images, which have not been resampled."""
        check_movable(dwi)
        check_not_moved(dwi, self.name)

    def decide(self, dwi: DWI) -> Decision:
        """Take the step if the tissue is displaced by more than the error of the estimate."""
        try:
            self.require_libraries()
            self.check(dwi)
        except InputError as error:
            return Decision(taken=False, reason=str(error))
        motion = self._estimate(dwi)
        moved = motion.is_relevant
        reason = str(motion) if moved else f"{motion}, which is no more than the error of that"
        return Decision(taken=moved, reason=reason, estimate=motion)

    def _estimate(
        self, dwi: DWI, progress: Progress | None = None, *, quick: bool = False
    ) -> MotionEstimate:
        return estimate_motion(
            dwi,
            self.transform,
            slices=self.slices,
            max_shift_mm=self.max_shift_mm,
            quick=quick,
            progress=progress,
        )

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Register all volumes to the lowest b, read each where its tissue was, and look again."""
        dwi = work.dwi
        motion = work.estimate
        if not isinstance(motion, MotionEstimate):
            motion = self._estimate(dwi, lambda share: progress(_SEARCH_SHARE * share))
        # A movement within the error of the estimate is not worth an interpolation.
        transforms = motion.transforms.copy()
        transforms[motion.in_place] = np.eye(4)

        def places(volume: int) -> NDArray[np.float64] | None:
            return _places(dwi, transforms[volume])

        precisions = Precisions.measured(dwi, places)
        made = moved_scan(
            dwi,
            places,
            with_turned_directions(dwi.acquisition, _rotations(transforms), dwi.affine),
            lambda share: progress(_SEARCH_SHARE + _RESAMPLING_SHARE * share),
            precisions=precisions,
        )
        rest = 1.0 - _SEARCH_SHARE - _RESAMPLING_SHARE
        after = self._estimate(
            made, lambda share: progress(1.0 - rest * (1.0 - share)), quick=True
        )
        numbers = _numbers(motion, after, transforms, made)
        return Outcome(
            Workpiece(made, unmoved=dwi, transforms=transforms),
            _summary(motion, after, made, self.transform, precisions),
            numbers | (precisions.numbers if precisions else {}),
            "interpolated",
        )


def _places(dwi: DWI, transforms: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return where a volume is read; None for one that is in its place."""
    if (transforms == np.eye(4)).all():
        return None
    return matrix_positions((*dwi.shape, 1)[:3], transforms, dwi.affine)


def _rotations(transforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one rotation of each volume; of slices that turned separately, their mean."""
    if transforms.ndim == 3:
        return rotations_of(transforms)
    return rotations_of(transforms.mean(axis=1))


def _summary(
    motion: MotionEstimate,
    after: MotionEstimate,
    made: DWI,
    transform: str,
    precisions: Precisions | None,
) -> str:
    parts = [
        f"{transform} registration to the lowest b: {motion}",
        f"a second registration finds {rounded(after.mean_shift_mm, digits=2)} mm on average",
    ]
    if motion.flags:
        parts.append(f"left alone: {motion.flags}")
    share = missing_share(made)
    if share:
        parts.append(f"{percent(share)} of the values were outside of their volume")
    if precisions is not None:
        parts.append(str(precisions))
    return "; ".join(parts)


def _numbers(
    motion: MotionEstimate, after: MotionEstimate, transforms: NDArray[np.float64], made: DWI
) -> dict[str, Any]:
    return {
        "bvals": made.acquisition.bvals.tolist(),
        "shift_mm": motion.shift_mm.round(4).tolist(),
        "rotation_deg": motion.rotation_deg.round(4).tolist(),
        # What a second registration finds in the aligned scan.
        "shift_after_mm": after.shift_mm.round(4).tolist(),
        "rotation_after_deg": after.rotation_deg.round(4).tolist(),
        "mean_shift_mm": round(motion.mean_shift_mm, 4),
        "max_shift_mm": round(motion.max_shift_mm, 4),
        "flagged": [{"volume": volume, "why": why} for volume, why in motion.flagged],
        "reference_volumes": list(motion.reference),
        "missing_share": round(missing_share(made), 6),
        # From a position in the aligned scan to that of the same tissue in the volume, mm; or of
        # each slice of the volume.
        "transforms": transforms.tolist(),
    }


STEP = Align
