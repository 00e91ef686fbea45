"""Variables of volumes from tables, sidecars and arguments."""

import json

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    FileFormatError,
    OptionError,
    ShapeError,
)

B = [0, 500, 0, 500]
TE = [60.0, 60.0, 90.0, 90.0]
TABLE = "volume,b,echo_time (s),mode\n0,0,0.06,a\n1,500,0.06,b\n2,0,0.09,a\n3,500,.09,b\n"


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "dwi.nii.gz"
    ik.io.save_scan(ik.DWI(np.ones((2, 2, 1, 4)) * [8, 4, 6, 3], B), path)
    return path


@pytest.fixture
def bare(scan):
    scan.with_name("dwi.bval").unlink()
    return scan


def test_a_table_holds_all(bare):
    """As a spreadsheet writes it: with counted rows, a unit, semicolons, a mark at the start."""
    table = bare.with_name("mine.csv")
    for text in (TABLE, "\ufeff" + TABLE.replace(",", ";"), TABLE.replace(",", "\t")):
        table.write_text(text)
        dwi = ik.load(bare, variables=table)
        assert dwi.acquisition.bvals.tolist() == B
        assert dwi.acquisition.variables["echo_time"] == pytest.approx(TE)
        assert dwi.acquisition.variables["mode"].tolist() == ["a", "b", "a", "b"]
        assert {source.role for source in dwi.sources} == {"scan", "variables"}


def test_the_table_beside_the_scan(scan):
    """It is written with the scan, and goes with the next one without variables."""
    known = ik.load(scan).with_variables({"echo_time": TE, "mode": ["a", "b", "a", "b"]})
    ik.io.save_scan(known, scan, overwrite=True)
    assert scan.with_name("dwi_volumes.tsv").read_text().startswith("b\techo_time\tmode\n0\t60\ta")
    again = ik.load(scan)
    assert again.acquisition == known.acquisition
    ik.io.save_scan(again.with_variables(None), scan, overwrite=True)
    assert ik.load(scan).acquisition.variables == {}


def test_directions_and_units_in_a_table(bare):
    table = bare.with_name("dwi_volumes.csv")
    table.write_text("bval,gx,gy,gz\n0,0,0,0\n0.5,1,0,0\n0,0,0,0\n0.5,0,1,0\n")
    dwi = ik.load(bare, b_unit="ms/um2")
    assert dwi.acquisition.bvals.tolist() == B
    assert dwi.acquisition.bvecs[3].tolist() == [0, 1, 0]
    bare.with_name("dwi.bvec").write_text("0 1 0 1\n0 0 0 0\n0 0 0 0\n")
    with pytest.raises(AcquisitionError, match=r"volume 3 \(from 0\) has one direction in .*csv"):
        ik.load(bare, b_unit="ms/um2")
    table.write_text("b (s/mm2),echo_time\n0,60\n500,60\n0,60\n500,90\n")
    assert ik.load(bare, b_unit="ms/um2").acquisition.bvals.tolist() == B


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("echo_time\n60\n60\n90\n", ShapeError, "has 3 rows and .* has 4 volumes"),
        ("te\n60\n60\n\n9,0\n90\n", FileFormatError, "line 5: 2 cells, and the header has 1"),
        ("te,echo_time\n" + "60,60\n" * 4, FileFormatError, "two columns of echo_time; expected"),
        ("echo_time (min)\n" + "60\n" * 4, FileFormatError, "unit of echo_time is 'min'"),
        ("mine (mT)\n" + "60\n" * 4, FileFormatError, "'mT'; expected none.*like mine_mT"),
        ("echo time\n" + "60\n" * 4, FileFormatError, "column called 'echo time'"),
        ("a,te\n1,60\n1,60\n1,\n1,60\n", FileFormatError, "line 4: echo_time is empty; expected"),
        ("a,te\n1,60\n1,60\n1,n/a\n1,60\n", FileFormatError, "line 4: echo_time is empty"),
        ("te\n60\n60\nlong\n90\n", FileFormatError, "line 4: echo_time is 'long'"),
        ("m\n60\n60\nlong\n90\n", FileFormatError, "line 4: m is 'long', and the column"),
        ("te;a\n60,5;1\n" + "60;1\n" * 3, FileFormatError, "'60,5' has a decimal comma"),
        ("gx,gy\n" + "0,1\n" * 4, FileFormatError, "has gx and gy of the directions; expected"),
        ("60\n60\n90\n90\n", FileFormatError, "column called '60'"),
        ("te\n", FileFormatError, "has no rows; expected a table with a head"),
        ('te\n"60\n60\n90\n90\n', FileFormatError, "expected a table with a head"),
        ("index\n0\n1\n2\n3\n", FileFormatError, "has no column of a variable"),
        ("te\n0.06\n0.06\n0.09\n0.09\n", AcquisitionError, "If the unit is s, multiply by 1000"),
        ("b\n0\n500\n0\n600\n", AcquisitionError, r"volume 3 .* has b = 600 in .* and 500"),
        ("b\n0\n500\n0\nx\n", FileFormatError, "line 5: b is 'x'"),
    ],
)  # fmt: skip
def test_tables_that_are_not_understood(scan, text, error, message):
    table = scan.with_name("mine.tsv")
    table.write_text(text)
    with pytest.raises(error, match=message):
        ik.load(scan, variables=table)


def test_no_such_table(scan):
    with pytest.raises(FileFormatError, match=r"there is no file .*nowhere.tsv; expected a table"):
        ik.load(scan, variables="nowhere.tsv")


