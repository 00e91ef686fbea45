"""Check: volumes without an image, with a copy of another volume, or not diffusion-weighted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.checks.finding import ScanFinding, named
from ivimkit.scan.checks.volume_sample import VolumeSample
from ivimkit.scan.dwi import DWI

__all__ = ["copies", "no_image", "not_diffusion"]

# Correlations: volumes of one scan are alike; one this unlike all others is of another kind.
_ALIKE, _UNLIKE, _TURNED = 0.6, 0.4, -0.2
# Contrast that the neighbours do not explain, relative to what is usual in the scan.
_MUCH, _LITTLE = 3.0, 0.1
_OTHER_SCALE = 0.01
# A few volumes are enough to judge scale, contrast requires more.
_MIN_VOXELS, _MIN_VOLUMES, _MIN_VOLUMES_CONTRAST = 32, 4, 6
_PRECISION = 0.005
# For voxels of equal S0: their spread at the second lowest b-value relative to the highest.
_FANS_OUT = 0.5
_MAX_RELATIVE_B_DISTANCE = 0.2


def no_image(
    dwi: DWI, values: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], tuple[ScanFinding, ...]]:
    """Return which volumes contain an image, and the findings about the others.

    Parameters
    ----------
    dwi : DWI
        The scan.
    values : ndarray, shape (n_voxels, n_volumes)
        A sample of its voxels.
    """
    finite = np.isfinite(values)
    broken = finite.mean(axis=0) < 0.5
    filled = np.where(finite, values, values[:1])
    same = (np.ptp(filled, axis=0) == 0.0) & ~broken if len(values) else np.zeros_like(broken)
    # The sample may have missed the signal: a volume is called flat only after reading all of it.
    for position in np.flatnonzero(same):
        same[position] = _is_flat(dwi.signal[..., position], dwi.mask)
    if same.all() and np.ptp(values[0]) > 0.0:
        # One tissue without noise: a thought experiment, not a fault.
        same[:] = values[0] == 0.0
    zero = same & (values[0] == 0.0)
    if (same & ~zero).any():
        same &= zero | ~of_one_S0(dwi.acquisition.bvals, values)
    negative = (np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf) < 0.0) & ~broken
    same &= ~negative
    found: list[ScanFinding] = []
    for kind, which, what, where in (
        ("empty", zero, "0 everywhere", "0"),
        ("constant", same & ~zero, "constant", "the same"),
        ("negative", negative, "negative everywhere", "negative"),
        ("not finite", broken, "NaN or infinite in most voxels", "NaN or infinite"),
    ):
        found.extend(_of_kind(dwi, kind, which, what, where))
    return ~(zero | same | negative | broken), tuple(found)


def of_one_S0(bvals: NDArray[np.float64], signal: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which volumes are flat because all voxels have equal S0: normalised, or simulated.

    Those of the lowest b-value, if the voxels become more alike as b decreases. In an image in
    which S0 varies, they differ as much at low b as at high b.

    Parameters
    ----------
    bvals : ndarray, shape (n_volumes,)
        b-values in s/mm^2.
    signal : ndarray, shape (n_voxels, n_volumes)
        Some of the voxels, a.u.
    """
    lowest = bvals == bvals.min()
    if lowest.all() or not len(signal):
        return np.zeros_like(lowest)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        spread = np.std(signal, axis=0) / np.abs(np.mean(signal, axis=0))
    low, high = np.min(bvals[~lowest]), bvals.max()
    normalised = bool((signal[:, lowest] == 1.0).all())
    fans_out = np.median(spread[bvals == low]) < _FANS_OUT * np.median(spread[bvals == high])
    return np.asarray(lowest & (normalised | fans_out), dtype=bool)


def _of_kind(
    dwi: DWI, kind: str, which: NDArray[np.bool_], what: str, where: str
) -> Iterator[ScanFinding]:
    if which.all():
        inside = "" if dwi.mask.all() else " inside the mask"
        yield ScanFinding(
            kind,
            (),
            f"the whole scan is {what}{inside}: there is no signal to fit",
            "Look at the file, and write it again",
        )
    elif which.any():
        volumes = dwi.volumes[which].tolist()
        are = "is" if len(volumes) == 1 else "are"
        yield ScanFinding(
            kind,
            tuple(volumes),
            f"{named(volumes, dwi.acquisition.bvals[which].tolist())} {are} {what} "
            "(volumes count from 0)",
            "Find out what went wrong, or leave "
            + ("it out" if len(volumes) == 1 else "them out"),
        )


