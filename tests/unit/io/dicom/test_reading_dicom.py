"""Scans of all manufacturers and forms, made here: values, b-values, directions, positions."""

from __future__ import annotations

import io
import shutil
import struct
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.uid import (
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    RLELossless,
)

import dicom_maker as dm
import ivimkit as ik
from ivimkit.io.dicom.pixels import read_values

BVALS = (0, 50, 50, 50, 400, 800)
DIRECTIONS = (None, (1, 0, 0), (0, 1, 0), (0, 0.6, 0.8), (1, 0, 0), (0, 0, 1))
ROUNDED = 2e-3
"""Directions are kept with four digits."""
FLOAT32 = 1e-6


def _turned(*angles):
    """A grid turned about its axes, with voxels of 2 x 2.5 x 3.3 mm."""
    affine = np.diag([-2.0, -2.5, 3.3, 1.0])
    for axis, angle in enumerate(angles):
        one, other = [k for k in range(3) if k != axis]
        turn = np.eye(4)
        turn[[one, one, other, other], [one, other, one, other]] = (
            *(np.cos(angle), -np.sin(angle)),
            *(np.sin(angle), np.cos(angle)),
        )
        affine = turn @ affine
    affine[:3, 3] = 10.0, -20.5, 30.25
    return affine


SAGITTAL = np.array([[0, 0, 3.0, -40], [-2, 0, 0, 90], [0, -2, 0, 70], [0, 0, 0, 1]])
GRIDS = {"oblique": _turned(0.3, -0.2, 0.5), "sagittal": SAGITTAL}
FORMS = {
    **{vendor: (lambda made, vendor=vendor: dm.slices(made, vendor)) for vendor in dm.VENDORS},
    "mosaic": dm.mosaic,
    "grid": dm.grid,
    "enhanced": dm.enhanced,
    "enhanced, volume by volume": lambda made: dm.enhanced(made, one_file=False),
}


def _stored(n_volumes=6, shape=(7, 6, 3), dtype=np.int16):
    return np.random.default_rng(1).integers(0, 3000, (*shape, n_volumes)).astype(dtype)


def _world(dwi):
    """Directions in the axes of the patient (RAS), by the convention of FSL."""
    axes = dwi.affine[:3, :3] / dwi.geometry.voxel_size
    return (dwi.acquisition.bvecs * [-1, 1, 1]) @ axes.T


# Directions that a header tells in the axes of the image differ from grid to grid.
IN_AXES = ("ge", "uih", "canon", "grid")


@pytest.mark.parametrize(
    ("form", "grid"),
    [
        *((form, "oblique") for form in FORMS),
        *((form, "sagittal") for form in (*IN_AXES, "mosaic")),
    ],
)
def test_directions_of_every_form(form, grid, tmp_path):
    # Of three slices a mosaic has a tile too many.
    stored = _stored(shape=(7, 6, 3 if form in ("mosaic", "grid") else 2))
    made = dm.Made(stored, BVALS, DIRECTIONS, affine=GRIDS[grid], slope=-1.5, intercept=7000)
    dm.save(FORMS[form](made), tmp_path)
    dwi = ik.load(tmp_path)
    assert dwi.acquisition.bvals.tolist() == list(BVALS)
    assert_allclose(dwi.affine, made.affine, atol=1e-4)
    assert_allclose(dwi.signal, made.stored * -1.5 + 7000, rtol=FLOAT32)
    found = _world(dwi)
    for volume, direction in enumerate(DIRECTIONS):
        expected = np.array(direction or (0, 0, 0)) * [-1, -1, 1]
        assert_allclose(found[volume], expected, atol=ROUNDED)


