"""A scan of which the page has every few voxels: all numbers are those of the whole one."""

import dataclasses
import gzip

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.fitting.scratch_maps import ScratchMaps
from ivimkit.scan import lazy_signal
from ivimkit.viewer import lazy_box, shown_grid, voxel_box

NAMES = "names=1:lesion,2:liver"
STEP = (slice(None, None, 2), slice(None, None, 2), slice(None))
VOXELS = [(9, 7, 0), (12, 9, 1), (0, 0, 0)]


class Stored:
    """An array that is not in memory; what is read of it is counted."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.largest = values, values.shape, values.dtype, 0

    def __getitem__(self, key):
        part = self.values[key]
        self.largest = max(self.largest, part.size)
        return part


@pytest.fixture(scope="module")
def small(made):
    """The abdomen with repeats, of which some are missing; its maps as if they had been saved."""
    signal = np.concatenate([made.dwi.signal, 1.1 * made.dwi.signal], axis=-1).astype(np.float32)
    signal[8:12, 6:9, :, 13] = np.nan
    signal[9, 7, 0, [3, 16]] = np.nan
    affine = np.diag([2.0, -2.0, 5.0, 1.0])
    dwi = ik.DWI(signal, np.tile(made.dwi.fit_bvals, 2), affine, made.dwi.mask)
    result = ik.fit(dwi, method="segmented")
    maps = {name: np.float64(np.float32(result.maps[name])) for name in result.maps}
    return dataclasses.replace(result, maps=maps)


@pytest.fixture(scope="module")
def large(small):
    """The same with scan and maps on disk."""
    signal = Stored(small.dwi.signal)
    dwi = ik.DWI(signal, small.dwi.acquisition, small.dwi.affine, small.dwi.mask)
    maps = {name: np.asfortranarray(small.maps[name], np.float32) for name in small.maps}
    status = np.asfortranarray(small.status)
    return dataclasses.replace(small, maps=ScratchMaps(maps), status=status, dwi=dwi), signal


@pytest.fixture(scope="module")
def whole_client(open_client, small, labels):
    return open_client(small, labels=labels)


@pytest.fixture(scope="module")
def large_client(open_client, large, labels):
    result, signal = large
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown_grid, "MAX_WHOLE_VOXELS", 300)
        patch.setattr(shown_grid, "MAX_THINNED_VOXELS", 300)
        patch.setattr("ivimkit.scan.blocks.MAX_BLOCK_VOXELS", 120)
        patch.setattr(lazy_box, "_MAX_BYTES_BETWEEN", 1)
        patch.setattr(voxel_box, "_BYTES_READ", 1)
        patch.setattr(lazy_signal, "BLOCK_BYTES", 1)
        signal.largest = 0
        yield open_client(result, labels=labels)


def addresses():
    yield from (f"volumes/scan/{k}.nii" for k in (0, 3, 12))
    yield from (f"volumes/single/{k}.nii" for k in (0, 13, 25))
    for name in ("D", "f", "ADC", "rmse"):
        yield from (f"volumes/0/{name}.nii", f"volumes/0/doubtful/{name}.nii")
    yield from ("volumes/0/status.nii", "volumes/0/grades.nii")


def test_images_have_the_first_voxel_of_each_block(whole_client, large_client, small, large):
    for address in addresses():
        array, _ = whole_client.get(address).image()
        shown, geometry = large_client.get(address).image()
        np.testing.assert_array_equal(shown, array[STEP], err_msg=address)
        assert shown.dtype == array.dtype
    sides = [2 * side if k < 2 else side for k, side in enumerate(small.geometry.voxel_size)]
    assert geometry.voxel_size == pytest.approx(sides)
    # One slice at a time, of two.
    assert large[1].largest <= small.dwi.signal.size / 2


def test_any_voxel_of_an_image_can_be_asked_for(whole_client, large_client):
    for address in addresses():
        array, _ = whole_client.get(address).image()
        for x, y, z in VOXELS:
            value, _ = large_client.get(f"{address}?x={x}&y={y}&z={z}").image()
            np.testing.assert_array_equal(value, array[x, y, z], err_msg=address)
    address = "volumes/0/D.nii"
    assert "no voxel (24, 0, 0)" in large_client.error(400, "get", f"{address}?x=24&y=0&z=0")
    assert "x is 'a'" in large_client.error(400, "get", f"{address}?x=a&y=0&z=0")


def test_all_voxels_are_counted(whole_client, large_client):
    whole, scene = (c.get("api/scene").json() for c in (whole_client, large_client))
    assert (whole.pop("stride"), scene.pop("stride")) == ([1, 1, 1], [2, 2, 1])
    # Of these, a sample is enough.
    for one in (whole, scene):
        for image in (*one["images"], *one["volumes"]):
            assert image.pop("limits")[1] > 100
        for entry in one["results"][0]["maps"]:
            entry.pop("limits")
    assert scene == whole
    assert any(entry["doubtful"] for entry in scene["results"][0]["maps"])


def test_voxels_and_refits_are_the_same(whole_client, large_client):
    for x, y, z in VOXELS:
        asked = f"api/voxel?x={x}&y={y}&z={z}"
        assert large_client.get(asked).json() == whole_client.get(asked).json()
    request = {"voxel": VOXELS[0], "result": "0", "method": "segmented", "options": {}}
    answers = [c.post("api/refit", request).json() for c in (whole_client, large_client)]
    assert answers[0]["estimates"] == answers[1]["estimates"]


@pytest.fixture(scope="module")
def blocks(made):
    """Two regions drawn in blocks."""
    drawn = np.zeros((12, 9, 2), np.uint8)
    drawn[5:7, 3:5], drawn[2:4, 2:5, 0] = 1, 2
    return drawn


def image_of(numbers):
    return ik.io.image_bytes(numbers, ik.Geometry())


def test_drawn_blocks_are_measured_voxel_by_voxel(whole_client, large_client, blocks, small):
    whole = blocks.repeat(2, 0).repeat(2, 1)
    for address in (f"api/regions?{NAMES}", f"api/regions.csv?{NAMES}"):
        answer = large_client.post(address, image_of(blocks))
        assert answer.body == whole_client.post(address, image_of(whole)).body
    saved = large_client.post(f"api/regions.nii.gz?{NAMES}", image_of(blocks))
    array, geometry = saved.image()
    np.testing.assert_array_equal(array, whole)
    np.testing.assert_array_equal(geometry.affine, np.float32(small.geometry.affine))
    sentence = large_client.error(400, "post", f"api/regions?{NAMES}", image_of(whole))
    assert "has shape (24, 18, 2); expected (12, 9, 2)" in sentence


def test_loaded_labels_stay_whole_where_nothing_is_drawn(
    whole_client, large_client, drawing, small
):
    drawing[12, 9, 0] = 7
    answer = large_client.post("api/labels", ik.io.image_bytes(drawing, small.geometry))
    assert answer.headers["x-numbers"] == "1,2,7"
    shown, _ = answer.image()
    size = len(image_of(shown))
    assert shown.shape == (12, 9, 2)
    packed = answer.body[size:]
    np.testing.assert_array_equal(ik.io.image_of_bytes(gzip.decompress(packed))[0], drawing)
    names = f"{NAMES},7:dot&drawn={size}"
    table = large_client.post(f"api/regions?{names}", answer.body).json()
    image = ik.io.image_bytes(drawing, small.geometry)
    assert table == whole_client.post(f"api/regions?{NAMES},7:dot", image).json()
    # A block is drawn into region 7, and region 2 is removed.
    changed = np.where(shown == 2, 0, shown)
    changed[0, 8, 1] = 7
    body = image_of(changed) + packed
    kept, _ = large_client.post(f"api/regions.nii.gz?names=1:a,7:b&drawn={size}", body).image()
    expected = np.where(drawing == 2, 0, drawing)
    expected[:2, 16:, 1] = 7
    np.testing.assert_array_equal(kept, expected)


def test_labels_of_the_study_come_whole(large_client, labels):
    shown, _ = large_client.get("volumes/labels.nii").image()
    answer = large_client.get("api/labels")
    np.testing.assert_array_equal(answer.image()[0], shown)
    whole, _ = ik.io.image_of_bytes(gzip.decompress(answer.body[len(image_of(shown)) :]))
    np.testing.assert_array_equal(whole, labels.array)
    assert answer.headers["x-numbers"] == ",".join(map(str, labels.names))


def test_maps_that_are_in_memory_are_shown_as_well(open_client, result, monkeypatch):
    """Those of a fit of this process are one value per fitted voxel."""
    monkeypatch.setattr(shown_grid, "MAX_WHOLE_VOXELS", 300)
    monkeypatch.setattr(shown_grid, "MAX_THINNED_VOXELS", 300)
    client = open_client(result)
    expected, scene = np.float32(result.maps["D"]), client.get("api/scene").json()
    shown, _ = client.get("volumes/0/D.nii").image()
    step = tuple(slice(None, None, step) for step in scene["stride"])
    np.testing.assert_array_equal(shown, expected[step])
    value, _ = client.get("volumes/0/D.nii?x=11&y=9&z=0").image()
    np.testing.assert_array_equal(value, expected[11, 9, 0])
    assert scene["results"][0]["voxels"] == np.count_nonzero(result.mask)
