"""Mixture: a density of ln D, ln D* and logit f as a sum of Gaussians."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.prior_table import PriorTable, hat_integrals

__all__ = ["Mixture"]

# Entries of the upper triangle of a 3 x 3 matrix, row by row.
UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
# Distance of the knots of a table at a Gaussian, in its standard deviations.
_KNOT_DISTANCE = 0.5
# Largest numbers of knots of slow rate, fast rate and fraction.
_MAX_KNOTS = (56, 36, 44)
# Points per interval between two knots at which a density is averaged.
_PARTS = 3
# Standard deviations from its mean beyond which a Gaussian is negligible.
_REACH = 6.0
# Least rate (mm^2/s) and fraction at which logarithms are taken.
_MIN_RATE, _MIN_FRACTION = 1e-5, 1e-3
# Points at which the distance of knots is integrated.
_FINE = 4001


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians of eta = (ln D, ln D*, logit f), rates in mm^2/s.

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Their sum is 1.
    means : ndarray, shape (n, 3)
        0 for coordinates that do not vary.
    covariances : ndarray, shape (n, 3, 3)
        Unit rows and columns for coordinates that do not vary.
    free : tuple of bool
        Which coordinates vary.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    free: tuple[bool, bool, bool]

    @property
    def size(self) -> int:
        """Number of Gaussians."""
        return self.weights.size

    def components(self) -> NDArray[np.float64]:
        """Return the numbers that kernels read, shape (n, 10).

        Logarithm of the weight times the height of the Gaussian, mean, and the upper triangle of
        the inverse covariance, 0 for coordinates that do not vary.
        """
        n_free = sum(self.free)
        found = np.zeros((self.size, 4 + len(UPPER)))
        for row, weight, mean, covariance in zip(
            found, self.weights, self.means, self.covariances, strict=True
        ):
            precision, determinant = _inverse(covariance)
            row[0] = math.log(weight) - 0.5 * (
                math.log(determinant) + n_free * math.log(2.0 * math.pi)
            )
            row[1:4] = mean
            for k, (i, j) in enumerate(UPPER, start=4):
                row[k] = precision[i, j] if self.free[i] and self.free[j] else 0.0
        return found

    def inside(self) -> NDArray[np.float64]:
        """Return the mean covariance inside a component, the last one left out: upper triangle."""
        weights = self.weights[:-1] if self.size > 1 else self.weights
        covariances = self.covariances[: weights.size]
        mean = sum(w * c for w, c in zip(weights / weights.sum(), covariances, strict=True))
        return np.array([mean[i, j] for i, j in UPPER])

    def to_dict(self) -> dict[str, Any]:
        """Return it in numbers and words, ready for JSON."""
        return {
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "covariances": self.covariances.tolist(),
            "free": list(self.free),
        }

    @classmethod
    def from_dict(cls, about: Mapping[str, Any]) -> Self:
        """Return what `to_dict` made.

        Raises
        ------
        OptionError
            If something is missing, or is not a mixture.
        """
        try:
            arrays = [np.array(about[k], float) for k in ("weights", "means", "covariances")]
            one, two, three = map(bool, about["free"])
        except (KeyError, TypeError, ValueError):
            arrays = []
        n = len(arrays[0]) if arrays and arrays[0].ndim == 1 else 0
        shapes = [(n,), (n, 3), (n, 3, 3)]
        if not n or [a.shape for a in arrays] != shapes:
            raise OptionError(
                "the mixture of a prior is damaged; expected weights, means and covariances of "
                "its Gaussians. Learn the prior again"
            )
        return cls(arrays[0], arrays[1], arrays[2], (one, two, three))

    def tabulate(
        self, frame: PriorTable, rule: str, about: Mapping[str, Any], least_fast: float = 0.0
    ) -> PriorTable:
        """Return the mixture as a table, with knots where it is.

        Every knot holds the mean density around it, weighted by its linear function, so that
        Gaussians narrower than the distance of two knots keep their mass.

        Parameters
        ----------
        frame : PriorTable
            Model, names and bounds: the ends of its knots.
        rule, about
            Of the table.
        least_fast : float
            D* below which the density is 0, mm^2/s.
        """
        one, two, three = (self._knots(k, axis) for k, axis in enumerate(frame.knots))
        knots = one, two, three
        mass = np.zeros([axis.size for axis in knots])
        fine = [_between(axis, k) for k, axis in enumerate(knots)]
        etas = [
            _eta(values, k) if self.free[k] else np.zeros_like(values)
            for k, values in enumerate(fine)
        ]
        for weight, mean, covariance in zip(
            self.weights, self.means, self.covariances, strict=True
        ):
            self._add_mass(mass, knots, fine, etas, weight, mean, covariance)
        slow, fast, fraction = (
            hat_integrals(np.log(axis) if k == 1 else axis) for k, axis in enumerate(knots)
        )
        density = mass / (slow[:, None, None] * fast[None, :, None] * fraction[None, None, :])
        if np.count_nonzero(knots[1] >= least_fast) > 1:
            density[:, knots[1] < least_fast] = 0.0
        return PriorTable(frame.model, rule, frame.names, knots, density, about)

    def _knots(self, k: int, ends: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return knots between the ends of an axis, dense where Gaussians are narrow."""
        if not self.free[k]:
            return ends
        low, high = float(ends[0]), float(ends[-1])
        least = _MIN_FRACTION if k == 2 else _MIN_RATE
        inner_low = max(low, least)
        inner_high = min(high, 1.0 - least) if k == 2 else high
        start, stop = _eta(np.array([inner_low, inner_high]), k).tolist()
        x = np.linspace(start, stop, _FINE)
        step = np.full(_FINE, np.inf)
        for weight, mean, covariance in zip(
            self.weights, self.means[:, k], self.covariances, strict=True
        ):
            precision, _ = _inverse(covariance)
            # Between the spread of the Gaussian and that at given other coordinates.
            width = math.sqrt(math.sqrt(covariance[k, k] / precision[k, k]))
            off = (x - mean) / width
            # Rare components are seldom the reason for what a voxel gets.
            own = _KNOT_DISTANCE * width * np.sqrt(1.0 + 0.25 * off**2)
            step = np.minimum(step, own * max(1.0, 0.1 / math.sqrt(weight)))
        rate = 1.0 / step
        passed = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * (x[1] - x[0]))])
        n = int(min(max(math.ceil(passed[-1]) + 1, 8), _MAX_KNOTS[k] - 2))
        inner = _natural(np.interp(np.linspace(0.0, passed[-1], n), passed, x), k)
        inner[0], inner[-1] = inner_low, inner_high
        below = [low] if low < inner_low else []
        above = [high] if high > inner_high else []
        return np.concatenate([below, inner, above])

    def _add_mass(
        self,
        mass: NDArray[np.float64],
        knots: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
        fine: list[NDArray[np.float64]],
        etas: list[NDArray[np.float64]],
        weight: float,
        mean: NDArray[np.float64],
        covariance: NDArray[np.float64],
    ) -> None:
        """Add the mass of a Gaussian to the knots around it."""
        precision, determinant = _inverse(covariance)
        windows, offsets, steps = [], [], []
        for k in range(3):
            first, last = 0, max(knots[k].size - 1, 1)
            if self.free[k]:
                reach = _REACH * math.sqrt(covariance[k, k])
                near = np.flatnonzero(np.abs(etas[k] - mean[k]).min(axis=1) < reach)
                if not near.size:
                    return
                first, last = int(near[0]), int(near[-1]) + 1
            windows.append(slice(first, last))
            part = etas[k][first:last]
            offsets.append(part.ravel() - mean[k] if self.free[k] else np.zeros(part.size))
            steps.append(_eta_steps(knots[k], fine[k], k)[first:last].ravel())
        d = np.meshgrid(*offsets, indexing="ij", sparse=True)
        square = np.zeros([a.size for a in offsets])
        for i, j in UPPER:
            if self.free[i] and self.free[j]:
                square += (1.0 if i == j else 2.0) * precision[i, j] * d[i] * d[j]
        height = weight / math.sqrt(determinant * (2.0 * math.pi) ** sum(self.free))
        values = height * np.exp(-0.5 * square)
        for k, step in enumerate(steps):
            if self.free[k]:
                values = values * np.expand_dims(step, [a for a in range(3) if a != k])
        into = []
        for k in range(3):
            values = _to_knots(values, k) if self.free[k] else values
            window = windows[k]
            into.append(slice(window.start, window.stop + 1) if self.free[k] else slice(0, 1))
        mass[tuple(into)] += values


