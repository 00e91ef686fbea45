"""ivimkit fit --robust, and --weights with a weight for each value."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.report.rerun_command import rerun

BVALS = np.repeat([0, 10, 30, 60, 120, 250, 500, 800.0], 3)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """A folder with a scan of which volume 10 dropped, its mask, and weights of its values."""
    folder = tmp_path_factory.mktemp("spoiled")
    made = ik.simulate.phantom(shape=(20, 16, 3), bvals=BVALS, snr=30)
    signal = made.dwi.signal.copy()
    signal[..., 10] *= 0.5
    dwi = ik.DWI(signal, made.dwi.acquisition, geometry=made.dwi.geometry)
    ik.io.save_scan(dwi, folder / "dwi.nii.gz")
    ik.io.save_map(made.dwi.mask.astype(np.uint8), folder / "mask.nii.gz", dwi.geometry)
    weights = np.ones(signal.shape, dtype=np.float32)
    weights[..., 10] = 0
    weights[..., 2, 20] = 0
    image = ik.DWI(weights, dwi.acquisition, geometry=dwi.geometry)
    ik.io.save_scan(image, folder / "weights.nii.gz")
    return folder


def _fit(run, folder, out, *options, code=0):
    scan = folder / "dwi.nii.gz"
    return run("fit", scan, "--mask", folder / "mask.nii.gz", "--out", out, *options, code=code)


def test_what_is_left_out_is_said_stored_drawn_and_repeated(run, spoiled, tmp_path, text_only):
    text = " ".join(_fit(run, spoiled, tmp_path / "out", "--robust").stdout.split())
    assert "Volume 10 (b = 60, signal × 0.50) was left out (volumes count from 0)." in text
    assert "of all values." in text
    record = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert record["settings"]["method"]["options"]["robust"] is True
    assert record["screening"]["volumes"] == list(range(BVALS.size))
    assert all(row[10] for row in record["screening"]["left_out"])
    assert (tmp_path / "out" / "figures" / "screening.png").is_file()
    result = ik.load_result(tmp_path / "out", scan=True)
    assert "--option robust=yes" in rerun(result).command
    run("report", tmp_path / "out", "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Volumes and values left out" in page
    assert "doi.org/10.1002/mrm.20426" in page or "10.1002/mrm.20426" in page
    # Without the option nothing of this is left over.
    again = _fit(run, spoiled, tmp_path / "out", "--overwrite").stdout
    assert "left out" not in again
    for name in ("figures/screening.png", "n_left_out.nii.gz", "value_weights.nii.gz"):
        assert not (tmp_path / "out" / name).exists()


def test_an_image_of_weights_leaves_out_the_same_as_the_call(run, spoiled, tmp_path):
    text = _fit(
        run, spoiled, tmp_path / "out", "--weights", "weights.nii.gz", "--no-figures"
    ).stdout
    assert re.search(r"weights of single values: 5\.\d % of the values", " ".join(text.split()))
    found = ik.load_result(tmp_path / "out", scan=True)
    assert found.settings.value_weights
    assert found.provenance.sources[-1]["role"] == "weights"
    dwi = ik.load(spoiled / "dwi.nii.gz", mask=spoiled / "mask.nii.gz")
    weights = ik.io.load_weights(spoiled / "weights.nii.gz", dwi).value_weights
    np.testing.assert_array_equal(found.value_weights, weights)
    expected = ik.fit(dwi, weights=weights)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_allclose(found.maps["D"], expected.maps["D"], rtol=1e-6)
    assert rerun(found).command.endswith("--weights weights.nii.gz --model biexp --method varpro")


def test_weights_follow_the_volumes_that_are_used(spoiled):
    dwi = ik.load(spoiled / "dwi.nii.gz").select(volumes=[0, 3, 10, 20])
    weights = ik.io.load_weights(spoiled / "weights.nii.gz", dwi).value_weights
    np.testing.assert_array_equal(weights[0, 0, 2], [1, 1, 0, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--robust", "--method", "segmented"), "method segmented has no option 'robust'"),
        (("--robust", "--option", "robust=no"), "both --robust and --option robust are given"),
        (("--option", "robust=maybe"), "--option robust is 'maybe'; expected yes or no"),
        (("--weights", "there-is-none.nii.gz"), "there is no file there-is-none.nii.gz"),
        (("--weights", "mask.nii.gz"), "have 1 volumes; expected 24, one per volume"),
    ],
)
def test_what_cannot_be(run, spoiled, tmp_path, options, message):
    result = _fit(run, spoiled, tmp_path / "out", *options, code=2)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_weights_on_another_grid_are_refused(spoiled, tmp_path):
    dwi = ik.load(spoiled / "dwi.nii.gz")
    affine = dwi.affine.copy()
    affine[:3, 3] += 0.3 * np.diag(affine)[:3]
    moved = ik.DWI(np.ones(dwi.signal.shape), dwi.acquisition, affine=affine)
    ik.io.save_scan(moved, tmp_path / "moved.nii.gz")
    with pytest.raises(ik.errors.ShapeError, match="on other voxels than the scan"):
        ik.io.load_weights(tmp_path / "moved.nii.gz", dwi)


def test_settings_alone_do_not_contain_weights_of_values(spoiled):
    from ivimkit.fitting.fit import fit_with

    dwi = ik.load(spoiled / "dwi.nii.gz", mask=spoiled / "mask.nii.gz")
    result = ik.fit(ik.io.load_weights(spoiled / "weights.nii.gz", dwi))
    with pytest.raises(ik.errors.OptionError, match="with weights of single values, which they"):
        fit_with(dwi, result.settings)


def test_regions_and_residuals_know_what_was_left_out(spoiled):
    dwi = ik.load(spoiled / "dwi.nii.gz", mask=spoiled / "mask.nii.gz")
    made = ik.simulate.phantom(shape=(20, 16, 3), bvals=BVALS, snr=30)
    labels = np.where(dwi.mask, made.labels, 0)
    plain, robust, clean = (
        ik.quality.roi_fit(ik.fit(scan, method=ik.methods.VarPro(robust=is_robust)), labels)
        for scan, is_robust in ((dwi, False), (dwi, True), (made.dwi, False))
    )
    off = [np.nanmedian(np.abs(one.maps["D"] / clean.maps["D"] - 1)) for one in (plain, robust)]
    assert off[0] > 0.05
    assert off[1] < 0.01
    one = ik.fit(dwi, method=ik.methods.VarPro(robust=True))
    named = [
        finding.sentence for finding in ik.quality.residual_findings(ik.quality.residuals(one))
    ]
    assert not any("Volume 10" in text for text in named)
