"""What every fit method promises for every model that it takes."""

import functools
import json
import os
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ivimkit as ik
from ivimkit.engine import evaluate
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.status import BOUND_SHIFT, FAILED, FitStatus, at_lower, at_upper
from plugins import (
    FULL_FITS,
    GENERIC,
    LARGE,
    PAIRS,
    PROTOCOLS,
    box,
    identifiable,
    kinds,
    protocol,
    rows,
    scan,
    typical,
)
from plugins import settings as settings_of
from tolerances import CLOSED_FORM, NOISE_FREE, SAME_COST, SAME_MINIMUM, ULP

# All models that are not two decays are fitted by one source: what is expensive is asked of one.
SOME = kinds(PAIRS)
# Posteriors of other models than two decays are sums over points that follow the rounding: they
# are the same to the accuracy that they tell, not to the last digits.
EXACT = [
    pair
    for pair in SOME
    if pair.values[1].name != "bayes" or pair.values[0].two_decays() is not None
]

# Of what reader and engine do alike for all: every method, and every model, but not all pairs.
COVER = [
    pair
    for pair in SOME
    if pair.values[0].name in ("biexp", GENERIC)
    or pair.id in ("sivim-loglinear", "monoexp-nnls", "sivim-varpro", "monoexp-bayes")
]

# Fits without a compiler, then prints parameters, cost and status.
INTERPRETED = """
import json, sys
import numpy as np
import ivimkit as ik
jobs = json.load(sys.stdin)
for job in jobs:
    method = ik.methods.get(job["method"], **job["options"])
    result = ik.fit(job["signal"], job["b"], model=job["model"], method=method, threads=1)
    job["params"], job["status"] = result.params.tolist(), result.status.tolist()
print(json.dumps(jobs))
"""


def noisy(model, n, seed, snr=None):
    """Signals of typical tissue with Gaussian noise, so that some are negative."""
    # With more parameters, less noise leaves as many voxels without a doubt.
    snr = snr or (25.0 if model.two_decays() else 100.0)
    signals = evaluate(model, typical(model, n, seed), rows(model))
    return ik.simulate.add_noise(signals, sigma=LARGE / snr, kind="gaussian", seed=seed)


def odd(model, n, seed):
    """Signals that few models explain, with noise: kurtosis, rising, steps, pure noise."""
    bvals = protocol(model)
    rng = np.random.default_rng(seed)
    kurtosis = np.exp(-bvals * 1.5e-3 + (bvals * 1.5e-3) ** 2 * 0.3)
    rising = 0.1 + bvals / bvals.max()
    step = np.where(bvals < 150, 1.0, 0.2)
    flat = np.full(bvals.size, 0.5)
    nothing = np.zeros(bvals.size)
    shapes = np.array([kurtosis, rising, step, 1.0 - step, flat, nothing, nothing - 1.0])
    return LARGE * (
        shapes[rng.integers(len(shapes), size=n)] + rng.normal(0, 0.1, (n, bvals.size))
    )


