"""save and load_result: the same object back, in a folder that is whole or not there."""

import json
import shutil
from dataclasses import asdict, replace

import nibabel as nib
import numpy as np
import pytest

from ivimkit import methods, models, uncertainty
from ivimkit.errors import FileFormatError, InputError, OutputExistsError
from ivimkit.fitting.result import FitResult, Provenance
from ivimkit.fitting.settings import FitSettings, MeasuredNoise, ScanReading
from ivimkit.io import check_output, load, load_result, map_folder, save
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.geometry import Geometry

SHAPE = (4, 3, 2)
SETTINGS = FitSettings(
    model=models.get("biexp"),
    method=methods.get("varpro"),
    estimator=uncertainty.get("profile"),
    sigma=12.5,
    noise=MeasuredNoise("repeats", 300.0, 100),
    weights=(1.0, 1.0, 0.5, 1.0, 1.0),
    adc_bvals=(0.0, 800.0),
    average="arithmetic",
    mask_origin="",
    precision="float32",
    device="cuda:1",
    organ="liver",
    reading=ScanReading(b_unit="ms/um2", bmax=1000.0, volumes=(0, 1, 2), bval=(0.0, 0.8)),
    call="ivimkit fit dwi.nii.gz",
)
ALWAYS = ("ADC", "rmse", "r2", "cost", "n_iter")


def provenance():
    return Provenance(
        versions={"ivimkit": "0.1"},
        bvals=[0.0, 50.0, 800.0],
        counts=[2.0, 1.0, 1.0],
        sources=[{"role": "scan", "path": "/data/dwi.nii.gz", "sha256": "00ff"}],
        started="2025-01-01T12:00:00+00:00",
        seconds=1.5,
        threads=2,
        status_counts={"OK": 20},
    )


def make_result(shape=SHAPE, model="biexp", method="varpro", geometry=None, **options):
    rng = np.random.default_rng(0)
    the_model = models.get(model)
    names = dict.fromkeys([*the_model.names, *ALWAYS])
    maps = {name: np.asarray(rng.random(shape)) for name in names}
    status = np.asarray(rng.integers(0, 3, shape), dtype=np.int32)
    for values in maps.values():
        values[status == 1] = np.nan
    return FitResult(
        maps=maps,
        status=status,
        settings=replace(SETTINGS, model=the_model, method=methods.get(method, **options)),
        acquisition=Acquisition([0, 0, 50, 800, 803], np.ones((5, 3)), tolerance=4),
        geometry=Geometry(np.diag([2, 2, 3, 1]), sform_code=1) if geometry is None else geometry,
        provenance=provenance(),
    )


def assert_same(one, other):
    assert list(one.maps) == list(other.maps)
    for name in one.maps:
        np.testing.assert_array_equal(
            np.asarray(one.maps[name], dtype=np.float32), np.float32(other.maps[name]), name
        )
    np.testing.assert_array_equal(one.status, other.status)
    assert one.status.dtype == other.status.dtype == np.int32
    assert one.settings == other.settings
    assert one.acquisition == other.acquisition
    assert one.acquisition.tolerance == other.acquisition.tolerance
    assert one.geometry == other.geometry
    assert one.provenance == other.provenance


@pytest.mark.parametrize("shape", [(), (7,), (5, 4), SHAPE, (2, 3, 2, 2)])
def test_the_same_object_comes_back(tmp_path, shape):
    result = make_result(shape)
    save(result, tmp_path / "out")
    back = load_result(tmp_path / "out")
    assert_same(result, back)
    assert back.shape == shape
    assert back.maps["D"].dtype == np.float64


@pytest.mark.parametrize(
    ("model", "method", "options"),
    [
        ("monoexp", "loglinear", {}),
        ("sivim", "segmented", {"b_split": 150}),
        ("biexp", "trr", {"split_b_D": 300, "two_stage": False}),
    ],
)
def test_models_and_methods_come_back(tmp_path, model, method, options):
    result = make_result(model=model, method=method, **options)
    save(result, tmp_path / "out")
    assert_same(result, load_result(tmp_path / "out"))


def test_bounds_starts_and_fixed_maps_come_back(tmp_path):
    result = make_result()
    fixed = np.random.default_rng(1).uniform(0.01, 0.02, SHAPE)
    model = result.model.with_bounds(D=(0, 3e-3)).with_start(f=0.2).with_fixed(D_star=fixed)
    fixed_there = replace(result, settings=replace(result.settings, model=model))
    save(fixed_there, tmp_path / "out")
    back = load_result(tmp_path / "out").model
    assert back == model
    np.testing.assert_allclose(back.fixed_maps["D_star"], fixed, rtol=1e-7)
    assert back.n_free == 3


