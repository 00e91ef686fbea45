"""save_dicom: valid objects with the patient, study and geometry of the scan, and exact values."""

import dataclasses
import hashlib

import highdicom
import msgspec
import numpy as np
import pydicom
import pytest

import ivimkit as ik
from dicom_check import errors_of
from dicom_results import (
    PATIENT,
    STUDY,
    context_of,
    dicom_result,
    in_scan_order,
    oblique,
    regions_of,
)
from ivimkit.errors import InputError, OptionError, OutputExistsError, ShapeError
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.signal_model import SignalModel
from ivimkit.io.dicom.mr_series import NO_VALUE
from ivimkit.io.dicom.quantities import quantity_of
from ivimkit.io.dicom.saving import KINDS
from ivimkit.kernels.separable.atoms import decay
from ivimkit.parameter import Parameter
from ivimkit.scan.geometry import Geometry

# Values have six digits.
REPORTED = 1e-5
ROOT = "1.2.826.0.1.3680043.10.9"
PICTURE = np.full((40, 300, 3), 77, dtype=np.uint8)
N_VOLUMES = 3


def save(result, folder, **options):
    """Write all kinds, unless others are asked for."""
    shape = result.shape
    given = {"labels": regions_of(shape), "picture": PICTURE, **options}
    return ik.io.save_dicom(result, folder, **given)


@pytest.fixture(scope="module")
def result():
    return dicom_result(source_context=context_of(4, n_volumes=N_VOLUMES))


@pytest.fixture(scope="module")
def exported(result, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "out"
    save(result, folder)
    return folder


@pytest.fixture(scope="module")
def small():
    """Return a result of one slice and two volumes, for what does not depend on their number."""
    shape = (7, 6, 1)
    return dicom_result(shape, source_context=context_of(1, n_volumes=2))


def save_small(result, folder, **options):
    """Write all kinds of one map and one region, as half of the time goes by their number."""
    return save(result, folder, **{"labels": one_region(result), "maps": ["D"], **options})


def one_region(result):
    return ik.Labels(np.where(regions_of(result.shape).array == 5, 5, 0), {5: "liver"})


@pytest.fixture(scope="module")
def small_files(small, tmp_path_factory):
    return save_small(small, tmp_path_factory.mktemp("small") / "out")


def series_of(folder, name):
    return [pydicom.dcmread(path) for path in sorted((folder / f"mr_{name}").iterdir())]


def read(folder, name):
    return pydicom.dcmread(folder / name)


def digest(folder):
    files = sorted(folder.rglob("*.dcm"))
    return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


# ------------------------------------------------------------------------------- validity


def test_no_errors_in_any_kind(exported):
    files = sorted(exported.rglob("*.dcm"))
    assert {path.relative_to(exported).parts[0] for path in files} == {
        *(f"mr_{name}" for name in ("ADC", "D", "f", "D_star", "fD_star")),
        *(f"pm_{name}.dcm" for name in ("ADC", "D", "f", "D_star", "fD_star")),
        *("seg.dcm", "sr.dcm", "sc.dcm"),
    }
    assert errors_of(files) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": {}, "study": {}, "series": {}, "equipment": {}, "frame_of_reference": ""},
        {
            "patient": {"PatientName": "one", "PatientSex": "?", "PatientAge": "70"},
            "study": {"StudyInstanceUID": "1.2", "StudyDate": "***", "StudyTime": "99"},
            "series": {
                "SeriesNumber": "-1",
                "BodyPartExamined": "kidney\\x",
                "Laterality": "L",
            },
            "equipment": {"EchoTime": "?", "Manufacturer": "x" * 99, "SequenceVariant": "s"},
        },
    ],
    ids=["nothing known", "invalid attributes"],
)
def test_no_errors_at_the_extremes(tmp_path, changes):
    made = dicom_result((7, 6, 1), source_context=context_of(1, n_volumes=2, **changes))
    assert errors_of(save_small(made, tmp_path / "out")) == []


def test_no_errors_for_one_slice_of_two_volumes(small_files):
    assert errors_of(small_files) == []


def test_uids_that_the_images_lack_are_the_same_for_all_results(tmp_path):
    bare = context_of(1, study={}, frame_of_reference="")
    one = dicom_result((7, 6, 1), source_context=bare)
    settings = dataclasses.replace(one.settings, method=ik.methods.get("trr"))
    other = dataclasses.replace(one, settings=settings)
    files = save_small(one, tmp_path / "one")
    files += save_small(other, tmp_path / "two", kinds=["mr", "pm"])
    made = [pydicom.dcmread(path) for path in files]
    assert len({each.StudyInstanceUID for each in made}) == 1
    assert len({each.get("FrameOfReferenceUID") for each in made} - {None}) == 1


