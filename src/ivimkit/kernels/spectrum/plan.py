"""What all voxels of a spectrum share: its bins and windows, decays, normal matrix and options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.spectrum.layout import MAX_WINDOWS, Option, scratch_size
from ivimkit.kernels.spectrum.penalty import difference_matrix

__all__ = ["Bins", "Window", "bins_of", "spectrum_plan"]

AT = Option()
# Weight, per root of the sum of the weights, from which fewer bins are at 0 than above it.
_DUAL_FROM = 0.017


@dataclass(frozen=True)
class Window:
    """The range of rates of one compartment.

    Parameters
    ----------
    low, high : float
        Its ends, mm^2/s, 0 < low < high.
    rate, fraction : int
        Positions of its parameters in the model; the fraction is -1 for the reference.
    unseen : int
        Status flag if its signal is not detected; 0 if there is none.
    has_flow : bool
        Whether it has a map of its fraction times its rate.
    """

    low: float
    high: float
    rate: int
    fraction: int = -1
    unseen: int = 0
    has_flow: bool = False


@dataclass(frozen=True, eq=False)
class Bins:
    """The bins of a spectrum, evenly spaced in ln rate inside each window.

    Parameters
    ----------
    rates : ndarray, shape (n_bins,)
        Rates, ascending, mm^2/s.
    first : tuple of int
        The first bin of each window, and at last the number of bins.
    """

    rates: NDArray[np.float64]
    first: tuple[int, ...]


def bins_of(windows: Sequence[Window], n: int) -> Bins:
    """Divide windows into about n cells of equal width in ln rate; a bin is the middle of a cell.

    Parameters
    ----------
    windows : sequence of Window
        Ascending, without an overlap.
    n : int
        Number of bins; a window has at least one, however narrow it is.
    """
    widths = np.array([math.log(one.high / one.low) for one in windows])
    ends = np.rint(n * np.cumsum(widths) / widths.sum()).astype(int)
    numbers = np.maximum(np.diff(ends, prepend=0), 1)
    rates = [
        one.low * np.exp(width * (np.arange(number) + 0.5) / number)
        for one, width, number in zip(windows, widths, numbers, strict=True)
    ]
    return Bins(np.concatenate(rates), (0, *np.cumsum(numbers).tolist()))


def spectrum_plan(
    windows: Sequence[Window],
    bins: Bins,
    b: NDArray[np.float64],
    weight: NDArray[np.float64],
    order: int,
    mu: float,
    more: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return options, table and length of the scratch of a spectrum.

    Parameters
    ----------
    windows : sequence of Window
        The windows, from the slowest to the fastest.
    bins : Bins
        Their bins.
    b : ndarray, shape (n_rows,)
        b-values, padded, s/mm^2.
    weight : ndarray, shape (n_rows,)
        Weights; zero for padding.
    order : {0, 1, 2}
        Order of the differences that are penalised.
    mu : float
        Weight of the penalty.
    more : int
        What is written behind the maps, see `ivimkit.kernels.spectrum.layout`.
    """
    n, n_rows = bins.rates.size, b.size
    root_weight = np.sqrt(weight)
    decays = root_weight * np.exp(-np.outer(bins.rates, b))
    penalty = difference_matrix(order, n)
    gram = decays @ decays.T + mu * mu * (penalty.T @ penalty)
    total = float(weight.sum())
    dual = mu >= _DUAL_FROM * math.sqrt(total)
    # Without much of a penalty the normal matrix is singular.
    inverse = np.linalg.inv(gram) if dual else np.zeros((n, n))
    # Behind the rows of the normal matrix the decays; behind those of its inverse its sums over
    # the windows, which the variances of sums need, and its products with the decays, which the
    # number of effective parameters needs.
    table = np.zeros((2 * n, n + MAX_WINDOWS + n_rows))
    table[:n, :n], table[n:, :n] = gram, inverse
    table[:n, n : n + n_rows] = decays
    table[n:, n + MAX_WINDOWS :] = inverse @ decays
    options = np.zeros(AT.log_rate + n)
    flows = [k for k, one in enumerate(windows) if one.has_flow]
    for place, value in (
        (AT.bins, n),
        (AT.windows, len(windows)),
        (AT.order, order),
        (AT.weight, mu),
        (AT.values, np.count_nonzero(weight)),
        (AT.total_weight, total),
        (AT.dual, dual),
        (AT.influence, (decays * (inverse @ decays)).sum()),
        (AT.more, more),
        (AT.flows, len(flows)),
    ):
        options[place] = value
    for k, one in enumerate(windows[:MAX_WINDOWS]):
        options[AT.first + k], options[AT.end + k] = bins.first[k], bins.first[k + 1]
        options[AT.rate + k], options[AT.fraction + k] = one.rate, one.fraction
        options[AT.middle + k] = math.sqrt(one.low * one.high)
        options[AT.unseen + k] = one.unseen
        own = slice(bins.first[k], bins.first[k + 1])
        table[n:, n + k] = inverse[:, own].sum(axis=1)
        options[AT.spread + k] = inverse[own, own].sum()
    options[AT.flow : AT.flow + len(flows)] = flows
    options[AT.log_rate :] = np.log(bins.rates)
    return options, table, scratch_size(n, n_rows)