def n_voxels(model, method, most):
    """As many voxels of two decays; of other models fewer, whose voxels take longer.

    A posterior, or the likelihood of magnitudes, takes 50 times as long.
    """
    if model.two_decays() is not None:
        return most
    slow = method.name == "bayes" or method.options().get("noise") == "rician"
    return max(most // (10 if slow else 4), 10)


def fixable(model, method):
    """Names of the parameters that the method lets have a value; see the test below."""
    return [name for name in model.names if takes(model.with_fixed(**middle(model, name)), method)]


def bindable(model, method):
    """Names of the parameters that the method lets have other bounds."""
    narrow = {
        name: (0.9 * value, 1.1 * value)
        for k in model.names
        for name, value in middle(model, k).items()
    }
    return [
        name for name in model.names if takes(model.with_bounds(**{name: narrow[name]}), method)
    ]


def middle(model, name):
    return {name: float(np.mean(model[name].usual))}


def takes(model, method):
    try:
        method.check(model, ik.Acquisition(protocol(model)))
    except ik.errors.OptionError:
        return False
    return True


def assert_same(first, second, index=np.s_[:]):
    """Same bits in every map and in the status; `index` picks voxels of the first."""
    np.testing.assert_array_equal(first.status[index], second.status)
    for name in first.maps:
        np.testing.assert_array_equal(first.maps[name][index], second.maps[name], err_msg=name)


def assert_inside(result):
    """Fitted voxels are inside the box and in order, failed ones have no number at all."""
    failed = (result.status & int(FAILED)) != 0
    params = result.params
    assert np.isnan(params[failed]).all()
    for name in result.maps:
        assert np.isnan(result.maps[name][failed]).all(), name
    params = params[~failed]
    lower = np.array([p.lower for p in result.model.parameters])
    upper = np.array([p.upper for p in result.model.parameters])
    outside = (params < lower) | (params > upper) | ~np.isfinite(params)
    assert not outside.any(), f"outside the box: {params[outside.any(axis=1)][:3]}"
    for small, large in result.model.ascending:
        wrong = params[
            params[:, result.model.index(large)] <= params[:, result.model.index(small)]
        ]
        assert wrong.size == 0, (
            f"{large} <= {small} in {len(wrong)} of {len(params)} voxels: {wrong[:3]}"
        )
    shares = params[:, [result.model.index(name) for name in result.model.fractions]]
    assert (shares.sum(axis=1) <= 1.0 + ULP).all(), "more than all of S0"


# ------------------------------------------------------------------------------ exact answers


# The first of all: it compiles bayes while another worker, with other tests, compiles varpro.
@pytest.mark.parametrize(("model", "method"), PAIRS)
def test_cost_rmse_and_r2_are_those_of_the_prediction(model, method):
    signals = noisy(model, n_voxels(model, method, 150), seed=21)
    weights = np.linspace(1.0, 2.0, signals.shape[1])
    result = ik.fit(scan(model, signals), model=model, method=method, weights=weights)
    fitted = (result.status & int(FAILED)) == 0
    assert fitted.mean() > 0.95
    predicted = result.predict(settings_of(model))
    cost = (weights * (signals - predicted) ** 2).sum(axis=1)
    mean = (weights * signals).sum(axis=1) / weights.sum()
    spread = (weights * (signals - mean[:, None]) ** 2).sum(axis=1)
    expected = {
        "cost": cost,
        "rmse": np.sqrt(cost / weights.sum()),
        "r2": 1.0 - cost / spread,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            result.maps[name][fitted], values[fitted], rtol=SAME_COST, atol=SAME_COST, err_msg=name
        )
    for product in model.products:
        if product.name not in method.extras(model):
            first, second = product.factors
            np.testing.assert_array_equal(
                result.maps[product.name], result.maps[first] * result.maps[second]
            )


@pytest.mark.parametrize(
    ("model", "method", "usual"),
    [
        pytest.param(*pair.values, usual, id=f"{pair.id}-{usual}")
        for pair in FULL_FITS
        # The other models have one protocol, whatever is usual.
        for usual in (PROTOCOLS if pair.values[0].two_decays() else ("b13",))
    ],
)
def test_noise_free_truth_is_recovered(model, method, usual):
    truth = identifiable(model, n_voxels(model, method, 1000), seed=20)
    signals = evaluate(model, truth, rows(model, usual))
    result = ik.fit(scan(model, signals, usual), model=model, method=method)
    error = np.abs(result.params / truth - 1.0).max(axis=1)
    bad = ~(error <= NOISE_FREE)
    assert not bad.any(), (
        f"{bad.sum()} voxels, e.g. {truth[bad][:3]} gave {result.params[bad][:3]}"
    )


# ------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("noise", "seed", "voxel"), [("rician", 26, 58), ("rician", 32, 30), ("gaussian", 40, 20)]
)
def test_a_compartment_that_comes_back_is_in_order(noise, seed, voxel):
    # Bounds that force D out of the way of D*, which has no amplitude on the way.
    model = ik.models.get("kurtosis").with_bounds(K=(0.70641, 0.93593))
    signal = odd(model, 100, seed)[voxel]
    method = ik.methods.VarPro(noise=noise)
    assert_inside(ik.fit(scan(model, signal[np.newaxis]), model=model, method=method))


