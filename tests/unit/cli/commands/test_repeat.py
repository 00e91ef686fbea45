"""ivimkit repeat: every option changes the outcome that it documents."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ivimkit as ik
from ivimkit import io, quality
from ivimkit.cli import app

SIZES = {"sub-a": (1.0, 1.05), "sub-b": (1.5, 1.4), "sub-c": (2.0, 2.1)}


@pytest.fixture(scope="session")
def cohort(made, phantom_folder, tmp_path_factory):
    """Three subjects with two results each, maps of the phantom times a number."""
    import dataclasses

    home = tmp_path_factory.mktemp("cohort")
    dwi = ik.load(phantom_folder / "dwi.nii.gz", mask=phantom_folder / "mask.nii.gz")
    result = ik.fit(dwi)
    for subject, factors in SIZES.items():
        for session, factor in enumerate(factors, start=1):
            maps = {name: factor * result.maps[name] for name in ("S0", "f", "D_star", "D", "ADC")}
            folder = home / subject / f"ses-{session}"
            ik.save(dataclasses.replace(result, maps=maps), folder / "dwi_ivim")
            io.save_map(made.labels, folder / "labels.nii.gz", dwi.geometry)
    names = [f"{number},{name}" for number, name in made.label_names.items()]
    (home / "names.csv").write_text("\n".join(names))
    return home


@pytest.fixture
def results(cohort):
    """The folders of the results, subject after subject."""
    return sorted(cohort.glob("sub-*/ses-*/dwi_ivim"))


@pytest.fixture
def repeat(run, cohort, tmp_path):
    """Return a function that runs the command, and returns the table it has written."""

    def _repeat(*words, code=0):
        given = [str(word).format(home=cohort, out=tmp_path) for word in words]
        if code:
            return run("repeat", *given, code=code).stderr.replace("\n", " ")
        out = tmp_path / "made" / "table.csv"
        shutil.rmtree(out.parent, ignore_errors=True)
        run("repeat", *given, "--out", out, "-q")
        table = io.load_table(out)
        index = [name for name in ("subject", "scan", "region", "map") if name in table.columns]
        return table.set_index(index)

    return _repeat


def medians(cohort, made, name, region):
    """Return the medians of a region, shape (subjects, scans)."""
    number = next(k for k, known in made.label_names.items() if known == region)
    rows = []
    for subject in SIZES:
        loaded = [ik.load_result(cohort / subject / f"ses-{k}" / "dwi_ivim") for k in (1, 2)]
        rows.append([np.nanmedian(one.maps[name][made.labels == number]) for one in loaded])
    return np.array(rows)


LABELLED = ("--labels", "labels.nii.gz", "--names", "{home}/names.csv")


def test_subjects_are_those_of_the_paths_and_labels_those_beside(repeat, results, cohort, made):
    table = repeat(*results, *LABELLED)
    found = medians(cohort, made, "D", "lesion")
    row = table.loc[("lesion", "D")]
    assert (row["subjects"], row["scans"]) == (3, 6)
    assert row["within_sd"] == pytest.approx(np.sqrt((np.diff(found) ** 2).mean() / 2))
    assert row["bias"] == pytest.approx(np.diff(found).mean())
    assert list(table.index.unique("map")) == ["ADC", "D", "f", "D_star"]


def test_reliable_voxels_only(repeat, results, cohort, made):
    muscle = made.labels == next(k for k, name in made.label_names.items() if name == "muscle")
    means = {}
    for words in ((), ("--reliable",)):
        table = repeat(*results, *LABELLED, *words, "--statistic", "mean")
        means[words] = table.loc[("muscle", "D_star"), "mean"]
    loaded = [ik.load_result(folder) for folder in results]
    every = np.mean([np.nanmean(one.maps["D_star"][muscle]) for one in loaded])
    only = np.mean([np.nanmean(one.reliable("D_star")[muscle]) for one in loaded])
    assert means[()] == pytest.approx(every)
    assert means["--reliable",] == pytest.approx(only)
    assert abs(only - every) > 0.01 * every
    error = repeat(*results, "--reliable", "--statistic", "roi_fit", code=2)
    assert "roi_fit is asked for of reliable voxels only" in error


def test_subjects_by_name(repeat, results):
    paired = repeat(*results, "--subject", "x,x,y,y,z,z")
    together = repeat(*results, "--subject", "x,x,x,x,x,x")
    assert paired.loc[("all", "D"), "subjects"] == 3
    assert together.loc[("all", "D"), "subjects"] == 1
    assert together.loc[("all", "D"), "within_sd"] > paired.loc[("all", "D"), "within_sd"]


def test_without_sub_in_the_path_all_are_of_one_subject(repeat, results, tmp_path):
    for number, folder in enumerate(results[:3]):
        shutil.copytree(folder, tmp_path / f"result{number}")
    table = repeat(*sorted(tmp_path.glob("result*")))
    assert (table.loc[("all", "D"), "subjects"], table.loc[("all", "D"), "scans"]) == (1, 3)


def test_labels_of_the_result_come_before_those_beside_and_those_for_all(
    repeat, results, cohort, made, tmp_path, monkeypatch
):
    home = tmp_path / "copy"
    shutil.copytree(cohort / "sub-a", home / "sub-a")
    folders = sorted(home.glob("sub-a/ses-*/dwi_ivim"))

    def regions():
        return set(repeat(*folders, "--labels", "labels.nii.gz").index.unique("region"))

    everywhere = {str(number) for number in made.label_names}
    assert regions() == everywhere
    for folder in folders:
        io.save_map(made.labels * (made.labels < 3), folder / "labels.nii.gz", made.dwi.geometry)
    assert regions() == {"1", "2"}
    for path in home.rglob("labels.nii.gz"):
        path.unlink()
    monkeypatch.chdir(tmp_path)
    io.save_map(made.labels * (made.labels < 2) * 7, tmp_path / "labels.nii.gz", made.dwi.geometry)
    assert regions() == {"labels"}


def test_maps_and_statistic(repeat, results):
    table = repeat(*results, "--maps", "D,S0")
    assert list(table.index.unique("map")) == ["D", "S0"]
    some = (*results[:2], "--maps", "D")
    means = {name: repeat(*some, "--statistic", name)["mean"] for name in ("mean", "p95")}
    median = repeat(*some)["mean"]
    assert len({float(one.iloc[0]) for one in (*means.values(), median)}) == 3
    fitted = repeat(*results, "--maps", "D", "--statistic", "roi_fit")
    assert fitted.loc[("all", "D"), "within_sd"] == pytest.approx(0.0, abs=1e-9)


def test_on_the_terminal(run, results):
    text = run("repeat", *results).stdout
    assert max(len(line) for line in text.splitlines() if not line.startswith("sd and")) <= 80
    assert text.splitlines()[0] == "all  3 subjects, 6 scans"
    values = quality.repeat_values({"x": [ik.load_result(folder) for folder in results]})
    assert set(values["map"]) == {line.split()[0] for line in text.splitlines()[2:6]}
    assert run("repeat", *results, "-q").stdout == ""


def test_values_are_written_and_can_be_read_again(repeat, results, tmp_path):
    table = repeat(*results, *LABELLED)
    values = tmp_path / "made" / "table_values.csv"
    shutil.copy(values, tmp_path / "values.csv")
    again = repeat(tmp_path / "values.csv")
    pd.testing.assert_frame_equal(again, table)


def test_tables_of_roi(run, repeat, results, tmp_path):
    files = []
    for number, folder in enumerate(results):
        files.append(tmp_path / f"{number}.csv")
        labels = folder.parent / "labels.nii.gz"
        options = ("--labels", labels, "--maps", "D,f", "--no-mean-fit")
        run("roi", folder, *options, "--out", files[-1], "-q")
    expected = repeat(*results, "--labels", "labels.nii.gz", "--maps", "D,f")
    by_list = repeat(*files, "--subject", "a,a,b,b,c,c")
    pd.testing.assert_frame_equal(by_list, expected, check_like=True)
    assert repeat(*files).loc[("1", "D"), "subjects"] == 1
    named = []
    for number, file in enumerate(files):
        table = pd.read_csv(file, keep_default_na=False, na_values=[""])
        table.insert(0, "subject", "abc"[number // 2])
        named.append(tmp_path / f"named{number}.csv")
        table.to_csv(named[-1], index=False)
    pd.testing.assert_frame_equal(repeat(*named), expected, check_like=True)
    error = repeat(*named[:1], *files[1:], code=2)
    assert "1.csv has no column subject, and others have" in error


def test_figure(run, results, tmp_path):
    path = tmp_path / "figures" / "repeat.png"
    words = ("repeat", *results[:4], "--maps", "D,f", "--figure", path)
    done = run(*words)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in done.stdout.splitlines()
    assert "repeat.png exists already" in run(*words, code=2).stderr.replace("\n", " ")
    run(*words, "--overwrite")


@pytest.fixture(scope="module")
def known(cohort, tmp_path_factory):
    """The repeatability of the cohort, as a file."""
    path = tmp_path_factory.mktemp("known") / "known.csv"
    results = sorted(cohort.glob("sub-*/ses-*/dwi_ivim"))
    words = [str(word) for word in ("repeat", *results, "--out", path, "-q")]
    assert CliRunner().invoke(app, words).exit_code == 0
    return path


class TestChange:
    def test_against_the_coefficient(self, repeat, results, known):
        rc = io.load_table(known).set_index(["region", "map"]).loc[("all", "D"), "rc"]
        table = repeat(results[0], results[5], "--subject", "p,p", "--change", known)
        row = table.loc[("p", "2", "all", "D")]
        assert row["ratio"] == pytest.approx(2.1, rel=1e-5)
        assert row["rc"] == rc
        assert row["significant"] == (abs(row["difference"]) > rc)
        assert row["significant"]
        same = repeat(results[0], results[0], "--subject", "p,p", "--change", known)
        assert not same["significant"].any()

    def test_relative(self, repeat, results, known):
        share = io.load_table(known).set_index(["region", "map"]).loc[("all", "D"), "rc_relative"]
        words = (results[0], results[5], "--subject", "p,p", "--change", known, "--relative")
        row = repeat(*words).loc[("p", "2", "all", "D")]
        assert row["rc"] == pytest.approx(share * row["before"])

    def test_like(self, repeat, results, known):
        words = (*results[:2], "--labels", "labels.nii.gz", "--change", known)
        assert "is not known; expected one of all ADC" in repeat(*words, code=2)
        table = repeat(*words, "--like", "all")
        assert table["rc"].groupby("map").nunique().max() == 1

    def test_on_the_terminal(self, run, results, known):
        words = ("--subject", "p,p", "--change", known)
        text = run("repeat", results[0], results[5], *words).stdout
        assert max(map(len, text.splitlines())) <= 80
        assert text.splitlines()[0] == "all  subject p, scan 2 against the first"
        (row,) = [line for line in text.splitlines() if line.startswith("D ")]
        assert row.split()[-1] == "significant"
        assert "+110 %" in row

    def test_a_table_of_something_else(self, repeat, results, tmp_path):
        pd.DataFrame({"a": [1]}).to_csv(tmp_path / "a.csv")
        assert "is not a table of repeatability" in repeat(
            *results, "--change", "{out}/a.csv", code=2
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--subject", "a,b"), "--subject names 2 subjects and there are 6 scans"),
        (("--subject", "a,a,b,b,c,"), "expected one name per scan"),
        (("--subject", "a,b,c,d,e,f"), "no subject has two scans"),
        (("--names", "{home}/names.csv"), "--names is given without --labels"),
        (("--labels", "none.nii.gz"), "there is no file none.nii.gz"),
        (("--maps", "T2"), "the result has no map 'T2'"),
        (("--like", "liver"), "--like is given without --change"),
        (("--relative",), "--relative is given without --change"),
        (("--change", "none.csv"), "there is no file none.csv"),
        (("--change", "x.csv", "--figure", "a.png"), "expected one of them"),
        (("--figure", "{out}/a.pdf"), "expected a name that ends in .png"),
        (("{home}/names.csv",), "expected results only, or tables only"),
        ((*LABELLED, "--figure", "{out}/a.png", "--maps", "ADC,D,f,D_star"), "24 panels"),
    ],
)
def test_errors_leave_nothing_behind(repeat, results, tmp_path, options, message):
    error = repeat(*results, *options, "--out", "{out}/t.csv", code=2)
    assert message in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("region,map,median\nliver,D,x\n", (), "holds other than numbers"),
        ("region,median\nliver,1\n", (), "has no column 'map'"),
        ("region,map,mean\nliver,D,1\n", (), "has no column 'median'"),
        (
            "region,map,median\nliver,D,1\n",
            ("--labels", "x.nii"),
            "--labels is given beside tables",
        ),
    ],
)
def test_tables_that_do_not_do(repeat, tmp_path, content, options, message):
    for name in ("1.csv", "2.csv"):
        (tmp_path / name).write_text(content)
    assert message in repeat("{out}/1.csv", "{out}/2.csv", *options, code=2)