def test_the_object_that_came_back_can_be_saved_again(tmp_path):
    save(make_result(), tmp_path / "one")
    save(load_result(tmp_path / "one"), tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_every_map_is_a_file_with_a_sidecar(tmp_path):
    result = make_result()
    save(result, tmp_path)
    for name in (*result.maps, "status"):
        image = nib.load(tmp_path / f"{name}.nii.gz")
        assert image.get_data_dtype() == (np.int32 if name == "status" else np.float32)
        np.testing.assert_array_equal(image.affine, result.geometry.affine)
        sidecar = json.loads((tmp_path / f"{name}.json").read_text())
        assert sidecar["Name"] == name
        assert sidecar["Description"]
        assert sidecar["Units"]
        assert sidecar["Model"]
        assert sidecar["Method"]


def test_sidecars_say_units_and_which_fit(tmp_path):
    save(make_result(), tmp_path)
    tissue = json.loads((tmp_path / "D.json").read_text())
    assert (tissue["Units"], tissue["Model"], tissue["Method"]) == ("mm^2/s", "biexp", "varpro")
    adc = json.loads((tmp_path / "ADC.json").read_text())
    assert (adc["Model"], adc["Method"]) == ("monoexp", "loglinear")
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["Flags"]["1"]["Name"] == "OUTSIDE_MASK"
    assert any(flag["Name"] == "D_AT_UPPER_BOUND" for flag in status["Flags"].values())


def test_sidecars_list_the_settings_of_the_acquisition(tmp_path):
    result = make_result()
    n = 4
    acquisition = Acquisition(
        [0, 0, 800, 800, 0, 400, 800],
        [[0, 0, 1], [0, 0, 1], [1, 0, 0], *[[0, 0, 1]] * 4],
        variables={"echo_time": [60] * n + [90] * 3, "mode": "on"},
    )
    model = replace(
        result.model,
        compartments=tuple(
            replace(one, variables=("b", "echo_time")) for one in result.model.compartments
        ),
    )
    settings = replace(result.settings, model=model, adc_bvals=(0, 800))
    save(replace(result, acquisition=acquisition, settings=settings), tmp_path)
    tissue = json.loads((tmp_path / "D.json").read_text())["Acquisition"]
    assert tissue["Units"] == {"b": "s/mm^2", "echo_time": "ms"}
    rows = [
        (0, 60, 2, 0), (0, 90, 1, 0), (400, 90, 1, 1), (800, 60, 2, 2), (800, 90, 1, 1)
    ]  # fmt: skip
    heads = ("b", "echo_time", "Volumes", "Directions")
    listed = [{**dict(zip(heads, row, strict=True)), "mode": "on"} for row in rows]
    assert tissue["Settings"] == listed
    # The ADC depends on b alone: it is that of one echo time.
    adc = json.loads((tmp_path / "ADC.json").read_text())["Acquisition"]
    assert adc["Settings"] == [one for one in listed if one["echo_time"] == 90]
    assert adc["BValuesOfADC"] == [0, 800]


def test_the_adc_of_a_mono_exponential_fit_is_its_own(tmp_path):
    save(make_result(model="monoexp"), tmp_path)
    assert json.loads((tmp_path / "ADC.json").read_text())["Method"] == "varpro"


def test_the_record_holds_the_provenance_in_plain_json(tmp_path):
    save(make_result(), tmp_path)

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    record = json.loads((tmp_path / "fit.json").read_text(), parse_constant=refuse)
    assert record["provenance"] == json.loads(json.dumps(asdict(provenance())))
    assert record["settings"]["model"]["parameters"][0]["upper"] is None
    assert record["settings"]["estimator"]["options"]["parameters"] is None
    assert record["settings"]["reading"]["bmax"] == 1000.0


def test_geometry_of_a_scan_comes_back(tmp_path, scan):
    dwi = load(scan)
    save(make_result(dwi.shape, geometry=dwi.geometry), tmp_path / "out")
    one, other = nib.load(scan), nib.load(tmp_path / "out" / "f.nii.gz")
    np.testing.assert_array_equal(one.affine, other.affine)
    assert load_result(tmp_path / "out").geometry == dwi.geometry
    for code in ("sform_code", "qform_code"):
        assert one.header[code] == other.header[code]


def test_an_earlier_result_is_kept(tmp_path):
    save(make_result(), tmp_path / "out")
    other = make_result(model="monoexp")
    with pytest.raises(OutputExistsError, match=r"out already contains results.*--overwrite"):
        save(other, tmp_path / "out")
    assert_same(make_result(), load_result(tmp_path / "out"))


def test_overwriting_removes_outdated_maps_and_nothing_else(tmp_path):
    save(make_result(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    other = make_result(model="monoexp")
    save(other, tmp_path, overwrite=True)
    assert_same(other, load_result(tmp_path))
    assert not (tmp_path / "D_star.nii.gz").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_damaged_record_is_no_hindrance_to_overwriting(tmp_path):
    save(make_result(), tmp_path)
    (tmp_path / "fit.json").write_text("{")
    save(make_result(), tmp_path, overwrite=True)
    assert_same(make_result(), load_result(tmp_path))


def test_a_record_cannot_remove_files_elsewhere(tmp_path):
    save(make_result(), tmp_path / "out")
    (tmp_path / "precious.txt").write_text("mine")
    record = json.loads((tmp_path / "out" / "fit.json").read_text())
    record["files"] += ["../precious.txt", 7]
    (tmp_path / "out" / "fit.json").write_text(json.dumps(record))
    save(make_result(), tmp_path / "out", overwrite=True)
    assert (tmp_path / "precious.txt").exists()


def test_files_of_others_are_kept_without_overwrite(tmp_path):
    (tmp_path / "D.nii.gz").write_text("of another program")
    for refuse in (check_output, lambda folder: save(make_result(), folder)):
        with pytest.raises(OutputExistsError, match=r"contains results \(D.nii.gz\)"):
            refuse(tmp_path)


def test_an_interrupted_save_leaves_nothing(tmp_path, monkeypatch):
    write_image, calls = map_folder.write_image, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt("stop")
        write_image(*arguments)

    monkeypatch.setattr(map_folder, "write_image", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        save(make_result(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_check_output_before_the_work(tmp_path):
    check_output(tmp_path / "new")
    check_output(tmp_path)
    save(make_result(), tmp_path)
    check_output(tmp_path, overwrite=True)
    with pytest.raises(OutputExistsError, match="already contains results"):
        check_output(str(tmp_path))


def test_folders_without_a_result(tmp_path):
    with pytest.raises(FileFormatError, match=r"no fit.json in .*; expected the folder of a"):
        load_result(tmp_path)
    with pytest.raises(FileFormatError, match=r"no fit.json in .*nowhere"):
        load_result(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], r"fit.json cannot be read \(.*expected JSON"),
        (lambda _: "[1, 2]", r"fit.json contains a list; expected the record of a fit"),
        (lambda text: text.replace('"format_version": 2', '"format_version": 9'), "version 9"),
        (lambda text: text.replace('"affine"', '"affin"'), r"not complete \(.*affin"),
        (
            lambda text: text.replace('"parameters"', '"p"'),
            r"\(it has no 'settings.model.parameters'\)",
        ),
        (
            lambda text: text.replace('"varpro"', '"magic"'),
            "needs method 'magic', which is not installed here; there are bayes",
        ),
    ],
)
def test_records_that_cannot_be_used(tmp_path, change, message):
    save(make_result(), tmp_path)
    record = tmp_path / "fit.json"
    record.write_text(change(record.read_text()))
    with pytest.raises(FileFormatError, match=message):
        load_result(tmp_path)


def test_maps_that_are_missing_or_of_another_size(tmp_path):
    save(make_result(), tmp_path)
    (tmp_path / "f.nii.gz").unlink()
    with pytest.raises(FileFormatError, match=r"there is no file .*f.nii.gz"):
        load_result(tmp_path)
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2), np.float32), np.eye(4)), tmp_path / "f.nii.gz")
    with pytest.raises(FileFormatError, match=r"f.nii.gz has shape \(2, 2, 2\); expected \(4, 3"):
        load_result(tmp_path)


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Not a directory; expected a folder"):
        save(make_result(), tmp_path / "file" / "out")


