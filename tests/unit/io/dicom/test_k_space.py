"""How much of k-space was acquired, from headers of all forms, to the step that depends on it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom import Dataset

import dicom_maker as dm
import ivimkit as ik
from ivimkit.errors import InputError
from ivimkit.io.dicom.k_space import k_space_facts, of_all_series
from ivimkit.io.dicom.vendors import vendor_of

PROTOCOL = "sKSpace.ucPhasePartialFourier\t = \t{}\nsKSpace.ucSlicePartialFourier\t = \t0x10\n"


def _facts(maker="Nobody", **elements):
    header = Dataset()
    for key, value in elements.items():
        setattr(header, key, value)
    return k_space_facts(header, vendor_of(maker).acquired_share(header))


@pytest.mark.parametrize(
    ("elements", "key", "value", "source"),
    [
        ({"ScanOptions": ["FS", "PFP"]}, "ScanOptions", "PFP", "Scan Options (0018,0022)"),
        ({"PercentSampling": "75"}, "PercentSampling", 75.0, "Percent Sampling (0018,0093)"),
        ({"PartialFourier": "NO"}, "PartialFourierEnabled", "NO", "Partial Fourier (0018,9081)"),
    ],
)
def test_elements_of_classic_images(elements, key, value, source):
    facts = _facts(**elements)
    assert facts[key] == value
    assert facts["PartialFourierSource"] == source


def test_headers_that_say_nothing():
    assert not _facts()
    # That none of its words means partial Fourier does not mean that there is none.
    assert not _facts(ScanOptions="FS")
    assert not _facts("SIEMENS")


def _siemens(code, tag=(0x0029, 0x1020), owner="SIEMENS CSA HEADER"):
    header = Dataset()
    header.add_new((tag[0], tag[1] >> 8), "LO", owner)
    header.add_new(tag, "OB", b"\0\1" + PROTOCOL.format(code).encode() + b"\0")
    return header


@pytest.mark.parametrize(
    ("code", "share"), [("1", 0.5), ("2", 0.625), ("4", 0.75), ("0x8", 0.875), ("16", 1.0)]
)
def test_codes_of_siemens(code, share):
    found = vendor_of("SIEMENS").acquired_share(_siemens(code))
    assert found.share == share
    assert "0029,1020" in found.source
    xa = _siemens(code, (0x0021, 0x1019), "SIEMENS MR SDS 01")
    assert vendor_of("Siemens Healthineers").acquired_share(xa).share == share


def test_unknown_codes_of_siemens_say_nothing():
    assert vendor_of("SIEMENS").acquired_share(_siemens("3")) is None


def test_series_that_belong_together():
    full, partial = {"PartialFourier": 1.0}, {"PartialFourierEnabled": "YES"}
    assert of_all_series([full, partial]) == partial
    assert of_all_series([full, full]) == full
    assert of_all_series([full, {}]) == {}
    assert of_all_series([{}, partial]) == partial
    assert of_all_series([]) == {}


@pytest.mark.parametrize("enabled", ["YES", "NO"])
@pytest.mark.parametrize("form", ["classic", "enhanced"])
def test_gibbs_follows_the_headers(form, enabled, tmp_path):
    stored = np.random.default_rng(1).integers(100, 3000, (9, 8, 3, 2)).astype(np.int16)
    made = dm.Made(stored, (0, 400))
    files = dm.enhanced(made) if form == "enhanced" else dm.slices(made, "philips")
    for header in files:
        if form == "enhanced":
            item = Dataset()
            item.PartialFourier, item.PartialFourierDirection = enabled, "PHASE"
            header.SharedFunctionalGroupsSequence[0].MRModifierSequence = [item]
        else:
            header.PartialFourier = enabled
    dm.save(files, tmp_path / "dicom")
    dwi = ik.load(tmp_path / "dicom")
    ik.io.dicom.convert_dicom(tmp_path / "dicom", tmp_path / "nifti")
    (sidecar,) = (tmp_path / "nifti").glob("*.json")
    assert json.loads(sidecar.read_text())["PartialFourierEnabled"] == enabled
    for scan in (dwi, ik.load(sidecar.with_suffix(".nii.gz"))):
        assert scan.sidecar["PartialFourierEnabled"] == enabled
        if enabled == "NO":
            ik.steps.Gibbs().check(scan)
            continue
        with pytest.raises(InputError, match=r"from Partial Fourier \(0018,9081\) in its DICOM"):
            ik.steps.Gibbs().check(scan)
