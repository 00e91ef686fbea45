"""Differences between two results, as the page gets them."""

import numpy as np

import ivimkit as ik


def test_they_are_those_of_the_maps(open_client, made, result):
    other = ik.fit(made.dwi, method="segmented")
    client = open_client(result, other, names=("a", "b"))
    scene = client.get("api/scene").json()
    (pair,) = scene["differences"]
    assert pair["name"] == "a − b"
    entries = {entry["name"]: entry for entry in pair["maps"]}
    assert {"difference of D", "difference of f"} <= set(entries)
    assert "difference of D_sd" not in entries
    entry = entries["difference of D"]
    expected = result.maps["D"] - other.maps["D"]
    image, _ = client.get(entry["url"]).image()
    np.testing.assert_array_equal(image, expected.astype(np.float32))
    low, high = entry["limits"]
    assert 0 < high == -low
    assert (np.abs(expected) <= high).sum() > 0.95 * np.isfinite(expected).sum()
    voxel, _ = client.get(f"{entry['url']}?x=9&y=8&z=1").image()
    assert voxel.ravel() == [np.float32(expected[9, 8, 1])]
    doubtful, _ = client.get(entry["doubtful"]["url"]).image()
    either = [np.isfinite(one.maps["D"]) & np.isnan(one.reliable("D")) for one in (result, other)]
    np.testing.assert_array_equal(doubtful > 0, np.logical_or(*either))
    assert entry["doubtful"]["n"] == np.count_nonzero(doubtful)
    assert "expected another one" in client.error(400, "get", "volumes/difference/0/D.nii")
    assert "in both results" in client.error(400, "get", "volumes/difference/1/E.nii")
