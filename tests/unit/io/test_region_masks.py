"""Masks from regions of a label image: by name, by number, with names from different tools."""

import json

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError, OptionError, RegionWarning, ShapeError
from ivimkit.io.region_masks import RegionChoice

ARRAY = np.zeros((6, 5, 2), dtype=np.uint8)
ARRAY[:2], ARRAY[2:4], ARRAY[5, 4, 1] = 5, 1, 9
TABLE = (
    '<?xml version="1.0"?><CaretExtension><VolumeInformation Index="0"><LabelTable>'
    '<Label Key="5" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[liver]]></Label>'
    '<Label Key="1" Red="0" Green="1" Blue="0" Alpha="1">kidney_right</Label>'
    "</LabelTable></VolumeInformation></CaretExtension>"
)


@pytest.fixture
def scan(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((6, 5, 2, 3), np.float32), np.eye(4)), tmp_path / "dwi.nii")
    (tmp_path / "dwi.bval").write_text("0 100 800")
    return tmp_path / "dwi.nii"


def _seg(folder, text=None):
    image = nib.Nifti1Image(ARRAY, np.eye(4))
    if text is not None:
        image.header.extensions.append(nib.nifti1.Nifti1Extension(0, text.encode()))
    nib.save(image, folder / "seg.nii.gz")
    return folder / "seg.nii.gz"


NAMES = {
    "TotalSegmentator": (TABLE, None, None),
    "BIDS": (None, "seg.tsv", "index\tname\n5\tliver\n1\tkidney_right\n"),
    "BIDS of a folder": (None, "dseg.tsv", "index\tname\n5\tliver\n1\tkidney_right\n"),
    "nnU-Net": (
        None,
        "dataset.json",
        json.dumps({"labels": {"background": 0, "kidney_right": 1, "liver": 5}}),
    ),
    "FreeSurfer": (
        None,
        "FreeSurferColorLUT.txt",
        "#No. Label Name:   R   G   B   A\n\n0 Unknown 0 0 0 0\n5 Liver 1 2 3 0\n"
        "1 Kidney_Right 70 130 180 0\n",
    ),
    "ITK-SNAP": (
        None,
        "seg.label",
        '# ITK-SnAP\n0 0 0 0 0 0 0 "Clear Label"\n5 255 0 0 1 1 1 "liver"\n'
        '1 0 255 0 1 1 1 "kidney_right"\n',
    ),
    "3D Slicer": (
        None,
        "seg.ctbl",
        "# Color table\n5 liver 1 2 3 255\n1 kidney_right 4 5 6 255\n",
    ),
}


@pytest.mark.parametrize("tool", NAMES)
def test_regions_are_chosen_by_the_names_that_come_with_the_image(scan, tool):
    header, name, text = NAMES[tool]
    path = _seg(scan.parent, header)
    if name is not None:
        (scan.parent / name).write_text(text)
    dwi = ik.load(scan, mask=f"{path}:Liver,kidney_right")
    np.testing.assert_array_equal(dwi.mask, np.isin(ARRAY, [1, 5]))
    assert dwi.mask_origin == "regions of a label image: Liver,kidney_right"
    assert [source.path for source in dwi.sources if source.role == "mask"] == [str(path)]
    np.testing.assert_array_equal(ik.load(scan, mask=f"{path}:9").mask, ARRAY == 9)
    labels = ik.load_labels(path, dwi)
    assert {name.lower() for name in labels} >= {"liver", "kidney_right"}
    with pytest.raises(OptionError, match=r"no region 'lung'; expected some of .*iver, 9"):
        ik.load(scan, mask=f"{path}:lung")


def test_without_names_numbers_are_asked_for(scan):
    path = _seg(scan.parent, "<Label Key='5'>not a table</Label>")
    with pytest.raises(OptionError, match=r"expected some of 1, 5, 9\. Give a number, or put"):
        ik.load(scan, mask=f"{path}:liver")
    assert list(ik.load_labels(path, ik.load(scan))) == ["1", "5", "9"]


@pytest.mark.filterwarnings("ignore::ivimkit.errors.GeometryWarning")
@pytest.mark.filterwarnings("ignore:regions .* on the scan; expected:ivimkit.errors.RegionWarning")
def test_what_is_not_on_the_scan_is_said(scan):
    path = _seg(scan.parent)
    far = np.eye(4)
    far[0, 3] = 4.0
    nib.save(nib.Nifti1Image(ARRAY, far), path)
    with pytest.raises(ShapeError, match=r"regions 1 of .* have no voxel on the scan"):
        ik.load(scan, mask=f"{path}:1")
    with pytest.warns(RegionWarning, match=r"regions 1 of .*; the mask is made of the others"):
        found = ik.load(scan, mask=f"{path}:1,5")
    assert found.mask.sum() == 20


def test_the_words_of_a_choice(tmp_path):
    assert RegionChoice.of("mask.nii.gz") is None
    assert RegionChoice.of("auto:body") is None
    assert RegionChoice.of("C:/data/seg.nii:liver").file == "C:/data/seg.nii"
    for ending, program in (("seg.nrrd", "3D Slicer"), ("mgz", "mri_convert")):
        image = tmp_path / f"a.{ending}"
        image.write_bytes(b"\0\0\0\1\0\0" if ending == "mgz" else b"NRRD0004\n")
        with pytest.raises(FileFormatError, match=program):
            ik.load_labels(
                RegionChoice.of(f"{image}:liver").file, ik.DWI(np.ones((2, 2)), [0, 800])
            )
    with pytest.raises(OptionError, match="expected names or numbers of regions"):
        RegionChoice.of("seg.nii.gz:liver,")
    there = tmp_path / "odd.nii:1"
    there.write_text("")
    assert RegionChoice.of(str(there)) is None