def test_arguments(scan):
    assert ik.load(scan, echo_time=TE).acquisition.n_shells == 4
    assert ik.load(scan, echo_time=75).acquisition.variables["echo_time"].tolist() == [75] * 4
    both = ik.load(scan, variables={"mode": ["a", "a", "b", "b"]}, echo_time=TE)
    assert list(both.acquisition.variables) == ["mode", "echo_time"]
    with pytest.raises(OptionError, match="echo times were given twice, in variables and"):
        ik.load(scan, variables={"echo_time": TE}, echo_time=TE)


def test_lists_of_the_sidecar(scan):
    sidecar = scan.with_name("dwi.json")
    sidecar.write_text(json.dumps({"EchoTime": [t / 1000 for t in TE], "SliceTiming": [0.0] * 4}))
    dwi = ik.load(scan)
    assert dwi.acquisition.variables["echo_time"] == pytest.approx(TE)
    assert list(dwi.acquisition.variables) == ["echo_time"]
    assert dwi.sources[-1].role == "sidecar"
    assert ik.load(scan, echo_time=75).acquisition.n_shells == 2
    sidecar.write_text(json.dumps({"EchoTime": 0.06}))
    assert ik.load(scan).acquisition.variables == {}


def test_a_sidecar_adds_to_those_of_its_data_set(scan):
    home = scan.parent
    (home / "dataset_description.json").write_text("{}")
    (home / "sub-01").mkdir()
    for ending in ("nii.gz", "bval"):
        scan.with_name(f"dwi.{ending}").rename(home / "sub-01" / f"dwi.{ending}")
    scan = home / "sub-01" / "dwi.nii.gz"
    far, near = home / "dwi.json", scan.with_name("dwi.json")
    seconds = [t / 1000 for t in TE]
    far.write_text(json.dumps({"EchoTime": seconds, "PartialFourier": 0.75, "Model": "far"}))
    near.write_text(json.dumps({"Model": "near"}))
    dwi = ik.load(scan)
    assert dwi.acquisition.variables["echo_time"] == pytest.approx(TE)
    assert dict(dwi.sidecar) == {"PartialFourier": 0.75, "Model": "near"}
    assert (dwi.sources[-1].role, dwi.sources[-1].path) == ("sidecar", str(far))
    # The nearer one says that there is one echo time.
    near.write_text(json.dumps({"EchoTime": 0.06}))
    dwi = ik.load(scan)
    assert dwi.acquisition.variables == {}
    assert dict(dwi.sidecar) == {"EchoTime": 0.06, "PartialFourier": 0.75, "Model": "far"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"EchoTime": [0.06, 0.09]}', "has 2 values of EchoTime, and the scan has 4 volumes"),
        (
            '{"EchoTime": [60, 60, 90, 90]}',
            "1 to 1000 ms.*The list EchoTime is ignored",
        ),
        ('{"GradientProfile": ["a", 1, "b", null]}', "GradientProfile mixes numbers"),
        ('{"EchoTime": [0.06', r"cannot be read \(it is not JSON"),
    ],
)
def test_lists_that_cannot_be_used_are_left_aside(scan, content, message):
    scan.with_name("dwi.json").write_text(content)
    with pytest.warns(AcquisitionWarning, match=message):
        dwi = ik.load(scan)
    assert dwi.acquisition.variables == {}


def test_results_keep_the_variables(scan, tmp_path):
    dwi = ik.load(scan, echo_time=TE)
    with pytest.warns(
        AcquisitionWarning, match=r"differ in echo_time \(60, 90 ms\) and model mono"
    ):
        result = ik.fit(dwi, model="monoexp", method="loglinear")
    ik.save(result, tmp_path / "out")
    again = ik.load_result(tmp_path / "out")
    assert again.acquisition == dwi.acquisition
    # The scan on its own says nothing of echo times; the result does.
    found = ik.io.load_fitted_scan(again)
    assert found.acquisition == dwi.acquisition


@pytest.mark.parametrize("volunteer", ["volunteer1", "volunteer2"])
def test_selecting_the_abdomen_scans(shared_data, volunteer):
    """The same maps as from volumes picked by hand."""
    folder = shared_data / "abdomen" / volunteer
    meta = json.loads((folder / "dwi.json").read_text())
    bvals = np.loadtxt(folder / "dwi.bval")
    time, profile = np.array(meta["DiffusionTime_ms"]), np.array(meta["GradientProfile"])
    chosen = (time == 70) & ((profile == "bipolar") | (bvals == 0))
    dwi = ik.load(folder / "dwi.nii.gz", mask=folder / "mask.nii.gz")
    selected = dwi.select(where="diffusion_time == 70 and (gradient == 'bipolar' or b == 0)")
    assert selected.volumes.tolist() == np.flatnonzero(chosen).tolist()
    assert selected.fit_bvals.tolist() == [0, 10, 25, 50, 100, 200, 300, 400, 500]
    # b = 0 has no gradient profile, whatever is written down.
    assert selected.acquisition.varying == ()
    by_hand = ik.DWI(dwi.stored[..., chosen], bvals[chosen], mask=dwi.mask)
    options = {"model": "monoexp", "method": "loglinear"}
    first, second = (ik.fit(scan, **options) for scan in (selected, by_hand))
    for name in ("S0", "ADC"):
        np.testing.assert_array_equal(first.maps[name], second.maps[name])
