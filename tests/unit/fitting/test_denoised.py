"""Everything that assumes independent noise of one size, given a scan whose noise is not."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import noise as noises
from ivimkit.errors import NoiseChangedWarning, NoiseError, OptionError
from ivimkit.fitting.denoised import remaining_noise
from ivimkit.fitting.fit import fit_with
from ivimkit.report.methods_text import Citations, methods_text
from ivimkit.report.sections.preprocessing_section import _of_denoised
from ivimkit.scan.history import History, StepRecord
from ivimkit.viewer.voxel_answer import one_voxel

FLAT = ik.methods.Bayes(prior="flat")
SHARE_WITHIN = (0.92, 0.98)
"""Of 95 % intervals of some 2000 voxels with similar errors: 95 % to three standard errors."""


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(
        shape=(36, 27, 6), snr=25, texture=ik.simulate.Texture(), partial_volume=1
    )


@pytest.fixture(scope="module")
def denoised(made):
    return ik.preprocess(made.dwi, "denoise").dwi


@pytest.fixture(scope="module")
def result(denoised):
    return ik.fit(denoised, method="bayes")


@pytest.fixture(scope="module")
def unknown(denoised):
    """A scan denoised by something that does not say what it left."""
    record = StepRecord("denoise", "each volume was predicted", noise="changed")
    return denoised.with_history(History((record,)))


def _coverage(result, made, name):
    low, high = result.interval[name]
    truth = made.truth[name]
    there = made.dwi.mask & np.isfinite(truth) & np.isfinite(low) & (made.truth["f"] > 0.02)
    return ((low <= truth) & (truth <= high))[there].mean()


def test_intervals_of_posteriors_contain_the_truth(made, denoised, result):
    some = denoised.mask & (np.indices(denoised.shape)[2] < 1)
    as_if_raw = ik.fit(denoised.with_history(History()).with_mask(some), method=FLAT)
    for name in ("D", "f", "D_star"):
        assert SHARE_WITHIN[0] < _coverage(result, made, name) < SHARE_WITHIN[1]
    assert _coverage(as_if_raw, made, "D") < 0.8
    assert result.provenance.chosen["noise"].startswith("what denoising left")
    assert result.settings.method.prior.name == "flat"
    assert np.isnan(result.maps["ln_evidence"]).all()


def test_intervals_of_curvatures_contain_the_truth(made, denoised):
    found = ik.fit(denoised, uncertainty="curvature")
    assert SHARE_WITHIN[0] < _coverage(found, made, "D") < SHARE_WITHIN[1]
    assert SHARE_WITHIN[0] < _coverage(found, made, "f") < SHARE_WITHIN[1]


def test_estimates_without_intervals_are_those_of_the_method(denoised):
    found = ik.fit(denoised)
    want = ik.fit(denoised.with_history(History()))
    for name in ("S0", "f", "D_star", "D"):
        assert np.array_equal(found.maps[name], want.maps[name], equal_nan=True)


def test_what_is_not_detected_follows_from_what_is_left():
    # One decay alone: every fraction is noise.
    b = ik.simulate.B13
    signal = np.broadcast_to(800 * np.exp(-np.array(b) * 1e-3), (20, 20, 5, len(b)))
    rng = np.random.default_rng(3)
    texture = np.exp(0.1 * rng.normal(size=(20, 20, 5, 1)))
    dwi = ik.DWI(ik.simulate.add_noise(signal * texture, sigma=30.0, seed=1), b)
    found = ik.fit(ik.preprocess(dwi, "denoise").dwi)
    # At the 5 % level, one-sided as f is not below 0; residuals alone would find more.
    assert (found.status & int(ik.status.FitStatus.PERFUSION_NOT_DETECTED) > 0).mean() > 0.9


def test_a_selection_of_volumes_keeps_what_is_left(denoised):
    part = denoised.select(bmin=0, bmax=400)
    left = remaining_noise(part)
    assert left.n_volumes == part.acquisition.n_volumes
    whole = remaining_noise(denoised)
    keep = part.volumes
    assert np.array_equal(left.covariances, whole.covariances[:, keep][:, :, keep])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": ik.methods.Bayes(prior="learned")},
            "prior learned is learned from the voxels",
        ),
        ({"method": ik.methods.Bayes(prior="local")}, "prior local is learned"),
        ({"method": ik.methods.Bayes(prior="flat", robust=True)}, "robust screens values"),
        ({"method": ik.methods.VarPro(noise="rician")}, "noise of method varpro is rician"),
        ({"uncertainty": "bootstrap"}, "bootstrap takes the noise from residuals"),
        ({"method": "bayes", "labels": 1}, "no prior is learned"),
    ],
)
def test_what_would_be_false_is_refused(denoised, options, message):
    if "labels" in options:
        options = {**options, "labels": np.ones(denoised.shape, dtype=int)}
    with pytest.raises(OptionError, match=message):
        ik.fit(denoised, **options)


def test_a_given_sigma_is_taken_with_a_warning(denoised, made):
    with pytest.warns(NoiseChangedWarning, match="sigma was given"):
        found = ik.fit(denoised, method=FLAT, sigma=made.sigma)
    assert found.settings.sigma == made.sigma


def test_intervals_are_refused_where_what_is_left_is_not_known(unknown):
    for options in ({"method": "bayes"}, {"uncertainty": "curvature"}):
        with pytest.raises(NoiseError, match="what was left of its noise is not known"):
            ik.fit(unknown, **options)
    with pytest.warns(NoiseChangedWarning, match="not detected is not right"):
        assert ik.fit(unknown).status.shape == unknown.shape


def test_models_are_not_compared(denoised):
    with pytest.raises(NoiseError, match="criteria compare models by residuals"):
        ik.compare(denoised)


def test_noise_is_not_measured_in_it(denoised, result, made):
    for source in (
        noises.from_repeats,
        noises.from_background,
        noises.from_images,
        noises.level_of_air,
        noises.from_mppca,
    ):
        with pytest.raises(NoiseError, match="denoise"):
            source(denoised)
    with pytest.raises(NoiseError, match="cannot be taken from residuals"):
        noises.from_residuals(result)
    assert noises.for_fit(denoised, "auto") is None
    assert noises.repeat_scatter(denoised) is None
    # The floor of magnitudes is that of the noise before.
    assert noises.for_floor(denoised).sigma == pytest.approx(made.sigma, rel=0.1)
    assert result.settings.method.floor == pytest.approx(made.sigma, rel=0.1)


def test_repeats_give_no_noise_for_the_table_of_shells():
    b = [0, 0, 0, 200, 800, 800]
    dwi = ik.simulate.phantom(shape=(24, 18, 4), bvals=b).dwi
    found = noises.shell_signals(ik.preprocess(dwi, "denoise").dwi)
    assert np.isnan([shell.sigma for shell in found]).all()


def test_interpolated_noise_is_not_taken_from_neighbours(made):
    record = StepRecord("align", "moved", noise="interpolated")
    dwi = made.dwi.with_history(History((record,)))
    for source in (noises.from_images, noises.from_background):
        with pytest.raises(NoiseError, match=r"interpolated \(align\)"):
            source(dwi)
    # The level of the air is that before, whatever was interpolated.
    assert noises.for_fit(dwi, "air").sigma == pytest.approx(made.sigma, rel=0.1)


def test_checks_of_a_result_say_so(result, made):
    lights = {light.name: light for light in ik.quality.lights(result)}
    assert "before denoising" in lights["signal-to-noise ratio"].reason
    assert lights["residuals"].colour == "grey"
    assert "was denoised" in lights["residuals"].reason


def test_the_mean_of_a_region_has_the_noise_before(result, made):
    labels = made.region("spleen") + 2 * made.region("muscle")
    means = ik.quality.roi_fit(result, labels)
    alone = ik.fit(made.dwi, sigma=made.sigma, method=FLAT, mask=labels > 0)
    raw = ik.quality.roi_fit(alone, labels)
    np.testing.assert_allclose(means.sd["D"], raw.sd["D"], rtol=0.1)


def test_a_voxel_fitted_again_has_the_same_interval(result, denoised):
    index = tuple(int(k) for k in np.argwhere(denoised.mask)[500])
    again = ik.fit(one_voxel(denoised, index), method=result.settings.method)
    assert again.maps["D_lo"][0] == pytest.approx(result.maps["D_lo"][index], rel=1e-6)
    part = one_voxel(denoised.select(bmax=400), index)
    assert remaining_noise(part).n_volumes == part.acquisition.n_volumes


def test_reports_say_so(result, unknown):
    text = methods_text(result, Citations())
    assert "The errors of the parameters follow from what denoising left" in text
    assert "follow from what denoising left" in _of_denoised(result)
    with pytest.warns(NoiseChangedWarning):
        assert "was not taken into account" in _of_denoised(ik.fit(unknown))


def test_settings_can_be_used_again(result, denoised):
    some = np.indices(denoised.shape)[2] == 3
    again = fit_with(denoised.with_mask(denoised.mask & some), replace(result.settings))
    kept = np.where(some, result.maps["f_hi"], np.nan)
    assert np.array_equal(again.maps["f_hi"], kept, equal_nan=True)


def test_progress_goes_once_from_start_to_end_and_nothing_warns(denoised):
    seen = []
    x, _, z = np.indices(denoised.shape)
    inside = (z == 3) & (x < 12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ik.fit(denoised, method="bayes", mask=inside, progress=lambda *one: seen.append(one))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (inside.sum(), inside.sum())
