"""Headers: what cannot be right is named, and nothing is made room for on their word alone."""

import gzip
import resource
import struct
import tracemalloc
import warnings

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError, GeometryWarning, InputError
from ivimkit.io.image_bytes import image_of_bytes
from ivimkit.io.nifti import open_nifti

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]])
NAN, INF = float("nan"), float("inf")
# Where the fields are, and how they are packed, in NIfTI-1 and NIfTI-2.
FIELDS = {
    1: {"dim": (40, "8h"), "pixdim": (76, "8f"), "vox_offset": (108, "f"), "units": (123, "B")}
    | {"sform": (254, "h"), "qform": (252, "h"), "srow_x": (280, "4f"), "srow_z": (312, "4f")}
    | {"quatern": (256, "3f"), "datatype": (70, "h"), "bitpix": (72, "h"), "inter": (116, "f")}
    | {"slope": (112, "f"), "size": (0, "i")},
    2: {"dim": (16, "8q"), "pixdim": (104, "8d"), "vox_offset": (168, "q"), "units": (500, "B")},
}


def scan(tmp_path, *, name="dwi.nii", version=1, codes=(1, 1), **fields):
    """Write a scan of 4 x 3 x 2 voxels, fields of its header changed, and return its path."""
    data = np.random.default_rng(0).uniform(1, 2, (4, 3, 2, 3)).astype(np.float32)
    image = (nib.Nifti1Image if version == 1 else nib.Nifti2Image)(data, None)
    image.header.set_xyzt_units("mm")
    image.set_sform(AFFINE, codes[0])
    image.set_qform(AFFINE, codes[1])
    raw = bytearray(image.to_bytes())
    for field, values in fields.items():
        place, kind = FIELDS[version][field]
        given = values if isinstance(values, tuple) else (values,)
        struct.pack_into(f"<{kind}", raw, place, *given)
    (tmp_path / "dwi.bval").write_text("0 100 800")
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


HOSTILE = [(1, {"vox_offset": value}) for value in (4e9, 1e10, 1e30, INF, NAN, -352.0, 100.0)] + [
    (1, {"dim": (4, 32767, 32767, 32767, 32767, 1, 1, 1)}),
    (1, {"dim": (4, -4, 3, 2, 3, 1, 1, 1)}),
    (1, {"dim": (4, 4, 3, 2, -3, 1, 1, 1)}),
    (1, {"dim": (0, 4, 3, 2, 3, 1, 1, 1)}),
    (1, {"dim": (9, 4, 3, 2, 3, 1, 1, 1)}),
    (1, {"dim": (-3, 4, 3, 2, 3, 1, 1, 1)}),
    (1, {"dim": (4, -1, 1, 1, 3, 1, 1, 1)}),
    (1, {"datatype": 77}),
    (1, {"datatype": 1, "bitpix": 1}),
    (1, {"inter": NAN}),
    (1, {"size": 7, "datatype": 3}),
    (2, {"dim": (4, 2**40, 2**40, 2**40, 3, 1, 1, 1)}),
    (2, {"dim": (4, 2**62, 2**62, 2, 3, 1, 1, 1)}),
    (2, {"dim": (4, -(2**40), 3, 2, 3, 1, 1, 1)}),
    (2, {"vox_offset": 2**62}),
    (2, {"vox_offset": -544}),
]


@pytest.mark.parametrize("name", ["dwi.nii", "dwi.nii.gz", "dwi.nii.bz2"])
@pytest.mark.parametrize(("version", "fields"), HOSTILE)
def test_what_cannot_be_is_refused_without_making_room_for_it(
    tmp_path, capfd, name, version, fields
):
    path = scan(tmp_path, version=version, **fields)
    if name != "dwi.nii":
        raw = path.read_bytes()
        path = tmp_path / name
        with nib.openers.Opener(path, "wb") as stream:
            stream.write(raw)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"dwi.nii.*(damaged|at least one voxel)"):
        ik.load(path, [0, 100, 800])
    with pytest.raises(FileFormatError):
        open_nifti(path).read()
    if name == "dwi.nii":
        with pytest.raises(FileFormatError):
            image_of_bytes(path.read_bytes())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6
    assert capfd.readouterr() == ("", "")


