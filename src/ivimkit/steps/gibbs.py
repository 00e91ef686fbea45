"""Gibbs: ringing at edges removed by shifts of less than a voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, OptionError
from ivimkit.extend.preprocessing_step import Outcome, Progress, Step, Workpiece
from ivimkit.noise.mppca import without_gaps
from ivimkit.scan.dwi import DWI
from ivimkit.scan.partial_fourier import KSpace, as_number, is_full

__all__ = ["STEP", "Gibbs"]

_MIN_EDGE_VOXELS = 8


@final
@dataclass(frozen=True)
class Gibbs(Step):
    """Ringing at edges removed by shifts of less than a voxel.

    Each line of an image is shifted so that its samples hit the nodes of the ringing (Kellner's
    method, of DIPY). It is exact only where all of k-space was acquired: of partial Fourier it
    makes new errors. Much of its gain is smoothing, so it is done only when asked for.

    Parameters
    ----------
    partial_fourier : float, optional
        Share of k-space that was acquired, 0.5 to 1; by default what the DICOM headers of the scan
        or its JSON sidecar say (``PartialFourier``, ``PartialFourierEnabled``, ``ScanOptions``,
        ``PercentSampling``).
    slice_axis : {2, 0, 1}
        Axis of the slices: images are the other two.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(24, 18, 2), bvals=[0, 200, 800]).dwi
    >>> made = ik.preprocess(dwi, ik.steps.Gibbs(partial_fourier=1))
    >>> made.dwi.history.noise
    'interpolated'
    """

    name: ClassVar[str] = "gibbs"
    title: ClassVar[str] = "Removal of Gibbs ringing"
    stage: ClassVar[str] = "gibbs"
    libraries: ClassVar[dict[str, str]] = {"dipy": "dipy"}
    references: ClassVar[tuple[str, ...]] = (
        "Kellner E et al. Magn Reson Med 2016;76:1574-1581. doi:10.1002/mrm.26054",
        "Garyfallidis E et al. Front Neuroinform 2014;8:8. doi:10.3389/fninf.2014.00008",
    )

    partial_fourier: float | None = None
    slice_axis: int = 2

    def __post_init__(self) -> None:
        if self.partial_fourier is not None:
            share = as_number(self.partial_fourier)
            if not 0.5 <= share <= 1.0:
                raise OptionError(
                    f"partial_fourier is {self.partial_fourier!r}; expected the share of k-space "
                    "that was acquired, 0.5 to 1"
                )
            object.__setattr__(self, "partial_fourier", share)
        if isinstance(self.slice_axis, bool) or self.slice_axis not in (0, 1, 2):
            raise OptionError(f"slice_axis is {self.slice_axis!r}; expected 0, 1 or 2")

    def check(self, dwi: DWI) -> None:
        """Refuse partial Fourier, stated or not known, and voxels that are not images."""
        if dwi.history.noise == "interpolated":
            raise InputError(
                f"the scan has had {', '.join(dwi.history.names)}; expected voxels as acquired, "
                "as interpolation changes the ringing. Begin with the scan as acquired"
            )
        edges = _edges(dwi.shape, self.slice_axis)
        if edges is None or min(edges) < _MIN_EDGE_VOXELS:
            raise InputError(
                f"voxels of shape {dwi.shape} with slices along axis {self.slice_axis} are not "
                f"images; expected {_MIN_EDGE_VOXELS} voxels or more along both edges of a slice"
            )
        known = self._k_space(dwi)
        if known.is_partial is None:
            raise InputError(
                "the scan does not say whether all of k-space was acquired (PartialFourier or "
                "PartialFourierEnabled in its JSON sidecar, or DICOM headers); expected it to, as "
                "the method is wrong for partial Fourier. If it was, give gibbs:partial_fourier=1"
            )
        if known.is_partial:
            raise InputError(
                f"the scan does not have all of k-space (partial Fourier: {known.source}); "
                "expected all of it, as the ringing has another period otherwise. Leave step "
                "gibbs out"
            )

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Remove ringing; missing values remain missing."""
        from dipy.denoise.gibbs import gibbs_removal  # Slow to load, and an extra.

        dwi = work.dwi
        known = self._k_space(dwi)
        signal, missing = without_gaps(dwi)
        # DIPY returns magnitudes. Ringing does not depend on a constant: real-valued images are
        # lifted so far above 0 that nothing becomes negative on the way.
        negative = float(signal.min()) < 0.0
        floor = -2.0 * float(np.abs(signal).max()) if negative else 0.0
        n = signal.shape[-1]
        for volume in range(n):
            signal[..., volume] = gibbs_removal(
                np.ascontiguousarray(signal[..., volume] - floor),
                slice_axis=self.slice_axis,
                inplace=False,
            )
            progress((volume + 1) / n)
        clean = (np.maximum(signal, 0.0) + floor).reshape(dwi.signal.shape)
        values = np.where(missing.reshape(clean.shape), dwi.signal, clean)
        return Outcome(
            work.with_dwi(dwi.with_signal(_single(values))),
            f"ringing was removed in {n} volumes",
            {"partial_fourier": known.share, "partial_fourier_source": known.source},
            noise="interpolated",
        )

    def _k_space(self, dwi: DWI) -> KSpace:
        share = self.partial_fourier
        if share is None:
            return KSpace.of(dwi.sidecar)
        return KSpace(share, not is_full(share), f"gibbs:partial_fourier={share:g} was given")


def _edges(shape: tuple[int, ...], slice_axis: int) -> tuple[int, ...] | None:
    """Return the edges of a slice; None if the voxels are not images."""
    if not 2 <= len(shape) <= 3:
        return None
    axes = (*shape, *[1] * (3 - len(shape)))
    return tuple(edge for axis, edge in enumerate(axes) if axis != slice_axis)


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


STEP = Gibbs
