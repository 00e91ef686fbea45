"""Plane and Points: where the tissue of a phantom is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Plane", "Points", "SamplePoints", "Window"]

Window = tuple[slice, slice]
"""A rectangle of points."""

_Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """The points of a regular grid in a plane.

    Parameters
    ----------
    u, v : ndarray, shape (n_u,) and (n_v,)
        Positions along the axes of the plane, ascending, mm.
    w : float
        Height of the plane, mm.
    """

    u: NDArray[np.float32]
    v: NDArray[np.float32]
    w: float

    @property
    def shape(self) -> tuple[int, int]:
        """Number of points along u and v."""
        return len(self.u), len(self.v)

    def window(self, center: _Triple, radii: _Triple) -> Window | None:
        """Return a rectangle that holds all points in an ellipsoid; None if there are none."""
        height = 1.0 - ((self.w - center[2]) / radii[2]) ** 2
        if height <= 0:
            return None
        reach = [radius * height**0.5 for radius in radii[:2]]
        i = np.searchsorted(self.u, [center[0] - reach[0], center[0] + reach[0]])
        j = np.searchsorted(self.v, [center[1] - reach[1], center[1] + reach[1]])
        return slice(*i), slice(*j)

    def at(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        """Return u, v and w of the points of a rectangle, which broadcast against each other."""
        return self.u[window[0], None], self.v[None, window[1]], self.w


@dataclass(frozen=True)
class Points:
    """Points anywhere, in rows and columns: those of a plane, displaced.

    Parameters
    ----------
    u, v, w : ndarray, shape (n_u, n_v)
        Positions, mm.
    """

    u: NDArray[np.float32]
    v: NDArray[np.float32]
    w: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        n_u, n_v = self.u.shape
        return n_u, n_v

    def window(self, center: _Triple, radii: _Triple) -> Window | None:
        """Return a rectangle that holds all points in an ellipsoid; None if there are none."""
        low = [middle - radius for middle, radius in zip(center, radii, strict=True)]
        high = [middle + radius for middle, radius in zip(center, radii, strict=True)]
        # Most ellipsoids are not near a plane: six numbers tell.
        for lowest, highest, first, last in zip(*self._extent, low, high, strict=True):
            if lowest > last or highest < first:
                return None
        lowests, highests = self._ranges
        near = (lowests <= np.array(high)[:, None]) & (highests >= np.array(low)[:, None])
        there = near[0] & near[1] & near[2]
        rows, columns = _span(there[: len(self.u)]), _span(there[len(self.u) :])
        return None if rows is None or columns is None else (rows, columns)

    def at(
        self, window: Window
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return u, v and w of the points of a rectangle."""
        return self.u[window], self.v[window], self.w[window]

    @cached_property
    def _ranges(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lowest and highest u, v and w, shape (3, n_u + n_v), in each row and each column."""
        axes = (self.u, self.v, self.w)
        lowest = [np.concatenate([part.min(axis=1), part.min(axis=0)]) for part in axes]
        highest = [np.concatenate([part.max(axis=1), part.max(axis=0)]) for part in axes]
        return np.stack(lowest), np.stack(highest)

    @cached_property
    def _extent(self) -> tuple[list[float], list[float]]:
        """Lowest and highest u, v and w of all."""
        lowest, highest = self._ranges
        return lowest.min(axis=1).tolist(), highest.max(axis=1).tolist()


def _span(there: NDArray[np.bool_]) -> slice | None:
    """Return the range from the first to the last that is there."""
    first = int(there.argmax())
    return slice(first, len(there) - int(there[::-1].argmax())) if there[first] else None


SamplePoints = Plane | Points
"""Where tissue is looked up."""