def test_121_bytes_that_claim_51_gigabytes(tmp_path):
    path = scan(tmp_path, name="dwi.nii.gz", dim=(4, 2000, 2000, 800, 4, 1, 1, 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError, match=r"truncated or damaged .*expected 5.12e\+04 MB"):
        ik.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("version", [1, 2])
def test_any_byte_of_a_header_changed_is_read_or_refused(tmp_path, version, capfd):
    """Every byte, to 255 and turned over: an answer or an error of ivimkit.

    Fields of NIfTI-2 are twice as long: one of both is enough for each of their bytes.
    """
    path = scan(tmp_path, version=version)
    whole = path.read_bytes()
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GeometryWarning)
        for place in range(348 if version == 1 else 540):
            values = (255, whole[place] ^ 0x55)
            for value in values if version == 1 else [values[place % 2]]:
                raw = bytearray(whole)
                raw[place] = value
                try:
                    assert image_of_bytes(bytes(raw))[0].size
                    if place % 27 == 0:
                        path.write_bytes(raw)
                        assert ik.load(path).n_voxels
                except InputError:
                    refused += 1
    assert refused > 30
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", [4, 5, 6, 7])
def test_a_unit_that_nobody_knows_is_taken_for_mm(tmp_path, code):
    path = scan(tmp_path, units=code)
    with pytest.warns(GeometryWarning, match=f"dwi.nii: its unit of length has the code {code}"):
        dwi = ik.load(path)
    assert dwi.geometry.voxel_size == (2, 2, 5)
    ik.io.save_map(np.ones(dwi.shape), tmp_path / "map.nii", dwi.geometry)
    np.testing.assert_array_equal(nib.load(tmp_path / "map.nii").affine, AFFINE)


SINGULAR = {"srow_z": (0.0, 0.0, 0.0, 0.0)}
NOT_FINITE = {"srow_x": (NAN, 0.0, 0.0, 0.0)}


