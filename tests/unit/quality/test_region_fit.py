"""roi_fit: the fit of a region's mean signal."""

import dataclasses

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import quality
from ivimkit.errors import OptionError, RegionWarning, ShapeError
from ivimkit.extend import Compartment, D, SignalModel
from ivimkit.quality import region_fit
from ivimkit.status import FitStatus
from made_results import made_result
from tolerances import NOISE_FREE, SAME_MINIMUM

B = np.array(ik.simulate.B13, dtype=float)
TRUE = {"S0": 1000.0, "f": 0.2, "D_star": 0.03, "D": 1e-3}


@pytest.fixture(scope="module")
def noisy():
    """Two hundred equal voxels with noise, in two regions of 150 and 40; ten are in none."""
    clean = ik.simulate.signals("biexp", list(TRUE.values()), B)
    signal = np.random.default_rng(5).normal(clean, 40.0, (200, B.size))
    labels = ik.Labels(np.repeat([1, 2, 0], [150, 40, 10]), {1: "large", 2: "small"})
    return ik.DWI(signal, B), labels


def test_the_mean_of_equal_voxels_without_noise_is_the_voxel(noisy):
    _, labels = noisy
    clean = ik.simulate.signals("biexp", list(TRUE.values()), B)
    result = ik.fit(np.tile(clean, (200, 1)), B)
    means = quality.roi_fit(result, labels)
    assert means.shape == (2,)
    for name, value in TRUE.items():
        np.testing.assert_allclose(means.maps[name], value, rtol=NOISE_FREE)


def test_it_is_the_fit_of_the_mean_signal(noisy):
    dwi, labels = noisy
    means = quality.roi_fit(ik.fit(dwi), labels)
    for position, name in enumerate(labels):
        mean = np.asarray(dwi.signal)[labels[name]].mean(axis=0)
        np.testing.assert_allclose(means.dwi.signal[position], mean, rtol=1e-12)
        alone = ik.fit(mean, B)
        for key in ("S0", "f", "D_star", "D", "ADC", "rmse", "cost", "r2"):
            np.testing.assert_allclose(
                means.maps[key][position], alone.maps[key], rtol=SAME_MINIMUM, err_msg=key
            )
    assert means.provenance.region_voxels == {"large": 150, "small": 40}
    np.testing.assert_allclose(means.predict(B), means.dwi.signal, rtol=0.05)


def test_the_mean_is_surer_than_a_voxel_and_a_known_noise_is_divided_by_root_n(noisy):
    dwi, labels = noisy
    voxels = ik.fit(dwi, uncertainty="curvature", sigma=40.0)
    means = quality.roi_fit(voxels, labels)
    expected = np.nanmedian(voxels.sd["D"]) / np.sqrt([150, 40])
    np.testing.assert_allclose(means.sd["D"], expected, rtol=0.2)
    unknown = quality.roi_fit(ik.fit(dwi), labels)
    assert (unknown.sd["D"] != means.sd["D"]).all()
    np.testing.assert_allclose(unknown.sd["D"], means.sd["D"], rtol=0.7)


@pytest.mark.parametrize(("method", "sigma"), [("varpro", None), ("segmented", 10.0)])
def test_standard_deviations_are_those_of_many_regions(method, sigma):
    """Two hundred regions of two voxels each: their estimates scatter by what each one says.

    A deviation of 200 numbers is known to 5 %, and the bootstrap is 8 % too careful."""
    clean = np.tile(ik.simulate.signals("biexp", list(TRUE.values()), B), (400, 1))
    result = ik.fit(np.random.default_rng(1).normal(clean, 10.0), B, method=method, sigma=sigma)
    means = quality.roi_fit(result, np.repeat(np.arange(1, 201), 2))
    for name in ("D", "f", "D_star", "ADC"):
        ratio = np.median(means.sd[name]) / means.maps[name].std()
        assert 0.8 < ratio < 1.2, f"{name}: {ratio:.2f}"


def test_intervals_hold_the_truth(noisy):
    dwi, labels = noisy
    means = quality.roi_fit(ik.fit(dwi), labels)
    low, high = means.interval["D"]
    assert ((low < TRUE["D"]) & (TRUE["D"] < high)).all()
    adc_low, adc_high = means.interval["ADC"]
    assert ((adc_low < means.maps["ADC"]) & (means.maps["ADC"] < adc_high)).all()


