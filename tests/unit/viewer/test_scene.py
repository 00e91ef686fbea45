"""What the page is told before it shows anything."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.extend.derived_maps import describe
from ivimkit.figures.map_style import how_to_show
from ivimkit.status import explain


@pytest.fixture(scope="module")
def scene(client):
    return client.get("api/scene").json()


def test_grid_scan_and_regions(scene, made, labels):
    assert scene["shape"] == [24, 18, 2]
    assert scene["voxel_size"] == list(made.dwi.geometry.voxel_size)
    assert (scene["has_scan"], scene["why_no_scan"]) == (True, None)
    assert scene["bvals"] == made.dwi.fit_bvals.tolist()
    assert [image["b"] for image in scene["images"]] == made.dwi.acquisition.shell_bvals.tolist()
    assert scene["labels"]["names"] == {str(k): name for k, name in labels.names.items()}


def test_every_map_is_shown_as_in_the_figures(scene, result):
    maps = {entry["name"]: entry for entry in scene["results"][0]["maps"]}
    assert list(maps) == list(result.maps)
    for name, entry in maps.items():
        shown = how_to_show(name, result.model.parameters, [result.maps[name]])
        assert (entry["label"], entry["unit_shown"]) == (shown.label, shown.unit)
        assert entry["factor"] == shown.factor
        low, high = (limit * shown.factor for limit in entry["limits"])
        assert np.allclose((low, high), shown.limits, rtol=1e-12)
        assert entry["unit"] == describe(name, result.model.parameters).unit
    assert maps["D"]["unit_shown"] == "10⁻³ mm²/s"
    assert not maps["D"]["about_another"]
    assert maps["D_sd"]["about_another"]


def test_status_bounds_and_equation(scene, result):
    entry = scene["results"][0]
    assert entry["status_counts"] == result.counts()
    assert entry["bounds"]["D"] == [0.0, 0.005]
    assert entry["bounds"]["S0"] == [0.0, None]
    assert entry["equation"] == result.model.equation
    flags = {flag["flag"]: flag for flag in scene["status"]}
    for number, (name, sentence, advice) in explain(result.model).items():
        assert flags[number] == {
            "flag": number,
            "name": name,
            "sentence": sentence,
            "advice": advice,
        }


def test_methods_and_their_options(scene):
    methods = {method["name"]: method for method in scene["methods"]}
    assert set(methods) == set(ik.methods.names())
    kinds = {
        (name, option["name"]): option
        for name, method in methods.items()
        for option in method["options"]
    }
    assert kinds["segmented", "b_split"]["default"] == 200.0
    assert kinds["segmented", "steps"]["choices"] == [3, 2]
    assert kinds["trr", "two_stage"]["kind"] == "flag"
    assert kinds["varpro", "noise"]["choices"] == ["gaussian", "rician", "chi"]
    assert kinds["loglinear", "b_split"] == {
        "name": "b_split",
        "kind": "number",
        "default": None,
        "choices": [],
    }
    assert "organ liver" in kinds["bayes", "prior"]["choices"]
    for (name, option), entry in kinds.items():
        if entry["kind"] == "choice":
            assert entry["default"] in entry["choices"], (name, option)


def test_colour_maps_are_those_of_the_figures(scene):
    from matplotlib import colormaps

    used = {entry["colormap"] for entry in scene["results"][0]["maps"]}
    assert used <= set(scene["colormaps"])
    for name, table in scene["colormaps"].items():
        red, green, blue, _ = colormaps[name](np.linspace(0, 1, 256)).T * 255
        for letter, colour in zip("RGB", (red, green, blue), strict=True):
            assert np.abs(np.array(table[letter]) - colour).max() <= 1


def test_the_organ_of_the_fit_sets_the_ranges(made, open_client, phantom_fit):
    scene = open_client(phantom_fit(organ="liver")).get("api/scene").json()
    maps = {entry["name"]: entry for entry in scene["results"][0]["maps"]}
    low, high = ik.organs.get("liver").display["D"]
    assert maps["D"]["limits"] == pytest.approx([low, high], rel=1e-12)


def test_image_limits_hold_the_signal(scene, made):
    for image in scene["images"]:
        signal = made.dwi.mean_image(image["b"])[made.dwi.mask]
        low, high = image["limits"]
        assert low == 0.0
        assert high == pytest.approx(np.percentile(signal, 99.5), rel=1e-12)


def test_warnings_that_are_errors_are_sentences(open_client, result, monkeypatch):
    from ivimkit.viewer import routes

    def warn(study, voxel):
        raise ik.errors.AcquisitionWarning("too few b-values; expected more")

    monkeypatch.setattr(routes, "describe_voxel", warn)
    sentence = open_client(result).error(400, "get", "api/voxel?x=1&y=1&z=0")
    assert sentence == "too few b-values; expected more"


def test_a_fault_says_that_it_is_one(open_client, result, monkeypatch, capfd):
    from ivimkit.viewer import routes

    def fail(study, voxel):
        raise RuntimeError("something broke")

    monkeypatch.setattr(routes, "describe_voxel", fail)
    client = open_client(result)
    sentence = client.error(500, "get", "api/voxel?x=1&y=1&z=0")
    assert sentence == "internal error: RuntimeError: something broke. Please report it"
    assert client.token not in capfd.readouterr().err
