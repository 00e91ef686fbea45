"""The command that makes a result again does, and names no file."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

import ivimkit as ik
from ivimkit import io
from ivimkit.cli import app
from ivimkit.report.rerun_command import rerun

CASES = {
    "defaults": "",
    "volumes": "--bmin 5 --bmax 600 --average arithmetic --tolerance 3 "
    "--method segmented --b-split 150 --option steps=2",
    "chosen volumes": "--volumes 0-8,10-12 --method trr --option two_stage=no --start D_star=0.03",
    "chosen b-values": "--bvals 0,10,20,40,80,200,400,800 "
    "--bounds D=0:4e-3 --bounds f=0:0.6 --fix D_star=0.02",
    "organ": "--organ liver --method segmented",
    "organ and more": "--organ kidney --method trr --start D_star=0.01",
    "noise and weights": "--noise rician --sigma 25.5 --weights 1,1,1,0,1,1,1,1,1,1,1,1,2 "
    "--adc-bvalues 0,400,800",
    "maps": "--uncertainty curvature --sigma sigma.nii.gz --fix D=D.nii.gz",
    "unit": f"--bval {','.join(f'{b / 1000:g}' for b in ik.simulate.B13)} --b-unit ms/um2 "
    "--bmax 0.6 --model sivim --method loglinear --b-split 0.15",
    "bayes": "--method bayes --prior flat --estimate median",
    "bayes by region": "--method bayes --prior learned --labels labels.nii.gz",
    "bayes of an organ": "--method bayes --prior organ --organ liver",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A phantom under a folder and a file name with a name in them."""
    folder = tmp_path_factory.mktemp("Mustermann")
    made = ik.simulate.phantom(shape=(16, 12, 2))
    geometry = made.dwi.geometry
    io.save_scan(made.dwi, folder / "Mustermann.nii.gz")
    io.save_map((made.labels > 0).astype(np.uint8), folder / "Max.nii.gz", geometry)
    halves = np.where(np.arange(16) < 8, 1, 2)[:, None, None] * (made.labels > 0)
    io.save_map(halves, folder / "labels.nii.gz", geometry)
    io.save_map(np.full(made.dwi.shape, 25.0), folder / "sigma.nii.gz", geometry)
    io.save_map(np.full(made.dwi.shape, 1e-3), folder / "D.nii.gz", geometry)
    return folder


def run(folder, line, monkeypatch):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, shlex.split(line)[1:])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", CASES)
def test_the_same_maps_come_out(data, name, tmp_path, monkeypatch):
    first = tmp_path / "first"
    line = f"ivimkit fit Mustermann.nii.gz --mask Max.nii.gz {CASES[name]}"
    run(data, f"{line} --no-figures -q --out {first}", monkeypatch)
    result = ik.load_result(first)
    again = rerun(result)
    assert not again.notes
    assert "Muster" not in again.command
    assert "Max" not in again.command
    # What the placeholders stand for.
    for path in (*data.glob("[lsD]*.nii.gz"), *first.glob("fixed_*.nii.gz")):
        (tmp_path / path.name).symlink_to(path)
    for role, path in {"dwi": "Mustermann", "mask": "Max"}.items():
        (tmp_path / f"{role}.nii.gz").symlink_to(data / f"{path}.nii.gz")
    (tmp_path / "dwi.bval").symlink_to(data / "Mustermann.bval")
    run(tmp_path, f"{again.command} --no-figures -q --out second", monkeypatch)
    second = ik.load_result(tmp_path / "second")
    assert list(second.maps) == list(result.maps)
    for key in result.maps:
        np.testing.assert_array_equal(second.maps[key], result.maps[key])
    np.testing.assert_array_equal(second.status, result.status)


def test_with_names_it_is_a_command_as_it_stands(data, tmp_path, monkeypatch):
    line = (
        f"ivimkit fit Mustermann.nii.gz --mask Max.nii.gz --no-figures -q --out {tmp_path / 'a'}"
    )
    run(data, line, monkeypatch)
    result = ik.load_result(tmp_path / "a")
    command = rerun(result, anonymous=False).command
    assert str(data / "Mustermann.nii.gz") in command
    run(tmp_path, f"{command} --no-figures -q --out b", monkeypatch)
    again = ik.load_result(tmp_path / "b")
    np.testing.assert_array_equal(again.maps["D"], result.maps["D"])


def test_volumes_of_a_stack_are_numbered(tmp_path, monkeypatch):
    made = ik.simulate.phantom(shape=(6, 5, 1), bvals=[0, 20, 60, 200, 800])
    for k in range(5):
        name = f"Muster{k}.nii.gz"
        io.save_map(made.dwi.signal[..., k], tmp_path / name, made.dwi.geometry)
    (tmp_path / "Muster.bval").write_text("0 20 60 200 800")
    names = " ".join(f"Muster{k}.nii.gz" for k in range(5))
    run(
        tmp_path,
        f"ivimkit fit {names} --stack --bval Muster.bval --b-unit s/mm2 --out a -q --no-figures",
        monkeypatch,
    )
    command = rerun(ik.load_result(tmp_path / "a")).command
    assert command.startswith("ivimkit fit dwi_1.nii.gz dwi_2.nii.gz")
    assert "dwi_5.nii.gz --stack --bval dwi.bval" in command


def test_what_the_command_line_cannot_say_is_said():
    dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    profile = ik.uncertainty.Profile(parameters=("D",))
    again = rerun(ik.fit(dwi, uncertainty=profile))
    assert again.command.endswith("--uncertainty profile:parameters=D")
    assert again.notes == ()
    learned = ik.fit(dwi, method=ik.methods.Bayes(prior=ik.priors.Learned(seed=3)))
    assert rerun(learned).notes == ("Option seed = 3 of prior learned can only be set in Python.",)
    table = learned.priors["all"]
    given = rerun(ik.fit(dwi, method=ik.methods.Bayes(prior=table)))
    assert "--prior prior.npz" in given.command
    assert given.notes == ("prior.npz is in the folder of the result.",)


def test_a_scan_that_was_cut_in_python_keeps_its_b_values():
    dwi = ik.simulate.phantom(shape=(6, 5, 1)).dwi.select(bmax=500)
    assert "--bvals 0,10,20,40,80,110,140,170,200,300,400 " in rerun(ik.fit(dwi)).command
