"""Which scan of a folder is loaded, and what is said where there is none, or several."""

from __future__ import annotations

import copy
import os
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import dicom_maker as dm
import ivimkit as ik
from ivimkit.errors import AcquisitionError, AcquisitionWarning, FileFormatError, OptionError

BVALS = (0, 50, 400, 800)


def _made(n_slices):
    stored = np.random.default_rng(2).integers(100, 3000, (6, 5, n_slices, 4)).astype(np.int16)
    return dm.Made(stored, BVALS)


@pytest.fixture
def made():
    """A scan of two slices, a file each."""
    return _made(2)


@pytest.fixture
def four():
    """A scan of four slices, one of which may be missing."""
    return _made(4)


@pytest.fixture
def put(tmp_path):
    """Return a function that saves images into a folder, and returns it."""

    def _put(*parts):
        dm.save([d for part in parts for d in part], tmp_path / "study")
        return tmp_path / "study"

    return _put


def _of_type(made, number, *image_type, **changes):
    datasets = dm.slices(replace(made, number=number, **changes))
    for d in datasets:
        d.ImageType = list(image_type)
    return datasets


def _per_b(made, numbers=(10, 11, 12, 13), vendor="siemens"):
    """One series per b-value."""
    return [
        d
        for k, number in enumerate(numbers)
        for d in dm.slices(
            replace(made, stored=made.stored[..., [k]], bvals=[BVALS[k]], number=number), vendor
        )
    ]


# ------------------------------------------------------------------ one scan of several series


def test_one_series_per_b_value(made, put):
    folder = put(_per_b(made, (13, 10, 12, 11)))
    (scan,) = ik.io.find_scans(folder)
    assert scan.series_numbers == (10, 11, 12, 13)
    dwi = ik.load(folder)
    assert dwi.acquisition.bvals.tolist() == list(BVALS)
    assert_array_equal(dwi.signal, made.stored)


def test_one_series_per_b_value_twice_are_two_scans(made, put):
    folder = put(_per_b(made), _per_b(made, (20, 21, 22, 23)))
    with pytest.raises(AcquisitionError, match=r"2 scans: series 10,11,12,13 .*; series 20,21,22"):
        ik.load(folder)
    assert_array_equal(ik.load(folder, series=[20, 21, 22, 23]).signal, made.stored)


def test_series_that_are_chosen_become_one_scan(made, put):
    folder = put(dm.slices(made), dm.slices(replace(made, number=7)))
    dwi = ik.load(folder, series=["5", "7"])
    assert dwi.acquisition.bvals.tolist() == [0, 0, 50, 50, 400, 400, 800, 800]
    one = ik.load(folder, series=f"{made.study}.7")
    assert one.source_context.instances[0].series == f"{made.study}.7"


@pytest.mark.parametrize(
    "change",
    [
        {"affine": np.diag([-2.0, -2.0, 4.0, 1.0])},
        {"frame": "1.2.3.6"},
        {"study": "1.2.4"},
    ],
    ids=["grid", "frame of reference", "study"],
)
def test_series_elsewhere_are_not_merged(made, put, change):
    low, high = (
        replace(made, stored=made.stored[..., k : k + 2], bvals=BVALS[k : k + 2]) for k in (0, 2)
    )
    together = put(dm.slices(low), dm.slices(replace(high, number=6)))
    assert len(ik.io.find_scans(together)) == 1
    apart = put(dm.slices(low), dm.slices(replace(high, number=6, **change)))
    assert len(ik.io.find_scans(apart)) == 2


def test_images_of_the_series_on_another_grid_are_named(made, put):
    coarse = replace(made, stored=made.stored[:3, :3, :, 3:], bvals=BVALS[3:], study="1.2.3.4")
    others = dm.slices(coarse)
    for number, d in enumerate(others):
        d.InstanceNumber, d.SOPInstanceUID = 100 + number, f"1.2.3.4.5.{100 + number}"
    here = replace(made, stored=made.stored[..., :3], bvals=BVALS[:3])
    folder = put(dm.slices(here), others)
    with pytest.warns(AcquisitionWarning, match="2 images of series 5 with b = .* .3 x 3 x 2."):
        assert ik.load(folder).acquisition.bvals.tolist() == list(BVALS[:3])