@pytest.mark.parametrize(("model", "method"), PAIRS)
def test_result_never_leaves_the_box(model, method):
    n = n_voxels(model, method, 250)
    noise = [noisy(model, n, seed=22), noisy(model, n, seed=23, snr=3.0)]
    signals = np.concatenate([*noise, odd(model, 2 * n, seed=24)])
    assert (signals < 0).any()
    result = ik.fit(scan(model, signals), model=model, method=method)
    assert_inside(result)
    # A bound is reported exactly where the value is on it.
    fitted = (result.status & int(FAILED)) == 0
    for k, parameter in enumerate(model.parameters):
        values = result.maps[parameter.name][fitted]
        for bound, flag in ((parameter.lower, at_lower(k)), (parameter.upper, at_upper(k))):
            np.testing.assert_array_equal(values == bound, (result.status[fitted] & flag) != 0)


@pytest.mark.parametrize(("model", "method"), SOME)
def test_bounds_of_every_parameter_are_honoured(model, method):
    b = protocol(model)
    n = n_voxels(model, method, 60)
    signals = np.concatenate([noisy(model, n, seed=25), odd(model, n, seed=26)])
    free = ik.fit(noisy(model, n, seed=25), b, model=model, method=method)
    names = bindable(model, method)
    ends = {name: np.nanquantile(free.maps[name], [0.3, 0.6]) for name in names}
    # One parameter at a time between two bounds; then all of them, and all with one bound alone.
    boxes = [{name: tuple(ends[name])} for name in names]
    boxes.append({name: tuple(np.nanquantile(free.maps[name], [0.2, 0.8])) for name in names})
    boxes.append({name: (ends[name][0], model[name].upper) for name in names})
    boxes.append({name: (model[name].lower, ends[name][1]) for name in names})
    for bounds in boxes:
        result = ik.fit(signals, b, model=model.with_bounds(**bounds), method=method)
        assert_inside(result)
        if method.full_fit:  # Others get some parameters in closed form, and clip them.
            assert np.isfinite(result.maps["S0"][:n]).mean() > 0.95, bounds


@pytest.mark.parametrize(("model", "method"), EXACT)
def test_every_parameter_can_be_fixed_to_a_number_and_to_a_map(model, method):
    b = protocol(model)
    n = n_voxels(model, method, 80)
    truth = typical(model, n, seed=27)
    signals = ik.simulate.add_noise(evaluate(model, truth, b), sigma=40.0, seed=27)
    for name in fixable(model, method):
        k = model.index(name)
        value = float(np.median(truth[:, k]))
        result = ik.fit(signals, b, model=model.with_fixed(**{name: value}), method=method)
        fitted = (result.status & int(FAILED)) == 0
        assert fitted.mean() > 0.95
        assert (result.maps[name][fitted] == value).all()
        assert not (result.status & (at_lower(k) | at_upper(k))).any(), "a fixed value is no bound"
        constant = np.full(n, value)
        assert_same(
            ik.fit(signals, b, model=model.with_fixed(**{name: constant}), method=method), result
        )

        values = truth[:, k].copy()
        values[[3, 7]] = np.nan
        mapped = ik.fit(signals, b, model=model.with_fixed(**{name: values}), method=method)
        assert (mapped.status[[3, 7]] == FitStatus.NON_FINITE).all()
        assert np.isnan(mapped.params[[3, 7]]).all()
        fitted = (mapped.status & int(FAILED)) == 0
        assert fitted.sum() > 0.95 * (n - 2)
        np.testing.assert_array_equal(mapped.maps[name][fitted], values[fitted])
        one = ik.fit(signals[5], b, model=model.with_fixed(**{name: values[5]}), method=method)
        np.testing.assert_allclose(one.params, mapped.params[5], rtol=SAME_MINIMUM)


@pytest.mark.parametrize(("model", "method"), COVER)
def test_an_infinite_value_of_a_map_fails_its_voxel_only(model, method):
    b = protocol(model)
    truth = typical(model, 8, seed=37)
    signals = evaluate(model, truth, b)
    for name in fixable(model, method):
        k = model.index(name)
        values = truth[:, k].copy()
        values[[2, 5]] = np.inf, -np.inf
        result = ik.fit(signals, b, model=model.with_fixed(**{name: values}), method=method)
        failed = np.isin(np.arange(8), [2, 5])
        np.testing.assert_array_equal(result.status == FitStatus.NON_FINITE, failed)
        assert np.isnan(result.params[failed]).all()
        assert np.isfinite(result.params[~failed]).all()


