"""Is the answer right? Asked before a time is reported, of every method that is timed."""

from __future__ import annotations

import numpy as np
from ivimkit.result import FitResult
from numpy.typing import NDArray

from benchmarks.data import DataSet
from benchmarks.reference import Bounds, cost_from, cost_of

__all__ = ["CHECKED", "check_answer", "model_bounds", "row_params"]

CHECKED = (
    "the cost of varpro and trr against scipy's least squares from the true values; D, f and S0 "
    "of segmented and loglinear against a weighted line by NumPy, D* of segmented against a scan "
    "over D*."
)

_VOXELS = 100


def check_answer(result: FitResult, data: DataSet) -> None:
    """Raise if a fit of simulated data is not what its method promises.

    Parameters
    ----------
    result : FitResult
        The fit of `data`.
    data : DataSet
        A simulated set.

    Raises
    ------
    AssertionError
        With what is wrong.
    """
    few = data.first(_VOXELS)
    result.raise_for_status(max_failed=0.001)
    if result.method.name == "varpro":
        _check_optimum(result, few, share=0.999)
    elif result.method.name == "trr":
        # A local method: scipy starts at the truth, which no user can, and may end lower.
        _check_optimum(result, few, share=0.9)
    elif result.method.name in ("segmented", "loglinear"):
        _check_line(result, few, b_split=200.0)
    else:
        raise ValueError(f"no reference for method {result.method.name}; write one here")


def model_bounds(result: FitResult) -> Bounds:
    """Return the bounds of f, D* and D that a fit used."""
    f, d_star, d = (result.model[name] for name in ("f", "D_star", "D"))
    return (f.lower, f.upper), (d_star.lower, d_star.upper), (d.lower, d.upper)


def row_params(data: DataSet) -> NDArray[np.float64]:
    """Return the true S0, f, D* and D, shape (n_voxels, 4)."""
    return np.stack([data.truth[name] for name in ("S0", "f", "D_star", "D")], axis=1)


def _check_optimum(result: FitResult, data: DataSet, *, share: float) -> None:
    n = data.signal.shape[0]
    bounds = model_bounds(result)
    ours = cost_of(data.bvals, data.signal, result.params[:n])
    theirs = [
        cost_from(data.bvals, signal, start, bounds)
        for signal, start in zip(data.signal, row_params(data), strict=True)
    ]
    reached = float(np.mean(ours <= 1.0001 * np.array(theirs)))
    if reached < share:
        raise AssertionError(
            f"{result.method.name} reached scipy's optimum in {reached:.1%} of {n} voxels of "
            f"{data.name}; expected {share:.1%}"
        )


def _check_line(result: FitResult, data: DataSet, *, b_split: float) -> None:
    n = data.signal.shape[0]
    maps = {name: result.maps[name][:n] for name in result.model.names}
    high = data.bvals >= b_split
    intercept, slope = _line(data.bvals[high], data.signal[:, high])
    s0 = data.signal[:, data.bvals == 0.0].mean(axis=1)
    expected = {
        "D": _inside(result, "D", slope),
        "S0": s0,
        "f": _inside(result, "f", 1.0 - intercept / s0),
    }
    for name, values in expected.items():
        if not np.allclose(maps[name], values, rtol=1e-8, atol=1e-14):
            raise AssertionError(f"{name} of {result.method.name} is not that of NumPy's line")
    if "D_star" in maps:
        _check_scan(result, data, maps)


def _line(
    bvals: NDArray[np.float64], signal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return exp(intercept) and slope of the line through ln S with weights S^2."""
    weight, log = signal**2, np.log(signal)
    total = weight.sum(axis=1, keepdims=True)
    b_mean = (weight * bvals).sum(axis=1, keepdims=True) / total
    log_mean = (weight * log).sum(axis=1, keepdims=True) / total
    away = bvals - b_mean
    slope = (weight * away * (log - log_mean)).sum(axis=1) / (weight * away**2).sum(axis=1)
    return np.exp(log_mean[:, 0] - slope * b_mean[:, 0]), -slope


def _inside(result: FitResult, name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    parameter = result.model[name]
    return np.clip(values, parameter.lower, parameter.upper)


def _check_scan(
    result: FitResult, data: DataSet, maps: dict[str, NDArray[np.float64]]
) -> None:
    """No D* of a fine scan may be better than that of the fit, S0, f and D being fixed."""
    fixed = np.stack([maps[name] for name in ("S0", "f", "D_star", "D")], axis=1)
    ours = cost_of(data.bvals, data.signal, fixed)
    bounds = result.model["D_star"]
    for d_star in np.geomspace(bounds.lower, bounds.upper, 200):
        tried = fixed.copy()
        tried[:, 2] = np.maximum(d_star, fixed[:, 3])
        if (cost_of(data.bvals, data.signal, tried) < ours * (1.0 - 1e-6)).any():
            raise AssertionError(f"{result.method.name} missed the best D* near {d_star:.4f}")
