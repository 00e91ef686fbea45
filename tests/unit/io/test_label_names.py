"""Names of regions from files of every kind."""

import json

import pytest

from ivimkit.errors import FileFormatError
from ivimkit.io import load_label_names

NAMES = {1: "liver", 2: "lesion, left", 10: "portal vein"}
PLAIN = {1: "liver", 2: "lesion", 10: "vein"}

ITK_SNAP = """################################################
# ITK-SnAP Label Description File
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "liver"
    2     0  255    0      0.5  1  1    "lesion, left"
   10     0    0  255        1  1  1    "portal vein"
"""
FREESURFER = """#$Id: FreeSurferColorLUT.txt
#No. Label Name:                            R   G   B   A

0   Unknown                                 0   0   0   0
1   liver                                   70  130 180 0
2   lesion                                  245 245 245 0

10  vein                                    0   118 14  0
"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", 'index,name\n1,liver\n2,"lesion, left"\n10,portal vein\n', NAMES),
        ("a.csv", "Label;Value\nliver;1\nlesion, left;2\nportal vein;10\n", NAMES),
        ("a.csv", "1,liver\n2,lesion\n10,vein\n", PLAIN),
        ("a.csv", "# made by hand\n1,liver\n2,lesion\n10,vein\n", PLAIN),
        (
            "a_dseg.tsv",
            "index\tname\tabbreviation\tcolor\n0\tbackground\tbg\t#000000\n1\tliver\tl\t#ff0000\n"
            "2\tlesion, left\tt\tn/a\n10\tportal vein\tpv\tn/a\n",
            NAMES,
        ),
        ("a.txt", ITK_SNAP, NAMES),
        ("a.label", ITK_SNAP.replace("\n", "\r\n"), NAMES),
        ("a.txt", FREESURFER, PLAIN),
        ("a.txt", "1 liver\n2 lesion, left\n10 portal vein\n", NAMES),
        ("a.json", json.dumps({str(k): v for k, v in NAMES.items()}), NAMES),
        ("a.json", json.dumps({v: k for k, v in NAMES.items()}), NAMES),
        ("a.json", json.dumps({"labels": {"background": 0, "liver": 1}}), {1: "liver"}),
        ("a.json", json.dumps([{"id": 1, "name": "liver"}]), {1: "liver"}),
        ("a.json", json.dumps({"labels": {"1": {"name": "liver", "f": 0.3}}}), {1: "liver"}),
        ("a.json", json.dumps({"labels": 3, "liver": 1}), {3: "labels", 1: "liver"}),
        ("a.txt", "\ufeff" + json.dumps({"1": "liver"}), {1: "liver"}),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 12 else "",
)
def test_kinds_are_told_apart_by_what_they_hold(tmp_path, name, text, expected):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert load_label_names(path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its lines have no known format"),
        ("liver\nlesion\n", "its lines have no known format"),
        ("0 nothing\n", "it names no region other than 0"),
        ("map,mean\nD,1e-3\n", "its columns are map, mean"),
        ("index,name\n1.5,liver\n", "its columns are index, name"),
        ('index,name\n1,liver,"x\n', "does not contain names of regions"),
        ("1,liver\n1,lesion\n", "names region 1 twice, liver and lesion"),
        ("{not json", "it is damaged JSON"),
        ('{"liver": [1, 2]}', "entries without a whole number or without a name"),
        ('[["liver", 1]]', "entries without a whole number or without a name"),
        ('{"1": null}', "entries without a whole number or without a name"),
        ('{"labels": {"liver": "3.5"}}', "entries without a whole number or without a name"),
    ],
)
def test_files_that_are_something_else(tmp_path, text, message):
    path = tmp_path / "names.txt"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        load_label_names(path)


def test_no_file(tmp_path):
    with pytest.raises(FileFormatError, match="there is no file"):
        load_label_names(tmp_path / "none.csv")


def test_an_image_is_no_text(tmp_path):
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    with pytest.raises(FileFormatError, match="it cannot be read as text"):
        load_label_names(path)


# --------------------------------------------------------------------- content that does harm


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("index,name\n" + "9" * 5000 + ",liver\n", "a number has 5000 digits"),
        ("9" * 5000 + " liver\n", "a number has 5000 digits"),
        ('{"1' + "0" * 5000 + '": "liver"}', "a number has 5001 digits"),
        ('{"liver": ' + "9" * 5000 + "}", "a number of thousands of digits"),
        ('{"liver": ' + "9" * 400 + "}", "a number that is too large|the highest possible"),
        ('{"liver": 2147483648}', "the highest possible is 2147483647"),
        ("[" * 100_000, "nested too deeply"),
        ('{"1": "a\\u0007b"}', r"the name of region 1 is not text: 'a\\\\x07b'"),
        ('{"1": "\\ud800"}', "the name of region 1 is not text"),
        ("index,name\n1,liver,2\n", "it has 2 columns, and a row of 3"),
        ('1,"' + "x" * 200_000 + '"\n', "field larger than field limit"),
    ],
)
def test_names_that_do_harm_are_refused(tmp_path, content, message):
    path = tmp_path / "names"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        load_label_names(path)
    assert "does not contain names of regions" in str(caught.value)


def test_heads_and_cells_may_be_quoted(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text('index,"name, long",name\n1,"a, b",liver\n2,c,"left, lesion"\n')
    assert load_label_names(path) == {1: "liver", 2: "left, lesion"}


def test_a_separator_too_many_at_the_end_of_a_line_shifts_nothing(tmp_path):
    path = tmp_path / "names.tsv"
    path.write_text("index\tname\n1\tliver\t\n2\tlesion\t\n")
    assert load_label_names(path) == {1: "liver", 2: "lesion"}


def test_a_line_of_blanks_does_not_take_minutes(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("1 liver" + " " * 200_000 + "x\n")
    assert load_label_names(path)[1].startswith("liver ")
