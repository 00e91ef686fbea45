"""Motion: how far the tissue lies from its place in each volume of a scan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.run import checked_threads, in_threads
from ivimkit.errors import InputError, OptionError
from ivimkit.extend.preprocessing_step import Progress
from ivimkit.rounding import rounded
from ivimkit.scan.dwi import DWI
from ivimkit.steps._image_stack import ImageStack, check_movable, reference_volumes
from ivimkit.steps._registration import (
    LIBRARY,
    TRANSFORMS,
    Match,
    Registration,
    library_is_installed,
    one_thread,
)
from ivimkit.steps._resampling import LINEAR, matrix_positions, read_at

__all__ = [
    "MAX_SHIFT_MM",
    "MIN_MEAN_SHIFT_MM",
    "MIN_VOLUME_SHIFT_MM",
    "MotionEstimate",
    "check_transform",
    "estimate_motion",
    "rotations_of",
]

MAX_SHIFT_MM = 20.0
"""Displacement, mm, above which a registration is more likely to be lost than right."""

MIN_MEAN_SHIFT_MM, MIN_VOLUME_SHIFT_MM = 0.5, 1.0
"""Mean displacement, and that of one volume, mm, above which volumes should be aligned.

Below them the estimate is no better than the position of the volumes as acquired.
"""

_MIN_MEAN_SHARE, _MIN_VOLUME_SHARE = 0.12, 0.24
"""The same as shares of the edge of a voxel, for large voxels: the error grows with them."""

_ERROR_MM, _ERROR_SHARE = 0.25, 0.06
"""About the error of the displacement of a volume, mm, or as a share of the edge of a voxel."""

_MIN_TO_REFINE = 3
"""Images of the lowest b from which on their mean is clearly better than the first of them."""

_DIM_SHARE, _MIN_DIM = 0.6, 8
"""Volumes with less than this share of the signal of the lowest b are registered once more, to
their mean, if there are so many: it has their contrast, and less noise than any of them."""

_MIN_TISSUE_SHARE = 0.02
"""A slice with less tissue is air; it is not registered."""

_MIN_DOUBTED_MM = 1.0
"""A smaller displacement that is not confirmed is the error of the estimate, not a failure."""

_MAX_NAMED_VOLUMES = 8

Volume = NDArray[np.float32]
Matches = dict[tuple[int, int], Match]
"""What was found, by volume and part of the volume."""


@dataclass(frozen=True, eq=False)
class MotionEstimate:
    """How far the tissue lies from its place in each volume.

    Parameters
    ----------
    transforms : ndarray, shape (n_volumes, 4, 4), or (n_volumes, n_slices, 4, 4)
        From a position in the reference to that of the same tissue in the volume, mm: where the
        volume is to be read to show the tissue in its place.
    shift_mm : ndarray, shape (n_volumes,)
        Root mean square displacement of the tissue.
    rotation_deg : ndarray, shape (n_volumes,)
        Angle by which it is turned; of slices, the largest one.
    flagged : tuple of (int, str)
        Volumes whose movement could not be found, in some slice at least, and why; their
        transforms there are those of tissue in its place.
    reference : tuple of int
        The volumes whose mean is the reference.
    voxel_mm : float
        Mean edge of a voxel.
    """

    transforms: NDArray[np.float64] = field(repr=False)
    shift_mm: NDArray[np.float64]
    rotation_deg: NDArray[np.float64]
    flagged: tuple[tuple[int, str], ...]
    reference: tuple[int, ...]
    voxel_mm: float

    @property
    def mean_shift_mm(self) -> float:
        """Mean displacement of the volumes other than the reference, if that is a single one."""
        single = len(self.reference) == 1
        return float(
            (np.delete(self.shift_mm, self.reference) if single else self.shift_mm).mean()
        )

    @property
    def max_shift_mm(self) -> float:
        """Largest displacement of a volume."""
        return float(self.shift_mm.max())

    @property
    def is_relevant(self) -> bool:
        """Whether the tissue is displaced by more than the error of the estimate."""
        least_mean = max(MIN_MEAN_SHIFT_MM, _MIN_MEAN_SHARE * self.voxel_mm)
        least_largest = max(MIN_VOLUME_SHIFT_MM, _MIN_VOLUME_SHARE * self.voxel_mm)
        return self.mean_shift_mm > least_mean or self.max_shift_mm > least_largest

    @property
    def in_place(self) -> NDArray[np.bool_]:
        """Which volumes are displaced by less than the error of the estimate."""
        least = max(_ERROR_MM, _ERROR_SHARE * self.voxel_mm)
        return np.asarray(self.shift_mm < least)

    def __str__(self) -> str:
        mean, largest = (rounded(mm, digits=2) for mm in (self.mean_shift_mm, self.max_shift_mm))
        text = (
            f"the tissue is displaced by {mean} mm on average and by up to {largest} mm (volume "
            f"{int(self.shift_mm.argmax())})"
        )
        turned = float(self.rotation_deg.max())
        return f"{text}, and turned by up to {rounded(turned, digits=2)}°" if turned else text

    @property
    def flags(self) -> str:
        """The volumes whose movement could not be found, and why; perhaps empty."""
        if not self.flagged:
            return ""
        named = [f"{volume} ({why})" for volume, why in self.flagged[:_MAX_NAMED_VOLUMES]]
        more = len(self.flagged) - len(named)
        listed = ", ".join(named) + (f" and {more} more" if more else "")
        return f"volume {listed}" if len(self.flagged) == 1 else f"volumes {listed}"


def estimate_motion(
    dwi: DWI,
    transform: str = "rigid",
    *,
    slices: bool = False,
    max_shift_mm: float = MAX_SHIFT_MM,
    quick: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> MotionEstimate:
    """Estimate how far the tissue lies from its place in each volume.

    Every volume is registered to the mean of the lowest b-value by mutual information [1]_, which
    is not disturbed by contrast that changes with b. If eight volumes or more have less than 60 %
    of its signal, these are then registered to their mean, in which noise disturbs less. The error
    is about 0.3 mm.

    Parameters
    ----------
    dwi : DWI
        The scan: images with two or three spatial axes.
    transform : {"rigid", "affine", "translation"}
        Kind of movement.
    slices : bool
        Whether each slice moves separately in its plane. Always with fewer than 8 slices.
    max_shift_mm : float
        Displacement above which a movement is not believed, mm.
    quick : bool
        Whether to end the search sooner, in half the time, to tell of motion: the displacement
        is still right to about 0.3 mm.
    threads : int, optional
        Number of threads; by default all cores. The result does not depend on it.
    progress : callable, optional
        Called with the share of the registrations that are done, from 0 to 1.

    Returns
    -------
    MotionEstimate

    Raises
    ------
    InputError
        If the scan does not consist of images, those of the lowest b have no signal, or the extra
        ``preprocess`` is not installed.
    OptionError
        For an unknown kind of movement.

    References
    ----------
    .. [1] Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W. PET-CT image registration in the
       chest using free-form deformations. IEEE Trans Med Imaging 2003;22:120-128.
       doi:10.1109/TMI.2003.809072

    Examples
    --------
    >>> from ivimkit import simulate, steps
    >>> moving = simulate.Artefacts(motion=simulate.Motion("rigid", mm=5))
    >>> made = simulate.phantom(shape=(24, 18, 8), bvals=[0, 50, 800], artefacts=moving)
    >>> found = steps.estimate_motion(made.dwi)
    >>> bool(found.shift_mm.max() > 2), found.flagged
    (True, ())
    """
    check_transform(transform)
    check_movable(dwi)
    if not library_is_installed():
        raise InputError(
            f"motion cannot be estimated, as {LIBRARY} is not installed; expected the extra "
            "preprocess. Install it with pip install 'ivimkit[preprocess]'"
        )
    reference = reference_volumes(dwi)
    stack = ImageStack(dwi, slices=slices)
    n = dwi.acquisition.n_volumes
    refined = len(reference) >= _MIN_TO_REFINE
    rest = [volume for volume in range(n) if refined or volume not in reference]
    dim = [] if quick else _dim_volumes(stack, reference[0], rest)
    search = _Search(
        stack,
        transform,
        checked_threads(threads),
        (len(reference) - 1 + len(rest) + len(dim)) * stack.n_parts,
        progress,
        quick=quick,
    )
    with one_thread:
        among = search.run(stack.volume(reference[0]), reference[1:])
        fixed = _mean_in_place(stack, reference, among)
        found = {**among, **search.run(fixed, rest, among)}
        if dim:
            again = search.run(_mean_in_place(stack, dim, found), dim, found)
            found |= {key: one for key, one in again.items() if math.isfinite(one.gain)}
    return _estimate(stack, n, reference, fixed, found, max_shift_mm)


def check_transform(transform: str) -> None:
    """Raise for an unknown kind of movement."""
    if transform not in TRANSFORMS:
        raise OptionError(f"transform is {transform!r}; expected one of {', '.join(TRANSFORMS)}")


def rotations_of(transforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotations in some transforms, without scales and shears, shape (..., 3, 3)."""
    left, _, right = np.linalg.svd(transforms[..., :3, :3])
    return np.asarray(left @ right)


