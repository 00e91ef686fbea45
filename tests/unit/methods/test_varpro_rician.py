"""varpro for magnitudes: the maximum of the Rician likelihood, and what it is good for.

The reference is the likelihood itself, maximised by SciPy: see `rician_magnitudes`.
"""

import math
import warnings

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.status import FAILED, FitStatus
from rician_magnitudes import CASES, REFERENCE, magnitudes, minus_log_likelihood, name_of, tissue
from tolerances import SAME_MINIMUM

B21 = np.array(ik.simulate.B21, float)
BIEXP = ik.models.get("biexp")
RICIAN = ik.methods.VarPro(noise="rician")

# ln of likelihood by which two searches for one maximum may differ: 1e-3 standard deviations.
SAME_MAXIMUM = 1e-6


@pytest.mark.parametrize("known", [True, False], ids=["sigma known", "sigma estimated"])
@pytest.mark.parametrize(("snr", "coils"), CASES)
def test_it_is_the_maximum_of_the_likelihood(snr, coils, known):
    sigma = 1000 / snr
    with np.load(REFERENCE) as file:
        signals, lowest = file[f"{snr}-{coils}.rows"], file[name_of(snr, coils, known)]
    method = ik.methods.VarPro(noise="chi", coils=coils)
    result = ik.fit(signals, B21, method=method, sigma=sigma if known else None)
    assert not (result.status & int(FAILED)).any()
    s0, f, d_star, d = result.params.T
    scaled = np.stack([s0 / 1000, f, np.log(d_star), 1e3 * d], axis=1)
    if not known:
        scaled = np.column_stack([scaled, np.log(result.maps["sigma"])])
    given = sigma if known else None
    ours = [
        minus_log_likelihood(*pair, given, coils) for pair in zip(scaled, signals, strict=True)
    ]
    short = np.array(ours) - lowest
    # Where noise hides one of the pools there may be a second maximum that is hardly higher: half
    # a unit is a ratio of likelihoods of 1.6.
    assert np.sort(short)[-2] < SAME_MAXIMUM
    assert short.max() < 0.5


def test_the_likelihood_is_stationary_where_parameters_are_free():
    sigma = 100.0
    signals = magnitudes(tissue(300, seed=3), sigma, seed=4)
    result = ik.fit(signals, B21, method=RICIAN)
    s0, f, d_star, d = result.params.T
    scaled = np.stack([s0 / 1000, f, np.log(d_star), 1e3 * d, np.log(result.maps["sigma"])], 1)
    free = (result.status & ~int(FitStatus.PERFUSION_NOT_DETECTED)) == 0
    assert free.sum() > 100
    for v in np.flatnonzero(free)[:100]:
        for k in range(5):
            # A step of a few tenths of a standard deviation: 1e-3 of it either way is level.
            step = np.zeros(5)
            step[k] = 1e-4
            low, mid, high = (
                minus_log_likelihood(scaled[v] + s * step, signals[v], None, 1) for s in (-1, 0, 1)
            )
            slope, curve = (high - low) / 2, high + low - 2 * mid
            assert abs(slope) <= 0.05 * curve + 1e-10, (v, k)


def test_high_signal_to_noise_gives_the_gaussian_fit():
    truth = tissue(200, seed=5)
    signals = magnitudes(truth, 1000 / 1e5, seed=6)
    gaussian, rician = (ik.fit(signals, B21, method=m) for m in (ik.methods.VarPro(), RICIAN))
    np.testing.assert_allclose(rician.params, gaussian.params, rtol=1e-6)
    variance = gaussian.maps["cost"] / (B21.size - 4)
    np.testing.assert_allclose(rician.maps["sigma"], np.sqrt(variance), rtol=1e-6)


def test_the_paper_of_the_likelihood_is_cited_where_it_is_used():
    assert any("Sijbers" in reference for reference in RICIAN.references)
    assert not any("Sijbers" in reference for reference in ik.methods.VarPro().references)


def test_gaussian_noise_is_the_method_without_options():
    method = ik.methods.VarPro(noise="gaussian")
    assert method == ik.methods.VarPro()
    assert method.voxel is ik.methods.VarPro().voxel
    assert method.voxel is not RICIAN.voxel
    signals = magnitudes(tissue(50, seed=7), 50.0, seed=8)
    assert "sigma" not in ik.fit(signals, B21, method=method).maps


