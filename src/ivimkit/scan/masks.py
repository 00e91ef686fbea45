"""Masks found in the scan itself: tissue against air."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan.dwi import DWI

__all__ = ["KINDS", "auto", "kind_of", "masked"]

KINDS = ("auto", "body", "brain")
"""The kinds of mask."""

_AUTO = "auto"
# Tissue is brighter than air by at least this factor, or there is no air in the image.
_BRIGHTER = 2.5
# Brighter than this many times the median tissue is fluid: not used for the threshold.
_BRIGHTEST = 2.0
# Less than this share of the median tissue is treated as this share: air without noise is 0.
_DARKEST = 0.005
# If fluid is brighter than tissue by this factor, the first threshold lies between the two.
_FAR_BRIGHTER = 5.0
# Then tissue enlarges the largest component by this factor; number of attempts.
_LARGER, _FLUIDS = 1.5, 3
# Size of a head in the plane, mm.
_HEAD = (90.0, 240.0)
# Bridges from the brain to the skull and the eyes are thinner than this, mm.
_BRIDGE = 5.0
# Dark spots in a brain that are filled before its bridges are cut, mm².
_SPOT = 400.0
# Gaps in a wall of tissue that are closed before holes are filled, mm.
_GAP = 8.0
# In noisy or coarse images a wall has wider gaps. Where closing those, too, up to this many voxels
# on either side, makes a slice larger by more than this factor, it has closed a leak.
_MAX_GAP_VOXELS, _LEAK = 4, 1.05
# A border voxel with less than this share of the nearby signal is mostly air.
_PARTIAL = 0.45
# Depth of the border, and the extent of "nearby" along the axes, voxels.
_LAYERS = 2
_NEARBY_VOXELS = (3.0, 3.0, 0.0)
_TINY = 1e-6


@dataclass(frozen=True)
class _Found:
    """A mask and how it was made."""

    inside: NDArray[np.bool_]
    kind: str
    threshold: float
    b: float

    @property
    def origin(self) -> str:
        """How it was made, in words."""
        if np.isnan(self.threshold):
            return (
                f"auto ({self.kind}): no air was found in the mean image at b = {self.b:g}, so "
                "all voxels"
            )
        return (
            f"auto ({self.kind}): mean image at b = {self.b:g} above {self.threshold:.4g}, "
            "smoothed, largest component, holes filled"
        )


def auto(dwi: DWI, kind: str = "auto") -> NDArray[np.bool_]:
    """Find where there is tissue.

    The mean image of the lowest b-value is smoothed and thresholded by Otsu's method between air
    and tissue [1]_, on a logarithmic scale, so that a few bright voxels of fluid have little
    effect. The largest component is kept, and its holes are filled.

    Parameters
    ----------
    dwi : DWI
        The scan, with two or three spatial axes; its mask is not used.
    kind : {"auto", "body", "brain"}
        ``"body"`` is all except the surrounding air. ``"brain"`` also removes what is attached to
        the largest component by thin bridges: skull, eyes. ``"auto"`` is the brain if the body has
        the size of a head with air around it, and otherwise the body.

    Returns
    -------
    ndarray of bool, shape (...)
        The mask, in the shape of the scan, for `DWI.with_mask`.

    Raises
    ------
    OptionError
        If `kind` is unknown.
    ShapeError
        If the scan has fewer than two spatial axes, or more than three, or no signal.

    References
    ----------
    .. [1] Otsu 1979, doi:10.1109/TSMC.1979.4310076

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom("brain", shape=(48, 56, 4)).dwi
    >>> inside = ik.masks.auto(dwi)
    >>> bool((inside[dwi.mask].mean() > 0.95) and (inside[~dwi.mask].mean() < 0.1))
    True
    """
    return _find(dwi, kind).inside


def masked(dwi: DWI, kind: str = "auto") -> DWI:
    """Return the scan with the mask found by `auto`, and record in its results how it was made.

    Parameters
    ----------
    dwi : DWI
        The scan.
    kind : {"auto", "body", "brain"}
        See `auto`.

    Returns
    -------
    DWI
        Its results have a sentence on it in their provenance, and the mask is saved with them.

    Raises
    ------
    OptionError, ShapeError
        See `auto`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom("brain", shape=(48, 56, 4))
    >>> ik.masks.masked(made.dwi, "brain").mask_origin[:12]
    'auto (brain)'
    """
    found = _find(dwi, kind)
    return dwi.with_mask(found.inside, origin=found.origin)


def kind_of(text: str) -> str | None:
    """Return the kind of mask to find, if a word instead of a file was given.

    Parameters
    ----------
    text : str
        ``"auto"``, ``"auto:body"``, ``"auto:brain"``, or the name of a file.

    Returns
    -------
    str or None
        The kind; None for a file, which may be called ``"./auto"``.

    Raises
    ------
    OptionError
        If it is ``"auto:"`` followed by something else.

    Examples
    --------
    >>> from ivimkit import masks
    >>> masks.kind_of("auto:brain"), masks.kind_of("mask.nii.gz")
    ('brain', None)
    """
    first, colon, kind = text.partition(":")
    if first != _AUTO:
        return None
    kind = kind if colon else _AUTO
    if kind not in KINDS:
        choices = ", ".join([_AUTO, *(f"{_AUTO}:{name}" for name in KINDS[1:])])
        raise OptionError(
            f"the mask is {text!r}; expected one of {choices}, or a file. A file with that name "
            f"is ./{text}"
        )
    return kind


def _find(dwi: DWI, kind: str) -> _Found:
    if kind not in KINDS:
        raise OptionError(f"the kind of mask is {kind!r}; expected one of {', '.join(KINDS)}")
    if not 2 <= len(dwi.shape) <= 3:
        raise ShapeError(
            f"the scan has {len(dwi.shape)} spatial axes; expected two or three to find a mask "
            "in. Give a mask"
        )
    lowest = float(dwi.fit_bvals.min())
    image = dwi.mean_image(lowest).reshape((*dwi.shape, 1)[:3])
    image = np.where(np.isfinite(image), np.maximum(image, 0.0), 0.0)
    if not image.any():
        raise ShapeError(
            f"the mean image at b = {lowest:g} has no signal; expected an image to find a mask "
            "in. Look at the scan, or give a mask"
        )
    smooth = _smoothed(image)
    threshold = _threshold(smooth.ravel(), _BRIGHTER)
    if np.isnan(threshold):
        named = "body" if kind == _AUTO else kind
        return _Found(np.ones(dwi.shape, dtype=bool), named, threshold, lowest)
    size = dwi.geometry.voxel_size
    threshold = _below_fluid(smooth, threshold)
    tissue = smooth > threshold
    body = _body(tissue, size)
    if kind == _AUTO:
        kind = "brain" if _is_head(body, size) else "body"
    inside = _without_bridges(tissue, size) if kind == "brain" else body
    inside = _trimmed(inside, image)
    return _Found(inside.reshape(dwi.shape), kind, threshold, lowest)


def _smoothed(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each voxel and its neighbours in the slice: edges stay."""
    from scipy import ndimage

    out: NDArray[np.float64] = ndimage.median_filter(image, size=(3, 3, 1), mode="nearest")
    return out