class _Search:
    """Registers volumes in threads, and counts them."""

    def __init__(
        self,
        stack: ImageStack,
        transform: str,
        n_threads: int,
        total: int,
        progress: Progress | None,
        *,
        quick: bool,
    ) -> None:
        self._stack = stack
        self._quick = quick
        self._transform = transform
        self._n_threads = n_threads
        self._total, self._done = max(total, 1), 0
        self._progress = progress

    def run(self, fixed: Volume, volumes: Sequence[int], starts: Matches | None = None) -> Matches:
        """Register all parts of some volumes to those of a fixed one."""
        stack = self._stack
        parts = range(stack.n_parts)
        tissue = _tissue(fixed)
        registrations = {
            part: Registration(
                stack.part(fixed, part), stack.spacing, self._transform, quick=self._quick
            )
            for part in parts
            if stack.part(tissue, part).mean() >= _MIN_TISSUE_SHARE
        }

        def work(volume: int) -> tuple[int, list[Match | None]]:
            moving = stack.volume(volume)
            return volume, [
                registrations[part].match(
                    stack.part(moving, part), _start(starts, (volume, part), self._transform)
                )
                if part in registrations
                else None
                for part in parts
            ]

        found: Matches = {}
        for volume, matches in in_threads(work, list(volumes), self._n_threads):
            found.update({(volume, k): one for k, one in enumerate(matches) if one is not None})
            self._done += stack.n_parts
            if self._progress is not None:
                self._progress(self._done / self._total)
        return found


