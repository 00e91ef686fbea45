"""Masks of the user, put on the grid of the study."""

import gzip

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import GeometryWarning, OptionError
from ivimkit.viewer.study import Study
from ivimkit.viewer.user_mask import aligned_mask


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
        image, note = aligned_mask(
            Study.of([result]), ik.io.image_bytes(fine, ik.Geometry(affine))
        )
    np.testing.assert_array_equal(ik.io.image_of_bytes(image)[0], drawing)
    assert note == (
        "The mask has another grid (48 x 36 x 4 voxels against 24 x 18 x 2): resampled to the "
        "scan, nearest neighbour."
    )


def test_a_mask_in_another_order_is_turned_and_a_note_says_so(drawing, result):
    turn = np.diag([-1.0, 1, 1, 1])
    turn[0, 3] = len(drawing) - 1
    turned = ik.Geometry(result.geometry.affine @ turn)
    with pytest.warns(GeometryWarning, match="in another order"):
        image, note = aligned_mask(Study.of([result]), ik.io.image_bytes(drawing[::-1], turned))
    np.testing.assert_array_equal(ik.io.image_of_bytes(image)[0], drawing)
    assert note.startswith("The mask is stored in another order or size")


def test_the_note_comes_with_the_answer(open_client, drawing, result, monkeypatch):
    from ivimkit.viewer import routes

    monkeypatch.setattr(routes, "aligned_mask", lambda study, body: (b"image", "12 × 3: moved"))
    answer = open_client(result).post("api/labels", b"")
    assert (answer.body, answer.headers["x-note"]) == (b"image", "12 ? 3: moved")


def test_a_mask_beside_the_scan_is_refused(drawing, result):
    affine = result.geometry.affine.copy()
    affine[:3, 3] += 1e4
    study, image = Study.of([result]), ik.io.image_bytes(drawing, ik.Geometry(affine))
    with pytest.raises(OptionError, match=r"^the mask and the scan do not overlap"):
        aligned_mask(study, image)


def test_what_is_no_mask_is_refused(client, drawing, result):
    for body, sentence in [
        (b"no image", "not a NIfTI image"),
        (ik.io.image_bytes(drawing * 0.5, result.geometry), "the mask contains other than whole"),
        (ik.io.image_bytes(drawing * 0, result.geometry), "the mask is empty"),
    ]:
        assert sentence in client.error(400, "post", "api/labels", body)
