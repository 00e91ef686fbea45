"""Results without information: noise of any kind; and those that only look like it."""

from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.quality import lights, nothing_to_read
from ivimkit.status import FitStatus
from made_results import BVALS, biexp_maps, made_result


def result_of(signal, bvals=BVALS):
    """Return a result with this signal that no fit has made."""
    dwi = ik.DWI(signal, bvals)
    maps = {**biexp_maps(signal.shape[:-1]), "cost": np.ones(signal.shape[:-1])}
    return replace(made_result(maps), dwi=dwi)


def noise(seed, *, repeats=1):
    """Return magnitudes of pure noise, the mean of some repeats."""
    parts = np.random.default_rng(seed).normal(size=(2, repeats, 20, 20, 2, len(BVALS)))
    return np.hypot(*parts).mean(axis=0)


@pytest.mark.parametrize("repeats", [1, 30])
def test_magnitudes_of_noise(repeats):
    found = nothing_to_read(result_of(noise(0, repeats=repeats)))
    assert found.startswith("The signal does not fall with b: at b = 800 s/mm² it is ")
    assert "% of that at b = 0." in found
    (light,) = [one for one in lights(result_of(noise(0))) if one.name == "decay of the signal"]
    assert (light.colour, light.reason) == ("red", nothing_to_read(result_of(noise(0))))


def test_noise_around_zero():
    signal = np.random.default_rng(0).normal(size=(20, 20, 2, len(BVALS)))
    assert "not above 0 in the mean" in nothing_to_read(result_of(signal))


def test_tissue_in_much_noise_can_be_read():
    """Half of the signal is left at the highest b-value, and an image has an SNR of 2."""
    decay = 2.0 * np.exp(-1e-3 * np.array(BVALS))
    parts = np.random.default_rng(1).normal(size=(2, 20, 20, 2, len(BVALS)))
    assert nothing_to_read(result_of(np.hypot(parts[0] + decay, parts[1]))) == ""


def test_a_few_voxels_are_not_judged():
    assert nothing_to_read(result_of(noise(0)[:2, :2, :1])) == ""


def test_without_the_scan_the_size_of_the_signal_counts():
    result = ik.fit(noise(0)[:, :, :1], BVALS)
    found = nothing_to_read(replace(result, dwi=None))
    assert found.startswith("The signal at b = 0 is ")
    assert "times its noise in the median voxel" in found
    assert nothing_to_read(replace(result_of(noise(0)), dwi=None)) == ""


def test_no_voxel():
    status = np.full((3, 3, 1), int(FitStatus.NO_SIGNAL))
    maps = {name: np.full((3, 3, 1), np.nan) for name in biexp_maps((1,))}
    assert nothing_to_read(made_result(maps, status=status)) == "No voxel was fitted."
