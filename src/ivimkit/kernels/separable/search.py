"""The global half of a separable fit: find the basins, descend, and look whether one was missed.

Descents begin on the best summits of a dictionary of tuples of atoms (`tuples`). Where the best
fit has a compartment that the noise nearly hides, or a shape on a bound, others follow: from the
best tuples of atoms that lie far from each other; from the best fit with a compartment split in
two; and from the fit without a compartment, which is simpler, with the atom of the dictionary that
the residual asks for most.

How many starts a voxel gets decides about speed and about the share of voxels at their optimum.
The constants below were chosen by both, for four models with 20 000 voxels each, against 200
random starts a voxel; `python -m benchmarks models` shows what they give.

These are templates: the functions and the layout of a model are put in.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.separable.descent import CONVERGED, UNFINISHED, Descent, descend
from ivimkit.kernels.separable.layout import SAME_ATOM, Option, Problem, layout
from ivimkit.kernels.separable.tuples import (
    entering_atom,
    explain,
    far_tuples,
    highest_tuple,
    place_atom,
    place_tuple,
    project,
    put_in_order,
    summits,
)

__all__ = ["global_fit"]

# Templates' constants.
AT = layout(1, 1)
_OPTION = Option()

# A summit that leaves this share more than the best fit does not beat it; the share is divided by
# the number of compartments besides the reference: the more there are, the more summits.
_WORSE = 0.2
# A tuple of a far atom that leaves so many times the cost of the best fit does not beat it.
_HOPELESS = 3.0
# What the tuple nearest to a minimum may miss, as a share of the squared norm of the signal: the
# dictionary is a grid. With little noise that is more than the cost of the best fit. The first is
# for summits, the second for the tuples of far atoms.
_FINE, _COARSE = 1e-4, 1e-3
# Squared amplitude over its variance below which a compartment is too faint for the summits to be
# enough; below which it is split, or if a shape is on a bound; and below which it is left out,
# divided by the number of compartments besides the reference: of many one is nearly always faint.
_FAINT = 8.0
_SPLIT_FAINT, _SPLIT_FAINT_ON_BOUND = 1.0, 8.0
_LEFT_OUT_FAINT = 5.0
# Ordered shapes with a smaller ratio are alike: with a shape on a bound, a compartment is split.
_ALIKE = 8.0
# Ratio of the halves of a compartment that is split to what it was: of its rate, of other shapes.
_SPLIT, _SPLIT_OTHER = 1.4, 1.3
# Slope squared over cost below which an entering compartment gains nothing but rounding.
_FLAT = 1e-9
# A fit without a compartment that costs this much more, relative to the cost and to the squared
# norm of the signal, is another fit.
_SAME_COST = 1e-11
_ROUNDING = 1e-15
# The fit without a compartment is as exact as the atom that comes back needs it: it ends when it
# can gain no more than this share of what it is above the best fit.
_CERTAIN = 1e-3
_ANOTHER_COST, _ANOTHER_ROUNDING = 1e-6, 1e-12
# How often a descent that was interrupted goes on, and the relative gains below which it crawls
# and below which its end is a minimum.
_ROUNDS = 16
_CRAWL = 1e-9
_STALLED = 1e-5


def sums(*_: Any) -> float:
    """Stand for the pass over the measurements of a model."""
    raise AssertionError("a template: the functions of a structure are put in")


def owner(*_: Any) -> int:
    """Stand for the function that tells the compartment of a shape."""
    raise AssertionError("a template: the functions of a structure are put in")


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


def _try(problem: Problem, best: Descent) -> Descent:
    """Descend from the shapes at `AT.to`; keep the fit if it is better than the best one.

    Returns the best fit, with the passes of all descents.
    """
    options = problem.options
    degrees = options[_OPTION.degrees]
    known = best.cost / degrees if best.end == CONVERGED and degrees > 0.0 else -1.0
    hope = options[_OPTION.hope]
    fit = descend(problem, 0, best.cost, known, hope)
    passes = best.iterations + fit.iterations
    if fit.cost < best.cost:
        _keep(problem.work)
        return Descent(fit.cost, passes, fit.end)
    return Descent(best.cost, passes, best.end)


def _try_tuples(
    problem: Problem,
    best: Descent,
    found: int,
    energy: float,
    first: float,
    ratio: float,
    coarse: float,
) -> Descent:
    """Descend from the tuples listed that explain enough, but less than the `first` start.

    `ratio` and `coarse`, a share of `energy`, say how much more than the best fit they may leave.
    """
    options, table, work = problem.options, problem.table, problem.work
    for number in range(found):
        here = work[AT.starts + 3 * number]
        if energy - max(ratio * best.cost, coarse * energy) < here < first:
            o = int(work[AT.starts + 3 * number + 1])
            i = int(work[AT.starts + 3 * number + 2])
            place_tuple(o, i, options, table, work)
            best = _try(problem, best)
    return best


def _detect(problem: Problem) -> None:
    """Write squared amplitudes of the best fit over their variances, for a noise variance of 1.

    The variances are the marginal ones of Gauss and Newton's matrix; shapes at a bound or without
    an amplitude drop out.
    """
    work = problem.work
    n, m = AT.n, AT.m
    p = n + m
    for q in range(m):
        work[AT.to + q] = work[AT.best + q]
    for k in range(n):
        work[AT.a + k] = work[AT.fresh + k] = work[AT.best_a + k]
    sums(problem.x, problem.root_weight, problem.signal, work)
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


def _on_bound(work: NDArray[np.float64]) -> bool:
    """Return whether a shape of the best fit is on a bound.

    Such a minimum is often that of a compartment in the wrong place.
    """
    on_bound = False
    for q in range(AT.m):
        free = work[AT.low + q] < work[AT.high + q]
        inside = work[AT.low + q] < work[AT.best + q] < work[AT.high + q]
        on_bound = on_bound or (free and not inside)
    return bool(on_bound)


def _are_alike(options: NDArray[np.float64], work: NDArray[np.float64]) -> bool:
    """Return whether the shapes of an ordered pair are close to each other in the best fit."""
    alike = False
    for number in range(int(options[_OPTION.pairs])):
        slow = int(options[_OPTION.pair + 3 * number])
        fast = int(options[_OPTION.pair + 3 * number + 1])
        alike = alike or work[AT.best + fast] < _ALIKE * work[AT.best + slow]
    return bool(alike)


def _place_usual(
    options: NDArray[np.float64], table: NDArray[np.float64], work: NDArray[np.float64]
) -> None:
    """Write the shapes that are usual to `AT.to`, inside the bounds and in order."""
    first = int(options[_OPTION.usual])
    for q in range(AT.m):
        work[AT.to + q] = min(max(table[first + q], work[AT.low + q]), work[AT.high + q])
    put_in_order(options, work)


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
    put_in_order(options, work)
    return 2 * number + second + 1


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


def _leave_out(problem: Problem, best: Descent, energy: float) -> Descent:
    """Leave out faint compartments, one after the other, and let each come back.

    A fit without a compartment that costs the same is simpler, and is kept. An atom of the
    compartment lowers the cost of that fit where its product with the residual is positive: that
    is the slope of the cost by its amplitude. The steepest one is where it comes back.
    """
    options, table, work = problem.options, problem.table, problem.work
    n, m = AT.n, AT.m
    scale = max(options[_OPTION.degrees], 1.0) * (n - 1)
    for compartment in range(n):
        # Without noise, rounding is what hides a compartment.
        noise = max(best.cost, _ROUNDING * energy)
        faint = work[AT.seen + compartment] * scale < _LEFT_OUT_FAINT * noise
        if not (faint or best.end != CONVERGED) or not _may_leave(compartment, work):
            continue
        for q in range(m):
            work[AT.to + q] = work[AT.best + q]
        limit = best.cost * (1.0 + _ANOTHER_COST) + _ANOTHER_ROUNDING * energy
        absent = 1 << compartment
        hope = 1.0 / _CERTAIN
        fit = descend(problem, absent, limit, -1.0, hope)
        passes = best.iterations + fit.iterations
        same = best.cost * (1.0 + _SAME_COST) + _ROUNDING * energy
        if fit.cost < best.cost or (fit.end == CONVERGED and fit.cost <= same):
            best = fit
            _keep(work)
        best = Descent(best.cost, passes, best.end)
        for q in range(m):
            work[AT.other + q] = work[AT.to + q] = work[AT.at + q]
        for k in range(n):
            work[AT.other_a + k] = work[AT.kept + k]
        project(problem.x, problem.signal, True, options, table, work)
        atom, slope = entering_atom(compartment, options, table, work)
        if slope > _FLAT * fit.cost + _ROUNDING * energy:
            place_atom(compartment, atom, options, table, work)
            put_in_order(options, work)
            best = _try(problem, best)
    return best


def _persist(problem: Problem, best: Descent) -> Descent:
    """Go on where the best descent was interrupted, as long as that gains something."""
    work = problem.work
    gain = math.inf
    for _ in range(_ROUNDS):
        if best.end == CONVERGED or gain <= _CRAWL * best.cost:
            break
        for q in range(AT.m):
            work[AT.to + q] = work[AT.best + q]
        before = best.cost
        best = _try(problem, best)
        gain = before - best.cost
    if best.end != CONVERGED and gain <= _STALLED * best.cost:
        # The floor of the valley is as low here as anywhere: that is a minimum.
        return Descent(best.cost, best.iterations, CONVERGED)
    return best


def global_fit(problem: Problem, given: bool) -> Descent:
    """Find the global least-squares optimum inside the bounds.

    A template. Shapes and amplitudes stand at `AT.best` and `AT.best_a`, squared amplitudes over
    their variances, for a noise variance of 1, at `AT.seen`.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    given : bool
        Whether a shape is given that the dictionary does not know.

    Returns
    -------
    Descent
        Cost, passes of all descents and end.
    """
    x, root_weight, signal, plain, options, table, work = problem
    energy = 0.0
    for j in range(signal.size):
        energy += (root_weight[j] * signal[j]) ** 2
    explain(x, root_weight, signal, plain and not given, energy, options, table, work)
    o, i = highest_tuple(options, work)
    first = work[AT.size + int(options[_OPTION.atoms]) + o * int(options[_OPTION.width]) + i]
    place_tuple(o, i, options, table, work)
    best = Descent(math.inf, 0, UNFINISHED)
    best = _try(problem, best)
    ratio = 1.0 + _WORSE / max(AT.n - 1, 1)
    enough = energy - max(ratio * best.cost, _FINE * energy)
    found = summits(enough, options, table, work)
    best = _try_tuples(problem, best, found, energy, first, ratio, _FINE)
    _detect(problem)
    seen = best.cost
    if AT.n > 1:
        faintest = math.inf
        for k in range(AT.n):
            faintest = min(faintest, work[AT.seen + k])
        faintest *= max(options[_OPTION.degrees], 1.0)
        on_bound = _on_bound(work)
        if on_bound or faintest < _FAINT * best.cost:
            enough = energy - max(_HOPELESS * best.cost, _COARSE * energy)
            found = far_tuples(enough, options, table, work)
            limit = _SPLIT_FAINT_ON_BOUND if on_bound else _SPLIT_FAINT
            splitting = faintest < limit * best.cost or (on_bound and _are_alike(options, work))
            best = _try_tuples(problem, best, found, energy, first, _HOPELESS, _COARSE)
            if splitting:
                # A minimum on a bound may lie across a ridge from the one that is sought, with
                # every tuple of the dictionary on the wrong side of it.
                _place_usual(options, table, work)
                best = _try(problem, best)
                number = _split(0, options, work)
                while number > 0:
                    best = _try(problem, best)
                    number = _split(number, options, work)
        best = _leave_out(problem, best, energy)
    best = _persist(problem, best)
    if best.cost != seen:
        _detect(problem)
    return best
