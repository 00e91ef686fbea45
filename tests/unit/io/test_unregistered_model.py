"""A result of a model that ivimkit does not know is saved, loaded and shown without equation."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import ivimkit as ik
from ivimkit.cli import app
from ivimkit.errors import OptionError
from ivimkit.report.rerun_command import rerun
from ivimkit.viewer.scene import describe_scene
from ivimkit.viewer.study import Study
from ivimkit.viewer.voxel_answer import describe_voxel
from ivimkit.viewer.voxel_refit import refit_voxel

MINE = replace(
    ik.models.get("biexp"), name="mine", title="my own model", references=("Me. doi:10.1/2",)
).with_bounds(D=(0, 3e-3))


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(shape=(16, 12, 1))


@pytest.fixture(scope="module")
def fitted(made):
    return ik.fit(made.dwi, model=MINE, uncertainty="curvature")


@pytest.fixture(scope="module", params=["sum of decays", "anything"])
def loaded(request, fitted, tmp_path_factory):
    """Of a model that says which of its parameters are those of decays, and of one that does not.

    The second cannot be fitted today; its result is made from that of the first.
    """
    folder, result = tmp_path_factory.mktemp("mine") / "out", fitted
    if request.param == "anything":
        settings = replace(
            fitted.settings, model=replace(MINE, compartments=(), ascending=(), products=())
        )
        result = replace(fitted, settings=settings)
    ik.save(result, folder)
    return replace(ik.load_result(folder), dwi=fitted.dwi), result, folder


def test_maps_status_texts_and_parameters_come_back(loaded):
    back, result, _ = loaded
    assert not back.model.has_equation
    assert back.model.parameters == result.model.parameters
    assert back.model.unseen == result.model.unseen
    assert back.model.products == result.model.products
    assert replace(back.settings, model=MINE) == replace(result.settings, model=MINE)
    assert list(back.maps) == list(result.maps)
    np.testing.assert_array_equal(back.status, result.status)
    assert back.counts() == result.counts()
    assert back.sentence((8, 6, 0)) == result.sentence((8, 6, 0))
    for name in ("f", "D_star", "D", "fD_star"):
        stored = result.reliable(name).astype(np.float32)
        np.testing.assert_array_equal(back.reliable(name), stored)


def test_what_needs_the_equation_asks_for_the_model(loaded):
    back, result, folder = loaded
    with pytest.raises(OptionError, match="equation of model mine is not known") as caught:
        back.predict([0, 100])
    assert any("model=" in note for note in caught.value.__notes__)
    with pytest.raises(OptionError, match="equation of model mine is not known"):
        ik.quality.residuals(back)
    again = ik.load_result(folder, model=MINE)
    expected = result.predict([0, 100], model=MINE).astype(np.float32)
    for signal in (back.predict([0, 100], model=MINE), again.predict([0, 100])):
        np.testing.assert_allclose(signal, expected, rtol=1e-6)
    assert again.model["D"].upper == 3e-3


def test_another_model_is_refused(loaded):
    back, _, folder = loaded
    with pytest.raises(OptionError, match=r"given, sivim, has the parameters S0, f, D; expected"):
        ik.load_result(folder, model="sivim")
    with pytest.raises(OptionError, match=r"model monoexp has the parameters S0, ADC; expected"):
        back.predict([0], model=ik.models.get("monoexp"))


def test_report_and_tables_do_without(loaded, made):
    back = loaded[0]
    names = {key: name for key, name in made.label_names.items() if name in ("liver", "lesion")}
    labels = ik.Labels(np.where(np.isin(made.labels, list(names)), made.labels, 0), names)
    # The contrast compares values of voxels, whatever the model.
    contrast = {"lesion": "lesion", "reference": "liver"} if back.model.compartments else {}
    page = ik.report.build(back, labels=labels, **contrast).html
    assert "my own model" in page
    assert "note = {Me. doi:10.1/2}" in page
    assert "There are no fitted curves" in page
    assert "The equation of model mine is not known, so" in page
    again = rerun(back)
    assert "--model mine" in again.command
    assert "Model mine is not one of" in again.notes[0]
    table = ik.quality.roi_table(back, labels, mean_fit=False)
    expected = ik.quality.roi_table(loaded[1], labels, mean_fit=False)
    np.testing.assert_allclose(table["mean"], expected["mean"], rtol=1e-6)


def test_the_viewer_shows_what_was_measured(loaded):
    study = Study.of([loaded[0]])
    assert describe_scene(study)["results"][0]["model"] == "mine"
    fit = describe_voxel(study, (8, 6, 0))["fits"][0]
    assert np.isnan(fit["curve"]["signal"]).all()
    assert any(row["name"] == "D" and np.isfinite(row["value"]) for row in fit["estimates"])
    assert "biexp" in refit_voxel(study, {"voxel": [8, 6, 0], "model": "biexp"})["name"]
    with pytest.raises(OptionError, match=r"equation of model mine|mine"):
        refit_voxel(study, {"voxel": [8, 6, 0]})


@pytest.mark.parametrize("loaded", ["anything"], indirect=True)
def test_figures_say_that_there_are_no_curves(loaded, tmp_path, made):
    ik.io.save_scan(made.dwi, tmp_path / "dwi.nii.gz")
    voxel = ("--voxel", "8,6,0", "--scan", tmp_path / "dwi.nii.gz")
    words = ["plot", loaded[2], "--out", tmp_path / "figures", *voxel]
    told = CliRunner().invoke(app, [str(word) for word in words])
    assert told.exit_code == 0, told.stderr
    assert "no curves and no residuals: the equation of model mine is not known" in told.stderr
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"maps.png", "voxel_8_6_0.png"} <= names
    assert "residuals.png" not in names


@pytest.mark.parametrize("loaded", ["sum of decays"], indirect=True)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"compartments": [{"name": "fat", "parameters": ["T2"]}]},
            "compartments: 'T2' is not a parameter of the model",
        ),
        ({"ascending": [["D", "T2"]]}, "names a parameter 'T2' that it does not have"),
        ({"parameters": []}, "parameters: expected a list of length >= 1"),
        ({"equation": 3}, "equation: expected a text"),
    ],
)
def test_a_record_that_contradicts_itself(loaded, tmp_path, change, message):
    ik.save(loaded[1], tmp_path / "out")
    path = tmp_path / "out" / "fit.json"
    record = json.loads(path.read_text())
    record["settings"]["model"].update(change)
    path.write_text(json.dumps(record))
    with pytest.raises(ik.errors.FileFormatError, match=message):
        ik.load_result(tmp_path / "out")