def _inverse(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the inverse of a 3 x 3 matrix and its determinant, by cofactors.

    Not by a library of linear algebra, whose last digits differ between machines.
    """
    (a, b, c), (_, d, e), (_, _, f) = covariance.tolist()
    m0, m1, m2 = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * m0 + b * m1 + c * m2
    m3, m4, m5 = a * f - c * c, b * c - a * e, a * d - b * b
    found = np.array([[m0, m1, m2], [m1, m3, m4], [m2, m4, m5]]) / determinant
    return found, determinant


def _eta(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the coordinate of rates (0, 1) or fractions (2)."""
    if k < 2:
        logs: NDArray[np.float64] = np.log(values)
        return logs
    odds: NDArray[np.float64] = np.log(values / (1.0 - values))
    return odds


def _natural(eta: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.exp(eta) if k < 2 else 1.0 / (1.0 + np.exp(-eta))
    return found


def _between(axis: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return points in the middle of equal parts of each interval, shape (n - 1, _PARTS)."""
    if axis.size < 2:
        return axis[:, None]
    knots = np.log(axis) if k == 1 else axis
    parts = (np.arange(_PARTS) + 0.5) / _PARTS
    points = knots[:-1, None] + np.diff(knots)[:, None] * parts
    return np.exp(points) if k == 1 else points


def _eta_steps(
    axis: NDArray[np.float64], fine: NDArray[np.float64], k: int
) -> NDArray[np.float64]:
    """Return the length of the part around each point, in the coordinate."""
    if axis.size < 2:
        return np.ones_like(fine)
    if k == 1:
        return np.repeat(np.diff(np.log(axis))[:, None] / _PARTS, _PARTS, axis=1)
    step = np.repeat(np.diff(axis)[:, None] / _PARTS, _PARTS, axis=1)
    return step / fine if k == 0 else step / (fine * (1.0 - fine))


def _to_knots(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return values at points between knots, spread over the two knots around each point."""
    moved = np.moveaxis(values, k, -1)
    grouped = moved.reshape(*moved.shape[:-1], -1, _PARTS)
    parts = (np.arange(_PARTS) + 0.5) / _PARTS
    right = (grouped * parts).sum(axis=-1)
    left = grouped.sum(axis=-1) - right
    found = np.zeros((*moved.shape[:-1], grouped.shape[-2] + 1))
    found[..., :-1] += left
    found[..., 1:] += right
    return np.moveaxis(found, -1, k)
