"""Options from a file (--config) and from a result (--like), and ivimkit config, end to end."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest

from ivimkit import io

SETTINGS = """
mask = "mask.nii.gz"

[fit]
method = "segmented"
option = {steps = 2}
bounds = {f = "0:0.45", D = "0:0.0033333333333333335"}
bmax = 600
figures = false
quiet = true
"""


@pytest.fixture
def first(run, folder, scan, tmp_path):
    """The folder of a result that was fitted with a settings file, and the file."""
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    run("fit", scan, "--config", file, "--out", folder / "first")
    return folder / "first", file


def same_maps(one, other):
    one, other = io.load_result(one), io.load_result(other)
    assert list(one.maps) == list(other.maps)
    for name in one.maps:
        np.testing.assert_array_equal(one.maps[name], other.maps[name])
    np.testing.assert_array_equal(one.status, other.status)


def test_a_file_sets_options_and_the_record_has_them(first):
    result = io.load_result(first[0])
    assert result.method.options() == {"b_split": 200.0, "steps": 2}
    assert result.settings.reading.bmax == 600.0
    assert result.model["f"].upper == 0.45
    assert not (first[0] / "figures").exists()
    call = result.settings.call
    assert "--config" not in call
    assert "--option steps=2 --bounds f=0:0.45" in call
    assert "--bmax 600 " in call


def test_the_command_line_wins(run, folder, scan, first):
    options = ("--bmax", "800", "--bounds", "f=0:0.6", "--no-quiet", "--out", folder / "second")
    text = run("fit", scan, "--config", first[1], *options).stdout
    assert "segmented" in text
    result = io.load_result(folder / "second")
    assert result.settings.reading.bmax == 800.0
    # Of NAME=VALUE, each name on its own.
    assert result.model["f"].upper == 0.6
    assert result.model["D"].upper == 0.0033333333333333335


def test_a_wrong_file_stops_before_anything_is_written(run, folder, scan, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text("[report]\nlesoin = 'a'\n")
    log = tmp_path / "run.log"
    error = run("fit", scan, "--config", file, "--log", log, "--out", folder / "x", code=2).stderr
    assert "did you mean lesion?" in error
    assert not log.exists()
    assert not (folder / "x").exists()
    assert "there is no settings file" in run("fit", scan, "--config", "nix.toml", code=2).stderr


def test_a_settings_file_of_a_result_gives_the_same_bits(run, folder, scan, first, tmp_path):
    file = tmp_path / "again.toml"
    assert run("config", "--from", first[0], "--out", file).stdout.strip().endswith("again.toml")
    text = file.read_text()
    assert tomllib.loads(text)["fit"] == {
        "mask": "mask.nii.gz",
        "bmax": 600,
        "model": "biexp",
        "bounds": ["f=0:0.45", "D=0:0.0033333333333333335"],
        "method": "segmented",
        "option": ["steps=2"],
    }
    assert text == run("config", "--from", first[0]).stdout
    run("fit", scan, "--config", file, "--no-figures", "-q", "--out", folder / "again")
    same_maps(first[0], folder / "again")
    assert "exists already" in run("config", "--from", first[0], "--out", file, code=2).stderr
    run("config", "--from", first[0], "--out", file, "--overwrite")


def test_a_fit_like_another(run, folder, scan, first):
    common = (scan, "--mask", "mask.nii.gz", "--no-figures", "-q")
    run("fit", *common, "--like", first[0], "--out", folder / "like")
    run("fit", *common, "--out", folder / "usual")
    same_maps(first[0], folder / "like")
    like, usual = (io.load_result(folder / name) for name in ("like", "usual"))
    assert not np.array_equal(like.maps["D"], usual.maps["D"], equal_nan=True)
    assert "--like" not in like.settings.call
    # The command line wins; what belongs to another method is left.
    run("fit", *common, "--like", first[0], "--bmax", "800", "--method", "varpro",
        "--out", folder / "other")  # fmt: skip
    other = io.load_result(folder / "other")
    assert other.method.name == "varpro"
    assert other.model["f"].upper == 0.45
    assert other.settings.reading.bmax == 800.0


def test_noise_is_measured_again_and_files_are_named(run, folder, scan, made):
    io.save_map(np.full(made.dwi.shape, 20.0), folder / "sd.nii.gz", made.dwi.geometry)
    common = (scan, "--no-figures", "-q", "--model", "monoexp", "--overwrite")
    run("fit", *common, "--sigma", "air", "--out", folder / "air")
    assert tomllib.loads(run("config", "--from", folder / "air").stdout)["fit"]["sigma"] == "air"
    run("fit", *common, "--sigma", "sd.nii.gz", "--fix", "D=sd.nii.gz", "--out", folder / "map",
        code=2)  # fmt: skip
    run("fit", *common, "--sigma", "sd.nii.gz", "--out", folder / "map")
    text = run("config", "--from", folder / "map").stdout
    assert "# sigma = was a map of the noise, whose file is not known" in text
    error = run("fit", *common, "--like", folder / "map", "--out", folder / "like").stderr
    assert "a map of the noise is not taken; for this scan give it (--sigma)" in error


def test_like_of_nothing_and_of_a_foreign_model(run, folder, scan):
    assert "expected the folder of a result" in run("fit", scan, "--like", folder, code=2).stderr
    model = folder / "mine.py"
    model.write_text(
        "import dataclasses\nimport ivimkit as ik\n"
        "MODEL = dataclasses.replace(ik.models.get('monoexp'), name='mine')\n"
    )
    run("fit", scan, "--model", model, "--no-figures", "-q", "--out", folder / "mine")
    error = run("fit", scan, "--like", folder / "mine", code=2).stderr
    assert "was fitted with model 'mine', which is none of those that ivimkit has" in error
    assert "(--model FILE)" in error
    again = ("--like", folder / "mine", "--model", model, "--no-figures", "-q")
    run("fit", scan, *again, "--out", folder / "again")
    same_maps(folder / "mine", folder / "again")


def test_check_and_report_take_a_file(run, folder, scan, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('organ = "liver"\n[check]\nmotion = false\nsnr = 33\n')
    text = run("check", scan, "--config", file).stdout
    assert "at SNR 33" in text
    assert "mean values of liver" in text
    file.write_text("[roi]\nlabels = 'labels.nii.gz'\n[design]\nsnr = 40\nn = 8\n")
    # What is required may be in the file.
    assert "8 volumes" in run("design", "--config", file).stdout
    assert "settings.toml" not in run("roi", folder / "nix", "--config", file, code=2).stderr


def test_a_template_lists_every_option_and_is_a_settings_file(run, tmp_path):
    file = tmp_path / "all.toml"
    run("config", "--out", file)
    content = tomllib.loads(file.read_text())
    assert {"fit", "check", "report", "dicom"} <= set(content)
    assert not any(content["fit"].values())
    # With the defaults that it shows, without the #.
    set_ = re.sub(r"^# (\S+ = )", r"\1", run("config", "fit", "check").stdout, flags=re.M)
    text = re.sub(r"^\S+ =$", "", set_, flags=re.M)
    file.write_text(text)
    assert tomllib.loads(text)["fit"]["average"] == "auto"
    assert "no command has" not in run("fit", "nix.nii", "--config", file, code=2).stderr
    assert "there is no command 'fitt'" in run("config", "fitt", code=2).stderr
    assert "expected one of them" in run("config", "fit", "--from", "a", code=2).stderr
