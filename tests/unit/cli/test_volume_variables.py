"""Variables of volumes on the command line: --variables, --te, --select."""

import json

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.simulate import B13

N = len(B13)


@pytest.fixture
def echoes(tmp_path):
    """A scan of two echo times, whose tissue has a T2 of 60 ms, with a table beside it."""
    made = ik.simulate.phantom(shape=(12, 10, 1), bvals=B13, snr=200)
    signal = np.concatenate([made.dwi.signal, 0.6 * made.dwi.signal], axis=-1)
    te = np.repeat([60.0, 90.0], N)
    dwi = ik.DWI(signal, [*B13, *B13], variables={"echo_time": te}, mask=made.dwi.mask)
    path = tmp_path / "echoes.nii.gz"
    ik.io.save_scan(dwi, path)
    ik.io.save_map(made.dwi.mask.astype(np.uint8), tmp_path / "mask.nii.gz", dwi.geometry)
    return path


def test_check_shows_every_setting(run, echoes):
    text = run("check", echoes, "--mask", echoes.with_name("mask.nii.gz")).stdout
    assert "b from " in text
    assert "echo_time from " in text
    head = next(line for line in text.splitlines() if line.startswith("b (s/mm²)"))
    assert head.split()[2:5] == ["TE", "(ms)", "volumes"]
    assert sum(line.split()[:2] in (["0", "60"], ["0", "90"]) for line in text.splitlines()) == 2
    assert "the volumes differ in echo_time (60, 90 ms) and model biexp does not depend" in text
    chosen = run("check", echoes, "--select", "echo_time == 90").stdout
    assert "do not know" not in chosen
    assert "does not depend" not in chosen
    assert f"{N} b-values for {N} volumes" in chosen


def test_fit_of_one_echo_time(run, echoes, tmp_path):
    """A selection is that of the file of its volumes; it is kept, read again and run again."""
    mask = ("--mask", echoes.with_name("mask.nii.gz"))
    one = ("--select", "echo_time == 90 and b <= 800")
    run("fit", echoes, *mask, *one, "--out", tmp_path / "a", "--quiet")
    hand = ("--volumes", f"{N}-{2 * N - 1}")
    run("fit", echoes, *mask, *hand, "--out", tmp_path / "b", "--no-figures", "--quiet")
    first, second = (ik.load_result(tmp_path / name) for name in "ab")
    np.testing.assert_array_equal(first.maps["D"], second.maps["D"])
    assert set(first.acquisition.variables["echo_time"]) == {90.0}
    record = json.loads((tmp_path / "a" / "fit.json").read_text())
    assert record["settings"]["reading"]["where"] == one[1]
    assert ik.io.load_fitted_scan(first).acquisition == first.acquisition
    from ivimkit.report.rerun_command import rerun

    assert "--select 'echo_time == 90 and b <= 800'" in rerun(first).command
    assert "--variables" in rerun(first).command


def test_echo_times_as_an_option(run, echoes, tmp_path, text_only):
    echoes.with_name("echoes_volumes.tsv").unlink()
    times = ",".join(["60"] * N + ["90"] * N)
    mask = ("--mask", echoes.with_name("mask.nii.gz"))
    out = tmp_path / "out"
    shown = run("fit", echoes, *mask, "--te", times, "--out", out)
    assert "warning: the volumes differ in echo_time (60, 90 ms)" in shown.stderr
    result = ik.load_result(out)
    assert result.acquisition.n_shells == 2 * N
    assert ik.io.load_fitted_scan(result).acquisition == result.acquisition
    from ivimkit.report.rerun_command import rerun

    assert f"--te {times}" in rerun(result).command
    page = run("report", out, "--out", tmp_path / "report.html").stdout
    assert "report.html" in page
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "TE (ms)" in html
    assert f"{N} b-values and {2 * N} settings of b and echo_time" in html
    voxel = ("--voxel", "5,4,0", "--out", tmp_path / "voxel.png")
    run("plot", out, *voxel)


def test_a_table_that_is_named(run, echoes, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("mode\n" + "on\n" * N + "off\n" * N)
    options = ("--variables", table, "--select", "mode == 'off'")
    text = run("check", echoes, *options).stdout
    assert "mode" in text
    compared = ("--models", "monoexp,sivim", "--no-figures", "--out", tmp_path / "compared")
    mask = ("--mask", echoes.with_name("mask.nii.gz"))
    run("compare", echoes, *options, *mask, *compared)
    assert (tmp_path / "compared").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--select", "echo_time = 90"), "Equality is written =="),
        (("--select", "te == 90"), "names a column te, which does not exist; expected one of b:"),
        (("--select", "echo_time == 75"), "no volume is left of those with b: 0, 10"),
        (("--select", "b == 0"), "the volumes that are selected all have b = 0"),
        (("--te", "60,90"), "echo_time has 2 values and there are 26 volumes"),
        (("--te", "long"), "--te is 'long'; expected numbers"),
        (("--te", "0.06"), "expected 1 to 1000 ms. If the unit is s, multiply by 1000"),
        (("--variables", "nowhere.tsv"), "there is no file nowhere.tsv; expected a table"),
    ],
)
def test_what_cannot_be_used(run, echoes, options, message):
    out = echoes.with_name("out")
    shown = run("fit", echoes, *options, "--out", out, code=2)
    assert message in " ".join(shown.stderr.split())
    assert not out.exists()
