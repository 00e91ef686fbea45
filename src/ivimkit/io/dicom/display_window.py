"""display_window: the range of values that a viewer shows at first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.io.dicom.quantities import Quantity

__all__ = ["MIN_LINEAR_WIDTH", "display_window", "window_function"]

MIN_LINEAR_WIDTH = 50.0
"""Narrower windows need the function LINEAR_EXACT.

LINEAR shows w - 1 instead of w, for historical reasons, and is not allowed below w = 1.
"""


def display_window(quantity: Quantity, values: NDArray[np.floating]) -> tuple[float, float]:
    """Return the display range of a map: that of its quantity, or of 98 % of its values.

    Parameters
    ----------
    quantity : Quantity
        What the map is.
    values : ndarray
        The map, in the unit of the quantity.
    """
    low, high = quantity.window
    if low < high:
        return low, high
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(finite, (1, 99)))
    # The range of a constant map is empty, and no width may be 0.
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def window_function(width: float) -> str:
    """Return the VOI LUT function of a window."""
    return "LINEAR" if width >= MIN_LINEAR_WIDTH else "LINEAR_EXACT"
