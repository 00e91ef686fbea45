"""NoiseEstimate, noise that is given, and the choice of a source."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import NoiseError, OptionError, ShapeError
from ivimkit.scan.dwi import DWI

MAP = [[1.0, 2.0], [np.nan, 4.0]]


class TestGiven:
    def test_number(self):
        noise = ik.noise.given(np.float32(20))
        assert (noise.sigma, noise.map, noise.source) == (20.0, None, "given")
        assert (noise.degrees, noise.standard_error) == (math.inf, 0.0)
        assert str(noise) == "sigma 20.0 a.u. as given"
        assert str(ik.noise.given(12345.6)) == "sigma 12\u202f346 a.u. as given"

    def test_map(self):
        noise = ik.noise.given(MAP)
        assert (noise.sigma, noise.n_voxels) == (2.0, 3)
        assert noise.degrees_map.tolist() == [[math.inf, math.inf], [0.0, math.inf]]

    def test_map_is_a_copy(self):
        values = np.array(MAP)
        noise = ik.noise.given(values)
        values[:] = -1.0
        np.testing.assert_array_equal(noise.map, MAP)

    @pytest.mark.parametrize(
        ("sigma", "message"),
        [
            (0.0, "the noise is 0; expected a number > 0"),
            (-1, "the noise is -1; expected"),
            (np.nan, "the noise is nan; expected"),
            (np.inf, "the noise is inf; expected"),
            ("low", "the noise is 'low'; expected a number > 0, or a map"),
            ([[1.0, 0.0]], r"the noise map is 0 in voxel \(0, 1\); expected numbers > 0"),
            ([np.inf], r"the noise map is inf in voxel \(0,\)"),
            ([np.nan], "the noise map has no value"),
        ],
    )
    def test_what_is_no_noise(self, sigma, message):
        with pytest.raises(OptionError, match=message):
            ik.noise.given(sigma)


class TestRatio:
    estimated = ik.noise.NoiseEstimate(2.0, np.array(MAP), 9.0, None, "repeats", "", 4)

    def test_one_sigma_for_all_unless_a_map_was_given(self):
        signal = np.full((2, 2), 8.0)
        assert self.estimated.snr(signal).tolist() == [[4.0, 4.0], [4.0, 4.0]]
        local = [[8.0, 4.0], [np.nan, 2.0]]
        np.testing.assert_array_equal(ik.noise.given(MAP).snr(signal), local)
        np.testing.assert_array_equal(self.estimated.snr(signal, local=True), local)
        assert ik.noise.given(MAP).snr(signal, local=False).tolist() == [[4.0] * 2] * 2

    def test_volumes_on_the_last_axis(self):
        found = ik.noise.given(MAP).snr(np.full((2, 2, 3), 8.0))
        np.testing.assert_array_equal(found[..., 2], [[8.0, 4.0], [np.nan, 2.0]])

    def test_another_shape(self):
        with pytest.raises(
            ShapeError, match=r"signal has shape \(3,\) and the noise map \(2, 2\)"
        ):
            ik.noise.given(MAP).snr([1, 2, 3])

    def test_no_map(self):
        with pytest.raises(OptionError, match="the source, given, gives one number only"):
            ik.noise.given(3.0).snr([1.0], local=True)


class TestMap:
    # Lowest b-value 10, two directions: 4 and 16, their arithmetic mean is 10.
    dwi = DWI(
        np.array([[4.0, 16.0, 1.0], [4.0, 16.0, 1.0], [4.0, 16.0, 1.0]]),
        [10, 10, 800],
        mask=[1, 1, 0],
        bvecs=np.eye(3),
    )

    def test_is_that_of_one_volume_at_the_lowest_b_value(self):
        found = ik.noise.snr_map(self.dwi, ik.noise.given(2.0))
        np.testing.assert_array_equal(found, [5.0, 5.0, np.nan])

    def test_local(self):
        noise = ik.noise.given([1.0, np.nan, 1.0])
        np.testing.assert_array_equal(ik.noise.snr_map(self.dwi, noise), [10, np.nan, np.nan])
        found = ik.noise.snr_map(self.dwi, noise, local=False)
        np.testing.assert_array_equal(found, [10, 10, np.nan])

    def test_noise_of_another_scan(self):
        with pytest.raises(ShapeError, match=r"noise map has shape \(2, 2\); expected \(3,\)"):
            ik.noise.snr_map(self.dwi, ik.noise.given(MAP))


class TestEstimate:
    repeated = ik.simulate.phantom(shape=(48, 36, 2), bvals=[0, 0, 50, 400, 800], snr=50)
    once = ik.simulate.phantom(shape=(48, 36, 2), snr=50)

    def test_auto_takes_repeats(self):
        noise = ik.noise.estimate(self.repeated.dwi)
        assert noise.source == "repeats"
        assert noise.sigma == ik.noise.estimate(self.repeated.dwi, "repeats").sigma
        assert noise.sigma == ik.noise.from_repeats(self.repeated.dwi).sigma

    def test_auto_does_not_guess(self):
        with pytest.raises(NoiseError, match=r"noise\.from_background .* noise\.given"):
            ik.noise.estimate(self.once.dwi)

    def test_background(self):
        noise = ik.noise.estimate(self.once.dwi, "background")
        assert noise.source == "background"
        assert noise.sigma == ik.noise.from_background(self.once.dwi).sigma

    def test_number_map_and_estimate(self):
        dwi = self.once.dwi
        assert ik.noise.estimate(dwi, 3.0).sigma == 3.0
        assert ik.noise.estimate(dwi, np.full(dwi.shape, 3.0)).map.shape == dwi.shape
        noise = ik.noise.from_repeats(self.repeated.dwi)
        assert ik.noise.estimate(dwi, noise) is noise

    @pytest.mark.parametrize("make", [np.asarray, ik.noise.given])
    def test_map_of_another_scan(self, make):
        with pytest.raises(ShapeError, match="Resample it to the scan"):
            ik.noise.estimate(self.once.dwi, make(MAP))

    def test_unknown_source(self):
        with pytest.raises(OptionError, match="is 'residuals'; expected one of auto, repeats, ba"):
            ik.noise.estimate(self.once.dwi, "residuals")
