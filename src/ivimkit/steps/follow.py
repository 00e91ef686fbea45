"""Follow: all volumes follow what the model predicts, by smooth displacements, for breathing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.run import default_threads, in_threads
from ivimkit.errors import InputError, OptionError
from ivimkit.extend.preprocessing_step import Outcome, Progress, Step, Workpiece
from ivimkit.fitting.quick_fit import MODEL, check_fitted, quick_fit, residual_percent, tissue_of
from ivimkit.fitting.result import FitResult
from ivimkit.models import get as model_of
from ivimkit.rounding import in_unit, rounded, shown_unit
from ivimkit.scan.dwi import DWI
from ivimkit.steps._flow import LIBRARY, Field, composed, flow
from ivimkit.steps._image_stack import check_movable
from ivimkit.steps._interpolated_noise import Precisions
from ivimkit.steps._moved_scan import check_not_moved, missing_share, moved_scan
from ivimkit.steps._resampling import matrix_positions

__all__ = ["STEP", "Follow"]

_MAX_ITERATIONS = 20
_RADII = (2, 50)
_MIN_SLICES = 8
_COMPARED = ("D", "f", "D_star")


@final
@dataclass(frozen=True)
class Follow(Step):
    """All volumes follow what the model predicts, by smooth displacements, for free breathing.

    In turns the model is fitted to all volumes, and each volume is moved, by optical flow [1]_, to
    what the fit predicts for it; registration and fit have been alternated like this for IVIM
    before [2]_. The displacements are added to those of `Align`, and the volumes as acquired are
    resampled once. As volumes are pulled to a model, the parameters change, f in particular,
    whether there was motion or not: compare the medians before and after, which the record has.

    Parameters
    ----------
    iterations : int
        Number of turns.
    radius : int
        Half the edge of the window in which the tissue moves as one, voxels; larger is smoother.

    References
    ----------
    .. [1] Le Besnerais G, Champagnat F. Dense optical flow by iterative local window registration.
       IEEE Int Conf Image Processing 2005;1:137-140. doi:10.1109/ICIP.2005.1529706
    .. [2] Kurugol S, Freiman M, Afacan O, et al. Motion-robust parameter estimation in abdominal
       diffusion-weighted MRI by simultaneous image registration and model estimation. Med Image
       Anal 2017;39:124-132. doi:10.1016/j.media.2017.04.006
    """

    name: ClassVar[str] = "follow"
    title: ClassVar[str] = "Smooth displacement to the prediction of the model"
    stage: ClassVar[str] = "follow"
    libraries: ClassVar[Mapping[str, str]] = {LIBRARY: "scikit-image"}
    references: ClassVar[tuple[str, ...]] = (
        "Le Besnerais G, Champagnat F. Dense optical flow by iterative local window registration. "
        "IEEE Int Conf Image Processing 2005;1:137-140. doi:10.1109/ICIP.2005.1529706",
        "Kurugol S, Freiman M, Afacan O, et al. Motion-robust parameter estimation in abdominal "
        "diffusion-weighted MRI by simultaneous image registration and model estimation. Med "
        "Image Anal 2017;39:124-132. doi:10.1016/j.media.2017.04.006",
    )

    iterations: int = 3
    radius: int = 9

    def __post_init__(self) -> None:
        low, high = _RADII
        for name, value, least, most in (
            ("iterations", self.iterations, 1, _MAX_ITERATIONS),
            ("radius", self.radius, low, high),
        ):
            if value != int(value) or not least <= value <= most:
                raise OptionError(
                    f"{name} is {value!r}; expected a whole number from {least} to {most}"
                )

    def check(self, dwi: DWI) -> None:
        """Check that the scan has images, as acquired, to which the model can be fitted."""
        check_movable(dwi)
        if 1 in dwi.shape[:2]:
            raise InputError(
                f"the images have {' x '.join(map(str, dwi.shape))} voxels; expected slices along "
                "the third axis"
            )
        check_not_moved(dwi, self.name)
        check_fitted(dwi)

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Fit, predict and move in turns; then resample the volumes as acquired once."""
        unmoved = work.dwi if work.unmoved is None else work.unmoved
        search = _Search(self, work, unmoved, progress)
        before, found = search.run()
        made = search.moved(found, final=True)
        after = quick_fit(made.with_mask(search.mask))
        return Outcome(
            replace(work, dwi=made, unmoved=unmoved, displacements=search.displacements(found)),
            _summary(search, before, after, found),
            _numbers(search, before, after, found, made),
            "interpolated",
        )


