"""Mean signal and noise of each b-value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ivimkit.noise import shell_signals
from ivimkit.scan.dwi import DWI

SIGMA = 20.0


def repeated(n: int, bvecs=None, shift: float = 0.0) -> DWI:
    """Two b-values, each measured `n` times, with Gaussian noise."""
    signal = np.random.default_rng(1).normal(1000.0, SIGMA, (20000, 2 * n))
    signal[:, n:] -= 500.0
    signal[:, n + 1 :: 2] += shift
    return DWI(signal, [0] * n + [800] * n, bvecs=bvecs)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_sigma_does_not_depend_on_the_number_of_repeats(n):
    low, high = shell_signals(repeated(n))
    # The median of 20 000 voxels has a standard error below 1 %.
    assert low.sigma == pytest.approx(SIGMA, rel=0.03)
    assert high.sigma == pytest.approx(SIGMA, rel=0.03)
    assert low.mean == pytest.approx(1000, abs=1)
    assert high.snr == pytest.approx(500 / SIGMA, rel=0.03)


def test_directions_are_not_repeats():
    directions = np.zeros((12, 3))
    directions[6::2, 0] = directions[7::2, 1] = 1.0
    known = shell_signals(repeated(6, directions, shift=300.0))[1]
    unknown = shell_signals(repeated(6, shift=300.0))[1]
    assert known.sigma == pytest.approx(SIGMA, rel=0.03)
    assert unknown.sigma > 5 * SIGMA


def test_no_repeats():
    signals = shell_signals(DWI(np.ones((5, 3)), [0, 50, 800]))
    assert all(math.isnan(signal.sigma) and math.isnan(signal.snr) for signal in signals)


def test_noise_free_repeats():
    low, _ = shell_signals(DWI(np.ones((5, 3)), [0, 0, 800]))
    assert low.sigma == 0.0
    assert math.isnan(low.snr)


def test_only_voxels_in_the_mask_count():
    signal = np.ones((4, 3))
    signal[2:] = 100.0
    assert shell_signals(DWI(signal, [0, 50, 800], mask=[1, 1, 0, 0]))[0].mean == 1.0


def test_broken_voxels_are_left_out():
    signal = np.ones((4, 4))
    signal[0, 0], signal[1, :2], signal[2] = np.nan, np.inf, np.nan
    low, high = shell_signals(DWI(signal, [0, 0, 800, 800]))
    # Half of the repeats of the first voxel are there.
    assert (low.n_finite, high.n_finite) == (2, 3)
    assert low.mean == 1.0


def test_no_finite_voxel():
    signal = np.ones((2, 3))
    signal[:, 0] = np.nan
    low = shell_signals(DWI(signal, [0, 50, 800]))[0]
    assert low.n_finite == 0
    assert math.isnan(low.mean)


def test_selected_volumes():
    signal = np.array([[1.0, 2.0, 3.0, 4.0]])
    dwi = DWI(signal, [0, 50, 50, 800]).select(bvals=[50, 800])
    assert [found.mean for found in shell_signals(dwi)] == [2.5, 4.0]
