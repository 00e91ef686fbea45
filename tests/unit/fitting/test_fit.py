"""fit(): what it refuses, what it warns of, and that each of its options does what it says."""

import threading
import warnings
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    OptionError,
    ShapeError,
)
from ivimkit.fitting.fit import fit_with
from ivimkit.fitting.settings import FitSettings, MeasuredNoise
from ivimkit.status import FitStatus
from tolerances import CLOSED_FORM, SAME_COST, SAME_MINIMUM

B = np.array(ik.simulate.B13, dtype=float)
SHAPE = (6, 5, 4)


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(11)
    truth = rng.uniform([900, 0.1, 0.02, 0.8e-3], [1100, 0.3, 0.06, 1.6e-3], (*SHAPE, 4))
    return ik.simulate.add_noise(ik.simulate.signals("biexp", truth, B), sigma=20, seed=1)


def outcome(result):
    return np.stack([result.maps[name] for name in (*result.model.names, "ADC")], axis=-1)


# ------------------------------------------------------------------------------ what is refused


def test_an_array_needs_b_values(signals):
    with pytest.raises(
        AcquisitionError, match=r"array without b-values; expected fit.array, bvals"
    ):
        ik.fit(signals)


def test_a_scan_has_its_own_b_values(signals):
    with pytest.raises(OptionError, match=r"bvals were given in addition to a DWI.*leave them"):
        ik.fit(ik.DWI(signals, B), B)


def test_fewer_b_values_than_parameters(signals):
    few = np.searchsorted(B, [0, 200, 800])
    with pytest.raises(
        AcquisitionError,
        match=r"3 distinct b-values \(0, 200, 800\); expected at least 4 for the 4",
    ):
        ik.fit(signals[..., few], B[few])
    with pytest.raises(AcquisitionError, match="3 distinct b-values with a weight"):
        ik.fit(signals, B, weights=np.isin(B, [0, 200, 800]))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(5), ShapeError, r"weights have shape \(5,\); expected one per distinct b-value"),
        (np.ones((13, 1)), ShapeError, r"have shape \(13, 1\); expected one per value of the"),
        (np.full(13, -1.0), OptionError, "weights must be finite and >= 0; set a weight to 0"),
        (np.full(13, np.nan), OptionError, "weights must be finite and >= 0"),
        (np.full(13, np.inf), OptionError, "weights must be finite and >= 0"),
    ],
)
def test_weights_that_cannot_be_used(signals, weights, error, message):
    with pytest.raises(error, match=message):
        ik.fit(signals, B, weights=weights)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([0, 750], "adc_bvals 750 are not in the scan; it has 0, 10, 20"),
        ([800], "adc_bvals leave fewer than two b-values; an ADC needs two of 0, 10, 20"),
    ],
)
def test_adc_b_values_that_cannot_be_used(signals, wanted, message):
    with pytest.raises(AcquisitionError, match=message):
        ik.fit(signals, B, adc_bvals=wanted)


def test_a_map_that_fixes_a_parameter_has_the_scans_shape(signals):
    model = ik.models.get("biexp").with_fixed(D=np.full(SHAPE[:2], 1e-3))
    with pytest.raises(ShapeError, match=r"map that fixes D has shape \(6, 5\); .* \(6, 5, 4\)"):
        ik.fit(signals, B, model=model)


def test_methods_see_only_b_values_that_have_a_weight(signals):
    with pytest.raises(AcquisitionError, match="a line needs two b-values with b >= 200"):
        ik.fit(signals, B, method="segmented", weights=(B < 300).astype(float))
    with pytest.raises(AcquisitionError, match="perfusion signal only at b = 0"):
        ik.fit(signals, B, model="sivim", weights=(B > 0).astype(float))


# ------------------------------------------------------------------------------ what it warns of


@pytest.mark.parametrize(
    ("bvals", "message"),
    [
        ([0, 20, 50, 200, 400, 600, 800], "7 distinct b-values; expected 8 or more"),
        ([10, 20, 40, 80, 200, 400, 600, 800], "the lowest b-value is 10 s/mm.*expected b = 0"),
        ([0, 100, 150, 200, 300, 400, 600, 800], "no b-value above 0 and up to 50"),
        ([0, 10, 20, 30, 40, 50, 100, 200], "the highest b-value is 200.*300 or more"),
        ([0, 10, 20, 40, 80, 200, 800, 2000], "the highest b-value is 2000.*up to 1500"),
    ],
)
def test_acquisitions_that_can_be_fitted_but_not_well(bvals, message):
    signal = ik.simulate.signals("biexp", [1000, 0.2, 0.03, 1e-3], bvals)
    with pytest.warns(AcquisitionWarning, match=message) as caught:
        ik.fit(signal, bvals)
    assert caught[0].filename == __file__, "the warning points at the call"