def test_model_of_ones_own(tmp_path):
    """With names that no code and no file of DICOM expects."""
    slow = Parameter("Δ_of_a_very_slow_pool", "Δ", "µm²/ms", 0.0, 3.0, 1.0)
    model = SignalModel("Eigenes", "mein Modell", "", (Compartment("one", decay, (slow,)),))
    one = dicom_result((7, 6, 1), source_context=context_of(1, n_volumes=2))
    settings = dataclasses.replace(one.settings, model=model)
    maps = {"S0": one.maps["S0"], slow.name: 1e3 * one.maps["D"], "ADC": one.maps["ADC"]}
    made = dataclasses.replace(one, settings=settings, maps=maps)
    assert errors_of(save(made, tmp_path, labels=one_region(made))) == []
    image = read(tmp_path, f"mr_{slow.name}/0001.dcm")
    assert image.SeriesDescription == f"ivimkit {slow.name} [m/ms]"


def test_maps_without_any_value(tmp_path, small):
    nothing = {name: np.full(small.shape, np.nan) for name in small.maps}
    made = dataclasses.replace(small, maps=nothing)
    files = save_small(made, tmp_path, maps=["D", "S0"])
    assert errors_of(files) == []
    pixels = np.frombuffer(read(tmp_path, "pm_S0.dcm").FloatPixelData, dtype="<f4")
    assert pixels.size == small.status.size
    assert np.isnan(pixels).all()


# ----------------------------------------------------------------------------- read back


@pytest.mark.parametrize("flipped", [False, True])
def test_parametric_maps_are_exact(tmp_path, exported, result, flipped):
    made, folder = result, exported
    if flipped:
        made, folder = dataclasses.replace(result, geometry=Geometry(oblique(flipped))), tmp_path
        save(made, folder, kinds=["pm"], maps=["D", "D_star"])
    for name in ("D", "D_star"):
        image = highdicom.imread(folder / f"pm_{name}.dcm")
        volume = image.get_volume(dtype=np.float32)
        found = in_scan_order(volume.array, volume.affine, made)
        np.testing.assert_array_equal(found, (made.maps[name] * 1e6).astype(np.float32))
        # Programs that place frames by their number find them along the normal.
        shared = image.SharedFunctionalGroupsSequence[0]
        axes = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        along = [
            np.cross(axes[:3], axes[3:]) @ frame.PlanePositionSequence[0].ImagePositionPatient
            for frame in image.PerFrameFunctionalGroupsSequence
        ]
        assert (np.diff(along) > 0).all()


@pytest.mark.parametrize("name", ["ADC", "D", "f", "D_star", "fD_star"])
def test_mr_series_is_within_half_a_step(exported, result, name):
    images = series_of(exported, name)
    volume = highdicom.get_volume_from_series(images)
    found = in_scan_order(volume.array, volume.affine, result)
    expected = result.maps[name] * quantity_of(result, name).unit.factor
    step = float(images[0].RescaleSlope)
    known = np.isfinite(expected)
    assert np.abs(found - expected)[known].max() <= step * 0.5 * (1 + 1e-9)
    for image in images:
        stored = image.pixel_array
        assert image.PixelPaddingValue == NO_VALUE
        values = stored * float(image.RescaleSlope) + float(image.RescaleIntercept)
        mapping = image.RealWorldValueMappingSequence[0]
        np.testing.assert_array_equal(
            values,
            stored * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept,
        )
    assert sum((image.pixel_array == NO_VALUE).sum() for image in images) == (~known).sum()


def test_diffusion_coefficients_are_stored_as_they_are_read(exported):
    for name in ("D", "ADC"):
        for image in series_of(exported, name):
            assert (image.RescaleSlope, image.RescaleIntercept) == (1, 0)


def test_segmentation(exported, result):
    image = highdicom.seg.segread(exported / "seg.dcm")
    labels = regions_of()
    assert [item.SegmentLabel for item in image.SegmentSequence] == ["Läsion 肝", "liver"]
    kinds = [item.SegmentedPropertyTypeCodeSequence[0] for item in image.SegmentSequence]
    assert [kind.CodeMeaning for kind in kinds] == ["Lesion", "Liver"]
    volume = image.get_volume(combine_segments=True)
    found = np.nan_to_num(in_scan_order(volume.array, volume.affine, result))
    np.testing.assert_array_equal(found, np.where(labels.array == 5, 2, labels.array))


