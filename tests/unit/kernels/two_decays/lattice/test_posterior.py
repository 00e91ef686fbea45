"""The posterior against plain sums over fine grids and against quadrature by scipy."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.status import FitStatus
from posterior_grids import NAMES, NARROW, WIDE, by_grid, by_line, by_log_grid
from tolerances import POSTERIOR, POSTERIOR_LIMIT, POSTERIOR_TAILED

B21 = np.array(ik.simulate.B21, dtype=float)
B13 = np.array(ik.simulate.B13, dtype=float)


def voxels(n, b, snr, seed=3):
    """Signals of voxels that are drawn evenly in `NARROW`, with Gaussian noise."""
    d, d_star, f = np.random.default_rng(seed).uniform(*NARROW, (n, 3)).T
    truth = {"S0": np.full(n, 1000.0), "f": f, "D_star": d_star, "D": d}
    clean = ik.simulate.signals("biexp", truth, b)
    return ik.simulate.add_noise(clean, sigma=1000 / snr, seed=snr, kind="gaussian")


def bounded(bounds=NARROW):
    low, high = bounds
    limits = {name: (low[k], high[k]) for k, name in enumerate(NAMES)}
    return ik.models.get("biexp").with_bounds(**limits)


def bayes(**options):
    return ik.methods.Bayes(
        **{"prior": "flat", "noise": "gaussian", "variance": "voxel", **options}
    )


def compare(result, expected, names=NAMES, factor=1):
    """Hold the maps of all voxels against what a grid found."""
    maps, mean, limit = result.maps, POSTERIOR * factor, POSTERIOR_LIMIT * factor

    def close(name, wanted, sd, tolerance):
        error = np.abs(maps[name] - wanted) / sd
        assert (error <= tolerance).all(), f"{name}: {error.max():.3f} at {error.argmax()}"

    for name in names:
        wanted = np.array([one[name] for one in expected]).T
        close(name, wanted[0], wanted[1], mean)
        close(f"{name}_sd", wanted[1], wanted[1], mean)
        for k, end in enumerate(("lo", "hi", "lo50", "hi50"), start=2):
            close(f"{name}_{end}", wanted[k], wanted[1], limit)
    if "S0" in expected[0]:
        wanted = np.array([one["S0"] for one in expected]).T
        close("S0", wanted[0], wanted[1], mean)
        close("S0_sd", wanted[1], wanted[1], mean)
        sigma = np.array([one["sigma"] for one in expected])
        close("sigma", sigma, sigma, mean)
        for name in names:
            close(f"{name}_bits", [one[f"{name}_bits"] for one in expected], 1.0, mean)
    if "D_star" in names and "corr_f_D" in expected[0]:
        wanted = np.array([one["flow"] for one in expected]).T
        close("fD_star", wanted[0], wanted[1], mean)
        close("fD_star_sd", wanted[1], wanted[1], mean)
        for name in ("corr_f_D_star", "corr_f_D", "corr_D_star_D"):
            close(name, [one[name] for one in expected], 1.0, mean)


@pytest.mark.parametrize("known", [True, False], ids=["known", "jeffreys"])
@pytest.mark.parametrize("snr", [10, 20, 50, 100, 200])
def test_posterior_is_that_of_a_fine_grid(snr, known):
    for b in (B21, B13):
        signals = voxels(5, b, snr)
        sigma = 1000 / snr if known else None
        result = ik.fit(signals, b, model=bounded(), method=bayes(), sigma=sigma)
        expected = [by_grid(signal, b, *NARROW, sigma=sigma) for signal in signals]
        compare(result, expected, factor=1 if known else POSTERIOR_TAILED)
        evidence = result.maps["ln_evidence"] - [one["ln_evidence"] for one in expected]
        assert np.ptp(evidence) < POSTERIOR


# In the whole range that the model allows, a second mode can hold some per cent: nearly all
# signal in a pool that is little faster than the rest. It is thinner than the lattice's steps.
_THIN = 5


@pytest.mark.parametrize("snr", [20, 50])
def test_posterior_between_wide_bounds(snr):
    signals = voxels(6, B13, snr)
    result = ik.fit(signals, B13, method=bayes(), sigma=1000 / snr)
    expected = [by_log_grid(signal, B13, 1000 / snr) for signal in signals]
    compare(result, expected, factor=_THIN)


def test_noise_with_a_distribution():
    signals = voxels(5, B13, 20)
    method = bayes(variance=(9.0, 40.0**2))
    result = ik.fit(signals, B13, model=bounded(), method=method)
    grids = [by_grid(s, B13, *NARROW, degrees=9.0, scale=40.0**2) for s in signals]
    compare(result, grids, factor=POSTERIOR_TAILED)
    # As good as known: the distribution is one value.
    sure = ik.fit(signals, B13, model=bounded(), method=bayes(variance=(1e6, 50.0**2)))
    known = ik.fit(signals, B13, model=bounded(), method=method, sigma=50.0)
    for name in known.maps:
        if name != "ln_evidence":
            np.testing.assert_array_equal(sure.maps[name], known.maps[name], err_msg=name)


def test_weights_and_volumes_one_by_one():
    signals, times = voxels(4, B13, 20), np.tile([1.0, 2.0], 7)[:13]
    weighted = ik.fit(signals, B13, model=bounded(), method=bayes(), sigma=50.0, weights=times)
    compare(weighted, [by_grid(s, B13, *NARROW, sigma=50.0, times=times) for s in signals])
    b = np.repeat(B13, 2)
    apart = voxels(4, b, 20)
    dwi = ik.DWI(apart, b, average="none")
    result = ik.fit(dwi, model=bounded(), method=bayes())
    compare(result, [by_grid(s, b, *NARROW) for s in apart], factor=POSTERIOR_TAILED)


def test_prior_of_a_table():
    table = ik.priors.Organ("liver").tabulate(bounded())
    signals = voxels(6, B13, 20)
    result = ik.fit(signals, B13, model=bounded(), method=bayes(prior=table), sigma=50.0)
    grids = [by_grid(s, B13, *NARROW, sigma=50.0, prior=table) for s in signals]
    compare(result, grids)
    evidence = result.maps["ln_evidence"] - [one["ln_evidence"] for one in grids]
    assert np.ptp(evidence) < POSTERIOR


def test_estimates_are_mean_median_and_mode():
    signals = voxels(6, B21, 20)
    grids = [by_grid(s, B21, *NARROW, sigma=50.0) for s in signals]
    found = {
        estimate: ik.fit(
            signals, B21, model=bounded(), method=bayes(estimate=estimate), sigma=50.0
        )
        for estimate in ("mean", "median", "mode")
    }
    for name in NAMES:
        columns = np.array([one[name] for one in grids]).T
        sd = columns[1]
        assert (np.abs(found["mean"].maps[name] - columns[0]) < POSTERIOR * sd).all()
        assert (np.abs(found["median"].maps[name] - columns[6]) < POSTERIOR_LIMIT * sd).all()
        # A summit is flat: 0.2 sd from it the density has fallen by 2 %.
        mode = np.array([one[f"{name}_mode"] for one in grids])
        assert (np.abs(found["mode"].maps[name] - mode) < 0.25 * sd).all(), name
    for other in ("median", "mode"):
        assert not np.array_equal(found["mean"].maps["f"], found[other].maps["f"])
        np.testing.assert_array_equal(found["mean"].maps["S0"], found[other].maps["S0"])
        np.testing.assert_array_equal(found["mean"].maps["D_lo"], found[other].maps["D_lo"])


def test_models_with_one_rate_and_their_evidence():
    # Tissue that one decay explains, and tissue with blood that is gone at b = 10.
    truth = {"S0": np.full(3, 1000.0), "f": np.array([0.0, 0.15, 0.3]), "D": np.full(3, 1.2e-3)}
    b = B13[B13 != 10]
    signals = ik.simulate.signals("sivim", truth, b)
    signals = ik.simulate.add_noise(signals, sigma=30.0, seed=5, kind="gaussian")
    for sigma in (30.0, None):
        sivim = ik.fit(signals, b, model="sivim", method=bayes(), sigma=sigma)
        one = ik.fit(signals, b, model="monoexp", method=bayes(), sigma=sigma)
        two = ik.fit(signals, b, method=bayes(), sigma=sigma)
        # In the first voxel f is at its bound: half a peak, and the rest of it is tail.
        factor = 1 if sigma else 2 * POSTERIOR_TAILED
        gone = ((0.0, 1.0, 0.0), (5e-3, 1.0, 1.0))
        grids = [by_grid(s, b, *gone, sigma=sigma, instant=True, n=200) for s in signals]
        compare(sivim, grids, names=("D", "f"), factor=factor)
        low, high = one.model["ADC"].lower, one.model["ADC"].upper
        line = [by_line(s, b, low, high, sigma) for s in signals]
        sd = np.array([x[1] for x in line])
        assert (np.abs(one.maps["ADC"] - [x[0] for x in line]) < POSTERIOR * sd).all()
        assert (np.abs(one.maps["ADC_sd"] - sd) < POSTERIOR * sd).all()
        wide = [by_grid(s, b, *WIDE, sigma=sigma, n=128)["ln_evidence"] for s in signals]
        first = np.array([x["ln_evidence"] for x in grids])
        gain = sivim.maps["ln_evidence"] - one.maps["ln_evidence"]
        np.testing.assert_allclose(gain, first - [x[2] for x in line], atol=2 * POSTERIOR)
        second = sivim.maps["ln_evidence"] - two.maps["ln_evidence"]
        np.testing.assert_allclose(second, first - wide, atol=5 * POSTERIOR)
        assert gain[0] < 0 < gain[2], "blood that is not there costs evidence"


def test_a_voxel_that_is_noise_has_a_number_or_a_status():
    # Only b = 0 is positive: S0 is above 0 in one corner alone.
    signals = np.random.default_rng(4).normal(0.0, 100.0, (2000, B13.size))
    signals[:, 0] = np.abs(signals[:, 0])
    for model in ("biexp", "sivim", "monoexp"):
        result = ik.fit(signals, B13, model=model, method=bayes())
        failed = result.status == int(FitStatus.NO_SIGNAL)
        assert np.isfinite(result.params[~failed]).all()
        assert np.isnan(result.params[failed]).all()