@pytest.mark.parametrize(
    ("model", "method"), [pair for pair in SOME if "S0" not in fixable(*pair.values)]
)
def test_a_method_that_cannot_bind_S0_says_so(model, method):
    b = protocol(model)
    signals = noisy(model, 3, seed=38)
    advice = "Leave S0 free, or use method varpro"
    for bound in (
        model.with_bounds(S0=(0.0, 900.0)),
        model.with_bounds(S0=(10.0, np.inf)),
        model.with_fixed(S0=900.0),
        model.with_fixed(S0=np.full(3, 900.0)),
    ):
        with pytest.raises(ik.errors.OptionError, match=advice):
            ik.fit(signals, b, model=bound, method=method)


# -------------------------------------------------------------------------------- symmetries


@functools.cache
def unscaled(model, method):
    """Signals of tissue and others, and what is fitted to them."""
    signals = np.concatenate([noisy(model, 30, seed=28), odd(model, 30, seed=29)])
    return signals, ik.fit(signals, protocol(model), model=model, method=method, threads=1)


@pytest.mark.parametrize(("model", "method"), EXACT)
@settings(max_examples=2)
@given(exponent=st.floats(-25, 25))
@example(exponent=-25.0)
@example(exponent=25.0)
def test_scaling_the_signal_scales_only_S0(model, method, exponent):
    b = protocol(model)
    signals, before = unscaled(model, method)
    scale = 10.0**exponent
    after = ik.fit(signals * scale, b, model=model, method=method, threads=1)
    # The last 30 voxels lie on edges of the box, where a rounding can set or clear a flag.
    np.testing.assert_array_equal(after.status[:30], before.status[:30])
    failed = int(FAILED)
    np.testing.assert_array_equal(after.status & failed, before.status & failed)
    powers = {"S0": 1, "rmse": 1, "sigma": 1, "spectrum_rmse": 1, "cost": 2}
    clear = (before.status | after.status) == 0
    for name in set(before.maps) - {"n_iter"}:
        power = powers.get(name, int(name.startswith("S0_")))
        expected = before.maps[name] * scale**power
        if name == "ln_evidence":  # A density of the signal, integrated over S0.
            expected = expected - (b.size - 1) * np.log(scale)
        np.testing.assert_allclose(
            after.maps[name][clear], expected[clear], rtol=SAME_MINIMUM, err_msg=name
        )
    # Where the likelihood is what is best, the cost is only as good as the parameters.
    is_likelihood = "sigma" in before.maps
    rtol, rows = (SAME_MINIMUM, clear) if is_likelihood else (SAME_COST, slice(None))
    np.testing.assert_allclose(
        after.maps["cost"][rows], before.maps["cost"][rows] * scale**2, rtol=rtol
    )


@pytest.mark.parametrize(("model", "method"), [p for p in COVER if p in EXACT])
def test_order_of_volumes_and_voxels_is_irrelevant(model, method):
    b = protocol(model)
    n = n_voxels(model, method, 60)
    signals = np.concatenate([noisy(model, 2 * n, seed=30), odd(model, n, seed=31)])
    result = ik.fit(signals, b, model=model, method=method)
    rng = np.random.default_rng(0)
    volumes, voxels = rng.permutation(b.size), rng.permutation(len(signals))
    assert_same(ik.fit(signals[:, volumes], b[volumes], model=model, method=method), result)
    assert_same(result, ik.fit(signals[voxels], b, model=model, method=method), voxels)


