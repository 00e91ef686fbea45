"""Volumes that are means of several magnitude images."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan.dwi import AVERAGES

B = np.array([0, 10, 20, 40, 80, 200, 400, 800.0])
N = np.array([3, 6, 6, 6, 6, 12, 12, 24.0])
SIGMA = 60.0


@pytest.fixture(scope="module")
def scans():
    """The same images, one by one, averaged here, and averaged before."""
    bvals = np.repeat(B, N.astype(int))
    clean = ik.simulate.signals("biexp", [1000.0, 0.2, 0.05, 2.2e-3], bvals)
    images = ik.simulate.add_noise(np.tile(clean, (400, 1)), sigma=SIGMA, seed=1)
    means = np.stack([images[:, bvals == b].mean(axis=1) for b in B], axis=1)
    return images, bvals, means


def test_means_of_a_file_are_fitted_as_means_of_ivimkit(scans):
    images, bvals, means = scans
    own, stated = ik.DWI(images, bvals), ik.DWI(means, B, averages=N)
    for one in (own, stated):
        np.testing.assert_array_equal(one.fit_counts, N)
        np.testing.assert_array_equal(one.fit_averages, N)
    method = ik.methods.VarPro(noise="rician")
    found = [ik.fit(dwi, method=method, sigma=SIGMA) for dwi in (own, stated)]
    np.testing.assert_allclose(found[0].maps["D"], found[1].maps["D"], rtol=1e-9)
    assert found[1].settings.averages == tuple(N)
    silent = ik.fit(means, B, method=method, sigma=SIGMA)
    truth = 2.2e-3
    errors = [abs(np.nanmedian(one.maps["D"]) - truth) for one in (found[1], silent)]
    assert errors[0] < 0.3 * errors[1]


def test_sigma_is_that_of_one_image(scans):
    _, _, means = scans
    dwi = ik.DWI(means, B, averages=N)
    assert ik.noise.from_residuals(ik.fit(dwi)).sigma == pytest.approx(SIGMA, rel=0.05)
    twice = ik.DWI(np.concatenate([means[::2], means[1::2]], axis=1), np.tile(B, 2))
    stated = twice.with_averages(np.tile(N, 2))
    assert ik.noise.from_repeats(stated.select(bmax=100)).sigma == pytest.approx(SIGMA, rel=0.1)
    assert ik.noise.thermal_noise(stated).sigma == pytest.approx(SIGMA, rel=0.1)
    (first, *_) = ik.noise.shell_signals(stated)
    assert first.n_images == 6
    assert first.snr_of_mean == pytest.approx(first.snr * 6**0.5)


@pytest.mark.parametrize("average", AVERAGES)
def test_numbers_of_averages_are_weights_unless_others_were_given(average):
    dwi = ik.DWI(np.ones((2, 4)), [0, 0, 800, 800], average=average).with_averages([1, 3, 4, 8])
    size = [1, 3, 4, 8] if average == "none" else [4, 12]
    assert dwi.fit_counts.tolist() == dwi.fit_averages.tolist() == size
    assert dwi.with_weights(None).fit_counts.tolist() == size
    assert dwi.select(volumes=[1, 3]).averages.tolist() == [3, 8]
    own = dwi.with_weights([1, 1, 1, 1])
    assert own.with_averages(2).weights.tolist() == [1, 1, 1, 1]
    assert own.fit_counts.tolist() == ([1] * 4 if average == "none" else [2, 2])
    # The mean of 1 and of 3 images, of equal weights, has the noise of 2^2 / (1 + 1/3) = 3.
    assert own.fit_averages[0] == pytest.approx(1 if average == "none" else 3)
    assert dwi.with_averages(None).weights is None
    assert dwi.with_averages([2, 5] if average != "none" else [2, 2, 5, 5]).averages[2] == 5
    assert dwi.with_averages(1).averages is None


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        (
            [1, 2],
            ShapeError,
            r"averages have shape \(2,\); expected one per distinct b-value \(3\)",
        ),
        (0, OptionError, "averages contain 0; expected numbers >= 1"),
        ([1, 2, np.nan], OptionError, "averages contain nan"),
    ],
)
def test_wrong_numbers(wrong, error, match):
    with pytest.raises(error, match=match):
        ik.DWI(np.ones((2, 3)), [0, 100, 800]).with_averages(wrong)


def test_column_of_the_table(tmp_path):
    ik.io.save_scan(ik.DWI(np.ones((3, 3, 2, 3)), [0, 100, 800]), tmp_path / "dwi.nii.gz")
    table = tmp_path / "dwi_volumes.tsv"
    table.write_text("b\taverages\tNSA\tname\n0\t2\t4\ta\n100\t3\t4\ta\n800\t4\t4\ta\n")
    dwi = ik.load(tmp_path / "dwi.nii.gz")
    assert (dwi.averages.tolist(), list(dwi.acquisition.variables)) == ([2, 3, 4], ["NSA", "name"])
    dwi = ik.load(tmp_path / "dwi.nii.gz", averages="NSA")
    assert (dwi.averages.tolist(), list(dwi.acquisition.variables)) == ([4, 4, 4], ["name"])
    assert ik.load(tmp_path / "dwi.nii.gz", averages=6).averages.tolist() == [6, 6, 6]
    with pytest.raises(OptionError, match="'nsa', which is not a column of the volumes"):
        ik.load(tmp_path / "dwi.nii.gz", averages="nsa")
    with pytest.raises(OptionError, match="the column name of averages contains texts"):
        ik.load(tmp_path / "dwi.nii.gz", averages="name")


def test_a_saved_scan_keeps_them(tmp_path):
    path = tmp_path / "dwi.nii.gz"
    ik.io.save_scan(ik.DWI(np.ones((3, 3, 2, 3)), [0, 100, 800], averages=[1, 2, 4]), path)
    assert ik.load(path).averages.tolist() == [1, 2, 4]