class _Search:
    """The displacements of all volumes, found in turns."""

    def __init__(self, step: Follow, work: Workpiece, unmoved: DWI, progress: Progress) -> None:
        self._step = step
        self._unmoved = unmoved
        self._aligned = work.dwi
        self._shape = (*unmoved.shape, 1)[:3]
        n = unmoved.acquisition.n_volumes
        given = work.transforms
        self._matrices = np.tile(np.eye(4), (n, 1, 1)) if given is None else given
        # Slices that were aligned separately, and few slices, stay in their planes.
        self._in_planes = self._matrices.ndim == 4 or self._shape[2] < _MIN_SLICES
        self.mask = tissue_of(work.dwi)
        self.precisions: Precisions | None = None
        self._progress = progress
        self._total = step.iterations * n + 2 * n
        self._done = 0

    def run(self) -> tuple[FitResult, list[Field]]:
        """Return the fit before, and the displacements of all volumes."""
        n = self._unmoved.acquisition.n_volumes
        fields = [np.zeros((3, *self._shape), dtype=np.float32) for _ in range(n)]
        first: FitResult | None = None
        for _ in range(self._step.iterations):
            current = self._aligned if first is None else self.moved(fields)
            result = quick_fit(current.with_mask(self.mask))
            first = result if first is None else first
            fields = self._next(current, result, fields)
        assert first is not None
        return first, fields

    def moved(self, fields: list[Field], *, final: bool = False) -> DWI:
        """Return the scan with the volumes read where they were displaced to."""
        affine = self._unmoved.affine

        def places(volume: int) -> NDArray[np.float64]:
            matrix, field = self._matrices[volume], fields[volume]
            return matrix_positions(self._shape, matrix, affine, field)

        acquisition = self._aligned.acquisition
        base = self._unmoved.with_history(self._aligned.history)
        if not final:
            return moved_scan(base, places, acquisition, lambda share: None)
        self.precisions = Precisions.measured(self._unmoved, places)
        return moved_scan(
            base, places, acquisition, self._progress_of_last, precisions=self.precisions
        )

    def _progress_of_last(self, share: float) -> None:
        n = self._unmoved.acquisition.n_volumes
        self._progress((self._total - 2 * n * (1.0 - share)) / self._total)

    def _next(self, current: DWI, result: FitResult, fields: list[Field]) -> list[Field]:
        """Return the displacements after one more turn."""
        predicted = np.asarray(
            result.predict(current.acquisition.bvals), dtype=np.float32
        ).reshape((*self._shape, -1))
        signal = current.signal.reshape(predicted.shape)

        def work(volume: int) -> tuple[int, Field]:
            own, there = signal[..., volume], predicted[..., volume]
            # Without a prediction, or a value, nothing pulls.
            there = np.where(np.isfinite(there), there, own)
            own = np.where(np.isfinite(own), own, there)
            step = flow(
                np.nan_to_num(there),
                np.nan_to_num(own),
                radius=self._step.radius,
                in_planes=self._in_planes,
            )
            return volume, composed(step, fields[volume])

        found = list(fields)
        for volume, field in in_threads(work, range(len(fields)), default_threads()):
            found[volume] = field
            self._done += 1
            self._progress(self._done / self._total)
        # The frame stays: no displacement is common to all volumes.
        mean = np.mean(found, axis=0, dtype=np.float32)
        return [field - mean for field in found]

    def displacements(self, fields: list[Field]) -> NDArray[np.float32]:
        """Return where each voxel was read, relative to its position, mm."""
        affine = self._unmoved.affine
        index = np.indices(self._shape, dtype=np.float64)
        found = np.empty((len(fields), *self._shape, 3), dtype=np.float32)
        for volume, (matrix, field) in enumerate(zip(self._matrices, fields, strict=True)):
            moved = matrix_positions(self._shape, matrix, affine, field) - index
            found[volume] = np.moveaxis(np.tensordot(affine[:3, :3], moved, axes=1), 0, -1)
        return found

    def shifts_mm(self, fields: list[Field]) -> NDArray[np.float64]:
        """Return the root mean square displacement of the tissue in each volume, mm."""
        inside = self.mask.reshape(self._shape)
        axes = self._unmoved.affine[:3, :3]
        squares = [((axes @ field[:, inside]) ** 2).sum(axis=0).mean() for field in fields]
        return np.sqrt(np.array(squares, dtype=np.float64))


def _medians(result: FitResult) -> dict[str, float]:
    """Return the medians of the maps and of the residuals, over the mask."""
    found = {name: float(np.nanmedian(result.maps[name][result.mask])) for name in _COMPARED}
    return {**found, "rmse_percent_of_S0": residual_percent(result)}


def _numbers(
    search: _Search, before: FitResult, after: FitResult, fields: list[Field], made: DWI
) -> dict[str, Any]:
    return {
        "bvals": made.acquisition.bvals.tolist(),
        "shift_mm": search.shifts_mm(fields).round(4).tolist(),
        "medians_before": _medians(before),
        "medians_after": _medians(after),
        "missing_share": round(missing_share(made), 6),
        **(search.precisions.numbers if search.precisions else {}),
    }


def _summary(search: _Search, before: FitResult, after: FitResult, fields: list[Field]) -> str:
    old, new = _medians(before), _medians(after)
    model = model_of(MODEL)
    changes = ", ".join(
        f"{model[name].symbol} from {in_unit(model[name], old[name])} to "
        f"{in_unit(model[name], new[name])} {shown_unit(model[name])}".rstrip()
        for name in _COMPARED
    )
    shift = rounded(float(search.shifts_mm(fields).mean()), digits=2)
    return (
        f"displaced by {shift} mm on average to what {MODEL} predicts, which changed the medians "
        f"in tissue: {changes}"
    )


STEP = Follow
