"""Noise from repeated volumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivimkit import simulate
from ivimkit.errors import AcquisitionError, NoiseError, OptionError
from ivimkit.noise import from_repeats
from ivimkit.scan.dwi import DWI

SIGMA = 20.0

SINGLE = 1e-5
"""Relative: sums of squares are kept as float32."""


def repeated(n: int, *, n_voxels: int = 20000, seed: int = 1, **options) -> DWI:
    """Return a scan with `n` volumes of b = 0 and of b = 800."""
    clean = np.repeat([1000.0, 500.0], n) * np.ones((n_voxels, 1))
    signal = simulate.add_noise(clean, sigma=SIGMA, seed=seed)
    return DWI(signal, [0] * n + [800] * n, **options)


@pytest.mark.parametrize("pool", ["median", "mean"])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_more_repeats_do_not_bias(n, pool):
    found = from_repeats(repeated(n), pool=pool)
    assert abs(found.sigma - SIGMA) < 4 * found.standard_error
    assert found.standard_error < 0.01 * SIGMA
    assert (found.source, found.n_voxels) == ("repeats", 20000)


@pytest.mark.parametrize("masked", [True, False])
def test_phantom_with_and_without_air(masked):
    made = simulate.phantom(shape=(64, 48, 4), bvals=[0, 0, 50, 400, 800, 800, 800], snr=40)
    dwi = made.dwi if masked else made.dwi.with_mask(None)
    found = from_repeats(dwi)
    assert abs(found.sigma - made.sigma) < 4 * found.standard_error
    # Noise above three times itself is rare: Rayleigh's tail, the mean of two or three.
    assert np.isnan(found.map[:6, :6]).mean() > 0.99


def test_zero_filled_air_does_not_count():
    signal = np.zeros((30000, 4))
    signal[:10000] = repeated(2).signal[:10000]
    assert from_repeats(DWI(signal, [0, 0, 800, 800])).n_voxels == 10000


def test_map_is_the_standard_deviation_of_each_voxel():
    signal = np.asfortranarray(repeated(3, n_voxels=60).signal.reshape(5, 4, 3, 6)).round()
    found = from_repeats(DWI(signal.astype(np.uint16), [0, 0, 0, 800, 800, 800]), bvals=[0])
    np.testing.assert_allclose(found.map, signal[..., :3].std(axis=-1, ddof=1), rtol=SINGLE)
    assert (found.degrees_map == 2).all()


def test_degrees_are_those_of_the_values_above_the_noise():
    signal = repeated(3).signal
    signal[:100, 3:] /= 100  # b = 800 of these voxels is lost in the noise
    found = from_repeats(DWI(signal, [0, 0, 0, 800, 800, 800]))
    assert set(found.degrees_map[:100]) == {2.0}
    assert set(found.degrees_map[100:]) == {4.0}


def test_voxels_that_are_not_finite_are_not_known():
    signal = repeated(2).signal
    signal[0], signal[1, 0], signal[2, 1] = np.nan, np.nan, np.inf
    found = from_repeats(DWI(signal, [0, 0, 800, 800]))
    assert np.isnan(found.map[0])
    assert found.degrees_map[:4].tolist() == [0.0, 1.0, 1.0, 2.0]
    assert found.n_voxels == 19999


def test_chosen_b_values():
    signal = repeated(3).signal
    signal[:, 3:] = 500.0 + 2 * (signal[:, 3:] - 500.0)
    dwi = DWI(signal, [0, 0, 0, 800, 800, 800])
    assert from_repeats(dwi, bvals=[0]).sigma == pytest.approx(SIGMA, rel=0.03)
    assert from_repeats(dwi, bvals=[800]).sigma == pytest.approx(2 * SIGMA, rel=0.03)
    assert "b = 800)" in from_repeats(dwi, bvals=[800]).assumes
    with pytest.raises(AcquisitionError, match="there is no b-value 50"):
        from_repeats(dwi, bvals=[50])


def test_selected_volumes():
    signal = repeated(3).signal
    signal[:, 0] += 500.0
    dwi = DWI(signal, [0, 0, 0, 800, 800, 800]).select(volumes=[1, 2, 3, 4, 5])
    assert from_repeats(dwi).sigma == pytest.approx(SIGMA, rel=0.03)


def test_directions():
    bvecs = np.zeros((12, 3))
    bvecs[6::2, 0] = bvecs[7::2, 1] = 1.0
    signal = repeated(6).signal
    signal[:, 7::2] += 300.0  # anisotropy
    bvals = [0] * 6 + [800] * 6
    known = from_repeats(DWI(signal, bvals, bvecs=bvecs))
    assert known.sigma == pytest.approx(SIGMA, rel=0.03)
    assert "anisotropy" not in known.assumes
    unknown = from_repeats(DWI(signal, bvals))
    assert unknown.sigma > 2 * SIGMA
    assert "Directions are unknown" in unknown.assumes
    assert "anisotropy" not in from_repeats(DWI(signal, bvals), bvals=[0]).assumes


def test_other_directions_are_no_repeats():
    dwi = DWI(np.ones((5, 3)), [0, 800, 800], bvecs=[[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(NoiseError, match="no b-value and direction was measured twice, so"):
        from_repeats(dwi)


@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_sigma_scales_with_the_signal(scale, seed):
    dwi = repeated(2, n_voxels=50, seed=seed)
    found, scaled = from_repeats(dwi), from_repeats(DWI(scale * dwi.signal, dwi.acquisition))
    assert scaled.sigma == pytest.approx(scale * found.sigma, rel=SINGLE)
    assert scaled.degrees == found.degrees


@pytest.mark.parametrize(
    ("signal", "bvals", "message"),
    [
        (np.ones((5, 3)), [0, 50, 800], "was measured twice, so repeats cannot give the noise"),
        (np.ones((5, 3)), [0, 0, 800], "equal in half of the voxels or more"),
        (np.zeros((5, 3)), [0, 0, 800], "no voxel has a finite signal of three times its noise"),
        (np.full((5, 3), np.nan), [0, 0, 800], "no voxel has a finite signal"),
    ],
)
def test_no_basis(signal, bvals, message):
    with pytest.raises(NoiseError, match=message):
        from_repeats(DWI(signal, bvals))


def test_nothing_repeated_at_the_chosen_b_value():
    with pytest.raises(NoiseError, match="measured twice at b = 800, so"):
        from_repeats(DWI(np.ones((5, 3)), [0, 0, 800]), bvals=[800])


def test_unknown_pool():
    with pytest.raises(OptionError, match="pool is 'mode'"):
        from_repeats(repeated(2), pool="mode")
