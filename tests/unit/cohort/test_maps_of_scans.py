"""Maps of each scan: of the noise, and of parameters that they fix; models from files."""

import json
import pickle

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.cohort import Ledger, Recipe, find_in_table, plan, run
from ivimkit.errors import InputError
from unit.cohort.conftest import SHAPE

ONE = ("--participant-label", "01")
MINE = """
from dataclasses import replace
from ivimkit.extend import Compartment, D, SignalModel, decay

MODEL = SignalModel(
    name="mine",
    title="my own model",
    equation="S(b) = S0 exp(-b Dt)",
    compartments=(Compartment("all", decay, (replace(D, name="Dt", symbol="Dt"),)),),
    references=("Me. doi:10.1/2",),
)
"""


@pytest.fixture
def drawn(dataset):
    """The data set, whose derivatives contain maps of both sessions of the first subject."""
    for session, level in ((1, 12.0), (2, 30.0)):
        name = f"sub-01_ses-{session}_acq-ivim"
        home = dataset / "derivatives" / "seg" / "sub-01" / f"ses-{session}" / "dwi"
        geometry = ik.load(next(dataset.rglob(f"{name}_dwi.nii.gz"))).geometry
        for what, value in (("desc-noise", level), ("model-x_param-D", level * 1e-4)):
            ik.io.save_map(np.full(SHAPE, value), home / f"{name}_{what}_dwimap.nii.gz", geometry)
    return dataset


def seg(dataset):
    return ("--derivatives", f"seg={dataset}/derivatives/seg", "--mask", "body")


def test_maps_of_the_derivatives_fix_parameters_and_tell_the_noise(drawn, bids, tmp_path):
    maps = ("--fix", "D=param-D", "--sigma", "desc-noise_dwimap")
    shown = bids(drawn, "participant", *seg(drawn), *maps)
    assert "2 scans fitted" in shown
    assert "sub-02_ses-1_acq-ivim_dwi.nii.gz: the derivatives contain no map of D of it" in shown
    for session, level in (("ses-1", 12.0), ("ses-2", 30.0)):
        found = next((tmp_path / "out" / "sub-01" / session).rglob("*_param-D_dwimap.nii.gz"))
        values = nib.load(found).get_fdata()
        np.testing.assert_allclose(values[np.isfinite(values)], level * 1e-4, rtol=1e-6)
    record = json.loads(next((tmp_path / "out").rglob("*ses-1*_fit.json")).read_text())
    assert record["settings"]["sigma"] == "map"
    names = {one.name for one in Ledger(tmp_path / "out").read("sub-01_ses-1_acq-ivim").inputs}
    assert "sub-01_ses-1_acq-ivim_model-x_param-D_dwimap.nii.gz" in names
    # Another map is another input.
    path, other = (next(drawn.rglob(f"*ses-{k}*desc-noise_dwimap.nii.gz")) for k in (1, 2))
    path.write_bytes(other.read_bytes())
    shown = bids(drawn, "participant", *seg(drawn), *maps, code=2)
    assert "other inputs or another version for 1 of the scans" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sigma", "noise"), "--sigma is 'noise'; expected a number, or the entities"),
        (("--fix", "D=colour-red"), "--fix D is 'colour-red'; expected a number, or the entities"),
        (("--fix", "Q=param-D"), "has no parameter 'Q'"),
    ],
)
def test_wrong_names_are_refused(drawn, bids, options, message):
    assert message in bids(drawn, "participant", *seg(drawn), *ONE, *options, code=2)


def test_maps_need_derivatives_and_one_choice(drawn, bids):
    shown = bids(drawn, "participant", "--sigma", "desc-noise", code=2)
    assert "--sigma is 'desc-noise', and no derivatives are given" in shown
    path = next(drawn.rglob("*ses-1*desc-noise_dwimap.nii.gz"))
    path.with_name(path.name.replace("desc-noise", "res-1_desc-noise")).write_bytes(
        path.read_bytes()
    )
    shown = bids(drawn, "participant", *seg(drawn), *ONE, "--sigma", "desc-noise", code=2)
    assert "2 images of the derivatives could be the map of sigma" in shown


def test_maps_of_a_table(drawn, bids, tmp_path):
    here = "sub-01/ses-1/dwi/sub-01_ses-1_acq-ivim"
    table = drawn / "paths.csv"
    table.write_text(
        "participant_id,scan,bval,sigma\n"
        f"1,{here}_dwi.nii.gz,acq-ivim_dwi.bval,"
        f"derivatives/seg/{here}_desc-noise_dwimap.nii.gz\n"
        f"2,{here}_dwi.nii.gz,acq-ivim_dwi.bval,n/a\n"
    )
    assert "expected a number or map" in bids(table, "participant", "--sigma", "desc-x", code=2)
    shown = bids(table, "participant", "--sigma", "map", code=1)
    assert "there is no map of sigma for sub-2; expected one for each scan" in shown
    assert "1 scan fitted" in shown


def test_a_model_from_a_file(dataset, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    table = dataset / "paths.csv"
    scan = "sub-01/ses-1/dwi/sub-01_ses-1_acq-ivim_dwi.nii.gz"
    table.write_text(f"participant_id,scan,bval\n1,{scan},acq-ivim_dwi.bval\n")
    recipe = Recipe.of(method="loglinear", model_file=file, report=False)
    # As a worker gets it.
    sent = pickle.loads(pickle.dumps(recipe))
    planned = plan(find_in_table(table), tmp_path / "out", sent, n_procs=0)
    assert run(planned).counts["done"] == 1
    assert next((tmp_path / "out").rglob("*_model-mine_param-Dt_dwimap.nii.gz"))
    record = json.loads(next((tmp_path / "out").rglob("*_fit.json")).read_text())
    (source,) = (one for one in record["provenance"]["sources"] if one["role"] == "model")
    assert source["sha256"] == recipe.model_file.sha256

    file.write_text(MINE + "# changed\n")
    assert Recipe.of(model_file=file).digest() != recipe.digest()
    with pytest.raises(InputError, match=r"does not find the model file .* as it was"):
        type(recipe.model_file)(file, "0").load()
