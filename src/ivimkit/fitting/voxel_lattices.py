"""Likelihoods of the voxels of a scan on lattices, and what is passed to the loops over them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine import CHUNK, expect_chunk, in_chunks, padded_acquisition, place_chunk
from ivimkit.engine.bind import bind
from ivimkit.engine.waiting import say_compiling
from ivimkit.extend.fit_method import Batch, VoxelPlan
from ivimkit.extend.mixture import Mixture
from ivimkit.extend.prior import MIN_PERFUSION_RATE, VoxelLattices
from ivimkit.extend.prior_table import PriorTable, parameter_names
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.kernels.two_decays.lattice.prior_knots import N_COMPONENT
from ivimkit.kernels.two_decays.lattice.sums import N_LOG_SUMS
from ivimkit.kernels.two_decays.mixture.scan_posteriors import Lattices, Moments, Shared
from ivimkit.kernels.two_decays.mixture.whitened import N_FRACTION_NODES, N_ROWS
from ivimkit.methods._posterior import (
    PosteriorMethod,
    fit_voxel,
    posterior_batch,
    posterior_options,
    with_room,
)

__all__ = [
    "LogMoments",
    "ScanLattices",
    "free_coordinates",
    "moments_of",
    "over_voxels",
    "shared_by",
]

# Factor on the standard deviations of the posteriors that place a lattice.
_WIDENED = 1.3
# Groups of voxels with the same weights whose plans are in memory at a time.
_MAX_PLANS = 256


@final
@dataclass(frozen=True)
class LogMoments(TwoDecayMethod):
    """The best fit; as extra maps the moments of ln D, ln D* and logit f and the mean of S0."""

    name: ClassVar[str] = "log_moments"
    title: ClassVar[str] = "moments of the logarithms"
    full_fit: ClassVar[bool] = False
    voxel = staticmethod(fit_voxel)
    references: ClassVar[tuple[str, ...]] = ()

    table: PriorTable
    variance: tuple[float, float]
    noise: str
    floor: float

    @classmethod
    def of(cls, method: PosteriorMethod) -> LogMoments:
        """Return it with the prior and the noise of a method that has learned them."""
        assert isinstance(method.prior, PriorTable)
        assert not isinstance(method.variance, str)
        return cls(method.prior, method.variance, method.noise, method.floor_noise)

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        """Return the numbers of `ivimkit.kernels.two_decays.lattice.sums.write_log_moments`."""
        return tuple(map(str, range(N_LOG_SUMS + 1)))

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> dict[int, ArrayLike]:
        """Return the options of a posterior that writes log-moments."""
        return posterior_options(
            self.table, self.variance, b.size, self.noise, floor=self.floor, log_moments=True
        )

    def batch(self, model: SignalModel, plan: VoxelPlan, n_rows: int) -> Batch | None:
        """Return the function that finds the best fits of many voxels side by side."""
        return posterior_batch(model, plan, n_rows)

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays and room for the lattice."""
        return with_room(super().plan(model, x, weight), x.shape[1])


def free_coordinates(model: SignalModel) -> tuple[bool, bool, bool]:
    """Return which of ln D, ln D* and logit f vary: parameters that the model has and frees."""
    slow, fast, fraction = (
        name is not None and name not in model.fixed_maps and model[name].lower < model[name].upper
        for name in parameter_names(model)
    )
    return slow, fast, fraction


def moments_of(
    extras: NDArray[np.float64], free: tuple[bool, bool, bool], good: NDArray[np.bool_]
) -> Moments:
    """Return the extra maps of `LogMoments` as means and covariances; 0 where there are none."""
    sums = np.where(good[:, None], extras, 0.0)
    mean, second = sums[:, 1:4].copy(), sums[:, 4:10].copy()
    position = 0
    for i in range(3):
        for j in range(i, 3):
            second[:, position] -= mean[:, i] * mean[:, j]
            if not (free[i] and free[j]):
                second[:, position] = 0.0
            position += 1
    mean[:, ~np.array(free)] = 0.0
    return Moments(mean, np.ascontiguousarray(second), sums[:, N_LOG_SUMS].copy())


def over_voxels(
    loop: Callable[..., Any], sample: TrainingSample, method: TwoDecayMethod, *arguments: Any
) -> None:
    """Call ``loop(start, stop, signals, shared, *arguments)`` for runs of the voxels of a sample.

    The voxels of a run have the same weights; `shared` is what these and the method give.

    Parameters
    ----------
    loop : callable
        Compiled by `ivimkit.engine.bind.bind`.
    sample : TrainingSample
        The voxels.
    method : TwoDecayMethod
        A method with a posterior.
    *arguments
        Passed on.
    """
    patterns = sample.patterns
    if patterns is None:
        in_chunks(
            loop,
            sample.n_voxels,
            shared_by(sample, method),
            *arguments,
            reader=sample.reader,
            used=sample.weight > 0.0,
            threads=sample.threads,
        )
        return

    @functools.lru_cache(maxsize=_MAX_PLANS)
    def shared_by_pattern(number: int) -> tuple[Shared, NDArray[np.bool_]]:
        alike = sample.of_pattern(number)
        return shared_by(alike, method), alike.weight > 0.0

    def runs(start: int, stop: int, signals: NDArray[np.float64]) -> None:
        numbers = patterns.numbers[start:stop]
        ends = [*(np.flatnonzero(np.diff(numbers)) + 1).tolist(), stop - start]
        first = 0
        for end in ends:
            # Without voxels the loop is compiled.
            number = int(numbers[first]) if stop > start else 0
            if patterns.rows[number].any():
                shared, used = shared_by_pattern(number)
                own = signals[first:end]
                own[:, : used.size][:, ~used] = 0.0
                loop(start + first, start + end, own, shared, *arguments)
            first = end

    say_compiling([loop])
    in_chunks(runs, sample.n_voxels, reader=sample.reader, threads=sample.threads)


