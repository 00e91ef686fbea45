import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.quality import residuals
from ivimkit.scan.dwi import DWI
from ivimkit.status import FitStatus
from made_results import biexp_maps, made_result
from tolerances import CLOSED_FORM

B = [0, 0, 10, 20, 50, 100, 200, 400, 800, 800]
SHAPE = (4, 3, 2)


def by_hand(shift, *, status=None, counts=None):
    """Return a result and its scan, which lies `shift` (n_volumes) % of S0 above the fit."""
    maps = biexp_maps(SHAPE)
    result = made_result(maps, status=status)
    clean = ik.simulate.signals("biexp", result.params, B)
    above = np.asarray(shift) / 100 * maps["S0"][..., np.newaxis]
    return result, DWI(clean + above, B, average="arithmetic")


def test_means_are_in_percent_of_s0_and_averages_of_the_volumes():
    shift = np.array([1.0, 3.0, 0, 0, 0, 0, -2.0, 0, 0.5, 0.5])
    result, dwi = by_hand(shift)
    found = residuals(result, dwi)
    want = [2.0, 0, 0, 0, 0, -2.0, 0, 0.5]
    np.testing.assert_array_equal(found.bvals, dwi.fit_bvals)
    np.testing.assert_allclose(found.mean, want, atol=100 * CLOSED_FORM)
    np.testing.assert_allclose(found.by_volume, shift, atol=100 * CLOSED_FORM)
    np.testing.assert_allclose(found.by_slice, [want, want], atol=100 * CLOSED_FORM)
    assert found.shell.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 7]
    assert (found.n, found.n_fitted, found.slices.tolist()) == (24, 24, [0, 1])
    assert found.n_by_slice.tolist() == [12, 12]


def test_spread_is_about_zero_and_by_the_mean_s0():
    result, dwi = by_hand([0, 0, 0, 0, 0, 0, 2.0, 0, 0, 0])
    found = residuals(result, dwi)
    S0 = result.maps["S0"]
    want = 2.0 * np.sqrt((S0**2).mean(axis=(0, 1))) / S0.mean()
    np.testing.assert_allclose(found.spread[:, 6], want)
    np.testing.assert_allclose(found.sd[5], 2.0 * S0.std() / S0.mean())
    # All of it is proportional to S0, but not to the signal at that b-value and its slope.
    assert 0.9 * found.spread[:, 6].mean() < found.systematic[6] <= found.spread[:, 6].max()


def test_one_slice_of_its_own():
    result, dwi = by_hand(np.zeros(len(B)))
    signal = dwi.signal.copy()
    signal[:, :, 1, 7] += 0.03 * result.maps["S0"][:, :, 1]
    found = residuals(result, DWI(signal, B, average="arithmetic"))
    np.testing.assert_allclose(found.by_slice[:, 6], [0.0, 3.0], atol=100 * CLOSED_FORM)


def test_noise_is_found_and_is_the_unit_of_z():
    made = ik.simulate.phantom(shape=(48, 36, 4), bvals=B, snr=50, noise="gaussian")
    result = ik.fit(made.dwi)
    found = residuals(result)
    S0 = result.maps["S0"][result.mask].mean()
    assert found.noise == pytest.approx(100 * made.sigma / S0, rel=0.05)
    np.testing.assert_allclose(found.z, found.mean / (found.noise / np.sqrt(found.counts)))
    given = residuals(result, noise=ik.noise.given(2 * made.sigma))
    assert given.noise == pytest.approx(200 * made.sigma / S0, rel=1e-3)


def test_without_a_degree_of_freedom_the_noise_is_not_known():
    made = ik.simulate.phantom(shape=(16, 12, 1), bvals=[0, 50, 400, 800])
    with pytest.warns(UserWarning, match="4 distinct b-values"):
        result = ik.fit(made.dwi)
    found = residuals(result)
    assert np.isnan(found.noise)
    assert np.isnan(found.z).all()