def _is_flat(volume: NDArray[np.generic], mask: NDArray[np.bool_]) -> bool:
    inside = volume[mask]
    inside = inside[np.isfinite(inside)]
    return bool(inside.size == 0 or (inside == inside[0]).all())


def copies(sample: VolumeSample) -> tuple[ScanFinding, ...]:
    """Find volumes of different b-values that are the same, voxel by voxel."""
    found: list[tuple[int, int]] = []
    order = np.argsort(sample.mean, kind="stable")
    for one, other in pairwise(order):
        if sample.bvals[one] != sample.bvals[other] and np.array_equal(
            sample.signal[:, one], sample.signal[:, other]
        ):
            found.append((int(one), int(other)))
    if not found:
        return ()
    involved = sorted({k for pair in found for k in pair})
    volumes = sample.volumes[involved].tolist()
    return (
        ScanFinding(
            "copy",
            tuple(volumes),
            f"{named(volumes, sample.bvals[involved].tolist())} are equal in every voxel, but "
            "their b-values are not (volumes count from 0)",
            "Look for volumes that were written twice",
        ),
    )


def not_diffusion(sample: VolumeSample) -> NDArray[np.bool_]:
    """Return which volumes are not diffusion-weighted images, such as an ADC map.

    One that is hardly correlated with any other volume, while the others are with each other, and
    whose contrast is not the noise of the scan; or one on another scale. The contrast between
    fluid and tissue reverses as b grows, so a lone high b-value may resemble no other volume, but
    the similarity grows with the proximity of the b-values.
    """
    n = len(sample.bvals)
    odd: NDArray[np.bool_] = np.zeros(n, dtype=bool)
    if n < _MIN_VOLUMES:
        return odd
    own = np.sqrt(np.diag(sample.covariance))
    size = np.abs(sample.mean) + own
    odd |= size < _OTHER_SCALE * _others(size).min(axis=1)
    if sample.n_voxels < _MIN_VOXELS or n < _MIN_VOLUMES_CONTRAST or not (own > 0.0).all():
        return odd
    one_S0 = of_one_S0(sample.bvals, sample.signal)
    correlation = sample.covariance / np.outer(own, own)
    np.fill_diagonal(correlation, -1.0)
    best = correlation.max(axis=1)
    if np.median(best) < _ALIKE:
        return odd
    left = own * np.sqrt(np.clip(1.0 - best**2, 0.0, None))
    usual = np.maximum(np.median(_others(left), axis=1), _PRECISION * np.median(sample.mean))
    unusual = ~((_LITTLE * usual <= own) & (own <= _MUCH * usual))
    for v in np.flatnonzero(unusual & ~one_S0):
        odd[v] |= _strange(sample.bvals, correlation, int(v))
    return odd


def _others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return all values but one, in a row for each that is left out, shape (n, n - 1)."""
    n = len(values)
    return np.tile(values, (n, 1))[~np.eye(n, dtype=bool)].reshape(n, n - 1)


def _strange(bvals: NDArray[np.float64], correlation: NDArray[np.float64], v: int) -> bool:
    """Whether a volume is unlike one of similar b-value, or less like near ones than far ones."""
    others = np.delete(np.arange(len(bvals)), v)
    apart = np.abs(bvals[others] - bvals[v])
    near, far = others[np.argmin(apart)], others[np.argmax(apart)]
    like_v, like_near = (int(np.argmax(correlation[k])) for k in (v, near))
    if apart.min() > _MAX_RELATIVE_B_DISTANCE * bvals[v]:
        unlike = correlation[v, like_v] < _UNLIKE
        return bool(unlike and correlation[v, near] < correlation[v, far])
    # Directions make images of one b-value differ, but do not reverse their contrast. One that
    # resembles others of similar b-value belongs to the scan.
    belongs = abs(bvals[like_v] - bvals[v]) <= abs(bvals[like_near] - bvals[near])
    return bool(correlation[v, near] < _TURNED and not belongs)


def not_diffusion_finding(sample: VolumeSample, odd: NDArray[np.bool_]) -> ScanFinding:
    """Report volumes that are not diffusion-weighted images."""
    volumes = sample.volumes[odd].tolist()
    one = len(volumes) == 1
    return ScanFinding(
        "not diffusion",
        tuple(volumes),
        f"{named(volumes, sample.bvals[odd].tolist())} "
        + ("does not look like an image" if one else "do not look like images")
        + " of this scan: contrast or scale differs, as in an ADC map (volumes count "
        "from 0)",
        f"Look at {'it' if one else 'them'}, and leave {'it' if one else 'them'} out",
    )
