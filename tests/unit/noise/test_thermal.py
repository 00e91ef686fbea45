"""Thermal noise: what of the spread of a scan raises the floor, and what is motion."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import NoiseError
from ivimkit.noise import (
    for_floor,
    from_images,
    from_repeats,
    largest_sigma,
    repeat_scatter,
    thermal_noise,
)

SIGMA = 10.0
BVALS = np.repeat([0, 10, 40, 100, 200, 400, 600, 800.0], 6)
INSIDE = (slice(10, 38), slice(10, 38))


def scan(*, pulsation: float = 0.0, air: bool = True, times: int = 6) -> ik.DWI:
    """Return a body in air, magnitudes, each volume brighter or darker by pulsation."""
    rng = np.random.default_rng(3)
    bvals = np.repeat(BVALS[::6], times)
    clean = np.zeros((48, 48, 2, bvals.size))
    curve = ik.simulate.signals("biexp", [200.0, 0.2, 0.05, 1.2e-3], bvals)
    clean[INSIDE] = curve * np.exp(rng.normal(0.0, pulsation, (28, 28, 2, bvals.size)))
    noisy = ik.simulate.add_noise(clean, sigma=SIGMA, seed=4)
    inside = np.zeros(clean.shape[:3], dtype=bool)
    inside[INSIDE] = True
    return ik.DWI(noisy if air else noisy * inside[..., None], bvals, mask=inside)


@pytest.mark.parametrize(
    ("air", "times", "source"),
    [(True, 1, "background"), (False, 6, "repeats"), (False, 1, "images")],
)
def test_each_source_finds_the_noise(air, times, source):
    found = thermal_noise(scan(air=air, times=times))
    assert found.source == source
    assert found.sigma == pytest.approx(SIGMA, rel=0.05)


def test_pulsation_is_not_thermal_noise():
    moving = scan(pulsation=0.15)
    assert from_repeats(moving).sigma > 1.8 * SIGMA
    assert for_floor(moving).sigma == pytest.approx(SIGMA, rel=0.05)
    # Without air the repeats at high b are the least disturbed.
    calmest = for_floor(scan(pulsation=0.15, air=False))
    assert SIGMA < calmest.sigma < 0.85 * from_repeats(moving).sigma
    found = repeat_scatter(moving)
    assert found.moves
    assert str(found).startswith("The repeats differ by 2.")
    assert "motion or pulsation. It widens errors, but raises no noise floor." in str(found)
    still = repeat_scatter(scan())
    assert not still.moves
    assert still.ratio == pytest.approx(1.0, abs=0.05)
    assert repeat_scatter(scan(times=1)) is None


def test_a_floor_is_not_above_the_darkest_voxels():
    """Texture that looks like noise, with dark voxels that show how little noise there is."""
    rng = np.random.default_rng(5)
    texture = 200.0 * rng.uniform(0.2, 1.0, (60, 60, 2, 1)) * np.exp(-1e-3 * BVALS[::6])
    texture[:, 28:32] = 0.0
    dwi = ik.DWI(ik.simulate.add_noise(texture, sigma=2.0, seed=6), BVALS[::6])
    rough, found = from_images(dwi), for_floor(dwi)
    assert rough.sigma > 10.0
    assert (found.source, found.sigma) == ("lowest", largest_sigma(dwi))
    assert 2.0 < found.sigma < 2.5
    assert for_floor(dwi, ik.noise.given(7.0)).sigma == 7.0


def test_a_list_of_voxels_has_no_source():
    signals = scan(times=1, air=False).stored[INSIDE].reshape(-1, 8)
    dwi = ik.DWI(signals, BVALS[::6])
    with pytest.raises(NoiseError, match=r"voxels of shape \(1568,\) have no neighbours"):
        from_images(dwi)
    assert for_floor(dwi) is None
    assert largest_sigma(dwi) > SIGMA


def test_bayes_takes_the_floor_of_the_noise_and_not_of_pulsation():
    """With the spread of these repeats as the floor D is 6 % higher than with the noise."""
    moving, method = scan(pulsation=0.15), ik.methods.Bayes(prior="flat")
    found = ik.fit(moving, method=method)
    assert found.method.floor == pytest.approx(SIGMA, rel=0.05)
    assert found.provenance.chosen["floor"].endswith(" a.u. from the background")
    pulsating = ik.fit(moving, method=ik.methods.Bayes(prior="flat", floor=20.0))
    inside = moving.mask
    truth, high = 1.2e-3, np.median(pulsating.maps["D"][inside])
    assert abs(np.median(found.maps["D"][inside]) - truth) < 0.5 * (high - truth)
    assert ik.fit(moving, method=method, sigma=20.0).method.floor == "auto"
    again = ik.fit(moving, method=found.method)
    np.testing.assert_array_equal(again.maps["D"], found.maps["D"])
    assert not again.provenance.chosen


def test_a_floor_is_not_above_what_the_signals_of_the_voxel_allow():
    """Beyond that it makes no difference how large the noise is said to be."""
    signals = scan(times=1, air=False).stored[INSIDE].reshape(-1, 8)[:50]
    low, much, more = (
        ik.fit(
            signals, BVALS[::6], method=ik.methods.Bayes(prior="flat", floor=floor), sigma=SIGMA
        )
        for floor in (SIGMA, 500.0, 5e6)
    )
    np.testing.assert_array_equal(much.maps["D"], more.maps["D"])
    assert (much.maps["D"] > low.maps["D"]).all()


@pytest.mark.parametrize("floor", ["air", -1, 0.0, float("nan"), None, [1.0]])
def test_a_floor_is_auto_or_a_number(floor):
    with pytest.raises(ik.errors.OptionError, match="expected auto, or the standard deviation"):
        ik.methods.Bayes(floor=floor)
