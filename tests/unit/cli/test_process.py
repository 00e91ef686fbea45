"""The process of the command line: signals at its ends, pipes that close, disks that are full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ivimkit as ik
from fork_server import start_process

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


def run(*arguments, before="", imports=("ivimkit.cli",), **options):
    """Run the command in a process that has imported modules; None for one that has not."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    code = MAIN.format(before=before)
    if imports is None:
        words = [sys.executable, "-c", code, *arguments]
        return subprocess.run(words, text=True, check=False, **options)
    with start_process(code, arguments, imports=imports, **options) as process:
        output, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("typer", signal.SIGINT),
        ("typer.core", signal.SIGTERM),
        ("ivimkit.node", signal.SIGINT),
    ],
)
def test_a_signal_during_imports(module, number):
    before = AT_AN_IMPORT.format(module=module, number=int(number))
    done = run("node", "status", "--config", "none.toml", before=before, imports=None)
    assert done.returncode == 130
    assert done.stderr == "interrupted: nothing is left half-written\n"


INTERRUPTED_STEP = """
from ivimkit.steps.mask import Mask
def interrupted(step, work, progress):
    print("pandas" in sys.modules)
    os.kill(os.getpid(), signal.SIGINT)
    progress(1.0)
    raise AssertionError("the signal was lost")
Mask.apply = interrupted
"""


def test_ctrl_c_during_a_step(tmp_path):
    dwi = ik.simulate.phantom(shape=(6, 5, 1), partial_volume=1).dwi
    ik.io.save_scan(dwi, tmp_path / "dwi.nii.gz")
    words = ("fit", "dwi.nii.gz", "--preprocess", "mask")
    imports = ("ivimkit.cli.jobs.fit_batch",)
    done = run(*words, before=INTERRUPTED_STEP, imports=imports, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.endswith("interrupted: nothing is left half-written\n")
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dwi.bval", "dwi.nii.gz"]
    # Nor does a fit wait for what only tables of regions need.
    assert done.stdout == "False\n"


def test_a_signal_after_the_work():
    done = run("--version", before=AT_THE_END.format(number=int(signal.SIGTERM)))
    assert done.returncode == 0
    assert done.stdout.startswith("ivimkit ")
    assert done.stderr == ""


SETTINGS = """
[node]
folder = "node"
[[peer]]
name = "mr"
ae_title = "MR"
address = "127.0.0.1"
[[rule]]
send_to = []
"""


@pytest.mark.parametrize("command", ["node status --config node.toml", "--version", "fit --help"])
def test_a_pipe_that_nobody_reads(command, tmp_path):
    (tmp_path / "node.toml").write_text(SETTINGS)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = run(*command.split(), stdout=pipe, cwd=tmp_path)
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
