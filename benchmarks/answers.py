"""Answers: checks that the results of every timed method are right before a time is reported."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import DataSet
from benchmarks.reference import Bounds, cost_from, cost_of
from ivimkit.fitting.result import FitResult

__all__ = ["CHECKED", "check_answer"]

CHECKED = (
    "100 voxels of each fit by plain NumPy and scipy: the cost of varpro, trr and the last step "
    "of segmented against least squares from the true values (for one unknown against a fine "
    "scan over it), straight lines against weighted lines by NumPy."
)

_VOXELS = 100
_B_SPLIT = 200.0

Check = Callable[[FitResult, DataSet], None]


def check_answer(result: FitResult, data: DataSet) -> None:
    """Raise if a fit of simulated data is not what its method promises.

    Parameters
    ----------
    result : FitResult
        The fit of `data`, with default bounds and thresholds.
    data : DataSet
        A simulated set.

    Raises
    ------
    AssertionError
        With a description of the error.
    ValueError
        If there is no check of the method yet.
    """
    result.raise_for_status(max_failed=0.001)
    steps = f"{result.method.options()['steps']}" if result.method.name == "segmented" else ""
    key = f"{result.method.name}{steps}, {result.model.name}"
    if key not in _CHECKS:
        raise ValueError(f"there is no check of {key}; the checks are {'; '.join(_CHECKS)}")
    _CHECKS[key](result, data.first(_VOXELS))


def _check_varpro(result: FitResult, data: DataSet) -> None:
    _check_optimum(result, data, _cost_at_truth(result, data), share=0.999)


def _check_trr(result: FitResult, data: DataSet) -> None:
    # A local method: scipy starts at the truth, unlike any user, and may reach a lower minimum.
    _check_optimum(result, data, _cost_at_truth(result, data), share=0.9)


def _check_varpro_sivim(result: FitResult, data: DataSet) -> None:
    d = result.model["D"]
    scanned = [_sivim_cost(data, rate) for rate in np.linspace(d.lower, d.upper, 2001)]
    _check_optimum(result, data, np.min(scanned, axis=0), share=1.0)


def _check_segmented3(result: FitResult, data: DataSet) -> None:
    _check_threshold_line(result, data)
    d_star = result.model["D_star"]
    fixed = _first_params(result, data)
    scanned = []
    for rate in np.geomspace(d_star.lower, d_star.upper, 400):
        tried = fixed.copy()
        tried[:, 2] = np.maximum(rate, fixed[:, 3])
        scanned.append(cost_of(data.bvals, data.signal, tried))
    _check_optimum(result, data, np.min(scanned, axis=0), share=1.0)


def _check_segmented2(result: FitResult, data: DataSet) -> None:
    _, d = _bounded_line(result, "D", data, data.bvals >= _B_SPLIT)
    _compare(result, "D", d)
    f, d_star = (result.model[name] for name in ("f", "D_star"))
    costs = [
        cost_from(
            data.bvals,
            signal,
            start,
            ((f.lower, f.upper), (d_star.lower, d_star.upper), (rate - 1e-12, rate + 1e-12)),
        )
        for signal, start, rate in zip(data.signal, _true_params(data), d, strict=True)
    ]
    # scipy does not know that D* must be above D.
    _check_optimum(result, data, np.array(costs), share=0.98)


def _check_threshold_line(result: FitResult, data: DataSet) -> None:
    intercept, d = _bounded_line(result, "D", data, data.bvals >= _B_SPLIT)
    s0 = data.signal[:, data.bvals == 0.0].mean(axis=1)
    f = result.model["f"]
    _compare(result, "D", d)
    _compare(result, "S0", s0)
    _compare(result, "f", np.clip(1.0 - intercept / s0, f.lower, f.upper))


def _check_adc(result: FitResult, data: DataSet) -> None:
    intercept, adc = _bounded_line(result, "ADC", data, data.bvals >= 0.0)
    _compare(result, "S0", intercept)
    _compare(result, "ADC", adc)


_CHECKS: dict[str, Check] = {
    "varpro, biexp": _check_varpro,
    "varpro, sivim": _check_varpro_sivim,
    "trr, biexp": _check_trr,
    "segmented3, biexp": _check_segmented3,
    "segmented2, biexp": _check_segmented2,
    "loglinear, sivim": _check_threshold_line,
    "loglinear, monoexp": _check_adc,
}


def _first_params(result: FitResult, data: DataSet) -> NDArray[np.float64]:
    return result.params[: data.signal.shape[0]]


def _true_params(data: DataSet) -> NDArray[np.float64]:
    """Return the true S0, f, D* and D, shape (n_voxels, 4)."""
    return np.stack([data.truth[name] for name in ("S0", "f", "D_star", "D")], axis=1)


def _cost_at_truth(result: FitResult, data: DataSet) -> NDArray[np.float64]:
    """Return the cost that scipy reaches from the true values within the bounds of the fit."""
    f, d_star, d = (result.model[name] for name in ("f", "D_star", "D"))
    bounds: Bounds = (f.lower, f.upper), (d_star.lower, d_star.upper), (d.lower, d.upper)
    starts = _true_params(data)
    costs = [cost_from(data.bvals, s, p, bounds) for s, p in zip(data.signal, starts, strict=True)]
    return np.array(costs)


def _check_optimum(
    result: FitResult, data: DataSet, reference: NDArray[np.float64], *, share: float
) -> None:
    """Raise if too few costs reach the reference, or if they do not match the parameters."""
    n = data.signal.shape[0]
    ours = result.maps["cost"][:n]
    if result.model.name == "biexp" and not np.allclose(
        ours, cost_of(data.bvals, data.signal, result.params[:n]), rtol=1e-6
    ):
        raise AssertionError(f"{result.method.name} reports a cost that does not match its fit")
    reached = float(np.mean(ours <= 1.0001 * reference))
    if reached < share:
        raise AssertionError(
            f"{result.method.name} reached the optimum in {reached:.1%} of {n} voxels of "
            f"{data.name}; expected {share:.1%}"
        )


def _compare(result: FitResult, name: str, expected: NDArray[np.float64]) -> None:
    found = result.maps[name][: expected.size]
    if not np.allclose(found, expected, rtol=1e-8, atol=1e-14):
        raise AssertionError(f"{name} of {result.method.name} is not that of NumPy's line")


def _bounded_line(
    result: FitResult, name: str, data: DataSet, used: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return exp(intercept) and rate of the line through ln S, weights S^2, rate in bounds."""
    bvals, signal = data.bvals[used], data.signal[:, used]
    weight, log = signal**2, np.log(signal)
    total = weight.sum(axis=1, keepdims=True)
    b_mean = (weight * bvals).sum(axis=1, keepdims=True) / total
    log_mean = (weight * log).sum(axis=1, keepdims=True) / total
    away = bvals - b_mean
    slope = (weight * away * (log - log_mean)).sum(axis=1) / (weight * away**2).sum(axis=1)
    parameter = result.model[name]
    rate = np.clip(-slope, parameter.lower, parameter.upper)
    return np.exp(log_mean[:, 0] + rate * b_mean[:, 0]), rate


def _sivim_cost(data: DataSet, rate: float) -> NDArray[np.float64]:
    """Return the lowest cost of simplified IVIM with a given D: two amplitudes, in closed form."""
    decay = np.exp(-data.bvals * rate)
    later = data.bvals > 0.0
    amplitude = data.signal[:, later] @ decay[later] / (decay[later] @ decay[later])
    at_zero = data.signal[:, ~later].mean(axis=1)
    # No perfusion if the tissue alone exceeds the signal at b = 0.
    alone = data.signal @ decay / (decay @ decay)
    amplitude = np.where(at_zero >= amplitude, amplitude, alone)
    model = amplitude[:, None] * decay
    model[:, ~later] = np.maximum(at_zero, amplitude)[:, None]
    return np.asarray(((data.signal - model) ** 2).sum(axis=1))
