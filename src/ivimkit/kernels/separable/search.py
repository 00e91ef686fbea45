"""The global half of a separable fit: find the basins, descend, and look whether one was missed.

Every tuple of atoms of the dictionary explains a share of the signal; a tuple that none of its
neighbours beats is a summit, and the best summits are where descents begin. A compartment that the
noise hides is then left out; without it the rest is a simpler fit, and the atom of the dictionary
that the residual asks for most, if any, is where it may come back.

These are templates: the functions and the layout of a model are put in.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import inlined
from ivimkit.kernels.separable.amplitudes import find_corners, solve_amplitudes
from ivimkit.kernels.separable.descent import APART, CONVERGED, UNFINISHED, Descent, descend
from ivimkit.kernels.separable.layout import MAX_STARTS, SAME_ATOM, Option, layout

__all__ = ["global_fit"]

# Templates' constants.
AT = layout(1, 1)
_OPTION = Option()

NEIGHBOURS = 6
"""Neighbours of every atom in the dictionary."""

# Squared amplitude over its variance below which a compartment is too faint for one start to be
# enough, and below which a fit without it is the better place to begin.
_FAINT = 8.0
_FAINT_ON_BOUND, _FAINTEST = 8.0, 1.0
_FAINTER = 5.0
# A tuple that leaves this many times the cost of the best fit does not beat it; where a
# compartment is faint, this many times.
_HOPELESS = 1.2
_DOUBTFUL = 3.0
# What the tuple nearest to a minimum may miss, as a share of the squared norm of the signal: the
# dictionary is a grid. With little noise that is more than the cost of the best fit.
_COARSE = 1e-3
# How many such starts a compartment has.
_DISTANT = 3.0
# Ratio of the halves of a compartment that is split to what it was: of its rate, of other shapes.
_NEARLY = 8.0
_SPLIT, _SPLIT_OTHER = 1.4, 1.3
# Slope squared over cost below which an entering compartment gains nothing.
_FLAT = 1e-9
_ROUNDS = 16
_CRAWL = 1e-9
_STALLED = 1e-5
_SAME_COST = 1e-11
# Share of the squared norm of the signal that is rounding.
_ROUNDING = 1e-15
# Where the next descent begins: on a summit of the dictionary, between summits, with a
# compartment split in two, without a compartment, with one that comes back, where the last one was
# interrupted.
_SUMMITS, _DOUBTING, _SPLITTING, _LEAVING, _ENTERING, _PERSISTING = 0, 1, 2, 3, 4, 5


def sums(*_: Any) -> float:
    """Stand for the pass over the measurements of a model."""
    raise AssertionError("a template: the functions of a structure are put in")


def curve(*_: Any) -> float:
    """Stand for the signal of a model in one measurement."""
    raise AssertionError("a template: the functions of a structure are put in")


def gains(*_: Any) -> None:
    """Stand for the function that computes what all tuples explain."""
    raise AssertionError("a template: the functions of a structure are put in")


def owner(*_: Any) -> int:
    """Stand for the function that tells the compartment of a shape."""
    raise AssertionError("a template: the functions of a structure are put in")


@inlined
def _add_products(
    s0: float, s1: float, s2: float, s3: float,
    r0: NDArray[np.float64], r1: NDArray[np.float64],
    r2: NDArray[np.float64], r3: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:  # fmt: skip
    for k in range(out.size):
        out[k] += (s0 * r0[k] + s1 * r1[k]) + (s2 * r2[k] + s3 * r3[k])


def _project(
    x: NDArray[np.float64],
    signal: NDArray[np.float64],
    less: bool,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write the products of the signal, or of what a fit leaves of it, with all atoms."""
    n_atoms = int(options[_OPTION.atoms])
    out = work[AT.size : AT.size + n_atoms]
    for k in range(n_atoms):
        out[k] = 0.0
    n = signal.size
    for j in range(0, n, 4):
        # Behind the last measurement the first ones are read, which then count nothing.
        j1, j2, j3 = (j + 1) % n, (j + 2) % n, (j + 3) % n
        s0, s1, s2, s3 = signal[j], signal[j1], signal[j2], signal[j3]
        if less:
            s0 -= curve(x, j, work, AT.other, AT.other_a)
            s1 -= curve(x, j1, work, AT.other, AT.other_a)
            s2 -= curve(x, j2, work, AT.other, AT.other_a)
            s3 -= curve(x, j3, work, AT.other, AT.other_a)
        _add_products(
            s0, s1 if j + 1 < n else 0.0, s2 if j + 2 < n else 0.0, s3 if j + 3 < n else 0.0,
            table[j * n_atoms : (j + 1) * n_atoms],
            table[j1 * n_atoms : (j1 + 1) * n_atoms],
            table[j2 * n_atoms : (j2 + 1) * n_atoms],
            table[j3 * n_atoms : (j3 + 1) * n_atoms],
            out,
        )  # fmt: skip