def shared_by(sample: TrainingSample, method: TwoDecayMethod) -> Shared:
    """Return what all voxels of a sample share, with the options of a method with a posterior.

    D* is bounded by what can be blood, as in `ivimkit.extend.prior.broad`.
    """
    model = sample.model
    x, weight = padded_acquisition(sample.b[np.newaxis], sample.weight)
    plan = method.plan(model, x, weight)
    rows = sample.n_voxels if model.fixed_maps else 1
    lower = np.tile([p.lower for p in model.parameters], (rows, 1)).astype(np.float64)
    upper = np.tile([p.upper for p in model.parameters], (rows, 1)).astype(np.float64)
    for name, values in model.fixed_maps.items():
        lower[:, model.index(name)] = upper[:, model.index(name)] = values
    fast = parameter_names(model)[1]
    if fast is not None and model[fast].lower < MIN_PERFUSION_RATE < model[fast].upper:
        lower[:, model.index(fast)] = MIN_PERFUSION_RATE
    free = np.array(free_coordinates(model), dtype=np.int64)
    sigma = np.ascontiguousarray(sample.sigma, dtype=np.float64)
    return Shared(x, np.sqrt(weight), sigma, lower, upper, plan.options, plan.table, free)


def _room_for(n: int) -> Lattices:
    """Return arrays for the lattices of n voxels."""
    return Lattices(
        np.empty((n, N_ROWS, N_FRACTION_NODES), np.float32),
        np.empty((n, N_ROWS)),
        np.empty(n),
        np.empty((n, 3)),
        np.empty((n, 3, 3)),
    )


def _compile_loops(sample: TrainingSample, method: LogMoments) -> None:
    """Compile the loops over lattices, as another process may still compile the posterior."""
    none = sample.of_one_pattern().take(np.zeros(0, dtype=np.intp))
    free = np.array(free_coordinates(sample.model), dtype=np.int64)
    moments = Moments(np.zeros((0, 3)), np.zeros((0, 6)), np.zeros(0))
    lattices = _room_for(0)
    over_voxels(bind(place_chunk), none, method, moments, _WIDENED, lattices)
    rest = np.zeros((0, N_COMPONENT)), moments, np.zeros((1, N_LOG_SUMS))
    in_chunks(bind(expect_chunk), 0, free, lattices, *rest, threads=1)


class ScanLattices(VoxelLattices):
    """Likelihoods of the voxels of a sample on lattices, for priors that learn.

    Parameters
    ----------
    sample : TrainingSample
        The voxels.
    start : PriorTable
        The prior of the posteriors that place the first lattices.
    variance, noise, floor
        Of the method.
    """

    def __init__(
        self,
        sample: TrainingSample,
        start: PriorTable,
        variance: tuple[float, float],
        noise: str,
        floor: float,
    ) -> None:
        method = LogMoments(start, variance, noise, floor)
        _compile_loops(sample, method)
        values, fine = sample.fitted(method)
        if not fine.all():
            sample, values = sample.take(np.flatnonzero(fine)), values[fine]
        self._sample = sample
        self.free = free_coordinates(sample.model)
        self.n_voxels = sample.n_voxels
        extras = values[:, len(sample.model.parameters) + 2 :]
        self._moments = moments_of(extras, self.free, np.ones(len(extras), dtype=bool))
        self._method = method
        self._lattices = _room_for(self.n_voxels)
        self.follow()

    @property
    def means(self) -> NDArray[np.float64]:
        """Means of the posteriors so far."""
        return self._moments.mean

    def follow(self) -> None:
        """Lay the lattices where the posteriors are now."""
        over_voxels(
            bind(place_chunk),
            self._sample,
            self._method,
            self._moments,
            _WIDENED,
            self._lattices,
        )

    def expect(self, mixture: Mixture) -> tuple[NDArray[np.float64], float]:
        """Return the sums of a step of expectation-maximisation and the mean log-likelihood."""
        components = mixture.components()
        n_chunks = max(-(-self.n_voxels // CHUNK), 1)
        sums = np.zeros((n_chunks, mixture.size + 1, N_LOG_SUMS))
        in_chunks(
            bind(expect_chunk),
            self.n_voxels,
            np.array(self.free, dtype=np.int64),
            self._lattices,
            components,
            self._moments,
            threads=self._sample.threads,
            each=lambda number: (sums[number],),
        )
        # One chunk after the other: the order of the sum must not depend on the threads.
        total = np.zeros(sums.shape[1:])
        for part in sums:
            total += part
        return total[:-1], float(total[-1, 0] / max(total[-1, 1], 1.0))
