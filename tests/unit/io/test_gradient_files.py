"""b-value and direction files: every layout, every kind of rubbish."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ivimkit.errors import FileFormatError
from ivimkit.io.gradient_files import (
    beside,
    near_misses,
    read_bvals,
    read_bvecs,
    write_bvals,
    write_bvecs,
)

shared_folder = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize(
    "text",
    [
        "0 50 800",
        "0 50 800\n",
        "0\n50\n800\n",
        "\n\n 0\t50\t800 \r\n\r\n",
        "0,50,800",
        "0, 50, 800,",
        "0;50;800",
        "\ufeff0 5e1 800.0",
        "0\r\n50\r\n800\r\n",
        "0 50\n800\n",
        "# from the scanner\n0 50 800",
    ],
)
def test_every_layout(tmp_path, text):
    path = tmp_path / "dwi.bval"
    path.write_bytes(text.encode())
    assert read_bvals(path).tolist() == [0, 50, 800]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 fifty 800", "dwi.bval, line 1: 'fifty' is not a number; expected numbers separated"),
        ("0\n50\n8oo\n", "line 3: '8oo' is not a number"),
        ("0 1_000", "line 1: '1_000' is not a number"),
        ("", "dwi.bval is empty; expected one number per volume"),
        (" \n \n", "is empty"),
        ("0,0 10,0 800,0", "line 1: '0,0' has a decimal comma; expected numbers with a decimal"),
        ("0,0;10;800,5", "has a decimal comma"),
        ("0,0\n1,50\n2,800", "two columns, and the first one counts the lines; expected b-val"),
        ("1 0\n2 50\n3 800", "two columns, and the first one counts"),
        ("1 0 0\n0 1 0\n0 0 1", r"3 lines of 3 to 3.*looks like a direction file \(.bvec\)"),
    ],
)
def test_rubbish(tmp_path, text, message):
    path = tmp_path / "dwi.bval"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_bvals(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("text", ["0 50 800\r\n", "0\n50\n800", "0\u00a050\u00a0800"])
def test_every_encoding(tmp_path, text, encoding):
    path = tmp_path / "dwi.bval"
    path.write_bytes(text.encode(encoding))
    assert read_bvals(path).tolist() == [0, 50, 800]


def test_a_table_of_words_in_cp1252_is_named(tmp_path):
    path = tmp_path / "dwi.bval"
    path.write_bytes("Größe;0;50".encode("cp1252"))
    with pytest.raises(FileFormatError, match="line 1: 'Größe' is not a number"):
        read_bvals(path)


def test_wrapped_lines_are_one_row(tmp_path):
    path = tmp_path / "dwi.bval"
    for rows in ([[0, 10, 20], [50, 100, 800]], [[0, 10, 20, 40], [60, 80, 100, 150], [200]]):
        path.write_text("\n".join(" ".join(map(str, row)) for row in rows))
        assert read_bvals(path).tolist() == [b for row in rows for b in row]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 0, 1, 2]])
def test_a_gradient_table_has_both(tmp_path, order):
    table = np.array([[0, 0, 0, 0], [1, 0, 0, 50], [0, 0.6, -0.8, 800.0]])
    path = tmp_path / "dwi.b"
    np.savetxt(path, table[:, order], header="command_history: mrconvert")
    assert read_bvals(path).tolist() == [0, 50, 800]
    np.testing.assert_array_equal(read_bvecs(path), table[:, :3])


def test_a_file_of_another_size(tmp_path):
    path = tmp_path / "dwi.bval"
    with path.open("wb") as file:
        file.truncate((1 << 24) + 1)
    with pytest.raises(FileFormatError, match="larger than 16 MiB; expected a text file"):
        read_bvals(path)


def test_a_binary_file(tmp_path):
    path = tmp_path / "dwi.bval"
    path.write_bytes(b"\x1f\x8b\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="not a text file; expected numbers"):
        read_bvals(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileFormatError, match=r"cannot read .*no.bval: No such file.*; expected"):
        read_bvals(tmp_path / "no.bval")


def test_not_finite_numbers_are_left_to_the_acquisition(tmp_path):
    path = tmp_path / "dwi.bval"
    path.write_text("0 NaN -inf")
    np.testing.assert_array_equal(read_bvals(path), [0, np.nan, -np.inf])


@pytest.mark.parametrize("text", ["1 0 0 1\n0 1 0 1\n0 0 1 1\n", "1,0,0\n0,1,0\n0,0,1\n1,1,1"])
def test_directions_in_rows_or_columns(tmp_path, text):
    path = tmp_path / "dwi.bvec"
    path.write_text(text)
    assert read_bvecs(path).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]


@pytest.mark.parametrize("text", ["1 0 0 1", "1 0\n0 1", "1 0 0 1\n0 1 0\n0 0 1 1"])
def test_directions_of_another_shape(tmp_path, text):
    path = tmp_path / "dwi.bvec"
    path.write_text(text)
    with pytest.raises(FileFormatError, match="numbers; expected three lines of one number per"):
        read_bvecs(path)


@shared_folder
@given(arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 5000)))
def test_b_values_round_trip(tmp_path, bvals):
    write_bvals(tmp_path / "b", bvals)
    np.testing.assert_array_equal(read_bvals(tmp_path / "b"), bvals)


@shared_folder
@given(arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-1, 1)))
def test_directions_round_trip(tmp_path, bvecs):
    write_bvecs(tmp_path / "v", bvecs)
    np.testing.assert_allclose(read_bvecs(tmp_path / "v"), bvecs, rtol=1e-9)


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("dwi.nii.gz", "dwi.bval"),
        ("dwi.nii", "dwi.bvals"),
        ("DWI.NII.GZ", "dwi.bval"),
        ("sub-01.run.1_dwi.nii.gz", "sub-01.run.1_dwi.bval"),
        ("data.nii.gz", "bvals"),
        ("dwi.img", "dwi.BVAL"),
    ],
)
def test_the_file_beside(tmp_path, image, file):
    (tmp_path / file).write_text("0 1000")
    assert beside(tmp_path / image, "bval") == tmp_path / file
    assert beside(tmp_path / image, "bvec") is None


def test_only_a_file_of_the_same_name_is_beside(tmp_path):
    (tmp_path / "other.bval").write_text("0 1000")
    (tmp_path / "bvals").write_text("0 1000")
    (tmp_path / "dwi.bval").mkdir()
    assert beside(tmp_path / "dwi.nii.gz", "bval") is None


def test_a_file_in_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    (tmp_path / "dwi.bval").write_text("0 1000")

    def refused(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert beside(tmp_path / "dwi.nii.gz", "bval") == tmp_path / "dwi.bval"
    assert beside(tmp_path / "dwi.nii.gz", "bvec") is None
    assert near_misses(tmp_path / "dwi.nii.gz", "bvec") == []


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(FileFormatError, match=r"cannot read .*; expected a text file"):
        read_bvals(tmp_path / "a\0.bval")
    with pytest.raises(FileFormatError, match="File name too long; expected a text file"):
        read_bvals(tmp_path / ("a" * 300))


def test_exact_name_before_other_case(tmp_path):
    (tmp_path / "DWI.bval").write_text("0 1000")
    (tmp_path / "dwi.bval").write_text("0 1000")
    if len(list(tmp_path.iterdir())) == 2:
        assert beside(tmp_path / "dwi.nii", "bval") == tmp_path / "dwi.bval"


@pytest.mark.parametrize(
    ("file", "inherits"),
    [
        ("dwi.bval", True),
        ("sub-01/sub-01_dwi.bval", True),
        ("sub-01/dwi/sub-01_acq-a_dwi.bval", True),
        ("sub-01/sub-02_dwi.bval", False),
        ("sub-01/sub-01_acq-b_dwi.bval", False),
        ("sub-01_bold.bval", False),
    ],
)
def test_a_scan_of_a_bids_data_set_inherits(tmp_path, file, inherits):
    folder = tmp_path / "data" / "sub-01" / "dwi"
    folder.mkdir(parents=True)
    scan, path = folder / "sub-01_acq-a_run-1_dwi.nii.gz", tmp_path / "data" / file
    path.write_text("0 1000")
    (tmp_path / "dwi.bval").write_text("0 1000")
    assert beside(scan, "bval") is None, "without a data set there is nothing to inherit"
    (tmp_path / "data" / "dataset_description.json").write_text("{}")
    assert beside(scan, "bval") == (path if inherits else None)


def test_the_nearest_file_and_then_the_one_of_most_entities_is_inherited(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    folder = tmp_path / "sub-01"
    folder.mkdir()
    for path in (tmp_path / "sub-01_run-1_dwi.bval", folder / "dwi.bval"):
        path.write_text("0 1000")
    scan = folder / "sub-01_run-1_dwi.nii.gz"
    assert beside(scan, "bval") == folder / "dwi.bval"
    (folder / "sub-01_dwi.bval").write_text("0 1000")
    assert beside(scan, "bval") == folder / "sub-01_dwi.bval"


def test_near_misses(tmp_path):
    for name in ("a.bvals", "dwi.bval.txt", "dwi_bval.txt", "notes.txt"):
        (tmp_path / name).write_text("0 1000")
    found = [path.name for path in near_misses(tmp_path / "dwi.nii.gz", "bval")]
    assert found == ["dwi.bval.txt", "dwi_bval.txt", "a.bvals"]
