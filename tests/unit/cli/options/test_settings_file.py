"""The settings file of --config: keys, types, paths and errors, without any work."""

from __future__ import annotations

import pytest
import typer

from ivimkit.cli import app
from ivimkit.cli.options.option_kinds import option_kinds
from ivimkit.cli.options.settings_file import commands_of, settings_of
from ivimkit.errors import FileFormatError, OptionError

COMMANDS = commands_of(typer.main.get_command(app))


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a settings file for a command."""

    def _read(text, command="fit"):
        file = tmp_path / "settings.toml"
        file.write_text(text)
        return settings_of(file, command, COMMANDS)

    return _read


def test_keys_at_the_top_are_for_all_and_those_of_a_table_win(read):
    text = 'organ = "liver"\nbmax = 800\nlesion = "1"\n[fit]\nbmax = 600\n[check]\nmotion = false'
    assert read(text) == {"organ": "liver", "bmax": 600.0}
    assert read(text, "check") == {"organ": "liver", "bmax": 800.0, "motion": False}
    assert read(text, "report") == {"lesion": "1"}


def test_a_name_of_a_command_can_be_that_of_an_option(read):
    assert read('preprocess = "auto"') == {"preprocess": "auto"}
    assert read("[preprocess]\nsteps = 'mask'", "preprocess") == {"steps": "mask"}
    assert read("[dicom.run]\nfirst_series = 7", "dicom run") == {"first_series": 7}


def test_lists_tables_and_numbers_become_what_would_be_typed(read):
    text = """
        bvals = [0, 50, 800]
        sigma = 12.5
        adc-bvalues = "0,800"
        [fit]
        option = {steps = 2, robust = true}
        bounds = ["D=0:5e-3"]
        fix = {D_star = 0.02}
        b_split = 150
    """
    assert read(text) == {
        "bvals": "0,50,800",
        "sigma": "12.5",
        "adc_bvalues": "0,800",
        "option": ["steps=2", "robust=yes"],
        "bounds": ["D=0:5e-3"],
        "fix": ["D_star=0.02"],
        "b_split": 150.0,
    }
    assert read("[design]\nweights = {D = 2, f = 1}", "design") == {"weights": "D=2,f=1"}


def test_paths_are_relative_to_the_file(read, tmp_path):
    text = """
        bval = "b/dwi.bval"
        mask = "mask.nii.gz"
        model = "./mine.py"
        sigma = "maps/sigma.nii.gz"
        prior = "prior.npz"
        fix = {D = "maps/D.nii.gz"}
        out = "out"
        variables = "https://host/table.tsv"
    """
    assert read(f"[fit]\n{text}") == {
        "bval": str(tmp_path / "b/dwi.bval"),
        # A name alone is looked for next to each scan.
        "mask": "mask.nii.gz",
        "model": str(tmp_path / "mine.py"),
        "sigma": str(tmp_path / "maps/sigma.nii.gz"),
        "prior": str(tmp_path / "prior.npz"),
        "fix": [f"D={tmp_path / 'maps/D.nii.gz'}"],
        "out": str(tmp_path / "out"),
        "variables": "https://host/table.tsv",
    }
    words = 'bval = "0,10,800"\nmask = "auto:body"\nmodel = "biexp"\nprior = "flat"\nsigma = "air"'
    assert list(read(words).values()) == ["0,10,800", "auto:body", "biexp", "flat", "air"]
    rois = read('[roi]\nlabels = ["a.nii.gz", "b.nii.gz"]', "roi")
    assert rois == {"labels": [str(tmp_path / "a.nii.gz"), str(tmp_path / "b.nii.gz")]}
    assert read('[repeat]\nlabels = "a.nii.gz"', "repeat") == {"labels": ["a.nii.gz"]}
    # Of a data set, files are named by what they show.
    assert read(
        '[bids]\nmask = "liver"\nsigma = "desc-noise"\nderivatives = {seg = "d"}', "bids"
    ) == {
        "mask": "liver",
        "sigma": "desc-noise",
        "derivatives": [f"seg={tmp_path / 'd'}"],
    }
    assert read('[compare]\nmodels = ["biexp", "./mine.py"]', "compare") == {
        "models": f"biexp,{tmp_path / 'mine.py'}"
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bmxa = 3", r"no command has an option 'bmxa'; did you mean bmax\? Expected one of adc-"),
        ("[fit]\nlesion = 1", r"\[fit\] has no option 'lesion'; .*Expected one of bval, bvec"),
        ("[fitt]\nbmax = 1", r"no command has an option 'fitt'"),
        ("[report]\nlesoin = 'a'", r"\[report\] has no option 'lesoin'; did you mean lesion\?"),
        ("bmax = 'high'", r"bmax is 'high', a text; expected a number"),
        ("bmax = true", r"bmax is true; expected a number"),
        ("[fit]\nstack = 1", r"\[fit\] stack is 1; expected true or false"),
        ("[fit]\nthreads = 1.5", r"\[fit\] threads is 1.5; expected a whole number"),
        ("[fit]\norgan = ['a']", r"\[fit\] organ is \['a'\], a list; expected a text"),
        ("[fit]\naverage = 'gm'", r"average is 'gm'; expected one of auto, geometric, arithmetic"),
        ("[fit]\nbounds = [[0, 1]]", r"bounds is \[0, 1\], a list; expected texts like NAME=LOW"),
        ("[fit]\nmask = ''", r"mask is empty; expected a text. Or leave it out"),
        ("[fit]\nb-split = 1\nb_split = 2", r"\[fit\] sets b-split twice; expected it once"),
    ],
)
def test_errors_say_what_was_got_and_what_was_expected(read, text, message):
    with pytest.raises(OptionError, match=message):
        read(text)


def test_no_file_and_no_toml(read, tmp_path):
    with pytest.raises(FileFormatError, match=r"there is no settings file .*ivimkit config --out"):
        settings_of(tmp_path / "nix.toml", "fit", COMMANDS)
    with pytest.raises(FileFormatError, match=r"are not TOML: .*texts in quotes"):
        read("organ = liver")
    (tmp_path / "latin.toml").write_bytes(b"organ = '\xe4'")
    with pytest.raises(FileFormatError, match="not text in UTF-8"):
        settings_of(tmp_path / "latin.toml", "fit", COMMANDS)


def test_every_working_command_takes_every_option_it_has():
    known = {"fit", "compare", "check", "roi", "report", "preprocess", "bids", "design"}
    assert known | {"simulate", "repeat", "dicom run"} <= set(COMMANDS)
    for name, command in COMMANDS.items():
        options = {one.name for one in command.params if one.param_type_name == "option"}
        kinds = option_kinds(command)
        assert options - set(kinds) <= {"help", "settings", "like_result"}, name
        assert {"log"} <= set(kinds)