@pytest.mark.parametrize(
    "given",
    [
        {"model": "sivim", "method": "loglinear"},
        {"model": "monoexp", "method": "loglinear"},
        {"method": "segmented"},
        {"method": "trr"},
        {"uncertainty": "profile"},
        {"uncertainty": ik.uncertainty.get("bootstrap", n=50)},
        {"weights": np.r_[np.ones(B.size - 1), 0.0]},
        {"adc_bvals": [0, 200, 800]},
        {"method": ik.methods.VarPro(noise="rician"), "sigma": 40.0},
        {"method": ik.methods.Bayes(prior="flat")},
        {"model": ik.models.get("biexp").with_fixed(D_star=0.03)},
    ],
    ids=lambda given: "-".join(given),
)
def test_as_the_voxels_were_fitted(noisy, given):
    """One voxel is its own mean, however it was fitted; its limits keep inside the bounds."""
    dwi, _ = noisy
    one = ik.DWI(np.asarray(dwi.signal)[:1], B)
    options = {"uncertainty": "curvature", **given}
    if isinstance(given.get("method"), ik.methods.Bayes):
        options["uncertainty"] = None
    voxel = ik.fit(one, **options)
    mean = quality.roi_fit(voxel, [1])
    assert mean.method == voxel.method or isinstance(voxel.method, ik.methods.Bayes)
    assert set(mean.maps) >= set(voxel.maps)
    bounds = {p.name: (p.lower, p.upper) for p in voxel.model.parameters}
    for name, values in voxel.maps.items():
        expected = values
        if name.endswith(("_lo", "_hi")) and name[:-3] in bounds:
            expected = np.clip(values, *bounds[name[:-3]])
        np.testing.assert_allclose(
            mean.maps[name], expected, rtol=SAME_MINIMUM, atol=1e-9, err_msg=name
        )


def test_a_fixed_map_is_averaged(noisy):
    dwi, labels = noisy
    fixed = np.where(labels["large"], 0.03, 0.05)
    model = ik.models.get("biexp").with_fixed(D_star=fixed)
    means = quality.roi_fit(ik.fit(dwi, model=model), labels)
    np.testing.assert_allclose(means.maps["D_star"], [0.03, 0.05], rtol=1e-12)
    np.testing.assert_array_equal(means.model.fixed_maps["D_star"], means.maps["D_star"])


def test_bayes_takes_the_prior_that_the_fit_learned(noisy):
    dwi, labels = noisy
    result = ik.fit(dwi, method="bayes")
    means = quality.roi_fit(result, labels)
    assert set(means.sd) >= {"D", "f", "D_star"}
    assert means.method.prior == result.priors["all"]
    flat = quality.roi_fit(
        dataclasses.replace(
            result, learned=ik.fit(dwi, method=ik.methods.Bayes(prior="flat")).learned
        ),
        labels,
    )
    assert (flat.maps["D_star"] != means.maps["D_star"]).all()


def test_bayes_with_a_prior_per_region(noisy):
    dwi, _ = noisy
    numbers = np.repeat([1, 2], 100)
    masked = dwi.with_mask(np.arange(200) < 200)
    result = ik.fit(masked, method="bayes", labels=ik.Labels(numbers, {1: "a", 2: "b"}))
    assert set(result.priors) == {"1", "2"}
    means = quality.roi_fit(result, numbers)
    assert means.shape == (2,)
    with pytest.raises(OptionError, match=r"priors of regions 1, 2; expected one of region 7"):
        quality.roi_fit(result, 7 * (numbers == 1))
    with pytest.warns(RegionWarning, match=r"no fit of the mean signals: the fit has priors of"):
        table = quality.roi_table(result, 7 * (numbers == 1), maps=["D"])
    assert "roi_fit" not in table.columns
    with pytest.raises(OptionError, match="priors of regions 1, 2"):
        quality.roi_table(result, 7 * (numbers == 1), maps=["D"], mean_fit=True)


def test_voxels_without_a_fit_do_not_count(noisy):
    dwi, labels = noisy
    signal = np.array(dwi.signal)
    signal[3] = np.nan
    signal[labels["small"]] = 0.0
    inside = np.arange(200) != 4
    result = ik.fit(ik.DWI(signal, B, mask=inside))
    means = quality.roi_fit(result, labels)
    assert means.provenance.region_voxels == {"large": 148, "small": 0}
    used = np.setdiff1d(np.arange(150), [3, 4])
    np.testing.assert_allclose(means.dwi.signal[0], signal[used].mean(axis=0), rtol=1e-12)
    assert np.isnan(means.maps["D"][1])
    assert means.status[1] & int(FitStatus.NON_FINITE)


