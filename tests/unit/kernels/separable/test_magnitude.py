"""Magnitudes of any model: the maximum of their likelihood, which SciPy finds no higher.

The fits are made by the same code in plain Python: nothing to compile.
"""

import math

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.status import FitStatus
from separable_magnitudes import (
    COILS,
    REFERENCE,
    SIGMA,
    fit,
    magnitudes,
    minus_log_likelihood,
    setting,
)
from separable_models import B21, signals, truth

# ln of likelihood by which two searches for one maximum may differ: 1e-3 standard deviations.
SAME_MAXIMUM = 1e-6
MODELS = sorted(SIGMA)
# Of each model so many voxels of the reference are fitted.
N = 1
KINDS = {"known": True, "estimated": False}


def _biexp():
    true = np.random.default_rng(1).uniform(
        [1000, 0.1, 10e-3, 0.5e-3], [1000, 0.4, 80e-3, 2e-3], (2, 4)
    )
    rows = magnitudes(ik.simulate.signals("biexp", true, np.array(B21, float)), 60.0, 1, seed=2)
    return np.pad(rows, ((0, 0), (0, 3)))


@pytest.fixture(scope="module")
def found():
    """Return what the fits give, parameters and status, by model and kind."""
    reference = np.load(REFERENCE)
    made = {}
    for kind, known in KINDS.items():
        for name in MODELS:
            sigma = SIGMA[name] if known else math.nan
            made[f"{name}-{kind}"] = fit(name, reference[f"{name}.rows"][:N], sigma, COILS[name])
        made[f"biexp-{kind}"] = fit("biexp", _biexp(), 60.0 if known else math.nan, 1)
    noise = magnitudes(np.zeros((4, 24)), 50.0, 1, seed=3)
    made["biexp-noise"] = fit("biexp", np.pad(noise[:, :21], ((0, 0), (0, 3))), 50.0, 1)
    clean = signals("kurtosis", truth("kurtosis", 2))
    clear = clean + np.random.default_rng(4).normal(0, 1e-2, clean.shape)
    made["kurtosis-clear"] = fit("kurtosis", clear, math.nan, 1)
    return made


def _values(name, kind, rows, out, coils):
    n = len(setting(name)[1])
    return np.array(
        [
            minus_log_likelihood(name, o[:n], row, o[n + 2], coils, known=KINDS[kind])
            for row, o in zip(rows, out, strict=True)
        ]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_maximum_of_the_likelihood(found, name, kind):
    reference = np.load(REFERENCE)
    out, status = found[f"{name}-{kind}"]
    assert not (status & int(FitStatus.NOT_CONVERGED | FitStatus.NO_SIGNAL)).any()
    values = _values(name, kind, reference[f"{name}.rows"][:N], out, COILS[name])
    assert (values - reference[f"{name}.{kind}"][:N]).max() < SAME_MAXIMUM
    n = len(setting(name)[1])
    if KINDS[kind]:
        np.testing.assert_allclose(out[:, n + 2], SIGMA[name])
    else:
        assert (np.abs(np.log(out[:, n + 2] / SIGMA[name])) < 0.7).all()


@pytest.mark.parametrize("kind", KINDS)
def test_two_decays_are_what_the_fast_path_finds(found, kind):
    rows = _biexp()
    fast = ik.fit(
        rows[:, :21],
        np.array(B21, float),
        method=ik.methods.VarPro(noise="rician"),
        sigma=60.0 if KINDS[kind] else None,
    )
    theirs = np.column_stack([fast.params, np.zeros((len(rows), 2)), fast.maps["sigma"]])
    ours, _ = found[f"biexp-{kind}"]
    difference = _values("biexp", kind, rows, ours, 1) - _values("biexp", kind, rows, theirs, 1)
    assert np.abs(difference).max() < SAME_MAXIMUM
    np.testing.assert_allclose(ours[:, 6], theirs[:, 6], rtol=1e-4)
    np.testing.assert_allclose(ours[:, 4], fast.maps["cost"], rtol=1e-3)


def test_noise_alone_is_no_signal_or_flagged(found):
    _, status = found["biexp-noise"]
    hidden = FitStatus.NO_SIGNAL | FitStatus.PERFUSION_NOT_DETECTED | FitStatus.TISSUE_NOT_DETECTED
    assert ((status & int(hidden)) != 0).all()


def test_high_signal_to_noise_gives_the_least_squares_fit(found):
    true = truth("kurtosis", 2)
    out, _ = found["kurtosis-clear"]
    np.testing.assert_allclose(out[:, :5], true, rtol=5e-3)
    np.testing.assert_allclose(out[:, 7], np.sqrt(out[:, 5] / (24 - 5)), rtol=1e-3)
