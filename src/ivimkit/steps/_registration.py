"""Registration: the movement from one image to another one, by mutual information."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIBRARY", "TRANSFORMS", "Match", "Registration", "library_is_installed", "one_thread"]

LIBRARY = "SimpleITK"

TRANSFORMS = ("rigid", "affine", "translation")
"""Kinds of movement: shifts and turns; with scales and shears, too; shifts alone."""

_BINS = 32
_LEVELS = ((5_000, 3.0), (60_000, 2.5))
"""Points at which the images are compared, and their smoothing in mm, coarse and fine.

The numbers do not depend on the size of the images. With 25 000 fine points the residual at SNR 8
is a tenth larger. Sharp images are no better, as single voxels of high b are mostly noise.
"""

_QUICK_FINE_POINTS, _QUICK_MIN_STEP = 15_000, 1e-2
"""Points and smallest step of a quick search, which takes half the time.

At its coarse level it also takes gradients between neighbouring voxels instead of filtering.
"""

_RATE, _MIN_STEP, _MAX_STEPS, _RELAXATION, _MIN_GRADIENT = 1.0, 3e-3, 80, 0.5, 1e-5
# A matrix that differs by more from a rotation is refused as the start of a rigid search.
_MAX_SKEW = 1e-6
# The points lie on a grid, each at a random place in its cell.
_SEED = 1


@dataclass(frozen=True)
class _Level:
    """How images are compared: at how many points, and whether gradients are filtered."""

    points: int
    filtered: bool = True


# A comparison that does not move anything needs no gradients, whose filter takes longest.
_JUDGED = _Level(_LEVELS[-1][0], filtered=False)


@dataclass(frozen=True, eq=False)
class Match:
    """What a registration has found.

    Parameters
    ----------
    matrix : ndarray, shape (d + 1, d + 1)
        From a position in the fixed image to that of the same tissue in the moving one; mm along
        the axes of the voxels, from the first one.
    gain : float
        Increase in mutual information; negative if the images were more alike before, NaN if no
        movement could be found.
    """

    matrix: NDArray[np.float64]
    gain: float


class Registration:
    """A fixed image to which others are registered; several threads may use it at once.

    Parameters
    ----------
    fixed : ndarray, shape (x, y) or (x, y, z)
        The image; finite.
    spacing : sequence of float
        Edges of a voxel, mm.
    transform : str
        One of `TRANSFORMS`.
    quick : bool
        Whether half the time counts more than the last tenth of a mm.
    """

    def __init__(
        self,
        fixed: NDArray[np.float32],
        spacing: Sequence[float],
        transform: str,
        *,
        quick: bool = False,
    ) -> None:
        self._spacing = [float(edge) for edge in spacing]
        self._quick = quick
        self._fixed = self._smoothed(fixed)
        self._transform = transform
        self._n = fixed.size
        self._dimension = fixed.ndim
        self._center = _center_of(fixed) * self._spacing

    def match(
        self, moving: NDArray[np.float32], start: NDArray[np.float64] | None = None
    ) -> Match:
        """Return how the tissue of the fixed image has moved in another one.

        Parameters
        ----------
        moving : ndarray
            An image on the same voxels; finite.
        start : ndarray, shape (d + 1, d + 1), optional
            A rigid movement to begin with; by default none.
        """
        images = self._smoothed(moving)
        found = self._start(start)
        try:
            for level, fixed, image in zip(self._levels(), self._fixed, images, strict=True):
                self._method(level, found).Execute(fixed, image)
            before, after = (
                self._method(_JUDGED, place).MetricEvaluate(self._fixed[-1], images[-1])
                for place in (self._start(None), found)
            )
        except RuntimeError:
            # ITK: nothing overlaps, or an image is constant.
            return Match(np.eye(self._dimension + 1), math.nan)
        # What is minimised is the negative mutual information.
        return Match(self._matrix_of(found), float(before - after))

    def _levels(self) -> tuple[_Level, _Level]:
        """Return how the images are compared, coarse and fine."""
        (coarse, _), (fine, _) = _LEVELS
        if self._quick:
            return _Level(coarse, filtered=False), _Level(_QUICK_FINE_POINTS)
        return _Level(coarse), _Level(fine)

    def _method(self, level: _Level, transform: Any) -> Any:
        """Return a search at a number of points, which changes the transform."""
        method = _itk().ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricUseMovingImageGradientFilter(level.filtered)
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(min(1.0, level.points / self._n), _SEED)
        method.SetInterpolator(_itk().sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            _RATE,
            _QUICK_MIN_STEP if self._quick else _MIN_STEP,
            _MAX_STEPS,
            _RELAXATION,
            _MIN_GRADIENT,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, True)
        return method

    def _start(self, matrix: NDArray[np.float64] | None) -> Any:
        """Return a transform of the kind to be found, at a rigid movement or none."""
        itk, n = _itk(), self._dimension
        place = np.eye(n + 1) if matrix is None else matrix
        center = self._center
        shift = place[:n, :n] @ center + place[:n, n] - center
        if self._transform == "translation":
            return itk.TranslationTransform(n, shift.tolist())
        if self._transform == "affine":
            made = itk.AffineTransform(n)
        else:
            made = itk.Euler3DTransform() if n == 3 else itk.Euler2DTransform()
        # Turns about the middle of the tissue, so that they do not shift it.
        made.SetCenter(center.tolist())
        tolerance = () if self._transform == "affine" else (_MAX_SKEW,)
        made.SetMatrix(place[:n, :n].ravel().tolist(), *tolerance)
        made.SetTranslation(shift.tolist())
        return made

    def _matrix_of(self, transform: Any) -> NDArray[np.float64]:
        """Return the matrix of a transform, from where it takes the corners of a unit cube."""
        n = self._dimension
        corners = np.vstack([np.zeros(n), np.eye(n)])
        ends = np.array([transform.TransformPoint(corner.tolist()) for corner in corners])
        matrix = np.eye(n + 1)
        matrix[:n, :n] = (ends[1:] - ends[0]).T
        matrix[:n, n] = ends[0]
        return matrix

    def _smoothed(self, values: NDArray[np.float32]) -> list[Any]:
        """Return an image as the levels of the search need it."""
        from scipy import ndimage  # A third of a second, and few scans need it.

        widths = [np.array(mm) / self._spacing for _, mm in _LEVELS]
        return [
            self._image(
                ndimage.gaussian_filter(values, width.tolist(), mode="nearest", truncate=3)
            )
            for width in widths
        ]

    def _image(self, values: NDArray[np.float32]) -> Any:
        image = _itk().GetImageFromArray(np.ascontiguousarray(values.T, dtype=np.float32))
        image.SetSpacing(self._spacing)
        return image


def _center_of(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the index of the centre of what is bright."""
    weight = np.maximum(image, 0.0).astype(np.float64)
    total = weight.sum()
    if not total > 0.0:
        return (np.array(image.shape) - 1) / 2.0
    axes: tuple[NDArray[np.intp], ...] = np.indices(image.shape, sparse=True)
    return np.array([float((axis * weight).sum() / total) for axis in axes])


class _OneThread:
    """ITK sums in one thread while this is entered: sums of several depend on who was first.

    The number of threads is a setting of the whole library, so it is that of the others again as
    soon as the last one has left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside, self._usual = 0, 1

    def __enter__(self) -> None:
        process = _itk().ProcessObject
        with self._lock:
            if not self._inside:
                self._usual = process.GetGlobalDefaultNumberOfThreads()
                process.SetGlobalDefaultNumberOfThreads(1)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _itk().ProcessObject.SetGlobalDefaultNumberOfThreads(self._usual)


one_thread = _OneThread()
"""Enter it around all registrations of a scan, whose volumes may still be in several threads."""


def _itk() -> Any:
    """Return SimpleITK, whose functions have no types; imported only here, as it is large."""
    import SimpleITK

    return SimpleITK


def library_is_installed() -> bool:
    """Return whether the library of the extra ``preprocess`` that registers is installed."""
    return find_spec(LIBRARY) is not None
