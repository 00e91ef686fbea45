"""ivimkit roi: every option changes the outcome that it documents."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import ivimkit as ik
from ivimkit import io, quality


@pytest.fixture(scope="session")
def few(made):
    """Some of its regions: each has its own fits and tables."""
    kept = {number: made.label_names[number] for number in (1, 2, 8)}
    return ik.Labels(np.where(np.isin(made.labels, list(kept)), made.labels, 0), kept)


@pytest.fixture(scope="session")
def fitted(made, few, phantom_folder, tmp_path_factory):
    """A result of the phantom that no test writes into, its scan beside it."""
    folder = tmp_path_factory.mktemp("roi")
    dwi = ik.load(phantom_folder / "dwi.nii.gz", mask=phantom_folder / "mask.nii.gz")
    ik.save(ik.fit(dwi), folder / "dwi_ivim")
    for name in ("lesion", "liver"):
        mask = made.region(name).astype(np.uint8)
        io.save_map(mask, folder / f"{name}.nii.gz", made.dwi.geometry)
    io.save_map(few.array, folder / "labels.nii.gz", made.dwi.geometry)
    names = [f"{number},{name}" for number, name in few.names.items()]
    (folder / "names.csv").write_text("\n".join(names))
    return folder


@pytest.fixture
def roi(run, fitted, tmp_path):
    """Return a function that runs the command with these labels and returns what it printed."""

    def _roi(*options, code=0, labels=("labels.nii.gz",)):
        files = [word for name in labels for word in ("--labels", fitted / name)]
        words = [str(word).format(folder=fitted, out=tmp_path) for word in options]
        done = run("roi", fitted / "dwi_ivim", *files, *words, code=code)
        return done if code == 0 else done.stderr.replace("\n", " ")

    return _roi


def section(text, heading):
    """Return the lines of a table below its heading."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    return lines[start : lines.index("", start)]


