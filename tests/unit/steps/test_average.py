"""Step average: a fit of the means is that of the volumes."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import simulate
from ivimkit.errors import InputError

B = np.repeat([0, 10, 20, 60, 100, 200, 400, 600, 800.0], 3)


@pytest.fixture(scope="module")
def scan():
    return simulate.phantom(shape=(24, 18, 2), bvals=B, partial_volume=2).dwi


def _directions():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(B.size, 3))
    vectors[B == 0] = 0.0
    return vectors


def _with_left_out(dwi):
    weights = np.ones(dwi.signal.shape, dtype=np.uint8)
    weights[:, :, 1, 10] = 0
    weights[4:8, :, :, 3:6] = 0
    return dwi.with_value_weights(weights)


CASES = {
    "plain": lambda dwi: dwi,
    "values left out": _with_left_out,
    "directions": lambda dwi: _with_left_out(
        ik.DWI(dwi.signal, B, bvecs=_directions(), mask=dwi.mask)
    ),
    "weights": lambda dwi: dwi.with_weights(np.arange(B.size) % 3 + 0.5),
    "a b-value left out": lambda dwi: dwi.with_weights((B != 20).astype(float)),
    "means of images": lambda dwi: dwi.with_averages(np.arange(B.size) % 2 + 1.0),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fit_of_the_means_is_that_of_the_volumes(scan, case):
    dwi = CASES[case](scan)
    made = ik.preprocess(dwi, "average").dwi
    assert made.signal.shape == (*dwi.shape, 9)
    np.testing.assert_allclose(made.fit_averages, dwi.fit_averages, rtol=1e-12)
    np.testing.assert_allclose(made.fit_counts, dwi.fit_counts, rtol=1e-12)
    first, second = ik.fit(dwi), ik.fit(made)
    np.testing.assert_array_equal(first.status, second.status)
    for name in ("S0", "f", "D_star", "D", "cost"):
        # The means are float32.
        np.testing.assert_allclose(first.maps[name], second.maps[name], rtol=1e-3, err_msg=name)


def test_what_is_missing_stays_missing(scan):
    signal = scan.signal.copy()
    signal[3, 4, 0, 3:6] = np.nan
    signal[5, 6, 0, 3] = np.nan
    made = ik.preprocess(scan.with_signal(signal), "average").dwi
    assert np.isnan(made.signal[3, 4, 0, 1])
    np.testing.assert_allclose(made.signal[5, 6, 0, 1], signal[5, 6, 0, 4:6].mean(), rtol=1e-6)
    assert np.isfinite(made.signal).sum() == made.signal.size - 1


def test_directions_can_stay_apart(scan):
    dwi = ik.DWI(scan.signal, B, bvecs=_directions())
    made = ik.preprocess(dwi, "average:directions=yes").dwi
    assert made.acquisition.n_volumes == 25
    assert made.averages.max() == 3
    again = made.for_variables(("b", "gx", "gy", "gz"))
    np.testing.assert_allclose(np.abs(again.fit_x(("gx",))).max(), 1.0, atol=0.2)


def test_a_scan_without_averages_or_directions_is_refused(scan):
    with pytest.raises(InputError, match="volumes are fitted one by one"):
        ik.preprocess(scan.with_average("none"), "average")
    with pytest.raises(InputError, match="directions of the volumes are not known"):
        ik.preprocess(scan, "average:directions=yes")
