"""breath: where the tissue of the abdomen goes when it breathes in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["breath"]

_SPINE = (0.0, -55.0)
"""Where nothing moves, (u, v) in mm."""

_FREE = 40.0
"""Distance from the spine at which organs have 63 % of their motion, mm."""

_WALL = (160.0, 100.0)
"""Half axes of the skin, mm."""

_SLIDING = (0.80, 1.02)
"""Shares of these half axes between which the motion along the wall falls to nothing."""

_GROWTH = 0.004
"""Share by which the motion grows per mm towards the dome of the liver."""

_FORWARD = 0.25
"""Motion of the front wall to the front, as a share of that of the organs to the feet."""

_BACK, _FRONT = -40.0, 100.0
"""Where that share starts to grow, and where the front wall is; v in mm."""


def breath(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the displacement by a breath of 1 mm.

    Organs go to the feet, the front of the body goes to the front, and the spine stays. Real
    organs slide along the wall of the abdomen; here the motion falls smoothly towards the wall.

    Parameters
    ----------
    points : ndarray, shape (..., 3)
        Positions (u, v, w) of tissue in the breath, mm.

    Returns
    -------
    ndarray, shape (..., 3)
        In mm per mm.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.simulate.breathing import breath
    >>> liver, spine = breath(np.array([[-76.0, 6.0, 0.0], [0.0, -55.0, 0.0]]))
    >>> liver.round(2).tolist(), spine.tolist()
    ([0.0, 0.06, -1.0], [0.0, 0.0, -0.0])
    """
    u, v, w = np.moveaxis(points, -1, 0)
    squared = (u - _SPINE[0]) ** 2 + (v - _SPINE[1]) ** 2
    radius = np.sqrt((u / _WALL[0]) ** 2 + (v / _WALL[1]) ** 2)
    inner, outer = _SLIDING
    sliding = 1.0 - _smooth_step((radius - inner) / (outer - inner))
    to_feet = (1.0 - np.exp(-squared / _FREE**2)) * sliding * (1.0 + _GROWTH * w)
    to_front = _FORWARD * _smooth_step((v - _BACK) / (_FRONT - _BACK))
    moved = np.empty_like(points)
    moved[..., 0], moved[..., 1], moved[..., 2] = 0.0, to_front, -to_feet
    return moved


def _smooth_step(share: NDArray[np.floating]) -> NDArray[np.floating]:
    """Go from 0 to 1 without a corner, while the share does."""
    inside = np.clip(share, 0.0, 1.0)
    return np.asarray(inside**2 * (3.0 - 2.0 * inside))
