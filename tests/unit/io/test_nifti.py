"""NIfTI files: types, scaling, mapping, and every kind of damage."""

import gzip
import os
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from ivimkit.errors import FileFormatError
from ivimkit.io.nifti import open_nifti

KINDS = {"NIfTI-1": nib.Nifti1Image, "NIfTI-2": nib.Nifti2Image}
TYPES = [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "a.b.Nii.Gz"])
def test_types_are_kept(write, signal, kind, dtype, name):
    data = signal % 100
    path = write(name.lower(), data, dtype, kind=KINDS[kind])
    read = open_nifti(path.rename(path.with_name(name))).read()
    assert read.dtype == dtype
    assert read.flags.f_contiguous
    np.testing.assert_array_equal(read, data)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nii.bz2"])
@pytest.mark.parametrize("dtype", TYPES[1:])
def test_scaling_is_honoured(write, signal, name, dtype):
    path = write(name, signal, dtype, slope=(0.25, -7.0))
    read = open_nifti(path).read()
    assert read.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_allclose(read, signal * 0.25 - 7.0, rtol=1e-6)
    np.testing.assert_allclose(read, nib.load(path).get_fdata(), rtol=1e-6)


def test_slope_zero_means_no_scaling(write, signal):
    path = write("a.nii", signal, np.int16)
    raw = bytearray(path.read_bytes())
    raw[112:120] = bytes(8)
    path.write_bytes(raw)
    np.testing.assert_array_equal(open_nifti(path).read(), signal)


def test_a_pair_of_files(write, signal):
    path = write("a.img", signal, np.int16, kind=nib.Nifti1Pair)
    for name in ("a.img", "a.hdr"):
        np.testing.assert_array_equal(open_nifti(path.parent / name).read(), signal)


def test_big_endian(tmp_path, signal):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    for name in ("a.nii", "a.nii.gz"):
        nib.Nifti1Image(signal.astype(">i2"), np.eye(4), header).to_filename(tmp_path / name)
        np.testing.assert_array_equal(open_nifti(tmp_path / name).read(), signal)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2), (4, 3, 2, 1, 5)])
def test_any_number_of_axes(write, shape):
    data = np.arange(np.prod(shape)).reshape(shape)
    for name in ("a.nii", "a.nii.gz"):
        np.testing.assert_array_equal(open_nifti(write(name, data)).read(), data)
        scaled = open_nifti(write(name, data, np.int16, slope=(2.0, 0.0))).read()
        np.testing.assert_array_equal(scaled, data * 2)


def test_uncompressed_files_are_mapped_not_read(write):
    path = write("a.nii", np.ones((64, 64, 16, 20)), np.int16)
    file = open_nifti(path)
    tracemalloc.start()
    data = file.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < data.nbytes / 10
    with pytest.raises(ValueError, match="read-only"):
        data[...] = 0


@pytest.mark.parametrize(("dtype", "slope"), [(np.float32, None), (np.int16, (0.5, 1.0))])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_there_is_never_a_second_copy(write, dtype, slope, name):
    file = open_nifti(write(name, np.full((64, 64, 16, 20), 3), dtype, slope=slope))
    tracemalloc.start()
    file.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * 64 * 64 * 16 * 20 * 4


def test_geometry_is_that_of_the_header(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 3, 3)), np.diag([2.0, 3, 4, 1]))
    image.set_sform(np.diag([2.0, 3, 4, 1]), code=3)
    image.set_qform(np.diag([2.0, 3, 4, 1]), code=1)
    image.header.set_xyzt_units("micron", "sec")
    nib.save(image, tmp_path / "a.nii")
    geometry = open_nifti(tmp_path / "a.nii").geometry
    assert (geometry.sform_code, geometry.qform_code) == (3, 1)
    assert geometry.voxel_units == "micron"
    np.testing.assert_allclose(geometry.voxel_size, (2e-3, 3e-3, 4e-3))
    assert len(geometry.header) == 348


def damaged(path, change):
    raw = bytearray(path.read_bytes())
    path.write_bytes(change(raw))
    return path


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95, 0.9999])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("slope", [None, (2.0, 1.0)])
def test_truncated(write, signal, name, keep, slope):
    path = write(name, signal, np.int16, slope=slope)
    damaged(path, lambda raw: raw[: int(len(raw) * keep)])
    with pytest.raises(FileFormatError, match="or damaged"):
        open_nifti(path).read()


