"""Files of a stack: their names against the order of the b-values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.scan.checks.volume_names import names_finding
from ivimkit.scan.source import Source

B = [0, 10, 20, 100, 400, 800]


def scan(names, b=B, **options):
    sources = [Source("scan", str(Path("/data/b7/scan") / name), "") for name in names]
    return ik.DWI(np.ones((2, 2, len(b))), b, sources=sources, **options)


@pytest.mark.parametrize("pattern", ["dwi_b{:g}.nii.gz", "b{:g}.nii", "s3_b{:04.0f}_t1.nii.gz"])
def test_b_values_in_names(pattern):
    names = [pattern.format(b) for b in B]
    assert names_finding(scan(names)) is None
    found = names_finding(scan([names[0], names[2], names[1], *names[3:]]))
    assert found.volumes == (1, 2)
    assert f"{names[2]} (volume 1, counted from 0) is given b = 10" in found.text
    # b-values in the order that the shell gave are right.
    order = np.argsort(names)
    assert names_finding(scan(np.take(names, order), np.take(B, order))) is None


def test_numbers_that_count():
    names = [f"vol{k}.nii.gz" for k in range(8, 14)]
    assert names_finding(scan(names)) is None
    found = names_finding(scan(sorted(names)))
    assert "vol8.nii.gz comes after vol13.nii.gz" in found.text
    assert names_finding(scan([f"vol{k:02d}.nii.gz" for k in range(8, 14)])) is None


@pytest.mark.parametrize(
    "names", [["a.nii"] * 6, [f"{c}.nii" for c in "abcdef"], ["dwi.nii.gz"], ["b5.nii"] * 6]
)
def test_names_that_tell_nothing(names):
    assert names_finding(scan(names)) is None
