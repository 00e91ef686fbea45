"""crlb: equal to the curvature, and its Fisher information of magnitudes to an exact integral."""

import numpy as np
import pytest
from scipy.special import ive

import ivimkit as ik
from ivimkit.engine import gradients
from ivimkit.errors import OptionError, ShapeError

B21 = np.array(ik.simulate.B21, dtype=float)
TISSUE = np.array([1000.0, 0.2, 0.03, 1e-3])
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


def information(height, coils=1):
    """The share of the Gaussian information that one magnitude has, out of a bound on S0."""
    model = ik.models.get("monoexp").with_fixed(ADC=1e-3)
    bound = ik.crlb(model, [height, 1e-3], [0.0], 1.0, noise="chi", coils=coils)
    return 1.0 / bound.sd["S0"] ** 2


def exact(a, coils):
    def density(x):
        return (
            coils * np.log(x)
            - (coils - 1) * np.log(a)
            - 0.5 * (x - a) ** 2
            + np.log(ive(coils - 1, a * x))
        )

    def integrand(x):
        score = x * ive(coils, a * x) / ive(coils - 1, a * x) - a
        return np.exp(density(x)) * score**2

    # Smooth between ends where nothing is left: Gauss's rule has all digits.
    middle = np.sqrt(a * a + 2 * coils - 1)
    low, high = max(1e-9, middle - 12), middle + 12
    return 0.5 * (high - low) * WEIGHTS @ integrand(low + 0.5 * (high - low) * (NODES + 1.0))


@pytest.mark.parametrize("model", ["biexp", "sivim", "monoexp"])
def test_it_is_the_curvature_of_data_without_noise(model):
    params = {"biexp": TISSUE, "sivim": TISSUE[[0, 1, 3]], "monoexp": TISSUE[[0, 3]]}[model]
    bvals = np.repeat(B21, np.arange(21) % 3 + 1)
    signals = ik.simulate.signals(model, params, bvals)
    fitted = ik.fit(signals, bvals, model=model, uncertainty="curvature", sigma=20.0)
    bound = ik.crlb(model, params, B21, 20.0, counts=np.arange(21) % 3 + 1)
    assert bound.names == fitted.model.names
    for name, sd in bound.sd.items():
        np.testing.assert_allclose(sd, fitted.sd[name], rtol=1e-6)
    if model == "biexp":
        correlation = bound.covariance[1, 2] / (bound.sd["f"] * bound.sd["D_star"])
        np.testing.assert_allclose(correlation, fitted.maps["corr_f_D_star"], rtol=1e-6)


def test_covariance_is_the_inverse_of_the_information():
    rng = np.random.default_rng(0)
    params = rng.uniform([500, 0.05, 0.01, 5e-4], [1500, 0.4, 0.1, 2e-3], (4, 5, 4))
    sigma = rng.uniform(5.0, 20.0, (4, 5))
    bound = ik.crlb("biexp", params, B21, sigma)
    assert bound.covariance.shape == (4, 5, 4, 4)
    slopes = gradients(ik.models.get("biexp"), params, B21)
    fisher = np.einsum("...ji,...jk->...ik", slopes, slopes) / sigma[..., None, None] ** 2
    np.testing.assert_allclose(
        fisher @ bound.covariance, np.broadcast_to(np.eye(4), fisher.shape), atol=1e-4
    )
    for k, name in enumerate(bound.names):
        np.testing.assert_allclose(bound.sd[name], np.sqrt(bound.covariance[..., k, k]))


