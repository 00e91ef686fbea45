"""PlanningProblem, Information: what volumes tell of tissues, and the errors that are left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import evaluate, gradients
from ivimkit.fitting.cramer_rao import information_share
from ivimkit.planning.candidates import Candidates
from ivimkit.planning.criterion import Goal, geometric_mean
from ivimkit.planning.echo_time import EchoTime
from ivimkit.planning.population import Population

__all__ = ["Information", "PlanningProblem"]

# Criteria without a prior keep this share of its precision: nothing against that of any
# measurement, but a parameter that a protocol does not determine has a finite error.
_FLAT = 1e-6
_SMALLEST_VARIANCE = 1e-30


@dataclass(frozen=True, eq=False)
class PlanningProblem:
    """What a design is judged by: tissues, noise, echo time and goal.

    Parameters
    ----------
    population : Population
        The tissues.
    snr : float
        Signal without diffusion weighting by the noise of one volume; with an echo time that
        depends on b, at that of a highest b-value of 800 s/mm^2.
    reference : float
        That signal, for S0 = 1: less than 1 if the model has an echo time.
    goal : Goal
        What is minimised.
    echo_time : EchoTime, optional
        How the echo time depends on the highest b-value; by default the signal does not.
    """

    population: Population
    snr: float
    reference: float
    goal: Goal
    echo_time: EchoTime | None = None

    @property
    def sigma(self) -> float:
        """Noise of one volume, for S0 = 1."""
        return self.reference / self.snr

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weight of each estimated parameter."""
        return self.goal.weights_of(self.population.names)

    @cached_property
    def precision(self) -> NDArray[np.float64]:
        """Precision of the prior that the criterion adds to the information."""
        own = self.population.precision
        return own if self.goal.criterion == "bayes" else _FLAT * own

    def gain(self, b_max: float) -> float:
        """Return the signal of a protocol with this highest b-value, relative to the reference."""
        return 1.0 if self.echo_time is None else self.echo_time.gain(b_max)

    def with_snr(self, snr: float) -> PlanningProblem:
        """Return the problem at another signal-to-noise ratio."""
        return replace(self, snr=snr)

    def errors(self, settings: Candidates, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the expected error of each estimated parameter, in its coordinate.

        Parameters
        ----------
        settings : Candidates
            The distinct settings of a protocol.
        counts : ndarray, shape (n_settings,)
            Number of volumes of each.
        """
        return Information(self, settings).errors(counts)

    def over_tissues(self, variance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return expected errors from variances of the coordinates in each tissue.

        Parameters
        ----------
        variance : ndarray, shape (n_tissues, ..., n_names)

        Returns
        -------
        ndarray, shape (..., n_names)
        """
        # Rounding can leave a variance of almost 0 below 0.
        positive = np.maximum(variance, _SMALLEST_VARIANCE)
        if self.goal.criterion != "relative":
            return np.asarray(np.sqrt(positive.mean(axis=0)))
        population = self.population
        values = population.params[:, population.positions[1:]]
        size = np.array(list(population.size.values()))
        usual = np.where((values > 0.0).all(axis=0), values, size)
        divisor = np.where(np.array(population.relative), 1.0, usual)
        shape = (len(divisor), *(1,) * (variance.ndim - 2), divisor.shape[1])
        return np.asarray((np.sqrt(positive) / divisor.reshape(shape)).mean(axis=0))

    def values(self, errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the criterion of expected errors, over the last axis."""
        if self.goal.criterion == "relative":
            return np.asarray(errors @ self.weights)
        return geometric_mean(errors, self.weights)

    def value(self, errors: NDArray[np.float64]) -> float:
        """Return the criterion of the expected errors of one protocol."""
        return float(self.values(errors))


class Information:
    """The information that each candidate adds about each tissue.

    Parameters
    ----------
    problem : PlanningProblem
        What a design is judged by.
    candidates : Candidates
        The settings.

    Attributes
    ----------
    levels : ndarray, shape (n_candidates,)
        For each candidate, the number of the signal level that a protocol has whose highest
        b-value is that of the candidate; levels ascend with b, and the signal falls.
    slopes : ndarray, shape (n_tissues, n_candidates, n_coordinates)
        Derivatives of the signal by the coordinates of the population, for S0 = 1.
    """

    def __init__(self, problem: PlanningProblem, candidates: Candidates) -> None:
        self.problem = problem
        model, params = problem.population.model, problem.population.params
        positions = problem.population.positions
        self.slopes = gradients(model, params, candidates.x)[..., positions]
        self.slopes *= problem.population.scales[:, None, :]
        self._signal = evaluate(model, params, candidates.x)
        b = candidates.b
        if problem.echo_time is None:
            self._highest, self.levels = np.zeros(1), np.zeros(len(b), dtype=np.intp)
        else:
            self._highest, self.levels = np.unique(b, return_inverse=True)
        self._share = information_share(problem.goal.noise)
        self._weights: dict[int, NDArray[np.float64]] = {}

    def weights(self, level: int) -> NDArray[np.float64]:
        """Return the information of a volume by the square of its slopes.

        Parameters
        ----------
        level : int
            One of `levels`.

        Returns
        -------
        ndarray, shape (n_tissues, n_candidates)
        """
        if level not in self._weights:
            height = self.problem.gain(float(self._highest[level])) / self.problem.sigma
            share = self._share(height * self._signal)
            self._weights[level] = np.asarray(height**2 * share)
        return self._weights[level]

    def inverse(self, counts: NDArray[np.float64], level: int) -> NDArray[np.float64]:
        """Return the covariance of the coordinates, shape (n_tissues, n, n).

        Parameters
        ----------
        counts : ndarray, shape (n_candidates,)
            Number of volumes at each candidate.
        level : int
            The signal level.
        """
        used = np.flatnonzero(counts)
        slopes = self.slopes[:, used]
        weighted = slopes * (counts[used] * self.weights(level)[:, used])[..., None]
        information = np.swapaxes(slopes, 1, 2) @ weighted
        return np.asarray(np.linalg.inv(information + self.problem.precision))

    def errors(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the expected errors of a protocol, one per estimated parameter."""
        level = int(self.levels[np.flatnonzero(counts)].max())
        variance = np.diagonal(self.inverse(counts, level), axis1=1, axis2=2)
        return self.problem.over_tissues(variance[:, 1:])

    def value(self, counts: NDArray[np.float64]) -> float:
        """Return the criterion of a protocol."""
        return self.problem.value(self.errors(counts))

    def values_with_more(
        self, counts: NDArray[np.float64], size: float = 1.0
    ) -> NDArray[np.float64]:
        """Return the criterion with further volumes at a candidate, for each candidate.

        Volumes of one setting add a matrix of rank one to the information, and take
        ``w (V s)^2 / (1 + w s' V s)`` from the diagonal of the covariance V, with the slopes s and
        the weight w of the volumes: one inverse serves all candidates of a signal level.

        Parameters
        ----------
        counts : ndarray, shape (n_candidates,)
            Number of volumes at each candidate; some are above 0.
        size : float
            Number of further volumes.
        """
        own = int(self.levels[np.flatnonzero(counts)].max())
        levels = np.maximum(self.levels, own)
        found = np.empty(len(levels))
        for level in np.unique(levels):
            members = np.flatnonzero(levels == level)
            covariance = self.inverse(counts, int(level))
            slopes = self.slopes[:, members]
            weight = size * self.weights(int(level))[:, members]
            moved = slopes @ covariance
            known = 1.0 + weight * np.einsum("vkp,vkp->vk", moved, slopes)
            drop = (weight / known)[..., None] * moved[..., 1:] ** 2
            variance = np.diagonal(covariance, axis1=1, axis2=2)[:, None, 1:] - drop
            found[members] = self.problem.values(self.problem.over_tissues(variance))
        return found
