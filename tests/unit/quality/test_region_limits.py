"""roi_fit in regions of more than one tissue: right values, and limits that hold them.

The value to find is that of the mean signal without noise, fitted by scipy from many starts, which
shares no line of code.
"""

import functools

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import binom

import ivimkit as ik
from ivimkit import quality
from ivimkit.cli.screen.roi_tables import mean_fit_lines
from ivimkit.status import FitStatus

B = np.array(ik.simulate.B13, dtype=float)
RICIAN = ik.methods.VarPro(noise="rician")
S0 = 1000.0


@functools.cache
def voxels(kind, n):
    """Signals without noise of a region that is not one tissue, shape (n, n_b)."""
    rng = np.random.default_rng(1)
    if kind == "spread":
        rates = [[0.15, 0.03, 1.1e-3]] * np.exp(rng.normal(0, [0.4, 0.6, 0.3], (n, 3)))
        bright = S0 * np.exp(rng.normal(0, 0.2, (n, 1)))
        return ik.simulate.signals("biexp", np.hstack([bright, rates]), B)
    tissue = ik.simulate.signals("biexp", [S0, 0.12, 0.025, 0.9e-3], B)
    if kind == "two tissues":
        other = ik.simulate.signals("biexp", [1.2 * S0, 0.25, 0.06, 2e-3], B)
        return np.where(np.arange(n)[:, np.newaxis] % 2, tissue, other)
    fluid = rng.uniform(0, 0.6, (n, 1))
    return (1 - fluid) * tissue + fluid * S0 * np.exp(-3e-3 * B)


@functools.cache
def value_of_the_mean(kind, n):
    """Parameters of the mean signal by scipy."""
    mean = voxels(kind, n).mean(axis=0)

    def off(p):
        curve = p[0] * (p[1] * np.exp(-10 * p[2] * B) + (1 - p[1]) * np.exp(-p[3] * B / 1000))
        return curve - mean / S0

    bounds = [0, 0, 2e-4, 0], [5, 1, 2e-2, 5]
    starts = [(1, 0.2, fast, slow) for fast in (1e-3, 3e-3, 1e-2) for slow in (0.5, 1, 2)]
    tight = dict.fromkeys(("xtol", "ftol", "gtol"), 1e-14)
    fits = [least_squares(off, start, bounds=bounds, x_scale="jac", **tight) for start in starts]
    s0, f, fast, slow = min(fits, key=lambda fit: fit.cost).x
    return {"S0": S0 * s0, "f": f, "D_star": 10 * fast, "D": slow / 1000}


def many(kind, n, n_regions, snr, seed=5, noise="rician"):
    """Many regions of the same voxels, each with its own noise; scan and labels."""
    clean = np.tile(voxels(kind, n), (n_regions, 1))
    signals = ik.simulate.add_noise(clean, sigma=S0 / snr, kind=noise, seed=seed)
    return ik.DWI(signals, B), np.repeat(np.arange(1, n_regions + 1), n)


def assert_inside_as_often_as_said(means, expected):
    n = means.status.size
    fewest, most = binom.interval(0.999, n, 0.95)
    for name, value in expected.items():
        low, high = means.interval[name]
        inside = np.count_nonzero((low <= value) & (value <= high))
        assert fewest <= inside <= most, f"{name}: {inside} of {n}"
        assert ((low <= means.maps[name]) & (means.maps[name] <= high)).all()


@pytest.mark.parametrize(
    ("kind", "method", "noise"),
    [
        ("spread", "varpro", "gaussian"),
        ("spread", RICIAN, "rician"),
        ("two tissues", "varpro", "gaussian"),
        ("partial volume", RICIAN, "rician"),
    ],
    ids=["spread-gaussian", "spread-rician", "two-gaussian", "partial-rician"],
)
def test_limits_hold_the_value_of_the_mean_signal(kind, method, noise):
    n = 50
    dwi, labels = many(kind, n, 90, 25, noise=noise)
    sigma = S0 / 25 if kind == "spread" and noise == "rician" else None
    means = quality.roi_fit(ik.fit(dwi, method=method, sigma=sigma), labels)
    expected = value_of_the_mean(kind, n)
    assert_inside_as_often_as_said(means, expected)
    assert (means.maps["D"] <= means.maps["ADC"]).all()
    # The curve goes through its points: no farther than noise, floor and misfit put it.
    curve = ik.simulate.signals("biexp", [expected[name] for name in means.model.names], B)
    apart = np.sqrt(np.mean((voxels(kind, n).mean(axis=0) - curve) ** 2))
    assert np.median(means.maps["rmse"]) < 1.5 * np.hypot(apart, S0 / 25 / np.sqrt(n)) + 2.0


@pytest.mark.parametrize(
    ("method", "model"),
    [("segmented", "biexp"), ("trr", "biexp"), ("loglinear", "sivim"), ("varpro", "monoexp")],
)
def test_limits_of_other_methods_and_models(method, model):
    dwi, labels = many("two tissues", 50, 90, 40, noise="gaussian")
    # The noise that they do not know is found in one way for all of them, and above.
    means = quality.roi_fit(ik.fit(dwi, method=method, model=model, sigma=S0 / 40), labels)
    exact = ik.fit(voxels("two tissues", 50).mean(axis=0), B, method=method, model=model)
    names = [name for name in ("D", "f", "D_star", "ADC") if name in exact.maps]
    assert_inside_as_often_as_said(means, {name: exact.maps[name] for name in names})


