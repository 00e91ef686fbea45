"""Where kernels run in plain Python: the exponential of the standard library in place of ours.

It has tests of its own, and its bits are most of the work of a fit there. Imported before the
kernels; where they are compiled it changes nothing.
"""

from __future__ import annotations

import math

import numba

from ivimkit.kernels import exponential

__all__ = ["exp"]


def exp(x: float) -> float:
    """Return e^x on the range of ours."""
    return math.exp(max(x, -350.0))


if numba.config.DISABLE_JIT:
    exponential.exp = exp
