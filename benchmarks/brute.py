"""Posteriors by brute force: sums over a grid of D, D* and f, in plain NumPy.

Nothing here comes from the package under test. As in `benchmarks.reference`, results that depend
only on data, bounds and this file are cached in ``build/benchmarks``.
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
_CHUNK = 6
# Initial number of cells along each axis, and the fraction exp(-x) of the highest posterior at the
# centre of a cell below which the cell counts as empty: far from the centre of a large cell the
# posterior may be much higher; at half the size the log difference is a quarter.
_FIRST_CELLS = 32
_ENDS = (1500.0, 500.0, 180.0, 70.0, 40.0, 30.0, 26.0, 26.0, 26.0)
_CORNERS = np.stack(np.indices((2, 2, 2)), axis=-1).reshape(-1, 3)

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
        Limits of the uniform prior of D, D* (mm^2/s) and f; D* is above D, S0 flat.
    nodes : int
        Number of grid points of each parameter.

    Returns
    -------
    Moments
    """
    found = _kept(data, sigma, ranges, nodes, adaptive=False)
    return Moments(found[:, 0], found[:, 1])


def adaptive_moments(
    data: DataSet, sigma: float, ranges: Ranges, *, cells: int
) -> tuple[Moments, Moments]:
    """Sum over cells that are repeatedly divided in eight where the posterior has mass.

    Parameters
    ----------
    data, sigma, ranges
        As for `grid_moments`.
    cells : int
        Sufficient number of cells.

    Returns
    -------
    tuple of Moments
        From the last subdivision and the one before: their difference estimates the error.
    """
    found = _kept(data, sigma, ranges, cells, adaptive=True)
    return Moments(found[:, 0], found[:, 1]), Moments(found[:, 2], found[:, 3])


def _kept(
    data: DataSet, sigma: float, ranges: Ranges, nodes: int, *, adaptive: bool
) -> NDArray[np.float64]:
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
    return np.asarray(np.load(kept))


def _run(job: _Job) -> NDArray[np.float64]:
    if job.adaptive:
        return np.stack([_adaptive(job, signal) for signal in job.signal])
    grid = _Grid(job.bvals, job.low, job.high, job.nodes)
    return np.stack([grid.moments(grid.exponent(signal, job.sigma)) for signal in job.signal])


def _adaptive(job: _Job, signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return moments from the last two subdivisions of space, shape (4, 3)."""
    nodes = _FIRST_CELLS
    cells = np.stack(np.indices((nodes,) * 3), axis=-1).reshape(-1, 3)
    found: list[NDArray[np.float64]] = []
    for end in _ENDS:
        rates = job.low + (job.high - job.low) * (cells + 0.5) / nodes
        exponent = _exponent(job, signal, cells, nodes)
        # A cell intersected by D = D* may contain cells that count.
        half = 0.5 * (job.high - job.low) / nodes
        some = rates[:, 1] + half[1] > rates[:, 0] - half[0]
        mass = np.where(rates[:, 1] > rates[:, 0], np.exp(exponent - exponent[some].max()), 0.0)
        mass /= mass.sum()
        mean = mass @ rates
        found.append(np.stack([mean, np.sqrt(mass @ (rates - mean) ** 2)]))
        if cells.shape[0] > job.nodes and len(found) > 2:
            break
        kept = cells[some & (exponent > exponent[some].max() - end)]
        cells = (2 * kept[:, None, :] + _CORNERS).reshape(-1, 3)
        nodes *= 2
    return np.concatenate(found[:-3:-1])


def _exponent(
    job: _Job, signal: NDArray[np.float64], cells: NDArray[np.int64], nodes: int
) -> NDArray[np.float64]:
    """Return the log of the posterior in the middle of cells, up to a constant."""
    axes = job.low[:, None] + (job.high - job.low)[:, None] * (np.arange(nodes) + 0.5) / nodes
    slow, fast = np.exp(-np.outer(axes[0], job.bvals)), np.exp(-np.outer(axes[1], job.bvals))
    one, two, three = cells.T
    f = axes[2][three]
    product = (1.0 - f) * (slow @ signal)[one] + f * (fast @ signal)[two]
    square = (1.0 - f) ** 2 * (slow**2).sum(axis=1)[one] + f**2 * (fast**2).sum(axis=1)[two]
    square += 2.0 * f * (1.0 - f) * (slow @ fast.T)[one, two]
    return np.asarray(product**2 / square / (2.0 * job.sigma**2) - 0.5 * np.log(square))


class _Grid:
    """Midpoints of a box of D, D* and f, with what all signals share."""

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
        # S0, flat, is integrated out, which leaves the inverse root of the sum of squares of the
        # model.
        with np.errstate(divide="ignore"):
            self._log = np.where(
                (d_star > d[:, None])[:, :, None], -0.5 * np.log(self._square), -np.inf
            )

    def exponent(self, signal: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
        """Return the log of the posterior minus its maximum."""
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
