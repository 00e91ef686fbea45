"""Bootstrap: the same numbers by refits in plain NumPy, and what each option does."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.status import FAILED, FitStatus

B13 = np.array(ik.simulate.B13, dtype=float)
TISSUE = [1000.0, 0.2, 0.03, 1e-3]
NO_SD = int(FitStatus.SD_NOT_AVAILABLE)


def noisy(n, sigma=10.0, seed=0, bvals=B13):
    clean = np.tile(ik.simulate.signals("biexp", TISSUE, bvals), (n, 1))
    return ik.simulate.add_noise(clean, sigma=sigma, kind="gaussian", seed=seed)


@pytest.mark.filterwarnings("ignore::ivimkit.errors.ScanWarning")
@pytest.mark.parametrize("kind", ["residual", "wild"])
@pytest.mark.parametrize("method", ["varpro", "segmented"])
def test_it_is_what_refits_in_numpy_give(kind, method):
    # Six volumes at b = 0 are one value with a weight of six.
    bvals = np.concatenate([[0.0] * 5, B13])
    signals = noisy(3, seed=1, bvals=bvals)
    bootstrap = ik.uncertainty.Bootstrap(kind=kind, n=150, seed=7)
    result = ik.fit(signals, bvals, method=method, uncertainty=bootstrap)
    dwi = ik.DWI(signals, bvals, average="arithmetic")
    b, weight = dwi.fit_bvals, dwi.fit_counts
    means = np.column_stack([signals[:, :6].mean(axis=1), signals[:, 6:]])
    draws = bootstrap.plan(ik.models.get("biexp"), b[np.newaxis], weight).table[:, : b.size]
    for v in range(3):
        curve = result.predict(b)[v]
        residual = np.sqrt(weight) * (means[v] - curve) * np.sqrt(b.size / (b.size - 4))
        if kind == "wild":
            assert set(np.unique(draws)) == {-1.0, 1.0}
            errors = draws * residual
        else:
            errors = (residual - residual.mean())[draws.astype(int)]
        replicates = curve + errors / np.sqrt(weight)
        refits = ik.fit(replicates, b, method=method, weights=weight)
        for name in (*result.model.names, "fD_star"):
            values = refits.maps[name]
            low, high = np.percentile(values, [2.5, 97.5])
            scale = 1e-9 * abs(result.maps[name][v])
            np.testing.assert_allclose(
                result.sd[name][v], values.std(ddof=1), rtol=1e-6, atol=scale
            )
            found = [limit[v] for limit in result.interval[name]]
            np.testing.assert_allclose(found, [low, high], rtol=1e-6, err_msg=name)


def test_it_is_the_scatter_of_repeated_scans():
    result = ik.fit(noisy(300, sigma=5.0), B13, uncertainty="bootstrap")
    assert (result.status == 0).all()
    for name in (*result.model.names, "fD_star"):
        expected = np.sqrt(np.mean(result.sd[name] ** 2))
        np.testing.assert_allclose(expected, np.std(result.maps[name]), rtol=0.12, err_msg=name)


def test_every_option_has_an_effect_and_the_seed_repeats():
    signals = noisy(20)

    def sd(**options):
        return ik.fit(signals, B13, uncertainty=ik.uncertainty.Bootstrap(**options)).sd["D"]

    usual = sd(n=60)
    np.testing.assert_array_equal(usual, sd(n=60, seed=0))
    for other in ({"seed": 1}, {"n": 61}, {"kind": "wild"}):
        changed = sd(**{"n": 60, **other})
        assert (changed != usual).all()
        np.testing.assert_allclose(np.mean(changed), np.mean(usual), rtol=0.25)


def test_many_replicates_converge():
    signals = noisy(4)
    many, more = (
        ik.fit(signals, B13, uncertainty=ik.uncertainty.Bootstrap(n=n, seed=n)).interval["D"]
        for n in (2000, 2001)
    )
    width = more[1] - more[0]
    for one, other in zip(many, more, strict=True):
        assert (np.abs(one - other) < 0.1 * width).all()


def test_voxels_whose_replicates_fail_have_no_deviation():
    rng = np.random.default_rng(3)
    # Hardly any signal is left at high b-values, so that logarithms often fail.
    clean = np.where(B13 < 200, 300.0, 0.0)
    signals = clean + rng.normal(0.0, 30.0, (300, B13.size))
    result = ik.fit(signals, B13, method="segmented", uncertainty="bootstrap")
    fitted = (result.status & int(FAILED)) == 0
    missing = fitted & ((result.status & NO_SD) != 0)
    assert missing.sum() > 5
    assert (fitted & ~missing).sum() > 20
    for name in result.model.names:
        np.testing.assert_array_equal(np.isnan(result.sd[name]), missing | ~fitted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "case"}, "kind of bootstrap is 'case'; expected one of residual, wild"),
        ({"n": 10}, "n of bootstrap is 10; expected a whole number >= 40"),
        ({"n": 50.5}, "n of bootstrap is 50.5"),
        ({"seed": -1}, "the seed is -1; expected a whole number >= 0"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        ik.uncertainty.Bootstrap(**options)