def _start(
    starts: Matches | None, key: tuple[int, int], transform: str
) -> NDArray[np.float64] | None:
    """Return the matrix to begin with; scales and shears are searched for anew."""
    if starts is None or key not in starts or transform == "affine":
        return None
    return starts[key].matrix


def _mean_in_place(stack: ImageStack, volumes: Sequence[int], found: Matches) -> Volume:
    """Return the mean of volumes that were registered; one that was not is in its place."""
    total, count = np.zeros(stack.shape), np.zeros(stack.shape)
    for volume in volumes:
        if not any((volume, part) in found for part in range(stack.n_parts)):
            total += stack.volume(volume)
            count += 1.0
            continue
        matrices = _matrices(stack, volume, found)
        index = matrix_positions(stack.shape, matrices, stack.affine)
        read = read_at(stack.volume(volume), index, order=LINEAR)
        seen = np.isfinite(read)
        total[seen] += read[seen]
        count += seen
    return np.asarray(total / np.maximum(count, 1.0), dtype=np.float32)


def _dim_volumes(stack: ImageStack, bright: int, volumes: Sequence[int]) -> list[int]:
    """Return volumes with much less signal than a bright one, if they are many."""
    tissue = _tissue(stack.volume(bright))
    least = _DIM_SHARE * float(stack.volume(bright)[tissue].mean())
    dim = [volume for volume in volumes if float(stack.volume(volume)[tissue].mean()) < least]
    return dim if len(dim) >= _MIN_DIM else []


