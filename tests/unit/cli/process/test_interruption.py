"""Ctrl-C: exit code 130, and nothing is left half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fork_server import start_process
from ivimkit import DWI, io
from ivimkit.io import map_folder


@pytest.mark.parametrize("where", ["load", "save"])
def test_nothing_is_left(run, scan, folder, monkeypatch, where):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    # While loading, and in the midst of writing.
    name = {"load": "ivimkit.io.load", "save": "ivimkit.io.map_folder.write_json"}[where]
    monkeypatch.setattr(name, interrupted)
    before = sorted(folder.iterdir())
    result = run("fit", scan, "--no-figures", code=130)
    assert "interrupted: nothing is left half-written" in result.stderr
    assert sorted(folder.iterdir()) == before


def test_earlier_result_is_kept(run, scan, folder, monkeypatch):
    run("fit", scan, "--no-figures", "-q")
    out = folder / "dwi_ivim"
    before = {path: path.read_bytes() for path in sorted(out.rglob("*"))}
    write = map_folder.write_image

    def interrupted(path, *args):
        if path.name == "status.nii.gz":
            raise KeyboardInterrupt
        write(path, *args)

    monkeypatch.setattr(map_folder, "write_image", interrupted)
    run("fit", scan, "--bmax", "400", "--overwrite", "--no-figures", code=130)
    assert {path: path.read_bytes() for path in sorted(out.rglob("*"))} == before


def test_an_interrupted_step_leaves_nothing(run, scan, folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ivimkit.steps.mask.Mask.apply", interrupted)
    before = sorted(folder.iterdir())
    result = run("preprocess", scan, "--steps", "mask", code=130)
    assert "interrupted: nothing is left half-written" in result.stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_signal_to_a_running_fit(tmp_path, made):
    # Enough voxels for some seconds, so that the signal arrives during the fit.
    signals = np.tile(made.dwi.signal.astype(np.int16), (16, 8, 16, 1))
    io.save_scan(DWI(signals, made.dwi.acquisition), tmp_path / "dwi.nii")
    process = start_process(
        "from ivimkit.__main__ import main; main()",
        ["fit", tmp_path / "dwi.nii", "--verbose"],
        imports=("ivimkit.cli.jobs.fit_batch",),
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    while "method varpro" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dwi.bval", "dwi.nii"]


def test_an_interruption_while_drawing_keeps_maps_and_figures_together(
    run, scan, folder, plain_figures, monkeypatch
):
    run("fit", scan, "-q")
    out = folder / "dwi_ivim"
    (out / "report.html").write_text("page")
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    def interrupted(figures, dpi, folder):
        (folder / "maps.png").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr("ivimkit.cli.jobs.plot_files._save_all", interrupted)
    run("fit", scan, "--bmax", "400", "--overwrite", code=130)
    after = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    assert after == before
