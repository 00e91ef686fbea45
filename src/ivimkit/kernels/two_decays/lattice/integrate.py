"""The posterior of a sum of two decays on a lattice that covers where it is not negligible.

For given rates r1, r2 and fraction f the signal is S0 phi with phi = (1-f) e1 + f e2, so S0 is
integrated out in closed form. With c = <y, phi> and q = <phi, phi>,

    <y - S0 phi, y - S0 phi> = <y, y> - c^2/q + q (S0 - c/q)^2,

so S0 is normal with the mean c/q and the variance sigma^2/q, and the likelihood of (r1, r2, f) is
q^(-1/2) exp((c^2/q - <y, y>) / (2 sigma^2)). An unknown noise variance has a scaled inverse
chi-squared prior (with 0 degrees of freedom: Jeffreys' prior) and is integrated out, too: the
exponential becomes a power (`variance`).

The lattice is uniform in changes of variable of r1, ln r2 and f (`axes`). On a smooth density that
has died away at its ends such a rule converges exponentially once the spacing is below the width
of the density.

What depends on a pair of rates alone is computed in double precision (`pairs`). What is left for
each node is a number of the size of the logarithm of the likelihood, so the sums over the fraction
are in single precision, all nodes of a pair side by side. Means and variances are those of
distances from a centre, near the best fit: the variance of a number that is known to a thousandth
is the difference of squares a million times as large.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device, finite, inlined
from ivimkit.kernels.exponential import exp, exp_single, log, log_single
from ivimkit.kernels.memory import spot
from ivimkit.kernels.two_decays.lattice.axes import (
    Axis,
    Extent,
    axis_between,
    fill_axis,
    is_open,
    place_among_knots,
    weigh_ends,
)
from ivimkit.kernels.two_decays.lattice.counting_pairs import (
    ends_count,
    fraction_range,
    fraction_spread,
)
from ivimkit.kernels.two_decays.lattice.pairs import (
    Likelihood,
    fill_pairs,
    fill_products,
    root_single,
)
from ivimkit.kernels.two_decays.lattice.prior_knots import Prior
from ivimkit.kernels.two_decays.lattice.scratch_rows import (
    FAST_COORDINATE,
    FAST_KNOT,
    FAST_MARGINAL,
    FAST_PART,
    FAST_PLACE,
    FAST_RATE,
    FAST_STEP,
    FRACTION,
    FRACTION_KNOT,
    FRACTION_PART,
    FRACTION_STEP,
    LANES,
    LOGIT,
    ROW,
    SLOW_COORDINATE,
    SLOW_KNOT,
    SLOW_MARGINAL,
    SLOW_PART,
    SLOW_PLACE,
    SLOW_RATE,
    SLOW_STEP,
    Room,
)
from ivimkit.kernels.two_decays.lattice.single_rows import (
    BASE,
    COLUMN,
    CUT,
    DOT,
    DOT_SLOPE,
    DROP_SUM,
    FAST_SQUARES,
    FAST_SUMS,
    HIGH,
    INVERSE_SUM,
    KNOT_PART,
    LINE_SUM,
    LOW,
    MASS,
    N_NODE_SUMS,
    NORM,
    NORM_CURVE,
    NORM_SLOPE,
    OFFSET,
    PRIOR_VALUE,
    S0_SQUARES,
    S0_SUMS,
    SLOPE,
    SLOW_SUMS,
    VALUE,
)
from ivimkit.kernels.two_decays.lattice.sums import Centre, Moments, collected, outside

__all__ = ["integrate"]

# A fraction or rate nearer to 0 or 1 is treated as this far away, so that its logarithm is finite.
_MIN_RATE = 1e-7
_MIN_FRACTION = 1e-6
# Logarithm of the density of a component of a prior, per unit of the logarithms, below which it is
# negligible.
_MIN_LOG_DENSITY = -60.0
# Width of the axis of the fraction, in standard deviations of its posterior.
_FRACTION_WIDTH = 4.0
_FAR = np.float32(1e30)
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


class _Pair(NamedTuple):
    """The numbers of a pair, see `ivimkit.kernels.two_decays.lattice.pairs.fill_pairs`.

    They are read before the loop over the fractions: what the loop writes might else be one of
    them.
    """

    base: np.float32
    slope: np.float32
    cut: np.float32
    norm: np.float32
    norm_slope: np.float32
    norm_curve: np.float32
    dot: np.float32
    dot_slope: np.float32


@inlined
def _pair(at: int, single: NDArray[np.float32]) -> _Pair:
    return _Pair(
        single[BASE + at], single[SLOPE + at], single[CUT + at], single[NORM + at],
        single[NORM_SLOPE + at], single[NORM_CURVE + at], single[DOT + at],
        single[DOT_SLOPE + at],
    )  # fmt: skip


@inlined
def _drop(z: np.float32, pair: _Pair) -> tuple[np.float32, np.float32, np.float32]:
    """Return 1/q, the drop below the best fit and <y, phi> of a pair at a distance z."""
    inverse = _ONE / (pair.norm + z * (pair.norm_slope + z * pair.norm_curve))
    line = pair.slope * z + pair.cut
    drop = pair.base + line * line * inverse
    return inverse, drop if drop > _ZERO else _ZERO, pair.dot + z * pair.dot_slope


@inlined
def _keep(
    k: int,
    value: np.float32,
    inverse: np.float32,
    drop: np.float32,
    dot: np.float32,
    distance: np.float32,
    s0: np.float32,
    single: NDArray[np.float32],
) -> np.float32:
    """Add a node to the sums, if its S0 is above 0; return its posterior."""
    value = value if dot > _ZERO else _ZERO
    off = dot * inverse - s0
    single[spot(VALUE, k)] = value
    single[spot(LINE_SUM, k)] += value
    single[spot(FAST_SUMS, k)] += distance * value
    single[spot(FAST_SQUARES, k)] += distance * distance * value
    single[spot(S0_SUMS, k)] += off * value
    single[spot(S0_SQUARES, k)] += off * off * value
    single[spot(INVERSE_SUM, k)] += inverse * value
    single[spot(DROP_SUM, k)] += drop * value
    return value


@finite
def _add_pair(
    at: int,
    first: int,
    last: int,
    power: np.float32,
    area: np.float32,
    distance: np.float32,
    s0: np.float32,
    single: NDArray[np.float32],
) -> np.float32:
    """Add the posterior of a pair at all fractions to the sums; return its sum.

    Parameters
    ----------
    at : int
        The pair.
    first, last : int
        The fractions that count, a multiple of `LANES`.
    power : float32
        Of the likelihood.
    area : float32
        Factor of the prior.
    distance : float32
        Of the fast rate from the centre.
    s0 : float32
        S0 of the centre.
    single : ndarray
        The scratch of a lattice, with the prior in row `PRIOR_VALUE`.
    """
    pair = _pair(at, single)
    total = _ZERO
    for block in range(first, last, LANES):
        if power > _ZERO:
            for k in range(LANES):
                inverse, drop, dot = _drop(single[spot(OFFSET + block, k)], pair)
                value = exp_single(-power * log_single(_ONE + drop))
                value *= area * single[spot(PRIOR_VALUE + block, k)] * root_single(inverse)
                total += _keep(block + k, value, inverse, drop, dot, distance, s0, single)
        else:
            for k in range(LANES):
                inverse, drop, dot = _drop(single[spot(OFFSET + block, k)], pair)
                value = exp_single(-drop)
                value *= area * single[spot(PRIOR_VALUE + block, k)] * root_single(inverse)
                total += _keep(block + k, value, inverse, drop, dot, distance, s0, single)
    return total


@finite
def _window(
    n3: int, low: np.float32, high: np.float32, single: NDArray[np.float32]
) -> tuple[int, int]:
    """Return the nodes of the fraction that a pair needs: all, or `LANES` that contain its own."""
    if n3 == LANES:
        return 0, LANES
    below, inside = _ZERO, _ZERO
    for k in range(ROW):
        z = single[OFFSET + k]
        below += _ONE if z < low else _ZERO
        inside += _ONE if z <= high else _ZERO
    first, last = int(below), int(inside)
    if last - first > LANES:
        return 0, n3
    first = min(max((first + last - LANES) // 2, 0), n3 - LANES)
    return first, first + LANES


@device
def _column(
    i: int,
    j: int,
    n_fast: int,
    first: int,
    last: int,
    density: NDArray[np.float64],
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> None:
    """Write the prior at a pair of nodes and the knots of the fraction from first to last.

    Bilinear between the four knots of the rates around the pair.
    """
    row = int(scratch[SLOW_KNOT + i]) * n_fast + int(scratch[FAST_KNOT + j])
    s, t = scratch[SLOW_PART + i], scratch[FAST_PART + j]
    down = row + n_fast if s > 0.0 else row
    right = 1 if t > 0.0 else 0
    w00, w01, w10, w11 = (1.0 - s) * (1.0 - t), (1.0 - s) * t, s * (1.0 - t), s * t
    for k in range(first, last + 1):
        single[COLUMN + k] = (w00 * density[row, k] + w01 * density[row + right, k]) + (
            w10 * density[down, k] + w11 * density[down + right, k]
        )
    # The last knot has no next one; its part of the way there is 0.
    single[COLUMN + last + 1] = single[COLUMN + last]


@device
def _interpolate(n3: int, scratch: NDArray[np.float64], single: NDArray[np.float32]) -> None:
    """Write the prior of a pair, known at the knots, at the nodes of the fraction."""
    for k in range(n3):
        index = int(scratch[FRACTION_KNOT + k])
        low, high = single[COLUMN + index], single[COLUMN + index + 1]
        single[PRIOR_VALUE + k] = np.float32(scratch[FRACTION_STEP + k]) * (
            low + single[KNOT_PART + k] * (high - low)
        )


@device
def _deposit(
    i: int,
    j: int,
    first: int,
    last: int,
    n_fast: int,
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
    basis: NDArray[np.float64],
) -> None:
    """Add the posterior of a pair to the knots around its nodes, weighted by their nearness.

    The transpose of the interpolation in `_column`: so the integral of likelihood times prior is
    the sum over the knots of density times `basis`, and linear in the density.
    """
    row = int(scratch[SLOW_KNOT + i]) * n_fast + int(scratch[FAST_KNOT + j])
    s, t = scratch[SLOW_PART + i], scratch[FAST_PART + j]
    down = row + n_fast if s > 0.0 else row
    right = 1 if t > 0.0 else 0
    n = basis.shape[1]
    for k in range(n):
        single[COLUMN + k] = 0.0
    for k in range(first, last):
        index, part = int(scratch[FRACTION_KNOT + k]), single[KNOT_PART + k]
        single[COLUMN + index] += (_ONE - part) * single[VALUE + k]
        single[COLUMN + index + 1] += part * single[VALUE + k]
    for k in range(n):
        value = float(single[COLUMN + k])
        basis[row, k] += (1.0 - s) * (1.0 - t) * value
        basis[row + right, k] += (1.0 - s) * t * value
        basis[down, k] += s * (1.0 - t) * value
        basis[down + right, k] += s * t * value


@finite
def _add_component(
    n3: int,
    at_mean: np.float32,
    linear: np.float32,
    curve: np.float32,
    centre: np.float32,
    single: NDArray[np.float32],
) -> None:
    """Add exp(at_mean - z (linear + curve z / 2)) to the prior, z the logit less its centre."""
    for block in range(0, n3, LANES):
        for k in range(LANES):
            z = single[spot(COLUMN + block, k)] - centre
            single[spot(PRIOR_VALUE + block, k)] += exp_single(
                at_mean - z * (linear + _HALF * curve * z)
            )


@device
def _mixture_values(
    n3: int,
    x: float,
    y: float,
    components: NDArray[np.float64],
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> None:
    """Write the prior, a mixture of Gaussians, at a pair and all fractions.

    At a given pair the exponent of a component is a parabola in z = logit f,
    -(p + 2 q z + r z^2) / 2 with r = P33, and its summit says whether it matters at all. The
    logits of the nodes are in the row of the column.
    """
    for k in range(ROW):
        single[PRIOR_VALUE + k] = 0.0
    for n in range(components.shape[0]):
        a, b, c = x - components[n, 1], y - components[n, 2], components[n, 3]
        linear = components[n, 6] * a + components[n, 8] * b
        curve = components[n, 9]
        at_mean = components[n, 0] - 0.5 * (
            a * (components[n, 4] * a + 2.0 * components[n, 5] * b) + components[n, 7] * b * b
        )
        summit = at_mean + (0.5 * linear * linear / curve if curve > 0.0 else 0.0)
        if summit < _MIN_LOG_DENSITY:
            continue
        # Around its summit, as both parts of the exponent may be large.
        if curve > 0.0:
            c -= linear / curve
        _add_component(n3, np.float32(summit), _ZERO, np.float32(curve), np.float32(c), single)
    for k in range(n3):
        single[PRIOR_VALUE + k] *= np.float32(scratch[FRACTION_STEP + k])


@device
def _place_fractions(
    axis: Axis,
    n3: int,
    f_low: float,
    f_high: float,
    centre: float,
    takes_logit: bool,
    knots: NDArray[np.float64],
    scratch: NDArray[np.float64],
    single: NDArray[np.float32],
) -> None:
    """Write what all pairs share of the nodes of the fraction."""
    fill_axis(axis, n3, FRACTION, FRACTION_STEP, scratch)
    n_nodes = n3 if is_open(axis) else 1
    weigh_ends(n_nodes, FRACTION_STEP, scratch)
    place_among_knots(knots, n_nodes, FRACTION, FRACTION_KNOT, scratch)
    over = 1.0 / (f_high - f_low) if f_high > f_low else 0.0
    for k in range(ROW):
        single[OFFSET + k], single[KNOT_PART + k], single[PRIOR_VALUE + k] = 0.0, 0.0, 0.0
        single[VALUE + k] = 0.0
        if k >= n_nodes:
            # Behind the last node nothing counts.
            scratch[FRACTION_STEP + k] = 0.0
            scratch[FRACTION_KNOT + k] = 0.0
            scratch[LOGIT + k] = 0.0
            continue
        single[OFFSET + k] = (scratch[FRACTION + k] - f_low) * over - centre
        single[KNOT_PART + k] = scratch[FRACTION_PART + k]
        single[PRIOR_VALUE + k] = scratch[FRACTION_STEP + k]
        if takes_logit:
            f = min(max(scratch[FRACTION + k], _MIN_FRACTION), 1.0 - _MIN_FRACTION)
            scratch[LOGIT + k] = log(f / (1.0 - f))


@device
def integrate(
    b: NDArray[np.float64],
    likelihood: Likelihood,
    nodes: tuple[int, int, int],
    best: tuple[float, float, float],
    spread: tuple[float, float, float],
    s0: float,
    extent: Extent,
    prior: Prior,
    logarithms: bool,
    basis: NDArray[np.float64],
    bounds: Extent,
    room: Room,
) -> tuple[Axis, Axis, Axis, Moments]:
    """Sum the posterior over a lattice; leave marginals in the scratch.

    Parameters
    ----------
    b : ndarray, shape (n_b,)
        b-values in s/mm^2.
    likelihood : Likelihood
        How the likelihood follows from the gain.
    nodes : tuple of int
        Numbers of nodes of slow rate, fast rate and fraction, where they are not fixed; up to
        `MAX_NODES`, that of the slow rate even, that of the fraction a multiple of `LANES`.
    best, spread : tuple of float
        Slow rate, logarithm of the fast rate and fraction of the best fit, and the approximate
        width of the peak around them; infinite if it is not known.
    s0 : float
        S0 of the best fit, in the unit of the signal in the scratch.
    extent : tuple of float
        The box as `locate` returns it, and the ends of the fraction; equal ends fix a parameter.
    prior : Prior
        Its density multiplies the likelihood; without a density it is flat in slow rate, fast rate
        and fraction.
    logarithms : bool
        Whether the moments are those of ln r1, ln r2 and logit f instead of r1, r2 and f.
    basis : ndarray, shape (n_slow * n_fast, n_fraction)
        Receives the integral of the likelihood with the interpolation function of each knot; may
        be of size 0.
    bounds : tuple of float
        Ends as in `extent`. If a pair counts at an end of the box that is not one of these,
        nothing is summed, and the total of the moments is negative.
    room : Room
        Scratch, with the weighted signal. Receives the marginals in rows `SLOW_MARGINAL`,
        `FAST_MARGINAL` and `FRACTION_MARGINAL`, weighted as by `weigh_ends`.

    Returns
    -------
    tuple
        The axes of the lattice and the moments.
    """
    knots1, knots2, knots3 = prior.slow_knots, prior.fast_knots, prior.fraction_knots
    density, components = prior.density, prior.components
    scratch, single = room.rows, room.single
    low1, high1, low2, high2, f_first, f_last = extent
    n1 = nodes[0] if low1 < high1 else 1
    n2 = nodes[1] if low2 < high2 else 1
    n3 = nodes[2] if f_first < f_last else LANES
    axis1 = axis_between(low1, high1, best[0], spread[0])
    axis2 = axis_between(low2, high2, best[1], spread[1])
    fill_axis(axis1, n1, SLOW_PLACE, SLOW_STEP, scratch)
    fill_axis(axis2, n2, FAST_PLACE, FAST_STEP, scratch)
    weigh_ends(n1, SLOW_STEP, scratch)
    weigh_ends(n2, FAST_STEP, scratch)
    fill_products(b, n1, n2, scratch, room.decays)
    place_among_knots(knots1, n1, SLOW_PLACE, SLOW_KNOT, scratch)
    place_among_knots(knots2, n2, FAST_PLACE, FAST_KNOT, scratch)
    length = f_last - f_first
    middle = (best[2] - f_first) / length if length > 0.0 else 0.0
    fill_pairs(n1, n2, f_first, f_last, middle, likelihood, scratch, single)
    if ends_count(n1, n2, extent, bounds, single):
        return axis1, axis2, axis2, outside()
    centre3, spread3 = best[2], spread[2]
    if components.shape[0] == 0 and basis.size == 0 and length > 0.0:
        near, deviation = fraction_spread(
            n1, n2, middle, f_first, length, likelihood, prior, scratch, single
        )
        centre3 = f_first + (middle + near) * length
        spread3 = _FRACTION_WIDTH * deviation * length
    f_low, f_high = fraction_range(n1, n2, single)
    if f_low > f_high:
        f_low, f_high = -middle, 1.0 - middle
    f_low = max(f_first + (middle + f_low) * length, f_first)
    f_high = min(f_first + (middle + f_high) * length, f_last)
    axis3 = axis_between(f_low, f_high, centre3, spread3)
    takes_logs = logarithms or components.shape[0] > 0
    _place_fractions(axis3, n3, f_first, f_last, middle, takes_logs, knots3, scratch, single)
    if components.shape[0] > 0:
        for k in range(ROW):
            single[COLUMN + k] = scratch[LOGIT + k]
            # A density of the logit becomes one of f.
            if f_first < f_last:
                f = min(max(scratch[FRACTION + k], _MIN_FRACTION), 1.0 - _MIN_FRACTION)
                scratch[FRACTION_STEP + k] /= f * (1.0 - f)
    first3, last3 = int(scratch[FRACTION_KNOT]), 0
    if density.size > 0:
        last3 = min(int(scratch[FRACTION_KNOT + n3 - 1]) + 1, knots3.size - 1)
    if not is_open(axis3):
        last3 = 0
    for i in range(ROW):
        scratch[SLOW_MARGINAL + i] = scratch[FAST_MARGINAL + i] = 0.0
    for row in range(N_NODE_SUMS):
        for k in range(ROW):
            single[spot(LINE_SUM + row * ROW, k)] = 0.0
    centre = Centre(best[0], exp(best[1]), best[2], s0)
    if logarithms:
        centre = Centre(log(max(best[0], _MIN_RATE)), best[1], 0.0, s0)
    for j in range(n2):
        y = scratch[FAST_PLACE + j] if logarithms else scratch[FAST_RATE + j]
        scratch[FAST_COORDINATE + j] = y - centre.fast
    power, middle_s0 = np.float32(likelihood.power), np.float32(s0)
    flat = density.size == 0 and components.shape[0] == 0
    product = 0.0
    for i in range(n1):
        r1 = scratch[SLOW_RATE + i]
        log1 = log(max(r1, _MIN_RATE)) if takes_logs else 0.0
        x = (log1 if logarithms else r1) - centre.slow
        scratch[SLOW_COORDINATE + i] = x
        line = across = 0.0
        for j in range(n2):
            at = i * ROW + j
            if single[LOW + at] > single[HIGH + at]:
                continue
            area = scratch[SLOW_STEP + i] * scratch[FAST_STEP + j]
            if components.shape[0] > 0:
                # A density of ln r1 becomes one of r1.
                area /= r1 if n1 > 1 else 1.0
                _mixture_values(n3, log1, scratch[FAST_PLACE + j], components, scratch, single)
            elif flat:
                # Flat in the fast rate itself, but the lattice is in its logarithm: d r2 = r2 d ln
                # r2.
                area *= scratch[FAST_RATE + j] if n2 > 1 and basis.size == 0 else 1.0
            else:
                _column(i, j, knots2.size, first3, last3, density, scratch, single)
                _interpolate(n3, scratch, single)
            y = scratch[FAST_COORDINATE + j]
            first, last = _window(n3, single[LOW + at], single[HIGH + at], single)
            mass = float(
                _add_pair(
                    at, first, last, power, np.float32(area), np.float32(y), middle_s0, single
                )
            )
            if basis.size > 0:
                _deposit(i, j, first, last, knots2.size, scratch, single, basis)
            line += mass
            across += mass * y
            scratch[FAST_MARGINAL + j] += mass
        scratch[SLOW_MARGINAL + i] = line
        product += across * x
        distance = np.float32(x)
        for k in range(ROW):
            value = single[LINE_SUM + k]
            single[MASS + k] += value
            single[SLOW_SUMS + k] += distance * value
            single[LINE_SUM + k] = 0.0
    found = collected(n1, n2, length, logarithms, product, centre, scratch, single)
    return axis1, axis2, axis3, found