@pytest.mark.parametrize("fields", [SINGULAR, NOT_FINITE])
def test_a_sform_that_cannot_be_used_leaves_the_qform(tmp_path, fields):
    with pytest.warns(GeometryWarning, match=r"its sform cannot be used .*: its qform counts"):
        dwi = ik.load(scan(tmp_path, **fields))
    np.testing.assert_allclose(dwi.affine, AFFINE, atol=1e-5)
    assert (dwi.geometry.sform_code, dwi.geometry.qform_code) == (0, 1)
    # Maps do not carry it on, and lie where the scan does.
    result = ik.fit(dwi, model="monoexp", method="loglinear")
    ik.save(result, tmp_path / "out")
    written = nib.load(tmp_path / "out" / "ADC.nii.gz")
    np.testing.assert_allclose(written.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(ik.load_result(tmp_path / "out").geometry.affine, dwi.affine)
    nib.save(nib.Nifti1Image(np.ones((4, 3, 2), np.uint8), AFFINE), tmp_path / "label.nii")
    assert ik.load_labels(tmp_path / "label.nii", dwi)["label"].all()


@pytest.mark.parametrize("codes", [(1, 0), (1, 1)])
def test_no_form_can_be_used(tmp_path, codes):
    fields = SINGULAR if codes[1] == 0 else {**SINGULAR, "quatern": (9.0, 9.0, 9.0)}
    with pytest.warns(GeometryWarning, match="cannot be used .*: it has no position"):
        dwi = ik.load(scan(tmp_path, codes=codes, **fields))
    assert not dwi.geometry.placed
    assert dwi.geometry.voxel_size == (2, 2, 5)
    # As it has none, what has its shape is taken voxel by voxel.
    nib.save(nib.Nifti1Image(np.ones((4, 3, 2), np.uint8), np.eye(4)), tmp_path / "label.nii")
    assert ik.load_labels(tmp_path / "label.nii", dwi)["label"].all()


def test_voxels_without_a_length_are_named(tmp_path):
    path = scan(tmp_path, codes=(0, 1), pixdim=(1.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    with pytest.warns(GeometryWarning, match="voxels are 0 mm long along y and z: 1 mm"):
        dwi = ik.load(path)
    assert dwi.geometry.voxel_size == (2, 1, 1)


@pytest.mark.parametrize("units", [1, 3])
def test_sizes_that_no_voxel_has_are_named(tmp_path, units):
    said = "2e+03 x 2e+03 x 5e+03 mm .*unit meter" if units == 1 else "0.002 x 0.002 x 0.005 mm"
    with pytest.warns(GeometryWarning, match=said.replace("+", r"\+")):
        ik.load(scan(tmp_path, units=units))


def test_a_singular_affine_in_python():
    with pytest.raises(InputError, match="the affine is singular: voxels have no volume"):
        ik.DWI(np.ones((2, 2, 2, 2)), [0, 800], np.diag([2, 2, 0, 1]))


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        ("a.nii.gz", b"/annex/objects/SHA256E-s1--1.nii.gz", "datalad get"),
        ("a.nii.gz", b"<!DOCTYPE html><html><body>Sign in", "It is a web page: the download"),
        ("a.nii", b"\n<html lang='en'>", "It is a web page: the download"),
        ("a.nii.gz", gzip.compress(b"<html>no</html>", mtime=0), "It is a web page: the download"),
        ("a.nrrd", b"NRRD0004\ntype: float", "It is an NRRD image: convert it with 3D Slicer"),
        ("a.mha", b"ObjectType = Image\nNDims = 3", "It is a MetaImage"),
        ("a.mif", b"mrtrix image\ndim: 3,3,3", "convert it with mrconvert"),
        ("a.nii", b"PK\x03\x04rest", "It is a ZIP archive: unpack it"),
        ("a.json", b'{"EchoTime": 0.05}', "It is a text file, not an image"),
        ("a.npy", b"\x93NUMPY\x01", "It is a NumPy array"),
        ("a.img", struct.pack("<i", 348) + bytes(344), "Analyze 7.5"),
    ],
)
def test_advice_fits_what_the_file_is(tmp_path, name, content, advice):
    (tmp_path / name).write_bytes(content)
    if name == "a.img":
        (tmp_path / "a.hdr").write_bytes(content)
    with pytest.raises(FileFormatError, match=advice):
        open_nifti(tmp_path / name)


def test_names_and_links(tmp_path):
    whole = scan(tmp_path)
    plain = whole.rename(tmp_path / "dwi")
    with pytest.raises(FileFormatError, match=r"give it a name that ends in .nii$"):
        open_nifti(plain)
    (tmp_path / "zipped").write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(FileFormatError, match=r"It is compressed: name it .nii.gz"):
        open_nifti(tmp_path / "zipped")
    (tmp_path / "link.nii").symlink_to("nowhere.nii")
    with pytest.raises(FileFormatError, match=r"is a link to nowhere.nii, which does not exist"):
        open_nifti(tmp_path / "link.nii")
    (tmp_path / "annex.nii").symlink_to(".git/annex/objects/x.nii")
    with pytest.raises(FileFormatError, match=r"It is of git-annex: get the content"):
        open_nifti(tmp_path / "annex.nii")
    with pytest.raises(FileFormatError, match=r"cannot be read .*Check path and rights"):
        open_nifti(tmp_path / ("x" * 300 + ".nii"))
    nib.save(nib.Nifti1Pair(np.ones((2, 2, 2), np.float32), AFFINE), tmp_path / "pair.img")
    (tmp_path / "pair.hdr").unlink()
    with pytest.raises(FileFormatError, match=r"is one of two files and pair.hdr is not next to"):
        open_nifti(tmp_path / "pair.img")
