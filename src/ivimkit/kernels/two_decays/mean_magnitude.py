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

from ivimkit.kernels.device import device
from ivimkit.kernels.exponential import exp
from ivimkit.kernels.mean_excess import MIN_SHARE_IN_AIR, mean_excess
from ivimkit.kernels.two_decays.descent import squared_residual
from ivimkit.kernels.two_decays.fitted_decays import UNFINISHED, Box, Fit, with_cost
from ivimkit.kernels.two_decays.option_positions import DEGREES, N_SLOW
from ivimkit.kernels.two_decays.profile import search_rows_in_kernel
from ivimkit.kernels.two_decays.search import global_fit
from ivimkit.kernels.voxel import Voxel, with_signal

__all__ = ["mean_magnitude_fit", "mean_magnitude_scratch"]

_MAX_ROUNDS = 60
# Largest change of the signal, in squared standard deviations of a mean, that ends the iteration.
_AGREEMENT_TOLERANCE = 1e-12
# Noise variance over the mean square of the signal below which the noise is rounding.
_MIN_VARIANCE_SHARE = 1e-12


def mean_magnitude_scratch(n_b: int, search: int) -> int:
    """Return how many numbers of scratch `mean_magnitude_fit` needs, with those of the search."""
    return search + n_b


@device
def mean_magnitude_fit(
    voxel: Voxel, coils: float, floor: float, first: int, box: Box
) -> tuple[Fit, float]:
    """Fit means of magnitudes inside the bounds.

    Parameters
    ----------
    voxel : Voxel
        As for `ivimkit.kernels.two_decays.search.global_fit`, with means of magnitudes as its
        signal, and scratch of `mean_magnitude_scratch`. Where sigma, the standard deviation of the
        noise in each channel of one volume, is not > 0, it is estimated, too.
    coils : float
        Number of coils whose squares were added: 1 is Rician noise.
    floor : float
        Noise of one volume that sizes the floor, a.u.; 0 for that of the voxel.
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
        noise = floor if floor > 0.0 else math.sqrt(variance)
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
                above = mean_excess(ratio, j, options, first)
                # Relative variance of a magnitude: its mean square is A^2 + 2 L for a noise of 1
                # and its mean A + above, so it is 2 L - above (2 A + above). It tends to 1 at high
                # signal.
                share = 2.0 * coils - above * (2.0 * ratio + above)
                share = min(max(share, MIN_SHARE_IN_AIR), 1.0)
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
