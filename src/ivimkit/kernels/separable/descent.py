"""The local half of a separable fit: from given shapes to the nearest least-squares minimum.

The amplitudes are eliminated (`amplitudes`); what is left of half the cost, as a function of the
shapes, has the slope g = -a <phi', r> and the second derivatives M - N - C^T Z (Z^T G Z)^-1 Z^T C:
M as in Gauss and Newton's method, N with the second derivatives of the atoms, and what the
amplitudes make good, which are free in the directions Z. Newton steps with this exact matrix, on
the box of the bounds, converge in a few passes, also along the curved valleys of three decays,
where steps without N crawl.

These are templates: the functions and the layout of a model are put in.

References
----------
Golub GH, Pereyra V. Separable nonlinear least squares: the variable projection method and its
applications. Inverse Problems 2003;19:R1. doi:10.1088/0266-5611/19/2/201
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.separable.amplitudes import find_corners, solve_amplitudes
from ivimkit.kernels.separable.layout import SAME_RATE, Option, Problem, layout
from ivimkit.kernels.separable.structure import LEAST_PIVOT, LEAST_SHARE

__all__ = ["APART", "CONVERGED", "MERGED", "UNFINISHED", "Descent", "descend"]

APART = 1.02
"""Ordered parameters keep this ratio; where compartments are alike they are one below it."""

CONVERGED, MERGED, UNFINISHED = 0, 1, 2
"""How a descent ends: at a minimum; where two compartments have become one; before a minimum."""

# Templates' constants.
AT = layout(1, 1)
_OPTION = Option()

_MAX_ITERATIONS = 60
# A step below this, relative to scale or range, leaves an error of its square.
_STEP_TOLERANCE = 1e-5
# A step that promises less than this share of the cost is below 1e-4 standard deviations.
_GAIN_TOLERANCE = 1e-8
# Largest step d of a logarithm, from t to t (2 + d) / (2 - d): a factor of 4.5.
_MAX_STEP = 1.27
# So many damped steps in a row, each with less than this relative gain, interrupt the descent.
_SLOW = 1e-6
_PATIENCE = 8
# Share of the squared norm of the signal that is rounding.
_ROUNDING = 1e-14
_ON_BOUND = 1e-12
# Ordered parameters closer than this may meet; others meet half way.
_CLOSE = 1.2
# A cost this many noise variances above that of the best fit may be in its basin. Predictions of
# how far above agree within this share; the next step leads nearer by this factor.
_NEAR = 25.0
_AGREES, _NEARER = 0.5, 0.25
_LEAST_DAMPING = 1e-3
# Cost, relative to the squared norm of the signal, from which its change is not exact.
_TRUSTED = 1e3
_MOST_DAMPING = 1e8
_FREE, _FIXED, _TIED = 0.0, 1.0, 2.0


class Descent(NamedTuple):
    """Where a descent ended."""

    cost: float
    iterations: int
    end: int


def sums(*_: Any) -> float:
    """Stand for the pass over the measurements of a model."""
    raise AssertionError("a template: the functions of a structure are put in")


def newton(*_: Any) -> bool:
    """Stand for the function that solves for the step of Newton."""
    raise AssertionError("a template: the functions of a structure are put in")


def assemble(*_: Any) -> None:
    """Stand for the function that makes slopes and second derivatives of a pass."""
    raise AssertionError("a template: the functions of a structure are put in")


def _respond(work: NDArray[np.float64]) -> None:
    """Write how the amplitudes follow the shapes; take off what that gains from the curvature."""
    n, m = AT.n, AT.m
    for q in range(m):
        # L y = Z C, column by column; the curvature loses y^T y.
        for i in range(n):
            s = 0.0
            for k in range(n):
                s += work[AT.face + i * n + k] * work[AT.cross + k * m + q]
            for r in range(i):
                s -= work[AT.factor + i * n + r] * work[AT.response + r * m + q]
            work[AT.response + i * m + q] = s / work[AT.factor + i * n + i]
    for q in range(m):
        for r in range(q + 1):
            s = work[AT.hess + q * m + r]
            for i in range(n):
                s -= work[AT.response + i * m + q] * work[AT.response + i * m + r]
            work[AT.hess + q * m + r] = s
            work[AT.hess + r * m + q] = s
    for q in range(m):
        for i in range(n - 1, -1, -1):
            s = work[AT.response + i * m + q]
            for r in range(i + 1, n):
                s -= work[AT.factor + r * n + i] * work[AT.response + r * m + q]
            work[AT.response + i * m + q] = s / work[AT.factor + i * n + i]
        for k in range(n):
            s = 0.0
            for i in range(n):
                s -= work[AT.face + i * n + k] * work[AT.response + i * m + q]
            work[AT.small + k] = s
        for k in range(n):
            work[AT.response + k * m + q] = work[AT.small + k]


def _solve_step(damping: float, options: NDArray[np.float64], work: NDArray[np.float64]) -> bool:
    """Write to `AT.aim` the minimum of the damped parabola, with given steps of the fixed shapes.

    A tied shape keeps its ratio to its partner: its row and column are added to those of that.
    False if the parabola is not convex. Where no shape is tied, `newton` does the same faster.
    """
    m = AT.m
    for q in range(m):
        for r in range(m):
            work[AT.matrix + q * m + r] = work[AT.hess + q * m + r]
        work[AT.matrix + q * m + q] += damping * work[AT.norm + q]
        work[AT.right + q] = -work[AT.slope + q]
    for number in range(int(options[_OPTION.pairs])):
        k = int(options[_OPTION.pair + 3 * number])
        i = int(options[_OPTION.pair + 3 * number + 1])
        if work[AT.state + i] == _TIED:
            ratio = APART * work[AT.scale + k] / work[AT.scale + i]
            for r in range(m):
                work[AT.right + r] -= work[AT.matrix + r * m + i] * work[AT.jump + i]
            work[AT.right + k] += ratio * work[AT.right + i]
            work[AT.matrix + k * m + k] += ratio * (
                2.0 * work[AT.matrix + i * m + k] + ratio * work[AT.matrix + i * m + i]
            )
            for r in range(m):
                if r not in (i, k):
                    work[AT.matrix + k * m + r] += ratio * work[AT.matrix + i * m + r]
                    work[AT.matrix + r * m + k] = work[AT.matrix + k * m + r]
            _remove(i, work)
    for q in range(m):
        if work[AT.state + q] == _FIXED:
            for r in range(m):
                work[AT.right + r] -= work[AT.matrix + r * m + q] * work[AT.step + q]
            _remove(q, work)
    for i in range(m):
        for k in range(i + 1):
            s = work[AT.matrix + i * m + k]
            whole = s
            for r in range(k):
                s -= work[AT.matrix + i * m + r] * work[AT.matrix + k * m + r]
            if k < i:
                work[AT.matrix + i * m + k] = s / work[AT.matrix + k * m + k]
            elif s > LEAST_PIVOT * work[AT.norm + i] and s > LEAST_SHARE * whole:
                work[AT.matrix + i * m + i] = math.sqrt(s)
            else:
                return False
    for i in range(m):
        s = work[AT.right + i]
        for r in range(i):
            s -= work[AT.matrix + i * m + r] * work[AT.aim + r]
        work[AT.aim + i] = s / work[AT.matrix + i * m + i]
    for i in range(m - 1, -1, -1):
        s = work[AT.aim + i]
        for r in range(i + 1, m):
            s -= work[AT.matrix + r * m + i] * work[AT.aim + r]
        work[AT.aim + i] = s / work[AT.matrix + i * m + i]
    for number in range(int(options[_OPTION.pairs]) - 1, -1, -1):
        k = int(options[_OPTION.pair + 3 * number])
        i = int(options[_OPTION.pair + 3 * number + 1])
        if work[AT.state + i] == _TIED:
            ratio = APART * work[AT.scale + k] / work[AT.scale + i]
            work[AT.aim + i] = ratio * work[AT.aim + k] + work[AT.jump + i]
    return True


def _remove(q: int, work: NDArray[np.float64]) -> None:
    """Make the step of a shape what it is already."""
    m = AT.m
    for r in range(m):
        work[AT.matrix + q * m + r] = work[AT.matrix + r * m + q] = 0.0
    # On the scale of the others, or of anything where it has none.
    scale = work[AT.norm + q] if work[AT.norm + q] > 0.0 else 1.0
    work[AT.matrix + q * m + q] = scale
    work[AT.right + q] = scale * work[AT.step + q]


def _moved(q: int, work: NDArray[np.float64]) -> float:
    """Return a shape after its step, inside its bounds."""
    x, d = work[AT.at + q], work[AT.step + q]
    low, high = work[AT.low + q], work[AT.high + q]
    # Like exp(d) up to the second order, which is what a Newton step in ln theta needs.
    to = x * (2.0 + d) / (2.0 - d) if work[AT.scale + q] != 1.0 else x + d
    if to <= low * (1.0 + _ON_BOUND):
        to = low
    return float(high if to >= high * (1.0 - _ON_BOUND) else to)


def _reaches(q: int, work: NDArray[np.float64]) -> bool:
    """Return whether a shape may go where it aims."""
    x, d = work[AT.at + q], work[AT.aim + q]
    low, high = work[AT.low + q], work[AT.high + q]
    if work[AT.scale + q] == 1.0:
        return bool(low <= x + d <= high)
    up, down = x * (2.0 + d), 2.0 - d
    return bool(-_MAX_STEP <= d <= _MAX_STEP and low * down <= up <= high * down)


def _way(q: int, up: bool, work: NDArray[np.float64]) -> float:
    """Return the largest step of a shape up or down."""
    x = work[AT.at + q]
    bound = work[AT.high + q] if up else work[AT.low + q]
    if work[AT.scale + q] == 1.0:
        return float(bound - x)
    d = 2.0 * (bound - x) / (bound + x)
    return float(min(d, _MAX_STEP) if up else max(d, -_MAX_STEP))


def _follow(damping: float, options: NDArray[np.float64], work: NDArray[np.float64]) -> bool:
    """Go to the minimum of the damped parabola on the box; False if it is not convex.

    The way leads from one bound to the next: on each part of it the parabola falls.
    """
    m = AT.m
    tied = False
    for q in range(m):
        tied = tied or work[AT.state + q] == _TIED
    for _ in range(m + 1):
        convex = _solve_step(damping, options, work) if tied else newton(damping, work)
        if not convex:
            return False
        way, blocking, stop = 1.0, -1, 0.0
        for q in range(m):
            if work[AT.state + q] != _FIXED and not _reaches(q, work):
                here, there = work[AT.step + q], work[AT.aim + q]
                bound = _way(q, there > here, work)
                part = max((bound - here) / (there - here), 0.0)
                if part < way:
                    way, blocking, stop = part, q, bound
        for q in range(m):
            if work[AT.state + q] != _FIXED:
                work[AT.step + q] += way * (work[AT.aim + q] - work[AT.step + q])
        if blocking < 0:
            break
        work[AT.state + blocking] = _FIXED
        work[AT.step + blocking] = stop
    return True


def _keep_order(options: NDArray[np.float64], work: NDArray[np.float64]) -> None:
    """Shorten the steps of shapes that would pass a partner which a bound holds back.

    A partner without an amplitude is moved along, which costs nothing: passed, it could come back
    in the wrong order, and stay there where the cost is lower than in the right one.
    """
    for number in range(int(options[_OPTION.pairs]) - 1, -1, -1):
        k = int(options[_OPTION.pair + 3 * number])
        i = int(options[_OPTION.pair + 3 * number + 1])
        alive = work[AT.norm + i] > 0.0 and work[AT.norm + k] > 0.0
        most = work[AT.to + i] / APART
        if alive and work[AT.state + i] != _TIED and work[AT.to + k] > most:
            x = work[AT.at + k]
            to = max(most, work[AT.low + k])
            step = to - x
            work[AT.step + k] = step if work[AT.scale + k] == 1.0 else 2.0 * step / (to + x)
            work[AT.to + k] = _moved(k, work)
        elif not alive and work[AT.to + k] > most:
            if work[AT.norm + i] > 0.0:
                work[AT.to + k] = max(most, work[AT.low + k])
            else:
                work[AT.to + i] = min(APART * work[AT.to + k], work[AT.high + i])


def _find_step(damping: float, options: NDArray[np.float64], work: NDArray[np.float64]) -> int:
    """Find the step of Newton on the bounds.

    Returns `CONVERGED` if there is a step, `MERGED` if two compartments that are alike meet,
    `UNFINISHED` if the parabola is not convex.
    """
    m = AT.m
    n_pairs = int(options[_OPTION.pairs])
    for q in range(m):
        work[AT.jump + q] = 0.0
    # Pairs that meet are tied, one after the other.
    tied = 0
    for _ in range(n_pairs + 1):
        for q in range(m):
            slope = work[AT.slope + q]
            x, low, high = work[AT.at + q], work[AT.low + q], work[AT.high + q]
            # A shape stays where its bound holds it back or where it has no amplitude.
            moves = (low < x) if slope > 0.0 else (x < high)
            work[AT.state + q] = _FREE if moves and work[AT.norm + q] > 0.0 else _FIXED
            work[AT.step + q] = work[AT.jump + q]
        for number in range(n_pairs):
            k = int(options[_OPTION.pair + 3 * number])
            i = int(options[_OPTION.pair + 3 * number + 1])
            near = work[AT.at + i] <= APART * work[AT.at + k] * (1.0 + _ON_BOUND)
            held = near and work[AT.slope + i] > 0.0
            free = work[AT.state + i] == _FREE
            # One that its lower bound holds back can go up with its partner.
            low = work[AT.low + i] == work[AT.at + i] < work[AT.high + i]
            tie = (tied >> number) & 1 != 0
            if (free and (held or tie)) or (low and tie and work[AT.norm + i] > 0.0):
                work[AT.state + i] = _TIED
        if not _follow(damping, options, work):
            return UNFINISHED
        for q in range(m):
            work[AT.to + q] = _moved(q, work)
        cut = 1.0
        again = False
        for number in range(n_pairs):
            k = int(options[_OPTION.pair + 3 * number])
            i = int(options[_OPTION.pair + 3 * number + 1])
            here = work[AT.at + i] - APART * work[AT.at + k]
            there = work[AT.to + i] - APART * work[AT.to + k]
            alive = work[AT.norm + i] > 0.0 and work[AT.norm + k] > 0.0
            if alive and there < 0.0 and work[AT.state + i] != _TIED:
                if work[AT.at + i] > _CLOSE * work[AT.at + k]:
                    # Far from each other, the two would cross: they meet half way at most.
                    cut = min(cut, 0.5 * here / (here - there))
                elif options[_OPTION.pair + 3 * number + 2] == SAME_RATE:
                    return MERGED
                elif (tied >> number) & 1 == 0:
                    tied |= 1 << number
                    work[AT.jump + i] = -here / work[AT.scale + i]
                    again = True
        if not again:
            if cut < 1.0:
                for q in range(m):
                    work[AT.step + q] *= cut
                    work[AT.to + q] = _moved(q, work)
            _keep_order(options, work)
            break
    return CONVERGED


def _inside(work: NDArray[np.float64]) -> bool:
    """Return whether the amplitudes after a step keep their bounds, up to rounding on an edge."""
    s0 = 0.0
    for k in range(AT.n):
        s0 += work[AT.a + k]
    slack = _ON_BOUND * s0
    inside = work[AT.bounds] - slack <= s0 <= work[AT.bounds + 1] + slack
    for k in range(AT.n):
        a = work[AT.a + k]
        inside = inside and a >= (-slack if work[AT.kept + k] == 0.0 else 0.0)
        if k < AT.n - 1:
            low, high = work[AT.bounds + 2 + 2 * k], work[AT.bounds + 3 + 2 * k]
            inside = inside and low * s0 - slack <= a <= high * s0 + slack
    return bool(inside)


def _height(first: int, work: NDArray[np.float64]) -> float:
    """Return how far above the best fit its parabola is at the shapes that stand at `first`.

    Writes the steps from the best fit to `AT.aim`.
    """
    m = AT.m
    for q in range(m):
        x, best = work[first + q], work[AT.best + q]
        # A step d of a logarithm leads from t to t (2 + d) / (2 - d).
        mean = 1.0 if work[AT.best_scale + q] == 1.0 else 0.5 * (x + best)
        work[AT.aim + q] = (x - best) / mean
    height = 0.0
    for q in range(m):
        s = 2.0 * work[AT.best_slope + q]
        for r in range(m):
            s += work[AT.best_hess + q * m + r] * work[AT.aim + r]
        height += s * work[AT.aim + q]
    return height


def _accept(exact: float, work: NDArray[np.float64]) -> None:
    """Take the shapes of the pass and their amplitudes; write slopes and second derivatives.

    With `exact` 0 these are those of Gauss and Newton's method, see `assemble`.
    """
    for q in range(AT.m):
        work[AT.at + q] = work[AT.to + q]
    for k in range(AT.n):
        work[AT.kept + k] = work[AT.fresh + k]
    assemble(work, exact)
    _respond(work)


def _promise(options: NDArray[np.float64], work: NDArray[np.float64]) -> tuple[float, bool]:
    """Return by how much the step lowers half the cost by the parabola, and whether it is small.

    Writes the amplitudes that the parabola expects behind the step, and moves tied shapes.
    """
    m = AT.m
    gain = 0.0
    small = True
    for q in range(m):
        d = work[AT.step + q]
        s = work[AT.slope + q]
        for r in range(m):
            s += 0.5 * work[AT.hess + q * m + r] * work[AT.step + r]
        gain -= d * s
        scale = work[AT.at + q] / work[AT.scale + q]
        small = small and abs(d) <= _STEP_TOLERANCE * scale
    for number in range(int(options[_OPTION.pairs])):
        k = int(options[_OPTION.pair + 3 * number])
        i = int(options[_OPTION.pair + 3 * number + 1])
        if work[AT.state + i] == _TIED:
            work[AT.to + i] = min(APART * work[AT.to + k], work[AT.high + i])
    for k in range(AT.n):
        s = work[AT.kept + k]
        for q in range(m):
            s += work[AT.response + k * m + q] * work[AT.step + q]
        work[AT.a + k] = s
    return gain, bool(small)


def _returns(above: float, gain: float, work: NDArray[np.float64]) -> bool:
    """Return whether a descent is in the basin of the best fit, and on its way back to it.

    Three predictions agree then: the parabola of the best fit has the cost of this point, `above`
    that of the best fit; the parabola of this point, whose minimum is 2 `gain` lower, has the cost
    of the best fit at its minimum; and that minimum is near it. Most descents from starts behind
    the first one end this way, after two passes instead of six.
    """
    return bool(
        abs(2.0 * gain - above) < _AGREES * above
        and abs(_height(AT.at, work) - above) < _AGREES * above
        and _height(AT.to, work) < _NEARER * above
    )


def _stop(best: float, gain: float, work: NDArray[np.float64]) -> float:
    """Take a step so short that it is not looked at again; return the cost behind it.

    It is not taken where an amplitude would leave its bounds.
    """
    if not _inside(work):
        return best
    for q in range(AT.m):
        work[AT.at + q] = work[AT.to + q]
    for k in range(AT.n):
        work[AT.kept + k] = max(work[AT.a + k], 0.0)
    return max(best - 2.0 * gain, 0.0)


def descend(problem: Problem, absent: int, limit: float, known: float, hope: float) -> Descent:
    """Go from the shapes at `AT.to` to the nearest least-squares minimum inside the bounds.

    A template. Shapes and amplitudes of the minimum stand at `AT.at` and `AT.kept`.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    absent : int
        Bits of the compartments that have no amplitude.
    limit : float
        Cost to beat, infinite if there is none.
    known : float
        Noise variance, if the minimum at `AT.best`, whose cost is `limit`, is not worth finding
        again; negative otherwise.
    hope : float
        The descent ends if it would have to gain more than this many times what its next step
        promises of half the cost to reach the cost it is to beat.

    Returns
    -------
    Descent
    """
    n, m = AT.n, AT.m
    options, work = problem.options, problem.work
    plain = problem.plain and absent == 0
    corners = find_corners(absent, work)
    for k in range(n):
        work[AT.a + k] = work[AT.kept + k] = 0.0
    for q in range(m):
        work[AT.at + q] = work[AT.to + q]
    best = math.inf
    damping = noise = energy = 0.0
    slow = 0
    iterations = 0
    end = UNFINISHED
    while iterations < _MAX_ITERATIONS:
        iterations += 1
        cost = sums(problem.x, problem.root_weight, problem.signal, work)
        if iterations == 1:
            energy = cost
            noise = _ROUNDING * energy
        elif not cost <= _TRUSTED * energy and cost < math.inf:
            # Amplitudes for other shapes: what is left of so much would be rounding.
            solve_amplitudes(corners, plain, work)
            for k in range(n):
                work[AT.a + k] = work[AT.fresh + k]
            cost = sums(problem.x, problem.root_weight, problem.signal, work)
        cost += solve_amplitudes(corners, plain, work)
        accepted = cost <= best + noise
        if accepted:
            settled = best - cost <= noise and iterations > 2 and damping == 0.0
            # A curved valley floor: the steps are short and what they still gain is nothing.
            slow = slow + 1 if damping > 0.0 and best - cost < _SLOW * cost else 0
            best = cost
            damping = 0.1 * damping if damping > 1e-3 else 0.0
            # Before the amplitudes are known the residual is the signal, and no curvature.
            _accept(1.0 if iterations > 1 else 0.0, work)
            if settled:
                end = CONVERGED
                break
            if slow == _PATIENCE:
                break
        else:
            damping = max(10.0 * damping, 0.01)
            # Not a number, or no way down.
            if damping > _MOST_DAMPING or not best < math.inf:
                end = CONVERGED if best < math.inf else UNFINISHED
                break
        found = _find_step(damping, options, work)
        while found == UNFINISHED and damping < _MOST_DAMPING:
            damping = max(4.0 * damping, _LEAST_DAMPING)
            found = _find_step(damping, options, work)
        if found != CONVERGED:
            end = found
            break
        gain, small = _promise(options, work)
        if gain < 0.0:
            # Rounding, or a parabola that is not one.
            damping = max(10.0 * damping, 0.01)
        if damping == 0.0 and best - hope * gain > limit:
            break
        above = best - limit
        if accepted and 0.0 < above < _NEAR * known and _returns(above, gain, work):
            break
        if damping == 0.0 and iterations > 1 and (small or 2.0 * gain <= _GAIN_TOLERANCE * best):
            end = CONVERGED
            best = _stop(best, gain, work)
            break
    return Descent(best, iterations, end)