def _tuple_point(
    o: int,
    i: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write the shapes of a tuple, moved inside the bounds and into their order, to `AT.to`."""
    rest = o
    for k in range(AT.n - 1, -1, -1):
        place = _OPTION.first + 4 * k
        index = i
        if k < AT.n - 1:
            count = int(options[place + 1])
            index = rest % count
            rest = rest // count
        _atom_point(k, index, options, table, work)
    _put_in_order(options, work)


def _atom_point(
    k: int,
    index: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write the shapes of an atom of compartment k, inside the bounds, to `AT.to`."""
    place = _OPTION.first + 4 * k
    first_shape = int(options[place + 2])
    atom = int(options[_OPTION.parameters]) + int(options[place]) + index
    for r in range(int(options[place + 3])):
        q = first_shape + r
        value = table[atom + r * int(options[_OPTION.atoms])]
        work[AT.to + q] = min(max(value, work[AT.low + q]), work[AT.high + q])


def _put_in_order(options: NDArray[np.float64], work: NDArray[np.float64]) -> None:
    """Move larger shapes above their partners, and partners below them where that is too much."""
    for number in range(int(options[_OPTION.pairs]) - 1, -1, -1):
        k = int(options[_OPTION.pair + 3 * number])
        i = int(options[_OPTION.pair + 3 * number + 1])
        above = max(work[AT.to + i], APART * work[AT.to + k])
        work[AT.to + i] = min(above, work[AT.high + i])
        work[AT.to + k] = max(min(work[AT.to + k], work[AT.to + i] / APART), work[AT.low + k])


def _gain(o: int, i: int, options: NDArray[np.float64], work: NDArray[np.float64]) -> float:
    at = AT.size + int(options[_OPTION.atoms]) + o * int(options[_OPTION.width]) + i
    return float(work[at])


def _is_summit(
    o: int,
    i: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> bool:
    """Return whether no neighbour in one compartment explains more than a tuple."""
    n_atoms, width = int(options[_OPTION.atoms]), int(options[_OPTION.width])
    neighbours = int(options[_OPTION.neighbours])
    here_at = AT.size + n_atoms + o * width + i
    here = work[here_at]
    # One step to the next atom of a compartment is so many numbers further.
    step, rest, index = 1, o, i
    for k in range(AT.n - 1, -1, -1):
        place = _OPTION.first + 4 * k
        if k < AT.n - 1:
            count = int(options[place + 1])
            index = rest % count
            rest = rest // count
        near = neighbours + int(options[place]) + index
        for r in range(NEIGHBOURS):
            other = int(table[near + r * n_atoms])
            if other >= 0 and work[here_at + (other - index) * step] > here:
                return False
        step = width if k == AT.n - 1 else step * count
    return True


def _insert(gain: float, o: int, i: int, found: int, work: NDArray[np.float64]) -> int:
    """Put a tuple into the list of starts, the one that explains most first."""
    at = found if found < MAX_STARTS else MAX_STARTS - 1
    while at > 0 and gain > work[AT.starts + 3 * (at - 1)]:
        for c in range(3):
            work[AT.starts + 3 * at + c] = work[AT.starts + 3 * (at - 1) + c]
        at -= 1
    work[AT.starts + 3 * at] = gain
    work[AT.starts + 3 * at + 1] = o
    work[AT.starts + 3 * at + 2] = i
    return min(found + 1, MAX_STARTS)


def _find_doubts(
    enough: float,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> int:
    """List the best tuples of a few atoms each, that may hide a basin between their neighbours.

    The atoms are those of which the dictionary of a compartment was made first: they are the
    furthest from each other.
    """
    found = 0
    n_outer, width = int(options[_OPTION.outer]), int(options[_OPTION.width])
    rows = AT.size + int(options[_OPTION.atoms])
    tops = rows + n_outer * width
    stride = 1
    for k in range(AT.n - 2, -1, -1):
        first = int(options[_OPTION.ranks]) + int(options[_OPTION.first + 4 * k])
        count = int(options[_OPTION.first + 4 * k + 1])
        for c in range(count):
            if table[first + c] >= _DISTANT:
                continue
            best, outer = enough, -1
            for block in range(c * stride, n_outer, count * stride):
                for o in range(block, block + stride):
                    if work[tops + o] > best:
                        best, outer = work[tops + o], o
            if outer >= 0:
                found = _insert(best, outer, _summit_of(outer, options, work), found, work)
        stride *= count
    return found


def _summit_of(o: int, options: NDArray[np.float64], work: NDArray[np.float64]) -> int:
    """Return the atom of the last compartment with which a tuple explains most."""
    row = AT.size + int(options[_OPTION.atoms]) + o * int(options[_OPTION.width])
    best = 0
    for i in range(int(options[_OPTION.inner])):
        if work[row + i] > work[row + best]:
            best = i
    return best


def _next_start(
    number: int,
    found: int,
    first: float,
    enough: float,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> int:
    """Write the shapes of the next start that explains enough to `AT.to`.

    Return how many starts are done, 0 if there is none any more. The tuple that explains `first`,
    the most of all, is not a start again.
    """
    while number < found:
        here = work[AT.starts + 3 * number]
        o = int(work[AT.starts + 3 * number + 1])
        i = int(work[AT.starts + 3 * number + 2])
        number += 1
        if enough < here < first:
            _tuple_point(o, i, options, table, work)
            return number
    return 0


def _doubts(cost: float, degrees: float, work: NDArray[np.float64]) -> tuple[float, bool]:
    """Return how faint the faintest compartment is, and whether a shape is on a bound.

    A minimum on a bound is often that of a compartment in the wrong place.
    """
    faintest = math.inf
    for k in range(AT.n):
        faintest = min(faintest, work[AT.seen + k])
    bound = False
    for q in range(AT.m):
        free = work[AT.low + q] < work[AT.high + q]
        inside = work[AT.low + q] < work[AT.best + q] < work[AT.high + q]
        bound = bound or (free and not inside)
    return faintest * max(degrees, 1.0) / cost if cost > 0.0 else math.inf, bound


def _alike(ratio: float, options: NDArray[np.float64], work: NDArray[np.float64]) -> bool:
    alike = False
    for number in range(int(options[_OPTION.pairs])):
        slow = int(options[_OPTION.pair + 3 * number])
        fast = int(options[_OPTION.pair + 3 * number + 1])
        alike = alike or work[AT.best + fast] < ratio * work[AT.best + slow]
    return alike


def _usual_point(
    options: NDArray[np.float64], table: NDArray[np.float64], work: NDArray[np.float64]
) -> None:
    """Write the shapes that are usual to `AT.to`, inside the bounds and in order."""
    first = int(options[_OPTION.usual])
    for q in range(AT.m):
        work[AT.to + q] = min(max(table[first + q], work[AT.low + q]), work[AT.high + q])
    _put_in_order(options, work)


def _split(variant: int, options: NDArray[np.float64], work: NDArray[np.float64]) -> int:
    """Write the shapes of the best fit, a compartment split in two, to `AT.to`.

    Return the number of the next such start, 0 if there is none any more.

    Where two compartments are nearly one, or one of them has no amplitude, a minimum with both of
    them may be near in which each has another share: the amplitudes of two atoms close to each
    other are free while their sum is not, so that no tuple of the dictionary tells. The one of an
    ordered pair that is the larger part is split, its rate in one above and one below. Where both
    have more shapes of the same kind, those are split in both directions, one after the other.
    """
    number, second = variant // 2, variant % 2
    n_pairs = int(options[_OPTION.pairs])
    if number < n_pairs and second and options[_OPTION.pair + 3 * number + 2] != SAME_ATOM:
        number, second = number + 1, 0
    if number >= n_pairs:
        return 0
    slow = int(options[_OPTION.pair + 3 * number])
    fast = int(options[_OPTION.pair + 3 * number + 1])
    below, above = owner(slow), owner(fast)
    larger = above if work[AT.best_a + above] > work[AT.best_a + below] else below
    rate = work[AT.best + (fast if larger == above else slow)]
    first_below = int(options[_OPTION.first + 4 * below + 2])
    first_above = int(options[_OPTION.first + 4 * above + 2])
    first_larger = int(options[_OPTION.first + 4 * larger + 2])
    for q in range(AT.m):
        work[AT.to + q] = work[AT.best + q]
    if options[_OPTION.pair + 3 * number + 2] == SAME_ATOM:
        factor = _SPLIT_OTHER if second else 1.0 / _SPLIT_OTHER
        for r in range(int(options[_OPTION.first + 4 * below + 3])):
            work[AT.to + first_below + r] = work[AT.best + first_larger + r] * factor
            work[AT.to + first_above + r] = work[AT.best + first_larger + r] / factor
    work[AT.to + slow] = rate / _SPLIT
    work[AT.to + fast] = rate * _SPLIT
    for q in range(AT.m):
        work[AT.to + q] = min(max(work[AT.to + q], work[AT.low + q]), work[AT.high + q])
    _put_in_order(options, work)
    return 2 * number + second + 1


def _find_starts(
    enough: float,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> int:
    """List the summits that explain enough, the highest first; return their number."""
    found = 0
    tops = (
        AT.size
        + int(options[_OPTION.atoms])
        + int(options[_OPTION.outer]) * int(options[_OPTION.width])
    )
    for o in range(int(options[_OPTION.outer])):
        if not work[tops + o] > enough:
            continue
        for i in range(int(options[_OPTION.inner])):
            here = _gain(o, i, options, work)
            if not here > enough:
                continue
            if found == MAX_STARTS and not here > work[AT.starts + 3 * (found - 1)]:
                continue
            if not _is_summit(o, i, options, table, work):
                continue
            found = _insert(here, o, i, found, work)
    return found


def _detect(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write squared amplitudes of the best fit over their variances, for a noise variance of 1.

    The variances are the marginal ones of Gauss and Newton's matrix; shapes at a bound or without
    an amplitude drop out.
    """
    n, m = AT.n, AT.m
    p = n + m
    for q in range(m):
        work[AT.to + q] = work[AT.best + q]
    for k in range(n):
        work[AT.a + k] = work[AT.fresh + k] = work[AT.best_a + k]
    sums(x, root_weight, signal, work)
    for i in range(p):
        for k in range(p):
            work[AT.normal + i * p + k] = work[AT.gram + i * p + k]
    for q in range(m):
        amplitude = work[AT.best_a + owner(q)]
        free = work[AT.low + q] < work[AT.best + q] < work[AT.high + q]
        amplitude = amplitude if free else 0.0
        for i in range(p):
            work[AT.normal + (n + q) * p + i] *= amplitude
        for i in range(p):
            work[AT.normal + i * p + n + q] *= amplitude
    # Eliminate the shapes, last first, then ask each amplitude for what the others leave of it.
    for c in range(p - 1, n - 1, -1):
        pivot = work[AT.normal + c * p + c]
        whole = work[AT.gram + c * p + c]
        amplitude = work[AT.best_a + owner(c - n)]
        if pivot > 1e-13 * whole * amplitude * amplitude:
            for i in range(c):
                factor = work[AT.normal + i * p + c] / pivot
                for k in range(c):
                    work[AT.normal + i * p + k] -= factor * work[AT.normal + c * p + k]
    for target in range(n):
        for i in range(n):
            for k in range(n):
                work[AT.face + i * n + k] = work[AT.normal + i * p + k]
        for c in range(n):
            if c != target:
                pivot = work[AT.face + c * n + c]
                if pivot > 1e-13 * work[AT.gram + c * p + c]:
                    for i in range(n):
                        if i != c:
                            factor = work[AT.face + i * n + c] / pivot
                            for k in range(n):
                                work[AT.face + i * n + k] -= factor * work[AT.face + c * n + k]
        left = work[AT.face + target * n + target]
        a = work[AT.best_a + target]
        left = left if left > 1e-13 * work[AT.gram + target * p + target] else 0.0
        work[AT.seen + target] = a * a * left


def _entering(
    k: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[int, float]:
    """Return the atom of compartment k that lowers the cost most, and its slope squared."""
    place = _OPTION.first + 4 * k
    first, count = int(options[place]), int(options[place + 1])
    norms = int(options[_OPTION.norms]) + first
    entering, steepest = -1, 0.0
    for i in range(count):
        slope = work[AT.size + first + i] * table[norms + i]
        if slope > steepest:
            entering, steepest = i, slope
    return entering, steepest * steepest


def _exact_gains(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    energy: float,
    corners: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write what every tuple explains where bounds or given shapes are the voxel's own."""
    n_outer, width = int(options[_OPTION.outer]), int(options[_OPTION.width])
    out = AT.size + int(options[_OPTION.atoms])
    for k in range(AT.n):
        work[AT.a + k] = 0.0
    for o in range(n_outer):
        top = 0.0
        for i in range(width):
            gain = 0.0
            if i < int(options[_OPTION.inner]):
                _tuple_point(o, i, options, table, work)
                cost = sums(x, root_weight, signal, work)
                gain = energy - cost - solve_amplitudes(corners, False, work)
            work[out + o * width + i] = gain
            top = max(top, gain)
        work[out + n_outer * width + o] = top


def _highest(options: NDArray[np.float64], work: NDArray[np.float64]) -> tuple[int, int]:
    """Return the tuple that explains most."""
    n_outer, width = int(options[_OPTION.outer]), int(options[_OPTION.width])
    rows = AT.size + int(options[_OPTION.atoms])
    tops = rows + n_outer * width
    outer = 0
    for o in range(n_outer):
        if work[tops + o] > work[tops + outer]:
            outer = o
    return outer, _summit_of(outer, options, work)


def _keep(work: NDArray[np.float64]) -> None:
    """Keep the fit that a descent has found as the best one."""
    for q in range(AT.m):
        work[AT.best + q] = work[AT.at + q]
        work[AT.best_slope + q] = work[AT.slope + q]
        work[AT.best_scale + q] = work[AT.scale + q]
        for r in range(AT.m):
            work[AT.best_hess + q * AT.m + r] = work[AT.hess + q * AT.m + r]
    for k in range(AT.n):
        work[AT.best_a + k] = work[AT.kept + k]


def _may_leave(k: int, work: NDArray[np.float64]) -> bool:
    """Return whether the bounds allow a compartment to have no amplitude."""
    if AT.n == 1:
        return False
    if k < AT.n - 1:
        return bool(work[AT.bounds + 2 + 2 * k] == 0.0)
    most = 0.0
    for other in range(AT.n - 1):
        most += work[AT.bounds + 3 + 2 * other]
    return most >= 1.0


def _tell_gains(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    plain: bool,
    energy: float,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write what every tuple explains, behind the products with the atoms."""
    if not plain:
        corners = find_corners(0, work)
        _exact_gains(x, root_weight, signal, energy, corners, options, table, work)
        return
    _project(x, signal, False, options, table, work)
    n_atoms, n_outer = int(options[_OPTION.atoms]), int(options[_OPTION.outer])
    width = int(options[_OPTION.width])
    rows = AT.size + n_atoms
    tops = rows + n_outer * width
    gains(
        work[AT.size : rows],
        options,
        table,
        n_outer,
        width,
        work[rows:tops],
        work[tops : tops + n_outer],
    )


def global_fit(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    plain: bool,
    given: bool,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> Descent:
    """Find the global least-squares optimum inside the bounds.

    A template. Shapes and amplitudes stand at `AT.best` and `AT.best_a`, squared amplitudes over
    their variances, for a noise variance of 1, at `AT.seen`.

    Parameters
    ----------
    x : ndarray, shape (n_variables, n_rows)
        Acquisition variables.
    root_weight, signal : ndarray, shape (n_rows,)
        Square roots of the weights, signal.
    plain : bool
        Whether all amplitudes >= 0 are allowed.
    given : bool
        Whether a shape is given that the dictionary does not know.
    options, table, work : ndarray
        Of `ivimkit.kernels.separable.dictionary.plan`; bounds stand in the scratch.

    Returns
    -------
    Descent
        Cost, passes of all descents and end.
    """
    n, m = AT.n, AT.m
    energy = 0.0
    for j in range(signal.size):
        energy += (root_weight[j] * signal[j]) ** 2
    _tell_gains(x, root_weight, signal, plain and not given, energy, options, table, work)
    degrees = options[_OPTION.degrees]
    o, i = _highest(options, work)
    first = work[AT.size + int(options[_OPTION.atoms]) + o * int(options[_OPTION.width]) + i]
    _tuple_point(o, i, options, table, work)
    best = Descent(math.inf, 0, UNFINISHED)
    total = 0
    absent = 0
    stage = _SUMMITS
    number, found = 0, -1
    compartment = -1
    rounds = 0
    faintest, bound = math.inf, False
    while True:
        known = -1.0
        if stage != _LEAVING and best.end == CONVERGED and degrees > 0.0:
            known = best.cost / degrees
        limit = best.cost if stage != _PERSISTING else math.inf
        if stage == _LEAVING:
            limit = best.cost * (1.0 + 1e-6) + 1e-12 * energy
        fit = descend(x, root_weight, signal, absent, plain, limit, known, options, work)
        total += fit.iterations
        gain = best.cost - fit.cost
        simpler = stage == _LEAVING and fit.end == CONVERGED
        if fit.cost < best.cost or (
            simpler and fit.cost <= best.cost * (1.0 + _SAME_COST) + _ROUNDING * energy
        ):
            best = fit
            _keep(work)
        left_out = stage == _LEAVING
        if left_out:
            for q in range(m):
                work[AT.other + q] = work[AT.at + q]
            for k in range(n):
                work[AT.other_a + k] = work[AT.kept + k]
        absent = 0
        again = False
        if stage == _SUMMITS:
            if found < 0:
                found = _find_starts(energy - _HOPELESS * best.cost, options, table, work)
            enough = energy - _HOPELESS * best.cost
            number = _next_start(number, found, first, enough, options, table, work)
            again = number > 0
            if not again:
                _detect(x, root_weight, signal, work)
                stage = _LEAVING
                compartment = -1
                faintest, bound = _doubts(best.cost, degrees, work)
                if n > 1 and (bound or faintest < _FAINT):
                    stage = _DOUBTING
                    number = 0
                    enough = energy - max(_DOUBTFUL * best.cost, _COARSE * energy)
                    found = _find_doubts(enough, options, table, work)
        if stage == _DOUBTING and not again:
            enough = energy - max(_DOUBTFUL * best.cost, _COARSE * energy)
            number = _next_start(number, found, first, enough, options, table, work)
            again = number > 0
            if not again and not (faintest < (_FAINT_ON_BOUND if bound else _FAINTEST) or (bound and _alike(_NEARLY, options, work))):
                stage = _LEAVING
                compartment = -1
            elif not again:
                # A minimum on a bound may lie across a ridge from the one that is sought, with
                # every tuple of the dictionary on the wrong side of it.
                stage = _SPLITTING
                number = 0
                _usual_point(options, table, work)
                again = True
        elif stage == _SPLITTING and not again:
            number = _split(number, options, work)
            again = number > 0
            if not again:
                stage = _LEAVING
                compartment = -1
        if left_out:
            # What was left out comes back where the residual asks for it most.
            _project(x, signal, True, options, table, work)
            atom, slope = _entering(compartment, options, table, work)
            if slope > _FLAT * fit.cost:
                for q in range(m):
                    work[AT.to + q] = work[AT.other + q]
                _atom_point(compartment, atom, options, table, work)
                _put_in_order(options, work)
                stage = _ENTERING
                again = True
        elif stage == _ENTERING and not again:
            stage = _LEAVING
        if stage == _LEAVING and not again:
            compartment += 1
            while compartment < n and not again:
                faint = work[AT.seen + compartment] * max(degrees, 1.0) * (n - 1) < _FAINTER * best.cost
                if (faint or best.end != CONVERGED) and _may_leave(compartment, work):
                    for q in range(m):
                        work[AT.to + q] = work[AT.best + q]
                    absent = 1 << compartment
                    again = True
                else:
                    compartment += 1
        if not again:
            if stage == _LEAVING:
                stage = _PERSISTING
                gain = math.inf
            rounds += 1
            if best.end == CONVERGED or rounds > _ROUNDS or gain <= _CRAWL * best.cost:
                break
            for q in range(m):
                work[AT.to + q] = work[AT.best + q]
    end = best.end
    if end != CONVERGED and gain <= _STALLED * best.cost:
        # The floor of the valley is as low here as anywhere: that is a minimum.
        end = CONVERGED
    _detect(x, root_weight, signal, work)
    return Descent(best.cost, total, end)
