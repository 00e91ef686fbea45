"""Every manufacturer of DICOM files: whatever a header contains, reading it does not fail."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.vendors import all_vendors, vendor_of

VENDORS = {vendor.name: vendor for vendor in all_vendors()}
FUNCTIONS = ("b_value", "direction", "kind", "tiles", "scale", "group")


@pytest.fixture(params=VENDORS)
def vendor(request):
    return VENDORS[request.param]


def test_is_found_by_its_names(vendor):
    for maker in vendor.makers:
        assert maker == maker.upper()
        assert vendor_of(f"{maker.title()} Medical") is vendor
    assert vendor.sought


def test_names_and_makers_are_different():
    makers = [maker for vendor in VENDORS.values() for maker in vendor.makers]
    assert len(set(makers)) == len(makers)
    assert [vendor.name for vendor in all_vendors() if not vendor.makers] == [
        "other manufacturers"
    ]


def test_an_empty_header(vendor):
    header = Dataset()
    assert vendor.b_value(header) is None
    assert vendor.direction(header) is None
    assert vendor.kind(header) is None
    assert vendor.tiles(header) is None
    assert (vendor.scale(header), vendor.group(header)) == (1.0, 0)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"12", b"x\\y\\z", b"\0" * 4, b"0" * 24])
def test_unknown_representations(vendor, content):
    """Private elements of files in implicit VR are bytes."""
    header = Dataset()
    for tag in vendor.private:
        header.add_new((tag.group, tag.element), "UN", content)
    header.add_new("ImageType", "CS", ["ORIGINAL", "PRIMARY", "M"])
    for name in FUNCTIONS:
        getattr(vendor, name)(header)
    found = vendor.b_value(header)
    assert found is None or found.source
    assert vendor.kind(header) in (None, *Kind)


def test_elements_in_another_block(vendor):
    """The block of a private element is where its owner has reserved one."""
    for tag in vendor.private:
        if tag.vr not in ("IS", "FD", "DS", "FL"):
            continue
        header = Dataset()
        header.add_new((tag.group, 0x12), "LO", tag.owner)
        header.add_new((tag.group, 0x1200 | (tag.element & 0xFF)), tag.vr, 7)
        assert tag.place(header) == (tag.group << 16 | 0x1200 | (tag.element & 0xFF))
