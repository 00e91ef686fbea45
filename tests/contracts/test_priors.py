"""What every prior promises for every model, and what method bayes promises with every prior."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import models, priors
from ivimkit.engine import evaluate
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.prior import ChoosingPrior, Prior
from ivimkit.status import FAILED, FitStatus
from plugins import LARGE, MODELS, PROTOCOLS, typical
from tolerances import CLOSED_FORM, SAME_MINIMUM

B13 = PROTOCOLS["b13"]
# Of those, auto stands for another one, see the tests of its choice.
NAMES = tuple(n for n in priors.names() if not isinstance(priors.get(n), ChoosingPrior))
LEARNING = [name for name in NAMES if priors.get(name).trains]


def noisy(model, n, seed, sigma=40.0):
    """Signals of typical tissue, measured as magnitudes."""
    signals = evaluate(model, typical(model, n, seed), B13)
    return ik.simulate.add_noise(signals, sigma=sigma, seed=seed)


def fitted(name, signals, model="biexp", options=None, **more):
    method = ik.methods.get("bayes", prior=name, **(options or {}))
    if method.rule is not None and method.rule.near and signals.ndim == 2:
        signals = signals[:, None]  # Voxels in a row have neighbours; those of a list have not.
    return ik.fit(signals, B13, model=model, method=method, **more)


def variants(model):
    """The model as it is, with narrower bounds, and with each parameter fixed."""
    yield model
    free = [p for p in model.parameters if p.name != "S0"]
    yield model.with_bounds(**{p.name: (0.1 * p.display[1], 0.9 * p.display[1]) for p in free})
    if len(free) > 1:
        for parameter in free:
            yield model.with_fixed(**{parameter.name: sum(parameter.display) / 3})


# -------------------------------------------------------------------------------- the registry


def test_every_file_is_a_prior_and_every_prior_a_file():
    files = {path.stem for path in Path(priors.__file__).parent.glob("*.py")} - {"__init__"}
    assert tuple(sorted(files)) == priors.names()
    listed = ", ".join(priors.names())
    with pytest.raises(OptionError, match=f"unknown prior 'guess'; there are {listed}"):
        ik.methods.get("bayes", prior="guess")


@pytest.mark.parametrize("name", priors.names())
def test_priors_are_final_frozen_sets_of_options(name):
    prior = priors.get(name)
    kind = type(prior)
    assert isinstance(prior, Prior)
    assert prior.name == name
    assert prior.title
    assert priors.get(prior) is prior
    assert getattr(priors, kind.__name__) is kind
    assert getattr(kind, "__final__", False), "decorate it with @final"
    assert kind.__dataclass_params__.frozen
    options = prior.options()
    assert set(options) == {field.name for field in dataclasses.fields(kind)}
    assert kind.from_options(**json.loads(json.dumps(options))) == prior
    for option in options:
        assert f"{option} : " in (kind.__doc__ or ""), f"option {option} is not explained"
    for reference in prior.references:
        assert re.search(r"doi:10\.\d{4,}/\S+$", reference), reference
    known = ", ".join(options) or "none"
    with pytest.raises(OptionError, match=f"prior {name} has no option 'speed'; it has {known}"):
        priors.get(name, speed=3)
    method = ik.methods.get("bayes", prior={"name": name, **options})
    assert method.prior == prior
    assert type(method).from_options(**json.loads(json.dumps(method.options()))) == method


# --------------------------------------------------------------------------------- the density


# The posterior is that of sums of two decays.
@pytest.mark.parametrize("model", [one for one in MODELS if one.values[0].two_decays()])
@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_a_density_inside_the_bounds(name, model):
    for variant in variants(model):
        if priors.get(name).trains:
            table = fitted(name, noisy(variant, 56, seed=1), variant).priors["all"]
        else:
            table = priors.get(name).tabulate(variant)
        assert (table.model, table.rule) == (model.name, name)
        table.check(variant)
        for parameter, axis in zip(table.names, table.knots, strict=True):
            if parameter is None:
                assert axis.size == 1
                continue
            assert (np.diff(axis) > 0).all()
            low, high = variant[parameter].lower, variant[parameter].upper
            assert axis.size > 1 if low < high else axis.size == 1
            np.testing.assert_allclose((axis[0], axis[-1]), (low, high), rtol=CLOSED_FORM)
        total = 1.0
        if not table.flat:
            assert (table.density >= 0).all()
            total = integral(table.density, table.axes())
        assert total == pytest.approx(1.0, abs=CLOSED_FORM)
        # A flat D* is none of its logarithm: its marginal is not linear between knots.
        for axis, density in zip(table.axes(), table.marginals(), strict=True):
            assert integral(density, (axis,)) == pytest.approx(1.0, rel=1e-3)
        for parameter, mean in table.mean().items():
            low, high = variant[parameter].lower, variant[parameter].upper
            assert low - CLOSED_FORM <= mean <= high + CLOSED_FORM


def integral(density, axes):
    """Integrate over the axes that have more than one knot; between them it is linear."""
    for axis in reversed(axes):
        density = np.trapezoid(density, axis) if axis.size > 1 else density[..., 0]
    return float(density)


# --------------------------------------------------------------------------------- the maps


@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_nested_and_failed_voxels_have_no_number(name):
    signals = noisy(models.get("biexp"), 60, seed=2)
    signals[3], signals[47] = np.nan, np.inf
    result = fitted(name, signals, options={"estimate": "median"})
    assert (result.status[[3, 47]] == FitStatus.NON_FINITE).all()
    failed = (result.status & int(FAILED)) != 0
    assert failed.sum() == 2
    for key, values in result.maps.items():
        assert np.isnan(values[failed]).all(), key
        assert np.isfinite(values[~failed]).all(), key
    for parameter in result.model.names:
        columns = [f"{parameter}{end}" for end in ("_lo", "_lo50", "", "_hi50", "_hi")]
        steps = np.diff([result.maps[key][~failed] for key in columns], axis=0)
        assert (steps >= 0).all(), parameter
        np.testing.assert_array_equal(result.interval[parameter][0], result.maps[columns[0]])
        np.testing.assert_array_equal(result.sd[parameter], result.maps[f"{parameter}_sd"])
        if parameter != "S0":
            assert (result.maps[f"{parameter}_bits"][~failed] >= 0).all()
            low, high = result.model[parameter].lower, result.model[parameter].upper
            assert (result.maps[columns[0]][~failed] >= low).all()
            assert (result.maps[columns[-1]][~failed] <= high).all()


@pytest.mark.parametrize("name", NAMES)
def test_scaling_the_signal_scales_only_S0(name):
    signals, scale = noisy(models.get("biexp"), 60, seed=3), 1000.0
    before, after = fitted(name, signals), fitted(name, signals * scale)
    np.testing.assert_array_equal(after.status, before.status)
    powers = {"rmse": 1, "sigma": 1, "cost": 2}
    for key in set(before.maps) - {"n_iter"}:
        power = powers.get(key, int(key.partition("_")[0] == "S0"))
        expected = before.maps[key] * scale**power
        if key == "ln_evidence":
            expected = expected - (B13.size - 1) * np.log(scale)
        np.testing.assert_allclose(
            after.maps[key], expected, rtol=SAME_MINIMUM, atol=1e-6, err_msg=key
        )


@pytest.mark.parametrize("name", [name for name in NAMES if not priors.get(name).near])
def test_order_of_voxels_does_not_matter(name):
    signals = noisy(models.get("biexp"), 60, seed=4)
    order = np.random.default_rng(0).permutation(len(signals))
    first, second = fitted(name, signals), fitted(name, signals[order])
    np.testing.assert_array_equal(first.status[order], second.status)
    for name in first.model.names:
        error = np.abs(first.maps[name][order] - second.maps[name])
        assert (error <= SAME_MINIMUM * first.sd[name][order]).all(), name


def test_where_the_first_gaussians_are_matters_little():
    signals = noisy(models.get("biexp"), 400, seed=4)
    first, second = (fitted(priors.Learned(seed=seed), signals) for seed in (0, 1))
    for name in first.model.names:
        error = (first.maps[name] - second.maps[name]) / first.sd[name]
        assert np.sqrt(np.mean(error**2)) < 0.1, name


@pytest.mark.parametrize("name", NAMES)
def test_less_noise_and_more_averages_do_not_widen_intervals(name):
    model = models.get("biexp")

    def widths(sigma, times=1.0):
        weights = np.full(B13.size, times)
        signals = noisy(model, 60, seed=5, sigma=sigma / np.sqrt(times))
        result = fitted(name, signals, options={"noise": "gaussian"}, sigma=sigma, weights=weights)
        return {key: np.mean(np.subtract(*result.interval[key][::-1])) for key in model.names}

    wide, narrow, narrowest = widths(80.0), widths(40.0), widths(20.0)
    averaged = widths(80.0, times=4.0)
    for key in model.names:
        assert narrowest[key] < narrow[key] < wide[key], key
        assert averaged[key] < wide[key], key
        assert averaged[key] == pytest.approx(narrow[key], rel=SAME_MINIMUM), key


# --------------------------------------------------------------------------------- refusals


def test_prior_of_another_model_is_refused():
    table = priors.get("flat").tabulate(models.get("sivim"))
    with pytest.raises(OptionError, match="made for model sivim; expected one for model biexp"):
        fitted(table, noisy(models.get("biexp"), 3, seed=6))


@pytest.mark.parametrize("name", LEARNING)
def test_too_few_voxels_to_learn_from(name):
    signals = noisy(models.get("biexp"), 60, seed=7)
    with pytest.raises(OptionError, match="which has 49 voxels to fit; expected at least 50"):
        fitted(name, signals[:49])
    signals[:20] = 0.0
    with pytest.raises(OptionError, match="40 of its voxels could be fitted; expected at least"):
        fitted(name, signals)
    with pytest.raises(OptionError, match=f"prior {name} needs a scan to learn from"):
        priors.get(name).tabulate(models.get("biexp"))
    with pytest.raises(OptionError, match="n_voxels is 0; expected a number >= 1"):
        priors.get(name, n_voxels=0)


@pytest.mark.parametrize("name", LEARNING)
def test_regions_learn_priors_of_their_own(name):
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 2, (12, 10, 1))
    truth = {
        "S0": np.full(labels.shape, LARGE),
        "f": np.full(labels.shape, 0.1),
        "D_star": np.full(labels.shape, 0.03),
        "D": np.where(labels == 0, 0.8e-3, 2e-3) * rng.normal(1.0, 0.05, labels.shape),
    }
    signals = ik.simulate.add_noise(ik.simulate.signals("biexp", truth, B13), sigma=40.0, seed=8)
    mask = np.ones(labels.shape, dtype=bool)
    mask[0, 0, 0] = False
    result = fitted(name, signals, mask=mask, labels=labels)
    assert list(result.priors) == ["0", "1"]
    low, high = (result.priors[key].mean()["D"] for key in ("0", "1"))
    assert low == pytest.approx(0.8e-3, rel=0.15)
    assert high == pytest.approx(2e-3, rel=0.15)
    # Each region alone gives the same.
    for label in (0, 1):
        inside = mask & (labels == label)
        alone = fitted(name, signals, mask=inside)
        assert alone.priors["all"].same_as(result.priors[str(label)])
        for key in alone.maps:
            np.testing.assert_array_equal(alone.maps[key][inside], result.maps[key][inside])

    with pytest.raises(OptionError, match="labels were given without a mask"):
        fitted(name, signals, labels=labels)
    with pytest.raises(ShapeError, match=r"labels have shape \(12, 10\); expected the scan's"):
        fitted(name, signals, mask=mask, labels=labels[..., 0])
    for wrong in (0.5, np.nan):
        with pytest.raises(OptionError, match="the labels are not whole numbers"):
            fitted(name, signals, mask=mask, labels=labels + wrong)


@pytest.mark.parametrize(
    "method",
    [
        "varpro",
        ik.methods.Bayes(prior="flat", variance="voxel"),
        ik.methods.Bayes(prior="organ", variance=(10.0, 1.0)),
    ],
    ids=["varpro", "flat", "organ"],
)
def test_labels_are_for_methods_that_learn(method):
    signals = noisy(models.get("biexp"), 4, seed=9)
    with pytest.raises(OptionError, match="with its options learns nothing from regions"):
        ik.fit(signals, B13, method=method, mask=[1, 1, 1, 0], labels=[1, 2, 1, 1])


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf])
def test_sigma_that_is_no_noise(sigma):
    signals = noisy(models.get("biexp"), 4, seed=10)
    for given in (sigma, np.array([1.0, 1.0, sigma, 1.0])):
        with pytest.raises(OptionError, match="sigma has values that are zero, negative or not"):
            fitted("flat", signals, sigma=given)
