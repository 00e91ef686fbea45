"""The images of a study, as the page gets them."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.simulate import B13
from ivimkit.viewer.study_images import smallest


def test_maps_are_the_maps_in_the_place_of_the_scan(client, result):
    for name in result.maps:
        array, geometry = client.get(f"volumes/0/{name}.nii").image()
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, result.maps[name].astype(np.float32))
        # NIfTI-1 keeps the affine as float32.
        np.testing.assert_array_equal(geometry.affine, np.float32(result.geometry.affine))


def test_status_labels_and_scan(client, result, made, labels):
    status, _ = client.get("volumes/0/status.nii").image()
    np.testing.assert_array_equal(status, result.status)
    assert status.dtype == np.int32
    regions, _ = client.get("volumes/labels.nii").image()
    np.testing.assert_array_equal(regions, labels.array)
    assert regions.dtype == np.uint8
    for number, shell in enumerate(made.dwi.acquisition.shells):
        image, _ = client.get(f"volumes/scan/{number}.nii").image()
        np.testing.assert_array_equal(image, made.dwi.mean_image(shell.b).astype(np.float32))


def test_volumes_are_those_that_were_acquired(open_client):
    made = ik.simulate.phantom(shape=(16, 12, 2), bvals=[0, *B13])
    scan = made.dwi.select(volumes=range(1, 12))
    client = open_client(ik.fit(scan, method="segmented"))
    volumes = client.get("api/scene").json()["volumes"]
    assert [volume["label"] for volume in volumes[:2]] == [
        "volume 1, b = 0 s/mm²",
        "volume 2, b = 10 s/mm²",
    ]
    for volume, stored in zip(volumes, scan.volumes, strict=True):
        image, _ = client.get(volume["url"]).image()
        np.testing.assert_array_equal(image, made.dwi.signal[..., stored])
    assert volumes[0]["limits"][1] > volumes[-1]["limits"][1]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("volumes/0/E.nii", "there is no map 'E'; expected one of S0"),
        ("volumes/1/D.nii", "there is no result '1'; expected one of 0"),
        ("volumes/-1/D.nii", "there is no result '-1'"),
        ("volumes/scan/13.nii", "there is no image '13'; expected 0 to 12"),
        ("volumes/scan/x.nii", "there is no image 'x'"),
        ("volumes/single/13.nii", "there is no volume '13'; expected 0 to 12"),
    ],
)
def test_what_is_not_there_is_said(client, address, sentence):
    assert sentence in client.error(400, "get", address)


def test_no_labels(open_client, result):
    assert "there are no labels" in open_client(result).error(400, "get", "volumes/labels.nii")


@pytest.mark.parametrize(
    ("highest", "dtype"), [(255, np.uint8), (256, np.int16), (40000, np.int32)]
)
def test_labels_take_the_smallest_type(highest, dtype):
    assert smallest(np.array([0, highest], np.int32)).dtype == dtype


def test_two_axes_become_three(open_client, made):
    flat = ik.DWI(made.dwi.signal[:, :, 0], made.dwi.acquisition, mask=made.dwi.mask[:, :, 0])
    result = ik.fit(flat)
    client = open_client(result)
    array, _ = client.get("volumes/0/D.nii").image()
    np.testing.assert_array_equal(array[:, :, 0], result.maps["D"].astype(np.float32))
    assert client.get("api/scene").json()["shape"] == [24, 18, 1]
    assert client.get("api/voxel?x=8&y=9&z=0").json()["fits"][0]["estimates"]


def test_volumes_before_the_steps_are_those_of_the_file(open_client, tmp_path):
    path = tmp_path / "dwi.nii.gz"
    made = ik.simulate.phantom(shape=(48, 36, 2), bvals=[0, 200, 800])
    ik.io.save_scan(made.dwi, path)
    brighter = made.dwi.signal * np.float32(2)
    done = ik.preprocess(ik.load(path), "mask:kind=body").dwi
    result = ik.fit(done.with_signal(brighter), model="monoexp")
    client = open_client(result)
    scene = client.get("api/scene").json()
    assert scene["steps"] == ["mask"]
    assert scene["why_not_acquired"] is None
    assert scene["acquired"][1]["label"] == "volume 1, b = 200 s/mm², as acquired"
    acquired, _ = client.get(scene["acquired"][1]["url"]).image()
    fitted, _ = client.get(scene["volumes"][1]["url"]).image()
    np.testing.assert_allclose(acquired, made.dwi.signal[..., 1], rtol=1e-6)
    np.testing.assert_allclose(fitted, brighter[..., 1], rtol=1e-6)
    # A file that has changed since is not the scan before the steps.
    ik.io.save_scan(made.dwi.with_signal(brighter), path, overwrite=True)
    client = open_client(result)
    scene = client.get("api/scene").json()
    assert scene["acquired"] == []
    assert scene["why_not_acquired"].endswith("dwi.nii.gz, from which the result was made, "
                                              "has changed since")  # fmt: skip
    said = client.error(400, "get", "volumes/acquired/0.nii")
    assert "the scan before the steps is not available: " in said
    alone = open_client(ik.fit(ik.preprocess(made.dwi, "mask:kind=body").dwi, model="monoexp"))
    assert alone.get("api/scene").json()["why_not_acquired"] == "it was not read from a file"


def test_a_scan_that_was_not_preprocessed_has_no_volumes_before(client):
    scene = client.get("api/scene").json()
    assert (scene["acquired"], scene["steps"], scene["why_not_acquired"]) == ([], [], None)
    assert "fitted as it was acquired" in client.error(400, "get", "volumes/acquired/0.nii")