def test_a_second_b_0_is_left_out(made, put):
    """A series of b = 0 alone with the other phase encoding."""
    field = replace(made, stored=made.stored[..., [0]], bvals=[0], number=9, description="PA")
    folder = put(dm.slices(made), dm.slices(field))
    assert_array_equal(ik.load(folder).signal, made.stored)
    (other,) = ik.io.list_dicom(folder).others
    assert (other.number, other.reason) == (9, "mean of directions, b = 0 only")


# ------------------------------------------------------------------ directions and means


@pytest.fixture
def both(made, put):
    """Philips: three directions and their mean of each b-value in one series."""
    bvals = [0, *(b for b in BVALS[1:] for _ in range(4))]
    directions = [None, *([(1, 0, 0), (0, 1, 0), (0, 0, 1), None] * 3)]
    stored = np.random.default_rng(3).integers(0, 999, (6, 5, 2, 13)).astype(np.int16)
    return put(
        dm.slices(replace(made, stored=stored, bvals=bvals, directions=directions), "philips")
    )


def test_directions_are_preferred_to_their_means(both):
    assert [scan.kind for scan in ik.io.find_scans(both)] == ["dwi", "trace"]
    assert ik.load(both).acquisition.n_volumes == 10
    assert ik.load(both, images="directions").acquisition.n_volumes == 10
    trace = ik.load(both, images="trace")
    assert trace.acquisition.bvals.tolist() == list(BVALS)
    assert trace.acquisition.bvecs is None


def test_unmarked_means_next_to_directions(made, put):
    """GE: images without direction of a b-value that also has directions."""
    directions = [None, (1, 0, 0), (0, 1, 0), None]
    folder = put(dm.slices(replace(made, bvals=(0, 800, 800, 800), directions=directions), "ge"))
    assert ik.load(folder).acquisition.n_volumes == 3
    assert ik.load(folder, images="trace").acquisition.bvals.tolist() == [0, 800]


def test_images_that_are_not_there(made, put):
    folder = put(dm.slices(made))
    with pytest.raises(AcquisitionError, match=r"no directions to fit .*use --images trace"):
        ik.load(folder, images="directions")
    with pytest.raises(OptionError, match="images is 'mean'; expected one of auto, directions"):
        ik.load(folder, images="mean")


# ------------------------------------------------------------------ what is not measured


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND"), "map computed by the scanner"),
        (("DERIVED", "PRIMARY", "DIFFUSION", "FA"), "map computed by the scanner"),
        (("DERIVED", "PRIMARY", "DIFFUSION", "CALC_BVALUE"), "b-values computed from others"),
        (("ORIGINAL", "PRIMARY", "P", "ND"), "phase, real or imaginary images"),
    ],
)
def test_other_images_are_not_fitted(made, put, words, reason):
    one = {"stored": made.stored[..., [3]], "bvals": [1500]}
    folder = put(dm.slices(made), _of_type(made, 6, *words, **one))
    assert_array_equal(ik.load(folder).signal, made.stored)
    (other,) = ik.io.list_dicom(folder).others
    assert other.reason.startswith(reason)
    with pytest.raises(AcquisitionError, match=rf"contains only images .* series 6 .*{reason}"):
        ik.load(folder, series=6)


def test_a_map_by_its_description_and_by_its_unit(made, put):
    one = {"stored": made.stored[..., [0]], "bvals": [500]}
    named = _of_type(made, 6, "DERIVED", "SECONDARY", description="Apparent Diffusion", **one)
    plain = _of_type(made, 7, "ORIGINAL", "PRIMARY", description="dwi_ADC_tra", **one)
    in_units = _of_type(made, 8, "DERIVED", "SECONDARY", description="x", **one)
    for d in in_units:
        d.RescaleType = "MM2/S"
    contents = ik.io.list_dicom(put(dm.slices(made), named, plain, in_units))
    assert [one.kind for one in contents.others] == ["derived"] * 3


