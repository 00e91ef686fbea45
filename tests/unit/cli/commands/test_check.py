"""ivimkit check: what is printed, and the exit code."""

from __future__ import annotations

import re
import shutil

import nibabel as nib
import numpy as np
import pytest

from ivimkit import DWI, io, simulate
from ivimkit.simulate import B13


def rows(text: str, title: str) -> dict[str, list[str]]:
    """Return the rows of a table, by their first word."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(title)) + 2
    found = {}
    for line in lines[start:]:
        if not line.strip() or line.startswith(("SNR", "Noise")):
            break
        first, *others = line.split()
        found[first] = others
    return found


def test_sound_scan(run, scan, folder, made):
    text = run("check", scan, "--mask", folder / "mask.nii.gz").stdout
    assert text.startswith(f"{scan}\n24 x 18 x 2 voxels of ")
    assert "mask: " in text
    assert "ok      13 b-values for 13 volumes, 0 to 800 s/mm²" in text
    assert "ok      13 distinct b-values for the 4 free parameters of biexp" in text
    assert "ok      the choice of b-values is sound for biexp" in text
    assert text.endswith("can be fitted with model biexp by method varpro\n")
    assert "ok      volumes and b-values belong together" in text
    (noise,) = (line for line in text.splitlines() if line.startswith("Noise: "))
    assert re.match(r"Noise: sigma \S+ a\.u\. from the background, \d+ voxels\. ", noise)
    assert "Noise floor, where a method subtracts one: sigma " in text
    tables = [line for line in text.splitlines() if line[:1].isdigit() or line[:1] == " "]
    assert max(map(len, tables)) <= 80
    shells = rows(text, "b-values")
    assert list(shells) == [str(b) for b in B13]
    mean = made.dwi.signal[made.dwi.mask][:, 0].mean()
    assert shells["0"][:3] == ["1", "–", f"{mean:.3g}"]
    assert shells["0"][3] == "–"


def test_snr_from_repeats(run, folder):
    made = simulate.phantom(shape=(24, 18, 2), bvals=[0, 0, 0, 50, 400, 400, 800], snr=50)
    io.save_scan(made.dwi, folder / "repeats.nii.gz")
    io.save_map(made.dwi.mask.astype(np.uint8), folder / "inside.nii.gz", made.dwi.geometry)
    options = ("--mask", folder / "inside.nii.gz")
    text = run("check", folder / "repeats.nii.gz", *options).stdout
    shells = rows(text, "b-values")
    assert float(shells["0"][-2]) == pytest.approx(50, rel=0.15)
    assert float(shells["0"][-1]) == pytest.approx(50 * 3**0.5, rel=0.15)
    assert shells["50"][-2].startswith("~")
    assert "; ~ with the noise found at b = 0, 400." in text
    assert text.count("Directions are unknown") == 1
    (line,) = (line for line in text.splitlines() if line.startswith("Noise: "))
    found = re.match(r"Noise: sigma (\S+) a\.u\. from repeated volumes, (\d+) voxels\. (.*)", line)
    assert float(found[1]) == pytest.approx(made.sigma, rel=0.15)
    assert int(found[2]) == made.dwi.n_voxels
    assert found[3].startswith("Repeated volumes (b = 0, 400) differ only by noise")


def test_directions(run, folder, made):
    twice = DWI(np.repeat(made.dwi.signal, 2, axis=-1), np.repeat(B13, 2))
    io.save_scan(twice, folder / "two.nii.gz")
    directions = np.zeros((3, 26))
    directions[0, ::2] = directions[1, 1::2] = 1.0
    np.savetxt(folder / "two.bvec", directions)
    text = run("check", folder / "two.nii.gz").stdout
    assert rows(text, "b-values")["800"][:2] == ["2", "2"]
    assert rows(text, "b-values")["0"][:2] == ["2", "0"]


def test_coverage(run, scan):
    text = run("check", scan, "--bvals", "0,10,20,40,110,140,170,800").stdout
    assert "10-50     perfusion: f and D*  thin" in text
    assert "100-200   transition           good" in text
    assert "10, 20, 30, 40, 50" in text
    assert "missing" in run("check", scan, "--bvals", "0,10,20,40,800").stdout


def test_perfusion_left(run, scan):
    left = rows(run("check", scan, "--b-split", "150").stdout, "Perfusion signal left")
    assert left["100" if "100" in left else "110"] == ["33.3", "11.1", "0.4"]
    assert left["150"] == ["22.3", "5.0", "0.1", "threshold"]
    text = run("check", scan).stdout
    assert "all 864 voxels, air included" in text
    default = rows(text, "Perfusion signal left")
    assert default["200"][-1] == "threshold"
    options = ("--method", "segmented", "--option", "b_split=300")
    own = rows(run("check", scan, *options).stdout, "Perfusion signal left")
    assert own["300"][-1] == "threshold"
    organ = rows(run("check", scan, "--organ", "liver").stdout, "Perfusion signal left")
    assert organ["200"][-1] == "threshold"


def test_warnings_of_the_library(run, scan):
    text = run("check", scan, "--bvals", "0,110,140,200").stdout
    assert "warning 4 distinct b-values; expected 8 or more" in text
    assert "warning no b-value above 0 and up to 50" in text
    assert "sound" not in text


def test_broken_voxels(run, folder, made):
    signal = made.dwi.signal.copy(order="F")
    signal[3, 3, 0] = np.nan
    signal[4, 3, 0] = np.inf
    signal[5, 3, 0, 2] = np.nan
    io.save_scan(DWI(signal, B13), folder / "nan.nii.gz")
    text = run("check", folder / "nan.nii.gz").stdout
    assert "warning 2 voxels have a NaN or infinite signal in all volumes and will" in text
    assert "of the values are NaN or infinite: they are missing, and fits do without" in text


def test_what_the_steps_before_the_fit_see(run, folder):
    bvals = [0, 10, 20, 40, 0, 110, 170, 200, 0, 400, 600, 800, 0]
    spoiled = simulate.Artefacts(drift=simulate.Drift(5))
    made = simulate.phantom(shape=(48, 36, 2), bvals=bvals, artefacts=spoiled)
    signal = made.dwi.signal.copy(order="F")
    signal[:, :, 1, 9] *= 0.6
    io.save_scan(made.dwi.with_signal(signal), folder / "spoiled.nii.gz")
    text = run("check", folder / "spoiled.nii.gz").stdout
    drift = re.search(r"Signal drift: -(\d\.\d) % ± 0\.\d % of the signal, as 4 images", text)
    assert float(drift[1]) == pytest.approx(5.0, abs=0.3)
    assert "Drop-outs and outliers: volume 9 in slice 1 (signal × 0." in text
    io.save_scan(simulate.phantom(shape=(48, 36, 2)).dwi, folder / "one.nii.gz")
    text = run("check", folder / "one.nii.gz").stdout
    assert "Signal drift: cannot be seen, as there is one image at b = 0" in text
    assert "Drop-outs and outliers: none found." in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--bvals", "0,400,800"), "3 distinct b-values"),
        (("--method", "loglinear"), "cannot estimate D_star of model biexp"),
        (("--method", "trr", "--bmax", "300"), "a line needs two b-values with b >= 400"),
    ],
)
def test_scan_that_cannot_be_fitted(run, scan, options, reason):
    text = run("check", scan, *options, code=2).stdout
    assert any(line.startswith("error   ") and reason in line for line in text.splitlines())
    assert "cannot be fitted with model" in text
    assert "Perfusion signal left" in text


def test_simpler_model_can_be_fitted(run, scan):
    text = run("check", scan, "--bvals", "0,400,800", "--model", "sivim").stdout
    assert "can be fitted with model sivim" in text


def test_scan_that_cannot_be_read(run, folder):
    assert "there is no file" in run("check", folder / "nix.nii.gz", code=2).stderr
    (folder / "dwi.bval").write_text("0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1 1.1 1.2")
    assert "--b-unit" in run("check", folder / "dwi.nii.gz", code=2).stderr


def test_several_scans(run, scan, folder):
    result = run("check", folder / "nix.nii.gz", scan, code=2)
    assert "can be fitted" in result.stdout
    assert "there is no file" in result.stderr


def test_stack(run, folder, made):
    paths = [folder / f"b{k:02d}.nii.gz" for k in range(13)]
    for k, path in enumerate(paths):
        io.save_map(made.dwi.signal[..., k], path, made.dwi.geometry)
    text = run("check", *paths, "--stack", "--bval", folder / "dwi.bval").stdout
    assert f"{paths[0]} and 12 more: can be fitted" in text


def test_mask_elsewhere_is_a_warning(run, scan, folder, made):
    affine = made.dwi.affine.copy()
    affine[0, 3] += 4.0
    moved = type(made.dwi.geometry)(affine)
    io.save_map(made.dwi.mask.astype(np.uint8), folder / "moved.nii.gz", moved)
    result = run("check", scan, "--mask", folder / "moved.nii.gz")
    assert "warning: the mask" in result.stderr
    assert "By position, it is resampled to the scan, nearest" in result.stderr


def test_prostate(run, shared_data, tmp_path):
    path = tmp_path / "dwi.nii.gz"
    whole = nib.load(shared_data / "prostate" / "dwi.nii.gz")
    nib.save(whole.slicer[30:60, 30:60, 4:6], path)
    shutil.copy(shared_data / "prostate" / "dwi.bval", path.with_name("dwi.bval"))
    text = run("check", path).stdout
    assert "the highest b-value is 2000 s/mm^2; expected up to 1500" in text
    assert "can be fitted" in text


def test_that_sform_and_qform_differ_is_said_once(run, folder, scan):
    image = nib.load(scan)
    moved = image.affine.copy()
    moved[0, 3] += 9.0
    image.set_qform(moved, 1)
    image.set_sform(image.affine, 1)
    nib.save(image, folder / "two.nii.gz")
    bval = folder / "dwi.bval"
    result = run("check", folder / "two.nii.gz", "--bval", bval)
    said = result.stdout + result.stderr
    assert said.count("differ by up to 9 mm") == 1


def test_errors_of_the_parameters(run, scan):
    words = ("check", scan, "--organ", "liver", "--snr", "40")
    text = run(*words).stdout
    assert "What the scan can tell of each parameter at SNR 40" in text
    assert "D can be estimated per voxel." in text
    assert re.search(r"D\* cannot be estimated per voxel at this SNR; regions of \d+ voxels", text)
    assert "simulated fits by" not in text
    others = [run("check", scan, "--organ", *rest).stdout for rest in (
        ("liver", "--snr", "10"), ("brain", "--snr", "40"))]  # fmt: skip
    assert len({text, *others}) == 3
    simulated = run(*words, "--monte-carlo", "100").stdout
    assert "100 simulated fits by varpro" in simulated
    assert "bias (fits)" in simulated


def test_errors_without_a_known_snr(run, folder, made):
    """Without repeats and without air."""
    cut = DWI(np.where(made.dwi.mask[..., None], made.dwi.signal, 0), B13)
    io.save_scan(cut, folder / "cut.nii.gz")
    text = run("check", folder / "cut.nii.gz").stdout
    (noise,) = (line for line in text.splitlines() if "measured twice" in line)
    assert noise.startswith(
        "Noise: cannot be estimated from this scan, so no SNR: no b-value and direction"
    )
    assert noise.endswith("give it to ivimkit fit (--sigma).")
    text = " ".join(text.split())
    assert "The SNR is not known from this scan. Give it (--snr N)" in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--snr", "0"), "--snr is 0.0; expected a number > 0"),
        (
            ("--monte-carlo", "3"),
            "--monte-carlo is 3; expected a number of simulated fits from 10",
        ),
    ],
)
def test_errors_at_an_impossible_snr(run, scan, options, reason):
    assert reason in " ".join(run("check", scan, *options, code=2).stderr.split())


def test_a_file_of_means_is_fitted_as_means(run, folder, made):
    """--averages: numbers, a column, and what is wrong with others."""
    path = folder / "means.nii.gz"
    io.save_scan(made.dwi, path)
    (folder / "means_volumes.csv").write_text("b,NSA\n" + "".join(f"{b},4\n" for b in B13))
    own = (path, "--mask", folder / "mask.nii.gz")
    text = run("check", *own, "--averages", "NSA").stdout
    assert " NSA" not in text.split("b-values")[1].split("\n\n")[0]
    assert "averaged" in text
    twice = re.search(r"at SNR (\S+)", run("check", *own, "--averages", "4").stdout)[1]
    once = re.search(r"at SNR (\S+)", run("check", *own, "--averages", "1").stdout)[1]
    assert float(twice) == pytest.approx(2 * float(once), rel=0.02)
    for wrong, reason in (
        ("nsa", "averages is 'nsa', which is not a column of the volumes; expected a number"),
        ("0.5", "--averages is '0.5'; expected numbers >= 1"),
        ("2,3", "expected one per distinct b-value (13) or per volume (13)"),
    ):
        assert reason in " ".join(run("check", *own, "--averages", wrong, code=2).stderr.split())


def test_motion(run, folder):
    moving = simulate.Artefacts(motion=simulate.Motion("rigid", mm=6))
    made = simulate.phantom(shape=(48, 36, 8), bvals=[0, 800], snr=40, artefacts=moving)
    path = folder / "moving.nii.gz"
    io.save_scan(made.dwi, path)
    text = run("check", path, "--model", "monoexp", "--motion", "-v").stdout
    assert re.search(r"warning the tissue is displaced by \S+ mm on average", text)
    assert "Align the volumes before the fit: ivimkit preprocess" in text
    table = rows(text, "Motion")
    assert table["0"] == ["0", "0.00", "0.00", "reference"]
    assert float(table["1"][1]) > 1.0
    usual = run("check", path, "--model", "monoexp", motion=True).stdout
    assert rows(usual, "b-values")
    assert "displaced" in usual
    assert "displaced" not in run("check", path, "--model", "monoexp", "--no-motion").stdout


def test_motion_of_a_scan_that_is_still_or_too_small(run, folder, monkeypatch):
    still = simulate.phantom(shape=(48, 36, 8), bvals=[0, 50, 800], snr=40).dwi
    io.save_scan(still, folder / "still.nii.gz")
    text = run("check", folder / "still.nii.gz", "--model", "monoexp", "--motion").stdout
    assert "which is no more than the error of this estimate" in text
    monkeypatch.setattr("ivimkit.steps._motion.library_is_installed", lambda: False)
    text = run("check", folder / "still.nii.gz", "--model", "monoexp", "--motion").stdout
    assert "motion cannot be estimated, as SimpleITK is not installed" in text
