"""Segmentations as labels: what is not one is said, and what is found in a folder."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import SegmentationStorage

import dicom_maker
import ivimkit as ik
from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.segmentation_files import find_segmentations


@pytest.fixture
def study(tmp_path):
    """A scan of two b-values."""
    made = dicom_maker.Made(stored=np.ones((4, 3, 2, 2), np.int16), bvals=(0.0, 800.0))
    dicom_maker.save(dicom_maker.slices(made), tmp_path / "study")
    return tmp_path / "study"


def test_an_image_is_not_a_segmentation(study):
    file = sorted(study.iterdir())[0]
    with pytest.raises(FileFormatError, match=r"cannot be read as regions: .* do not overlap"):
        ik.load_labels(file, ik.load(study))


def test_segmentations_of_others_are_found_among_images_and_other_files(study):
    assert find_segmentations(study) == []
    (study / "notes.txt").write_text("no DICOM")
    header = dcmread(sorted(study.glob("*.dcm"))[0])
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    for name, model in (("drawn.dcm", "3D Slicer"), ("own.dcm", "ivimkit")):
        header.ManufacturerModelName = model
        header.save_as(study / name)
    (found,) = find_segmentations(study)
    assert (found.path.name, found.frame_of_reference) == ("drawn.dcm", "1.2.3.5")
    assert found.series == header.SeriesInstanceUID