def test_capture_has_the_picture_and_what_it_is_for(exported):
    image = read(exported, "sc.dcm")
    np.testing.assert_array_equal(image.pixel_array[: len(PICTURE)], PICTURE)
    strip = image.pixel_array[len(PICTURE) :]
    assert strip.min() < 50 < 250 < strip.max()
    assert image.BurnedInAnnotation == "NO"


# -------------------------------------------------------------------------------- report


def measurements(report):
    """Yield region, quantity, derivation, value and its uncertainties."""
    parts = {name_of(item): item for item in report.ContentSequence}
    for group in parts["Imaging Measurements"].ContentSequence:
        items = list(group.ContentSequence)
        region = next(item.TextValue for item in items if name_of(item) == "Tracking Identifier")
        for item in items:
            if item.ValueType == "NUM":
                inner = {name_of(one): one for one in item.get("ContentSequence", ())}
                derivation = inner.get("Derivation")
                yield (
                    region,
                    name_of(item),
                    derivation and derivation.ConceptCodeSequence[0].CodeMeaning,
                    number_of(item),
                    [number_of(one) for key, one in inner.items() if "uncertainty" in key],
                    item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
                )


def name_of(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


def number_of(item):
    return float(item.MeasuredValueSequence[0].NumericValue)


def test_report_has_the_values_of_the_table(exported, result):
    found = {row[:3]: row[3:] for row in measurements(read(exported, "sr.dcm"))}
    table = ik.quality.roi_table(result, regions_of(), maps=["D", "f"])
    columns = {"mean": "Mean", "median": "Median", "sd": "Standard Deviation"}
    for region, label in (("Läsion \\ 肝", "Läsion 肝"), ("liver", "liver")):
        row = table.loc[(region, "D")]
        for column, words in columns.items():
            value, limits, unit = found[label, "Slow Diffusion Coefficient", words]
            assert value == pytest.approx(row[column] * 1e6, rel=REPORTED)
            assert (limits, unit) == ([], "um2/s")
        assert found[label, "Volume", None][0] == pytest.approx(row["volume_ml"], rel=REPORTED)
    assert found["liver", "Fast Diffusion Coefficient Fraction", "Mean"][2] == "%"


def test_report_of_a_fit_with_its_scan_has_limits(tmp_path):
    made = ik.simulate.phantom(shape=(32, 24, 2))
    fitted = dataclasses.replace(ik.fit(made.dwi), source_context=context_of(2))
    names = {number: name for number, name in made.label_names.items() if name == "liver"}
    labels = ik.Labels(np.where(np.isin(made.labels, list(names)), made.labels, 0), names)
    ik.io.save_dicom(fitted, tmp_path, ["sr"], labels=labels, maps=["D"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seg.dcm", "sr.dcm"]
    assert errors_of(tmp_path.iterdir()) == []
    table = ik.quality.roi_table(fitted, labels, maps=["D"])
    words = "Fit of the mean signal of the region"
    rows = [row for row in measurements(read(tmp_path, "sr.dcm")) if row[2] == words]
    found = {row[:2]: row[3:] for row in rows}
    value, (upper, lower), unit = found["liver", "Slow Diffusion Coefficient"]
    row = table.loc[("liver", "D")]
    assert unit == "um2/s"
    assert value == pytest.approx(row["roi_fit"] * 1e6, rel=REPORTED)
    assert value + upper == pytest.approx(row["roi_fit_hi"] * 1e6, rel=REPORTED)
    assert value - lower == pytest.approx(row["roi_fit_lo"] * 1e6, rel=REPORTED)


def test_report_refers_to_the_maps_and_the_segmentation(exported):
    report = read(exported, "sr.dcm")
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    files = [exported / "seg.dcm", *exported.glob("pm_*.dcm")]
    assert evidence == {pydicom.dcmread(path).SOPInstanceUID for path in files}
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")


# ---------------------------------------------------------- patient, study, sources, names


def test_patient_study_and_frame_of_reference_are_those_of_the_scan(exported):
    for path in exported.rglob("*.dcm"):
        made = pydicom.dcmread(path)
        for keyword, value in {**PATIENT, **STUDY}.items():
            assert str(made[keyword].value) == value, (path.name, keyword)
        if path.name not in ("sr.dcm", "sc.dcm"):
            assert made.FrameOfReferenceUID == "1.2.3.9"
        assert made.ManufacturerModelName == "ivimkit"
        assert made.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert made.SpecificCharacterSet == "ISO_IR 192"
        assert made.ContributingEquipmentSequence[0].ManufacturerModelName == "Vida"


def test_each_slice_names_all_images_it_comes_from(exported, result):
    for position, image in enumerate(series_of(exported, "D")):
        names = [item.ReferencedSOPInstanceUID for item in image.SourceImageSequence]
        assert names == [f"1.2.3.4.{v}.{position}" for v in range(N_VOLUMES)]
    affine = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ result.geometry.affine)
    for name in ("pm_D.dcm", "seg.dcm"):
        for frame in read(exported, name).PerFrameFunctionalGroupsSequence:
            place = [*frame.PlanePositionSequence[0].ImagePositionPatient, 1]
            position = round((affine @ np.array(place, dtype=float))[2])
            sources = frame.DerivationImageSequence[0].SourceImageSequence
            names = [item.ReferencedSOPInstanceUID for item in sources]
            assert names == [f"1.2.3.4.{v}.{position}" for v in range(N_VOLUMES)]


def test_frames_of_enhanced_images_are_named_by_number(tmp_path, result):
    context = result.source_context
    enhanced = msgspec.structs.replace(
        context,
        instances=context.instances[:1],
        volumes=[[(0, v * 4 + k + 1) for k in range(4)] for v in range(N_VOLUMES)],
    )
    made = dataclasses.replace(result, source_context=enhanced)
    save(made, tmp_path, kinds=["mr"], maps=["D"])
    sources = series_of(tmp_path, "D")[2].SourceImageSequence
    assert [item.ReferencedFrameNumber for item in sources] == [
        v * 4 + 3 for v in range(N_VOLUMES)
    ]


def test_research_is_said_where_there_is_a_place(exported):
    words = "Research, not for diagnosis"
    assert words in series_of(exported, "D")[0].ImageComments
    assert words in read(exported, "pm_D.dcm").ContentDescription
    assert read(exported, "pm_D.dcm").ContentQualification == "RESEARCH"
    assert words in read(exported, "seg.dcm").ContentDescription
    assert words in read(exported, "sr.dcm").SeriesDescription
    assert words in read(exported, "sc.dcm").ImageComments


def test_quantity_model_method_and_b_values(exported):
    shared = read(exported, "pm_D_star.dcm").SharedFunctionalGroupsSequence[0]
    mapping = shared.RealWorldValueMappingSequence[0]
    items = mapping.QuantityDefinitionSequence
    codes = [item.ConceptCodeSequence[0].CodeValue for item in items if item.ValueType == "CODE"]
    numbers = [float(item.NumericValue) for item in items if item.ValueType == "NUMERIC"]
    assert codes == ["113292", "113251", "varpro"]
    assert numbers == [0, 10, 20, 50, 100, 200, 400, 800]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "um2/s"


def test_series_are_in_order_after_that_of_the_scan(exported):
    made = [pydicom.dcmread(path) for path in exported.rglob("*.dcm")]
    numbers = {one.SeriesInstanceUID: int(one.SeriesNumber) for one in made}
    assert len(set(numbers.values())) == len(numbers) == 13
    assert all(700 < number < 800 for number in numbers.values())


def test_anonymous(tmp_path, small, small_files):
    anonymous = save_small(small, tmp_path / "anonymous", anonymous=True)
    for path in anonymous:
        made = pydicom.dcmread(path)
        content = path.read_bytes()
        private = (PATIENT["PatientName"], PATIENT["PatientBirthDate"], STUDY["AccessionNumber"])
        assert not any(text.encode() in content for text in private)
        assert made.PatientID == made.AccessionNumber == made.ReferringPhysicianName == ""
        assert made.StudyInstanceUID == STUDY["StudyInstanceUID"]
    # It must not replace the one with the patient.
    assert set(uids(anonymous)).isdisjoint(uids(small_files))


# ------------------------------------------------------------------------------ identity


def test_again_gives_the_same_bytes(tmp_path, small, small_files):
    save_small(small, tmp_path / "again")
    assert digest(tmp_path / "again") == digest(small_files[-1].parent)


def uids(files):
    return [pydicom.dcmread(path).SOPInstanceUID for path in files]


def test_the_same_fit_at_another_time_has_the_same_uids(tmp_path, small, small_files):
    later = dataclasses.replace(small.provenance, started="2027-01-01T00:00:00+00:00", threads=7)
    again = dataclasses.replace(small, provenance=later)
    assert uids(save_small(again, tmp_path / "again")) == uids(small_files)


def test_what_differs_has_other_uids(tmp_path, small, small_files):
    first = uids(small_files)
    other_mask = small.status.copy()
    other_mask[0, 0, 0] = int(ik.status.FitStatus.OUTSIDE_MASK)
    settings = dataclasses.replace(small.settings, method=ik.methods.get("trr"))
    fewer = small.source_context.of_volumes(range(1))
    for number, changes in enumerate(
        ({"status": other_mask}, {"settings": settings}, {"source_context": fewer})
    ):
        other = save_small(dataclasses.replace(small, **changes), tmp_path / str(number))
        assert set(first).isdisjoint(uids(other))
    (report,) = (
        path
        for path in save_small(small, tmp_path / "maps", kinds=["pm", "sr"], maps=["D", "f"])
        if path.name == "sr.dcm"
    )
    assert set(first).isdisjoint(uids([report])), "a report of more maps is another one"
    labels = ik.Labels(np.where(regions_of(small.shape).array == 1, 1, 0))
    labelled = uids(save_small(small, tmp_path / "labels", labels=labels))
    same = set(first) & set(labelled)
    assert len(same) == len(first) - 2, "only Segmentation and report depend on the regions"


def test_root_and_first_series(tmp_path, small):
    files = save_small(small, tmp_path, uid_root=ROOT, first_series=50)
    for path in files:
        made = pydicom.dcmread(path)
        assert made.SOPInstanceUID.startswith(f"{ROOT}.")
        assert 50 <= made.SeriesNumber < 150


# -------------------------------------------------------------------------------- errors


def test_existing_export_is_replaced_only_if_asked(tmp_path, result):
    save(result, tmp_path, kinds=["mr"], maps=["D", "f"])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "scan.dcm").write_text("mine")
    with pytest.raises(OutputExistsError, match="already contains results"):
        save(result, tmp_path, kinds=["pm"], maps=["D"])
    save(result, tmp_path, kinds=["pm"], maps=["D"], overwrite=True)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
    assert left == ["notes.txt", "pm_D.dcm", "scan.dcm"]


def test_kinds_that_cannot_be_written(tmp_path, result):
    with pytest.raises(OptionError, match="no kind of DICOM output 'nifti'; expected some of mr"):
        save(result, tmp_path, kinds=["nifti"])
    with pytest.raises(OptionError, match=r"kinds of DICOM output are none"):
        save(result, tmp_path, kinds=[])
    with pytest.raises(OptionError, match=r"mr, mr; expected each of .* at most once"):
        save(result, tmp_path, kinds=["mr", "mr"])
    with pytest.raises(OptionError, match=r"seg and sr: there are no regions .*labels"):
        save(result, tmp_path, kinds=["seg", "sr"], labels=None)
    with pytest.raises(OptionError, match="sc is a picture, and there is none"):
        save(result, tmp_path, kinds=["sc"], picture=None)
    assert list(tmp_path.iterdir()) == []
    assert list(KINDS) == ["mr", "pm", "seg", "sr", "sc"]


def test_kinds_by_default_are_those_that_are_possible(tmp_path, result):
    ik.io.save_dicom(result, tmp_path, maps=["D"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mr_D", "pm_D.dcm"]


def test_other_input_that_cannot_be_used(tmp_path, result):
    with pytest.raises(OptionError, match="maps to export are 'Q'; expected some of S0, f"):
        save(result, tmp_path, maps=["D", "Q"])
    with pytest.raises(OptionError, match=r"scan was not read from DICOM.*--template"):
        save(dataclasses.replace(result, source_context=None), tmp_path)
    with pytest.raises(ShapeError, match="the images 3 slices"):
        save(dataclasses.replace(result, source_context=context_of(3)), tmp_path)
    with pytest.raises(ShapeError, match=r"labels have shape \(2, 2, 2\)"):
        save(result, tmp_path, labels=np.ones((2, 2, 2), dtype=int))
    with pytest.raises(ShapeError, match="the picture has shape"):
        save(result, tmp_path, picture=np.zeros((3, 4)))
    with pytest.raises(OptionError, match="the UID root"):
        save(result, tmp_path, uid_root="x")
    sheared = oblique()
    sheared[:3, 0] += 0.3 * sheared[:3, 1]
    with pytest.raises(ShapeError, match="not at right angles"):
        save(dataclasses.replace(result, geometry=Geometry(sheared)), tmp_path / "sheared")
    assert list(tmp_path.iterdir()) == []


def test_missing_extra(tmp_path, result, monkeypatch):
    monkeypatch.setattr("ivimkit.io.dicom.extra.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"highdicom is not installed.*ivimkit\[dicom\]"):
        save(result, tmp_path)