def test_truncated_says_how_much_was_expected(write):
    data = np.random.default_rng(0).normal(size=(50, 50, 20, 5))
    path = write("a.nii.gz", data)
    damaged(path, lambda raw: raw[: len(raw) // 2])
    message = r"a.nii.gz is truncated or damaged \(.*\); expected 1 MB of image data. Copy"
    with pytest.raises(FileFormatError, match=message):
        open_nifti(path).read()


def test_only_the_checksum_is_wrong(write, signal):
    path = write("a.nii.gz", signal)
    damaged(path, lambda raw: raw[:-8] + b"\x00\x01\x02\x03" + raw[-4:])
    with pytest.raises(FileFormatError, match=r"damaged \(CRC check failed"):
        open_nifti(path).read()


def test_a_byte_in_the_middle_is_wrong(write):
    path = write("a.nii.gz", np.random.default_rng(0).normal(size=(50, 50, 20, 5)))
    middle = path.stat().st_size // 2
    damaged(path, lambda raw: raw[:middle] + bytes([raw[middle] ^ 255]) + raw[middle + 1 :])
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        open_nifti(path).read()


def test_several_gzip_members_are_one_file(write, signal):
    path = write("a.nii", signal, np.int16)
    raw = path.read_bytes()
    both = gzip.compress(raw[:900], mtime=0) + gzip.compress(raw[900:])
    path.with_name("b.nii.gz").write_bytes(both)
    np.testing.assert_array_equal(open_nifti(path.with_name("b.nii.gz")).read(), signal)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii.gz", b"hello world", "not a NIfTI file.*It is not compressed: name it .nii"),
        ("a.nii", gzip.compress(b"hello" * 100, mtime=0), "It is compressed: name it .nii.gz"),
        (
            "a.nii.gz",
            gzip.compress(b"hello" * 100, mtime=0),
            "not a NIfTI.*Copy or convert it again",
        ),
        ("a.nii", b"hello" * 100, "not a NIfTI.*expected .nii or .nii.gz. Copy or convert"),
        ("a.dcm", bytes(128) + b"DICM" + bytes(500), "DICOM file, .* convert it"),
        ("a.txt", b"0 50 800", "not a NIfTI file"),
        ("a.Nii", b"hello" * 2, "not a NIfTI file"),
        ("a.Nii", b"hello" * 200, "not a NIfTI file"),
        ("a.nii", b"", "is empty; expected a NIfTI file"),
    ],
)
def test_other_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        open_nifti(tmp_path / name)


def test_another_image_format(tmp_path):
    nib.save(nib.MGHImage(np.ones((3, 3, 3), np.float32), np.eye(4)), tmp_path / "a.mgz")
    with pytest.raises(
        FileFormatError,
        match=r"mgz is not a NIfTI file.*FreeSurfer image: convert it with mri_convert",
    ):
        open_nifti(tmp_path / "a.mgz")


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileFormatError, match=r"there is no file .*no.nii; expected a NIfTI file"):
        open_nifti(tmp_path / "no.nii")
    with pytest.raises(
        FileFormatError, match=r"is a folder; expected a NIfTI file.*of DICOM only"
    ):
        open_nifti(tmp_path)


def test_no_right_to_read(write, monkeypatch):
    path = write("a.nii", np.ones((3, 3, 3)))
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(FileFormatError, match="cannot be read; expected a readable file"):
        open_nifti(path)


def test_complex_data(write):
    path = write("a.nii", np.ones((3, 3, 3, 2)), np.complex64)
    with pytest.raises(FileFormatError, match=r"complex data \(complex64\); expected magnitudes"):
        open_nifti(path)


def test_colours(tmp_path):
    colours = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(FileFormatError, match="such as colours; expected real numbers"):
        open_nifti(tmp_path / "a.nii")


def test_no_voxels(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 3, 1)), np.eye(4))
    nib.save(image, tmp_path / "a.nii")
    damaged(tmp_path / "a.nii", lambda raw: raw[:46] + b"\x00\x00" + raw[48:])
    with pytest.raises(FileFormatError, match=r"shape \(3, 3, 0\); expected at least one voxel"):
        open_nifti(tmp_path / "a.nii")


@pytest.mark.skipif(os.name != "posix", reason="named pipes are those of POSIX")
def test_a_pipe_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(FileFormatError, match=r"a.nii is a device, a pipe or a socket; expected"):
        open_nifti(tmp_path / "a.nii")