@pytest.mark.parametrize(("model", "method"), SOME)
def test_same_bits_for_any_threads_mask_chunk_and_memory_order(model, method, monkeypatch):
    b = protocol(model)
    if isinstance(method, PosteriorMethod):
        # That of the scan is measured in its images, which a list of voxels does not have.
        method = method.with_floor(LARGE / 25.0)
    # Chunks of one thread are larger than those of two.
    monkeypatch.setattr(import_module("ivimkit.engine.run"), "_MIN_CHUNK", 16)
    shape = (6, 5, 4)
    signals = noisy(model, 120, seed=32).reshape(*shape, b.size)
    signals[0, 0, 0] = np.nan
    volume = ik.fit(signals, b, model=model, method=method, threads=1)
    assert volume.shape == shape
    fortran = np.asfortranarray(signals)
    assert_same(volume, ik.fit(fortran, b, model=model, method=method, threads=2))
    strided = np.repeat(signals, 2, axis=1)[:, ::2]
    assert_same(volume, ik.fit(strided, b, model=model, method=method, threads=2))
    scan_order = np.moveaxis(np.ascontiguousarray(np.moveaxis(signals, -1, 0)), 0, -1)
    mask = np.random.default_rng(1).random(shape) < 0.3
    masked = ik.fit(scan_order, b, model=model, method=method, mask=mask)
    alone = ik.fit(signals[mask], b, model=model, method=method)
    assert_same(volume, alone, mask)
    assert_same(masked, alone, mask)
    assert (masked.status[~mask] == FitStatus.OUTSIDE_MASK).all()
    assert np.isnan(masked.params[~mask]).all()


@pytest.mark.parametrize(("model", "method"), SOME)
def test_weight_two_is_a_repeated_volume_and_weight_zero_is_none(model, method):
    b = protocol(model)
    signals = noisy(model, n_voxels(model, method, 100), seed=33)
    rng = np.random.default_rng(2)
    times = rng.integers(1, 3, b.size)  # The mean of three equal numbers would round.
    repeated = np.repeat(np.arange(b.size), times)
    weighted = ik.fit(signals, b, model=model, method=method, weights=times)
    if method.for_means(np.ones(b.size), times.astype(float)) is method:
        # To others, the mean of two magnitudes is something else than one that weighs twice.
        again = ik.fit(signals[:, repeated], b[repeated], model=model, method=method)
        assert_same(weighted, again)
    # Without averaging every repeat is a value of its own: the same sum of squares. Noise that is
    # known, as that of the residuals depends on how many there are.
    apart = ik.DWI(signals[:, repeated], b[repeated], average="none")
    known = {"model": model, "method": method, "sigma": LARGE / 25.0}
    separate = ik.fit(apart, **known)
    together = ik.fit(signals, b, weights=times, **known)
    for name in ("cost", "S0", "ADC"):
        np.testing.assert_allclose(
            separate.maps[name], together.maps[name], rtol=SAME_MINIMUM, err_msg=name
        )

    dropped = np.where(np.isin(b, [20.0, 300.0]), 0.0, 1.0)
    without = ik.fit(signals[:, dropped > 0], b[dropped > 0], model=model, method=method)
    left_out = ik.fit(signals, b, model=model, method=method, weights=dropped)
    np.testing.assert_array_equal(left_out.status, without.status)
    clear = without.status == 0
    for name in set(without.maps) - {"n_iter"}:
        np.testing.assert_allclose(
            left_out.maps[name][clear], without.maps[name][clear], rtol=SAME_MINIMUM, err_msg=name
        )


@pytest.mark.parametrize(("model", "method"), COVER)
def test_a_volume_without_weight_may_be_damaged(model, method):
    b = protocol(model)
    signals = noisy(model, 50, seed=36)
    weights = np.where(np.isin(b, [20.0, 300.0]), 0.0, 1.0)
    options = {"model": model, "method": method, "weights": weights}
    unharmed = ik.fit(signals, b, **options)
    # Voxels in turn: what is not finite may be left out where large numbers would not be.
    for damage in ((np.nan, np.inf), (-1e9, 1e9)):
        damaged = np.where(weights > 0, signals, np.resize(damage, 50)[:, np.newaxis])
        assert_same(unharmed, ik.fit(damaged, b, **options))


@pytest.mark.parametrize(("model", "method"), COVER)
def test_a_value_without_weight_is_not_there_in_its_voxel(model, method):
    b = protocol(model)
    signals = noisy(model, 8, seed=37)
    weights = np.ones(signals.shape)
    # Some voxels keep all values; the others lose one or two that no method needs.
    weights[2:5, int(np.flatnonzero(b == 20.0)[0])] = 0.0
    weights[4:, int(np.flatnonzero(b == 300.0)[0])] = 0.0
    damaged = np.where(weights > 0, signals, np.nan)
    known = {"model": model, "method": method.without_screen(), "sigma": LARGE / 25.0}
    together = ik.fit(damaged, b, weights=weights, **known)
    whole = ik.fit(signals, b, **known)
    for v in range(len(signals)):
        used = weights[v] > 0
        alone = ik.fit(signals[v : v + 1, used], b[used], **known)
        assert together.status[v] == alone.status[0]
        for name in alone.maps:
            np.testing.assert_allclose(
                together.maps[name][v], alone.maps[name][0], rtol=SAME_COST, err_msg=name
            )
    for name in whole.maps:
        np.testing.assert_array_equal(together.maps[name][:2], whole.maps[name][:2])
    summary = together.provenance.value_weights
    assert (summary.left_out, summary.voxels) == (np.count_nonzero(weights == 0), 6)


