"""Noise from the air around the body."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivimkit import simulate
from ivimkit.errors import NoiseError, OptionError, ShapeError
from ivimkit.noise import from_background, level_of_air
from ivimkit.scan.dwi import DWI

SIGMA = 7.0
BVALS = [0, 10, 50, 100, 400, 800]


def imaged(coils: int = 1, *, seed: int = 0, averages: int = 1) -> np.ndarray:
    """Return images of a square body in air, magnitudes of `coils` coils."""
    generator = np.random.default_rng(seed)
    clean = np.zeros((48, 48, 3, len(BVALS)))
    clean[12:36, 12:36] = 400.0
    total = np.zeros(clean.shape)
    for _ in range(averages):
        channels = generator.normal(0.0, SIGMA, (2 * coils, *clean.shape))
        channels[0] += clean
        total += np.sqrt((channels**2).sum(axis=0))
    return total / averages


@pytest.mark.parametrize("coils", [1, 4])
def test_recovers_the_noise_of_the_channels(coils):
    found = from_background(DWI(imaged(coils), BVALS), coils=coils)
    assert abs(found.sigma - SIGMA) < 4 * found.standard_error
    assert found.standard_error < 0.02 * SIGMA
    assert (found.source, found.map, found.n_voxels) == ("background", None, 4 * 36 * 3)


def test_its_standard_error_is_its_scatter():
    found = [from_background(DWI(imaged(seed=seed), BVALS)) for seed in range(100)]
    sigma = np.array([noise.sigma for noise in found])
    # The deviation of 100 values has a standard error of 7 %.
    assert sigma.std() == pytest.approx(found[0].standard_error, rel=0.28)
    assert abs(sigma.mean() - SIGMA) < 4 * found[0].standard_error / 10


def test_phantom():
    made = simulate.phantom(shape=(64, 48, 3), snr=30)
    found = from_background(made.dwi)
    assert abs(found.sigma - made.sigma) < 4 * found.standard_error


def test_the_corners_are_of_every_slice_and_outside_the_mask():
    signal = imaged()
    signal[:6, :6, 0] += 1000.0  # an arm
    mask = np.zeros((48, 48, 3))
    mask[12:36, 12:36] = mask[:6, :6, 0] = 1
    found = from_background(DWI(signal, BVALS, mask=mask))
    assert found.n_voxels == (4 * 3 - 1) * 36
    assert abs(found.sigma - SIGMA) < 4 * found.standard_error


def test_a_background_that_was_given():
    signal = imaged()
    signal[:6, :6] = signal[-6:, :6] = signal[:6, -6:] = signal[-6:, -6:] = 0.0
    background = np.zeros((48, 48, 3))
    background[:10] = 1
    found = from_background(DWI(signal, BVALS), background=background)
    assert found.n_voxels == (480 - 72) * 3
    assert abs(found.sigma - SIGMA) < 4 * found.standard_error


def test_a_ghost_in_few_values_does_little():
    signal = imaged()
    signal[:2, :6, :, 0] += 100.0
    signal[-1, -1, 0, 2] = np.nan
    found = from_background(DWI(signal, BVALS))
    assert found.n_voxels == 4 * 36 * 3 - 1
    assert found.sigma == pytest.approx(SIGMA, rel=0.05)


@pytest.fixture(scope="module")
def still():
    signal = imaged()
    return signal, from_background(DWI(signal, BVALS)).sigma


@given(scale=st.floats(1e-6, 1e6))
@settings(max_examples=30)
def test_sigma_scales_with_the_signal(still, scale):
    signal, found = still
    scaled = from_background(DWI(scale * signal, BVALS)).sigma
    # Values are kept as float32.
    assert scaled == pytest.approx(scale * found, rel=1e-6)


@pytest.mark.parametrize(
    ("signal", "coils", "message"),
    [
        (imaged(4), 1, "noise of 1 coil: .* is 2.0.; expected 4.82 .* pass coils="),
        (imaged(1), 4, "noise of 4 coils: .*; expected 2.02"),
        (imaged(averages=3), 1, "averaged or filtered magnitudes"),
        (np.where(imaged() > 8.0, imaged(), 0.0), 1, "quartiles of its square is infinite.*to 0"),
        (imaged() + 100.0 * (np.arange(6) < 2), 1, "ghosts, tissue"),
    ],
    ids=["four as one", "one as four", "averaged", "cut", "ghosts"],
)
def test_what_is_no_noise_of_so_many_coils_is_refused(signal, coils, message):
    with pytest.raises(NoiseError, match=message):
        from_background(DWI(signal, BVALS), coils=coils)


def test_zero_filled_background():
    signal = imaged()
    mask = np.zeros((48, 48, 3))
    mask[12:36, 12:36] = 1
    signal[mask == 0] = 0.0
    with pytest.raises(NoiseError, match="has 0 values that are finite and not 0 throughout"):
        from_background(DWI(signal, BVALS, mask=mask))


def test_no_background():
    mask = np.ones((48, 48, 3))
    mask[20, 20] = 0
    with pytest.raises(NoiseError, match="the mask covers the corners of the image"):
        from_background(DWI(imaged(), BVALS, mask=mask))
    with pytest.raises(NoiseError, match=r"voxels of shape \(48,\) have no corners"):
        from_background(DWI(imaged()[:, 0, 0], BVALS))


def test_background_of_another_shape():
    with pytest.raises(ShapeError, match=r"background has shape \(48, 48\); expected \(48, 48, 3"):
        from_background(DWI(imaged(), BVALS), background=np.ones((48, 48)))


@pytest.mark.parametrize("coils", [0, -1, np.nan, np.inf])
def test_coils(coils):
    with pytest.raises(OptionError, match="expected a number >= 1"):
        from_background(DWI(imaged(), BVALS), coils=coils)


@pytest.mark.parametrize("sigma", [1.2, 3.0])
@pytest.mark.parametrize("whole", [np.round, np.floor])
def test_whole_numbers_of_a_low_level_are_noise(whole, sigma):
    """Scanners store whole numbers: at sigma 2 the quartiles of those are 1, 2 and 3."""
    values = whole(imaged() * sigma / SIGMA).astype(np.uint16)
    assert from_background(DWI(values, BVALS)).sigma == pytest.approx(sigma, rel=0.05)


def test_tissue_in_the_corners_is_no_air():
    """A crop of a liver: the spread over b can be as wide as that of noise."""
    decay = np.exp(-np.array(BVALS) * 1.5e-3)
    tissue = np.random.default_rng(0).rayleigh(300.0, (48, 48, 3, 1)) * decay
    with pytest.raises(NoiseError, match="times as bright at b = 0 as at b = 800; expected air"):
        from_background(DWI(tissue, BVALS))


@pytest.mark.parametrize("averages", [1, 2, 6, 30])
def test_the_level_of_air_is_that_of_one_image_however_many_are_averaged(averages):
    found = level_of_air(DWI(imaged(averages=averages), BVALS))
    assert found.sigma == pytest.approx(SIGMA, rel=0.02)


def test_a_spread_wider_than_noise_is_no_level_of_air():
    with pytest.raises(NoiseError, match="So wide a spread indicates ghosts, tissue"):
        level_of_air(DWI(imaged() ** 3, BVALS))