def test_the_table_is_that_of_the_library(roi, fitted, few, tmp_path):
    roi("--names", "{folder}/names.csv", "--out", "{out}/table.csv")
    result = ik.load_result(fitted / "dwi_ivim", scan=True)
    expected = quality.roi_table(result, few)
    found = pd.read_csv(tmp_path / "table.csv", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(
        found.set_index(["region", "map"]).drop(columns="unit"), expected.drop(columns="unit")
    )
    regions = pd.read_csv(tmp_path / "table_regions.csv", index_col="region")
    pd.testing.assert_frame_equal(regions, quality.roi_status(result, few))


def test_numbers_on_the_terminal(roi, fitted, made, few):
    text = roi("--names", "{folder}/names.csv").stdout
    # A terminal wraps sentences; a pipe gets them whole.
    whole = ("voxels", "mean signal")
    tables = [line for line in text.splitlines() if not line.startswith(whole)]
    assert [line for line in tables if len(line) > 80] == []
    result = ik.load_result(fitted / "dwi_ivim", scan=True)
    liver = quality.roi_table(result, few).loc[("liver", "D")]
    lines = section(text, "liver")
    n = int((made.labels == 1).sum())
    assert lines[0].startswith(f"liver  {n} voxels, ")
    (row,) = [line.split() for line in lines if line.startswith("D ")]
    assert row[1:3] == ["10⁻³", "mm²/s"]
    expected = [1e3 * liver[name] for name in ("mean", "sd", "median", "q25", "q75")]
    # All to the place of the second digit of the sd.
    assert row[3:8] == [f"{number:.2f}" for number in expected]
    assert 0.1 < expected[1] < 1.0
    assert int(row[8]) == liver["reliable"]
    assert float(row[9]) == pytest.approx(1e3 * liver["roi_fit"], rel=1e-2)
    assert float(row[11]) == pytest.approx(1e3 * liver["roi_fit_sd"], rel=0.1)
    assert lines[-1].startswith("voxels: OK ")
    assert "mean signal" in text
    assert "mean signal" not in roi("--no-mean-fit").stdout


def test_masks_are_named_by_their_files(roi):
    text = roi(labels=["lesion.nii.gz", "liver.nii.gz"]).stdout
    assert [line.split("  ")[0] for line in text.splitlines() if " ml" in line] == [
        "lesion",
        "liver",
    ]


def test_a_lesion_is_known_by_its_name_and_by_its_number(roi):
    names = ("--names", "{folder}/names.csv", "--maps", "D", "--no-mean-fit")
    by_number = roi(*names, "--lesion", "2", "--reference", "1").stdout
    by_name = roi(*names, "--lesion", "lesion", "--reference", "liver").stdout
    assert "2 against 1" in by_number
    table = by_name.splitlines()[-6:-4]
    assert table == by_number.splitlines()[-6:-4]
    assert any(line.startswith("D ") for line in table)


def test_maps(roi, tmp_path):
    text = roi("--maps", "D,r2", "--out", "{out}/table.csv").stdout
    assert {line.split()[0] for line in section(text, "1 ")[2:-1]} == {"D", "r2"}
    assert set(pd.read_csv(tmp_path / "table.csv")["map"]) == {"D", "r2"}


def test_reliable_voxels_only(roi, fitted, made, tmp_path):
    tables = {}
    for option in ("--reliable", "--no-reliable"):
        lesion = ("--lesion", "8", "--reference", "1", "--no-mean-fit")
        roi(option, *lesion, "--maps", "D,D_star", "--out", f"{{out}}/{option}.csv")
        maps = pd.read_csv(tmp_path / f"{option}.csv", index_col=["region", "map"])
        compared = pd.read_csv(tmp_path / f"{option}_comparison.csv", index_col="map")
        tables[option] = maps.loc[(8, "D_star")], compared.loc["D_star"]
    (only, fewer), (every, all_) = tables.values()
    result = ik.load_result(fitted / "dwi_ivim")
    muscle = made.labels == 8
    n = int(np.isfinite(result.reliable("D_star")[muscle]).sum())
    assert only["n"] == only["reliable"] == every["reliable"] == n == fewer["lesion_n"]
    assert every["n"] == all_["lesion_n"] == muscle.sum() > n
    assert only["mean"] == pytest.approx(np.nanmean(result.reliable("D_star")[muscle]))


def test_a_scan_that_has_moved_is_named(run, result, fitted, folder, tmp_path):
    """Without its scan a result has no fits of mean signals, and says so."""
    data = folder / "dwi.nii.gz"
    data.rename(tmp_path / "moved.nii.gz")
    (folder / "dwi.bval").rename(tmp_path / "other.bval")
    words = ["roi", result, "--labels", fitted / "labels.nii.gz"]
    done = run(*words)
    assert "mean signal" not in done.stdout
    assert "no fit of the mean signals" in done.stderr
    assert "no longer exists" in done.stderr.replace("\n", " ")
    named = ["--scan", tmp_path / "moved.nii.gz", "--bval", tmp_path / "other.bval"]
    assert "mean signal" in run(*words, *named).stdout
    error = run(*words, "--scan", tmp_path / "moved.nii.gz", code=2).stderr
    assert "no b-values for" in error.replace("\n", " ")


class TestLesion:
    files = ("lesion.nii.gz", "liver.nii.gz")

    def compared(self, roi, tmp_path, *options):
        done = roi("--lesion", "lesion", *options, "--out", "{out}/t.csv", labels=self.files)
        table = pd.read_csv(tmp_path / "t_comparison.csv", index_col="map")
        for path in tmp_path.glob("t*.csv"):
            path.unlink()
        return table, done.stdout

    def test_against_a_region(self, roi, fitted, made, tmp_path):
        table, text = self.compared(roi, tmp_path, "--reference", "liver")
        result = ik.load_result(fitted / "dwi_ivim", scan=True)
        expected = quality.compare_regions(result, made.region("lesion"), made.region("liver"))
        pd.testing.assert_frame_equal(table[["g", "auc", "p"]], expected[["g", "auc", "p"]])
        assert quality.sentence(expected, reference="liver") in text
        lines = section(text, "lesion against liver")
        assert [line.split()[0] for line in lines[2:5]] == list(expected.index)
        assert max(map(len, lines[:5])) <= 80

    def test_ring_gap_and_reference_choose_the_voxels(self, roi, tmp_path):
        numbers = {}
        for options in (
            ("--ring", "20"),
            ("--ring", "30"),
            ("--ring", "20", "--gap", "0"),
            ("--ring", "20", "--reference", "liver"),
        ):
            table, text = self.compared(roi, tmp_path, *options, "--no-mean-fit")
            numbers[options] = int(table.loc["D", "reference_n"])
            within = "liver" if "--reference" in options else "tissue"
            assert f"lesion against the {within} around it" in text
        assert len(set(numbers.values())) == 4, numbers

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--lesion", "lesion"), "expected --reference NAME or --ring MM"),
            (("--reference", "liver"), "--reference is given without --lesion"),
            (("--ring", "5"), "--ring is given without --lesion"),
            (("--lesion", "cyst", "--ring", "5"), "no region 'cyst'; expected one of lesion"),
            (("--lesion", "lesion", "--reference", "x"), "no region 'x'; expected one of"),
            (("--lesion", "lesion", "--ring", "-1"), "gap >= 0 and width > 0"),
            (("--lesion", "lesion", "--ring", "1", "--gap", "999"), "has no voxel in the fitted"),
        ],
    )
    def test_errors(self, roi, tmp_path, options, message):
        assert message in roi(*options, "--out", "{out}/t.csv", labels=self.files, code=2)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "xlsx"])
