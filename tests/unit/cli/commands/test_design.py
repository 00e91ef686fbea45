"""ivimkit design: every option changes the outcome that it documents."""

from __future__ import annotations

import functools

import pytest
from typer.testing import CliRunner

from ivimkit.cli import app

BASE = ("--organ", "liver", "--snr", "40", "--n", "8", "--starts", "1")


def without(option):
    place = BASE.index(option)
    return [*BASE[:place], *BASE[place + 2 :]]


def test_what_is_printed_and_written(run, tmp_path):
    out = tmp_path / "plan"
    text = run("design", *BASE, "--out", out).stdout
    assert text.startswith("8 volumes for liver, model biexp, SNR 40")
    assert "Scan them in this order" in text
    assert "dyvorne2014: Dyvorne 2014, liver. Dyvorne H et al." in text
    assert "doi:10.1016/j.ejrad.2014.09.003" in text
    assert f"written: {out}" in text
    names = {path.name for path in out.iterdir()}
    assert names == {"dwi.bval", "protocol.tsv", "protocol.json", "design.png"}
    error = run("design", *BASE, "--out", out, code=2).stderr
    assert "already contains results" in " ".join(error.split())
    assert run("design", *BASE, "-q").stdout == ""


def files(folder):
    (folder / "steps.txt").write_text("0 10 30 60 150 400 700\n")
    (folder / "te.tsv").write_text("b\techo_time\n0\t50\n400\t55\n800\t90\n")
    return folder


@pytest.fixture(scope="module")
def usual():
    """Return a function that returns what the command prints; each line is run once."""

    @functools.cache
    def printed(*words):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "80")
            done = CliRunner().invoke(app, ["design", *map(str, words)])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    return printed


@pytest.mark.parametrize(
    "words",
    [
        ("--organ", "brain"),
        ("--snr", "15"),
        ("--n", "9"),
        ("--model", "monoexp"),
        # From one start, both kinds of noise end at the same design.
        ("--noise", "gaussian", "--starts", "4"),
        ("--bmax", "500"),
        ("--bmax", "0.5", "--b-unit", "ms/um2"),
        ("--candidates", "{folder}/steps.txt"),
        ("--gradient", "20"),
        ("--gradient", "20", "--t2", "20"),
        ("--te-of-bmax", "{folder}/te.tsv"),
        ("--criterion", "relative"),
        ("--weights", "D=5,D_star=0"),
        ("--min-distinct", "8"),
        ("--starts", "4", "--criterion", "crlb", "--gradient", "30"),
    ],
    ids=" ".join,
)
def test_options_change_the_design(run, usual, tmp_path, words):
    files(tmp_path)
    given = [word.format(folder=tmp_path) for word in words]
    option = "--starts" if "--starts" in words else words[0]
    replaced = without(option) if option in BASE else BASE
    # What is beside the first option is the same in both.
    others = {"--starts": [*BASE, *given[2:]], "--noise": [*replaced, *given[2:]]}
    other = others.get(words[0], BASE)
    assert run("design", *replaced, *given).stdout != usual(*other)


def test_scan_time(run):
    text = run("design", *without("--n"), "--time", "1", "--tr", "6").stdout
    assert text.startswith("10 volumes for liver")
    assert "scan time 1.00 min" in text


def test_comparison(run, scan, folder):
    (folder / "mine.bval").write_text("0 50 100 200 400 800\n")
    (folder / "mine.tsv").write_text("b\n0\n50\n800\n")
    text = run(
        *("design", *BASE, "--compare", "0,50,100,200,400,800", "--compare", "0,300,800"),
        *("--compare", folder / "mine.bval", "--compare", scan, "--compare", "chabert2020"),
        *("--compare", folder / "mine.tsv"),
    ).stdout
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    for name in ("yours", "yours 2", "mine.bval", "dwi.nii.gz", "chabert2020", "mine.tsv", "b13"):
        assert name in rows
    same = [rows[name].split()[-7:] for name in ("yours", "mine.bval")]
    assert same[0] == same[1]
    assert rows["dwi.nii.gz"].split()[-8:] == rows["b13"].split()[-8:]


def test_wanted_errors(run):
    text = run("design", *BASE, "--wanted", "D=5%", "--wanted", "f=0.01").stdout
    assert "D with an error of 0.055 10⁻³ mm²/s needs an SNR of " in text
    assert "f with an error of 0.010 needs an SNR of " in text
    assert " volumes at SNR 40" in text
    assert "is beyond any SNR" in run("design", *BASE, "--wanted", "f=1e-9").stdout


def test_simulated_fits(run):
    words = ("design", *BASE, "--criterion", "relative", "--monte-carlo")
    text, again, other, more = (
        run(*words, *rest).stdout
        for rest in (("200",), ("200",), ("200", "--seed", "1"), ("300",))
    )
    assert "Fits of 200 simulated voxels" in text
    assert text == again
    assert len({text, other, more}) == 3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (without("--snr"), "--snr is missing"),
        (without("--n"), "--n is missing"),
        ([*BASE, "--time", "3", "--tr", "5"], "--n and --time are both given"),
        ([*without("--n"), "--time", "3"], "--time is given without --tr"),
        ([*without("--n"), "--time", "0.01", "--tr", "5"], "shorter than one volume"),
        ([*BASE, "--tr", "-1"], "--tr is -1.0; expected a number of seconds > 0"),
        ([*without("--n"), "--n", "4"], "expected 6 volumes or more"),
        ([*without("--snr"), "--snr", "-3"], "SNR is -3.0"),
        ([*without("--organ"), "--organ", "heart"], "no organ 'heart'"),
        ([*BASE, "--model", "kurtosis", "--bmax", "800"], "expected 1500 or more"),
        ([*BASE, "--model", "nothing"], "nothing"),
        ([*BASE, "--gradient", "45", "--te-of-bmax", "x.tsv"], "one rule for the echo time"),
        ([*BASE, "--t2", "40"], "--t2 is given without a rule"),
        ([*without("--organ"), "--gradient", "45"], "no T2 is known for tissue in general"),
        ([*BASE, "--te-of-bmax", "missing.tsv"], "there is no file missing.tsv"),
        ([*BASE, "--weights", "K=1"], "weight of 'K'"),
        ([*BASE, "--weights", "D"], "--weights is 'D'; expected a name and a value"),
        ([*BASE, "--weights", ","], "expected names and numbers"),
        ([*BASE, "--compare", "everything"], "--compare is 'everything'"),
        ([*BASE, "--wanted", "K=5%"], "--wanted names 'K'"),
        ([*BASE, "--wanted", "D=-5%"], "--wanted D is '-5%'"),
        ([*BASE, "--wanted", "D=much"], "--wanted D is 'much'"),
        ([*BASE, "--monte-carlo", "0"], "--monte-carlo is 0"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_wrong_input_writes_nothing(run, tmp_path, words, reason):
    out = tmp_path / "plan"
    error = " ".join(run("design", *words, "--out", out, code=2).stderr.split())
    assert reason in error
    assert not out.exists()


def test_the_table_of_echo_times_needs_its_columns(run, tmp_path):
    table = tmp_path / "te.tsv"
    table.write_text("b\tdiffusion_time\n0\t50\n800\t60\n")
    error = run("design", *BASE, "--te-of-bmax", table, code=2).stderr
    assert "has no column echo_time; expected b and echo_time" in " ".join(error.split())
