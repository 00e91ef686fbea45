"""Reference: the best of many random starts of scipy's bounded least squares.

Results that take hours and depend only on data, bounds and this file are cached in
``build/benchmarks``; ``make clean`` removes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from benchmarks.data import DataSet
from benchmarks.machine import REPOSITORY, usable_cores

__all__ = ["BOUNDS", "Bounds", "Job", "best_costs", "best_costs_of", "cost_from", "cost_of"]

Bounds: TypeAlias = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Bounds of f, D* and D; S0 is >= 0."""

BOUNDS: Bounds = ((0.0, 1.0), (3e-3, 0.3), (0.0, 5e-3))

_CACHE = REPOSITORY / "build" / "benchmarks"
_TOLERANCE = 1e-12
_CHUNK = 20
# No start is outside these: bounds may be wide enough to make most random points useless.
_STARTS_IN = np.array([(0.0, 1.0), (1e-3, 0.5), (0.0, 5e-3)])
# Scale of each variable, so that scipy sees numbers near 1. S0 is in units of the signal.
_UNITS = np.array([1.0, 1.0, 1e-2, 1e-3])


@dataclass(frozen=True)
class Job:
    """Voxels `first`, `first` + 1, ... of a set, to be fitted from `starts` random points."""

    bvals: NDArray[np.float64]
    signal: NDArray[np.float64]
    bounds: Bounds
    starts: int
    first: int


def best_costs(data: DataSet, bounds: Bounds = BOUNDS, *, starts: int = 30) -> NDArray[np.float64]:
    """Return the lowest sum of squared residuals found for each voxel, on all cores.

    Parameters
    ----------
    data : DataSet
        The voxels.
    bounds : tuple
        Bounds of f, D* and D.
    starts : int
        Random starts per voxel.

    Returns
    -------
    ndarray, shape (n_voxels,)
    """
    return best_costs_of([(data, bounds)], starts=starts)[0]


def best_costs_of(
    problems: Sequence[tuple[DataSet, Bounds]], *, starts: int
) -> list[NDArray[np.float64]]:
    """Return `best_costs` of several sets and bounds; processes are started once for all."""
    kept = [_CACHE / f"optimum-{_fingerprint(*problem, starts)}.npy" for problem in problems]
    asked = dict(zip(kept, problems, strict=True))
    missing = {file: _jobs(*problem, starts) for file, problem in asked.items()}
    missing = {file: jobs for file, jobs in missing.items() if not file.exists()}
    if missing:
        _CACHE.mkdir(parents=True, exist_ok=True)
        costs = iter(_on_all_cores([job for jobs in missing.values() for job in jobs]))
        for file, jobs in missing.items():
            np.save(file, np.concatenate([next(costs) for _ in jobs]))
    return [np.asarray(np.load(file)) for file in kept]


def _jobs(data: DataSet, bounds: Bounds, starts: int) -> list[Job]:
    return [
        Job(data.bvals, data.signal[first : first + _CHUNK], bounds, starts, first)
        for first in range(0, data.signal.shape[0], _CHUNK)
    ]


def _on_all_cores(jobs: Sequence[Job]) -> list[NDArray[np.float64]]:
    # Spawned, not forked: a fork of a process with threads may hang.
    with ProcessPoolExecutor(len(usable_cores()), mp_context=get_context("spawn")) as pool:
        return list(pool.map(_fit_job, jobs))


def _fit_job(job: Job) -> NDArray[np.float64]:
    return np.array(
        [
            min(
                cost_from(job.bvals, signal, start, job.bounds)
                for start in _random_starts(job, signal, job.first + k)
            )
            for k, signal in enumerate(job.signal)
        ]
    )


def _random_starts(job: Job, signal: NDArray[np.float64], voxel: int) -> NDArray[np.float64]:
    """Return points inside the bounds, shape (starts, 4): S0, f, D*, D."""
    low, high = np.array(job.bounds).T
    low, high = np.maximum(low, _STARTS_IN[:, 0]), np.minimum(high, _STARTS_IN[:, 1])
    # A stream per voxel: its starts do not depend on the distribution over processes.
    u = np.random.default_rng([30, voxel]).uniform(0.01, 0.99, size=(job.starts, 4))
    points = np.empty_like(u)
    points[:, 0] = signal.max() * (0.5 + u[:, 0])
    points[:, 1] = low[0] + (high[0] - low[0]) * u[:, 1]
    points[:, 2] = low[1] * (high[1] / low[1]) ** u[:, 2]
    points[:, 3] = low[2] + (high[2] - low[2]) * u[:, 3]
    return points


def cost_from(
    bvals: NDArray[np.float64],
    signal: NDArray[np.float64],
    start: NDArray[np.float64],
    bounds: Bounds = BOUNDS,
) -> float:
    """Return the sum of squared residuals that scipy reaches from one start.

    Parameters
    ----------
    bvals, signal : ndarray, shape (n_b,)
        b-values in s/mm^2 and signal of one voxel.
    start : ndarray, shape (4,)
        S0, f, D* and D, inside the bounds.
    bounds : tuple
        Bounds of f, D* and D.

    Returns
    -------
    float
    """
    scale = float(signal.max())
    units = _UNITS * [scale, 1.0, 1.0, 1.0]
    low, high = np.array([(0.0, np.inf), *bounds]).T / units

    def residual(x: NDArray[np.float64]) -> NDArray[np.float64]:
        s0, f, d_star, d = x * _UNITS
        model = s0 * (f * np.exp(-bvals * d_star) + (1.0 - f) * np.exp(-bvals * d))
        return np.asarray(model - signal / scale)

    def jacobian(x: NDArray[np.float64]) -> NDArray[np.float64]:
        s0, f, d_star, d = x * _UNITS
        blood, tissue = np.exp(-bvals * d_star), np.exp(-bvals * d)
        columns = np.empty((bvals.size, 4))
        columns[:, 0] = f * blood + (1.0 - f) * tissue
        columns[:, 1] = s0 * (blood - tissue)
        columns[:, 2] = -s0 * f * bvals * blood
        columns[:, 3] = -s0 * (1.0 - f) * bvals * tissue
        return np.asarray(columns * _UNITS)

    found = least_squares(
        residual,
        np.clip(start / units, low, high),
        jac=jacobian,
        bounds=(low, high),
        ftol=_TOLERANCE,
        xtol=_TOLERANCE,
        gtol=_TOLERANCE,
        max_nfev=500,
    )
    return float(2.0 * found.cost * scale**2)


def cost_of(
    bvals: NDArray[np.float64], signal: NDArray[np.float64], params: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the sum of squared residuals of given parameters S0, f, D*, D, shape (n_voxels,)."""
    s0, f, d_star, d = (column[:, None] for column in params.T)
    model = s0 * (f * np.exp(-bvals * d_star) + (1.0 - f) * np.exp(-bvals * d))
    return np.asarray(((model - signal) ** 2).sum(axis=1))


def _fingerprint(data: DataSet, bounds: Bounds, starts: int) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(np.ascontiguousarray(data.signal).tobytes() + data.bvals.tobytes())
    digest.update(repr((bounds, starts)).encode())
    return digest.hexdigest()[:16]
