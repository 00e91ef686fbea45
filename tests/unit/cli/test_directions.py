"""The tensor model on the command line: from the directions of a scan to its anisotropy."""

import numpy as np
import pytest

import ivimkit as ik

EDGES = np.array([(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]) / 2**0.5
B = np.array([0, 0, *np.repeat([10, 30, 60, 150, 400, 800], 6)])
VECTORS = np.concatenate([np.zeros((2, 3)), np.tile(EDGES, (6, 1))])


@pytest.fixture
def scan(run, tmp_path):
    """A simulated brain with directions."""
    np.savetxt(tmp_path / "p.bval", B[None], fmt="%d")
    np.savetxt(tmp_path / "p.bvec", VECTORS.T, fmt="%.8f")
    protocol = ("--bvals", tmp_path / "p.bval", "--bvec", tmp_path / "p.bvec", "--snr", "200")
    run("simulate", "brain", "--model", "tensor", "--shape", "16,18,1", *protocol, "-o", tmp_path)
    return tmp_path / "dwi.nii.gz"


def test_simulate_check_and_fit(run, scan):
    mask = ("--mask", scan.parent / "mask.nii.gz")
    told = run("check", scan, *mask, "--model", "tensor").stdout
    assert "37 distinct settings of b, gx, gy and gz for the 9 free parameters of tensor" in told
    out = scan.parent / "out"
    run("fit", scan, *mask, "--model", "tensor", "--organ", "brain", "-o", out, "--no-figures")
    result = ik.io.load_result(out)
    labels = ik.io.load_map(scan.parent / "labels.nii.gz")
    grey, white = (np.median(result.maps["FA"][labels == label]) for label in (1, 2))
    assert 0.05 < grey < 0.3 < white < 0.6
    assert result.model["MD"].start == ik.organs.get("brain").means["D"]


def test_without_directions_nothing_is_fitted(run, scan):
    (scan.parent / "dwi.bvec").unlink()
    told = run("check", scan, "--model", "tensor", code=2)
    assert "directions of the gradients are not known" in " ".join(told.stdout.split())
    out = scan.parent / "out"
    told = run("fit", scan, "--model", "tensor", "-o", out, code=2)
    assert "Give a .bvec file (--bvec)" in " ".join(told.stderr.split())
    assert not out.exists()


def test_few_directions_are_refused(run, scan):
    told = run("fit", scan, "--model", "tensor", "--volumes", "0-4,8-10,14-16", code=2)
    assert "3 different gradient directions; expected at least 6" in " ".join(told.stderr.split())