@pytest.mark.parametrize("form", FORMS)
def test_means_of_directions_of_every_form(form, tmp_path):
    bvals = (0, 20, 80, 400, 800)
    made = dm.Made(_stored(5, (7, 6, 2), dtype=np.uint16), bvals)
    dm.save(FORMS[form](made), tmp_path)
    dwi = ik.load(tmp_path)
    assert dwi.acquisition.bvals.tolist() == list(bvals)
    assert dwi.acquisition.bvecs is None
    assert dwi.signal.dtype == np.uint16
    assert_array_equal(dwi.signal, made.stored)
    assert dwi.geometry.placed


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(12)), seed=st.integers(0, 2**16))
def test_order_and_names_of_files_do_not_matter(order, seed, tmp_path_factory):
    made = dm.Made(_stored(6, (4, 3, 2)), BVALS, DIRECTIONS)
    folder = tmp_path_factory.mktemp("shuffled")
    names = [f"{n:x}/IM{n}" for n in np.random.default_rng(seed).permutation(12)]
    for name in names:
        (folder / name).parent.mkdir()
    datasets = dm.slices(made, "philips")
    dm.save([datasets[k] for k in order], folder, names)
    dwi = ik.load(folder)
    assert dwi.acquisition.bvals.tolist() == list(BVALS)
    assert_array_equal(dwi.signal, made.stored)


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(12)))
def test_order_of_frames_does_not_matter(order, tmp_path_factory):
    made = dm.Made(_stored(4, (4, 3, 3)), [0, 50, 400, 800])
    (d,) = dm.enhanced(made)
    groups = d.PerFrameFunctionalGroupsSequence
    frames = made.stored.transpose(3, 2, 1, 0).reshape(12, 3, 4)
    d.PerFrameFunctionalGroupsSequence = [groups[k] for k in order]
    d.PixelData = frames[list(order)].tobytes()
    folder = tmp_path_factory.mktemp("frames")
    dm.save([d], folder)
    assert_array_equal(ik.load(folder).signal, made.stored)


@pytest.fixture
def made():
    return dm.Made(_stored(4, (6, 5, 3)), [0, 50, 400, 800])


@pytest.fixture
def folder(made, tmp_path):
    dm.save(dm.slices(made), tmp_path / "study")
    return tmp_path / "study"


def test_archives_lists_and_nested_folders(folder, made, tmp_path):
    shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path, "study")
    paths = sorted(folder.iterdir())
    nested = tmp_path / "nested" / "DICOM" / "IM"
    nested.mkdir(parents=True)
    for number, path in enumerate(paths):
        shutil.copy(path, nested / str(number) if number % 2 else nested.parent / str(number))
    (tmp_path / "nested" / "DICOMDIR").write_bytes(paths[0].read_bytes())
    sources = [tmp_path / "study.zip", paths, [folder], tmp_path / "nested"]
    sources.append(tmp_path / "nested" / "DICOMDIR")
    for source in sources:
        assert_array_equal(ik.load(source).signal, made.stored)


def test_a_file_twice_is_one(folder, made):
    for number in range(4):
        shutil.copy(folder / f"{number:05d}.dcm", folder / f"copy{number}.dcm")
    assert_array_equal(ik.load(folder).signal, made.stored)
    assert ik.io.list_dicom(folder).skipped.reasons == {"doubled (the same SOP Instance UID)": 4}


def test_compressed_with_gzip(folder, made):
    import gzip

    for path in list(folder.iterdir()):
        path.with_suffix(".dcm.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert_array_equal(ik.load(folder).signal, made.stored)


@pytest.mark.parametrize("implicit", [True, False])
def test_without_preamble(folder, made, implicit):
    for path in folder.iterdir():
        plain = pydicom.Dataset(pydicom.dcmread(path))
        plain.save_as(path, implicit_vr=implicit, little_endian=True)
    assert folder.joinpath("00000.dcm").read_bytes()[128:132] != b"DICM"
    assert_array_equal(ik.load(folder).signal, made.stored)


@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"]
)
def test_compressed_pixels(made, syntax, tmp_path):
    gdcm = pytest.importorskip("gdcm")
    stored = np.tile(made.stored, (4, 4, 1, 1))
    for path in dm.save(dm.slices(replace(made, stored=stored)), tmp_path):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    assert_array_equal(ik.load(tmp_path).signal, stored)


def test_run_length_encoded_pixels(made, tmp_path):
    for path in dm.save(dm.slices(made), tmp_path):
        d = pydicom.dcmread(path)
        d.compress(RLELossless)
        d.save_as(path)
    assert_array_equal(ik.load(tmp_path).signal, made.stored)