def test_limits_of_bayes():
    """Its posterior does not know that the mean of two tissues is not one of them."""
    dwi, labels = many("two tissues", 50, 30, 25)
    means = quality.roi_fit(ik.fit(dwi, method=ik.methods.Bayes(prior="flat")), labels)
    assert_inside_as_often_as_said(means, value_of_the_mean("two tissues", 50))
    assert (means.maps["D"] <= means.maps["ADC"]).all()


def test_every_method_agrees_in_a_large_region_of_two_tissues():
    """What misfit was once taken for noise, and its floor for signal: D 5.0 for 1.1."""
    n = 1000
    dwi, labels = many("two tissues", n, 1, 30)
    expected = value_of_the_mean("two tissues", n)
    for method in (RICIAN, ik.methods.Bayes(prior="flat")):
        means = quality.roi_fit(ik.fit(dwi, method=method), labels)
        for name in ("D", "f"):
            np.testing.assert_allclose(means.maps[name], expected[name], rtol=0.04)
        np.testing.assert_allclose(means.maps["sigma"], S0 / 30, rtol=0.03)
        assert means.maps["rmse"][0] < 0.01 * S0
        assert (means.status == 0).all()


@pytest.mark.parametrize("average", ["auto", "none"])
def test_volumes_that_are_averaged_keep_the_floor_of_one(average):
    clean = np.repeat(voxels("two tissues", 600), 6, axis=1)
    bvals = np.repeat(B, 6)
    signals = ik.simulate.add_noise(clean, sigma=S0 / 10, kind="rician", seed=3)
    dwi = ik.DWI(signals, bvals, average=average)
    labels = np.ones(600, dtype=int)
    expected = value_of_the_mean("two tissues", 600)["D"]
    off = [
        abs(quality.roi_fit(ik.fit(dwi, method=method), labels).maps["D"][0] - expected)
        for method in ("varpro", RICIAN)
    ]
    assert off[0] > 0.03 * expected > 2 * off[1]


def test_what_voxels_have_in_common_makes_the_mean_less_sure():
    """Each volume of the scan is a little too bright or too dark, in all voxels alike."""
    n, n_regions = 200, 50
    rng = np.random.default_rng(8)
    clean = voxels("spread", n)
    found = []
    for _ in range(n_regions):
        bright = 1.0 + rng.normal(0, 0.01, B.size)
        found.append(clean * bright + rng.normal(0, S0 / 50, clean.shape))
    dwi, labels = ik.DWI(np.concatenate(found), B), np.repeat(np.arange(n_regions), n) + 1
    means = quality.roi_fit(ik.fit(dwi), labels)
    alone = quality.roi_fit(ik.fit(many("spread", n, 1, 50, noise="gaussian")[0]), [1] * n)
    assert np.median(means.sd["D"]) > 3 * alone.sd["D"][0]
    low, high = means.interval["D"]
    expected = value_of_the_mean("spread", n)["D"]
    assert np.mean((low <= expected) & (expected <= high)) > 0.85


def test_limits_are_inside_the_bounds():
    """Three voxels at low SNR: D* and f are anywhere."""
    rng = np.random.default_rng(4)
    clean = ik.simulate.signals("biexp", [S0, 0.05, 0.02, 1e-3], B)
    result = ik.fit(rng.normal(clean, S0 / 8, (90, B.size)), B)
    means = quality.roi_fit(result, np.repeat(np.arange(30), 3) + 1)
    alone = quality.roi_fit(ik.fit(rng.normal(clean, S0 / 8, (10, B.size)), B), np.arange(10) + 1)
    for found in (means, alone):
        for parameter in found.model.parameters:
            low, high = found.interval[parameter.name]
            known = np.isfinite(low)
            assert (low[known] >= parameter.lower).all()
            assert (high[known] <= parameter.upper).all()
        assert (found.interval["ADC"][0] >= 0.0).all()


def test_the_table_tells_the_status_of_the_fit():
    """Blood alone: the fit of the mean is at a bound, and no row says otherwise."""
    blood = ik.simulate.signals("biexp", [S0, 1.0, 0.03, 1e-3], B)
    tissue = ik.simulate.signals("biexp", [S0, 0.2, 0.03, 1e-3], B)
    clean = np.repeat([blood, tissue], 20, axis=0)
    result = ik.fit(np.random.default_rng(0).normal(clean, 10.0), B)
    labels = ik.Labels(np.repeat([1, 2], 20), {1: "vessel", 2: "liver"})
    means, table = quality.roi_fit(result, labels), quality.roi_table(result, labels)
    said = [mean_fit_lines(table.loc[name], result.model, ()) for name in labels]
    assert said[0][0].startswith("mean signal: ")
    assert "tissue not detected" in said[0][0]
    assert "_" not in said[0][0]
    assert said[1] == []
    assert means.status[0] & int(FitStatus.TISSUE_NOT_DETECTED)
    for name in ("D", "f", "ADC"):
        assert "TISSUE_NOT_DETECTED" in table.loc[("vessel", name), "roi_fit_status"]
        assert table.loc[("liver", name), "roi_fit_status"] == "OK"


@pytest.mark.parametrize("method", ["varpro", RICIAN], ids=str)
def test_a_region_does_not_depend_on_the_others(method):
    dwi, labels = many("spread", 20, 6, 25)
    result = ik.fit(dwi, method=method)
    together = quality.roi_fit(result, labels)
    alone = quality.roi_fit(result, np.where(labels == 4, 4, 0))
    for name in alone.maps:
        np.testing.assert_array_equal(alone.maps[name], together.maps[name][3:4], err_msg=name)