def test_of_kurtosis_it_is_the_inverse_of_the_information_by_differences():
    b = np.array([*B21, 1300.0, 1600.0, 2000.0])
    truth, sigma = np.array([1000.0, 0.15, 0.03, 1.2e-3, 0.8]), 12.0
    bound = ik.crlb("kurtosis", truth, b, sigma)
    assert bound.names == ("S0", "f", "D_star", "D", "K")

    def signal(params):
        S0, f, D_star, D, kurtosis = params
        tissue = np.exp(-b * D + (b * D) ** 2 * kurtosis / 6.0)
        return S0 * (f * np.exp(-b * D_star) + (1.0 - f) * tissue)

    # Central differences with Richardson's extrapolation: the error is of order step^4.
    slopes = np.empty((5, b.size))
    for k in range(5):
        step = np.where(np.arange(5) == k, 1e-3 * truth, 0.0)
        wide, narrow = (
            (signal(truth + h * step) - signal(truth - h * step)) / (2.0 * h * step[k])
            for h in (2.0, 1.0)
        )
        slopes[k] = (4.0 * narrow - wide) / 3.0
    expected = np.linalg.inv(slopes @ slopes.T / sigma**2)
    deviations = np.sqrt(np.diagonal(expected))
    pairs = deviations[:, None] * deviations
    np.testing.assert_allclose(bound.covariance / pairs, expected / pairs, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("coils", [1, 2, 16])
def test_information_of_a_magnitude(coils):
    heights = [0.3, 0.7, 1.0, 1.83, 3.1, 5.5, 9.0, 30.0]
    found = [information(a, coils) for a in heights]
    np.testing.assert_allclose(found, [exact(a, coils) for a in heights], rtol=0.0, atol=1e-10)
    assert (np.diff(found) > 0.0).all()
    assert abs(information(1e6, coils) - 1.0) < 1e-9
    # Near 0 a magnitude says next to nothing: a^2 / L of what a Gaussian value says.
    np.testing.assert_allclose(information(1e-3, coils), 1e-6 / coils, rtol=1e-3)


def test_magnitudes_say_less_and_the_same_far_above_the_noise():
    gaussian, rician = (
        ik.crlb("biexp", TISSUE, B21, 0.1, noise=n) for n in ("gaussian", "rician")
    )
    for name in gaussian.sd:
        np.testing.assert_allclose(rician.sd[name], gaussian.sd[name], rtol=1e-6)
    low = [
        ik.crlb("biexp", TISSUE, B21, 200.0, noise=noise, coils=coils).sd["D"]
        for noise, coils in (("gaussian", 1), ("rician", 1), ("chi", 1), ("chi", 2), ("chi", 16))
    ]
    assert low[0] < low[1] == low[2] < low[3] < low[4]


def test_the_bound_is_the_scatter_of_a_fit():
    clean = np.tile(ik.simulate.signals("biexp", TISSUE, B21), (2000, 1))
    result = ik.fit(ik.simulate.add_noise(clean, sigma=5.0, kind="rician", seed=1), B21)
    for name, sd in ik.crlb("biexp", TISSUE, B21, 5.0, noise="rician").sd.items():
        np.testing.assert_allclose(np.std(result.maps[name]), sd, rtol=0.05, err_msg=name)


def test_fixed_parameters_are_known():
    free = ik.crlb("biexp", TISSUE, B21, 10.0)
    model = ik.models.get("biexp").with_fixed(D_star=0.03, f=np.array([0.1, 0.2]))
    bound = ik.crlb(model, TISSUE, B21, 10.0)
    assert bound.names == ("S0", "D")
    assert list(bound.sd) == ["S0", "D"]
    assert bound.covariance.shape == (2, 2)
    assert bound.sd["D"] < free.sd["D"]


def test_what_the_data_cannot_tell_is_infinite():
    hidden = [1000.0, 0.0, 0.03, 1e-3]
    one_pool = [1000.0, 0.2, 1e-3, 1e-3]
    bound = ik.crlb("biexp", [hidden, one_pool, [np.nan, 0.1, 0.03, 1e-3], TISSUE], B21, 10.0)
    sd = np.stack(list(bound.sd.values()))
    assert np.isposinf(sd[2, 0])
    assert np.isfinite(sd[[0, 1, 3], 0]).all()
    assert np.isposinf(sd[:, 1]).all()
    assert np.isnan(sd[:, 2]).all()
    assert np.isfinite(sd[:, 3]).all()
    model = ik.models.get("biexp").with_fixed(D_star=0.03)
    np.testing.assert_allclose(ik.crlb(model, hidden, B21, 10.0).sd["f"], sd[1, 0])
    few = ik.crlb("biexp", TISSUE, [0.0, 50.0, 800.0], 10.0)
    assert np.isposinf(list(few.sd.values())).all()
    none = ik.crlb("biexp", TISSUE, B21, 10.0, counts=np.zeros(21))
    assert np.isposinf(list(none.sd.values())).all()


def test_many_curves_are_computed_in_pieces():
    params = np.tile(TISSUE, (40_000, 1))
    params[:, 1] = np.linspace(0.05, 0.4, 40_000)
    whole = ik.crlb("biexp", params, B21, 10.0, noise="rician").sd["f"]
    for v in (0, 16_383, 16_384, 39_999):
        alone = ik.crlb("biexp", params[v], B21, 10.0, noise="rician").sd["f"]
        np.testing.assert_allclose(whole[v], alone, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sigma": 0.0}, OptionError, "zero, negative or not finite"),
        ({"sigma": np.nan}, OptionError, "zero, negative or not finite"),
        ({"sigma": [1.0, 2.0]}, ShapeError, "a number or one per curve"),
        ({"counts": [1, 2]}, ShapeError, r"counts have shape \(2,\); expected .* \(21,\)"),
        ({"counts": np.full(21, -1)}, OptionError, "counts must be finite and >= 0"),
        ({"noise": "poisson"}, OptionError, "'poisson'; expected one of gaussian, rician, chi"),
        ({"noise": "rician", "coils": 4}, OptionError, "Several coils are noise chi"),
        ({"noise": "chi", "coils": 0}, OptionError, "coils is 0; expected a whole number >= 1"),
        ({"params": [1.0, 2.0]}, OptionError, "expected the 4 parameters S0, f, D_star, D"),
        ({"params": 3.0}, OptionError, "expected the parameters S0, f, D_star, D"),
        ({"model": "quad"}, OptionError, "unknown model 'quad'"),
    ],
)
def test_what_cannot_be_is_refused(options, error, message):
    given = {"model": "biexp", "params": TISSUE, "bvals": B21, "sigma": 10.0, **options}
    with pytest.raises(error, match=message):
        ik.crlb(**given)