# ------------------------------------------------------------------------------ hopeless voxels


def tissue(b):
    return np.exp(-b * 1e-3) * 900.0 + np.exp(-b * 0.05) * 100.0


def hopeless(b):
    """Signals that no fit can have a value for, and why."""
    return {
        "all nan": np.full(b.size, np.nan),
        "all inf": np.where(b == 800, -np.inf, np.inf),
        "zero": np.zeros(b.size),
        "minus zero": np.full(b.size, -0.0),
        "negative": -tissue(b),
        "negative constant": np.full(b.size, -7.0),
    }


def strange(b):
    """Signals that no tissue has, and at last one that it has."""
    return {
        "constant": np.full(b.size, 7.0),
        "saturated": np.minimum(tissue(b), 600.0),
        "saturated uint16": np.minimum(tissue(b) * 100.0, 65535.0),
        "zero at b = 0": np.where(b == 0, 0.0, tissue(b)),
        "negative at b = 0": np.where(b == 0, -5.0, tissue(b)),
        "zero at high b": np.where(b > 200, 0.0, tissue(b)),
        "only b = 0": np.where(b == 0, 1000.0, 0.0),
        "only the last b": np.where(b == b.max(), 1000.0, 0.0),
        "alternating": np.where(np.arange(b.size) % 2 == 0, 1.0, -1.0),
        "rising": tissue(b)[::-1],
        "spike": np.where(np.arange(b.size) == 8, 1e6, tissue(b)),
        "smallest float": np.full(b.size, 5e-324),
        "largest float": np.full(b.size, 1.7e308),
        "tissue": tissue(b),
    }


@pytest.mark.parametrize(("model", "method"), [p for p in COVER if p in EXACT])
def test_a_missing_value_is_left_out_of_its_voxel_and_of_no_other(model, method):
    b, sigma = protocol(model), LARGE / 25.0
    signals = noisy(model, 24, seed=71)
    volume = b.size // 2
    part = np.arange(24) % 3 == 0
    damaged = signals.copy()
    damaged[part, volume] = np.resize([np.nan, np.inf, -np.inf], part.sum())
    options = {"model": model, "method": method, "sigma": sigma}
    found = ik.fit(damaged, b, **options)
    assert found.provenance.value_weights.missing == part.sum()
    assert_same(found, ik.fit(signals[~part], b, **options), ~part)
    less = ik.fit(np.delete(signals[part], volume, axis=1), np.delete(b, volume), **options)
    np.testing.assert_array_equal(found.status[part], less.status)
    # Sums in another order.
    np.testing.assert_allclose(found.params[part], less.params, rtol=SAME_MINIMUM, atol=SAME_COST)


@pytest.mark.parametrize(("model", "method"), SOME)
def test_hopeless_voxels_get_a_status_and_no_exception(model, method):
    b = protocol(model)
    impossible = hopeless(b)
    signals = np.array([*impossible.values(), *strange(b).values()])
    result = ik.fit(signals, b, model=model, method=method)
    assert_inside(result)
    expected = {"nan": "NON_FINITE", "inf": "NON_FINITE"}
    for index, name in enumerate(impossible):
        flag = expected.get(name.split()[-1], "NO_SIGNAL")
        assert result.status[index] == FitStatus[flag], name
        assert np.isnan([values[index] for values in result.maps.values()]).all(), name
    assert not result.status[-1] & int(FAILED)
    known = sum(flag.value for flag in FitStatus) | ~(-1 << BOUND_SHIFT + 3 * len(model.names))
    assert not (result.status & ~known).any()
    for index in range(len(signals)):
        assert result.sentence(index)
    # What is strange about one voxel is nothing to its neighbours: tissue among all of them is
    # what it is alone, and so are they among tissue.
    among = np.repeat(signals[::-1], 2, axis=0)
    among[1::2] = tissue(b)
    mixed = ik.fit(among, b, model=model, method=method)
    alone = ik.fit(tissue(b)[np.newaxis], b, model=model, method=method)
    for index in range(1, len(among), 2):
        assert_same(mixed, alone, [index])
    assert_same(mixed, result, np.arange(0, len(among), 2)[::-1])


