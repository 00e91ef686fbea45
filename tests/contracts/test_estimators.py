"""What every uncertainty estimator promises."""

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.estimator import Estimator
from ivimkit.status import FAILED, FitStatus
from plain_kernels import interpreted
from plugins import GENERIC, LARGE, PROTOCOLS, protocol, typical
from tolerances import SAME_MINIMUM

B13 = PROTOCOLS["b13"]
NO_SD = int(FitStatus.SD_NOT_AVAILABLE)
ESTIMATORS = [pytest.param(name, id=name) for name in ik.uncertainty.names()]
MODELS = ik.models.names()
# Estimators compile the fit with them, in seconds each. All are asked about a model of each of the
# two sources of fits; the other models of two decays are asked about one of them each.
BOTH = ("biexp", GENERIC)
OTHERS = [name for name in MODELS if ik.models.get(name).two_decays() and name not in BOTH]
PAIRS = [
    *itertools.product(ik.uncertainty.names(), BOTH),
    *zip(itertools.cycle(ik.uncertainty.names()), OTHERS, strict=False),
]
SIGMA = LARGE / 50


def noisy(model, n, seed, sigma=SIGMA, bvals=None):
    """Signals of typical tissue with Gaussian noise."""
    model = ik.models.get(model)
    bvals = protocol(model) if bvals is None else bvals
    signals = ik.simulate.signals(model.name, typical(model, n, seed), bvals)
    return ik.simulate.add_noise(signals, sigma=sigma, kind="gaussian", seed=seed)


def further(result):
    """The maps that the estimator added."""
    return [name for name in result.maps if name.endswith(("_sd", "_lo", "_hi"))]


def assert_same(first, second, index=np.s_[:]):
    """Same bits in every map and in the status; `index` picks voxels of the first."""
    np.testing.assert_array_equal(first.status[index], second.status)
    assert list(first.maps) == list(second.maps)
    for name in first.maps:
        np.testing.assert_array_equal(first.maps[name][index], second.maps[name], err_msg=name)


# ----------------------------------------------------------------------------------- registry


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_are_final_frozen_sets_of_options(name):
    estimator = ik.uncertainty.get(name)
    kind = type(estimator)
    assert isinstance(estimator, Estimator)
    assert estimator.name == name
    assert getattr(ik.uncertainty, kind.__name__) is kind
    assert getattr(kind, "__final__", False), "decorate it with @final"
    assert kind.__dataclass_params__.frozen
    options = estimator.options()
    assert set(options) == {field.name for field in dataclasses.fields(kind)}
    assert kind.from_options(**json.loads(json.dumps(options))) == estimator
    known = ", ".join(options) or "none"
    with pytest.raises(OptionError, match=f"{name} has no option 'speed'; it has {known}"):
        ik.uncertainty.get(name, speed=3)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_have_sources_and_documentation(name):
    estimator = ik.uncertainty.get(name)
    assert estimator.title
    assert estimator.references
    for reference in estimator.references:
        assert re.search(r"doi:10\.\d{4,}/\S+$", reference), reference
    documentation = type(estimator).__doc__ or ""
    assert "doi:10." in documentation
    for option in estimator.options():
        assert f"{option} : " in documentation, f"option {option} is not explained"


def test_unknown_estimator():
    listed = ", ".join(ik.uncertainty.names())
    with pytest.raises(OptionError, match=f"unknown uncertainty 'guess'; there are {listed}"):
        ik.fit(noisy("biexp", 1, 0), B13, uncertainty="guess")


# --------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize(("name", "model"), PAIRS)
def test_every_parameter_has_a_deviation_and_an_interval_around_it(name, model):
    b = protocol(ik.models.get(model))
    # A profile of a generic model takes 30 times as long as one of two decays.
    n = 20 if model == GENERIC else 200
    signals = noisy(model, n, seed=40, sigma=LARGE / 200)
    result = ik.fit(signals, b, model=model, uncertainty=name)
    plain = ik.fit(signals, b, model=model)
    clear = result.status == 0
    assert clear.mean() > 0.8
    for parameter in result.model.names:
        np.testing.assert_array_equal(result.maps[parameter], plain.maps[parameter])
        estimate, sd = result.maps[parameter], result.sd[parameter]
        low, high = result.interval[parameter]
        assert (sd[clear] > 0.0).all(), parameter
        assert (low <= high)[clear].all(), parameter
        outside = ~((low <= estimate) & (estimate <= high))[clear]
        # Percentiles need not hold the estimate, but hardly ever do not.
        assert outside.mean() <= (0.02 if name == "bootstrap" else 0.0), parameter
        # An interval of 95 % is about four standard deviations wide.
        width = np.median(((high - low) / sd)[clear])
        assert 3.0 < width < 5.0, parameter


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fixed_parameter_has_no_deviation_and_is_no_trouble(name):
    model = ik.models.get("biexp").with_fixed(D_star=0.03, f=np.full(20, 0.2))
    signals = ik.simulate.signals("biexp", [LARGE, 0.2, 0.03, 1e-3], B13)
    signals = ik.simulate.add_noise(np.tile(signals, (20, 1)), sigma=SIGMA, seed=41)
    result = ik.fit(signals, B13, model=model, uncertainty=name)
    assert (result.status == 0).all()
    for parameter in ("f", "D_star"):
        assert np.isnan(result.sd[parameter]).all()
        assert np.isnan(result.interval[parameter]).all()
    free = ik.fit(signals, B13, uncertainty=name)
    assert np.mean(result.sd["D"]) < np.mean(free.sd["D"])


