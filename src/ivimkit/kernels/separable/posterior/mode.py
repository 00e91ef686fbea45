"""The highest place of the density near a fit, and its curvature: where the first points go.

These are templates: the functions and the layouts of a model are put in.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.separable.layout import layout
from ivimkit.kernels.separable.posterior.point_rows import (
    LANES,
    N_POINTS,
    PosteriorOption,
    point_rows,
)
from ivimkit.kernels.separable.posterior.target import Task, evaluate

__all__ = ["find_mode", "squared_distance", "write_coordinates"]

# Templates' constants.
AT = layout(1, 1)
ROWS = point_rows(1, 1)
_OWN = PosteriorOption()

# The first distance of the points that a step looks at, and later ones in standard deviations.
_FIRST_DISTANCE, _DISTANCE = 0.3, 0.7
_MAX_DISTANCE = 0.7
# Longest step of a coordinate; a shorter one than this, in standard deviations, is the last.
_MAX_STEP, _LAST_STEP = 1.0, 0.15
# A density lower by more than this is as good as none.
_MAX_DROP = 40.0
# Least curvature of a coordinate: its bounds are never further apart than so.
_MIN_CURVATURE = 0.1
# Places of shapes between their bounds, and parts of compartments, at which steps begin.
_MIN_PLACE, _MIN_PART = 0.004, 0.05
_MAX_HALVINGS = 12


def write_coordinates(shapes: int, amplitudes: int, task: Task) -> None:
    """Write the coordinates of a fit, whose shapes stand at `shapes`, to the row of the mode.

    Without amplitudes, at -1, all compartments but the first have the same share.
    """
    options, work, fit = task.options, task.work, task.fit
    for c in range(int(options[_OWN.n_free])):
        q = int(options[_OWN.coordinates + c])
        place, least = 0.0, _MIN_PLACE
        if q < AT.m:
            box = ROWS.box + 3 * c
            value = fit[shapes + q]
            if work[box + 2] > 0.0:
                value = math.log(max(value, 1e-300))
            place = (value - work[box]) / work[box + 1]
        else:
            k = q - AT.m
            least = _MIN_PART
            total = 0.0
            for other in range(k + 1, AT.n):
                total += fit[amplitudes + other] if amplitudes >= 0 else 1.0
            own = fit[amplitudes + k + 1] if amplitudes >= 0 else 1.0
            place = own / total if total > 0.0 else 0.5
        place = min(max(place, least), 1.0 - least)
        work[ROWS.mode + c] = math.log(place / (1.0 - place))


@device
def _cholesky(d: int, share: float, matrix: NDArray[np.float64], to: NDArray[np.float64]) -> bool:
    """Factorise a matrix, other than its diagonal times `share`; return if it is positive."""
    for i in range(d):
        for k in range(i + 1):
            total = matrix[i * d + k] if i == k else share * matrix[i * d + k]
            for r in range(k):
                total -= to[i * d + r] * to[k * d + r]
            if i == k:
                if not total > 1e-6 * matrix[i * d + i]:
                    return False
                to[i * d + i] = math.sqrt(total)
            else:
                to[i * d + k] = total / to[k * d + k]
    return True


@device
def _invert(d: int, factor: NDArray[np.float64], to: NDArray[np.float64]) -> None:
    """Write the inverse of L L'."""
    for column in range(d):
        for i in range(d):
            total = 1.0 if i == column else 0.0
            for r in range(i):
                total -= factor[i * d + r] * to[r * d + column]
            to[i * d + column] = total / factor[i * d + i]
        for i in range(d - 1, -1, -1):
            total = to[i * d + column]
            for r in range(i + 1, d):
                total -= factor[r * d + i] * to[r * d + column]
            to[i * d + column] = total / factor[i * d + i]


@device
def squared_distance(
    d: int, one: NDArray[np.float64], two: NDArray[np.float64], precision: NDArray[np.float64]
) -> float:
    """Return the squared distance of two places in standard deviations."""
    total = 0.0
    for i in range(d):
        for k in range(d):
            total += (one[i] - two[i]) * precision[i * d + k] * (one[k] - two[k])
    return total