def test_phase_in_the_same_series(made, put):
    phase = dm.renumbered(_of_type(made, 5, "ORIGINAL", "PRIMARY", "P", "ND"))
    assert_array_equal(ik.load(put(dm.slices(made), phase)).signal, made.stored)


def test_no_diffusion_and_other_files(made, put):
    anatomy = dm.slices(replace(made, number=3, description="t2_tse"), "fuji")
    for d in anatomy:
        del d.DiffusionBValue
    report = copy.deepcopy(anatomy[0])
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3.99"
    folder = put(dm.slices(made), anatomy, [report])
    (folder / "notes.txt").write_text("x")
    contents = ik.io.list_dicom(folder)
    assert [(one.number, one.reason) for one in contents.others] == [
        (3, "no diffusion: no b-value")
    ]
    assert contents.skipped.reasons == {
        "not DICOM": 1,
        "not MR images (Basic Text SR Storage)": 1,
    }
    assert contents.to_dict()["scans"][0]["bvals"] == list(BVALS)


# ------------------------------------------------------------------ incomplete and damaged


def test_a_missing_slice(four, put):
    datasets = dm.slices(four)
    folder = put(datasets[:5] + datasets[6:])
    message = r"1 incomplete volume: b = 50 in series 5 without slice 2 \(3 mm\)"
    with pytest.raises(AcquisitionError, match=message):
        ik.load(folder)
    (scan,) = ik.io.find_scans(folder)
    assert scan.incomplete[0].missing == ((2, 3.0),)
    with pytest.warns(AcquisitionWarning, match="left out: b = 50 in series 5"):
        dwi = ik.load(folder, drop_incomplete=True)
    assert_array_equal(dwi.signal, four.stored[..., [0, 2, 3]])


def test_a_doubled_slice(four, put):
    datasets = dm.slices(four)
    folder = put(datasets, dm.renumbered(copy.deepcopy(datasets[6:7])))
    with pytest.raises(AcquisitionError, match=r"b = 50 in series 5 with two of slice 3 \(6 mm\)"):
        ik.load(folder)


def test_one_of_two_repeats_lacks_a_slice(four, put):
    twice = replace(four, bvals=(0, 0, 400, 800))
    datasets = dm.slices(twice)
    folder = put(datasets[:5] + datasets[6:])
    with pytest.warns(AcquisitionWarning, match="left out: b = 0"):
        dwi = ik.load(folder, drop_incomplete=True)
    assert_array_equal(dwi.signal, four.stored[..., [0, 2, 3]])


def test_repeats_are_in_order_of_acquisition(made, put):
    folder = put(dm.slices(replace(made, bvals=(0, 800, 0, 800))))
    dwi = ik.load(folder)
    assert dwi.acquisition.bvals.tolist() == [0, 800, 0, 800]
    assert_array_equal(dwi.signal, made.stored)


def test_no_volume_is_complete(four, put):
    datasets = [d for k, d in enumerate(dm.slices(four)) if k not in (0, 5, 10, 15)]
    folder = put(datasets)
    (scan,) = ik.io.find_scans(folder)
    assert scan.problems[-1] == "not one volume is complete"
    with pytest.raises(
        AcquisitionError, match=r"4 incomplete volumes: .*Export the series again$"
    ):
        ik.load(folder, drop_incomplete=True)


def test_a_slice_is_missing_in_all_volumes(four, put):
    folder = put([d for k, d in enumerate(dm.slices(four)) if k % 4 != 1])
    message = "not equidistant: 6 mm from slice 1 to 2, and 3 mm elsewhere: 1 missing in every"
    with pytest.raises(AcquisitionError, match=message):
        ik.load(folder)


@pytest.mark.parametrize("left", [-40, 300], ids=["pixels", "header"])
def test_a_truncated_file_is_named(four, put, left):
    folder = put(dm.slices(four))
    path = folder / "00005.dcm"
    path.write_bytes(path.read_bytes()[:left])
    message = r"without slice 2 .*could not be used: 1 truncated, like .*00005.dcm"
    with pytest.raises(AcquisitionError, match=message):
        ik.load(folder)


