"""--log: what is in it, when there is one, and that lines of several processes do not mix."""

from __future__ import annotations

import logging
import os
import re

import pytest

from fork_server import start_process
from ivimkit.cli.jobs import fit_batch
from ivimkit.cli.process import run_log
from ivimkit.cli.process.run_log import begin_log, end_log, log, start_log

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 \[\d+\] (\w+): ")


@pytest.fixture
def record(tmp_path):
    return tmp_path / "run.log"


def test_a_fit(run, folder, scan, record):
    nix = folder / "nix.nii"
    common = ("--out", folder / "out", "--no-figures", "--log", record, "--model", "monoexp")
    shown = run("fit", scan, nix, *common, "-q", code=2)
    text = record.read_text()
    assert all(STAMP.match(line) or line.startswith("    ") for line in text.splitlines())
    assert re.search(r"info: ivimkit \S+; Python \S+ on .*numpy \d", text)
    assert f"command: ivimkit fit {scan}" in text
    assert "model = monoexp" in text
    # A warning that --quiet hides, an error with its traceback, and how it ended.
    assert "warning: " in text
    assert "error: error: there is no file" in text
    assert "FileFormatError: there is no file" in text
    assert text.rstrip().endswith("end: exit code 2")
    assert "voxels of the scan" not in shown.stdout
    # A second run adds to it.
    run("fit", scan, *common, "--overwrite")
    more = record.read_text()
    assert more.startswith(text)
    assert "maps in " in more[len(text) :]
    assert "median" in more[len(text) :]


def test_a_fault_is_logged_with_its_traceback(run, folder, scan, record, monkeypatch):
    def broken(*args):
        raise RuntimeError("boom")

    monkeypatch.setattr(fit_batch._Job, "_fit", broken)
    error = run("fit", scan, "--out", folder / "out", "--log", record, code=1).stderr
    assert "Traceback" not in error
    text = record.read_text()
    assert "in broken" in text
    assert "internal error: RuntimeError: boom" in text


@pytest.mark.parametrize(
    "command",
    [
        ("fit", "{scan}", "--organ", "nix"),
        ("roi", "nix", "--labels", "a.nii.gz", "--ring", "3"),
        ("repeat", "nix", "--relative"),
        ("design", "--organ", "liver", "--snr", "40", "--n", "8", "--monte-carlo", "-3"),
        ("simulate", "--shape", "1,2"),
    ],
    ids=lambda words: words[0],
)
def test_a_wrong_call_leaves_no_log(run, scan, record, command):
    words = [str(scan) if word == "{scan}" else word for word in command]
    run(*words, "--log", record, code=2)
    assert not record.exists()


def test_what_cannot_be_a_log(run, scan, tmp_path):
    assert "is a folder" in run("fit", scan, "--log", tmp_path, code=2).stderr
    error = run("fit", scan, "--log", tmp_path / "nix" / "a.log", code=2).stderr
    assert "there is no folder" in error
    assert "(--log)" in error


def test_a_full_disk_ends_the_log_and_not_the_work(record, capsys, monkeypatch):
    start_log(record)
    try:
        begin_log()
        log(logging.INFO, "one")
        monkeypatch.setattr(os, "write", _no_space)
        log(logging.INFO, "two")
        log(logging.INFO, "three")
        assert capsys.readouterr().err.count("the log") == 1
    finally:
        end_log(refused=False)
    assert len(record.read_text().splitlines()) == 1


def _no_space(*args):
    raise OSError(28, "No space left on device")


def test_without_a_log_nothing_is_kept(capsys):
    log(logging.WARNING, "nobody hears it")
    assert not run_log.is_logged()
    assert capsys.readouterr().err == ""


def test_lines_of_several_processes_do_not_mix(record):
    code = (
        "import sys, logging; from pathlib import Path\n"
        "from ivimkit.cli.process.run_log import *\n"
        "start_log(Path(sys.argv[1])); begin_log()\n"
        "for k in range(200): log(logging.INFO, f'{sys.argv[2] * 300}\\n{sys.argv[2] * 300}')\n"
        "end_log(refused=False)\n"
    )
    running = [start_process(code, [record, letter], imports=("ivimkit.cli",)) for letter in "abc"]
    assert [one.wait() for one in running] == [0, 0, 0]
    lines = record.read_text().splitlines()
    assert len(lines) == 3 * 200 * 2
    for first, second in zip(lines[::2], lines[1::2], strict=True):
        letter = second[-1]
        assert STAMP.sub("", first) == letter * 300
        assert second == "    " + letter * 300
