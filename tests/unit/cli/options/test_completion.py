"""Completion of what depends on other words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from ivimkit import io, models
from ivimkit.cli import app
from ivimkit.cli.options.completion import complete_choice, complete_list, complete_step
from made_results import biexp_maps, made_result


@pytest.fixture
def completed():
    """Return a function that completes the last word of a command line, as a shell does."""

    def _completed(*words):
        line = " ".join(("ivimkit", *map(str, words)))
        environment = {
            "_IVIMKIT_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words)),
        }
        done = CliRunner().invoke(app, [], prog_name="ivimkit", env=environment)
        return done.stdout.split()

    return _completed


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("result") / "fit"
    io.save(made_result(biexp_maps((4, 3, 2))), folder)
    return folder


def test_options_of_the_method_and_their_values(completed):
    fit = ("fit", "dwi.nii", "--method", "segmented")
    assert completed(*fit, "--option", "st") == ["steps=3", "steps=2"]
    assert completed("fit", "dwi.nii", "--option", "noise=") == [
        f"noise={kind}" for kind in ("gaussian", "rician", "chi")
    ]
    assert completed("fit", "x", "--option", "noi") == completed("fit", "x", "--option", "noise=")
    assert completed("fit", "x", "--option", "robust=y") == ["robust=yes"]
    assert completed("fit", "x", "--method", "nix", "--option", "n") == []


def test_parameters_of_the_model(completed):
    names = [f"{name}=" for name in models.get("triexp").names]
    assert completed("fit", "x", "--model", "triexp", "--bounds", "") == names
    assert completed("fit", "x", "--fix", "D_") == ["D_star="]


def test_maps_of_the_result(completed, result):
    assert completed("roi", result, "--maps", "D,f") == ["D,f", "D,fD_star"]
    assert completed("roi", result, "--maps", "D,") == [
        f"D,{name}"
        for name in json.loads((result / "fit.json").read_text())["maps"]
        if name != "D"
    ]
    # Without a result, the usual ones.
    assert completed("repeat", "nix", "--maps", "AD") == ["ADC"]


def test_regions(completed, result, tmp_path):
    shape = (4, 3, 2)
    geometry = io.load_result(result).geometry
    for name in ("lesion", "liver"):
        io.save_map(np.ones(shape, np.uint8), tmp_path / f"{name}.nii.gz", geometry)
    numbers = np.arange(24).reshape(shape) % 3
    io.save_map(numbers, tmp_path / "all.nii.gz", geometry)
    masks = ("--labels", tmp_path / "lesion.nii.gz", "--labels", tmp_path / "liver.nii.gz")
    assert completed("roi", result, *masks, "--lesion", "l") == ["lesion", "liver"]
    assert completed("roi", result, *masks, "--lesion", "lesion", "--reference", "li") == ["liver"]
    whole = ("--labels", tmp_path / "all.nii.gz")
    assert completed("report", result, *whole, "--lesion", "") == ["1", "2"]
    (tmp_path / "names.csv").write_text("1,tumour\n2,spleen\n")
    named = (*whole, "--names", tmp_path / "names.csv")
    assert completed("report", result, *named, "--reference", "s") == ["spleen"]
    (tmp_path / "all.tsv").write_text("index\tname\n1\tnode\n2\tliver\n")
    assert completed("roi", result, *whole, "--lesion", "no") == ["node"]
    assert completed("roi", result, "--labels", "nix.nii", "--lesion", "") == ["nix"]


def test_words(completed):
    assert completed("compare", "x", "--models", "biexp,mono") == ["biexp,monoexp"]
    assert completed("fit", "x", "--noise", "r") == ["rician"]
    assert completed("fit", "x", "--device", "c") == ["cpu", "cuda"]
    assert completed("preprocess", "x", "--steps", "align,ou") == ["align,outliers"]
    assert completed("config", "de") == ["design", "demo"]
    assert completed("fit", "x", "--organ", "li") == ["liver"]
    assert completed("fit", "x", "--lik") == ["--like"]
    assert complete_choice("a", "b")("b") == ["b"]
    assert complete_list(lambda: ("a", "b"))("a,") == ["a,b"]
    assert complete_step("au") == ["auto"]