# --------------------------------------------------------------------------------- symmetries


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("known", [True, False])
def test_scaling_the_signal_scales_only_S0(name, known):
    signals, scale = noisy("biexp", 100, seed=42, sigma=LARGE / 200), 3e4
    sigma = LARGE / 200 if known else None
    before = ik.fit(signals, B13, uncertainty=name, sigma=sigma)
    scaled = None if sigma is None else sigma * scale
    after = ik.fit(signals * scale, B13, uncertainty=name, sigma=scaled)
    clear = (before.status | after.status) == 0
    assert clear.mean() > 0.8
    for key in further(before):
        factor = scale if key.startswith("S0") else 1.0
        low, high = before.interval[key[:-3]]
        np.testing.assert_allclose(
            after.maps[key][clear] / factor,
            before.maps[key][clear],
            rtol=0.0,
            atol=SAME_MINIMUM * np.median((high - low)[clear]),
            err_msg=key,
        )


@pytest.mark.parametrize("name", ESTIMATORS)
def test_voxels_stand_alone_whatever_order_threads_and_mask(name):
    signals = np.concatenate([noisy("biexp", 40, seed=43), noisy("biexp", 40, seed=44, sigma=200)])
    signals[7] = np.nan
    whole = ik.fit(signals, B13, uncertainty=name, threads=1)
    order = np.random.default_rng(0).permutation(80)
    assert_same(whole, ik.fit(signals[order], B13, uncertainty=name, threads=2), order)
    mask = np.arange(80) % 3 == 0
    masked = ik.fit(signals, B13, uncertainty=name, mask=mask)
    for key in whole.maps:
        np.testing.assert_array_equal(masked.maps[key][mask], whole.maps[key][mask])
        assert np.isnan(masked.maps[key][~mask]).all()
    assert whole.status[7] == FitStatus.NON_FINITE
    assert np.isnan([values[7] for values in whole.maps.values()]).all()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_more_averages_narrow_the_interval(name):
    truth = typical(ik.models.get("biexp"), 150, seed=45)
    widths = []
    for repeats in (1, 4, 16):
        bvals = np.tile(B13, repeats)
        signals = ik.simulate.signals("biexp", truth, bvals)
        noise = ik.simulate.add_noise(signals, sigma=SIGMA, kind="gaussian", seed=46)
        result = ik.fit(noise, bvals, uncertainty=name)
        widths.append([np.nanmean(np.diff(result.interval[k], axis=0)) for k in ("S0", "f", "D")])
    assert (np.diff(widths, axis=0) < 0.0).all(), widths
    # Sixteen times the volumes are four times as exact.
    np.testing.assert_allclose(np.divide(widths[1], widths[2])[[0, 2]], 2.0, rtol=0.2)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_volumes_one_by_one_say_the_same_as_their_averages(name):
    bvals = np.tile(B13, 6)
    signals = noisy("biexp", 100, seed=47, bvals=bvals)
    kinds = ("none", "arithmetic")
    one, all_ = (ik.fit(ik.DWI(signals, bvals, average=kind), uncertainty=name) for kind in kinds)
    for parameter in ("S0", "D"):
        ratio = np.nanmean(one.sd[parameter]) / np.nanmean(all_.sd[parameter])
        assert 0.85 < ratio < 1.15, parameter


# ---------------------------------------------------------------------------------- the noise


