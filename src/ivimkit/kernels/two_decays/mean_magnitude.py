"""Fits of means of several magnitudes, each of which has lost its phase.

The mean of k magnitudes exceeds the signal by as much as one magnitude does on average, however
large k is, and scatters about that by the root of k less. (`magnitude` would treat it as k
magnitudes that all had this value, that is without scatter, and attribute almost the whole signal
to the noise floor.) So the excess at the fitted curve is subtracted from the means, and the rest
is fitted by least squares, in turns, until both agree. Unknown noise is estimated from the
remaining sums of squares, each divided by the relative variance that magnitudes have at that
signal.

References
----------
Gudbjartsson H, Patz S. Magn Reson Med 1995;34:910-914. doi:10.1002/mrm.1910340618
Constantinides CD, Atalar E, McVeigh ER. Magn Reson Med 1997;38:852-857. doi:10.1002/mrm.1910380524
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.noise_floor import geometric_share, magnitude_mean
from ivimkit.kernels.two_decays.descent import squared_residual
from ivimkit.kernels.two_decays.fit import UNFINISHED, Box, Fit, with_cost
from ivimkit.kernels.two_decays.options import DEGREES, N_SLOW
from ivimkit.kernels.two_decays.profile import search_rows_in_kernel
from ivimkit.kernels.two_decays.search import global_fit
from ivimkit.kernels.voxel import Voxel, with_signal

__all__ = ["N_EXCESS", "excess_tables", "mean_magnitude_fit", "mean_magnitude_scratch"]

N_EXCESS = 257
"""Number of entries of each table of `excess_tables`."""
# Signal-to-noise ratio, times the root of the number of coils, from which on the series is enough.
_TABLE_END = 16.0
_MAX_ROUNDS = 60
# Largest change of the signal, in squared standard deviations of a mean, that ends the iteration.
_AGREEMENT_TOLERANCE = 1e-12
# Noise variance over the mean square of the signal below which the noise is rounding.
_MIN_VARIANCE_SHARE = 1e-12
# Variance of a magnitude in air over that of a channel: 2 - pi / 2.
_MIN_SHARE_IN_AIR = 0.429


def excess_tables(
    coils: int, directions: NDArray[np.float64], repeats: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the tables of `mean_magnitude_fit`: the excess of each average over its signal.

    Parameters
    ----------
    coils : int
        Number of coils whose squares were added.
    directions : ndarray, shape (n_b,)
        Number of values whose geometric mean each value of the signal is.
    repeats : ndarray, shape (n_b,)
        Number of volumes averaged arithmetically in each of these.

    Returns
    -------
    ndarray
        The step of the tables, the number of values, where the table of each value starts,
        and the tables: average less signal, for a noise of 1.
    """
    step = _TABLE_END * math.sqrt(coils) / (N_EXCESS - 1)
    signal = np.asarray(step * np.arange(N_EXCESS), dtype=np.float64)
    mean = magnitude_mean(signal, coils)
    kinds = list(dict.fromkeys(zip(directions.tolist(), repeats.tolist(), strict=True)))
    tables = [mean * geometric_share(signal, coils, *kind) - signal for kind in kinds]
    n = directions.size
    first = [
        2.0 + n + N_EXCESS * kinds.index(kind)
        for kind in zip(directions.tolist(), repeats.tolist(), strict=True)
    ]
    return np.concatenate([[step, float(n)], first, *tables])


@device
def _excess(ratio: float, column: int, options: NDArray[np.float64], first: int) -> float:
    """Return the mean of an average less its signal, in units of the noise."""
    place = ratio / options[first]
    start = first + int(options[first + 2 + column])
    if place >= N_EXCESS - 1:
        # Inversely proportional to the signal, like the first term of the series.
        end: float = options[start + N_EXCESS - 1] * (N_EXCESS - 1) / place
        return end
    index = int(place)
    low = options[start + index]
    excess_here: float = low + (place - index) * (options[start + index + 1] - low)
    return excess_here


def mean_magnitude_scratch(n_b: int, search: int) -> int:
    """Return how many numbers of scratch `mean_magnitude_fit` needs, with those of the search."""
    return search + n_b


@device
def mean_magnitude_fit(voxel: Voxel, coils: float, first: int, box: Box) -> tuple[Fit, float]:
    """Fit means of magnitudes inside the bounds.

    Parameters
    ----------
    voxel : Voxel
        As for `ivimkit.kernels.two_decays.search.global_fit`, with means of magnitudes as its
        signal, and scratch of `mean_magnitude_scratch`. Where sigma, the standard deviation of the
        noise in each channel of one volume, is not > 0, it is estimated, too.
    coils : float
        Number of coils whose squares were added: 1 is Rician noise.
    first : int
        Where `excess_tables` starts among the options.
    box : Box
        Bounds.

    Returns
    -------
    fit : Fit
        With the sum of squared residuals of the means as its cost.
    variance : float
        The noise variance of one volume; NaN without a degree of freedom to estimate it.
    """
    b, root_weight, signal, sigma = voxel.x[0], voxel.root_weight, voxel.signal, voxel.sigma
    options, degrees = voxel.options, voxel.options[DEGREES]
    place = search_rows_in_kernel(int(options[N_SLOW])) * voxel.table.shape[1]
    clean = voxel.work[place : place + b.size]
    cleaned = with_signal(voxel, clean)
    known = sigma > 0.0
    total = power = 0.0
    for j in range(b.size):
        clean[j] = signal[j]
        w = root_weight[j] * root_weight[j]
        total += w
        power += w * signal[j] * signal[j]
    fit = global_fit(cleaned, box)
    variance = sigma * sigma if known else math.nan
    if not known and degrees > 0.0:
        variance = fit.cost / degrees
    iterations = fit.iterations
    for _ in range(_MAX_ROUNDS):
        if (
            fit.end == UNFINISHED
            or not fit.slow_amplitude + fit.fast_amplitude > 0.0
            or not variance > _MIN_VARIANCE_SHARE * power / total
        ):
            break
        noise = math.sqrt(variance)
        moved = left = 0.0
        for j in range(b.size):
            w = root_weight[j] * root_weight[j]
            if w > 0.0:
                curve = max(
                    fit.slow_amplitude * exp(-b[j] * fit.slow)
                    + fit.fast_amplitude * exp(-b[j] * fit.fast),
                    0.0,
                )
                ratio = curve / noise
                above = _excess(ratio, j, options, first)
                # Relative variance of a magnitude: its mean square is A^2 + 2 L for a noise of 1
                # and its mean A + above, so it is 2 L - above (2 A + above). It tends to 1 at high
                # signal.
                share = 2.0 * coils - above * (2.0 * ratio + above)
                share = min(max(share, _MIN_SHARE_IN_AIR), 1.0)
                away = signal[j] - curve - noise * above
                left += w * away * away / share
                change = signal[j] - noise * above - clean[j]
                moved = max(moved, w * change * change)
                clean[j] += change
        fit = global_fit(cleaned, box)
        iterations += fit.iterations
        if not known:
            before = variance
            variance = left / degrees
            moved = max(moved, (variance - before) ** 2 / before)
        if moved <= _AGREEMENT_TOLERANCE * variance:
            break
    cost = squared_residual(
        b, root_weight, signal, fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude
    )
    return with_cost(fit, cost, iterations), variance