@pytest.mark.parametrize(("model", "method"), SOME)
def test_starts_move_what_the_method_says_and_nothing_else(model, method):
    b = protocol(model)
    signal, known = noisy(model, 60, seed=8), method.starts_from(model)
    usual = ik.fit(signal, b, model=model, method=method, threads=1).params
    for parameter in model.parameters:
        far = 0.9 * parameter.upper if np.isfinite(parameter.upper) else 3.0 * parameter.start
        other = model.with_start(**{parameter.name: far})
        found = ik.fit(signal, b, model=other, method=method, threads=1).params
        moved = not np.array_equal(found, usual, equal_nan=True)
        assert moved == (parameter.name in known), parameter.name


@pytest.mark.parametrize(("model", "method"), SOME)
def test_a_compartment_that_is_not_there_has_no_reliable_rate(model, method):
    b, fractions = protocol(model), model.fractions
    for name in fractions:
        shapes = [p.name for p in model.compartment_of(name).parameters]
        # The blood of sivim is gone at once: nothing of it is unknown.
        if not shapes:
            continue
        truth = typical(model, 4, seed=39)
        truth[:, [model.index(other) for other in fractions]] = 0.2
        truth[:, model.index(name)] = 0.0
        result = ik.fit(evaluate(model, truth, b), b, model=model, method=method)
        for shape in shapes:
            flag = model.unseen_flag(shape)
            assert flag
            assert (result.status & flag).all(), result.params
            assert np.isnan(result.reliable(shape)).all()


@pytest.mark.parametrize(("model", "method"), SOME)
def test_an_adc_that_is_there_is_not_reported_missing(model, method):
    b = protocol(model)
    signals = np.array(list(strange(b).values()))
    result = ik.fit(signals, b, model=model, method=method)
    missing = (result.status & int(FitStatus.ADC_NOT_AVAILABLE | FAILED)) != 0
    np.testing.assert_array_equal(np.isnan(result.maps["ADC"]), missing)


# --------------------------------------------------------------------------- without a compiler


def test_python_without_a_compiler_gives_the_same_fits():
    jobs, sure = [], {}
    for pair in kinds(
        [pair for pair in PAIRS if pair.values[1].options().get("noise") != "rician"]
    ):
        model, method = pair.values
        fast = model.two_decays() is not None
        # A voxel of a posterior or of a spectrum takes most of a second.
        few = not fast or ik.methods.get(method.name).learns
        odd_ones = odd(model, 1 if few else 4, seed=35)
        signals = np.concatenate([noisy(model, 2 if few else 6, seed=34), odd_ones])
        # Where a second fit builds on a first, a rounding can set or clear a flag of odd voxels.
        sure[len(jobs)] = slice(-len(odd_ones) if method.extras(model) else None)
        jobs.append(
            {
                "model": model.name,
                "method": method.name,
                "options": method.options(),
                "b": protocol(model).tolist(),
                "signal": signals.tolist(),
            }
        )
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    for number, job in enumerate(json.loads(done.stdout)):
        b = np.array(job["b"])
        method = ik.methods.get(job["method"], **job["options"])
        result = ik.fit(job["signal"], b, model=job["model"], method=method)
        assert result.status[sure[number]].tolist() == job["status"][sure[number]], job["method"]
        predicted = evaluate(result.model, job["params"], b)
        np.testing.assert_allclose(
            result.predict(b), predicted, rtol=SAME_MINIMUM, atol=CLOSED_FORM * LARGE
        )


def test_typical_tissue_is_inside_the_box():
    for model in {pair.values[0].name: pair.values[0] for pair in PAIRS}.values():
        lower, upper = box(model)
        params = typical(model, 100, seed=0)
        assert ((params > lower) & (params < np.where(upper == LARGE, np.inf, upper))).all()
