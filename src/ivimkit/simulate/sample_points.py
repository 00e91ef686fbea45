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
        window = []
        for ranges in self._ranges:
            apart = np.zeros(len(ranges[0][0]), dtype=bool)
            for (low, high), middle, radius in zip(ranges, center, radii, strict=True):
                apart |= (low > middle + radius) | (high < middle - radius)
            near = np.flatnonzero(~apart)
            if not near.size:
                return None
            window.append(slice(int(near[0]), int(near[-1]) + 1))
        return window[0], window[1]

    def at(
        self, window: Window
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return u, v and w of the points of a rectangle."""
        return self.u[window], self.v[window], self.w[window]

    @cached_property
    def _ranges(self) -> tuple[list[tuple[NDArray[np.float32], NDArray[np.float32]]], ...]:
        """Lowest and highest u, v and w in each row, then in each column."""
        axes = (self.u, self.v, self.w)
        return tuple(
            [(values.min(axis=axis), values.max(axis=axis)) for values in axes] for axis in (1, 0)
        )


SamplePoints = Plane | Points
"""Where tissue is looked up."""
