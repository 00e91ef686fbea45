"""save_comparison: maps that say what they are, in a folder that is whole or not there."""

import json

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import InputError, OutputExistsError
from ivimkit.io import check_comparison, map_folder

MAPS = {"chosen", "weight_monoexp", "weight_sivim", "weight_biexp", "D_averaged", "f_averaged"}


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(shape=(12, 10, 2))


@pytest.fixture(scope="module")
def comparison(made):
    return ik.compare(made.dwi)


def contents(folder):
    return {path.name for path in folder.iterdir()}


def test_every_map_is_a_file_with_a_sidecar(tmp_path, comparison, made):
    ik.save_comparison(comparison, tmp_path / "out")
    files = {f"{name}{suffix}" for name in MAPS for suffix in (".nii.gz", ".json")}
    assert contents(tmp_path / "out") == {*files, "comparison.json"}
    for name in MAPS:
        image = nib.load(tmp_path / "out" / f"{name}.nii.gz")
        assert image.get_data_dtype() == (np.int32 if name == "chosen" else np.float32)
        np.testing.assert_array_equal(image.affine, np.float32(made.dwi.affine))
        values = np.asarray(image.dataobj)
        kind, _, of = name.partition("_")
        if name == "chosen":
            expected = comparison.chosen
        else:
            maps = comparison.weights if kind == "weight" else comparison.averaged
            expected = np.float32(maps[of if kind == "weight" else kind])
        np.testing.assert_array_equal(values, expected)
        about = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert about["Name"] == name
        assert about["Criterion"] == "aicc"
        assert about["Models"] == ["monoexp", "sivim", "biexp"]
        assert about["Units"] == ("mm^2/s" if kind == "D" else "1")
        assert "doi:10.1007/b97636" in " ".join(about["References"])
    chosen = json.loads((tmp_path / "out" / "chosen.json").read_text())["Values"]
    assert {key: value.split(":")[0] for key, value in chosen.items()} == {
        "-1": "none",
        "0": "monoexp",
        "1": "sivim",
        "2": "biexp",
    }


def test_the_record_is_enough_to_do_it_again(tmp_path, made):
    comparison = ik.compare(
        made.dwi, models=("monoexp", "biexp"), criterion="f_test", alpha=0.01, sigma=25.0
    )
    ik.save_comparison(comparison, tmp_path)
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert record["format"] == "ivimkit comparison"
    assert (record["models"], record["criterion"]) == (["monoexp", "biexp"], "f_test")
    assert (record["alpha"], record["left_out"]) == (0.01, {})
    assert set(record["files"]) == contents(tmp_path)
    assert record["files"][-1] == "comparison.json"
    for name in record["models"]:
        result = comparison.results[name]
        fit = record["fits"][name]
        assert fit["settings"]["model"]["equation"] == result.model.equation
        assert fit["settings"]["sigma"] == 25.0
        assert fit["settings"]["method"]["name"] == "varpro"
        assert fit["settings"]["call"] == "ivimkit.compare"
        assert fit["provenance"]["versions"] == dict(result.provenance.versions)


def test_a_comparison_is_replaced_only_if_asked_for(tmp_path, comparison, made):
    ik.save_comparison(comparison, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = (tmp_path / "comparison.json").read_bytes()
    for refuse in (
        lambda: check_comparison(tmp_path),
        lambda: ik.save_comparison(comparison, tmp_path),
    ):
        with pytest.raises(OutputExistsError, match=r"already contains results .*--overwrite"):
            refuse()
    assert (tmp_path / "comparison.json").read_bytes() == before
    check_comparison(tmp_path, overwrite=True)
    other = ik.compare(made.dwi, models=("monoexp", "biexp"), criterion="bic")
    ik.save_comparison(other, tmp_path, overwrite=True)
    gone = {"weight_sivim.nii.gz", "weight_sivim.json"}
    assert not gone & contents(tmp_path)
    assert "notes.txt" in contents(tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text())["criterion"] == "bic"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputExistsError, match="is a file; expected a folder"):
        check_comparison(tmp_path / "out")


def test_nothing_is_left_half_written(tmp_path, comparison, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(map_folder, "write_json", full)
    with pytest.raises(InputError, match="No space left"):
        ik.save_comparison(comparison, tmp_path / "out")
    assert not contents(tmp_path)
