"""Interpolated noise: what interpolation leaves of it, and what it does not show."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.noise import from_repeats, from_residuals
from ivimkit.scan.history import StepRecord
from ivimkit.steps._interpolated_noise import Precisions, noise_share
from ivimkit.steps._moved_scan import moved_scan
from ivimkit.steps._resampling import read_at

BVALS = [0, 20, 60, 200, 500, 800]
SHAPE = (24, 20, 10)
SIGMA = 5.0


def shifted(shift):
    """Return where voxels are read that have moved by some voxels."""
    return np.indices(SHAPE, dtype=float) + np.reshape(shift, (3, 1, 1, 1))


def inner(values):
    return values[4:-4, 4:-4, 3:-3]


@pytest.mark.parametrize("shift", [(0, 0, 0), (0.5, 0, 0), (0.5, 0.5, 0.5), (-1.3, 0.2, 1.4)])
def test_the_share_of_the_noise_is_that_of_interpolated_noise(shift):
    rng = np.random.default_rng(1)
    index = shifted(shift)
    noise = [rng.standard_normal(SHAPE).astype(np.float32) for _ in range(30)]
    read = [inner(read_at(one + 10.0, index)) - 10.0 for one in noise]
    found = np.nanmean(np.square(read))
    # 30 x 16 x 12 x 4 values, of which neighbours are alike: an error of about 2 %.
    assert noise_share(index).mean() == pytest.approx(found, rel=0.05)


def scan(image, bvals=BVALS):
    """Return a scan of magnitudes of a still image, with air around it for their noise."""
    decay = 0.9 * np.exp(-1.1e-3 * np.array(bvals)) + 0.1 * np.exp(-0.03 * np.array(bvals))
    rng = np.random.default_rng(2)
    signal = np.zeros((40, 36, 10, len(bvals)))
    signal[8:32, 8:28] = image[..., None] * decay
    parts = rng.normal(0, SIGMA, (2, *signal.shape))
    return ik.DWI(np.hypot(signal + parts[0], parts[1]).astype(np.float32), bvals)


def half_a_voxel_off(volume):
    if volume == 0:
        return None
    return np.indices((40, 36, 10), dtype=float) + np.reshape((0.5, 0.5, 0.0), (3, 1, 1, 1))


def test_a_sharp_volume_weighs_less_where_the_others_do_not_show_its_structure():
    stripes = np.full(SHAPE, 100.0)
    stripes[12:] += 40.0 * (-1.0) ** np.indices(SHAPE)[0][12:]
    found = Precisions.measured(scan(stripes), half_a_voxel_off)
    assert found.odd == (0,)
    weights = found.weights(0)[8:32, 8:28]
    # Where nothing is, and no edge is near, chance seldom looks like something.
    assert (weights[5:8, 5:-5] == 1.0).mean() > 0.9
    # Stripes of one voxel vanish half-way between the voxels: all of 40 is unseen.
    unseen = 1.0 / weights[15:-3, 3:-3, 2:-2] - 1.0
    assert 0.7 * 32 < np.median(unseen) <= 32  # The largest step; (40 / 5)^2 = 64.
    assert found.weights(1) == np.float32(1.0 / found.shares[1])
    assert found.numbers["varying_weights"] == [0]


def test_repeats_tell_the_noise_of_a_volume_as_acquired():
    dwi = scan(np.full(SHAPE, 100.0), [0, 0, 100, 100, 800, 800])
    precisions = Precisions.measured(dwi, half_a_voxel_off)
    moved = moved_scan(
        dwi, half_a_voxel_off, dwi.acquisition, lambda share: None, precisions=precisions
    )
    record = StepRecord("align", "", numbers=precisions.numbers, noise="interpolated")
    moved = moved.with_history(dwi.history.followed_by(record))
    inside = np.zeros((40, 36, 10), dtype=bool)
    inside[12:28, 12:24, 2:-2] = True
    # 768 voxels, of which neighbours are alike.
    assert from_repeats(moved.with_mask(inside)).sigma == pytest.approx(SIGMA, rel=0.05)


def test_nothing_is_weighted_if_nothing_moved_or_noise_is_not_independent():
    still = scan(np.full(SHAPE, 100.0))
    assert Precisions.measured(still, lambda volume: None) is None
    record = StepRecord("denoise", "", noise="changed")
    denoised = still.with_history(still.history.followed_by(record))
    assert Precisions.measured(denoised, half_a_voxel_off) is None


FAULTS = ik.simulate.Artefacts(motion=ik.simulate.Motion("rigid", mm=6.0))
OF_SCAN = {"shape": (32, 24, 8), "bvals": [0, 20, 60, 150, 400, 800], "snr": 20}


@pytest.fixture(scope="module")
def aligned():
    made = ik.simulate.phantom(artefacts=FAULTS, **OF_SCAN)
    return made, ik.preprocess(made.dwi, "align").dwi


@pytest.mark.filterwarnings("ignore:6 distinct b-values:ivimkit.errors.AcquisitionWarning")
def test_the_noise_of_an_aligned_scan_is_that_of_a_volume_as_acquired(aligned):
    made, dwi = aligned
    liver = made.region("liver")
    result = ik.fit(dwi.with_mask(liver))
    assert result.provenance.value_weights.different == 0
    found = from_residuals(result).sigma
    assert found == pytest.approx(made.sigma, rel=0.12)
    plain = dwi.with_value_weights((np.asarray(dwi.value_weights) > 0).astype(np.uint8))
    others = ik.fit(plain.with_mask(liver).with_history(made.dwi.history))
    assert from_residuals(others).sigma < 0.9 * found
    doubled = dwi.with_value_weights(2.0 * np.asarray(dwi.value_weights))
    assert ik.fit(doubled.with_mask(liver)).provenance.value_weights.different > 0


@pytest.mark.filterwarnings("ignore:6 distinct b-values:ivimkit.errors.AcquisitionWarning")
def test_the_mean_of_a_region_keeps_the_noise_of_values_as_acquired(aligned):
    made, dwi = aligned
    still = ik.simulate.phantom(**OF_SCAN).dwi
    labels = made.region("liver").astype(int)
    after, before = (
        ik.quality.roi_fit(ik.fit(one.with_mask(labels > 0), sigma=made.sigma), labels)
        for one in (dwi, still)
    )
    # As if interpolated values were independent, it would be a fifth smaller.
    assert 0.95 < after.sd["D"][0] / before.sd["D"][0] < 1.3
