"""Method bayes for models that are not two decays."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.extend.model_prior import ModelPrior, coordinates_of
from ivimkit.methods._model_posterior import _log_volume, model_extras
from ivimkit.status import FitStatus

KURTOSIS = ik.models.get("kurtosis")
B = np.array([0.0, 10, 20, 40, 60, 80, 100, 150, 200, 400, 600, 800, 1000, 1250, 1500, 2000])
SIGMA = 25.0
FLAT = ik.methods.Bayes(prior="flat", noise="gaussian")


def signals(n, k, seed=0):
    """Truth and signals of S0 1000 with Gaussian noise."""
    random = np.random.default_rng(seed)
    truth = {
        "f": random.uniform(0.05, 0.4, n),
        "D_star": random.uniform(0.01, 0.08, n),
        "D": random.normal(1e-3, 1e-4, n),
        "K": np.full(n, k) if np.isscalar(k) else random.uniform(*k, n),
    }
    params = np.stack([np.full(n, 1000.0), *(truth[name] for name in KURTOSIS.names[1:])], axis=1)
    clean = ik.simulate.signals(KURTOSIS, params, B)
    return truth, clean + random.normal(0.0, SIGMA, clean.shape)


@pytest.mark.filterwarnings("ignore::ivimkit.errors.AcquisitionWarning")
@pytest.mark.parametrize(
    ("method", "sigma"),
    [
        (FLAT, SIGMA),
        (ik.methods.Bayes(prior="flat", noise="rician", variance="voxel"), None),
        (ik.methods.Bayes(prior="flat", noise="gaussian", variance=(20.0, 600.0)), None),
    ],
    ids=["known noise", "noise of the voxel, floor", "noise distribution"],
)
def test_without_kurtosis_it_is_the_posterior_of_two_decays(method, sigma):
    _, signal = signals(80, 0.0)
    expected = ik.fit(signal, B, model="biexp", method=method, sigma=sigma)
    found = ik.fit(signal, B, model=KURTOSIS.with_fixed(K=0.0), method=method, sigma=sigma)
    for name in ("S0", "f", "D_star", "D"):
        sd = expected.maps[f"{name}_sd"]
        off = (found.maps[name] - expected.maps[name]) / sd
        # Both are approximations: the sum over a lattice, and that over points.
        assert np.sqrt(np.mean(off**2)) < 0.04, name
        assert np.quantile(np.abs(found.maps[f"{name}_sd"] / sd - 1.0), 0.9) < 0.06, name
        for end in ("lo", "hi", "lo50", "hi50"):
            off = (found.maps[f"{name}_{end}"] - expected.maps[f"{name}_{end}"]) / sd
            assert np.sqrt(np.mean(off**2)) < 0.15, f"{name}_{end}"
    for name, most in (("ln_evidence", 0.02), ("f_bits", 0.08), ("corr_f_D", 0.05)):
        off = found.maps[name] - expected.maps[name]
        assert np.sqrt(np.mean(off**2)) < most, name
    for name in ("sigma", "fD_star", "fD_star_sd"):
        ratio = found.maps[name] / expected.maps[name]
        assert np.sqrt(np.mean((ratio - 1.0) ** 2)) < 0.04, name
    assert np.isnan(found.maps["K_sd"]).all()
    assert (found.maps["K"] == 0.0).all()


def test_intervals_hold_the_truth_and_the_accuracy_is_told():
    truth, signal = signals(400, (0.2, 2.0), seed=1)
    result = ik.fit(signal, B, model=KURTOSIS, method=FLAT, sigma=SIGMA)
    assert set(model_extras(KURTOSIS)) <= set(result.maps)
    for name, values in truth.items():
        low, high = result.interval[name]
        assert 0.91 < np.mean((low <= values) & (values <= high)) < 0.99, name
        assert (low < result.maps[f"{name}_lo50"]).all()
        assert (result.maps[f"{name}_hi50"] < high).all()
        assert ((low < result.maps[name]) & (result.maps[name] < high)).all()
        assert (result.maps[f"{name}_bits"] >= 0.0).all()
    accuracy = result.maps["accuracy"]
    assert np.median(accuracy) < 0.05
    flagged = (result.status & int(FitStatus.POSTERIOR_INACCURATE)) != 0
    np.testing.assert_array_equal(flagged, accuracy > 0.1)
    median = ik.fit(
        signal[:20], B, model=KURTOSIS, sigma=SIGMA,
        method=ik.methods.Bayes(prior="flat", noise="gaussian", estimate="median"),
    )  # fmt: skip
    for name in truth:
        low, high = median.maps[f"{name}_lo50"], median.maps[f"{name}_hi50"]
        assert ((low < median.maps[name]) & (median.maps[name] < high)).all(), name


def test_a_learned_prior_lowers_the_error_and_is_reproducible(tmp_path):
    truth, signal = signals(150, (0.8, 1.0), seed=2)
    method = ik.methods.Bayes(prior="learned", noise="gaussian")
    result = ik.fit(signal, B, model=KURTOSIS, method=method, sigma=SIGMA, threads=2)
    flat = ik.fit(signal, B, model=KURTOSIS, method=FLAT, sigma=SIGMA)

    def error(fit, name):
        return np.sqrt(np.mean((fit.maps[name] - truth[name]) ** 2))

    assert error(result, "K") < 0.7 * error(flat, "K")
    assert error(result, "D") < 0.9 * error(flat, "D")
    prior = result.priors["all"]
    assert prior.rule == "learned"
    assert prior.about["voxels"] == 150
    assert abs(prior.mean()["K"] - 0.9) < 0.15
    ik.save_prior(prior, tmp_path / "prior.npz")
    loaded = ik.load_prior(tmp_path / "prior.npz")
    assert loaded.same_as(prior)
    again = ik.fit(
        signal, B, model=KURTOSIS, sigma=SIGMA, threads=1,
        method=ik.methods.Bayes(prior=loaded, noise="gaussian"),
    )  # fmt: skip
    for name in result.maps:
        np.testing.assert_array_equal(again.maps[name], result.maps[name], err_msg=name)
    assert ik.report.prior_panels(prior).axes[2].get_xlabel() == "K"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (KURTOSIS, {"prior": "local"}, "prior local is one of D, D. and f, .*flat, learned"),
        (KURTOSIS, {"prior": "organ"}, "model kurtosis has other parameters; expected prior"),
        (KURTOSIS, {"prior": "flat", "estimate": "mode"}, "expected mean or median for model"),
        (
            ik.models.get("triexp").with_fixed(f_inter=0.1),
            {"prior": "flat"},
            "takes fixed fractions in models of two compartments only",
        ),
        (KURTOSIS.with_bounds(S0=(1.0, 2.0)), {"prior": "flat"}, "Leave S0 free"),
        (
            KURTOSIS,
            {"prior": ik.priors.Flat().tabulate(ik.models.get("biexp"))},
            "made for model biexp; expected one for model kurtosis",
        ),
        (
            KURTOSIS.with_bounds(K=(0.0, 2.0)),
            {"prior": ModelPrior("kurtosis", "flat", coordinates_of(KURTOSIS))},
            "with other bounds or fixed parameters",
        ),
        (
            ik.models.get("biexp"),
            {"prior": ModelPrior("kurtosis", "flat", coordinates_of(KURTOSIS))},
            "made for model kurtosis; expected one for model biexp",
        ),
    ],
)
def test_what_cannot_be_integrated_is_refused_before_any_fit(model, options, message):
    with pytest.raises(OptionError, match=message):
        ik.fit(np.ones((60, B.size)), B, model=model, method=ik.methods.Bayes(**options))


def test_too_few_voxels_to_learn_from():
    with pytest.raises(OptionError, match="which has 5 voxels to fit; expected at least 50"):
        ik.fit(np.ones((5, B.size)), B, model=KURTOSIS, method=ik.methods.Bayes(prior="learned"))


@pytest.mark.parametrize(
    "bounds", [{}, {"f_fast": (0.0, 0.3)}, {"f_fast": (0.1, 0.5), "f_inter": (0.0, 0.6)}]
)
def test_the_volume_of_a_flat_prior_is_that_of_what_is_drawn_inside(bounds):
    model = ik.models.get("triexp").with_bounds(**bounds)
    random = np.random.default_rng(0)
    shares = random.random((200_000, 2))
    inside = shares.sum(axis=1) <= 1.0
    for k, name in enumerate(("f_fast", "f_inter")):
        inside &= (shares[:, k] >= model[name].lower) & (shares[:, k] <= model[name].upper)
    rates = [model[name] for name in ("D_fast", "D_inter", "D")]
    expected = inside.mean() * np.prod([rate.upper - rate.lower for rate in rates])
    assert np.exp(_log_volume(model)) == pytest.approx(expected, rel=0.02)
