"""Masks of the user, put on the grid of the study."""

import gzip
import json

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import GeometryWarning, OptionError
from ivimkit.viewer.study import Study
from ivimkit.viewer.user_mask import PlacedMask, placed_mask


@pytest.mark.parametrize("zipped", [False, True])
def test_a_mask_of_the_same_grid_comes_back_as_it_was(client, drawing, result, zipped):
    image = ik.io.image_bytes(drawing, result.geometry)
    answer = client.post("api/labels", gzip.compress(image) if zipped else image)
    array, _ = answer.image()
    np.testing.assert_array_equal(array, drawing)
    assert array.dtype == np.uint8
    assert "x-note" not in answer.headers


def test_a_finer_mask_is_resampled_and_a_note_says_so(drawing, result):
    affine = result.geometry.affine.copy()
    affine[:3, :3] /= 2
    affine[:3, 3] -= affine[:3, :3].sum(axis=1) / 2
    fine = drawing.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    with pytest.warns(GeometryWarning, match="resampled"):
        placed = placed_mask(Study.of([result]), ik.io.image_bytes(fine, ik.Geometry(affine)))
    np.testing.assert_array_equal(placed.labels, drawing)
    assert placed.note == (
        "The mask has another grid (48 x 36 x 4 voxels against 24 x 18 x 2): resampled to the "
        "scan, nearest neighbour."
    )


def test_a_mask_in_another_order_is_turned_and_a_note_says_so(drawing, result):
    turn = np.diag([-1.0, 1, 1, 1])
    turn[0, 3] = len(drawing) - 1
    turned = ik.Geometry(result.geometry.affine @ turn)
    with pytest.warns(GeometryWarning, match="in another order"):
        placed = placed_mask(Study.of([result]), ik.io.image_bytes(drawing[::-1], turned))
    np.testing.assert_array_equal(placed.labels, drawing)
    assert placed.note.startswith("The mask is stored in another order or size")


def test_the_note_comes_with_the_answer(open_client, drawing, result, monkeypatch):
    from ivimkit.viewer import routes

    placed = PlacedMask(drawing.astype(np.int32), "12 × 3: moved", {2: "Läsion, links"})
    monkeypatch.setattr(routes, "placed_mask", lambda study, body: placed)
    answer = open_client(result).post("api/labels", b"")
    np.testing.assert_array_equal(answer.image()[0], drawing)
    assert answer.headers["x-note"] == "12 ? 3: moved"
    assert json.loads(answer.headers["x-names"]) == {"2": "Läsion, links"}


def test_a_mask_beside_the_scan_is_refused(drawing, result):
    affine = result.geometry.affine.copy()
    affine[:3, 3] += 1e4
    study, image = Study.of([result]), ik.io.image_bytes(drawing, ik.Geometry(affine))
    with pytest.raises(OptionError, match=r"^the mask and the scan do not overlap"):
        placed_mask(study, image)


def test_what_is_no_mask_is_refused(client, drawing, result):
    for body, sentence in [
        (b"no image", "not a NIfTI image"),
        (ik.io.image_bytes(drawing * 0.5, result.geometry), "the mask contains other than whole"),
        (ik.io.image_bytes(drawing * 0, result.geometry), "the mask is empty"),
    ]:
        assert sentence in client.error(400, "post", "api/labels", body)
