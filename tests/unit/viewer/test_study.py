"""What belongs together, and what does not."""

from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.viewer.study import Study


def moved(result, mm):
    affine = result.geometry.affine.copy()
    affine[0, 3] += mm
    return replace(result, geometry=ik.Geometry(affine))


def test_results_are_named_by_their_methods(result):
    assert Study.of([result]).names == ("varpro",)
    assert Study.of([result, result]).names == ("varpro (1)", "varpro (2)")
    assert Study.of([result, result], ["before", "after"]).names == ("before", "after")


@pytest.mark.parametrize("names", [["one"], ["same", "same"]])
def test_names_that_do_not_fit(result, names):
    with pytest.raises(OptionError, match="expected one name for each, all different"):
        Study.of([result, result], names)


def test_no_result_or_something_else(result, made):
    with pytest.raises(OptionError, match="there is no result to view"):
        Study.of([])
    with pytest.raises(OptionError, match=r"got a DWI to view; expected results of ivimkit\.fit"):
        Study.of([made.dwi])


def test_other_grids(result, made):
    small = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
    with pytest.raises(ShapeError, match=r"has shape \(12, 10, 1\).*expected results on one grid"):
        Study.of([result, small])
    with pytest.raises(ShapeError, match="lie up to 5 mm apart; expected results on one grid"):
        Study.of([result, moved(result, 5.0)])
    Study.of([result, moved(result, 0.01)])
    with pytest.raises(ShapeError, match="labels have shape"):
        Study.of([result], labels=ik.Labels(np.ones((2, 2, 2))))


def test_more_axes_than_three():
    b = np.array([0, 200, 400, 800])
    signal = np.ones((2, 2, 2, 2, 1)) * np.exp(-1e-3 * b)
    result = ik.fit(signal, b, model="monoexp")
    with pytest.raises(ShapeError, match="expected up to three axes"):
        Study.of([result])


def test_the_scan_is_found_again(made, tmp_path):
    path = tmp_path / "dwi.nii.gz"
    ik.io.save_scan(made.dwi, path)
    ik.save(ik.fit(ik.load(path).with_mask(made.dwi.mask)), tmp_path / "out")
    loaded = ik.load_result(tmp_path / "out")
    assert loaded.dwi is None
    study = Study.of([loaded])
    assert study.why_no_scan is None
    np.testing.assert_array_equal(study.scan(0).signal, made.dwi.signal)


def test_without_a_scan_there_are_maps_and_a_reason(open_client, result):
    lonely = replace(result, dwi=None)
    client = open_client(lonely)
    scene = client.get("api/scene").json()
    assert (scene["has_scan"], scene["images"]) == (False, [])
    assert "Name it" in scene["why_no_scan"]
    answer = client.get("api/voxel?x=8&y=9&z=0").json()
    assert answer["measured"] is answer["averaged"] is answer["fits"][0]["residuals"] is None
    rows = {row["name"]: row["value"] for row in answer["fits"][0]["estimates"]}
    assert rows["D"] == float(result.maps["D"][8, 9, 0])
    refused = client.error(400, "post", "api/refit", {"voxel": [8, 9, 0]})
    assert refused.startswith("the scan of these maps is not available: the result does not name")
    assert "maps is not available" in client.error(400, "get", "volumes/scan/0.nii")


def test_another_scan_is_refused(result, made):
    with pytest.raises(ShapeError, match=r"12 b-values; expected .* 13, those of the result"):
        Study.of([result], dwi=made.dwi.select(bmax=700))