def test_repeats_are_averaged_as_for_the_fit():
    made = ik.simulate.phantom(shape=(12, 10, 1), bvals=[0, 0, 800, *ik.simulate.B13])
    for average in ("auto", "none"):
        dwi = made.dwi.with_average(average)
        means = quality.roi_fit(ik.fit(dwi), made.labels, made.label_names)
        assert means.dwi.fit_bvals.size == dwi.fit_bvals.size
        values = np.empty((dwi.n_voxels, dwi.fit_bvals.size))
        dwi.voxels().read(0, dwi.n_voxels, values)
        inside = made.labels.ravel(order="F")[dwi.voxels().index] == 1
        np.testing.assert_allclose(means.dwi.signal[0], values[inside].mean(axis=0), rtol=1e-12)


def test_without_the_scan():
    with pytest.raises(OptionError, match="does not include its scan"):
        quality.roi_fit(made_result({"D": [1e-3]}), [1])


def test_another_scan(noisy):
    dwi, labels = noisy
    result = ik.fit(dwi)
    other = dataclasses.replace(result, dwi=dwi.select(bmax=400))
    with pytest.raises(ShapeError, match="has 11 values per voxel; expected 13, those of the fit"):
        quality.roi_fit(other, labels)


@pytest.mark.parametrize(
    "given",
    [
        {"uncertainty": "bootstrap"},
        {"method": "bayes"},
        {"sigma": 40.0, "adc_bvals": [0, 200, 800]},
    ],
    ids=lambda given: "-".join(given),
)
def test_of_a_result_from_files(noisy, tmp_path, given):
    dwi, labels = noisy
    scan = tmp_path / "dwi.nii.gz"
    ik.io.save_scan(dwi, scan)
    result = ik.fit(ik.load(scan), **given)
    ik.save(result, tmp_path / "result")
    loaded = ik.load_result(tmp_path / "result", scan=True)
    shaped = ik.Labels(labels.array.reshape(result.shape), labels.names)
    one, other = quality.roi_fit(result, shaped), quality.roi_fit(loaded, shaped)
    for name in one.maps:
        np.testing.assert_array_equal(one.maps[name], other.maps[name], err_msg=name)
    ik.save(one, tmp_path / "means")
    assert ik.load_result(tmp_path / "means").shape == (2,)


def test_directions_of_a_model_are_kept_and_no_scatter():
    """Only the noise of the voxels is left. Without a fit, as its kernel takes long to compile."""
    along = Compartment("tissue", lambda b, gz, p: b * gz, (D,), variables=("b", "gz"))
    model = SignalModel("axial", "axial", "S0 exp(-b (D + gz^2 / 1000))", (along,))
    b = np.repeat([0.0, 200, 500, 800], 3)
    vectors = np.tile([[1.0, 0, 0], [0.6, 0, 0.8], [0, 0, 1]], (4, 1))
    vectors[6:9] *= -1  # The same directions: the sign does not matter.
    clean = 1000.0 * np.exp(-b * (5e-4 + 1e-3 * vectors[:, 2] ** 2))
    signal = np.random.default_rng(1).normal(clean, 20.0, (400, 12))
    made = made_result({"D": np.ones(400)})
    settings = dataclasses.replace(made.settings, model=model, sigma=20.0)
    provenance = dataclasses.replace(made.provenance, counts=[3.0, *[1.0] * 9])
    scan = ik.DWI(signal, b, bvecs=vectors)
    result = dataclasses.replace(made, settings=settings, provenance=provenance, dwi=scan)
    dwi = region_fit._scan_of(result)
    labels = ik.Labels(np.ones(400, dtype=int))
    [region] = region_fit._regions(result, dwi, labels, np.ones(400, dtype=bool))
    expected = 20.0 / np.sqrt(400 * np.array([3.0, *[1.0] * 9]))
    np.testing.assert_allclose(region.mean.spread, np.diag(expected), rtol=1e-12)
    values = region_fit._acquired(result)
    assert values == dwi.value_acquisition
    at_800 = values.bvals == 800
    assert values.bvecs[at_800].tolist() == [[1, 0, 0], [0.6, 0, 0.8], [0, 0, 1]]
    assert values.variables["gz"][at_800].tolist() == [0, 0.8, 1]