def _matrices(stack: ImageStack, volume: int, found: Matches) -> NDArray[np.float64]:
    """Return the transforms of a volume, (4, 4), or (n_slices, 4, 4)."""
    made = np.stack(
        [
            stack.world(found[volume, part].matrix) if (volume, part) in found else np.eye(4)
            for part in range(stack.n_parts)
        ]
    )
    return made[0] if stack.n_parts == 1 else made


def _tissue(image: Volume) -> NDArray[np.bool_]:
    """Return the brighter voxels of a volume: not those of air."""
    return np.asarray(image > image.mean(dtype=np.float64))


def _estimate(
    stack: ImageStack,
    n: int,
    reference: tuple[int, ...],
    fixed: Volume,
    found: Matches,
    max_shift_mm: float,
) -> MotionEstimate:
    tissue = _tissue(fixed)
    parts = range(stack.n_parts)
    places = [stack.positions(tissue, part) for part in parts]
    transforms = np.tile(np.eye(4), (n, stack.n_parts, 1, 1))
    squares, flagged = np.zeros((n, stack.n_parts)), []
    for volume in range(n):
        doubts: dict[int, str] = {}
        for part in parts:
            match = found.get((volume, part))
            if match is None or not len(places[part]):
                continue
            matrix = stack.world(match.matrix)
            square = _mean_square(matrix, places[part])
            why = _doubt(match.gain, math.sqrt(square), max_shift_mm)
            if why is None:
                transforms[volume, part], squares[volume, part] = matrix, square
            elif why:
                doubts[part] = why
        if doubts:
            where = "" if stack.n_parts == 1 else f"{len(doubts)} of {stack.n_parts} slices: "
            flagged.append((volume, f"{where}{next(iter(doubts.values()))}"))
    sizes = np.array([len(own) for own in places], dtype=np.float64)
    turns = _angles(rotations_of(transforms)).max(axis=1)
    return MotionEstimate(
        transforms=transforms[:, 0] if stack.n_parts == 1 else transforms,
        shift_mm=np.sqrt(squares @ sizes / max(sizes.sum(), 1.0)),
        rotation_deg=turns,
        flagged=tuple(flagged),
        reference=reference,
        voxel_mm=float(np.prod(stack.spacing) ** (1.0 / len(stack.spacing))),
    )


def _doubt(gain: float, shift_mm: float, max_shift_mm: float) -> str | None:
    """Return why a movement is not believed; empty if it is too small to matter; None if it is."""
    if math.isnan(gain):
        return "no movement could be found"
    if shift_mm > max_shift_mm:
        return f"a displacement of {rounded(shift_mm, digits=2)} mm was found"
    if gain < 0.0:
        return "the images were more alike before" if shift_mm >= _MIN_DOUBTED_MM else ""
    return None


def _mean_square(matrix: NDArray[np.float64], places: NDArray[np.float64]) -> float:
    """Return the mean square displacement of positions, mm²."""
    return float((((matrix - np.eye(4)) @ places.T) ** 2).sum(axis=0).mean())


def _angles(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles of rotations, degrees."""
    # From the skew part and the trace: an arc cosine alone would lose small angles to rounding.
    skew = rotations - np.swapaxes(rotations, -1, -2)
    sine = np.sqrt((skew**2).sum(axis=(-1, -2)) / 8.0)
    cosine = (np.trace(rotations, axis1=-2, axis2=-1) - 1.0) / 2.0
    return np.asarray(np.rad2deg(np.arctan2(sine, cosine)))
