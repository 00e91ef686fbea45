"""Missing is missing: what is NaN or infinite has no part in anything, and is not 0."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.noise import shell_signals
from ivimkit.quality import residuals
from ivimkit.scan.checks import scan_findings
from ivimkit.status import FitStatus

pytestmark = pytest.mark.filterwarnings("ignore:.*NaN or infinite:ivimkit.errors.ScanWarning")

B = np.repeat([0, 10, 20, 50, 100, 200, 400, 600, 800.0], 2)


@pytest.fixture(scope="module")
def whole():
    return ik.simulate.phantom(shape=(40, 30, 2), bvals=B, snr=30, partial_volume=2)


@pytest.fixture(scope="module")
def damaged(whole):
    """The scan without a part of some volumes, and without one voxel."""
    signal = whole.dwi.signal.copy()
    signal[25:, :, :, 9] = np.nan
    signal[:18, :, :, [4, 5]] = np.inf
    signal[20, 15] = np.nan
    return whole.dwi.with_signal(signal)


def test_which_values_are_missing(whole, damaged):
    assert whole.dwi.missing is None
    assert whole.dwi.with_signal(whole.dwi.signal.astype(np.int16)).missing is None
    found = damaged.missing
    assert found[25:, :, :, 9].all()
    assert found.sum() == 15 * 30 * 2 + 18 * 30 * 2 * 2
    # Nothing can be fitted in that voxel: it is not a value that is missing.
    assert not found[20, 15].any()
    assert damaged.value_weights is None
    assert (
        damaged.with_mask(np.arange(40)[:, None, None] * np.ones((40, 30, 2)) == 22).patterns(
            damaged.voxels()
        )
        is None
    )
    summary = damaged.weight_summary
    assert summary.missing == summary.left_out == int(found[damaged.mask].sum())
    zero = np.ones(damaged.signal.shape)
    zero[..., 0] = 0
    both = damaged.with_value_weights(zero).weights_of_values
    assert not both[..., 0].any()
    assert not both[25:, :, :, 9].any()


def test_averages_images_and_counts_do_without_them(whole, damaged):
    image = damaged.mean_image(100.0)
    np.testing.assert_allclose(image[25:], whole.dwi.signal[25:, :, :, 8], rtol=1e-6)
    np.testing.assert_allclose(
        image[19], whole.dwi.signal[19, :, :, 8:10].mean(axis=-1), rtol=1e-6
    )
    # Of b = 20 nothing is left in some voxels.
    assert np.isnan(damaged.mean_image(20.0)[:18]).all()
    result = ik.fit(damaged)
    counts = result.value_counts()
    assert counts[damaged.mask & (np.arange(40) >= 25)[:, None, None]].min() == 9
    assert set(counts[:18][damaged.mask[:18]]) == {8}
    assert result.status[20, 15, 0] == FitStatus.NON_FINITE
    assert not damaged.mask[20, 15, 0] or np.isnan(result.maps["D"][20, 15, 0])
    assert np.isfinite(result.maps["D"][damaged.mask]).mean() > 0.99


def test_a_volume_that_is_missing_everywhere_is_left_out_and_reported(whole):
    signal = whole.dwi.signal.copy()
    signal[..., 9] = np.nan
    dwi = whole.dwi.with_signal(signal)
    assert [finding.kind for finding in scan_findings(dwi)] == ["not finite"]
    with pytest.warns(ik.errors.ScanWarning, match="volume 9 .* is NaN or infinite"):
        found = ik.fit(dwi)
    other = ik.fit(whole.dwi.select(volumes=np.delete(np.arange(18), 9).tolist()))
    np.testing.assert_array_equal(found.maps["D"], other.maps["D"])


def test_too_few_values_are_a_status(whole):
    signal = whole.dwi.signal.copy()
    signal[:30, :, :, 4:] = np.nan
    result = ik.fit(whole.dwi.with_signal(signal))
    inside = whole.dwi.mask[:30]
    assert (result.status[:30][inside] == FitStatus.TOO_FEW_BVALUES).all()
    assert np.isnan(result.maps["S0"][:30]).all()
    assert (result.status[30:][whole.dwi.mask[30:]] & FitStatus.TOO_FEW_BVALUES == 0).all()


def test_noise_counts_the_values_that_are_left(whole):
    signal = whole.dwi.signal.copy()
    # Two of nine values of most voxels: residuals have three of five degrees of freedom.
    signal[:34, :, :, 10:14] = np.nan
    dwi = whole.dwi.with_signal(signal)
    found = ik.noise.from_residuals(ik.fit(dwi))
    usual = ik.noise.from_residuals(ik.fit(whole.dwi))
    assert found.sigma == pytest.approx(usual.sigma, rel=0.1)
    assert found.degrees < 0.75 * usual.degrees
    repeats = ik.noise.from_repeats(dwi)
    assert repeats.sigma == pytest.approx(ik.noise.from_repeats(whole.dwi).sigma, rel=0.05)
    signals, all_signals = shell_signals(dwi), shell_signals(whole.dwi)
    assert signals[0].mean == all_signals[0].mean
    assert np.isfinite(signals[6].mean)
    weights = np.full(dwi.signal.shape, 0.5)
    with pytest.raises(ik.errors.NoiseError, match="single values had weights other than 0 and 1"):
        ik.noise.from_residuals(ik.fit(whole.dwi.with_value_weights(weights)))


def test_residuals_are_those_of_the_values_that_are_there(whole):
    weights = np.ones(whole.dwi.signal.shape)
    weights[:34, :, :, 12:14] = 0.0
    dwi = whole.dwi.with_value_weights(weights)
    found = residuals(ik.fit(dwi))
    usual = residuals(ik.fit(whole.dwi))
    # As large where some are left out: they are not residuals of 0.
    assert found.sd[6] == pytest.approx(usual.sd[6], rel=0.25)
    assert found.spread[:, 12].mean() == pytest.approx(usual.spread[:, 12].mean(), rel=0.25)
    assert found.noise == pytest.approx(usual.noise, rel=0.15)
    nothing = np.ones(whole.dwi.signal.shape)
    nothing[..., 1, 12] = 0.0
    assert np.isnan(residuals(ik.fit(whole.dwi.with_value_weights(nothing))).spread[1, 12])


@pytest.mark.parametrize("criterion", ["aicc", "bic", "f_test"])
def test_models_are_compared_by_the_values_that_are_there(whole, criterion):
    signal = whole.dwi.signal.copy()
    signal[:20, :, :, 12:14] = np.nan
    options = {"models": ["monoexp", "biexp"], "criterion": criterion}
    found = ik.compare(whole.dwi.with_signal(signal), **options)
    usual = ik.compare(whole.dwi, **options)
    less = ik.compare(whole.dwi.select(volumes=[*range(12), *range(14, 18)]), **options)
    for part, other in ((np.s_[:20], less), (np.s_[20:], usual)):
        for name in found.scores:
            np.testing.assert_allclose(
                found.scores[name][part], other.scores[name][part], rtol=1e-6, atol=1e-6
            )
        assert (found.chosen[part] == other.chosen[part]).mean() > 0.999
