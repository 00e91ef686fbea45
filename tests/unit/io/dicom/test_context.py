"""DicomContext: what the images of a scan say travels with it to its result, and to a file."""

import dataclasses
import stat
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError
from ivimkit.io.dicom.context import DicomContext, SourceImage, load_context

MR = "1.2.840.10008.5.1.4.1.1.4"
B = [0, 10, 20, 40, 80, 150, 250, 400, 600, 800]


def header():
    made = pydicom.Dataset()
    made.PatientName = "Gödel^Kurt"
    made.PatientID = "42"
    made.PatientWeight = "70.5"
    made.StudyInstanceUID = "1.2.3"
    made.StudyDate = "20261003"
    made.AccessionNumber = "A1"
    made.SequenceVariant = ["SK", "SP"]
    made.FrameOfReferenceUID = "1.2.3.9"
    return made


def context():
    return DicomContext.of(
        header(),
        [[SourceImage(MR, f"1.2.3.{v}.{k}", "1.2.3.4") for k in range(2)] for v in range(len(B))],
    )


def fitted(**options):
    signal = ik.simulate.signals("biexp", [1000.0, 0.1, 0.02, 1e-3], B)
    size = np.linspace(0.8, 1.2, 12).reshape(3, 2, 2, 1)
    dwi = ik.DWI(size * signal, B, source_context=context())
    return ik.fit(dwi.select(**options) if options else dwi)


def test_attributes_as_text_and_images_once():
    made = context()
    assert made.patient == {
        "PatientName": "Gödel^Kurt",
        "PatientID": "42",
        "PatientWeight": "70.5",
    }
    assert made.equipment == {"SequenceVariant": "SK\\SP"}
    assert made.frame_of_reference == "1.2.3.9"
    assert len(made.instances) == 2 * len(B)
    assert [image.sop_instance for image in made.slices[1]] == [
        f"1.2.3.{v}.1" for v in range(len(B))
    ]
    # A mosaic: one instance for all slices.
    same = DicomContext.of(header(), [[SourceImage(MR, "1.2", "1.3")] * 3])
    assert (len(same.instances), len(same.slices)) == (1, 3)


def test_digest_is_that_of_the_images_in_any_order():
    made = context()
    assert made.of_volumes(range(len(B))[::-1]).digest == made.digest
    assert made.of_volumes([3, 1]).digest != made.digest


def test_digest_of_frames_of_one_instance():
    """A part of an enhanced image is not the whole."""
    volumes = [[SourceImage(MR, "1.2", "1.3", 2 * v + k + 1) for k in range(2)] for v in range(5)]
    made = DicomContext.of(header(), volumes)
    assert made.of_volumes([0, 1]).digest != made.of_volumes([0, 2]).digest != made.digest


@pytest.mark.parametrize("uid", ["***", "1.2.", "1." * 40 + "1", ""])
def test_frame_of_reference_that_is_no_uid_is_left_out(uid, tmp_path):
    changed = header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed.FrameOfReferenceUID = uid
    made = DicomContext.of(changed, [[SourceImage(MR, "1.2", "1.3")]])
    assert made.frame_of_reference == ""
    made.save(tmp_path / "dicom.json")
    assert load_context(tmp_path / "dicom.json") == made


def test_anonymous_keeps_uids_and_dates_only():
    assert context().anonymous().patient == {}
    assert context().anonymous().study == {"StudyInstanceUID": "1.2.3", "StudyDate": "20261003"}


def test_result_has_the_images_of_the_volumes_that_were_fitted():
    result = fitted(bvals=[0, 20, 40, 80, 150, 250, 400, 600])
    used = [image.sop_instance for image in result.source_context.slices[0]]
    assert used == [f"1.2.3.{v}.0" for v in (0, 2, 3, 4, 5, 6, 7, 8)]


def test_saved_privately_with_the_result_and_loaded_with_it(tmp_path):
    result = fitted()
    ik.save(result, tmp_path / "out")
    path = tmp_path / "out" / "dicom.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ik.load_result(tmp_path / "out").source_context == result.source_context
    path.unlink()
    assert ik.load_result(tmp_path / "out").source_context is None


def test_result_of_another_user_is_read_without(tmp_path, monkeypatch):
    ik.save(fitted(), tmp_path)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "dicom.json")
    assert ik.load_result(tmp_path).source_context is None


def test_result_without_context_replaces_one_with_it(tmp_path):
    result = fitted()
    ik.save(result, tmp_path)
    ik.save(dataclasses.replace(result, source_context=None), tmp_path, overwrite=True)
    assert not (tmp_path / "dicom.json").exists()


def test_fit_of_regions_has_none():
    assert ik.quality.roi_fit(fitted(), np.ones((3, 2, 2), dtype=int)).source_context is None


def test_pages_and_pictures_never_read_it():
    """They are shown and sent to others."""
    package = Path(ik.__file__).parent
    for folder in ("report", "figures", "viewer", "quality"):
        for file in (package / folder).rglob("*.py"):
            lines = file.read_text("utf-8").splitlines()
            used = [line for line in lines if "source_context" in line]
            assert [line for line in used if line.strip() != "source_context=None,"] == [], file


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"1.2.3.0.0"', '"1.2.3.x"', "instances"),
        ("[[[0, 0]", "[[[99, 0]", "there is no instance 99"),
        ("[[[0, 0], ", "[[", "the same number of slices"),
        ("ivimkit dicom context", "something else", "format"),
        ('"format_version": 1', '"format_version": 9', "format_version"),
    ],
)
def test_damaged_file_is_named(tmp_path, old, new, why):
    path = tmp_path / "dicom.json"
    context().save(path)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(FileFormatError, match=rf"dicom.json cannot be used .*{why}"):
        load_context(path)


def test_file_of_other_maps_is_refused(tmp_path):
    context().save(tmp_path / "dicom.json")
    with pytest.raises(FileFormatError, match="about 2 slices, and the maps have 5"):
        load_context(tmp_path / "dicom.json", 5)
