"""Noise from the principal components of patches of a scan, and the scan without them (MPPCA)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, NoiseError, OptionError
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.scan.dwi import DWI

__all__ = [
    "MAX_RADIUS_VOXELS",
    "Patches",
    "from_mppca",
    "patches_of",
    "separate_noise",
    "without_gaps",
]

MAX_RADIUS_VOXELS = 5
"""Largest radius of a patch: with 11 x 11 x 11 voxels, tissues are mixed in every patch."""

_MAX_AXES = 3
# Rows of voxels along the first axis that are separated at a time, for the progress.
_CHUNK_ROWS = 32
# Voxels with this median signal, in units of their noise, are not air.
_MIN_SNR = 3.0


@dataclass(frozen=True)
class Patches:
    """The patches of voxels whose principal components are taken.

    Parameters
    ----------
    radius : tuple of int
        Radius along each of three axes; 0 along an axis that is too short for a patch.
    """

    radius: tuple[int, int, int]

    @property
    def n_voxels(self) -> int:
        """Number of voxels in a patch."""
        return math.prod(2 * radius + 1 for radius in self.radius)


@dataclass(frozen=True, eq=False)
class Separated:
    """A scan and its noise, as far as principal components separate them.

    Parameters
    ----------
    signal : ndarray, shape (x, y, z, n_volumes)
        The signal without the components of noise, a.u.
    sigma : ndarray, shape (x, y, z)
        The noise of one volume, a.u.; NaN where no patch was centred near.
    """

    signal: NDArray[np.float64] = field(repr=False)
    sigma: NDArray[np.float64] = field(repr=False)

    def pooled_sigma(self, inside: NDArray[np.bool_]) -> float:
        """Return the median noise of some voxels, of those with signal; NaN if none has noise.

        In air the spread of magnitudes is 0.66 sigma: without a mask it would be taken for sigma.
        """
        known = inside & np.isfinite(self.sigma) & (self.sigma > 0.0)
        tissue = known & (np.median(self.signal, axis=-1) > _MIN_SNR * self.sigma)
        chosen = self.sigma[tissue if tissue.any() else known]
        return float(np.median(chosen)) if chosen.size else math.nan


def patches_of(shape: tuple[int, ...], n_volumes: int, radius: int | None = None) -> Patches:
    """Return the patches for a scan.

    Parameters
    ----------
    shape : tuple of int
        Its spatial shape.
    n_volumes : int
        Its number of volumes.
    radius : int, optional
        The radius in voxels; by default the smallest with more voxels than volumes.

    Returns
    -------
    Patches

    Raises
    ------
    InputError
        If the scan is not an image, or too small.
    OptionError
        If patches of this radius have too few voxels: the noise is found from the distribution of
        the variances along components, which takes more voxels than volumes.

    Examples
    --------
    >>> from ivimkit.noise.mppca import patches_of
    >>> patches_of((96, 72, 20), 13).n_voxels, patches_of((96, 72, 1), 13).radius
    (27, (2, 2, 0))
    """
    if not 2 <= len(shape) <= _MAX_AXES:
        raise InputError(
            f"voxels of shape {shape} have no neighbours to find the noise with; expected an image"
        )
    found = [_radii(shape, one) for one in range(1, MAX_RADIUS_VOXELS + 1)]
    fitting = [number for number, one in enumerate(found, 1) if one.n_voxels > n_volumes]
    if not fitting:
        raise InputError(
            f"an image of {' x '.join(map(str, shape))} voxels is too small: no patch has more "
            f"voxels than there are volumes ({n_volumes}), which separating noise requires"
        )
    if radius is None:
        return found[fitting[0] - 1]
    if radius not in fitting:
        n = found[radius - 1].n_voxels
        raise OptionError(
            f"radius is {radius}, of patches with {n} voxels; expected more voxels than there are "
            f"volumes ({n_volumes}), as noise cannot be separated otherwise. Give radius "
            f"{fitting[0]}"
        )
    return found[radius - 1]


def _radii(shape: tuple[int, ...], radius: int) -> Patches:
    edges = (*shape, *[1] * (_MAX_AXES - len(shape)))
    each = [min(radius, (edge - 1) // 2) for edge in edges]
    return Patches((each[0], each[1], each[2]))


def separate_noise(
    signal: NDArray[np.float64],
    patches: Patches,
    mask: NDArray[np.bool_] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Separated:
    """Separate signal and noise by the principal components of patches (MPPCA, of DIPY).

    Around every voxel the components of the volumes are found in a patch. Those whose variances
    have the distribution of noise (Marchenko and Pastur's) are left out, and the patches that
    contain a voxel are averaged.

    Parameters
    ----------
    signal : ndarray, shape (x, y, z, n_volumes)
        The signal, finite, a.u.
    patches : Patches
        The patches.
    mask : ndarray of bool, shape (x, y, z), optional
        Voxels that are the centre of a patch; all by default. The signal of others is kept.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    Separated
    """
    from dipy.denoise.localpca import mppca  # Slow to load, and an extra.

    inside = np.ones(signal.shape[:3], dtype=bool) if mask is None else mask
    clean, sigma = signal.copy(), np.full(inside.shape, np.nan)
    # The components of n voxels around their mean have n - 1 degrees of freedom, and the component
    # of the signal, of which every tissue has one, takes another one; DIPY divides by n.
    unbiased = math.sqrt(patches.n_voxels / (patches.n_voxels - 2.0))
    # DIPY raises negative values to 0, which those of real-valued images are not; the components
    # do not depend on a constant.
    floor = min(float(signal.min()), 0.0)
    n, margin = len(signal), 2 * patches.radius[0]
    for start in range(0, n, _CHUNK_ROWS):
        stop = min(start + _CHUNK_ROWS, n)
        # Rows of the chunk are in patches centred one radius away, which reach another one.
        first, last = max(start - margin, 0), min(stop + margin, n)
        if last - first < 2 * margin + 1:
            first, last = max(n - 2 * margin - 1, 0), n
        centres = inside[first:last]
        if centres.any():
            with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
                warnings.simplefilter("ignore")
                part, noise = mppca(
                    signal[first:last] - floor,
                    mask=centres,
                    patch_radius=np.array(patches.radius),
                    return_sigma=True,
                    suppress_warning=True,
                )
            own = slice(start - first, stop - first)
            here = centres[own] & np.isfinite(noise[own]) & np.isfinite(part[own]).all(axis=-1)
            clean[start:stop][here] = part[own][here] + floor
            sigma[start:stop][here] = unbiased * noise[own][here]
        progress(stop / n)
    return Separated(clean, sigma)


def without_gaps(dwi: DWI) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the signal of a scan with three spatial axes and missing values filled in.

    A value is missing if it is not finite or has the weight 0. It becomes the mean of those of its
    volume in its neighbourhood, so that its patch can be used.

    Parameters
    ----------
    dwi : DWI
        The scan.

    Returns
    -------
    signal : ndarray, shape (x, y, z, n_volumes)
        The signal, a.u.
    is_missing : ndarray of bool, shape (x, y, z, n_volumes)
        Which values were filled in.
    """
    from scipy.ndimage import uniform_filter  # Slow to load, and few need it.

    signal = np.array(dwi.signal, dtype=np.float64)
    missing = ~np.isfinite(signal)
    if dwi.value_weights is not None:
        missing |= np.asarray(dwi.value_weights) == 0.0
    axes = (*dwi.shape, *[1] * (_MAX_AXES - len(dwi.shape)), signal.shape[-1])
    signal, missing = signal.reshape(axes), missing.reshape(axes)
    for volume in np.flatnonzero(missing.any(axis=(0, 1, 2))):
        gaps, values = missing[..., volume], signal[..., volume]
        values[gaps] = 0.0
        near, known = (uniform_filter(one, 3) for one in (values, np.where(gaps, 0.0, 1.0)))
        usual = float(np.median(values[~gaps])) if not gaps.all() else 0.0
        # Shares of 27 that are 0 up to rounding are 0.
        some = known > 1e-3
        values[gaps] = np.where(some, near / np.where(some, known, 1.0), usual)[gaps]
    return signal, missing


def from_mppca(dwi: DWI, *, radius: int | None = None) -> NoiseEstimate:
    """Estimate the noise from the principal components of patches (MPPCA).

    Components of the volumes in a patch that contain only noise have variances whose distribution
    is known (Marchenko and Pastur's), and the noise follows from them. It requires neither air nor
    repeats nor a model, but noise as acquired: it must be independent from voxel to voxel.

    Parameters
    ----------
    dwi : DWI
        The scan.
    radius : int, optional
        Radius of the patches in voxels; by default the smallest with more voxels than volumes.

    Returns
    -------
    NoiseEstimate
        With a map; its pooled value is the median of the voxels of the mask that are not air.

    Raises
    ------
    NoiseError
        If the scan is not as acquired, or not an image.
    InputError
        If DIPY is not installed.
    OptionError
        If patches of this radius have too few voxels.

    Notes
    -----
    0 to 4 % below the truth on phantoms: a part of the noise is in further components of the
    signal. The degrees of freedom that mean and first component take are corrected for, which DIPY
    does not do.

    References
    ----------
    Veraart et al. 2016, doi:10.1002/mrm.26059; Veraart et al. 2016,
    doi:10.1016/j.neuroimage.2016.08.016

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 4), snr=30)
    >>> noise = ik.noise.from_mppca(made.dwi)
    >>> bool(abs(noise.sigma / made.sigma - 1) < 0.1), noise.source
    (True, 'mppca')
    """
    if find_spec("dipy") is None:
        raise InputError(
            "DIPY is not installed, which MPPCA needs; expected the extra preprocess. Install it "
            "with pip install 'ivimkit[preprocess]', or use another source of the noise"
        )
    if dwi.history.noise != "raw":
        raise NoiseError(
            f"the noise is not as acquired: the scan has had {', '.join(dwi.history.names)}; "
            "expected independent noise in every voxel. Take it from the scan as acquired"
        )
    try:
        patches = patches_of(dwi.shape, dwi.acquisition.n_volumes, radius)
    except OptionError:
        raise
    except InputError as error:
        raise NoiseError(f"{error}. Use another source of the noise") from None
    signal, _ = without_gaps(dwi)
    mask = None if dwi.mask.all() else dwi.mask.reshape(signal.shape[:3])
    separated = separate_noise(signal, patches, mask)
    inside = np.asarray(dwi.mask).reshape(signal.shape[:3])
    pooled = separated.pooled_sigma(inside)
    sigma = separated.sigma.reshape(dwi.shape)
    known = np.isfinite(sigma) & (sigma > 0.0) & dwi.mask
    if math.isnan(pooled):
        raise NoiseError(
            "no patch of the scan has noise; expected measured images. Use another source of the "
            "noise"
        )
    n = int(np.count_nonzero(known))
    return NoiseEstimate(
        sigma=pooled,
        map=np.where(known, sigma, np.nan),
        # As if each voxel had one independent value: patches overlap.
        degrees=float(n),
        degrees_map=np.where(known, 1.0, 0.0),
        source="mppca",
        assumes="The noise is independent from voxel to voxel and equal in the volumes: "
        "interpolation and filters make it too small.",
        n_voxels=n,
    )