def test_a_lost_file_of_a_whole_volume_is_a_warning(made, put):
    folder = put(dm.enhanced(made, one_file=False))
    path = folder / "00002.dcm"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.warns(AcquisitionWarning, match=r"could not be used: 1 truncated, like .*00002"):
        assert ik.load(folder).acquisition.n_volumes == 3


def test_damage_is_counted(made, put):
    folder = put(dm.slices(made))
    broken = dm.slices(replace(made, number=8))[:3]
    del broken[0].ImagePositionPatient
    broken[1].ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
    broken[2].PixelSpacing = [0, 2]
    dm.save(broken, folder / "more")
    reasons = ik.io.list_dicom(folder).skipped.reasons
    assert reasons == {
        "without Image Position (0020,0032)": 1,
        "with axes that are not perpendicular (0020,0037)": 1,
        "without Pixel Spacing (0028,0030)": 1,
    }


def test_pixels_that_do_not_decode(made, put):
    folder = put(dm.slices(made))
    path = folder / "00005.dcm"
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"cannot read the pixels of .*00005.dcm"):
        ik.load(folder)


# ------------------------------------------------------------------ b-values


def test_no_b_value(made, put):
    datasets = dm.slices(made, "philips")
    for d in datasets:
        del d.DiffusionBValue
    folder = put(datasets)
    with pytest.raises(AcquisitionError, match=r"no b-value .*Philips: 0018,9087 and 2001,1003"):
        ik.load(folder)
    dwi = ik.load(folder, bvals=[0, 50, 400, 800])
    assert_array_equal(dwi.signal, made.stored)
    with pytest.raises(AcquisitionError, match="has no b-values in its headers"):
        ik.load(folder, variables={"echo_time": [60, 60, 90, 90]})


def test_b_values_that_are_given_replace_those_of_headers(made, put):
    folder = put(dm.slices(made))
    assert ik.load(folder, bvals=[0, 60, 410, 810]).acquisition.bvals.tolist() == [0, 60, 410, 810]
    with pytest.raises(
        OptionError, match=r"unit of b-values is ms/um2 .* DICOM headers are in s/"
    ):
        ik.load(folder, b_unit="ms/um2")


def test_one_b_value(made, put):
    folder = put(_per_b(made))
    with pytest.raises(
        AcquisitionError, match=r"no scan with two b-values: series 11 .*--series 5"
    ):
        ik.load(folder, series=11)
    one = put(dm.slices(replace(made, stored=made.stored[..., [3]], bvals=[800])))
    for path in sorted(one.iterdir())[2:]:
        path.unlink()
    with pytest.raises(AcquisitionError, match=r"b = .* only.*Export all series of the scan"):
        ik.load(one)


def test_b_values_from_the_name_of_the_sequence(made, put):
    datasets = dm.slices(made)
    for d, b in zip(datasets, np.repeat(BVALS, 2), strict=True):
        d.SequenceName = f"*ep_b{b}t"
        del d[0x0019, 0x100C]
    folder = put(datasets)
    with pytest.warns(AcquisitionWarning, match="name of the sequence"):
        assert ik.load(folder).acquisition.bvals.tolist() == list(BVALS)


# ------------------------------------------------------------------ nothing to read


def test_folders_without_dicom(tmp_path):
    with pytest.raises(FileFormatError, match="has no files; expected DICOM images"):
        ik.load(tmp_path)
    image = tmp_path / "dwi.nii.gz"
    image.write_bytes(b"x")
    with pytest.raises(FileFormatError, match=r"1 not DICOM.*give one of them, like .*dwi.nii.gz"):
        ik.load(tmp_path)
    (tmp_path / "dataset_description.json").write_text("{}")
    with pytest.raises(FileFormatError, match="It is a BIDS data set: give an image in it"):
        ik.load(tmp_path)
    (tmp_path / "fit.json").write_text("{}")
    with pytest.raises(FileFormatError, match="It is a result of ivimkit fit"):
        ik.load(tmp_path)