def _below_fluid(image: NDArray[np.float64], threshold: float) -> float:
    """Return a threshold below all tissue, for when the first one lies between it and fluid."""
    inside = _largest(image > threshold)
    for _ in range(_FLUIDS):
        # Zeros written by the scanner are not air to compare with: next to them noise is bright.
        lower = _threshold(image[(image > 0.0) & (image <= threshold)], _FAR_BRIGHTER)
        if np.isnan(lower):
            break
        larger = _largest(image > lower)
        if np.count_nonzero(larger) < _LARGER * np.count_nonzero(inside):
            break
        threshold, inside = lower, larger
    return threshold


def _threshold(image: NDArray[np.float64], brighter: float) -> float:
    """Return the signal between two classes; NaN if there are no two classes that far apart."""
    from skimage import filters  # Imported here, because it is slow.

    threshold_otsu: Any = filters.threshold_otsu

    if image.size == 0 or np.ptp(image) == 0.0:
        return np.nan
    # What is brighter than Otsu's threshold is certainly tissue: its median is the scale.
    bright = image[image > threshold_otsu(image)]
    scale = float(np.median(bright)) if bright.size else float(image.max())
    values = np.log(np.clip(image / scale, _DARKEST, _BRIGHTEST))
    if np.ptp(values) == 0.0:
        return np.nan
    cut = float(threshold_otsu(values))
    above = values > cut
    if np.median(values[above]) - np.median(values[~above]) < np.log(brighter):
        return np.nan
    return float(np.exp(cut) * scale)


