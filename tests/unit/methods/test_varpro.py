"""varpro: the global optimum inside the bounds, whatever the bounds.

Two references. The optimum of a box is the best of the optima of its parts: fitting twenty
small boxes leaves no basin to hide in. And scipy's least_squares from many starts, which shares
no line of code.
"""

import functools
import itertools
import math

import numpy as np
import pytest
from scipy.optimize import least_squares

import ivimkit as ik
from ivimkit.status import FAILED, FitStatus, at_lower, at_upper
from tolerances import (
    NOISE_FREE,
    OPTIMUM,
    OPTIMUM_MISSED,
    SHARE_AT_OPTIMUM,
)

PROTOCOLS = {"b13": np.array(ik.simulate.B13, float), "b21": np.array(ik.simulate.B21, float)}
BIEXP = ik.models.get("biexp")
N = 400

# Means and spreads of what is fitted: lower and upper of S0, f, D*, D.
TISSUES = {
    "tissue": ([1000, 0.03, 8e-3, 0.5e-3], [1000, 0.4, 80e-3, 2.5e-3]),
    "whole box": ([1000, 0.0, 2e-3, 0.0], [1000, 1.0, 0.2, 5e-3]),
    "fluid": ([1000, 0.0, 0.01, 2.2e-3], [1000, 0.1, 0.1, 3.5e-3]),
    "vessel": ([1000, 0.8, 2e-3, 0.0], [1000, 1.0, 20e-3, 2e-3]),
    "one pool": ([1000, 0.0, 0.01, 0.2e-3], [1000, 0.0, 0.01, 5e-3]),
}

GENERAL = {
    "f from 0.05 to 0.3": BIEXP.with_bounds(f=(0.05, 0.3)),
    "S0 bounded": BIEXP.with_bounds(S0=(950, 1020)),
    "S0 cut off": BIEXP.with_bounds(S0=(0, 950)),
    "S0 fixed": BIEXP.with_fixed(S0=1000),
    "D fixed": BIEXP.with_fixed(D=1e-3),
    "D* fixed": BIEXP.with_fixed(D_star=0.02),
    "f fixed": BIEXP.with_fixed(f=0.15),
    "f zero": BIEXP.with_fixed(f=0.0),
    "f one": BIEXP.with_fixed(f=1.0),
    "D and S0 fixed": BIEXP.with_fixed(D=1e-3, S0=1000),
    "rates fixed": BIEXP.with_fixed(D=1e-3, D_star=0.02),
    "D narrow": BIEXP.with_bounds(D=(1e-3, 1.2e-3)),
    "D* narrow": BIEXP.with_bounds(D_star=(10e-3, 15e-3)),
    "D* from 3e-3 to 0.3": BIEXP.with_bounds(D_star=(3e-3, 0.3)),
    "everything bounded": BIEXP.with_bounds(
        S0=(800, 1050), f=(0.1, 0.3), D=(0.5e-3, 2e-3), D_star=(5e-3, 0.1)
    ),
}


def tissue(name, bvals, snr, seed, n=N):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(*TISSUES[name], (n, 4))
    signals = ik.simulate.signals("biexp", truth, bvals)
    return ik.simulate.add_noise(signals, sigma=1000 / snr, kind="rician", seed=seed)


def pieces(parameter, edges):
    """Return the parts of a parameter's range, one if it is fixed."""
    if parameter.fixed:
        return [(parameter.lower, parameter.upper)]
    inside = [x for x in edges if parameter.lower < x < parameter.upper]
    return list(itertools.pairwise([parameter.lower, *inside, parameter.upper]))


SLOW_EDGES = np.array([0.7, 1.3, 2.4]) * 1e-3
FAST_EDGES = np.array([3.2, 6.0, 15.0, 50.0]) * 1e-3


def best_of_the_parts(signals, bvals, model):
    """Fit every part of the box by itself and return the lowest cost of each voxel."""
    best = np.full(len(signals), np.inf)
    for slow in pieces(model["D"], SLOW_EDGES):
        for fast in pieces(model["D_star"], FAST_EDGES):
            if fast[1] <= slow[0]:
                continue  # D* > D everywhere.
            part = model.with_bounds(D=slow, D_star=fast)
            maps = ik.fit(signals, bvals, model=part, method="varpro").maps
            best = np.fmin(best, np.where(maps["D_star"] > maps["D"], maps["cost"], np.nan))
    return best


def assert_at_optimum(cost, best):
    ratio = cost / best
    assert np.isfinite(ratio).all(), f"{np.isnan(cost).sum()} voxels have no fit"
    missed = ratio > OPTIMUM_MISSED
    assert not missed.any(), f"{missed.sum()} of {cost.size} voxels, up to {ratio.max():.3f} x"
    share = (ratio <= OPTIMUM).mean()
    assert share >= SHARE_AT_OPTIMUM, f"{share:.1%} at the optimum"


SNRS = (20, 70)


