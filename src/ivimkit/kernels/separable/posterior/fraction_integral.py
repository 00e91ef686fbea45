"""The integral of the posterior over S0 and the first fraction, for a block of points.

At given shapes the signal is S0 phi with phi = (1-s) a + s e, where e is the atom of the first
compartment, s its fraction, and a the mean of the other atoms by their shares. S0 is integrated
out in closed form, as for two decays: with c = <y, phi> and q = <phi, phi> the likelihood of s is
q^(-1/2) exp((c^2/q - <y, y>) / (2 sigma^2)), or the power for an unknown variance.

In the plane of the two atoms let u be the data and t the angle of phi from it. Then c^2/q =
|u|^2 cos^2 t: the likelihood is nearly a Gaussian of the angle, whatever the atoms. As the area
between phi and its neighbour is q dt = ds h |a|, with h the height of e above a,

    int ds q^(-1/2) L = int dt q^(1/2) / (h |a|) L.

With x = tan t, the direction of phi is d = (u1 - x u2, u2 + x u1), whose norm is |u| (1 +
x^2)^(1/2), and with l the component of e along a, e = h d1 + (|a| - l) d2:

    s = |a| d2 / e,    q^(1/2) = h |a| |d| / e,    dt = dx / (1 + x^2).

The nodes are in the middle of equal steps of x, in the range where the likelihood is not
negligible. All of them are shifted by the same part of a step, another one at each point, so that
the sum over the points is that of a much finer rule. A fraction is drawn at every point, too: its
quantiles are those of the drawn ones.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import finite
from ivimkit.kernels.exponential import exp, log
from ivimkit.kernels.separable.posterior.point_rows import LANES, N_DRAWS, N_NODES, BlockRow

__all__ = ["at_one_fraction", "over_fractions"]

_ROW = BlockRow()
_G_REST, _G_BOTH, _G_FIRST = (r * LANES for r in (_ROW.g_rest, _ROW.g_both, _ROW.g_first))
_P_REST, _P_FIRST = _ROW.p_rest * LANES, _ROW.p_first * LANES
_LOW, _HIGH, _VALID = _ROW.low * LANES, _ROW.high * LANES, _ROW.valid * LANES
_SHIFT, _DRAW = _ROW.shift * LANES, _ROW.draw * LANES
_SIZE, _ALONG, _ACROSS = _ROW.size * LANES, _ROW.along * LANES, _ROW.across * LANES
_LENGTH, _LEAN, _HEIGHT = _ROW.length * LANES, _ROW.lean * LANES, _ROW.height * LANES
_GAIN, _START, _STEP = _ROW.gain * LANES, _ROW.start * LANES, _ROW.step * LANES
_TOTAL, _S, _SS, _S0, _S0_SQUARE = (
    r * LANES for r in (_ROW.total, _ROW.s, _ROW.ss, _ROW.s0, _ROW.s0_square)
)
_INVERSE, _GAINS, _LOG_TARGET = (r * LANES for r in (_ROW.inverse, _ROW.gains, _ROW.log_target))
_TANGENT, _WEIGHT, _FRACTION = (r * LANES for r in (_ROW.tangent, _ROW.weight, _ROW.fraction))
_BELOW, _DENSITY, _NODES = _ROW.below * LANES, _ROW.density * LANES, _ROW.nodes * LANES
_EDGE, _INVERSE_EDGE = _ROW.edge * LANES, _ROW.inverse_edge * LANES
_RATIO, _PER_EDGE = _ROW.ratio * LANES, _ROW.per_edge * LANES
_LEVEL, _OFFSET = _ROW.prior_level * LANES, _ROW.prior_shift * LANES
_FACTOR, _DRAWN = _ROW.factor * LANES, _ROW.drawn * LANES

# The nodes reach to where the likelihood of a fraction has fallen by exp(-_REACH).
_REACH = 8.5
# Tangents are cut off here: 88 degrees from the data.
_MAX_TANGENT = 30.0
_FAR = 1e6
# Squared sine of the angle between the two atoms, below which they are one.
_MIN_HEIGHT = 1e-13
# A fraction nearer to 0 or 1 is treated as this far away in a prior of its logit.
_MIN_FRACTION = 1e-7
# Logarithm of the target where nothing is explained.
_NOTHING = -1e30
# Lowest argument of an exponential.
_LOWEST = -700.0


@finite
def _log_likelihood(gain: float, top: float, inverse: float, power: float) -> float:
    drop = (top - gain) * inverse
    if power > 0.0:
        return -power * log(max(1.0 + drop, 0.5))
    return -drop


@finite
def over_fractions(
    n_others: int,
    noise: tuple[float, float, float],
    prior: NDArray[np.float64],
    n_prior: int,
    stride: int,
    block: NDArray[np.float64],
) -> None:
    """Write the logarithm of the target, and what is known of S0 and the fraction, of a block.

    Parameters
    ----------
    n_others : int
        Compartments besides the first and the last: the density of the fraction on the simplex
        is (1-s)^n_others.
    noise : tuple of float
        Gain of the best fit, and the numbers of `ivimkit.kernels.two_decays.lattice.variance`.
    prior : ndarray
        The prior; the last number of each Gaussian is how fast it falls with the logit of s.
    n_prior, stride : int
        Number of its Gaussians, and of the numbers of each.
    block : ndarray
        The rows of `BlockRow`.
    """
    top, inverse, power = noise
    per_drop = math.exp(min(_REACH / power, 30.0)) - 1.0 if power > 0.0 else 0.0
    for i in range(LANES):
        a = math.sqrt(block[_G_REST + i])
        lean = block[_G_BOTH + i] / a
        height = math.sqrt(
            max(block[_G_FIRST + i] - lean * lean, _MIN_HEIGHT * block[_G_FIRST + i])
        )
        u1 = block[_P_REST + i] / a
        u2 = (block[_P_FIRST + i] - lean * u1) / height
        size = max(u1 * u1 + u2 * u2, 1e-280)
        low, high = block[_LOW + i], block[_HIGH + i]
        # Where the ends of the range of s are, seen from the data.
        x, y = (1.0 - low) * a + low * lean, low * height
        c, turn = u1 * x + u2 * y, u1 * y - u2 * x
        away = _FAR if turn > 0.0 else -_FAR
        from_x = turn / c if c > 0.0 else away
        x, y = (1.0 - high) * a + high * lean, high * height
        c, turn = u1 * x + u2 * y, u1 * y - u2 * x
        away = _FAR if turn > 0.0 else -_FAR
        to_x = turn / c if c > 0.0 else away
        nearest = min(max(0.0, from_x), to_x)
        gain = size / (1.0 + nearest * nearest)
        drop = (1.0 / inverse + top - gain) * per_drop if power > 0.0 else _REACH / inverse
        left = gain - drop
        reach = math.sqrt(max(size / max(left, 1e-3 * size) - 1.0, 0.0))
        reach = min(reach, _MAX_TANGENT)
        from_x, to_x = max(from_x, -reach), min(to_x, reach)
        seen = nearest < _MAX_TANGENT and nearest > -_MAX_TANGENT and high > low
        seen = seen and to_x > from_x and block[_VALID + i] > 0.0
        # What does not count must not be infinite: it is multiplied by 0.
        block[_VALID + i] = 1.0 if seen else 0.0
        block[_LENGTH + i] = a if seen else 1.0
        block[_LEAN + i] = a - lean if seen else 1.0
        block[_HEIGHT + i] = height if seen else 1.0
        block[_ALONG + i] = u1 if seen else 1.0
        block[_ACROSS + i] = u2 if seen else 0.0
        block[_SIZE + i] = size if seen else 1.0
        block[_GAIN + i] = gain if seen else 1.0
        block[_RATIO + i] = 1.0 / (1.0 / inverse + top - gain) if seen else 1.0
        block[_PER_EDGE + i] = 1.0 / (height * a) if seen else 1.0
        block[_START + i] = from_x if seen else 0.0
        block[_STEP + i] = (to_x - from_x) / N_NODES if seen else 0.1
        block[_TOTAL + i] = block[_S + i] = block[_SS + i] = 0.0
        block[_S0 + i] = block[_S0_SQUARE + i] = 0.0
        block[_INVERSE + i] = block[_GAINS + i] = 0.0
    for node in range(N_NODES):
        for i in range(LANES):
            x = block[_START + i] + (node + block[_SHIFT + i]) * block[_STEP + i]
            one = block[_ALONG + i] - x * block[_ACROSS + i]
            two = block[_ACROSS + i] + x * block[_ALONG + i]
            edge = block[_HEIGHT + i] * one + block[_LEAN + i] * two
            inverse_edge = 1.0 / edge
            block[_TANGENT + i] = x
            block[_EDGE + i], block[_INVERSE_EDGE + i] = edge, inverse_edge
            block[_FRACTION + i] = min(max(block[_LENGTH + i] * two * inverse_edge, 0.0), 1.0)
            block[_DENSITY + i] = 1.0
        if n_prior > 0:
            _prior_density(prior, n_prior, stride, block)
        for _ in range(n_others):
            if n_prior == 0:
                for i in range(LANES):
                    block[_DENSITY + i] *= 1.0 - block[_FRACTION + i]
        masses = block[_NODES + node * LANES : _NODES + (node + 1) * LANES]
        for i in range(LANES):
            x, s = block[_TANGENT + i], block[_FRACTION + i]
            cosine = 1.0 / (1.0 + x * x)
            gain = block[_SIZE + i] * cosine
            less = block[_GAIN + i] - gain
            if power > 0.0:
                likelihood = exp(-power * log(1.0 + max(less * block[_RATIO + i], 0.0)))
            else:
                likelihood = exp(max(-less * inverse, _LOWEST))
            mass = likelihood * block[_DENSITY + i] * math.sqrt(gain) * block[_INVERSE_EDGE + i]
            # q^(1/2) = h |a| |d| / e, and S0 = c / q = |u| cos t / q^(1/2).
            per_edge = block[_EDGE + i] * block[_PER_EDGE + i]
            s0 = cosine * per_edge
            masses[i] = mass
            block[_TOTAL + i] += mass
            block[_S + i] += mass * s
            block[_SS + i] += mass * s * s
            block[_S0 + i] += mass * s0
            block[_S0_SQUARE + i] += mass * s0 * s0
            block[_INVERSE + i] += mass * s0 * per_edge / block[_SIZE + i]
            block[_GAINS + i] += mass * gain
    for number in range(N_DRAWS):
        _draw(number, block)
    for i in range(LANES):
        total = block[_TOTAL + i]
        good = block[_VALID + i] > 0.0 and total > 0.0
        total = total if good else 1.0
        block[_S + i] /= total
        block[_SS + i] /= total
        block[_S0 + i] /= total
        block[_S0_SQUARE + i] /= total
        block[_INVERSE + i] /= total
        block[_GAINS + i] /= total
        found = log(max(total * block[_STEP + i] * block[_FACTOR + i], 1e-300))
        found += _log_likelihood(block[_GAIN + i], top, inverse, power)
        block[_LOG_TARGET + i] = found if good else _NOTHING


@finite
def _prior_density(
    prior: NDArray[np.float64], n_prior: int, stride: int, block: NDArray[np.float64]
) -> None:
    """Write the density of a mixture at the fractions of a block.

    The density is one of logit s, and ds = s (1-s) d logit s.
    """
    for i in range(LANES):
        s = min(max(block[_FRACTION + i], _MIN_FRACTION), 1.0 - _MIN_FRACTION)
        block[_WEIGHT + i] = log(s / (1.0 - s))
        block[_BELOW + i] = 0.0
    for k in range(n_prior):
        slope = prior[k * stride + stride - 1]
        offsets = block[_OFFSET + k * LANES : _OFFSET + (k + 1) * LANES]
        levels = block[_LEVEL + k * LANES : _LEVEL + (k + 1) * LANES]
        for i in range(LANES):
            off = offsets[i] + slope * block[_WEIGHT + i]
            level = levels[i] - 0.5 * off * off
            block[_BELOW + i] += exp(max(level, _LOWEST))
    for i in range(LANES):
        s = min(max(block[_FRACTION + i], _MIN_FRACTION), 1.0 - _MIN_FRACTION)
        block[_DENSITY + i] = block[_BELOW + i] / (s * (1.0 - s))


@finite
def _draw(number: int, block: NDArray[np.float64]) -> None:
    """Write the fraction of the node below which the wanted share of the mass is.

    As the nodes are shifted by another part of a step at every point, what is drawn at all points
    has the distribution of the fraction. The shares of all draws of a point are apart by equal
    parts.
    """
    drawn = block[_DRAWN + number * LANES : _DRAWN + (number + 1) * LANES]
    for i in range(LANES):
        share = block[_DRAW + i] + number / N_DRAWS
        block[_WEIGHT + i] = (share if share < 1.0 else share - 1.0) * block[_TOTAL + i]
        block[_TANGENT + i] = block[_START + i] + block[_SHIFT + i] * block[_STEP + i]
    for node in range(N_NODES - 1):
        masses = block[_NODES + node * LANES : _NODES + (node + 1) * LANES]
        for i in range(LANES):
            left = block[_WEIGHT + i] - masses[i]
            block[_TANGENT + i] += block[_STEP + i] if left >= 0.0 else 0.0
            block[_WEIGHT + i] = left
    for i in range(LANES):
        x = block[_TANGENT + i]
        one = block[_ALONG + i] - x * block[_ACROSS + i]
        two = block[_ACROSS + i] + x * block[_ALONG + i]
        edge = block[_HEIGHT + i] * one + block[_LEAN + i] * two
        drawn[i] = min(max(block[_LENGTH + i] * two / edge, block[_LOW + i]), block[_HIGH + i])


@finite
def at_one_fraction(
    noise: tuple[float, float, float],
    fraction: float,
    n_prior: int,
    block: NDArray[np.float64],
) -> None:
    """Do the same for a model without a fraction, or with one that is fixed."""
    top, inverse, power = noise
    for i in range(LANES):
        block[_DENSITY + i] = 1.0 if n_prior == 0 else 0.0
    for k in range(n_prior):
        levels = block[_LEVEL + k * LANES : _LEVEL + (k + 1) * LANES]
        for i in range(LANES):
            block[_DENSITY + i] += exp(max(levels[i], _LOWEST))
    for i in range(LANES):
        r = 1.0 - fraction
        g = r * r * block[_G_REST + i] + fraction * (
            2.0 * r * block[_G_BOTH + i] + fraction * block[_G_FIRST + i]
        )
        c = r * block[_P_REST + i] + fraction * block[_P_FIRST + i]
        good = block[_VALID + i] > 0.0 and c > 0.0 and g > 0.0
        g = g if good else 1.0
        c = c if good else 1.0
        gain = c * c / g
        block[_S + i] = fraction
        block[_SS + i] = fraction * fraction
        block[_S0 + i] = c / g
        block[_S0_SQUARE + i] = c * c / (g * g)
        block[_INVERSE + i] = 1.0 / g
        block[_GAINS + i] = gain
        found = log(max(block[_DENSITY + i] * block[_FACTOR + i], 1e-300)) - 0.5 * log(g)
        found += _log_likelihood(gain, top, inverse, power)
        block[_LOG_TARGET + i] = found if good else _NOTHING
    for number in range(N_DRAWS):
        drawn = block[_DRAWN + number * LANES : _DRAWN + (number + 1) * LANES]
        for i in range(LANES):
            drawn[i] = fraction