def test_sigma_is_unbiased_at_high_signal_and_stored_where_given():
    signals = magnitudes(tissue(4000, seed=9), 20.0, seed=10)
    found = ik.fit(signals, B21, method=RICIAN).maps["sigma"]
    assert np.mean(found**2) == pytest.approx(400.0, rel=0.02)
    sigma = np.linspace(15.0, 25.0, 4000)
    given = ik.fit(signals, B21, method=RICIAN, sigma=sigma)
    np.testing.assert_array_equal(given.maps["sigma"], sigma)


@pytest.mark.parametrize("coils", [1, 4])
@pytest.mark.parametrize("known", [True, False], ids=["sigma known", "sigma estimated"])
def test_the_noise_floor_no_longer_lowers_D(coils, known):
    # At b = 1000 the signal is 0.5 to 2.2 times the noise, and its magnitude 1.3 and more.
    method = ik.methods.VarPro(noise="chi", coils=coils)
    for d in (2e-3, 3e-3):
        truth = np.tile([1000.0, 0.0, 0.02, d], (3000, 1))
        signals = magnitudes(truth, 100.0, seed=11, coils=coils)
        options = {"model": "monoexp", "sigma": 100.0 if known else None}
        gaussian = ik.fit(signals, B21, **options).params[:, 1]
        rician = ik.fit(signals, B21, method=method, **options).params[:, 1]
        assert np.median(gaussian) < 0.97 * d
        for average in (np.mean, np.median):
            assert abs(average(rician) - d) < 0.2 * abs(average(gaussian) - d)


def test_perfusion_too_is_less_biased():
    truth = tissue(3000, seed=12)
    signals = magnitudes(truth, 100.0, seed=13)
    gaussian = ik.fit(signals, B21).params - truth
    for sigma in (None, 100.0):
        rician = ik.fit(signals, B21, method=RICIAN, sigma=sigma).params - truth
        for column, share in ((3, 0.5), (1, 0.85)):
            assert abs(np.median(rician[:, column])) < share * abs(np.median(gaussian[:, column]))
            assert np.mean(rician[:, column] ** 2) < np.mean(gaussian[:, column] ** 2)


@pytest.mark.parametrize("coils", [1, 8])
@pytest.mark.parametrize("sigma", [None, 100.0])
def test_noise_alone_is_no_signal_or_flagged(coils, sigma):
    nothing = np.tile([0.0, 0.0, 0.02, 1e-3], (3000, 1))
    signals = magnitudes(nothing, 100.0, seed=14, coils=coils)
    method = ik.methods.VarPro(noise="chi", coils=coils)
    result = ik.fit(signals, B21, method=method, sigma=sigma)
    empty = (result.status & FitStatus.NO_SIGNAL) != 0
    assert 0.2 < empty.mean() < 0.9
    assert not (result.status & FitStatus.NOT_CONVERGED).any()
    hidden = int(FitStatus.PERFUSION_NOT_DETECTED | FitStatus.TISSUE_NOT_DETECTED)
    assert np.mean((result.status[~empty] & hidden) != 0) > 0.95
    assert np.nanmax(result.maps["n_iter"]) < 10_000


@pytest.mark.filterwarnings("ignore::ivimkit.errors.ScanWarning")
def test_a_negative_magnitude_is_none():
    signals = magnitudes(tissue(100, seed=15), 200.0, seed=16)
    signals[:, -1] = -50.0
    cut = np.maximum(signals, 0.0)
    options = {"model": "monoexp", "method": RICIAN, "sigma": 200.0}
    one, other = (ik.fit(s, B21, **options) for s in (signals, cut))
    np.testing.assert_allclose(one.params, other.params, rtol=SAME_MINIMUM)
    assert (one.maps["cost"] > other.maps["cost"]).all()


def test_as_many_b_values_as_parameters_need_sigma():
    bvals = np.array([0.0, 50.0, 200.0, 800.0])
    signals = magnitudes(tissue(50, seed=17), 100.0, seed=18, bvals=bvals)
    with warnings.catch_warnings(action="ignore", category=ik.errors.AcquisitionWarning):
        gaussian = ik.fit(signals, bvals)
        alone = ik.fit(signals, bvals, method=RICIAN)
        given = ik.fit(signals, bvals, method=RICIAN, sigma=100.0)
    np.testing.assert_allclose(alone.params, gaussian.params, rtol=SAME_MINIMUM)
    assert np.isnan(alone.maps["sigma"]).all()
    assert np.nanmedian(given.maps["D"]) > np.nanmedian(gaussian.maps["D"])


def averaged_and_apart(truth, sigma, times, method, seed, coils=1, **options):
    """Fit repeated magnitudes as means and one by one."""
    bvals = np.repeat(B21, times)
    signals = magnitudes(truth, sigma, seed=seed, bvals=bvals, coils=coils)
    return [
        ik.fit(ik.DWI(signals, bvals, average=average), method=method, **options)
        for average in ("auto", "none")
    ]


