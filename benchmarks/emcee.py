"""emcee: method bayes against long Markov chains, which also sample S0."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import run_alone
from benchmarks.data import RANGES, DataSet, simulated, two_pool_signal
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.limit import sigma_of, under_truth
from benchmarks.machine import usable_cores

ABSENT = "emcee is not installed (`pip install emcee`): left out."

_QUICK, _FULL = 20, 50
_SETS, _FULL_SETS = (("b21", 50),), (("b21", 50), ("b21", 20))
_SEED = 11
_WALKERS = 64
_BURN, _STEPS, _MOST_STEPS = 2000, 6000, 60_000
# Required length of a chain, in autocorrelation times.
_LENGTH = 150
_NAMES = ("S0", "f", "D_star", "D")
_FAST = 2
_ERRORS, _SD = 3.0, 0.05
# 0.27 % of a normal distribution is beyond three standard deviations.
_SHARE = 0.99


@dataclass(frozen=True)
class _Outcome:
    """Differences between the posteriors of one set and the chains, shape (n_voxels, 4)."""

    name: str
    in_errors: NDArray[np.float64]
    error: NDArray[np.float64]
    sd: NDArray[np.float64]

    def rows(self) -> list[list[Cell]]:
        return [
            [
                f"{self.name}: {name.replace('D_star', 'D*')}",
                self.in_errors.shape[0],
                float(np.sqrt(np.mean(self.in_errors[:, k] ** 2))),
                float(np.abs(self.in_errors[:, k]).max()),
                float(np.median(self.error[:, k])),
                100.0 * float(np.median(np.abs(self.sd[:, k] - 1.0))),
                100.0 * float(np.abs(self.sd[:, k] - 1.0).max()),
            ]
            for k, name in enumerate(_NAMES)
        ]


@dataclass(frozen=True)
class _Job:
    """A voxel to sample; `first` is the start of the walkers' S0."""

    bvals: NDArray[np.float64]
    signal: NDArray[np.float64]
    sigma: float
    first: NDArray[np.float64]
    voxel: int


def measure(settings: Settings) -> Findings:
    """Sample voxels drawn at random."""
    n = settings.size(_QUICK, _FULL)
    outcomes = []
    if find_spec("emcee") is not None:
        for protocol, snr in _FULL_SETS if settings.full else _SETS:
            data = _drawn(simulated(protocol, snr), n)
            print(f"emcee: {data.name}, {n} voxels ...", flush=True)
            outcomes.append(_outcome(data, snr))
    return Findings(
        conditions={
            "data": f"{n} voxels drawn at random from each set",
            "prior": "uniform in the ranges of the truth, S0 ≥ 0 flat; noise taken as Gaussian, "
            "sigma known",
            "chains": f"emcee, {_WALKERS} walkers that start anywhere in the ranges, at least "
            f"{_STEPS} steps after a burn-in of {_BURN}; S0, f, D* and D sampled",
        },
        checked=f"every chain is longer than {_LENGTH} autocorrelation times.",
        tables=[
            Table(
                "Posterior of bayes against that of emcee",
                [
                    Column("set, parameter"),
                    Column("voxels", "{:d}"),
                    Column("mean, Monte Carlo errors: RMS", "{:.2f}"),
                    Column("worst", "{:.2f}"),
                    Column("Monte Carlo error / sd", "{:.4f}"),
                    Column("sd apart, %: median", "{:.2f}"),
                    Column("worst", "{:.2f}"),
                ],
                [row for outcome in outcomes for row in outcome.rows()],
            )
        ],
        targets=_targets(outcomes),
        notes=[
            "The Monte Carlo error is the standard deviation over the square root of the number "
            "of samples, divided by their autocorrelation time. If both were exact, the root mean "
            "square would be 1, and 0.3 % would be beyond 3.",
            *([] if outcomes else [ABSENT]),
        ],
    )


def _drawn(data: DataSet, n: int) -> DataSet:
    chosen = np.random.default_rng(_SEED).choice(data.signal.shape[0], n, replace=False)
    truth = {name: values[chosen] for name, values in data.truth.items()}
    return DataSet(data.name, data.bvals, data.signal[chosen], truth)


