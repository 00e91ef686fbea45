"""The process of the command line: signals at its ends, pipes that close, disks that are full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ivimkit as ik

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")

# The handlers that a shell gives, whatever those of the test runner are.
MAIN = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
{before}
from ivimkit.__main__ import main
sys.argv = ["ivimkit", *sys.argv[1:]]
main()
"""
AT_AN_IMPORT = """
class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Sender())
"""
AT_THE_END = "atexit.register(os.kill, os.getpid(), {number})"


def run(*arguments, before="", **options):
    options = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(
        [sys.executable, "-c", MAIN.format(before=before), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("typer", signal.SIGINT),
        ("typer.core", signal.SIGTERM),
        ("ivimkit.cli.screen.methods_tables", signal.SIGINT),
    ],
)
def test_a_signal_during_imports(module, number):
    done = run("methods", before=AT_AN_IMPORT.format(module=module, number=int(number)))
    assert done.returncode == 130
    assert done.stderr == "interrupted: nothing is left half-written\n"


INTERRUPTED_STEP = """
from ivimkit.steps.mask import Mask
def interrupted(step, work, progress):
    os.kill(os.getpid(), signal.SIGINT)
    progress(1.0)
    raise AssertionError("the signal was lost")
Mask.apply = interrupted
"""


@pytest.mark.parametrize("command", [["preprocess", "--steps"], ["fit", "--preprocess"]])
def test_ctrl_c_during_a_step(command, tmp_path):
    dwi = ik.simulate.phantom(shape=(6, 5, 1), partial_volume=1).dwi
    ik.io.save_scan(dwi, tmp_path / "dwi.nii.gz")
    name, option = command
    done = run(name, "dwi.nii.gz", option, "mask", before=INTERRUPTED_STEP, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.endswith("interrupted: nothing is left half-written\n")
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dwi.bval", "dwi.nii.gz"]


def test_a_signal_after_the_work():
    done = run("--version", before=AT_THE_END.format(number=int(signal.SIGTERM)))
    assert done.returncode == 0
    assert done.stdout.startswith("ivimkit ")
    assert done.stderr == ""


@pytest.mark.parametrize("command", [["methods"], ["--version"], ["fit", "--help"]])
def test_a_pipe_that_nobody_reads(command):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = run(*command, stdout=pipe)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", ["--help", "--version"])
def test_output_to_a_full_disk(command):
    with Path("/dev/full").open("w") as full:
        done = run(command, stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the output cannot be written: No space left on device; ")
    assert done.stderr.count("\n") == 1
