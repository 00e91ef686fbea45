"""The validator of BIDS, where it is installed, finds no error in what is read and written."""

import json
import shutil
import subprocess

import pytest

VALIDATOR = shutil.which("bids-validator-deno")


@pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")
def test_no_errors_in_data_set_and_derivatives(dataset, bids, tmp_path):
    one = ("--participant-label", "01", "--mask", "auto")
    bids(dataset, "participant", *one)
    bids(dataset, "group")
    maps = list((tmp_path / "out").rglob("*_dwimap.nii.gz"))
    assert maps
    for folder in (dataset, tmp_path / "out"):
        done = subprocess.run(
            [VALIDATOR, "--json", folder], capture_output=True, text=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        errors = [issue for issue in issues if issue.get("severity") == "error"]
        assert not errors, errors
