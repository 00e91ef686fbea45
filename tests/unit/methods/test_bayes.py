import json

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.methods import Bayes

B13 = np.array(ik.simulate.B13, dtype=float)
B21 = np.array(ik.simulate.B21, dtype=float)
ALONE = {"prior": "flat", "variance": "voxel"}


def tissue(n, b, sigma, kind="rician", f=0.15, d=1.2e-3):
    truth = {
        "S0": np.full(n, 1000.0),
        "f": np.full(n, f),
        "D_star": np.full(n, 0.03),
        "D": np.full(n, d),
    }
    return ik.simulate.add_noise(
        ik.simulate.signals("biexp", truth, b), sigma=sigma, seed=1, kind=kind
    )


# ------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimate": "best"}, "estimate is 'best'; expected one of mean, median, mode"),
        ({"noise": "chi"}, "noise is 'chi'; expected one of rician, gaussian"),
        ({"variance": "pixel"}, "variance is 'pixel'; expected scan, voxel or a pair"),
        ({"variance": (-1.0, 2.0)}, r"variance is \(-1.0, 2.0\); expected degrees of freedom"),
        ({"variance": (1.0, np.nan)}, "expected degrees of freedom and scale, >= 0"),
        ({"variance": (1.0, np.inf)}, "expected degrees of freedom and scale, >= 0"),
        ({"variance": (1.0, 2.0, 3.0)}, "expected degrees of freedom and scale, >= 0"),
        ({"prior": "uniform"}, "unknown prior 'uniform'; there are"),
        ({"prior": {"name": "organ", "organ": "spaceship"}}, "there is no organ 'spaceship'"),
        ({"prior": {"name": "organ", "width": 0.0}}, "width is 0.0; expected a number > 0"),
        ({"prior": {"table": "learned"}}, "expected the name of a prior with its options"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(OptionError, match=message):
        ik.methods.get("bayes", **options)


def test_options_survive_json():
    for options in (
        {"prior": ik.priors.Organ("brain", width=2.0), "variance": (5.0, 100.0)},
        {"prior": ik.priors.Learned(n_voxels=100), "estimate": "mode", "noise": "gaussian"},
    ):
        method = Bayes(**options)
        assert Bayes.from_options(**json.loads(json.dumps(method.options()))) == method
    table = ik.priors.get("organ").tabulate(ik.models.get("biexp"))
    assert Bayes(prior=table).options()["prior"] == {"table": "organ"}


def test_what_learns_from_the_scan():
    table = ik.priors.get("flat").tabulate(ik.models.get("biexp"))
    assert Bayes().learns
    assert Bayes(prior="shrinkage", variance="voxel").learns
    assert Bayes(prior="flat").learns
    assert not Bayes(prior="flat", variance="voxel").learns
    assert not Bayes(prior=table, variance=(4.0, 100.0)).learns
    assert not ik.methods.VarPro().learns


def test_bounds_that_exclude_an_organ():
    model = ik.models.get("biexp").with_bounds(D_star=(2e-3, 2e-3 + 1e-9), D=(4.9e-3, 5e-3))
    with pytest.raises(OptionError, match="bounds of model biexp exclude the values of brain"):
        ik.priors.Organ("brain", width=0.02).tabulate(model)


def test_maps_are_those_of_the_models_parameters():
    signals = tissue(3, B13, 40.0)
    for model, names in (
        ("biexp", {"S0", "f", "D_star", "D"}),
        ("sivim", {"S0", "f", "D"}),
        ("monoexp", {"S0", "ADC"}),
    ):
        result = ik.fit(signals, B13, model=model, method=Bayes(**ALONE))
        for what in ("sd", "lo", "hi", "lo50", "hi50"):
            assert {n for n in names if f"{n}_{what}" in result.maps} == names
        assert {key for key in result.maps if key.endswith("_bits")} == {
            f"{name}_bits" for name in names - {"S0"}
        }
        assert ("fD_star_sd" in result.maps) == ("D_star" in names)
        assert ("corr_f_D_star" in result.maps) == ("D_star" in names)
    with pytest.raises(OptionError, match=r"method bayes gives .* itself, and uncertainty"):
        ik.fit(signals, B13, method=Bayes(**ALONE), uncertainty="curvature")


def test_a_fixed_parameter_has_no_interval():
    model = ik.models.get("biexp").with_fixed(D_star=0.03)
    result = ik.fit(tissue(3, B13, 40.0), B13, model=model, method=Bayes(**ALONE))
    for what in ("sd", "lo", "hi", "bits"):
        assert np.isnan(result.maps[f"D_star_{what}"]).all()
        assert np.isfinite(result.maps[f"D_{what}"]).all()
    np.testing.assert_allclose(result.maps["fD_star"], 0.03 * result.maps["f"], rtol=1e-12)
    np.testing.assert_allclose(result.maps["fD_star_sd"], 0.03 * result.maps["f_sd"], rtol=1e-9)


# ---------------------------------------------------------------------------------- noise


def test_the_noise_floor_is_taken_off():
    # D = 3e-3 at SNR 10: from b = 800 on there is less signal than noise.
    signals = tissue(1500, B21, 100.0, f=0.0, d=3e-3)
    found = {
        noise: ik.fit(
            signals, B21, model="monoexp", method=Bayes(noise=noise, **ALONE), sigma=100.0
        ).maps["ADC"]
        for noise in ("rician", "gaussian")
    }
    assert np.mean(found["gaussian"]) < 2.85e-3
    assert np.mean(found["rician"]) == pytest.approx(3e-3, rel=0.03)
    # Without a floor there is nothing to take off.
    signals = tissue(500, B13, 1.0)
    maps = [
        ik.fit(signals, B13, method=Bayes(noise=noise, **ALONE), sigma=1.0).maps["D"]
        for noise in ("rician", "gaussian")
    ]
    np.testing.assert_allclose(maps[0], maps[1], rtol=1e-3)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    n = 3000
    truth = {
        "S0": np.full(n, 1000.0),
        "f": rng.uniform(0.03, 0.4, n),
        "D_star": rng.uniform(8e-3, 80e-3, n),
        "D": rng.uniform(0.5e-3, 2.5e-3, n),
    }
    model = ik.models.get("biexp").with_bounds(
        f=(0.03, 0.4), D_star=(8e-3, 80e-3), D=(0.5e-3, 2.5e-3)
    )
    clean = ik.simulate.signals("biexp", truth, B13)
    signals = ik.simulate.add_noise(clean, sigma=50.0, seed=3, kind="gaussian")
    method = Bayes(noise="gaussian", **ALONE)
    for sigma in (50.0, None):
        maps = ik.fit(signals, B13, model=model, method=method, sigma=sigma).maps
        for name in ("f", "D_star", "D"):
            for share, (low, high) in ((0.95, ("lo", "hi")), (0.5, ("lo50", "hi50"))):
                inside = (maps[f"{name}_{low}"] <= truth[name]) & (
                    truth[name] <= maps[f"{name}_{high}"]
                )
                # Four standard deviations of a share of that many voxels.
                margin = 4.0 * np.sqrt(share * (1.0 - share) / n)
                assert abs(inside.mean() - share) < margin, f"{name} {share}: {inside.mean()}"
            # The mean has an error as large as its standard deviation says.
            square = np.mean(((maps[name] - truth[name]) / maps[f"{name}_sd"]) ** 2)
            assert square == pytest.approx(1.0, abs=0.12), name


def test_sigma_as_a_map_and_the_bits_it_leaves():
    signals = tissue(40, B13, 20.0)
    sigma = np.tile([20.0, 80.0], 20)
    maps = ik.fit(signals, B13, method=Bayes(**ALONE), sigma=sigma).maps
    for value in (20.0, 80.0):
        alone = ik.fit(signals, B13, method=Bayes(**ALONE), sigma=value).maps
        for name in maps:
            np.testing.assert_array_equal(maps[name][sigma == value], alone[name][sigma == value])
    np.testing.assert_array_equal(maps["sigma"], sigma)
    assert maps["D_bits"][sigma == 20].mean() > 1.0 + maps["D_bits"][sigma == 80].mean()
    assert (maps["D_bits"] > maps["D_star_bits"]).all(), "D is known better than D*"


def test_a_voxel_has_the_same_posterior_alone_and_among_others():
    signals = tissue(300, B13, 20.0)
    sigma = np.linspace(15.0, 40.0, 300)
    among = ik.fit(signals, B13, method=Bayes(**ALONE), sigma=sigma).maps
    for v in (0, 17, 299):
        alone = ik.fit(signals[v : v + 1], B13, method=Bayes(**ALONE), sigma=sigma[v]).maps
        for name in among:
            np.testing.assert_array_equal(among[name][v : v + 1], alone[name], err_msg=name)
