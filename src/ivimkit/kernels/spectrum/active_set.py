"""Non-negative least squares: an active set on the normal equations.

This is the algorithm of Lawson and Hanson with the normal equations of Bro and De Jong: the
products of the decays with each other are computed once per protocol, those with the signal once
per voxel, and a bin joins or leaves the solution by its row of a Cholesky factor.

The time of a solution grows with the number of bins above 0, which a penalty raises to nearly all
of them. Then the dual problem is solved: with the normal matrix A, its inverse G and the products
q with the signal, the conditions of the minimum

    x >= 0,  y = A x - q >= 0,  x y = 0   are   y >= 0,  x = G y + G q >= 0,  x y = 0

which are those of non-negative least squares for y, with the normal matrix G and the products
-G q: the same code finds the few bins that are 0.

References
----------
Lawson CL, Hanson RJ. Solving Least Squares Problems. SIAM 1995. doi:10.1137/1.9781611971217
Bro R, De Jong S. J Chemom 1997;11:393-401.
doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.spectrum.layout import Scratch
from ivimkit.kernels.spectrum.penalty import differences, penalty_slope

__all__ = ["fitted_residuals", "forward", "refine", "refine_dual", "solve", "solve_dual"]

# States of a bin: at 0, above 0, at 0 until another bin has joined.
_AT_ZERO, _ABOVE, _BLOCKED = 0.0, 1.0, 2.0
# A slope below this share of the largest one at the start is rounding.
_LEAST_SLOPE = 1e-13
# A decay whose part outside the span of the others is below this share of it is one of them.
_LEAST_PIVOT = 1e-13
# Most changes of the set of bins, per bin: usually one is enough.
_MOST_CHANGES = 10


@inlined
def forward(one: Scratch, a: int, value: float, solved: NDArray[np.float64]) -> float:
    """Return element a of a forward substitution, whose first elements are solved."""
    for c in range(a):
        value -= one.factor[a, c] * solved[c]
    found: float = value / one.factor[a, a]
    return found


@inlined
def _backward(factor: NDArray[np.float64], m: int, values: NDArray[np.float64]) -> None:
    """Solve with the transposed factor, in place; row after row, as they are in memory."""
    for a in range(m - 1, -1, -1):
        value = values[a] / factor[a, a]
        values[a] = value
        for c in range(a):
            values[c] -= factor[a, c] * value


@inlined
def _add_row(gram: NDArray[np.float64], one: Scratch, a: int) -> float:
    """Write row a of the Cholesky factor, that of bin ``chosen[a]``, and of the right-hand side.

    Returns the squared pivot.
    """
    j = int(one.chosen[a])
    pivot: float = gram[j, j]
    for k in range(a):
        value = forward(one, k, gram[j, int(one.chosen[k])], one.factor[a])
        one.factor[a, k] = value
        pivot -= value * value
    one.factor[a, a] = math.sqrt(max(pivot, _LEAST_PIVOT * gram[j, j]))
    one.right[a] = forward(one, a, one.target[j], one.right)
    return pivot


@device
def _try_chosen(one: Scratch, m: int) -> None:
    """Write the amplitudes of the chosen bins that minimise the cost, of any sign."""
    for a in range(m):
        one.trial[a] = one.right[a]
    _backward(one.factor, m, one.trial)


@device
def _step_to_bound(one: Scratch, m: int) -> int:
    """Go towards the trial until an amplitude is 0, and leave that bin out; return its place.

    Returns `m` if the trial is above 0 everywhere and was accepted.
    """
    share, first = 1.0, m
    for a in range(m):
        if one.trial[a] <= 0.0:
            now = one.x[int(one.chosen[a])]
            ratio = now / (now - one.trial[a])
            if ratio < share or first == m:
                share, first = ratio, a
    if first == m:
        for a in range(m):
            one.x[int(one.chosen[a])] = one.trial[a]
        return m
    for a in range(m):
        i = int(one.chosen[a])
        one.x[i] += share * (one.trial[a] - one.x[i])
    leaving = int(one.chosen[first])
    one.x[leaving] = 0.0
    one.state[leaving] = _AT_ZERO
    return first


@device
def _leave_out(gram: NDArray[np.float64], one: Scratch, m: int, first: int) -> None:
    """Leave out the chosen bin at place `first` of m + 1, and repair the factor behind it."""
    for a in range(first, m):
        one.chosen[a] = one.chosen[a + 1]
    # The rows above hold.
    for a in range(first, m):
        _add_row(gram, one, a)


@device
def _set_slopes(gram: NDArray[np.float64], one: Scratch, m: int) -> None:
    """Write the slopes along all bins; those that waited may join again."""
    n = one.x.size
    for i in range(n):
        one.slope[i] = one.target[i]
        if one.state[i] == _BLOCKED:
            one.state[i] = _AT_ZERO
    for a in range(m):
        j = int(one.chosen[a])
        amplitude = one.x[j]
        for i in range(n):
            one.slope[i] -= gram[j, i] * amplitude


@device
def solve(gram: NDArray[np.float64], one: Scratch) -> tuple[int, int]:
    """Find the amplitudes >= 0 with the lowest cost.

    Parameters
    ----------
    gram : ndarray, shape (n, n)
        Normal matrix, penalty included.
    one : Scratch
        With `target`; `x`, `chosen` and `factor` are written.

    Returns
    -------
    int
        Number of bins above 0; -1 if there was no end.
    int
        Number of bins that joined or left.
    """
    n = one.x.size
    largest = 0.0
    for i in range(n):
        one.x[i] = 0.0
        one.state[i] = _AT_ZERO
        one.slope[i] = one.target[i]
        largest = max(largest, abs(one.target[i]))
    m, changes = 0, 0
    while changes < _MOST_CHANGES * n:
        steepest, joining = _LEAST_SLOPE * largest, -1
        for i in range(n):
            if one.state[i] == _AT_ZERO and one.slope[i] > steepest:
                steepest, joining = one.slope[i], i
        if joining < 0:
            return m, changes
        changes += 1
        one.chosen[m] = joining
        pivot = _add_row(gram, one, m)
        _try_chosen(one, m + 1)
        # By rounding, a slope may be above 0 where the cost cannot fall. Such a bin waits, or it
        # would join and leave for ever.
        if pivot <= _LEAST_PIVOT * gram[joining, joining] or one.trial[m] <= 0.0:
            one.state[joining] = _BLOCKED
            continue
        one.state[joining] = _ABOVE
        m += 1
        first = _step_to_bound(one, m)
        while first < m:
            m -= 1
            changes += 1
            _leave_out(gram, one, m, first)
            _try_chosen(one, m)
            first = _step_to_bound(one, m)
        _set_slopes(gram, one, m)
    return -1, changes


@device
def solve_dual(inverse: NDArray[np.float64], one: Scratch) -> tuple[int, int]:
    """Find the same amplitudes by those that are 0, where these are few.

    Parameters
    ----------
    inverse : ndarray, shape (n, n)
        Inverse of the normal matrix.
    one : Scratch
        With `target`, which is replaced; `x` is written, and `chosen` and `factor` are those of
        the bins at 0, of the inverse.

    Returns
    -------
    int
        Number of bins that are 0 by the constraint; -1 if there was no end.
    int
        Number of bins that joined or left them.
    """
    n = one.x.size
    for i in range(n):
        value = 0.0
        for j in range(n):
            value -= inverse[i, j] * one.target[j]
        one.trial[i] = value
    for i in range(n):
        one.target[i] = one.trial[i]
    m, changes = solve(inverse, one)
    # At the end the slope is -(G q + G y) = -x.
    for i in range(n):
        zero = one.state[i] == _ABOVE or one.slope[i] >= 0.0
        one.x[i] = 0.0 if zero else -one.slope[i]
    return m, changes


@device
def fitted_residuals(
    decays: NDArray[np.float64], signal: NDArray[np.float64], one: Scratch
) -> float:
    """Write the residuals of the weighted signal; return the sum of their squares."""
    for j in range(signal.size):
        one.residual[j] = signal[j]
    for i in range(one.x.size):
        amplitude = one.x[i]
        if amplitude > 0.0:
            for j in range(signal.size):
                one.residual[j] -= decays[i, j] * amplitude
    square = 0.0
    for j in range(signal.size):
        square += one.residual[j] * one.residual[j]
    return square


@device
def _set_refinement(
    decays: NDArray[np.float64],
    signal: NDArray[np.float64],
    order: int,
    weight: float,
    one: Scratch,
) -> None:
    """Write the slopes along the bins above 0 with residuals that are computed from the decays.

    Normal equations square the condition number, which costs digits. Residuals of the decays
    recover them, as in corrected seminormal equations.
    """
    fitted_residuals(decays, signal, one)
    differences(one.x, order, one.difference)
    for i in range(one.x.size):
        value = 0.0
        if one.x[i] > 0.0:
            value = -weight * weight * penalty_slope(one.difference, order, i)
            for j in range(signal.size):
                value += decays[i, j] * one.residual[j]
        one.slope[i] = value


@device
def _add_all(change: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    """Add a change to the amplitudes above 0, if they stay above 0."""
    inside = True
    for i in range(x.size):
        inside = inside and (x[i] == 0.0 or x[i] + change[i] > 0.0)
    if inside:
        for i in range(x.size):
            if x[i] > 0.0:
                x[i] += change[i]


@device
def refine(
    decays: NDArray[np.float64],
    signal: NDArray[np.float64],
    m: int,
    order: int,
    weight: float,
    one: Scratch,
) -> None:
    """Refine the solution of `solve`.

    Parameters
    ----------
    decays : ndarray, shape (n, n_rows)
        Weighted decays, a row per bin.
    signal : ndarray, shape (n_rows,)
        Weighted signal.
    m : int
        Number of bins above 0.
    order : int
        Order of the differences that are penalised.
    weight : float
        Weight of the penalty.
    one : Scratch
        As `solve` leaves it.
    """
    for _ in range(2):
        _set_refinement(decays, signal, order, weight, one)
        for a in range(m):
            one.trial[a] = forward(one, a, one.slope[int(one.chosen[a])], one.trial)
        _backward(one.factor, m, one.trial)
        for a in range(m):
            one.slope[int(one.chosen[a])] = one.trial[a]
        _add_all(one.slope, one.x)


@device
def refine_dual(
    inverse: NDArray[np.float64],
    decays: NDArray[np.float64],
    signal: NDArray[np.float64],
    m: int,
    order: int,
    weight: float,
    one: Scratch,
) -> None:
    """Refine the solution of `solve_dual`, with the same parameters.

    With the slopes g along the bins above 0, and 0 along the bins Z at 0, the change of the former
    is that of G g - G_Z (G_ZZ)^-1 (G g)_Z, with the inverse G of the normal matrix of all bins.
    """
    n = one.x.size
    _set_refinement(decays, signal, order, weight, one)
    for i in range(n):
        value = 0.0
        for j in range(n):
            value += inverse[i, j] * one.slope[j]
        one.right[i] = value
    for a in range(m):
        one.trial[a] = forward(one, a, one.right[int(one.chosen[a])], one.trial)
    _backward(one.factor, m, one.trial)
    for a in range(m):
        j = int(one.chosen[a])
        for i in range(n):
            one.right[i] -= inverse[j, i] * one.trial[a]
    _add_all(one.right, one.x)
