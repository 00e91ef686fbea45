"""The linear half of a separable fit: amplitudes inside their bounds, exactly.

Bounds on the fractions, and that they leave the reference a share, make a polytope; the amplitudes
are S0 times a point of it. So they are a sum of its corners with coefficients >= 0, the sum of
which is S0: non-negative least squares (Lawson and Hanson), with the sum given where S0 is at a
bound. Where the fractions are free the corners are the compartments themselves, and nearly always
all amplitudes are positive: then one Cholesky factor is all.

References
----------
Lawson CL, Hanson RJ. Solving Least Squares Problems, 1974, chapter 23.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.separable.layout import MAX_GENERATORS, layout

__all__ = ["cone_amplitudes", "find_corners", "solve_amplitudes"]

# A template's constant: the layout of the model is put in.
AT = layout(1, 1)

# A pivot relative to its diagonal below which an atom is a sum of the others.
_DEPENDENT = 1e-13
# Slope, relative to the largest product with the signal, below which nothing is gained.
_FLAT = 1e-12
_ON_BOUND = 1e-12


@device
def _non_negative(
    n: int,
    gram: NDArray[np.float64],
    dots: NDArray[np.float64],
    total: float,
    share: NDArray[np.float64],
    passive: NDArray[np.float64],
    trial: NDArray[np.float64],
    factor: NDArray[np.float64],
) -> None:
    """Minimise c.G.c / 2 - p.c over c >= 0, with a given sum of c if `total` is not negative.

    Parameters
    ----------
    n : int
        Number of unknowns.
    gram : ndarray, shape (>= n * n,)
        G, row by row.
    dots : ndarray, shape (>= n,)
        p.
    total : float
        Sum of c; negative leaves it free.
    share : ndarray, shape (>= n,)
        Where c is written.
    passive : ndarray, shape (>= n,)
        Where 1 is written for the unknowns that are not held at 0, which are independent.
    trial, factor : ndarray, shape (>= 2 * n,), (>= n * n,)
        Scratch.
    """
    scale = 0.0
    for i in range(n):
        share[i] = passive[i] = 0.0
        if gram[i * n + i] > 0.0:
            scale = max(scale, abs(dots[i]) / math.sqrt(gram[i * n + i]))
    multiplier = 0.0
    if total >= 0.0:
        chosen, least = -1, math.inf
        for i in range(n):
            value = total * (0.5 * total * gram[i * n + i] - dots[i])
            if value < least:
                chosen, least = i, value
        if chosen < 0:
            return
        passive[chosen], share[chosen] = 1.0, total
        multiplier = dots[chosen] - gram[chosen * n + chosen] * total
    for _ in range(4 * n):
        entering, steepest = -1, _FLAT * scale
        for i in range(n):
            if passive[i] == 0.0 and gram[i * n + i] > 0.0:
                slope = dots[i] - multiplier
                for k in range(n):
                    slope -= gram[i * n + k] * share[k]
                slope /= math.sqrt(gram[i * n + i])
                if slope > steepest:
                    entering, steepest = i, slope
        if entering < 0:
            return
        passive[entering] = 1.0
        while True:
            # Unknowns that are held at 0 take part as rows of the unit matrix.
            independent = True
            for i in range(n):
                for k in range(i + 1):
                    s = gram[i * n + k] if passive[i] * passive[k] > 0.0 else 0.0
                    for r in range(k):
                        s -= factor[i * n + r] * factor[k * n + r]
                    if k < i:
                        factor[i * n + k] = s / factor[k * n + k]
                    elif passive[i] == 0.0:
                        factor[i * n + i] = 1.0
                    elif s > _DEPENDENT * gram[i * n + i]:
                        factor[i * n + i] = math.sqrt(s)
                    else:
                        independent = False
                        factor[i * n + i] = 1.0
            if not independent:
                passive[entering] = 0.0
                share[entering] = 0.0
                return
            ones = free = 0.0
            for i in range(n):
                s = dots[i] if passive[i] > 0.0 else 0.0
                one = passive[i]
                for r in range(i):
                    s -= factor[i * n + r] * trial[r]
                    one -= factor[i * n + r] * trial[n + r]
                trial[i] = s / factor[i * n + i]
                trial[n + i] = one / factor[i * n + i]
                free += trial[i] * trial[n + i]
                ones += trial[n + i] * trial[n + i]
            # c = G^-1 (p - multiplier): the multiplier gives the sum.
            multiplier = (free - total) / ones if total >= 0.0 else 0.0
            for i in range(n):
                trial[i] -= multiplier * trial[n + i]
            for i in range(n - 1, -1, -1):
                s = trial[i]
                for r in range(i + 1, n):
                    s -= factor[r * n + i] * trial[r]
                trial[i] = s / factor[i * n + i]
            if not trial[entering] > 0.0 and share[entering] == 0.0:
                # Its slope was rounding.
                passive[entering] = 0.0
                return
            way, blocking = 1.0, -1
            for i in range(n):
                if passive[i] > 0.0 and not trial[i] > 0.0:
                    part = share[i] / (share[i] - trial[i])
                    if part < way:
                        way, blocking = part, i
            for i in range(n):
                if passive[i] > 0.0:
                    share[i] += way * (trial[i] - share[i])
            if blocking < 0:
                for i in range(n):
                    share[i] = max(trial[i], 0.0) if passive[i] > 0.0 else 0.0
                break
            for i in range(n):
                if passive[i] > 0.0 and (i == blocking or not share[i] > 0.0):
                    passive[i] = share[i] = 0.0


def find_corners(absent: int, work: NDArray[np.float64]) -> int:
    """Write the corners of the fractions that bounds allow, return their number.

    A template. Every fraction is at a bound, or one of them is what the others leave; compartments
    whose bit is set in `absent` have none, unless their bound wants one.
    """
    n = AT.n
    count = 0
    fractions = AT.bounds + 2
    for free in range(-1, n - 1):
        for side in range(1 << (n - 1)):
            if free >= 0 and (side >> free) & 1:
                continue
            rest = 1.0
            fits = True
            corner = AT.corners + count * n
            for k in range(n - 1):
                low, high = work[fractions + 2 * k], work[fractions + 2 * k + 1]
                if (absent >> k) & 1:
                    high = low
                upper = (side >> k) & 1
                if k != free:
                    fits = fits and (upper == 0 or low < high)
                    work[corner + k] = high if upper else low
                    rest -= work[corner + k]
            if free >= 0:
                low, high = work[fractions + 2 * free], work[fractions + 2 * free + 1]
                if (absent >> free) & 1:
                    high = low
                fits = fits and low + _ON_BOUND < rest < high - _ON_BOUND
                work[corner + free] = rest
                rest = 0.0
            # Bounds that add up to 1 do so up to rounding.
            rest = 0.0 if abs(rest) < _ON_BOUND else rest
            work[corner + n - 1] = rest
            if fits and rest >= 0.0 and not ((absent >> (n - 1)) & 1 and rest > 0.0):
                count += 1
                if count == MAX_GENERATORS:
                    return count
    return count


def _from_corners(corners: int, total: float, work: NDArray[np.float64]) -> int:
    """Solve over the corners and write amplitudes and the face they are on."""
    n = AT.n
    _non_negative(
        corners,
        work[AT.gram_corners : AT.gram_corners + MAX_GENERATORS * MAX_GENERATORS],
        work[AT.dot_corners : AT.dot_corners + MAX_GENERATORS],
        total,
        work[AT.share : AT.share + MAX_GENERATORS],
        work[AT.passive : AT.passive + MAX_GENERATORS],
        work[AT.trial : AT.trial + 2 * MAX_GENERATORS],
        work[AT.cholesky : AT.cholesky + MAX_GENERATORS * MAX_GENERATORS],
    )
    for k in range(n):
        work[AT.fresh + k] = 0.0
    free = 0
    for i in range(corners):
        if work[AT.passive + i] > 0.0:
            for k in range(n):
                generator = work[AT.corners + i * n + k]
                work[AT.fresh + k] += work[AT.share + i] * generator
                if free < n:
                    work[AT.face + free * n + k] = generator
            free += 1
    free = min(free, n)
    if total >= 0.0:
        # Directions along which the sum stays: differences of the corners.
        for i in range(free - 1):
            for k in range(n):
                work[AT.face + i * n + k] -= work[AT.face + (free - 1) * n + k]
        free = max(free - 1, 0)
    for i in range(free, n):
        for k in range(n):
            work[AT.face + i * n + k] = 0.0
    return free


def _find_factor(free: int, work: NDArray[np.float64]) -> bool:
    """Write the Cholesky factor of the Gram matrix of the face; unit rows behind it."""
    n = AT.n
    p = AT.n + AT.m
    for i in range(n):
        for k in range(i + 1):
            s = 1.0 if i == k else 0.0
            if i < free:
                s = 0.0
                for r in range(n):
                    half = 0.0
                    for t in range(n):
                        half += work[AT.gram + r * p + t] * work[AT.face + k * n + t]
                    s += work[AT.face + i * n + r] * half
            whole = s
            for r in range(k):
                s -= work[AT.factor + i * n + r] * work[AT.factor + k * n + r]
            if k < i:
                work[AT.factor + i * n + k] = s / work[AT.factor + k * n + k]
            elif s > _DEPENDENT * whole:
                work[AT.factor + i * n + i] = math.sqrt(s)
            else:
                return False
    return True


def cone_amplitudes(corners: int, work: NDArray[np.float64]) -> int:
    """Find the best amplitudes by their corners; return how many directions are free.

    A template; products with the signal stand behind `AT.small`.
    """
    n = AT.n
    p = AT.n + AT.m
    for i in range(corners):
        dot = 0.0
        for k in range(n):
            dot += work[AT.corners + i * n + k] * work[AT.small + k]
        work[AT.dot_corners + i] = dot
        for r in range(i + 1):
            s = 0.0
            for k in range(n):
                half = 0.0
                for t in range(n):
                    half += work[AT.gram + k * p + t] * work[AT.corners + r * n + t]
                s += work[AT.corners + i * n + k] * half
            work[AT.gram_corners + i * corners + r] = s
            work[AT.gram_corners + r * corners + i] = s
    total = -1.0
    for _ in range(2):
        free = _from_corners(corners, total, work)
        s0 = 0.0
        for k in range(n):
            s0 += work[AT.fresh + k]
        if total >= 0.0 or work[AT.bounds] <= s0 <= work[AT.bounds + 1]:
            break
        total = min(max(s0, work[AT.bounds]), work[AT.bounds + 1])
    while free > 0 and not _find_factor(free, work):
        free -= 1
    if free == 0:
        _find_factor(0, work)
    return free


def solve_amplitudes(corners: int, plain: bool, work: NDArray[np.float64]) -> float:
    """Write the best amplitudes for the shapes of a pass, and how they are free.

    Parameters
    ----------
    corners : int
        Number of corners of the fractions.
    plain : bool
        Whether all amplitudes >= 0 are allowed.
    work : ndarray
        Scratch; holds Gram matrix and products with the residual.

    Returns
    -------
    float
        The change of the cost from the amplitudes of the pass to these.
    """
    n = AT.n
    p = AT.n + AT.m
    inside = plain
    if plain:
        for i in range(n):
            for k in range(i + 1):
                s = work[AT.gram + i * p + k]
                for r in range(k):
                    s -= work[AT.factor + i * n + r] * work[AT.factor + k * n + r]
                if k < i:
                    work[AT.factor + i * n + k] = s / work[AT.factor + k * n + k]
                else:
                    inside = inside and s > _DEPENDENT * work[AT.gram + i * p + i]
                    work[AT.factor + i * n + i] = math.sqrt(s) if s > 0.0 else 1.0
        # Solving for the change of the amplitudes keeps digits that p - G a would cancel.
        for i in range(n):
            s = work[AT.dots + i]
            for r in range(i):
                s -= work[AT.factor + i * n + r] * work[AT.fresh + r]
            work[AT.fresh + i] = s / work[AT.factor + i * n + i]
        for i in range(n - 1, -1, -1):
            s = work[AT.fresh + i]
            for r in range(i + 1, n):
                s -= work[AT.factor + r * n + i] * work[AT.fresh + r]
            work[AT.fresh + i] = s / work[AT.factor + i * n + i]
        for i in range(n):
            work[AT.fresh + i] += work[AT.a + i]
            inside = inside and work[AT.fresh + i] > 0.0
    if inside:
        for i in range(n):
            for k in range(n):
                work[AT.face + i * n + k] = 1.0 if i == k else 0.0
    else:
        for i in range(n):
            s = work[AT.dots + i]
            for k in range(n):
                s += work[AT.gram + i * p + k] * work[AT.a + k]
            work[AT.small + i] = s
        cone_amplitudes(corners, work)
    change = 0.0
    for i in range(n):
        t = -2.0 * work[AT.dots + i]
        for k in range(n):
            t += work[AT.gram + i * p + k] * (work[AT.fresh + k] - work[AT.a + k])
        change += t * (work[AT.fresh + i] - work[AT.a + i])
    return change