def test_formats(roi, tmp_path, ending):
    options = ("--subject", "anna", "--session", "2", "--maps", "D", "--quiet", "--no-mean-fit")
    done = roi(*options, "--out", f"{{out}}/table.{ending}")
    assert done.stdout == ""
    table = io.load_table(tmp_path / f"table.{ending}")
    assert list(table.columns[:4]) == ["subject", "session", "region", "map"]
    assert set(table["subject"]) == {"anna"}
    assert set(table["session"]) == {"2"}


def test_json_holds_all_tables(roi, tmp_path):
    roi("--out", "{out}/t.json", "--lesion", "2", "--reference", "1", "--no-mean-fit")
    content = json.loads((tmp_path / "t.json").read_text())
    assert list(content) == ["maps", "regions", "comparison"]


def test_overwrite(roi, tmp_path):
    (tmp_path / "t_regions.csv").write_text("mine")
    assert "t_regions.csv exists already" in roi("--out", "{out}/t.csv", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["t_regions.csv"]
    roi("--out", "{out}/t.csv", "--overwrite", "--no-mean-fit")
    assert (tmp_path / "t_regions.csv").read_text() != "mine"


def test_labels_of_another_grid_are_resampled(roi, fitted, made, few, run, tmp_path):
    fine = few.array.repeat(2, axis=0)
    affine = made.dwi.affine @ np.diag([0.5, 1, 1, 1])
    affine[:3, 3] -= made.dwi.affine[:3, 0] * 0.25
    io.save_map(fine, tmp_path / "fine.nii.gz", ik.Geometry(affine))
    quick = "--no-mean-fit"
    done = run("roi", fitted / "dwi_ivim", "--labels", tmp_path / "fine.nii.gz", quick)
    assert "is resampled to the scan, nearest neighbour" in done.stderr.replace("\n", " ")
    assert done.stdout == roi(quick).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--maps", "T2"), "--maps names T2; expected some of S0"),
        (("--maps", ","), "--maps names (none); expected some of S0"),
        (("--names", "{folder}/none.csv"), "there is no file"),
        (("--out", "{out}/t.txt"), "ends in .csv"),
        (("--bval", "x"), "--bval is given without --scan"),
        (("--scan", "{folder}/none.nii.gz"), "there is no file"),
        (("--scan", "x", "--no-mean-fit"), "--scan is given with --no-mean-fit"),
    ],
)
def test_errors_leave_nothing_behind(roi, tmp_path, options, message):
    out = () if "--out" in options else ("--out", "{out}/t.csv")
    assert message in roi(*options, *out, code=2)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else(run, fitted, tmp_path):
    error = run("roi", tmp_path, "--labels", fitted / "labels.nii.gz", code=2).stderr
    assert "fit.json" in error
    error = run("roi", fitted / "dwi_ivim", "--labels", tmp_path / "none.nii", code=2).stderr
    assert "there is no file" in error
    assert "--labels" in run("roi", fitted / "dwi_ivim", code=2).stderr
