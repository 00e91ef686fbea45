"""load_fitted_scan: the scan that a result names, if it is still the same, read once."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError
from ivimkit.io import fitted_scan, load_fitted_scan
from ivimkit.io import scan_loading as reading

OTHER = {
    "dwi.nii.gz": b"no image",
    "dwi.bval": b"0 0 50 100 400 900",
    "dwi.bvec": b"not a number",
}


@pytest.fixture
def result(scan):
    directions = np.eye(3)[:, [0, 0, 1, 1, 2, 2]]
    np.savetxt(scan.with_name("dwi.bvec"), directions, fmt="%g")
    return ik.fit(ik.load(scan), model="monoexp", method="loglinear")


def test_each_file_is_hashed_once(result, scan, signal, monkeypatch):
    hashed = []

    def recorded(path):
        hashed.append(path.name)
        return sha256(path)

    sha256 = reading.sha256
    monkeypatch.setattr(reading, "sha256", recorded)
    monkeypatch.setattr(fitted_scan, "sha256", recorded)
    dwi = load_fitted_scan(result)
    np.testing.assert_array_equal(dwi.signal, signal)
    assert sorted(hashed) == ["dwi.bval", "dwi.bvec", "dwi.nii.gz"]


@pytest.mark.parametrize("name", OTHER)
def test_a_file_that_has_changed_is_named_even_if_it_cannot_be_read(result, scan, name):
    scan.with_name(name).write_bytes(OTHER[name])
    with pytest.raises(FileFormatError, match=rf"{name}, from which .*, has changed since; expec"):
        load_fitted_scan(result)


def test_other_numbers_under_the_same_name(result, scan, signal, write):
    write(scan.name, signal + 1)
    with pytest.raises(FileFormatError, match=r"dwi\.nii\.gz, from which .* has changed since"):
        load_fitted_scan(result)


@pytest.mark.parametrize("name", OTHER)
def test_a_file_that_is_gone(result, scan, name):
    scan.with_name(name).unlink()
    with pytest.raises(FileFormatError, match=rf"{name}, from which .* no longer exists"):
        load_fitted_scan(result)


def test_b_values_that_are_named_stand_for_those_of_the_fit(result, scan):
    bvals = scan.with_name("dwi.bval").rename(scan.with_name("other.bval"))
    dwi = load_fitted_scan(result, bvals=bvals)
    assert str(bvals) in [source.path for source in dwi.sources]


def test_the_fault_of_files_that_are_the_same_is_their_own(result, scan):
    bvals = scan.with_name("short.bval")
    bvals.write_text("0 50")
    with pytest.raises(ik.errors.ShapeError, match="has 2 b-values and"):
        load_fitted_scan(result, bvals=bvals)
