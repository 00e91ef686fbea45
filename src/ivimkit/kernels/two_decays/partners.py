"""The best pair of decays without a profile: with a known rate, or bounds of the single voxel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.memory import padded_in_kernel
from ivimkit.kernels.precision import data_loop
from ivimkit.kernels.two_decays.amplitudes import solve_amplitudes
from ivimkit.kernels.two_decays.atoms import NORMS, RATES, moments
from ivimkit.kernels.two_decays.fitted_decays import Box
from ivimkit.kernels.two_decays.profile import SIGNAL_ROW

__all__ = ["best_pair", "best_partner", "dot_with_decay"]


@data_loop
@inlined
def dot_with_decay(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    rate: float,
) -> float:
    """Return the inner product of the signal with the decay of `rate`."""
    total = 0.0
    for j in range(b.size):
        total += root_weight[j] * root_weight[j] * signal[j] * exp(-b[j] * rate)
    return total


@device
def best_partner(
    known: float,
    dot: float,
    known_is_slow: bool,
    first: int,
    last: int,
    box: Box,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the rate in columns first to last that explains most with a known one, and its gain.

    The gain is 2 a.p - a.G a at the best amplitudes a of the pair (`amplitudes`).
    """
    norm, _, _ = moments(table, known + known)
    best = -math.inf
    partner = table[RATES, first]
    given = box.s0_low == box.s0_high and box.f_low == box.f_high
    for k in range(first, last):
        rate = table[RATES, k]
        if known_is_slow and rate < known:
            continue
        g11, g22, p1, p2 = norm, table[NORMS, k], dot, work[SIGNAL_ROW, k]
        if not known_is_slow:
            g11, g22, p1, p2 = g22, g11, p2, p1
        g12, _, _ = moments(table, known + rate)
        if given:
            a2 = box.f_low * box.s0_low
            a1 = box.s0_low - a2
        else:
            a1, a2, _, _, _ = solve_amplitudes(
                g11, g12, g22, p1, p2, box.f_low, box.f_high, box.s0_low, box.s0_high
            )
        gain = a1 * (2.0 * p1 - a1 * g11 - 2.0 * a2 * g12) + a2 * (2.0 * p2 - a2 * g22)
        if gain > best:
            best = gain
            partner = rate
    return partner, best


@device
def best_pair(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    box: Box,
    n1: int,
    n2: int,
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[float, float]:
    """Return a good pair where the profile cannot be used: a rate is known, or bounds differ."""
    n1_padded = padded_in_kernel(n1)
    _, _, _, _, r2_low, r2_high, r1_low, r1_high = box
    if r2_low == r2_high:
        if r1_low == r1_high:
            return r1_low, r2_low
        dot = dot_with_decay(b, root_weight, signal, r2_low)
        r1, _ = best_partner(r2_low, dot, False, 0, n1, box, table, work)
        return r1, r2_low
    best = -math.inf
    r1, r2 = r1_low, r2_low
    for i in range(n1 if r1_low < r1_high else 1):
        known = table[RATES, i] if r1_low < r1_high else r1_low
        dot = (
            work[SIGNAL_ROW, i]
            if r1_low < r1_high
            else dot_with_decay(b, root_weight, signal, known)
        )
        partner, gain = best_partner(known, dot, True, n1_padded, n1_padded + n2, box, table, work)
        if gain > best:
            best = gain
            r1 = known
            r2 = partner
    return r1, r2
