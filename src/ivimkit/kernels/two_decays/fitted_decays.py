"""A fit of two decays: its bounds, its result, and how it ended."""

from __future__ import annotations

from typing import NamedTuple

from ivimkit.kernels.device import device, inlined

__all__ = [
    "CONVERGED",
    "INSTANT_RATE",
    "MERGED",
    "MIN_RATE_RATIO",
    "UNFINISHED",
    "Box",
    "Fit",
    "alone",
    "better",
    "known_rates",
    "ordered",
    "survivor",
    "with_cost",
    "with_end",
]

CONVERGED = 0
"""End of a fit: it is a minimum inside the bounds."""

MERGED = 1
"""End of a fit: the two rates have merged."""

UNFINISHED = 2
"""End of a fit: not a minimum, or stopped on the way to one that is known or cannot win."""


class Box(NamedTuple):
    """Lower and upper bounds of S0, f, fast rate and slow rate; equal bounds fix a parameter."""

    s0_low: float
    s0_high: float
    f_low: float
    f_high: float
    fast_low: float
    fast_high: float
    slow_low: float
    slow_high: float


class Fit(NamedTuple):
    """Rates and amplitudes of a fit, its cost, and how it ended.

    Parameters
    ----------
    slow, fast : float
        The two rates in mm^2/s.
    slow_amplitude, fast_amplitude : float
        Their signals at b = 0, a.u.
    cost : float
        Weighted sum of squared residuals.
    slow_seen, fast_seen : float
        Squared amplitudes over their variances, for a noise variance of 1.
    iterations : int
        Passes over the b-values.
    end : int
        `CONVERGED`, `MERGED` or `UNFINISHED`.
    """

    slow: float
    fast: float
    slow_amplitude: float
    fast_amplitude: float
    cost: float
    slow_seen: float
    fast_seen: float
    iterations: int
    end: int


INSTANT_RATE = 1e9
"""Rate in mm^2/s of a compartment without signal at any b > 0."""
MIN_RATE_RATIO = 1.02
"""Rates with a smaller ratio are treated as one decay."""


@inlined
def ordered(box: Box) -> Box:
    """Return the bounds with the free rate kept on its side of a given rate.

    Two free rates are distinguished by their order alone, so whichever is larger is D*. A given
    rate cannot change places, so the free one must not cross it.
    """
    s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high = box
    if r1_low == r1_high:
        r2_low = min(max(r2_low, MIN_RATE_RATIO * r1_low), r2_high)
    elif r2_low == r2_high:
        r1_high = max(min(r1_high, r2_low / MIN_RATE_RATIO), r1_low)
    return Box(s0_low, s0_high, f_low, f_high, r2_low, r2_high, r1_low, r1_high)


@inlined
def survivor(r1: float, box: Box) -> int:
    """Return which decay is refitted alone after two have merged: 1 slow, 2 fast, 0 neither.

    The bounds decide: a single decay is the slow one if f = 0 is allowed, unless its rate is at
    the upper bound of the slow rate and f = 1 is allowed, too; then it is the fast one. In the
    refit the rate of the absent decay is far away (`alone`), so that the two cannot merge again.
    """
    if box.f_low == 0.0 and (r1 < box.slow_high or box.f_high < 1.0):
        return 1
    return 2 if box.f_high == 1.0 else 0


@inlined
def alone(which: int, box: Box) -> Box:
    """Return the bounds of a fit with one decay: 1 the slow one, 2 the fast one."""
    s0_low, s0_high, _, _, r2_low, r2_high, r1_low, r1_high = box
    if which == 1:
        return Box(s0_low, s0_high, 0.0, 0.0, INSTANT_RATE, INSTANT_RATE, r1_low, r1_high)
    return Box(s0_low, s0_high, 1.0, 1.0, r2_low, r2_high, 0.0, 0.0)


@device
def better(first: Fit, second: Fit) -> Fit:
    """Return the fit with the lower cost, with the iterations of both."""
    n = first.iterations + second.iterations
    f = (
        second
        if second.cost < first.cost or (second.cost == first.cost and second.end == CONVERGED)
        else first
    )
    return Fit(
        f.slow, f.fast, f.slow_amplitude, f.fast_amplitude, f.cost, f.slow_seen, f.fast_seen, n,
        f.end,
    )  # fmt: skip


@inlined
def with_end(fit: Fit, end: int) -> Fit:
    """Return the fit with another end."""
    return Fit(
        fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude, fit.cost, fit.slow_seen,
        fit.fast_seen, fit.iterations, end,
    )  # fmt: skip


@inlined
def with_cost(fit: Fit, cost: float, iterations: int) -> Fit:
    """Return the fit with another sum of squares and number of iterations."""
    return Fit(
        fit.slow, fit.fast, fit.slow_amplitude, fit.fast_amplitude, cost, fit.slow_seen,
        fit.fast_seen, iterations, fit.end,
    )  # fmt: skip


@inlined
def known_rates(fit: Fit) -> tuple[float, float]:
    """Return the rates of a minimum that need not be found again; negative if it is not one."""
    if fit.slow_amplitude > 0.0 and fit.fast_amplitude > 0.0 and fit.end == CONVERGED:
        return fit.slow, fit.fast
    return -1.0, -1.0
