"""Inspection: what a study has, as the node learns it from a child process."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

import dicom_maker
from ivimkit.node.inspection import Inspection, inspect, write_inspection

BVALS = (0.0, 50.0, 400.0, 800.0)


@pytest.fixture
def made():
    """A scan of two slices."""
    stored = np.arange(4 * 3 * 2 * len(BVALS), dtype=np.int16).reshape(4, 3, 2, len(BVALS))
    return dicom_maker.Made(stored=stored, bvals=BVALS)


def test_a_scan_has_what_rules_ask_for(made, tmp_path):
    dicom_maker.save(dicom_maker.slices(made), tmp_path / "study")
    write_inspection(str(tmp_path / "study"), str(tmp_path / "found.json"))
    content = (tmp_path / "found.json").read_bytes()
    found = msgspec.json.decode(content, type=Inspection)
    (scan,) = found.scans
    assert (scan.series, scan.numbers, scan.b_values) == ((made.series,), (5,), BVALS)
    assert (scan.description, scan.body_part) == ("ep2d_diff_ivim", "LIVER")
    assert (scan.manufacturer, scan.incomplete, scan.regions) == ("SIEMENS", "", ())
    assert (found.reason, found.patient) == ("", "Phantom^Anna 4711")


def test_missing_slices_and_missing_scans_are_told(made, tmp_path):
    images = dicom_maker.slices(made)
    dicom_maker.save(images[:-1], tmp_path / "incomplete")
    (scan,) = inspect(tmp_path / "incomplete").scans
    assert scan.incomplete.startswith("1 incomplete volume: b = 800")
    assert scan.b_values == BVALS
    single = dataclasses.replace(made, stored=made.stored[..., :1], bvals=(0.0,))
    dicom_maker.save(dicom_maker.slices(single), tmp_path / "single")
    assert inspect(tmp_path / "single").reason.startswith("series 5: ")
    (tmp_path / "empty").mkdir()
    assert "expected DICOM images" in inspect(tmp_path / "empty").reason


def test_applied_b_values_that_differ_a_little_are_one(made, tmp_path):
    stored = np.repeat(made.stored, 2, axis=3)
    bvals = tuple(b + d for b in BVALS for d in (0.0, 0.4))
    applied = dataclasses.replace(made, stored=stored, bvals=bvals)
    dicom_maker.save(dicom_maker.slices(applied, "philips"), tmp_path / "study")
    (scan,) = inspect(tmp_path / "study").scans
    assert len(scan.b_values) == len(BVALS)
