"""Denoise: noise removed by the principal components of patches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, NoiseError, OptionError
from ivimkit.extend.preprocessing_step import Outcome, Progress, Step, Workpiece
from ivimkit.noise.mppca import (
    MAX_RADIUS_VOXELS,
    Patches,
    patches_of,
    separate_noise,
    without_gaps,
)
from ivimkit.noise.remaining import PROBE_STEP, RemainingNoise
from ivimkit.rounding import rounded
from ivimkit.scan.dwi import DWI
from ivimkit.steps._empty_volumes import check_volumes
from ivimkit.steps._patch2self import (
    MIN_DIRECTIONS,
    PACKAGE,
    REFERENCES,
    check_patch2self,
    predicted_volumes,
)

__all__ = ["MIN_DIRECTIONS", "STEP", "Denoise"]

METHODS = ("mppca", "patch2self")
_AUTO = "auto"
_SEED = 7_331


@final
@dataclass(frozen=True)
class Denoise(Step):
    """Noise removed by the principal components of patches, or by predictions of volumes.

    In a patch around every voxel, the components whose variances have the distribution of noise
    are left out (MPPCA, of DIPY). Small lesions lose most of their contrast: the page about
    denoising has numbers. Patents may apply to MPPCA in some countries.

    The scan is denoised twice, the second time with a small random step added to its values: from
    that follows the error that is left, see `ivimkit.noise.remaining`, which fits of the scan take
    into account.

    Parameters
    ----------
    method : {"mppca", "patch2self"}
        MPPCA; or Patch2Self, which predicts each volume from the others, and so needs many
        directions per shell. Of what Patch2Self leaves there is no estimate: fits of such a scan
        have no intervals.
    radius : int or "auto"
        Radius of the patches of MPPCA in voxels; ``"auto"`` takes the smallest that has more
        voxels than there are volumes: 1 (27 voxels) up to 26 volumes.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(24, 18, 5), snr=30).dwi
    >>> made = ik.preprocess(dwi, "denoise")
    >>> made.dwi.history.noise, made.records[0].numbers["radius"]
    ('changed', [1, 1, 1])
    """

    name: ClassVar[str] = "denoise"
    title: ClassVar[str] = "Denoising"
    stage: ClassVar[str] = "denoise"
    libraries: ClassVar[dict[str, str]] = {"dipy": "dipy"}
    references: ClassVar[tuple[str, ...]] = (
        "Veraart J, Fieremans E, Novikov DS. Magn Reson Med 2016;76:1582-1593. "
        "doi:10.1002/mrm.26059",
        "Veraart J et al. NeuroImage 2016;142:394-406. doi:10.1016/j.neuroimage.2016.08.016",
        "Garyfallidis E et al. Front Neuroinform 2014;8:8. doi:10.3389/fninf.2014.00008",
    )

    method: str = field(default="mppca", metadata={"choices": METHODS})
    radius: int | str = _AUTO

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError(
                f"method of denoising is {self.method!r}; expected one of {', '.join(METHODS)}"
            )
        object.__setattr__(self, "radius", _radius(self.radius))
        if self.method != "mppca" and self.radius != _AUTO:
            raise OptionError(
                f"radius is {self.radius} with method {self.method}; expected it with mppca only. "
                "Leave it out"
            )

    def check(self, dwi: DWI) -> None:
        """Refuse a scan whose noise is not as acquired, or that is too small."""
        if dwi.history.noise != "raw":
            raise InputError(
                f"the scan has had {', '.join(dwi.history.names)}; expected one as acquired, as "
                "denoising finds noise by its being independent from voxel to voxel. Begin with "
                "the scan as acquired"
            )
        volumes = range(dwi.acquisition.n_volumes)
        check_volumes(dwi, volumes, "in all volumes, as each is compared with the others")
        if self.method == "mppca":
            self._patches(dwi)
        else:
            check_patch2self(dwi)

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Remove noise; missing values remain missing."""
        if self.method == "patch2self":
            return _by_patch2self(work, progress)
        return _by_mppca(work, self._patches(work.dwi), progress)

    def cited(self) -> tuple[str, ...]:
        """Return the sources of the method."""
        return self.references if self.method == "mppca" else REFERENCES

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that do the work."""
        more = {} if self.method == "mppca" else {PACKAGE: version(PACKAGE)}
        return {**super().versions(), **more}

    def _patches(self, dwi: DWI) -> Patches:
        radius = None if isinstance(self.radius, str) else self.radius
        return patches_of(dwi.shape, dwi.acquisition.n_volumes, radius)


def _radius(value: object) -> int | str:
    if value == _AUTO:
        return _AUTO
    text = str(value)
    if not isinstance(value, bool) and text.isascii() and text.isdigit():
        number = int(text)
        if 1 <= number <= MAX_RADIUS_VOXELS:
            return number
    raise OptionError(
        f"radius is {value!r}; expected auto, or a whole number from 1 to {MAX_RADIUS_VOXELS}"
    )


def _by_mppca(work: Workpiece, patches: Patches, progress: Progress) -> Outcome:
    dwi = work.dwi
    signal, missing = without_gaps(dwi)
    tissue = np.asarray(dwi.mask).reshape(signal.shape[:3])
    mask = None if tissue.all() else tissue
    first = separate_noise(signal, patches, mask, lambda share: progress(0.5 * share))
    sigma = first.pooled_sigma(tissue)
    if math.isnan(sigma):
        raise NoiseError(
            "no patch of the scan has noise, so none can be removed; expected measured images"
        )
    probe = np.random.default_rng(_SEED).choice([-1.0, 1.0], size=signal.shape)
    step = PROBE_STEP * sigma
    second = separate_noise(
        signal + step * probe, patches, mask, lambda share: progress(0.5 + 0.5 * share)
    )
    use = tissue & np.isfinite(first.sigma) & ~missing.any(axis=-1)
    remaining = RemainingNoise.measured(
        signal[use],
        first.signal[use],
        probe[use],
        (second.signal[use] - first.signal[use]) / step,
        sigma=sigma,
        least=1.0 / patches.n_voxels,
    )
    edges = " x ".join(str(2 * radius + 1) for radius in patches.radius)
    return Outcome(
        work.with_dwi(_with_values(dwi, first.signal, missing)),
        f"noise of sigma {rounded(sigma)} a.u. was removed by MPPCA in patches of {edges} voxels; "
        f"{rounded(100.0 * remaining.share, digits=2)} % of its variance is left",
        {
            "sigma": sigma,
            "radius": list(patches.radius),
            "share_left": remaining.share,
            "remaining_noise": remaining.to_numbers(),
        },
        noise="changed",
    )


def _by_patch2self(work: Workpiece, progress: Progress) -> Outcome:
    signal, missing = without_gaps(work.dwi)
    clean = predicted_volumes(signal, work.dwi)
    progress(1.0)
    return Outcome(
        work.with_dwi(_with_values(work.dwi, clean, missing)),
        "each volume was predicted from the others (Patch2Self)",
        noise="changed",
    )


def _with_values(dwi: DWI, clean: NDArray[np.float64], missing: NDArray[np.bool_]) -> DWI:
    """Return the scan with denoised values; those that were missing keep what they had."""
    shape = dwi.signal.shape
    values = np.where(missing.reshape(shape), dwi.signal, clean.reshape(shape))
    return dwi.with_signal(values.astype(np.float32))


STEP = Denoise
