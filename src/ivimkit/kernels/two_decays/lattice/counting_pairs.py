"""Which pairs of rates count, and about where the fraction is, before a lattice is summed.

A pair counts where its likelihood is not negligible, for fractions between two ends (`pairs`). As
if its drop were a parabola between them, it has a mean, a variance and a mass. With the prior near
that mean these give the posterior of the fraction well enough to lay its axis where it is: under
a prior it may be a small part of where the likelihood is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite, inlined
from ivimkit.kernels.exponential import exp_single
from ivimkit.kernels.memory import spot
from ivimkit.kernels.two_decays.lattice.axes import Extent
from ivimkit.kernels.two_decays.lattice.pairs import Likelihood, log_fall, root_single
from ivimkit.kernels.two_decays.lattice.prior_knots import Prior
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    FAST_KNOT,
    FAST_PART,
    FAST_RATE,
    FAST_STEP,
    LANES,
    ROW,
    SLOW_KNOT,
    SLOW_PART,
    SLOW_STEP,
)
from ivimkit.kernels.two_decays.lattice.single_rows import FAST_AREA, HIGH, LEAST, LOW, PAIR_MASS

__all__ = ["ends_count", "fraction_range", "fraction_spread"]

# The standard deviation of the fraction is at least this share of its range.
_MIN_DEVIATION = 1e-3
_FAR = np.float32(1e30)
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


@inlined
def _counts(at: int, single: NDArray[np.float32]) -> bool:
    return bool(single[LOW + at] <= single[HIGH + at])


@device
def ends_count(
    n1: int, n2: int, look: Extent, extent: Extent, single: NDArray[np.float32]
) -> bool:
    """Return whether a pair counts where the box ends, other than at a bound."""
    last1, last2 = (n1 - 1) * ROW, n2 - 1
    for j in range(n2):
        if (look[0] > extent[0] and _counts(j, single)) or (
            look[1] < extent[1] and _counts(last1 + j, single)
        ):
            return True
    for i in range(n1):
        if (look[2] > extent[2] and _counts(i * ROW, single)) or (
            look[3] < extent[3] and _counts(i * ROW + last2, single)
        ):
            return True
    return False


@inlined
def _fraction_of(
    at: int, k: int, reach: np.float32, single: NDArray[np.float32]
) -> tuple[np.float32, np.float32]:
    """Return mean and variance of x of a pair that counts, from where it counts.

    As if its drop were a parabola that reaches the limit at both ends of that range, for a
    likelihood exp(-drop).
    """
    low, high = single[spot(LOW + at, k)], single[spot(HIGH + at, k)]
    left = reach - single[spot(LEAST + at, k)]
    left = left if left > _ONE else _ONE
    half = _HALF * (high - low)
    return _HALF * (low + high), _HALF * half * half / left


@finite
def _weigh_pairs(
    n1: int,
    n2: int,
    power: np.float32,
    reach: np.float32,
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> None:
    """Write about the integrals of the likelihood of each pair over the fraction."""
    for i in range(n1):
        step = np.float32(scratch[SLOW_STEP + i])
        for block in range(0, n2, LANES):
            at = i * ROW + block
            for k in range(LANES):
                _, variance = _fraction_of(at, k, reach, single)
                drop = single[spot(LEAST + at, k)]
                seen = single[spot(LOW + at, k)] <= single[spot(HIGH + at, k)]
                drop = drop if seen else _ZERO
                variance = variance if seen else _ZERO
                single[spot(PAIR_MASS + at, k)] = (
                    exp_single(-log_fall(drop, power))
                    * root_single(variance)
                    * step
                    * single[spot(FAST_AREA + block, k)]
                )


@finite
def _spread_of_pairs(
    n1: int, n2: int, power: np.float32, reach: np.float32, single: NDArray[np.float32]
) -> tuple[np.float32, np.float32, np.float32]:
    """Return the mass of all pairs, and mean and variance of x."""
    # A likelihood (1 + drop)^-power is exp(-power drop) where it is large.
    scale = _ONE / power if power > _ZERO else _ONE
    total, first, second = _ZERO, _ZERO, _ZERO
    for i in range(n1):
        for block in range(0, n2, LANES):
            at = i * ROW + block
            for k in range(LANES):
                mass = single[spot(PAIR_MASS + at, k)]
                mean, variance = _fraction_of(at, k, reach, single)
                mean = mean if mass > _ZERO else _ZERO
                variance = scale * variance if mass > _ZERO else _ZERO
                total += mass
                first += mass * mean
                second += mass * (mean * mean + variance)
    over = _ONE / total if total > _ZERO else _ZERO
    mean = first * over
    return total, mean, second * over - mean * mean


@device
def _prior_near(
    i: int,
    j: int,
    f: float,
    n_fast: int,
    knots: NDArray[np.float64],
    density: NDArray[np.float64],
    scratch: NDArray[np.float64],
) -> float:
    """Return the prior at the knots nearest to a pair, linear in the fraction."""
    slow = int(scratch[SLOW_KNOT + i]) + (1 if scratch[SLOW_PART + i] > 0.5 else 0)
    fast = int(scratch[FAST_KNOT + j]) + (1 if scratch[FAST_PART + j] > 0.5 else 0)
    row = slow * n_fast + fast
    low, high = 0, knots.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        if knots[middle] <= f:
            low = middle
        else:
            high = middle
    if high == low:
        return float(density[row, low])
    part = min(max((f - knots[low]) / (knots[high] - knots[low]), 0.0), 1.0)
    return float(density[row, low] + part * (density[row, high] - density[row, low]))


@device
def fraction_spread(
    n1: int,
    n2: int,
    middle: float,
    f_first: float,
    length: float,
    likelihood: Likelihood,
    prior: Prior,
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> tuple[float, float]:
    """Return about the mean of x and its standard deviation, infinite if no pair counts.

    Parameters
    ----------
    n1, n2 : int
        Numbers of slow and of fast rates.
    middle, f_first, length : float
        x of the centre; the fraction at x = 0, and its range.
    likelihood : Likelihood
        How the likelihood follows from the gain.
    prior : Prior
        A table, or flat.
    scratch, single : ndarray
        The scratch of a lattice, with the numbers of pairs.
    """
    power, reach = np.float32(likelihood.power), np.float32(likelihood.most)
    n_fast = prior.fast_knots.size
    flat = prior.density.size == 0
    for j in range(ROW):
        # Flat in the fast rate itself, but the lattice is in its logarithm.
        area = scratch[FAST_STEP + j] * (scratch[FAST_RATE + j] if flat and n2 > 1 else 1.0)
        single[FAST_AREA + j] = area if j < n2 else 0.0
    _weigh_pairs(n1, n2, power, reach, scratch, single)
    if not flat:
        for i in range(n1):
            for j in range(n2):
                at = i * ROW + j
                if single[PAIR_MASS + at] > _ZERO:
                    x = middle + 0.5 * float(single[LOW + at] + single[HIGH + at])
                    f = f_first + x * length
                    single[PAIR_MASS + at] *= np.float32(
                        _prior_near(i, j, f, n_fast, prior.fraction_knots, prior.density, scratch)
                    )
    total, mean, variance = _spread_of_pairs(n1, n2, power, reach, single)
    if not total > _ZERO:
        return 0.0, math.inf
    return float(mean), max(math.sqrt(max(float(variance), 0.0)), _MIN_DEVIATION)


@finite
def fraction_range(n1: int, n2: int, single: NDArray[np.float32]) -> tuple[float, float]:
    """Return the range of x around its centre in which any pair counts."""
    low, high = _FAR, -_FAR
    for i in range(n1):
        for block in range(0, n2, LANES):
            at = i * ROW + block
            for k in range(LANES):
                here, end = single[spot(LOW + at, k)], single[spot(HIGH + at, k)]
                counts = block + k < n2
                here, end = here if counts else _FAR, end if counts else -_FAR
                low = here if here < low else low
                high = end if end > high else high
    return float(low), float(high)