def test_no_warning_that_does_not_concern_the_model():
    signal = ik.simulate.signals("monoexp", [1000, 1e-3], [0, 100, 200])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ik.fit(signal, [0, 100, 200], model="monoexp", method="loglinear")


def test_warnings_see_only_b_values_that_have_a_weight(signals):
    with pytest.warns(AcquisitionWarning, match="7 distinct b-values; expected 8 or more"):
        ik.fit(signals, B, weights=np.isin(B, [0, 10, 40, 80, 200, 400, 800]))


# -------------------------------------------------------------------------------- what it takes


def test_a_scan_and_its_array_are_the_same(signals):
    first, second = ik.fit(signals, B), ik.fit(ik.DWI(signals, B))
    np.testing.assert_array_equal(outcome(first), outcome(second))


def test_one_voxel(signals):
    one = ik.fit(signals[1, 2, 3], B)
    assert one.shape == ()
    assert one.params.shape == (4,)
    np.testing.assert_array_equal(outcome(one), outcome(ik.fit(signals, B))[1, 2, 3])
    assert one.sentence(()) == "Fitted."


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int64, np.float32, ">f4", np.float16])
def test_any_real_type(signals, dtype):
    data = np.round(signals).astype(dtype)
    np.testing.assert_array_equal(
        outcome(ik.fit(data, B)), outcome(ik.fit(data.astype(np.float64), B))
    )


def test_the_input_is_not_changed(signals):
    data, mask, weights = signals.copy(), np.ones(SHAPE), np.ones(B.size)
    fixed = np.full(SHAPE, 1e-3)
    for array in (data, mask, weights, fixed):
        array.setflags(write=False)
    ik.fit(data, B, mask=mask, weights=weights, model=ik.models.get("biexp").with_fixed(D=fixed))
    np.testing.assert_array_equal(data, signals)


def test_the_mask_takes_the_place_of_the_scans_own(signals):
    own, other = np.zeros(SHAPE), np.zeros(SHAPE)
    own[0], other[1] = 1, 1
    result = ik.fit(ik.DWI(signals, B, mask=own), mask=other)
    np.testing.assert_array_equal(result.mask, other > 0)
    assert np.isfinite(result.params[1]).all()
    assert np.isnan(result.params[0]).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_fixed_maps_meet_their_own_voxels(signals, order):
    data = np.asarray(signals, order=order)
    values = np.random.default_rng(3).uniform(0.8e-3, 1.6e-3, SHAPE)
    mask = np.random.default_rng(4).random(SHAPE) < 0.5
    model = ik.models.get("biexp").with_fixed(D=values)
    result = ik.fit(data, B, model=model, mask=mask)
    np.testing.assert_array_equal(result.maps["D"][mask], values[mask])
    assert result.model.fixed_maps["D"].shape == SHAPE


# ------------------------------------------------------------------------------------- options


def test_adc_is_the_weighted_log_linear_fit_over_all_b(signals):
    adc = ik.fit(signals, B, model="monoexp", method="loglinear")
    for model, method in (("biexp", "segmented"), ("sivim", "varpro")):
        beside = ik.fit(signals, B, model=model, method=method)
        np.testing.assert_array_equal(beside.maps["ADC"], adc.maps["ADC"])
    slope, _ = np.polyfit(B, np.log(signals[2, 3, 1]), 1, w=signals[2, 3, 1])
    assert adc.maps["ADC"][2, 3, 1] == pytest.approx(-slope, rel=CLOSED_FORM)


def test_adc_of_chosen_b_values(signals):
    chosen = np.searchsorted(B, [0, 400, 800])
    expected = ik.fit(signals[..., chosen], B[chosen], model="monoexp", method="loglinear")
    result = ik.fit(signals, B, adc_bvals=[0, 400, 800])
    np.testing.assert_allclose(result.maps["ADC"], expected.maps["ADC"], rtol=CLOSED_FORM)
    other = ik.fit(signals, B)
    assert (result.maps["ADC"] != other.maps["ADC"]).all()
    np.testing.assert_array_equal(result.params, other.params)