@pytest.mark.parametrize(
    ("snr", "times", "coils"), [(10, 6, 1), (10, 30, 1), (30, 30, 1), (20, 12, 4)]
)
def test_means_of_magnitudes_are_as_good_as_the_magnitudes(snr, times, coils):
    """The mean has the floor of one volume: no voxel more is lost, and no bias is left."""
    truth = tissue(150, seed=19)
    method = RICIAN if coils == 1 else ik.methods.VarPro(noise="chi", coils=coils)
    found = averaged_and_apart(truth, 1000.0 / snr, times, method, seed=20, coils=coils)
    gaussian = averaged_and_apart(truth, 1000.0 / snr, times, "varpro", seed=20, coils=coils)[0]
    hidden = int(FAILED | FitStatus.TISSUE_NOT_DETECTED)
    lost = [np.mean((result.status & hidden) != 0) for result in found]
    assert lost[0] <= lost[1] + 0.01
    for name, column in (("D", 3), ("f", 1)):
        means, apart, least = (one.maps[name] - truth[:, column] for one in (*found, gaussian))
        noise = np.nanstd(apart) / np.sqrt(len(truth))
        assert abs(np.nanmedian(means)) < abs(np.nanmedian(apart)) + noise, name
        # What the scatter of magnitudes says of their signal is in no mean: 7 % with 4 coils.
        # Of 150 voxels one that has two minima would decide a mean square.
        one, other = (np.sort(values[np.isfinite(values)] ** 2) for values in (means, apart))
        assert np.mean(one[: -one.size // 50]) < 1.1 * np.mean(other[: -other.size // 50]), name
        if name == "D":
            assert abs(np.nanmedian(means)) < 0.5 * abs(np.nanmedian(least))
    sigma = found[0].maps["sigma"]
    np.testing.assert_allclose(np.nanmedian(sigma), 1000.0 / snr, rtol=0.02)


def test_geometric_means_of_directions_have_their_own_floor():
    """15 directions, each once: nothing is repeated, so the residuals tell the noise."""
    truth = tissue(150, seed=21)
    rng = np.random.default_rng(22)
    bvecs = rng.normal(size=(15, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvals = np.repeat(B21, 15)
    signals = magnitudes(truth, 100.0, seed=23, bvals=bvals)
    dwi = ik.DWI(signals, bvals, bvecs=np.tile(bvecs, (B21.size, 1)))
    off = [
        ik.fit(dwi, method=method, **known).maps["D"] - truth[:, 3]
        for method, known in (("varpro", {}), (RICIAN, {}), (RICIAN, {"sigma": 100.0}))
    ]
    least, unknown, known = (abs(np.nanmedian(one)) for one in off)
    assert least > 0.03e-3
    assert max(unknown, known) < 0.02e-3


def test_one_volume_each_is_the_likelihood_of_magnitudes():
    """A second b = 0 makes means of all values; without it nothing is one."""
    signals = magnitudes(tissue(50, seed=24), 100.0, seed=25)
    apart = ik.fit(ik.DWI(signals, B21, average="none"), method=RICIAN)
    alone = ik.fit(signals, B21, method=RICIAN)
    np.testing.assert_array_equal(apart.params, alone.params)
    twice = ik.fit(signals[:, [0, *range(B21.size)]], B21[[0, *range(B21.size)]], method=RICIAN)
    assert (twice.params != alone.params).any()


def test_one_coil_is_rician():
    signals = magnitudes(tissue(50, seed=20), 100.0, seed=21)
    one = ik.fit(signals, B21, method=ik.methods.VarPro(noise="chi", coils=1))
    np.testing.assert_array_equal(one.params, ik.fit(signals, B21, method=RICIAN).params)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "rice"}, "noise is 'rice'; expected one of gaussian, rician, chi"),
        ({"noise": "chi", "coils": 0}, "coils is 0; expected a whole number >= 1"),
        ({"noise": "chi", "coils": 2.5}, "coils is 2.5; expected a whole number >= 1"),
        ({"noise": "chi", "coils": math.nan}, "coils is nan; expected a whole number >= 1"),
        ({"noise": "rician", "coils": 4}, "coils is 4 with noise rician; expected 1"),
        ({"coils": 4}, "coils is 4 with noise gaussian; expected 1. Several coils are noise chi"),
    ],
)
def test_options(options, message):
    with pytest.raises(OptionError) as caught:
        ik.methods.VarPro(**options)
    assert message in str(caught.value)