def test_two_echo_times_are_a_variable(made, tmp_path):
    late = dm.renumbered(dm.slices(replace(made, stored=made.stored // 2)))
    for d in late:
        d.EchoTime = "90"
    dm.save([*dm.slices(made), *late], tmp_path)
    dwi = ik.load(tmp_path)
    assert dwi.acquisition.variables["echo_time"].tolist() == [60, 90] * 4
    assert_array_equal(dwi.signal[..., ::2], made.stored)


@pytest.mark.parametrize("form", FORMS)
def test_implicit_representation_without_owners(form, tmp_path):
    """A PACS may change the representation, and anonymisers remove owners of private blocks."""
    made = dm.Made(_stored(6, (5, 4, 2)), BVALS, DIRECTIONS)
    datasets = FORMS[form](made)
    for d in datasets:
        for tag in [e.tag for e in d if e.tag.is_private_creator]:
            del d[tag]
    dm.save(datasets, tmp_path, syntax=ImplicitVRLittleEndian)
    dwi = ik.load(tmp_path)
    assert dwi.acquisition.bvals.tolist() == list(BVALS)
    assert_array_equal(dwi.signal, made.stored)
    assert_allclose(_world(dwi)[3], [0, -0.6, 0.8], atol=ROUNDED)


@pytest.mark.parametrize(
    ("make", "tag", "message"),
    [
        (dm.mosaic, (0x0019, 0x100A), r"1 a mosaic without its number of slices \(0019,100A\)"),
        (dm.grid, (0x0065, 0x1051), r"1 a grid without the positions of its slices \(0065,1051"),
    ],
)
def test_tiles_are_never_taken_for_one_slice(made, make, tag, message, tmp_path):
    datasets = make(made)
    del datasets[1][tag]
    dm.save(datasets, tmp_path)
    with pytest.warns(ik.errors.AcquisitionWarning, match=message):
        assert ik.load(tmp_path).shape == made.stored.shape[:3]


def _without_diffusion(made):
    """An enhanced image whose frames have lost the group of diffusion."""
    (d,) = dm.enhanced(made)
    for frame in d.PerFrameFunctionalGroupsSequence:
        del frame.MRDiffusionSequence
    return d


def test_elements_of_converted_images(made, tmp_path):
    """Legacy Converted Enhanced MR: what has no place in the new object is kept as it was."""
    d = _without_diffusion(made)
    d.SOPClassUID = LegacyConvertedEnhancedMRImageStorage
    bvals = np.repeat(made.bvals, 3)
    for frame, b in zip(d.PerFrameFunctionalGroupsSequence, bvals, strict=True):
        item = pydicom.Dataset()
        item.DiffusionBValue = float(b)
        frame.UnassignedPerFrameConvertedAttributesSequence = [item]
    dm.save([d], tmp_path)
    dwi = ik.load(tmp_path)
    assert dwi.acquisition.bvals.tolist() == list(made.bvals)
    assert_array_equal(dwi.signal, made.stored)


def test_elements_of_philips_in_frames(made, tmp_path):
    d = _without_diffusion(made)
    d.Manufacturer = "Philips"
    bvals = np.repeat(made.bvals, 3)
    for frame, b in zip(d.PerFrameFunctionalGroupsSequence, bvals, strict=True):
        item = pydicom.Dataset()
        block = item.private_block(0x2001, "Philips Imaging DD 001", create=True)
        block.add_new(0x03, "FL", float(b))
        frame.add_new((0x2005, 0x0014), "LO", "Philips MR Imaging DD 005")
        frame.add_new((0x2005, 0x140F), "SQ", [item])
    dm.save([d], tmp_path)
    dwi = ik.load(tmp_path)
    assert dwi.acquisition.bvals.tolist() == list(made.bvals)
    assert_array_equal(dwi.signal, made.stored)


def test_unused_bits_are_no_signal(made, tmp_path):
    """12 of 16 bits are used, and an overlay is in one of the others."""
    stored = made.stored.astype(np.uint16)
    datasets = dm.slices(replace(made, stored=stored | 0x8000))
    for d in datasets:
        d.BitsStored, d.HighBit = 12, 11
    dm.save(datasets, tmp_path)
    assert_array_equal(ik.load(tmp_path).signal, stored)


def test_padding_is_no_signal(made, tmp_path):
    datasets = dm.slices(made)
    for d in datasets:
        d.add_new("PixelPaddingValue", "SS", int(made.stored[0, 0, 0, 0]))
    dm.save(datasets, tmp_path)
    assert ik.load(tmp_path).signal[0, 0, 0, 0] == 0


def test_philips_scale_across_series(tmp_path):
    """The same tissue in two series that the scanner has scaled differently."""
    truth = _stored(1, (4, 4, 2)).astype(float)
    paths = []
    for number, (b, rescale, scale) in enumerate([(0, 2.0, 0.25), (800, 0.5, 0.125)], start=5):
        # FP = (stored x RS + RI) / (RS x SS), so that stored = FP x SS with RI = 0.
        made = dm.Made(np.rint(truth * scale).astype(np.int16), [b], slope=rescale, number=number)
        datasets = dm.slices(made, "philips")
        for d in datasets:
            block = d.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0x0E, "FL", scale)
        paths += dm.save(datasets, tmp_path / str(number))
    signal = ik.load(tmp_path).signal
    assert_allclose(signal[..., 0], truth[..., 0], atol=0.5 / 0.25)
    assert_allclose(signal[..., 1], truth[..., 0], atol=0.5 / 0.125)
    one = ik.load(tmp_path, series=[5, 6]).signal
    assert_array_equal(one, signal)


def _csa(**fields):
    """A CSA2 header of Siemens: fields of numbers as text."""
    content = b"SV10\x04\x03\x02\x01" + struct.pack("<II", len(fields), 77)
    for name, values in fields.items():
        items = [f"{value}".encode().ljust(16, b"\0") for value in values]
        head = struct.pack("<64si4siii", name.encode(), len(items), b"FD", 4, len(items), 77)
        content += head + b"".join(struct.pack("<4i", 16, 16, 77, 16) + item for item in items)
    return content


def test_fields_of_the_csa_header(made, tmp_path):
    """Mosaics whose elements 0019,xxxx are lost, with slices against the normal of the image."""
    datasets = dm.mosaic(made)
    for d, b in zip(datasets, made.bvals, strict=True):
        for element in (0x1000 | low for low in (0x0A, 0x0C)):
            del d[0x0019, element]
        header = _csa(B_value=[b], NumberOfImagesInMosaic=[3], SliceNormalVector=[0, 0, -1])
        d.private_block(0x29, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", header)
    dm.save(datasets, tmp_path)
    dwi = ik.load(tmp_path)
    assert dwi.acquisition.bvals.tolist() == list(made.bvals)
    assert_array_equal(dwi.signal, made.stored[:, :, ::-1])
    broken = datasets[0][0x0029, 0x1010]
    broken.value = broken.value[:100]
    dm.save(datasets, tmp_path)
    with pytest.warns(ik.errors.AcquisitionWarning, match="a mosaic without its number"):
        ik.load(tmp_path)


def test_sizes_that_do_not_fit_into_memory(folder, monkeypatch):
    (scan,) = ik.io.find_scans(folder)
    monkeypatch.setattr(type(scan), "shape", property(lambda scan: (10**6, 10**6, 10**4, 4)))
    with pytest.raises(ik.errors.FileFormatError, match="claim 1000000 x 1000000 x 10000 x 4 val"):
        read_values(scan)


def test_context_of_the_scan(folder, made):
    context = ik.load(folder).source_context
    assert context.patient["PatientID"] == "4711"
    assert len(context.instances) == 12
    assert [len(volume) for volume in context.volumes] == [3, 3, 3, 3]


def test_texts_instead_of_uids_leave_no_context(made, tmp_path):
    datasets = dm.slices(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for d in datasets:
            d.SOPInstanceUID = f"anonymous-{d.InstanceNumber}"
        dm.save(datasets, tmp_path)
    assert ik.load(tmp_path).source_context is None


def test_an_archive_with_a_password_or_damage(folder, tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 100)
    with pytest.raises(ik.errors.FileFormatError, match=r"x.zip is not a readable ZIP archive"):
        ik.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "00000.dcm", "a.dcm")
    content = bytearray(path.read_bytes())
    # Bit 0 of the flags of the entry and of the central directory: encrypted.
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ik.errors.FileFormatError, match=r"no DICOM images of MR \(1 with a pass"):
        ik.load(path)


def test_bytes_are_read_from_an_archive_once(folder, made, tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, Path("a folder") / path.name)
    (tmp_path / "deflated.ZIP").write_bytes(stream.getvalue())
    assert_array_equal(ik.load(tmp_path / "deflated.ZIP").signal, made.stored)
