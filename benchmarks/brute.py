"""Posteriors by brute force: sums over a grid of D, D* and f, in plain NumPy.

Nothing here comes from the package under test. As in `benchmarks.reference`, what depends on
nothing but data, bounds and this file is kept in ``build/benchmarks``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import DataSet
from benchmarks.machine import REPOSITORY, usable_cores

__all__ = ["PARAMETERS", "Moments", "adaptive_moments", "grid_moments"]

PARAMETERS = ("D", "D_star", "f")
"""Order of the axes of a grid and of the columns of moments."""

_CACHE = REPOSITORY / "build" / "benchmarks"
_CHUNK = 25
# Where the posterior, as a share exp(-x) of its maximum, ends for each step of the search for it:
# a coarse grid may miss the maximum by much, so that the first steps keep nearly all.
_ENDS = (400.0, 60.0, 30.0, 26.0, 26.0)
_SEARCH_NODES = 48

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Moments:
    """Posterior mean and standard deviation, shape (n_voxels, 3) in order of `PARAMETERS`."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]


@dataclass(frozen=True)
class _Job:
    bvals: NDArray[np.float64]
    signal: NDArray[np.float64]
    sigma: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    nodes: int
    adaptive: bool


def grid_moments(data: DataSet, sigma: float, ranges: Ranges, *, nodes: int) -> Moments:
    """Sum over one fixed grid of midpoints.

    Parameters
    ----------
    data : DataSet
        The voxels.
    sigma : float
        Standard deviation of the noise, Gaussian.
    ranges : mapping of str to tuple of float
        Ends of the uniform prior of D, D* (mm^2/s) and f; D* is above D, S0 flat.
    nodes : int
        Number of grid points of each parameter.

    Returns
    -------
    Moments
    """
    return _moments(data, sigma, ranges, nodes, adaptive=False)


def adaptive_moments(data: DataSet, sigma: float, ranges: Ranges, *, nodes: int) -> Moments:
    """Sum over a grid that is laid, voxel by voxel, where the posterior is.

    Parameters
    ----------
    data, sigma, ranges, nodes
        As for `grid_moments`.

    Returns
    -------
    Moments
    """
    return _moments(data, sigma, ranges, nodes, adaptive=True)


def _moments(
    data: DataSet, sigma: float, ranges: Ranges, nodes: int, *, adaptive: bool
) -> Moments:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(np.ascontiguousarray(data.signal).tobytes() + data.bvals.tobytes())
    digest.update(repr((sigma, sorted(ranges.items()), nodes, adaptive)).encode())
    kept = _CACHE / f"posterior-{digest.hexdigest()[:16]}.npy"
    if not kept.exists():
        low, high = np.array([ranges[name] for name in PARAMETERS]).T
        jobs = [
            _Job(data.bvals, data.signal[k : k + _CHUNK], sigma, low, high, nodes, adaptive)
            for k in range(0, data.signal.shape[0], _CHUNK)
        ]
        # Spawned, not forked: a fork of a process with threads may hang.
        with ProcessPoolExecutor(len(usable_cores()), mp_context=get_context("spawn")) as pool:
            found = np.concatenate(list(pool.map(_run, jobs)))
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, found)
    found = np.load(kept)
    return Moments(found[:, 0], found[:, 1])


def _run(job: _Job) -> NDArray[np.float64]:
    if job.adaptive:
        return np.stack([_adaptive(job, signal) for signal in job.signal])
    grid = _Grid(job.bvals, job.low, job.high, job.nodes)
    return np.stack([grid.moments(grid.exponent(signal, job.sigma)) for signal in job.signal])


def _adaptive(job: _Job, signal: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = job.low.copy(), job.high.copy()
    for end in _ENDS:
        grid = _Grid(job.bvals, low, high, _SEARCH_NODES)
        inside = grid.exponent(signal, job.sigma) > -end
        for axis in range(3):
            others = tuple(k for k in range(3) if k != axis)
            kept = np.flatnonzero(inside.any(axis=others))
            step = (grid.high[axis] - grid.low[axis]) / _SEARCH_NODES
            low[axis] = max(grid.low[axis] + (kept[0] - 1) * step, job.low[axis])
            high[axis] = min(grid.low[axis] + (kept[-1] + 2) * step, job.high[axis])
    grid = _Grid(job.bvals, low, high, job.nodes)
    return grid.moments(grid.exponent(signal, job.sigma))


class _Grid:
    """Midpoints of a box of D, D* and f, and what all signals share there."""

    def __init__(
        self,
        bvals: NDArray[np.float64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        nodes: int,
    ) -> None:
        self.low, self.high = low.copy(), high.copy()
        share = (np.arange(nodes) + 0.5) / nodes
        self.axes = low[:, None] + (high - low)[:, None] * share
        d, d_star, self._f = self.axes
        self._slow, self._fast = np.exp(-np.outer(d, bvals)), np.exp(-np.outer(d_star, bvals))
        f = self._f
        slow = (self._slow**2).sum(axis=1)[:, None, None] * (1.0 - f) ** 2
        fast = (self._fast**2).sum(axis=1)[None, :, None] * f**2
        both = (self._slow @ self._fast.T)[:, :, None] * (2.0 * f * (1.0 - f))
        self._square = slow + fast + both
        # S0, flat, is integrated out: what is left is one over the root of the model's square.
        with np.errstate(divide="ignore"):
            self._log = np.where(
                (d_star > d[:, None])[:, :, None], -0.5 * np.log(self._square), -np.inf
            )

    def exponent(self, signal: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
        """Return the log of the posterior less its maximum."""
        slow, fast = self._slow @ signal, self._fast @ signal
        product = slow[:, None, None] * (1.0 - self._f) + fast[None, :, None] * self._f
        exponent = product**2 / self._square / (2.0 * sigma**2) + self._log
        return np.asarray(exponent - exponent.max())

    def moments(self, exponent: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return means and standard deviations, shape (2, 3)."""
        mass = np.exp(exponent)
        found = np.empty((2, 3))
        for axis, values in enumerate(self.axes):
            marginal = mass.sum(axis=tuple(k for k in range(3) if k != axis))
            marginal /= marginal.sum()
            found[0, axis] = marginal @ values
            found[1, axis] = np.sqrt(marginal @ (values - found[0, axis]) ** 2)
        return found