def _outcome(data: DataSet, snr: float) -> _Outcome:
    result = under_truth(data, snr)
    result.raise_for_status()
    truth = np.stack([data.truth[name] for name in _NAMES], axis=1)
    jobs = [
        _Job(data.bvals, signal, sigma_of(snr), first, voxel)
        for voxel, (signal, first) in enumerate(zip(data.signal, truth, strict=True))
    ]
    # Spawned, not forked: a fork of a process with threads may hang.
    with ProcessPoolExecutor(len(usable_cores()), mp_context=get_context("spawn")) as pool:
        mean, sd, error, length = map(np.array, zip(*pool.map(_sampled, jobs), strict=True))
    if length.min() < _LENGTH:
        raise AssertionError(
            f"{data.name}: a chain has {length.min():.0f} autocorrelation times; "
            f"expected {_LENGTH}"
        )
    told = np.stack([result.maps[name] for name in _NAMES], axis=1)
    spread = np.stack([result.sd[name] for name in _NAMES], axis=1)
    return _Outcome(data.name, (told - mean) / (sd * error), error, spread / sd)


def _sampled(
    job: _Job,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Return mean, standard deviation and relative error of each parameter, and the length."""
    import emcee

    low = np.array([0.0, *(RANGES[name][0] for name in _NAMES[1:])])
    high = np.array([np.inf, *(RANGES[name][1] for name in _NAMES[1:])])

    def log_probability(points: NDArray[np.float64]) -> NDArray[np.float64]:
        parameters = _of(points)
        away = (two_pool_signal(job.bvals, *parameters.T) - job.signal) / job.sigma
        inside = ((parameters > low) & (parameters < high)).all(axis=1)
        # The walkers move in ln D*, and the prior is flat in D*.
        return np.where(inside, points[:, _FAST] - 0.5 * (away**2).sum(axis=1), -np.inf)

    random = np.random.default_rng([_SEED, job.voxel])
    first = job.first * (1.0 + 0.05 * random.standard_normal((_WALKERS, len(_NAMES))))
    first[:, 1:] = random.uniform(low[1:], high[1:], first[:, 1:].shape)
    first[:, _FAST] = np.log(first[:, _FAST])
    sampler = emcee.EnsembleSampler(
        _WALKERS,
        len(_NAMES),
        log_probability,
        vectorize=True,
        moves=[(emcee.moves.DEMove(), 0.7), (emcee.moves.StretchMove(), 0.3)],
    )
    # emcee uses NumPy's legacy generator.
    state = sampler.run_mcmc(
        emcee.State(first, random_state=np.random.RandomState(job.voxel).get_state()), _BURN
    )
    sampler.reset()
    steps = 0
    length = 0.0
    while length < _LENGTH and steps < _MOST_STEPS:
        state = sampler.run_mcmc(state, _STEPS)
        steps += _STEPS
        chain = _of(sampler.get_chain())
        time = emcee.autocorr.integrated_time(chain, tol=0)
        length = float(steps / time.max())
    samples = chain.reshape(-1, len(_NAMES))
    error = np.sqrt(time / samples.shape[0])
    return samples.mean(axis=0), samples.std(axis=0), error, length


def _of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return S0, f, D* and D of points with ln D*."""
    parameters = points.copy()
    parameters[..., _FAST] = np.exp(points[..., _FAST])
    return parameters


def _targets(outcomes: list[_Outcome]) -> list[Target]:
    texts = (
        f"Means of S0, f, D* and D within {_ERRORS:g} Monte Carlo errors, ≥ {_SHARE:.0%} of all",
        f"Standard deviations within {_SD:.0%}",
    )
    if not outcomes:
        return [Target(text, "no emcee", None) for text in texts]
    in_errors = np.abs(np.concatenate([outcome.in_errors for outcome in outcomes]))
    apart = np.abs(np.concatenate([outcome.sd for outcome in outcomes]) - 1.0)
    share = float(np.mean(in_errors <= _ERRORS))
    return [
        Target(texts[0], f"{share:.1%}, worst {in_errors.max():.1f}", share >= _SHARE),
        Target(texts[1], f"worst {apart.max():.1%}", bool(apart.max() <= _SD)),
    ]


FIGURE = Figure(
    order=15,
    name="emcee",
    title="Against a Markov chain: emcee",
    measure=measure,
    full_takes="about 5 minutes (50 voxels of two sets)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
