"""Every format that results were ever written in still loads, to the numbers in its files."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.io.record_form import FORMAT

HERE = Path(__file__).parent
RESULTS = sorted(path.parent for path in HERE.glob("format*/*/fit.json"))


def test_every_format_has_results_here():
    kept = {json.loads((path / "fit.json").read_text())["format_version"] for path in RESULTS}
    assert kept == {*range(1, FORMAT + 1)}, "see golden/formats.py"
    for path in RESULTS:
        record = json.loads((path / "fit.json").read_text())
        assert path.parent.name == f"format{record['format_version']}"
    for version in range(1, FORMAT + 1):
        assert {"varpro", "bayes"} <= {path.name for path in (HERE / f"format{version}").iterdir()}


@pytest.mark.parametrize("folder", RESULTS, ids=lambda path: f"{path.parent.name} {path.name}")
def test_its_maps_are_those_of_its_files(folder):
    result = ik.load_result(folder)
    record = json.loads((folder / "fit.json").read_text())
    assert len(result.maps) >= 5
    files = folder if folder.name != "zarr" else folder.with_name("varpro")
    for name, values in result.maps.items():
        image = nib.load(files / f"{name}.nii.gz")
        np.testing.assert_array_equal(values, np.asarray(image.dataobj), err_msg=name)
    status = np.asarray(nib.load(files / "status.nii.gz").dataobj)
    np.testing.assert_array_equal(result.status, status)
    versions = record["provenance"]["versions"] if "provenance" in record else record["versions"]
    assert result.provenance.versions["ivimkit"] == versions["ivimkit"]
    for prior in folder.glob("prior*.npz"):
        label = prior.stem.partition("_")[2] or "all"
        assert result.priors[label].same_as(ik.load_prior(prior))


def test_newer_formats_are_refused(tmp_path):
    for name, file in (("varpro", "fit.json"), ("zarr", "fit.json")):
        folder = shutil.copytree(HERE / f"format{FORMAT}" / name, tmp_path / name)
        path = folder / file
        text = path.read_text().replace(
            f'"format_version": {FORMAT}', f'"format_version": {FORMAT + 1}'
        )
        path.write_text(text)
        with pytest.raises(
            ik.errors.FileFormatError,
            match=f"has format version {FORMAT + 1}; expected {FORMAT} or 1. Read it with",
        ):
            ik.load_result(folder)