@device
def _lay_stencil(
    d: int, mode: NDArray[np.float64], distance: NDArray[np.float64], z: NDArray[np.float64]
) -> int:
    """Write the points of a parabola: the middle, both sides of each axis, and of each pair."""
    count = 1 + 2 * d + d * (d - 1) // 2
    count = -(-count // LANES) * LANES
    for i in range(d):
        for p in range(count):
            z[i * N_POINTS + p] = mode[i]
    for i in range(d):
        z[i * N_POINTS + 1 + 2 * i] += distance[i]
        z[i * N_POINTS + 2 + 2 * i] -= distance[i]
    at = 1 + 2 * d
    for i in range(d):
        for k in range(i):
            z[i * N_POINTS + at] += distance[i]
            z[k * N_POINTS + at] += distance[k]
            at += 1
    return count


@device
def _parabola(
    d: int,
    distance: NDArray[np.float64],
    level: NDArray[np.float64],
    slope: NDArray[np.float64],
    curvature: NDArray[np.float64],
) -> None:
    """Write slopes and negative second derivatives of the logarithm of the density."""
    # The middle may be where the order of two shapes forbids everything.
    here = level[0]
    for p in range(level.size):
        level[p] = min(max(level[p], here - _MAX_DROP), here + _MAX_DROP) - here
    here = 0.0
    for i in range(d):
        up, down = level[1 + 2 * i], level[2 + 2 * i]
        slope[i] = 0.5 * (up - down) / distance[i]
        bend = (2.0 * here - up - down) / (distance[i] * distance[i])
        curvature[i * d + i] = max(bend, _MIN_CURVATURE)
    at = 1 + 2 * d
    for i in range(d):
        for k in range(i):
            both = level[at] - level[1 + 2 * i] + here - level[1 + 2 * k]
            curvature[i * d + k] = curvature[k * d + i] = -both / (distance[i] * distance[k])
            at += 1


def find_mode(max_steps: int, task: Task) -> float:
    """Climb from the row of the mode, and write the inverse curvature behind the curvature.

    A template. Returns the logarithm of the density there. The rows of the first points are used
    as scratch.
    """
    work = task.work
    d = int(task.options[_OWN.n_free])
    mode = work[ROWS.mode : ROWS.mode + d]
    z = work[ROWS.z : ROWS.shape]
    curvature = work[ROWS.matrix : ROWS.matrix + d * d]
    inverse = work[ROWS.matrix + d * d : ROWS.matrix + 2 * d * d]
    factor = work[ROWS.matrix + 2 * d * d : ROWS.matrix + 3 * d * d]
    slope = work[ROWS.vector : ROWS.vector + d]
    distance = work[ROWS.vector + d : ROWS.vector + 2 * d]
    before = work[ROWS.vector + 2 * d : ROWS.vector + 3 * d]
    step = work[ROWS.vector + 3 * d : ROWS.vector + 4 * d]
    for i in range(d):
        distance[i] = _FIRST_DISTANCE
        before[i] = mode[i]
    best = -math.inf
    for number in range(max_steps):
        count = _lay_stencil(d, mode, distance, z)
        for start in range(0, count, LANES):
            evaluate(start, task)
        here = work[ROWS.log_target]
        if here < best - 1e-9 * abs(best):
            # Too far: back by half the step, or to where it was best.
            for i in range(d):
                step[i] *= 0.3
                mode[i] = before[i] + (step[i] if number < max_steps - 2 else 0.0)
            continue
        best = here
        _parabola(d, distance, work[ROWS.log_target : ROWS.log_target + count], slope, curvature)
        share = 1.0
        for _ in range(_MAX_HALVINGS):
            if _cholesky(d, share, curvature, factor):
                break
            share *= 0.7
        share = share if _cholesky(d, share, curvature, factor) else 0.0
        for i in range(d):
            for k in range(i):
                curvature[i * d + k] *= share
                curvature[k * d + i] *= share
        _cholesky(d, 1.0, curvature, factor)
        _invert(d, factor, inverse)
        longest, furthest = 1.0, 0.0
        for i in range(d):
            step[i] = 0.0
            for k in range(d):
                step[i] += inverse[i * d + k] * slope[k]
            longest = max(longest, abs(step[i]) / _MAX_STEP)
            furthest = max(furthest, abs(step[i]) * math.sqrt(curvature[i * d + i]))
        for i in range(d):
            before[i] = mode[i]
            step[i] /= longest
            mode[i] += step[i]
            wide = 1.0 / math.sqrt(curvature[i * d + i])
            distance[i] = min(_DISTANCE * wide, _MAX_DISTANCE)
        if number > 0 and furthest < _LAST_STEP:
            break
    return best