def test_a_monoexponential_model_keeps_its_own_adc(signals):
    result = ik.fit(signals, B, model="monoexp", method="varpro")
    loglinear = ik.fit(signals, B, model="monoexp", method="loglinear")
    assert (result.maps["ADC"] != loglinear.maps["ADC"]).all()
    assert (result.maps["cost"] <= loglinear.maps["cost"]).all()


def test_weights_per_volume_are_averaged_within_a_shell(signals):
    bvals = np.concatenate([B, B])
    data = np.concatenate([signals, signals], axis=-1)
    per_volume = np.concatenate([np.full(13, 1.0), np.full(13, 3.0)])
    result = ik.fit(data, bvals, weights=per_volume)
    expected = ik.fit(data, bvals, weights=np.full(13, 2.0))
    np.testing.assert_array_equal(outcome(result), outcome(expected))
    assert result.maps["cost"] == pytest.approx(4 * ik.fit(signals, B).maps["cost"], rel=SAME_COST)


def test_weights_of_single_volumes_without_averaging(signals):
    bvals = np.concatenate([B, B])
    data = np.concatenate([signals, np.full_like(signals, 1e6)], axis=-1)
    only_first = np.repeat([1.0, 0.0], 13)
    result = ik.fit(ik.DWI(data, bvals, average="none"), weights=only_first)
    np.testing.assert_allclose(result.maps["D"], ik.fit(signals, B).maps["D"], rtol=SAME_MINIMUM)


def test_unknown_device_and_threads(signals):
    with pytest.raises(OptionError, match="device is 'tpu'; expected one of auto, cpu"):
        ik.fit(signals, B, device="tpu")
    for threads in (0, -1, 1.5, "2"):
        with pytest.raises(OptionError, match=f"threads is {threads!r}; expected a whole number"):
            ik.fit(signals, B, threads=threads)


def test_progress_counts_voxels_in_the_calling_thread(signals):
    data = np.tile(signals, (10, 10, 1, 1))
    seen = []

    def progress(done, total):
        seen.append((done, total, threading.current_thread()))

    ik.fit(data, B, method="segmented", progress=progress, threads=2)
    done, total, threads = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == 12000
    assert len(done) >= 3
    assert set(total) == {12000}
    assert set(threads) == {threading.current_thread()}


