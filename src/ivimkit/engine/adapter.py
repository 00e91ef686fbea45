"""The kernel of a model of b, called as drivers call one: with a column of the acquisition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.bind import pasted_with_kernels
from ivimkit.extend.signal_model import SignalModel

__all__ = ["signal_kernel_of"]


def kernel_of_b(*_: Any) -> tuple[float, Any]:
    """Stand for the kernel of a model of b alone."""
    raise AssertionError("a template: ivimkit.engine.bind puts the kernels in")


def _at_column(x: NDArray[np.float64], j: int, p: NDArray[np.float64]) -> tuple[float, Any]:
    return kernel_of_b(x[0, j], p)


def signal_kernel_of(model: SignalModel) -> Callable[..., Any]:
    """Return ``kernel(x, j, p) -> (signal, slopes)`` of a model, for column j of x."""
    return pasted_with_kernels(_at_column, ("kernel_of_b", model.kernel))