def test_the_folder_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(make_result(), "~/out")
    assert_same(make_result(), load_result(tmp_path / "out"))


# ------------------------------------------------------- fit.json from elsewhere, or damaged


def _put(*path_and_value):
    *path, value = path_and_value

    def change(record):
        node = record
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    return change


MODEL = ("settings", "model")


def _drop(*path):
    def change(record):
        node = record
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]

    return change


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the folder of a result, to be copied."""
    folder = tmp_path_factory.mktemp("saved")
    save(make_result(), folder)
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_put("settings", "method", "options", ["noise"]), "method.options: expected names with"),
        (_put("settings", "method", "options", {"coils": "many"}), "not complete"),
        (_put("shape", [-4, -3, 2]), r"shape\[0\]: expected a whole number"),
        (_put("shape", ["nan", 3, 2]), r"shape\[0\]: expected a whole number"),
        (_put("shape", [[4], 3, 2]), r"shape\[0\]: expected a whole number"),
        (_put("shape", [2**40, 2**40]), r"has shape .*; expected \(1099511627776, "),
        (_put("geometry", [1]), "geometry: expected names with values"),
        (_put("geometry", "affine", "x"), "geometry.affine: expected a list"),
        (
            _put("geometry", "affine", [[1.0], [1.0, 2.0]]),
            "affine: expected a list of length 4",
        ),
        (
            _put("geometry", "voxel_units", "inch"),
            "geometry.voxel_units: invalid",
        ),
        (_put("geometry", "sform_code", 1e300), "geometry.sform_code: expected"),
        (
            _put("acquisition", "shell_numbers", ["a"]),
            r"shell_numbers\[0\]: expected a whole number",
        ),
        (_put("acquisition", "shell_numbers", [2**70]), "not complete"),
        (_put("acquisition", "bvals", "x"), "acquisition.bvals: expected a list"),
        (_put(*MODEL, "parameters", 1, "name", 7), r"parameters\[1\].name: expected a text"),
        (_put(*MODEL, "parameters", 1, "name", "g"), "expected those of model biexp, S0, f, D"),
        (_put(*MODEL, "parameters", 1, "display", 3), r"display: expected a list"),
        (_put(*MODEL, "parameters", 1, "display", [0]), r"display: expected a list of length 2"),
        (_put(*MODEL, "parameters", []), "model.parameters: expected a list of length >= 1"),
        (_put("maps", ["S0", "f", "D_star"]), "there is no map of D, a parameter"),
        (_put("maps", ["S0", "f", "D_star", "D", "T2"]), "there is no map 'T2'"),
        (_put("maps", ["../D"]), r"maps\[0\]"),
        (_put("provenance", "sources", [{"role": "scan"}]), r"sources\[0\].path"),
        (_put("provenance", "sources", [{"path": "x", "sha256": "0"}]), r"sources\[0\].role"),
        (_put("settings", "sigma", "=1+1"), "settings.sigma: invalid enum value '=1\\+1'"),
        (_put("settings", "sigma", [1]), "settings.sigma: expected a number or a text or nothing"),
        (_put("settings", []), "settings: expected names with values"),
        (
            _put("settings", "reading", [1]),
            "settings.reading: expected names with values or nothing",
        ),
        (
            _put("settings", "estimator", {"name": "magic"}),
            "needs estimator 'magic', which is not installed",
        ),
        (_put("settings", "estimator", {"name": "curvature", "options": {"a": 1}}), "'a'"),
        (
            _put("settings", "weights", [1, float("inf")]),
            "settings.weights has numbers that are no",
        ),
        (_put("provenance", "counts", [1.0]), "there are 3 b-values and 1 counts"),
        (_put("format_version", True), "has format version True; expected 2"),
        (
            _put("provenance", "seconds", 10**400),
            "it holds a number that is too large|out of range",
        ),
        (_drop("provenance", "versions"), r"not complete \(it has no 'provenance.versions'\)"),
    ],
)
def test_a_field_of_another_kind_is_named(tmp_path, saved, change, message):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "fit.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(FileFormatError, match=message) as caught:
        load_result(tmp_path)
    assert "fit again" in str(caught.value).lower()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":' * 100_000, "it is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "it holds a number of thousands of digits"),
        ("\xff", "it is not text in UTF-8"),
        ("{]", "it is not JSON from line 1, column 2 on"),
    ],
)
def test_text_that_is_no_record(tmp_path, text, message):
    (tmp_path / "fit.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FileFormatError, match=rf"fit.json cannot be read \({message}\)"):
        load_result(tmp_path)


def test_flags_and_maps_of_another_kind(tmp_path):
    result = make_result()
    save(result, tmp_path)
    shape = result.shape
    for name, array, message in (
        ("status", np.full(shape, np.nan, np.float32), "not sums of flags"),
        ("status", np.full(shape, -1, np.int16), "not sums of flags"),
        ("D", np.zeros(shape, np.complex64), "complex data"),
    ):
        good = (tmp_path / f"{name}.nii.gz").read_bytes()
        nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii.gz")
        with pytest.raises(FileFormatError, match=message):
            load_result(tmp_path)
        (tmp_path / f"{name}.nii.gz").write_bytes(good)
    assert load_result(tmp_path).shape == shape


def test_a_list_of_files_that_is_none_hinders_nobody(tmp_path):
    save(make_result(), tmp_path)
    (tmp_path / "fit.json").write_text('{"files": 5}')
    save(make_result(), tmp_path, overwrite=True)
    assert load_result(tmp_path).shape == make_result().shape
