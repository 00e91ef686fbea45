"""docs/node.md: the entry script for mercure does what mercure expects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dicom_maker
from snippets import snippets_of


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_the_script_for_mercure_puts_files_into_one_folder(repository, tmp_path):
    page = repository / "docs" / "node.md"
    (script,) = [one.code for one in snippets_of(page) if one.file == "docker-entrypoint.sh"]
    stored = np.full((6, 5, 2, 4), 1000, np.int16)
    stored *= np.exp(-0.001 * np.array([0, 100, 400, 800]))[None, None, None].astype(np.int16) + 1
    made = dicom_maker.Made(stored=stored, bvals=(0.0, 100.0, 400.0, 800.0))
    dicom_maker.save(dicom_maker.slices(made), tmp_path / "in")
    (tmp_path / "out").mkdir()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MERCURE_IN_DIR": str(tmp_path / "in"),
        "MERCURE_OUT_DIR": str(tmp_path / "out"),
        "IVIMKIT_OPTIONS": "--model monoexp --method loglinear --quiet",
    }
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert {"mr_ADC_0001.dcm", "mr_ADC_0002.dcm", "sc.dcm"} <= set(names)