def _whole(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest component with its holes filled, in each slice and in space."""
    from scipy import ndimage

    largest = _largest(inside)
    filled = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(largest, 2, 0)]
    whole: NDArray[np.bool_] = np.stack(filled, axis=2).astype(bool)
    return whole


def _body(tissue: NDArray[np.bool_], size: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return all inside the outer wall of the tissue, slice by slice."""
    body = _whole(_closed(tissue, size, _GAP / 2))
    step = min(size[:2])
    for voxels in range(round(_GAP / 2 / step) + 1, _MAX_GAP_VOXELS + 1):
        wider = _whole(_closed(tissue, size, voxels * step))
        leaks = wider.sum(axis=(0, 1)) > _LEAK * body.sum(axis=(0, 1))
        body = np.where(leaks, wider, body)
    return _largest(body)


def _closed(
    inside: NDArray[np.bool_], size: tuple[float, ...], radius: float
) -> NDArray[np.bool_]:
    """Close gaps in a thin wall of tissue, through which air would reach the holes inside."""
    from scipy import ndimage

    disk = _disk(radius, size)
    margin = len(disk)
    around = ((margin, margin), (margin, margin), (0, 0))
    closed = ndimage.binary_closing(np.pad(inside, around), disk[..., np.newaxis])
    found: NDArray[np.bool_] = closed[margin:-margin, margin:-margin]
    return found


def _disk(radius: float, size: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return a disk in the plane of a slice, at least one voxel and at most ten in radius."""
    steps = min(10, max(1, round(radius / min(size[:2]))))
    x, y = np.ogrid[-steps : steps + 1, -steps : steps + 1]
    inside: NDArray[np.bool_] = np.hypot(x, y) <= steps + 0.3
    return inside


def _largest(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    pieces, _ = ndimage.label(inside)
    sizes = np.bincount(pieces.ravel())
    if len(sizes) < 2:
        return inside
    largest: NDArray[np.bool_] = pieces == 1 + int(np.argmax(sizes[1:]))
    return largest


def _trimmed(inside: NDArray[np.bool_], image: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Remove border voxels that are mostly air.

    A threshold that includes all kinds of tissue lies far below the signal of most of it.
    """
    from scipy import ndimage

    cross = ndimage.generate_binary_structure(2, 1)[..., np.newaxis]
    for _ in range(_LAYERS):
        core = ndimage.binary_erosion(inside, cross, border_value=1)
        weight = ndimage.gaussian_filter(core.astype(np.float64), _NEARBY_VOXELS)
        total = ndimage.gaussian_filter(np.where(core, image, 0.0), _NEARBY_VOXELS)
        nearby = np.divide(total, weight, out=np.zeros_like(total), where=weight > _TINY)
        trimmed = core | (inside & (image > _PARTIAL * nearby))
        if np.array_equal(trimmed, inside):
            break
        inside = trimmed
    return _whole(inside)


def _without_bridges(tissue: NDArray[np.bool_], size: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return what is left after cutting thin bridges, grown back to its original extent."""
    from scipy import ndimage

    body = _without_small_holes(tissue, size)
    disk = _disk(_BRIDGE / 2, size)
    eroded = ndimage.binary_erosion(body, disk[..., np.newaxis])
    if not eroded.any():
        return _whole(body)
    core = _largest(eroded)
    grown = ndimage.binary_dilation(core, disk[..., np.newaxis]) & body
    return _whole(grown)


def _without_small_holes(inside: NDArray[np.bool_], size: tuple[float, ...]) -> NDArray[np.bool_]:
    """Fill dark spots in each slice, but not the gap between the brain and its surroundings."""
    from scipy import ndimage

    filled = inside.copy()
    for plane in np.moveaxis(filled, 2, 0):
        pieces, n = ndimage.label(~plane)
        if n:
            area = np.bincount(pieces.ravel()) * size[0] * size[1]
            small = area < _SPOT
            small[0] = False
            plane |= small[pieces]
    return filled


def _is_head(body: NDArray[np.bool_], size: tuple[float, ...]) -> bool:
    """Return whether a body has the size of a head in the plane, with air around it."""
    for axis in (0, 1):
        line = np.flatnonzero(body.any(axis=tuple({0, 1, 2} - {axis})))
        extent = (line[-1] - line[0] + 1) * size[axis]
        if not _HEAD[0] <= extent <= _HEAD[1]:
            return False
    sides = (body[0].any(), body[-1].any(), body[:, 0].any(), body[:, -1].any())
    return sum(map(bool, sides)) <= 1