@functools.cache
def costs_of_tissues(protocol):
    """Return the cost of every voxel and the best of the parts, by tissue and SNR.

    All in one fit of every part: it is the number of fits that takes time.
    """
    bvals, keys = PROTOCOLS[protocol], list(itertools.product(TISSUES, SNRS))
    signals = np.concatenate([tissue(name, bvals, snr, seed=40 + snr) for name, snr in keys])
    cost = ik.fit(signals, bvals).maps["cost"]
    both = cost, best_of_the_parts(signals, bvals, BIEXP)
    return dict(zip(keys, np.stack(both, axis=1).reshape(len(keys), N, 2), strict=True))


@pytest.mark.parametrize("snr", SNRS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", TISSUES)
def test_no_part_of_the_box_has_a_lower_minimum(name, protocol, snr):
    assert_at_optimum(*costs_of_tissues(protocol)[name, snr].T)


@pytest.mark.parametrize("model", GENERAL.values(), ids=GENERAL)
def test_general_bounds_have_no_lower_minimum_in_a_part(model):
    bvals = PROTOCOLS["b13"]
    signals = tissue("tissue", bvals, 25, seed=50)
    result = ik.fit(signals, bvals, model=model)
    assert_at_optimum(result.maps["cost"], best_of_the_parts(signals, bvals, model))


@pytest.mark.parametrize("model", GENERAL.values(), ids=GENERAL)
def test_general_bounds_against_scipy(model):
    bvals = PROTOCOLS["b21"]
    signals = tissue("tissue", bvals, 25, seed=51, n=2)
    result = ik.fit(signals, bvals, model=model)
    best = np.array([scipy_optimum(signal, bvals, model) for signal in signals])
    np.testing.assert_array_less(result.maps["cost"], best * OPTIMUM)


def test_a_map_that_fixes_D_against_scipy():
    bvals = PROTOCOLS["b13"]
    signals = tissue("tissue", bvals, 25, seed=52, n=8)
    fixed = np.random.default_rng(0).uniform(0.5e-3, 2.5e-3, 8)
    result = ik.fit(signals, bvals, model=BIEXP.with_fixed(D=fixed))
    best = [
        scipy_optimum(signal, bvals, BIEXP.with_fixed(D=value))
        for signal, value in zip(signals, fixed, strict=True)
    ]
    np.testing.assert_array_equal(result.maps["D"], fixed)
    np.testing.assert_array_less(result.maps["cost"], np.array(best) * OPTIMUM)


def test_a_map_that_fixes_f_against_one_number_at_a_time():
    bvals = PROTOCOLS["b21"]
    signals = tissue("tissue", bvals, 50, seed=76, n=30)
    fractions = np.random.default_rng(77).uniform(0.0, 1.0, 30)
    mapped = ik.fit(signals, bvals, model=BIEXP.with_fixed(f=fractions))
    alone = [
        ik.fit(signal, bvals, model=BIEXP.with_fixed(f=fraction)).maps["cost"]
        for signal, fraction in zip(signals, fractions, strict=True)
    ]
    assert_at_optimum(mapped.maps["cost"], np.array(alone))


def scipy_optimum(signal, bvals, model):
    """Return the lowest cost with D* > D from 6 starts; free parameters only, scaled to 1."""
    free = [k for k, parameter in enumerate(model.parameters) if not parameter.fixed]
    values = np.array([p.lower if p.fixed else np.nan for p in model.parameters])
    scale = np.array([1000, 1, 0.05, 2e-3])[free]
    lower = np.array([model.parameters[k].lower for k in free]) / scale
    upper = np.array([model.parameters[k].upper for k in free]) / scale
    if not free:
        return float(((signal - curve(values, bvals)) ** 2).sum())

    def residual(x):
        full = values.copy()
        full[free] = x * scale
        return curve(full, bvals) - signal

    def slopes(x):
        full = values.copy()
        full[free] = x * scale
        return curve_slopes(full, bvals)[:, free] * scale

    starts = [
        (signal[0], 0.2, fast, slow)
        for fast, slow in itertools.product((4e-3, 0.02, 0.1), (0.7e-3, 2e-3))
    ]
    costs = []
    for start in starts:
        x = np.clip(np.array(start)[free] / scale, lower, upper)
        fit = least_squares(
            residual, x, slopes, bounds=(lower, upper), xtol=1e-12, ftol=1e-12, gtol=1e-12
        )
        full = values.copy()
        full[free] = fit.x * scale
        costs.append(2 * fit.cost if full[2] > full[3] else math.inf)
    return min(costs)


def curve(params, bvals):
    s0, f, fast, slow = params
    return s0 * (f * np.exp(-bvals * fast) + (1 - f) * np.exp(-bvals * slow))


def curve_slopes(params, bvals):
    """Return the derivatives of `curve` by S0, f, D* and D: (n_bvals, 4)."""
    s0, f, fast, slow = params
    blood, tissue = np.exp(-bvals * fast), np.exp(-bvals * slow)
    by_rates = -bvals * s0 * f * blood, -bvals * s0 * (1 - f) * tissue
    return np.stack([f * blood + (1 - f) * tissue, s0 * (blood - tissue), *by_rates], axis=1)


@pytest.mark.parametrize("snr", [20, 50])
@pytest.mark.parametrize("name", TISSUES)
def test_no_other_method_has_a_lower_cost(name, snr):
    bvals = PROTOCOLS["b21"]
    signals = tissue(name, bvals, snr, seed=60, n=3000)
    best = ik.fit(signals, bvals).maps["cost"]
    others = [
        ik.methods.TRR(),
        ik.methods.TRR(split_b_D=200, split_b_S0=100),
        ik.methods.Segmented(),
        ik.methods.Segmented(b_split=100, steps=2),
    ]
    for method in others:
        result = ik.fit(signals, bvals, method=method)
        fitted = (result.status & int(FAILED)) == 0
        worse = best[fitted] > result.maps["cost"][fitted] * OPTIMUM
        ratio = (best[fitted] / result.maps["cost"][fitted])[worse]
        assert not worse.any(), f"{worse.sum()} voxels, {ratio.max() - 1:.1e} above {method}"


@pytest.mark.parametrize("model", ["monoexp", "sivim"])
@pytest.mark.parametrize("bvals", PROTOCOLS.values(), ids=PROTOCOLS)
def test_other_models_have_no_lower_minimum_in_a_part(model, bvals):
    model = ik.models.get(model)
    rate = model.two_decays().slow
    rng = np.random.default_rng(70)
    shapes = np.exp(-np.outer(10 ** rng.uniform(-4, -1.5, 2000), bvals))
    shapes[:, bvals > 0] *= rng.uniform(0.3, 1.2, (2000, 1))
    signals = 1000 * shapes + rng.normal(0, 50, shapes.shape)
    result = ik.fit(signals, bvals, model=model)
    edges = np.linspace(model[rate].lower, model[rate].upper, 13)
    best = np.full(len(signals), np.inf)
    for bounds in itertools.pairwise(edges):
        part = model.with_bounds(**{rate: bounds})
        best = np.fmin(best, ik.fit(signals, bvals, model=part).maps["cost"])
    assert_at_optimum(result.maps["cost"], best)


@pytest.mark.parametrize("bvals", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("name", TISSUES)
def test_it_always_converges(name, bvals):
    for snr in (5, 50, 1e3, 1e5):
        result = ik.fit(tissue(name, bvals, snr, seed=80, n=1000), bvals)
        assert not (result.status & int(FitStatus.NOT_CONVERGED)).any(), f"SNR {snr}"


@pytest.mark.parametrize("bvals", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("name", ["whole box", "vessel", "fluid"])
def test_noise_free_signals_are_explained_completely(name, bvals):
    # Two equal pools fit just as well, so it is the signal that must be found again.
    rng = np.random.default_rng(81)
    truth = rng.uniform(*TISSUES[name], (3000, 4))
    truth[:, 1] = np.maximum(truth[:, 1], 0.02)
    truth[:, 3] = np.minimum(truth[:, 3], truth[:, 2] / 3)
    signals = ik.simulate.signals("biexp", truth, bvals)
    rmse = ik.fit(signals, bvals).maps["rmse"] / truth[:, 0]
    bad = ~(rmse < NOISE_FREE)
    assert not bad.any(), f"{bad.sum()} voxels, e.g. {truth[bad][0]}"


def test_fixed_fractions_leave_the_other_pool_identifiable():
    bvals = PROTOCOLS["b21"]
    signals = tissue("one pool", bvals, 50, seed=82)
    result = ik.fit(signals, bvals, model=BIEXP.with_fixed(f=0.0))
    assert not (result.status & int(FitStatus.TISSUE_NOT_DETECTED)).any()
    free = (result.status & (at_lower(3) | at_upper(3))) == 0
    assert free.mean() > 0.9
    assert np.isfinite(result.reliable("D")[free]).all()


def test_signals_may_be_negative():
    bvals = PROTOCOLS["b21"]
    rng = np.random.default_rng(83)
    signals = curve([1000, 0.2, 0.02, 3e-3], bvals) + rng.normal(0, 150, (8, bvals.size))
    assert (signals < 0).any(axis=1).mean() > 0.5
    best = [scipy_optimum(signal, bvals, BIEXP) for signal in signals]
    result = ik.fit(signals, bvals)
    np.testing.assert_array_less(result.maps["cost"], np.array(best) * OPTIMUM)


def test_its_options_are_about_noise_and_what_does_not_belong():
    usual = {"noise": "gaussian", "coils": 1, "robust": False}
    assert ik.methods.VarPro().options() == usual
    with pytest.raises(ik.errors.OptionError, match="'starts'; it has noise, coils, robust"):
        ik.methods.get("varpro", starts=3)


def test_starting_values_do_not_matter():
    signals = tissue("tissue", PROTOCOLS["b13"], 20, seed=84)
    started = BIEXP.with_start(S0=math.pi, f=0.9, D_star=0.19, D=4e-3)
    first = ik.fit(signals, PROTOCOLS["b13"])
    second = ik.fit(signals, PROTOCOLS["b13"], model=started)
    np.testing.assert_array_equal(first.params, second.params)