def test_voxels_without_a_fit_do_not_count():
    status = np.zeros(SHAPE, int)
    status[0, 0, 0], status[:, :, 1] = FitStatus.NO_SIGNAL, FitStatus.OUTSIDE_MASK
    result, dwi = by_hand(np.zeros(len(B)), status=status)
    result.maps["S0"][0, 0, 0] = np.nan
    found = residuals(result, dwi)
    assert (found.n, found.slices.tolist()) == (11, [0])
    assert np.isfinite(found.mean).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_sample_takes_the_same_number_of_each_slice_and_is_repeatable(order):
    made = ik.simulate.phantom(shape=(32, 24, 6))
    signal = np.array(made.dwi.signal, order=order)
    result = ik.fit(DWI(signal, made.dwi.fit_bvals, mask=made.dwi.mask))
    whole, part = residuals(result), residuals(result, most=600)
    assert part.n_by_slice.tolist() == [100] * 6
    assert part.n_fitted == whole.n == result.mask.sum()
    np.testing.assert_array_equal(part.mean, residuals(result, most=600).mean)
    assert not np.array_equal(part.mean, residuals(result, most=600, seed=1).mean)
    # Standard errors of 600 voxels.
    assert (np.abs(part.mean - whole.mean) < 5 * whole.sd / np.sqrt(600)).all()


def test_memory_order_does_not_matter():
    made = ik.simulate.phantom(shape=(24, 20, 5))
    dwi = made.dwi
    c_order = DWI(np.ascontiguousarray(dwi.signal), dwi.fit_bvals, mask=dwi.mask)
    first, second = residuals(ik.fit(dwi)), residuals(ik.fit(c_order))
    np.testing.assert_allclose(first.by_slice, second.by_slice, rtol=1e-9, atol=1e-9)


def test_a_list_of_voxels_is_one_slice():
    made = ik.simulate.phantom(shape=(16, 12, 1))
    signal = made.dwi.signal[made.dwi.mask]
    found = residuals(ik.fit(DWI(signal, made.dwi.fit_bvals)))
    assert found.by_slice.shape == (1, 13)


def test_volumes_on_their_own():
    made = ik.simulate.phantom(shape=(16, 12, 1), bvals=[0, 0, 0, 50, 50, 400, 400, 800, 800])
    dwi = made.dwi.with_average("none")
    with pytest.warns(UserWarning, match="4 distinct b-values"):
        result = ik.fit(dwi)
    found = residuals(result)
    assert found.bvals.tolist() == [0, 0, 0, 50, 50, 400, 400, 800, 800]
    np.testing.assert_allclose(found.mean, found.by_volume, rtol=CLOSED_FORM)


def test_no_scan():
    with pytest.raises(OptionError, match="does not include its scan"):
        residuals(made_result(biexp_maps(SHAPE)))


def test_a_scan_of_another_shape():
    result, _ = by_hand(np.zeros(len(B)))
    with pytest.raises(ShapeError, match=r"the scan has shape \(3, 3\); expected \(4, 3, 2\)"):
        residuals(result, DWI(np.ones((3, 3, len(B))), B))


def test_the_scan_given_comes_before_that_at_hand():
    made = ik.simulate.phantom(shape=(16, 12, 1))
    result = ik.fit(made.dwi)
    assert result.scan() is result.dwi
    other = DWI(made.dwi.signal * 2, made.dwi.fit_bvals)
    assert result.scan(other) is other


def test_no_fitted_voxel():
    status = np.full(SHAPE, int(FitStatus.NO_SIGNAL))
    result, dwi = by_hand(np.zeros(len(B)), status=status)
    with pytest.raises(OptionError, match="no voxel has a fit"):
        residuals(result, dwi)


def test_no_voxel_asked_for():
    result, dwi = by_hand(np.zeros(len(B)))
    with pytest.raises(OptionError, match="most is 0; expected"):
        residuals(result, dwi, most=0)


def test_volumes_of_a_scan_that_was_cut_stay_with_their_b_values():
    b = np.array([0, 0, 10, 20, 50, 70, 100, 200, 400, 800])
    made, kept = ik.simulate.phantom(shape=(16, 12, 1), bvals=b), b != 70
    cut = made.dwi.select(volumes=np.flatnonzero(kept))
    fresh = DWI(np.asarray(made.dwi.signal)[..., kept], b[kept], mask=made.dwi.mask)
    found, same = (residuals(ik.fit(scan, method="segmented")) for scan in (cut, fresh))
    np.testing.assert_array_equal(found.shell, same.shell)
    np.testing.assert_array_equal(found.by_volume, same.by_volume)