@pytest.mark.parametrize("name", ["curvature", "profile"])
def test_the_noise_that_is_given_sets_the_width(name):
    signals = noisy("biexp", 60, seed=48, sigma=LARGE / 400)
    one, two = (ik.fit(signals, B13, uncertainty=name, sigma=sigma) for sigma in (2.0, 4.0))
    clear = (one.status | two.status) == 0
    assert clear.mean() > 0.8
    for parameter in ("S0", "f", "D"):
        ratio = two.sd[parameter][clear] / one.sd[parameter][clear]
        np.testing.assert_allclose(np.median(ratio), 2.0, rtol=0.02)
    mapped = ik.fit(signals, B13, uncertainty=name, sigma=np.where(np.arange(60) < 30, 2.0, 4.0))
    assert_same(one, ik.fit(signals, B13, uncertainty=name, sigma=np.full(60, 2.0)))
    for key in further(mapped):
        np.testing.assert_array_equal(mapped.maps[key][:30], one.maps[key][:30])
        np.testing.assert_array_equal(mapped.maps[key][30:], two.maps[key][30:])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_without_a_degree_of_freedom_there_is_nothing_to_say(name):
    bvals = np.array([0.0, 30.0, 200.0, 800.0])
    signals = noisy("biexp", 50, seed=49, sigma=LARGE / 500, bvals=bvals)
    with pytest.warns(ik.errors.AcquisitionWarning):
        result = ik.fit(signals, bvals, uncertainty=name)
    inside = (result.status & ~NO_SD) == 0
    assert inside.mean() > 0.8
    assert (result.status[inside] & NO_SD).all()
    for key in further(result):
        assert np.isnan(result.maps[key][inside]).all(), key
    if name == "bootstrap":
        return  # It is about residuals, and there are none.
    with pytest.warns(ik.errors.AcquisitionWarning):
        known = ik.fit(signals, bvals, uncertainty=name, sigma=LARGE / 500)
    assert not (known.status[inside] & NO_SD).any()
    for key in further(known):
        assert np.isfinite(known.maps[key][inside]).all(), key


@pytest.mark.parametrize(
    ("sigma", "error", "message"),
    [
        (0.0, OptionError, "zero, negative or not finite"),
        (-1.0, OptionError, "zero, negative or not finite"),
        (np.full(5, np.nan), OptionError, "zero, negative or not finite"),
        (np.full((5, 1), 2.0), ShapeError, r"has shape \(5, 1\); expected the scan's \(5,\)"),
    ],
)
def test_sigma_that_cannot_be(sigma, error, message):
    with pytest.raises(error, match=message):
        ik.fit(noisy("biexp", 5, 0), B13, uncertainty="curvature", sigma=sigma)


# ---------------------------------------------------------------------------------- elsewhere


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_saved_result_keeps_it_and_says_where_it_is_from(name, tmp_path):
    signals = noisy("biexp", 30, seed=50).reshape(5, 3, 2, B13.size)
    result = ik.fit(signals, B13, uncertainty=name)
    ik.save(result, tmp_path / "out")
    again = ik.load_result(tmp_path / "out")
    for parameter in result.model.names:
        np.testing.assert_allclose(again.sd[parameter], result.sd[parameter], rtol=1e-6)
        np.testing.assert_allclose(
            again.interval[parameter], result.interval[parameter], rtol=1e-6
        )
    estimator = ik.uncertainty.get(name)
    for suffix in ("sd", "lo", "hi"):
        about = json.loads((tmp_path / "out" / f"D_{suffix}.json").read_text(encoding="utf-8"))
        assert about["Uncertainty"] == name
        assert about["UncertaintyOptions"] == estimator.options()
        assert set(estimator.references) <= set(about["References"])
        assert about["Units"] == "mm^2/s"
    about = json.loads((tmp_path / "out" / "D.json").read_text(encoding="utf-8"))
    assert "Uncertainty" not in about


def test_an_estimator_does_not_replace_the_maps_of_a_method():
    own = [name for name in ik.methods.names() if ik.methods.get(name).extras(BIEXP)]
    clash = [n for n in own if "D_sd" in ik.methods.get(n).extras(BIEXP)]
    for method in clash:
        with pytest.raises(OptionError, match=f"method {method} gives .* itself"):
            ik.fit(noisy("biexp", 5, 0), B13, method=method, uncertainty="bootstrap")


BIEXP = ik.models.get("biexp")


def fit_of(job):
    """Fit one voxel, or a few, by one thread."""
    name, model, method, n = job
    sigma = LARGE / 200 if n > 1 else SIGMA
    signal = noisy(model, n, seed=51 if n == 1 else 52, sigma=sigma)
    b = protocol(ik.models.get(model))
    return ik.fit(signal, b, model=model, method=method, uncertainty=name, threads=1)


@pytest.mark.parametrize(
    ("name", "model"),
    # Of a generic model in plain Python, 200 refits take minutes.
    [pair for pair in PAIRS if pair[1] != GENERIC or pair[0] == "curvature"],
)
def test_python_without_a_compiler_gives_the_same_numbers(name, model):
    job = name, model, "varpro", 1
    result = fit_of(job)
    with interpreted():
        plain = fit_of(job)
    assert not (result.status & int(FAILED)).any()
    for key in further(result):
        np.testing.assert_allclose(
            result.maps[key], plain.maps[key], rtol=10 * SAME_MINIMUM, err_msg=key
        )


def test_another_full_fit_has_the_same_profile():
    # Without compiling: a profile around another fit takes ten seconds.
    with interpreted():
        trr = fit_of(("profile", "biexp", "trr", 6))
    varpro = fit_of(("profile", "biexp", "varpro", 6))
    for name in varpro.model.names:
        low, high = varpro.interval[name]
        for own, end in zip(trr.interval[name], (low, high), strict=True):
            assert np.median(np.abs(own - end) / (high - low)) < 2e-3, name
