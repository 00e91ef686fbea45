"""Does method bayes say what a long Markov chain says? Against emcee, S0 sampled as well."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import RANGES, DataSet, simulated, two_pool_signal
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.limit import sigma_of, under_truth

ABSENT = "emcee is not installed (`pip install emcee`): left out."

_QUICK, _FULL = 20, 50
_SETS, _FULL_SETS = (("b21", 50),), (("b21", 50), ("b21", 20))
_SEED = 11
_WALKERS = 64
_BURN, _STEPS = 1000, 6000
_NAMES = ("S0", "f", "D_star", "D")
_ERRORS, _SD = 3.0, 0.05
# Of a normal distribution 0.27 % is beyond three standard deviations.
_SHARE = 0.99


@dataclass(frozen=True)
class _Outcome:
    """How far the posteriors of one set are from those of the chains, shape (n_voxels, 4)."""

    name: str
    in_errors: NDArray[np.float64]
    error: NDArray[np.float64]
    sd: NDArray[np.float64]
    length: float

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
            "prior": "uniform in the ranges of the truth, S0 ≥ 0 flat; noise taken for Gaussian, "
            "sigma known",
            "chains": f"emcee, differential evolution, {_WALKERS} walkers × {_STEPS} steps after "
            f"{_BURN} that are dropped, S0, f, D* and D sampled",
        },
        checked="every chain is longer than 50 of its autocorrelation times.",
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
            "The Monte Carlo error is the standard deviation over the root of the number of "
            "samples, divided by their autocorrelation time. If both were exact, the root mean "
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
    in_errors, errors, ratios, lengths = [], [], [], []
    for voxel in range(data.signal.shape[0]):
        mean, sd, time = _sampled(data, voxel, sigma_of(snr))
        lengths.append(_STEPS / time.max())
        if lengths[-1] < 50.0:
            raise AssertionError(
                f"{data.name}: the chain has {lengths[-1]:.0f} autocorrelation times; expected 50"
            )
        error = np.sqrt(time / (_STEPS * _WALKERS))
        told = np.array([result.maps[name][voxel] for name in _NAMES])
        spread = np.array([result.sd[name][voxel] for name in _NAMES])
        in_errors.append((told - mean) / (sd * error))
        errors.append(error)
        ratios.append(spread / sd)
    return _Outcome(
        data.name,
        np.array(in_errors),
        np.array(errors),
        np.array(ratios),
        min(lengths),
    )


def _sampled(
    data: DataSet, voxel: int, sigma: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean, standard deviation and autocorrelation time of each parameter's chain."""
    import emcee

    signal, bvals = data.signal[voxel], data.bvals
    low = np.array([0.0, *(RANGES[name][0] for name in _NAMES[1:])])
    high = np.array([np.inf, *(RANGES[name][1] for name in _NAMES[1:])])

    def log_probability(points: NDArray[np.float64]) -> NDArray[np.float64]:
        away = (two_pool_signal(bvals, *points.T) - signal) / sigma
        inside = ((points > low) & (points < high)).all(axis=1)
        return np.where(inside, -0.5 * (away**2).sum(axis=1), -np.inf)

    random = np.random.default_rng([_SEED, voxel])
    truth = np.array([data.truth[name][voxel] for name in _NAMES])
    # From around the truth, which nobody has to find.
    first = truth * (1.0 + 0.05 * random.standard_normal((_WALKERS, len(_NAMES))))
    first = np.clip(first, 1.001 * low, 0.999 * high)
    first[:, 1:] += 1e-6 * random.uniform(-1.0, 1.0, first[:, 1:].shape) * low[1:]
    sampler = emcee.EnsembleSampler(
        _WALKERS,
        len(_NAMES),
        log_probability,
        vectorize=True,
        moves=[(emcee.moves.DEMove(), 0.9), (emcee.moves.DESnookerMove(), 0.1)],
    )
    # emcee draws from a generator of the old kind.
    sampler.random_state = np.random.RandomState(_SEED + voxel).get_state()
    sampler.run_mcmc(first, _BURN + _STEPS)
    chain = sampler.get_chain(discard=_BURN)
    samples = chain.reshape(-1, len(_NAMES))
    time = emcee.autocorr.integrated_time(chain, tol=0)
    return samples.mean(axis=0), samples.std(axis=0), np.asarray(time)


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