def test_an_interruption_is_passed_on(signals):
    def progress(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ik.fit(signals, B, progress=progress)


# ---------------------------------------------------------------------------------- provenance


def test_provenance_says_what_was_done(signals):
    dwi = ik.DWI(signals[..., np.r_[0:13, 12]], np.append(B, 800.0))
    model = ik.models.get("biexp").with_fixed(D=np.full(SHAPE, 1e-3)).with_bounds(f=(0, 0.5))
    method = ik.methods.Segmented(b_split=150, steps=2)
    result = ik.fit(dwi, model=model, method=method, adc_bvals=[0, 800], threads=1)
    provenance = result.provenance
    assert provenance.bvals == B.tolist()
    assert provenance.counts == [1.0] * 12 + [2.0]
    assert provenance.threads == 1
    assert provenance.seconds > 0
    assert datetime.fromisoformat(provenance.started).utcoffset().total_seconds() == 0
    assert provenance.versions["ivimkit"] == ik.__version__
    assert {"numpy", "numba"} <= set(provenance.versions)
    assert provenance.status_counts == result.counts()
    assert result.settings == FitSettings(
        model=model, method=method, adc_bvals=(0.0, 800.0), call="ivimkit.fit"
    )
    assert list(result.settings.model.fixed_maps) == ["D"]


def test_settings_keep_what_was_given(signals):
    mask, weights = np.ones(SHAPE), np.linspace(0.5, 1.0, len(B))
    dwi = ik.DWI(signals, B, mask=mask)
    noise = ik.noise.NoiseEstimate(3.0, None, 100.0, None, "background", "", 90)
    first = ik.fit(dwi, sigma=noise, uncertainty="curvature", weights=weights)
    pooled = first.settings
    assert (pooled.sigma, pooled.noise) == (3.0, MeasuredNoise("background", 100.0, 90))
    assert pooled.estimator == ik.uncertainty.get("curvature")
    assert pooled.weights == tuple(weights)
    of_map = ik.fit(dwi, sigma=np.full(SHAPE, 2.0), precision="float32", device="cpu").settings
    assert (of_map.sigma, of_map.noise) == ("map", None)
    assert (of_map.precision, of_map.device) == ("float32", "cpu")
    with pytest.raises(OptionError, match="a fit with a map of sigma, which they do not contain"):
        fit_with(dwi, of_map)
    again = fit_with(dwi.with_weights(weights), pooled)
    np.testing.assert_array_equal(again.maps["D_sd"], first.maps["D_sd"])
    labels = ik.fit(
        dwi.with_mask(np.arange(120).reshape(SHAPE) > 30), labels=mask, method="bayes"
    ).settings.labels
    assert labels is True


def test_a_result_keeps_the_scans_geometry(signals):
    affine = np.diag([-2.0, 2.0, 5.0, 1.0])
    dwi = ik.DWI(signals, B, affine)
    result = ik.fit(dwi)
    assert result.geometry is dwi.geometry
    assert result.acquisition == dwi.acquisition


def test_status_is_a_whole_map(signals):
    mask = np.zeros(SHAPE)
    mask[2] = 1
    result = ik.fit(signals, B, mask=mask)
    assert result.status.shape == SHAPE
    assert result.status.dtype == np.int32
    assert (result.status[mask == 0] == FitStatus.OUTSIDE_MASK).all()


def test_a_model_object_keeps_its_changes(signals):
    model = replace(ik.models.get("biexp").with_bounds(f=(0, 0.15)), title="mine")
    result = ik.fit(signals, B, model=model)
    assert result.model is model
    assert result.maps["f"].max() <= 0.15


def test_a_region_too_small_to_learn_from_is_named():
    made = ik.simulate.phantom(shape=(24, 18, 2))
    labels = np.zeros(made.dwi.shape, int)
    labels[tuple(np.argwhere(made.dwi.mask)[:20].T)] = 7
    with pytest.raises(OptionError, match=r"region 7: prior local .* 20 voxels to fit"):
        ik.fit(made.dwi, method="bayes", labels=labels)


# ------------------------------------------------------------------------------ another method


def test_a_second_method_is_fitted_as_it_would_be_alone(tmp_path):
    dwi = ik.simulate.phantom(shape=(16, 12, 1), seed=4).dwi
    weights = np.linspace(1.0, 2.0, dwi.fit_bvals.size)
    result = ik.fit(dwi, also="segmented", sigma=20.0, weights=weights, uncertainty="curvature")
    alone = ik.fit(dwi, method="segmented", sigma=20.0, weights=weights)
    assert result.also is not None
    assert (result.also.method, result.also.settings) == (alone.method, alone.settings)
    for name, values in alone.maps.items():
        np.testing.assert_array_equal(result.also.maps[name], values, err_msg=name)
    assert result.also.also is None
    ik.save(result, tmp_path / "out")
    loaded = ik.load_result(tmp_path / "out")
    np.testing.assert_allclose(loaded.also.maps["D"], alone.maps["D"], rtol=1e-6)
    ik.save(loaded, tmp_path / "again")
    assert ik.load_result(tmp_path / "again" / "also_segmented").method == alone.method
    both = ik.report.build(result, result.also)
    assert "differences" in [section.id for section in both.sections]


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ("varpro", "the other method is varpro, which is the method itself; expected another"),
        ("guess", "unknown method 'guess'"),
        (ik.methods.VarPro(noise="rician"), "the other method is varpro"),
    ],
)
def test_a_second_method_has_to_be_another_one(also, said):
    with pytest.raises(OptionError, match=said):
        ik.fit(ik.simulate.phantom(shape=(4, 4, 1)).dwi, also=also)


def test_a_second_method_that_cannot_fit_is_refused_before_the_first_fit(monkeypatch):
    monkeypatch.setattr("ivimkit.fitting.fit.fit_with", lambda *_, **__: pytest.fail("fitted"))
    dwi = ik.simulate.phantom(shape=(4, 4, 1)).dwi
    with pytest.raises(ik.errors.InputError):
        ik.fit(dwi, model="triexp", also="segmented")


def test_labels_are_for_the_method_that_learns():
    made = ik.simulate.phantom(shape=(20, 16, 2), seed=4)
    liver = made.region("liver").astype(int)
    bayes = ik.methods.Bayes(prior=ik.priors.get("learned", max_steps=2))
    result = ik.fit(made.dwi, also=bayes, labels=liver)
    assert (result.settings.labels, sorted(result.also.priors)) == (False, ["0", "1"])
    other = ik.fit(made.dwi, method=bayes, also="varpro", labels=liver)
    assert (other.also.settings.labels, sorted(other.priors)) == (False, ["0", "1"])
    np.testing.assert_array_equal(other.maps["D"], result.also.maps["D"])
    with pytest.raises(OptionError, match="labels were given for method varpro"):
        ik.fit(made.dwi, also="segmented", labels=liver)