def test_choices_of_dicom_for_other_files(tmp_path):
    with pytest.raises(OptionError, match=r"dwi.nii is not DICOM, and a choice"):
        ik.load(tmp_path / "dwi.nii", series=5)


def test_unknown_series(made, put):
    with pytest.raises(OptionError, match=r"no series 9 \(--series\); expected some of 5"):
        ik.load(put(dm.slices(made)), series=[5, 9])


def test_two_studies(made, put):
    folder = put(dm.slices(made), dm.slices(replace(made, study="1.2.4")))
    with pytest.raises(AcquisitionError, match=r"2 scans of 2 studies.*Give the folder of one"):
        ik.load(folder)


def test_paths_that_cannot_be_read(made, put, tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match=r"cannot read .*nowhere: No such file"):
        ik.io.find_scans(tmp_path / "nowhere")
    folder = put(dm.slices(made))
    if os.geteuid():
        (folder / "00005.dcm").chmod(0)
        with pytest.raises(AcquisitionError, match=r"not readable \(Permission denied\), like"):
            ik.load(folder)
        folder.chmod(0)
        with pytest.raises(FileFormatError, match=r"cannot read .*Permission denied"):
            ik.load(folder)
        folder.chmod(0o700)


def test_without_pydicom(made, put, monkeypatch):
    folder = put(dm.slices(made))
    monkeypatch.setattr("ivimkit.io.dicom.extra.find_spec", lambda name: None)
    with pytest.raises(ik.errors.InputError, match=r"pip install 'ivimkit\[dicom\]'"):
        ik.load(folder)


# ------------------------------------------------------------------ choices that do not fit


def test_series_that_are_chosen_but_lie_elsewhere(made, put):
    moved = replace(made, number=7, affine=np.diag([-2.0, -2.0, 4.0, 1.0]))
    folder = put(dm.slices(made), dm.slices(moved))
    with pytest.raises(AcquisitionError, match="do not lie on the same voxels"):
        ik.load(folder, series=[5, 7])


def test_series_of_two_echo_times_that_are_chosen(made, put):
    late = dm.slices(replace(made, number=7))
    for d in late:
        d.EchoTime = "90"
    folder = put(dm.slices(made), late)
    assert len(ik.io.find_scans(folder)) == 2
    assert (
        ik.load(folder, series=[5, 7]).acquisition.variables["echo_time"].tolist() == [60, 90] * 4
    )


def test_means_of_other_b_values_than_the_directions(made, put):
    directed = replace(
        made, stored=made.stored[..., :2], bvals=(0, 800), directions=(None, (1, 0, 0))
    )
    folder = put(dm.slices(directed), dm.slices(replace(made, number=6)))
    with pytest.raises(AcquisitionError, match="Choose the directions or the means"):
        ik.load(folder)
    assert ik.load(folder, images="trace").acquisition.n_volumes == 4
    # Siemens writes the applied b-value of each direction, and the nominal one of the mean.
    applied = replace(directed, bvals=(0, 805), stored=made.stored[..., :2])
    mean = replace(made, number=6, stored=made.stored[..., :2], bvals=(0, 800))
    for path in folder.iterdir():
        path.unlink()
    assert ik.load(put(dm.slices(applied), dm.slices(mean))).acquisition.bvals.tolist() == [0, 805]


def test_colour_and_localisers_are_no_losses(made, put):
    colour = dm.slices(replace(made, number=8))[:1]
    colour[0].SamplesPerPixel, colour[0].PhotometricInterpretation = 3, "RGB"
    localiser = dm.slices(replace(made, number=9), "fuji")[:1]
    del localiser[0].DiffusionBValue, localiser[0].ImagePositionPatient
    folder = put(dm.slices(made), colour, localiser)
    assert_array_equal(ik.load(folder).signal, made.stored)
    reasons = ik.io.list_dicom(folder).skipped.reasons
    assert reasons == {"in colour": 1, "without Image Position (0020,0032)": 1}
