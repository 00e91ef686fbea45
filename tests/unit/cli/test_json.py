"""--json: one document on stdout, nothing else there; its form is that of the documentation."""

from __future__ import annotations

import json
import math

import msgspec
import pytest

from ivimkit.cli.answers import (
    catalogue_answer,
    check_answer,
    design_answer,
    json_answer,
    table_answers,
)

FORMS = {
    "fit": table_answers.FitAnswer,
    "check": check_answer.CheckAnswer,
    "compare": table_answers.CompareAnswer,
    "roi": table_answers.RoiAnswer,
    "repeat": table_answers.RepeatAnswer,
    "design": design_answer.DesignAnswer,
    "methods": catalogue_answer.CatalogueAnswer,
}


@pytest.fixture
def answer(run):
    """Return a function that runs a command with --json and checks the form of its document."""

    def _answer(command, *args, code=0):
        result = run(command, *args, "--json", code=code)
        # Refuses NaN, which is no JSON.
        content = json.loads(result.stdout, parse_constant=pytest.fail)
        assert content["format"] == f"ivimkit {command}"
        msgspec.convert(content, FORMS[command])
        return content, result.stderr

    return _answer


def test_fit_roi_and_repeat(answer, run, folder, scan):
    out = folder / "out"
    common = (scan, "--mask", "mask.nii.gz", "--no-figures", "--uncertainty", "curvature")
    content, said = answer("fit", *common, "--sigma", "25", "--out", out)
    [fitted] = content["scans"]
    assert (fitted["folder"], fitted["model"], fitted["method"]) == (str(out), "biexp", "varpro")
    D = next(row for row in fitted["maps"] if row["map"] == "D")
    assert 0.5e-3 < D["q25"] <= D["median"] <= D["q75"] < 3e-3
    assert D["sd"] > 0
    assert content["units"]["D"] == D["unit"] == "mm^2/s"
    assert sum(row["n"] for row in fitted["status"] if row["name"] == "OK") <= fitted["n_voxels"]
    assert "voxels" in said
    labels = ("--labels", folder / "labels.nii.gz", "--maps", "D,f")
    content, _ = answer("roi", out, *labels, "--lesion", "2", "--reference", "1", "--subject", "x")
    assert {row["subject"] for row in content["maps"]} == {"x"}
    assert {row["map"] for row in content["maps"]} == {"D", "f"} == set(content["units"])
    assert content["sentence"].count(".") >= 1 or content["sentence"]
    assert {row["map"] for row in content["comparison"]} == {"D", "f"}
    # The same numbers as in a file.
    run("roi", out, *labels, "--out", folder / "table.json", "-q")
    rows = json.loads((folder / "table.json").read_text())["maps"]
    assert [row["mean"] for row in rows] == [row["mean"] for row in content["maps"]]
    content, _ = answer("repeat", out, out, "--maps", "D")
    assert content["repeatability"][0]["within_sd"] == 0.0
    assert [row["session"] for row in content["values"]] == [1, 2]
    assert content["change"] is None


def test_check_says_what_the_tables_say(answer, run, folder, scan):
    options = (scan, "--mask", "mask.nii.gz", "--no-motion", "--snr", "40")
    content, said = answer("check", *options)
    [found] = content["scans"]
    assert found["can_be_fitted"]
    assert found["verdict"] in run("check", *options).stdout
    assert (found["shape"], found["n_volumes"], found["snr"]) == ([24, 18, 2], 13, 40.0)
    assert [row["b"] for row in found["shells"]][:3] == [0.0, 10.0, 20.0]
    assert {row["level"] for row in found["checks"]} == {"ok"}
    assert [row["name"] for row in found["parameters"]] == ["f", "D_star", "D"]
    left = found["perfusion_left"]
    assert left["share"][1][0] == pytest.approx(math.exp(-left["b"][1] * left["D_star"][0]))
    assert said == ""


def test_a_scan_that_fails_is_in_the_document_and_the_exit_code_stays(answer, run, folder, scan):
    nix = folder / "nix.nii"
    content, said = answer("check", scan, nix, "--no-motion", "--bmax", "30", code=2)
    assert [one["can_be_fitted"] for one in content["scans"]] == [False, False]
    assert "b-values" in content["scans"][0]["error"]
    assert content["scans"][1]["error"] in said
    content, said = answer("compare", scan, nix, "--no-figures", "--out", folder / "c", code=2)
    assert content["scans"][0]["error"] is None
    assert "there is no file" in content["scans"][1]["error"]
    content, _ = answer("fit", nix, "--out", folder / "f", code=2)
    assert content["scans"][0]["maps"] == []
    # A call that is wrong has no document.
    assert run("fit", scan, "--organ", "nix", "--json", code=2).stdout == ""


def test_compare(answer, folder, scan):
    options = ("--labels", "labels.nii.gz", "--models", "monoexp,biexp", "--no-figures", "-q")
    content, said = answer("compare", scan, *options)
    [found] = content["scans"]
    assert found["models"] == ["monoexp", "biexp"]
    assert len(found["verdicts"]) == len(found["regions"]) > 1
    for row in found["regions"]:
        assert row["share_monoexp"] is None or 0.0 <= row["share_monoexp"] <= 1.0
    assert content["criterion"] == "aicc"
    assert said == ""


def test_design_and_methods(answer):
    content, _ = answer(
        "design", "--organ", "liver", "--snr", "40", "--n", "8", "--wanted", "D=5%"
    )
    assert sum(content["averages"]) == content["volumes"] == len(content["order"]["b"]) == 8
    assert {row["parameter"] for row in content["expected_errors"]} == {"f", "D_star", "D"}
    assert content["needed"][0]["name"] == "D"
    assert content["compared"][0]["protocol"] == "design"
    assert content["units"]["D"] == "mm^2/s"
    content, _ = answer("methods")
    names = {one["name"]: one for one in content["methods"]}
    assert names["varpro"]["options"]["noise"] == "gaussian"
    assert "biexp" in names["varpro"]["models"]
    assert "monoexp" in [one["name"] for one in content["models"]]
    assert {"liver", "kidney"} <= {one["name"] for one in content["organs"]}


def test_odd_names_and_numbers_are_json():
    text = json_answer.json_text({"name \udcff": [float("inf"), float("nan"), 1.5]})
    assert json.loads(text) == {"name \\udcff": [None, None, 1.5]}
