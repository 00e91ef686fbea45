"""Posteriors of every model that is not two decays: against chains, coverage, speed."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.machine import usable_cores
from benchmarks.model_cases import Case, cases, drawn
from ivimkit.engine import evaluate
from ivimkit.extend.model_prior import coordinates_of
from ivimkit.extend.model_prior_learning import broad_prior
from ivimkit.status import FAILED, FitStatus

Array = NDArray[np.float64]

ABSENT = "emcee is not installed (`pip install emcee`): left out."

_SNR, _S0 = 50.0, 1000.0
_QUICK, _FULL = 2000, 10_000
_CHAINS, _FULL_CHAINS = 10, 50
_SEED = 29
_WALKERS, _BURN, _STEPS = 64, 2000, 8000
_ERRORS, _SD, _SPEED = 3.0, 0.05, 3000
_COVERED = (0.93, 0.97)
# 0.27 % of a normal distribution is beyond three standard deviations.
_SHARE = 0.99
# Two alike compartments are at least so far apart, as in the fits.
_APART = 1.02


@dataclass(frozen=True)
class _Outcome:
    """Posteriors of a model against chains, shape (n_voxels, n_par), and on many voxels."""

    case: Case
    names: tuple[str, ...]
    off: Array
    error: Array
    told: Array
    sd: Array
    speed: float
    accuracy: Array
    covered: Array
    unsure: float

    @property
    def in_errors(self) -> Array:
        """Differences of the means over the errors of both: of the chain, and the one told."""
        return self.off / np.hypot(self.error, self.told[:, None])

    def row(self) -> list[Cell]:
        has_chains = self.off.size > 0
        return [
            f"{self.case.model.name}, {self.case.protocol}",
            len(coordinates_of(self.case.model)),
            self.speed,
            float(np.median(self.accuracy)),
            100.0 * self.unsure,
            self.off.shape[0],
            float(np.sqrt(np.mean(self.off**2))) if has_chains else None,
            float(np.median(self.error)) if has_chains else None,
            100.0 * float(np.mean(np.abs(self.in_errors) <= _ERRORS)) if has_chains else None,
            100.0 * float(np.median(np.abs(self.sd - 1.0))) if has_chains else None,
            100.0 * float(np.mean(np.abs(self.sd - 1.0) <= _SD)) if has_chains else None,
            " ".join(
                f"{name} {100 * share:.1f}"
                for name, share in zip(self.names[1:], self.covered, strict=True)
            ),
        ]


@dataclass(frozen=True)
class _Job:
    """A voxel to sample."""

    model: str
    x: Array
    signal: Array
    start: Array
    voxel: int


def measure(settings: Settings) -> Findings:
    """Measure every model that is not a sum of two decays."""
    n = settings.size(_QUICK, _FULL)
    n_chains = settings.size(_CHAINS, _FULL_CHAINS) if settings.voxels is None else _CHAINS
    n_chains = n_chains if find_spec("emcee") is not None else 0
    outcomes = [_outcome(case, n, n_chains) for case in cases() if case.model.two_decays() is None]
    return Findings(
        conditions={
            "data": f"SNR {_SNR:g} at b = 0, Gaussian noise, sigma known",
            "chains": f"{n_chains} voxels per model, true values where they usually are, flat "
            f"prior; emcee, {_WALKERS} walkers, {_STEPS} steps after a burn-in of {_BURN}; S0 and "
            "all parameters sampled",
            "coverage": f"{n} voxels per model, true values drawn from the prior of the fit: one "
            "Gaussian of the logits, around usual values",
            "speed": "voxels/s of one thread, CPU time, flat prior",
        },
        checked="every voxel that has a fit has an accuracy.",
        tables=[
            Table(
                "Posteriors of all models",
                [
                    Column("model, protocol"),
                    Column("coordinates", "{:d}"),
                    Column("voxels/s", "{:.0f}"),
                    Column("accuracy told, median", "{:.3f}"),
                    Column("status POSTERIOR_INACCURATE, %", "{:.1f}"),
                    Column("chains", "{:d}"),
                    Column("mean off, sd: RMS", "{:.3f}"),
                    Column("error of a chain, sd", "{:.3f}"),
                    Column("within 3 errors, %", "{:.1f}"),
                    Column("sd apart, %: median", "{:.2f}"),
                    Column("sd within 5 %, %", "{:.0f}"),
                    Column("95 % intervals hold the truth, %"),
                ],
                [outcome.row() for outcome in outcomes],
            )
        ],
        targets=[target for outcome in outcomes for target in _targets(outcome)],
        notes=[
            "The error of a mean is that of the chain (standard deviation over the root of the "
            "number of samples, divided by their autocorrelation time) and the one that the map "
            "accuracy tells, together.",
            *([] if n_chains else [ABSENT]),
        ],
    )


def _outcome(case: Case, n: int, n_chains: int) -> _Outcome:
    model = case.model
    print(f"model_posterior: {model.name}, {case.protocol} ...", flush=True)
    flat = ik.methods.Bayes(prior="flat", noise="gaussian")
    truth = drawn(model, n)
    dwi = _noisy(case, truth, 1)
    _fit(_noisy(case, truth[:8], 1), model, flat)
    begin = time.process_time()
    result = _fit(dwi, model, flat)
    speed = n / (time.process_time() - begin)
    fitted = np.isfinite(result.maps["accuracy"])
    if (fitted != ((result.status & int(FAILED)) == 0)).any():
        raise AssertionError(f"{model.name}: a fitted voxel has no accuracy")
    inaccurate = (result.status & int(FitStatus.POSTERIOR_INACCURATE)) != 0
    prior = broad_prior(model)
    values = prior.draw(n, seed=_SEED)
    right = truth.copy()
    for name, own in values.items():
        right[:, model.index(name)] = own
    kept = _in_order(model, right)
    own = _fit(
        _noisy(case, right[kept], 2), model, ik.methods.Bayes(prior=prior, noise="gaussian")
    )
    covered = [_covered(own, right[kept], name) for name in model.names[1:]]
    off, error, sd = _against_chains(case, dwi, truth, result, n_chains)
    return _Outcome(
        case, model.names, off, error, result.maps["accuracy"][:n_chains], sd, speed,
        result.maps["accuracy"][fitted], np.array(covered), float(inaccurate.mean()),
    )  # fmt: skip


def _noisy(case: Case, truth: Array, seed: int) -> ik.DWI:
    clean = ik.simulate.signals(case.model, truth, case.settings)
    noise = np.random.default_rng([_SEED, seed]).normal(0.0, _S0 / _SNR, clean.shape)
    return ik.DWI(clean + noise, case.acquisition, average="none")


def _fit(dwi: ik.DWI, model: ik.SignalModel, method: ik.methods.Bayes) -> ik.FitResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ik.fit(dwi, model=model, method=method, sigma=_S0 / _SNR, threads=1)


def _in_order(model: ik.SignalModel, params: Array) -> NDArray[np.bool_]:
    kept = np.ones(len(params), dtype=bool)
    for slow, fast in model.ascending:
        kept &= params[:, model.index(fast)] >= _APART * params[:, model.index(slow)]
    return kept


def _covered(result: ik.FitResult, truth: Array, name: str) -> float:
    low, high = result.interval[name]
    own = truth[:, result.model.index(name)]
    held = (low <= own) & (own <= high)
    return float(held[np.isfinite(low)].mean())


def _against_chains(
    case: Case, dwi: ik.DWI, truth: Array, result: ik.FitResult, n: int
) -> tuple[Array, Array, Array]:
    """Return differences of means, and errors of the chains, in sd; and ratios of the sd."""
    names = case.model.names
    x = np.array([case.settings[name] for name in case.model.variables], dtype=np.float64)
    signal = np.asarray(dwi.signal).reshape(len(truth), -1)
    jobs = [_Job(case.model.name, x, signal[v], truth[v], v) for v in range(n)]
    if not jobs:
        return (np.zeros((0, len(names))),) * 3
    with ProcessPoolExecutor(len(usable_cores()), mp_context=get_context("spawn")) as pool:
        mean, sd, error = map(np.array, zip(*pool.map(_sampled, jobs), strict=True))
    told = np.stack([result.maps[name][:n] for name in names], axis=1)
    spread = np.stack([result.maps[f"{name}_sd"][:n] for name in names], axis=1)
    return (told - mean) / sd, error, spread / sd


def _sampled(job: _Job) -> tuple[Array, Array, Array]:
    """Return mean, standard deviation and relative error of each parameter of a chain."""
    import emcee

    model = ik.models.get(job.model)
    coordinates = {c.name: c for c in coordinates_of(model)}
    names = model.names
    scale = 1.0 / np.median(job.signal[job.x[0] == job.x[0].min()])

    def parameters(points: Array) -> tuple[Array, Array]:
        """Return parameters, and the logarithm of the density of points for a flat prior."""
        params, level = points.copy(), np.zeros(len(points))
        left = np.ones(len(points))
        for k, name in enumerate(names[1:], start=1):
            c = coordinates[name]
            z = points[:, k]
            if c.share:
                level = np.where((z >= c.lower) & (z <= c.upper), level, -np.inf)
                left = left - z
                continue
            values = c.values(z)
            place = 1.0 / (1.0 + np.exp(-z))
            level = level + np.log(place * (1.0 - place))
            level = level + np.log(values) if c.logarithmic else level
            params[:, k] = values
        level = np.where(left >= 0.0, level, -np.inf)
        return params, np.where(_in_order(model, params), level, -np.inf)

    def log_probability(points: Array) -> Array:
        params, level = parameters(points)
        inside = np.isfinite(level) & (points[:, 0] > 0.0)
        off = (evaluate(model, params, job.x) - job.signal) * (_SNR / _S0)
        return np.where(inside, level - 0.5 * np.square(off).sum(axis=1), -np.inf)

    random = np.random.default_rng([_SEED, job.voxel])
    first = np.empty((_WALKERS, len(names)))
    first[:, 0] = random.uniform(0.8, 1.2, _WALKERS) / scale
    for k, name in enumerate(names[1:], start=1):
        c = coordinates[name]
        if c.share:
            first[:, k] = random.uniform(0.05, 0.4, _WALKERS)
        else:
            low, high = (np.log(c.lower), np.log(c.upper)) if c.logarithmic else (c.lower, c.upper)
            own = np.log(job.start[k]) if c.logarithmic else job.start[k]
            place = np.clip((own - low) / (high - low), 0.02, 0.98)
            first[:, k] = np.log(place / (1.0 - place)) + 0.3 * random.standard_normal(_WALKERS)
    sampler = emcee.EnsembleSampler(
        _WALKERS, len(names), log_probability, vectorize=True,
        moves=[(emcee.moves.DEMove(), 0.7), (emcee.moves.StretchMove(), 0.3)],
    )  # fmt: skip
    # emcee uses NumPy's legacy generator.
    state = emcee.State(first, random_state=np.random.RandomState(job.voxel).get_state())
    state = sampler.run_mcmc(state, _BURN, skip_initial_state_check=True)
    sampler.reset()
    sampler.run_mcmc(state, _STEPS)
    chain = sampler.get_chain()
    natural = parameters(chain.reshape(-1, len(names)))[0].reshape(chain.shape)
    lengths = emcee.autocorr.integrated_time(natural, tol=0)
    samples = natural.reshape(-1, len(names))
    return samples.mean(axis=0), samples.std(axis=0), np.sqrt(lengths / len(samples))


def _targets(outcome: _Outcome) -> list[Target]:
    name = outcome.case.model.name
    low, high = _COVERED
    found = [
        Target(
            f"{name}: at least {_SPEED} voxels/s",
            f"{outcome.speed:.0f}",
            bool(outcome.speed >= _SPEED),
        ),
        Target(
            f"{name}: {low:.0%} to {high:.0%} of all intervals hold the truth",
            f"{outcome.covered.min():.1%} to {outcome.covered.max():.1%}",
            bool(low <= outcome.covered.min() and outcome.covered.max() <= high),
        ),
    ]
    if outcome.off.size:
        share = float(np.mean(np.abs(outcome.in_errors) <= _ERRORS))
        near = float(np.mean(np.abs(outcome.sd - 1.0) <= _SD))
        found += [
            Target(
                f"{name}: means within {_ERRORS:g} errors, ≥ {_SHARE:.0%} of all",
                f"{share:.1%}",
                share >= _SHARE,
            ),
            Target(
                f"{name}: all standard deviations within {_SD:.0%}", f"{near:.0%}", near == 1.0
            ),
        ]
    return found


FIGURE = Figure(
    order=16,
    name="model_posterior",
    title="Posteriors of every model",
    measure=measure,
    full_takes="about 30 minutes (50 chains per model)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
