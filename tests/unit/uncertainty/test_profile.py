"""Profile: its limits by another optimiser, at bounds, and its options."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import chi2, f

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.status import FitStatus

B21 = np.array(ik.simulate.B21, dtype=float)
TISSUES = [[1000.0, 0.1, 0.02, 1e-3], [1000.0, 0.3, 0.04, 1.5e-3], [1000.0, 0.2, 0.01, 0.8e-3]]
SCALE = np.array([1000.0, 0.1, 0.02, 1e-3])


def noisy(sigma, n=1, seed=0):
    clean = np.repeat(ik.simulate.signals("biexp", TISSUES, B21), n, axis=0)
    return ik.simulate.add_noise(clean, sigma=sigma, kind="gaussian", seed=seed)


def least_cost(signal, fixed, value):
    """Return the least sum of squares with one parameter fixed, by scipy from many starts."""
    bounds = np.array([[0.0, 1e6], [0.0, 1.0], [2e-3, 0.2], [0.0, 5e-3]])
    free = [k for k in range(4) if k != fixed]

    def whole(x):
        p = np.empty(4)
        p[free] = x * SCALE[free]
        p[fixed] = value
        return p, np.exp(-B21 * p[2]), np.exp(-B21 * p[3])

    def residual(x):
        p, blood, tissue = whole(x)
        return p[0] * (p[1] * blood + (1.0 - p[1]) * tissue) - signal

    def slopes(x):
        p, blood, tissue = whole(x)
        by_rates = -B21 * p[0] * p[1] * blood, -B21 * p[0] * (1.0 - p[1]) * tissue
        mean = p[1] * blood + (1.0 - p[1]) * tissue
        return np.stack([mean, p[0] * (blood - tissue), *by_rates], axis=1)[:, free] * SCALE[free]

    low, high = (bounds[free] / SCALE[free, None]).T
    starts = [np.array(tissue) / SCALE for tissue in (*TISSUES, [900.0, 0.5, 0.004, 1e-3])]
    return min(
        2.0
        * least_squares(
            residual, start[free], slopes, bounds=(low, high), xtol=1e-12, ftol=1e-12
        ).cost
        for start in starts
    )


@pytest.mark.parametrize("given", [True, False])
def test_limits_are_those_of_another_optimiser(given):
    # What is given changes the rise alone: one voxel says it as three do.
    signals = noisy(15.0, seed=3)[: 3 if given else 1]
    result = ik.fit(signals, B21, uncertainty="profile", sigma=15.0 if given else None)
    checked = 0
    for v, signal in enumerate(signals):
        cost = result.maps["cost"][v]
        rise = 15.0**2 * chi2.ppf(0.95, 1) if given else cost / 17 * f.ppf(0.95, 1, 17)
        for k, parameter in enumerate(result.model.parameters):
            estimate = result.maps[parameter.name][v]
            for limit in (side[v] for side in result.interval[parameter.name]):
                if limit in (parameter.lower, parameter.upper):
                    assert least_cost(signal, k, limit) - cost < rise
                    continue
                # The cost reaches the rise between these two, so the exact limit does, too.
                small = 2e-3 * (limit - estimate)
                inside, outside = (
                    least_cost(signal, k, at) - cost for at in (limit - small, limit + small)
                )
                assert inside < rise < outside, (v, parameter.name, inside, outside)
                checked += 1
    assert checked >= 7 * len(signals) - 1


def kurtosis_signal(params, b):
    """S0 [f exp(-b D*) + (1 - f) exp(-b D + (b D)^2 K / 6)]."""
    S0, f, D_star, D, kurtosis = params
    tissue = np.exp(-b * D + (b * D) ** 2 * kurtosis / 6.0)
    return S0 * (f * np.exp(-b * D_star) + (1.0 - f) * tissue)


def test_limits_with_kurtosis_are_those_of_another_optimiser():
    model = ik.models.get("kurtosis")
    b = np.array([*ik.simulate.B21, 1300, 1600, 2000], dtype=float)
    scale = np.array([1000.0, 0.1, 0.02, 1e-3, 1.0])
    lower, upper = (np.array([getattr(p, side) for p in model.parameters]) / scale
                    for side in ("lower", "upper"))  # fmt: skip
    truth = np.array([[1000.0, 0.15, 0.03, 1.2e-3, 0.8], [1000.0, 0.3, 0.05, 0.9e-3, 1.1]])
    clean = np.array([kurtosis_signal(params, b) for params in truth])
    signals = ik.simulate.add_noise(clean, sigma=8.0, kind="gaussian", seed=8)
    result = ik.fit(signals, b, model=model, uncertainty="profile", sigma=8.0)
    rise = 8.0**2 * chi2.ppf(0.95, 1)

    def least(signal, k, value, starts):
        free = np.arange(5) != k

        def residual(x):
            params = np.where(free, 0.0, value)
            params[free] = x * scale[free]
            return kurtosis_signal(params, b) - signal

        box = lower[free], upper[free]
        begin = [np.clip(start / scale, lower, upper)[free] for start in starts]
        return min(2.0 * least_squares(residual, x, bounds=box).cost for x in begin)

    checked = 0
    for v, signal in enumerate(signals):
        starts = result.params[v], truth[1 - v]
        for k, parameter in enumerate(model.parameters):
            for limit in (side[v] for side in result.interval[parameter.name]):
                if limit in (parameter.lower, parameter.upper):
                    assert least(signal, k, limit, starts) - result.maps["cost"][v] < rise
                    continue
                # The cost reaches the rise between these two, so the exact limit does, too.
                small = 2e-3 * (limit - result.params[v, k])
                inside, outside = (
                    least(signal, k, at, starts) - result.maps["cost"][v]
                    for at in (limit - small, limit + small)
                )
                assert inside < rise < outside, (v, parameter.name, inside, outside)
                checked += 1
    assert checked >= 16


def test_it_is_the_curvature_where_there_is_little_noise():
    signals = noisy(0.05, n=20, seed=4)
    profile, curvature = (
        ik.fit(signals, B21, uncertainty=name) for name in ("profile", "curvature")
    )
    assert (profile.status == 0).all()
    for name in profile.model.names:
        np.testing.assert_allclose(profile.sd[name], curvature.sd[name], rtol=0.01)
        half = curvature.interval[name][1] - curvature.maps[name]
        for one, other in zip(profile.interval[name], curvature.interval[name], strict=True):
            assert (np.abs(one - other) < 0.02 * half).all(), name


def test_coverage_of_the_95_percent_interval():
    rng = np.random.default_rng(5)
    n = 1200
    truth = np.stack(
        [np.full(n, 1000.0), rng.uniform(0.03, 0.4, n), rng.uniform(8e-3, 80e-3, n),
         rng.uniform(0.5e-3, 2.5e-3, n)], axis=1,
    )  # fmt: skip
    signals = ik.simulate.add_noise(
        ik.simulate.signals("biexp", truth, B21), sigma=20.0, kind="rician", seed=6
    )
    for sigma in (20.0, None):
        result = ik.fit(signals, B21, uncertainty="profile", sigma=sigma)
        assert not (result.status & int(FitStatus.SD_NOT_AVAILABLE)).any()
        for k, name in enumerate(result.model.names):
            low, high = result.interval[name]
            share = np.mean((low <= truth[:, k]) & (truth[:, k] <= high))
            # The share of 1 200 voxels is known to 0.6 %.
            assert 0.93 < share < 0.97, f"{name}: {share:.3f}"


def test_where_the_data_exclude_nothing_the_limit_is_the_bound():
    model = ik.models.get("biexp")
    clean = ik.simulate.signals("biexp", [1000.0, 0.0, 0.02, 1e-3], B21)
    result = ik.fit(clean, B21, uncertainty="profile", sigma=20.0)
    assert result.interval["D_star"] == (model["D_star"].lower, model["D_star"].upper)
    assert result.interval["f"][0] == 0.0
    assert not result.status & int(FitStatus.SD_NOT_AVAILABLE)
    narrow = model.with_bounds(D=(0.0, 0.9e-3))
    bounded = ik.fit(clean, B21, model=narrow, uncertainty="profile", sigma=20.0)
    low, high = bounded.interval["D"]
    assert low < high == bounded.maps["D"] == 0.9e-3


def test_parameters_choose_the_maps():
    signals = noisy(15.0, n=5)
    whole = ik.fit(signals, B21, uncertainty="profile")
    some = ik.fit(signals, B21, uncertainty=ik.uncertainty.Profile(parameters=["D", "f"]))
    assert list(some.sd) == ["f", "D"]
    assert list(some.interval) == ["f", "D"]
    for name in some.sd:
        np.testing.assert_array_equal(some.sd[name], whole.sd[name])
        np.testing.assert_array_equal(some.interval[name], whole.interval[name])
    assert some.settings.estimator.options() == {"parameters": ("D", "f")}


def test_what_cannot_be_is_refused():
    signals = noisy(15.0)
    listed = "it has S0, f, D_star, D"
    with pytest.raises(OptionError, match=f"no parameter 'Dstar'; {listed}"):
        ik.fit(signals, B21, uncertainty=ik.uncertainty.Profile(parameters=("Dstar",)))
    with pytest.raises(OptionError, match="expected a tuple of names"):
        ik.uncertainty.Profile(parameters="D")
    for method in (
        ik.methods.Segmented(),
        ik.methods.TRR(two_stage=False),
        ik.methods.VarPro(noise="rician"),
    ):
        with pytest.raises(OptionError, match="does not minimise the sum of squares"):
            ik.fit(signals, B21, method=method, uncertainty="profile")
