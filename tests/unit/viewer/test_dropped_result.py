"""Results that are dropped on the page, as the files of their folders."""

import json
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik


def body_of(folder, name="earlier", **changed):
    """What the page sends of a folder; files by name, None for one that is missing."""
    contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir())} | changed
    contents = {key: value for key, value in contents.items() if value is not None}
    sizes = {key: len(value) for key, value in contents.items()}
    head = json.dumps({"name": name, "files": sizes}).encode()
    return head + b"\n" + b"".join(contents.values())


@pytest.fixture(scope="module")
def scan(made, tmp_path_factory):
    """The abdomen from files."""
    home = tmp_path_factory.mktemp("dropped")
    ik.io.save_scan(made.dwi, home / "dwi.nii.gz")
    nib.save(nib.Nifti1Image(made.dwi.mask.astype(np.uint8), made.dwi.affine), home / "m.nii.gz")
    return ik.load(home / "dwi.nii.gz", mask=home / "m.nii.gz")


@pytest.fixture(scope="module")
def saved(scan, tmp_path_factory):
    """A saved fit by another method."""
    folder = tmp_path_factory.mktemp("dropped") / "segmented"
    ik.save(ik.fit(scan, method="segmented"), folder)
    return folder


@pytest.fixture(scope="module")
def shown(scan):
    """What is on the page before anything is dropped."""
    return ik.fit(scan, method="loglinear", model="monoexp")


@pytest.fixture
def client(open_client, shown):
    return open_client(shown)


@pytest.fixture(scope="module")
def unchanged_client(open_client, shown):
    """One to which nothing is added: all that it gets is refused."""
    return open_client(shown)


def test_it_is_shown_beside_the_others_with_its_curve(client, saved, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = client.get("api/scene").json()
    assert [one["name"] for one in before["results"]] == ["loglinear"]
    for name in ("earlier", "earlier (2)"):
        assert client.post("api/result", body_of(saved)).json() == {"name": name}
    assert not list(tmp_path.iterdir())
    scene = client.get("api/scene").json()
    assert [one["name"] for one in scene["results"]] == ["loglinear", "earlier", "earlier (2)"]
    array, _ = client.get("volumes/1/D.nii").image()
    np.testing.assert_array_equal(array, ik.load_result(saved).maps["D"].astype(np.float32))
    fits = client.get("api/voxel?x=12&y=9&z=1").json()["fits"]
    assert [fit["name"] for fit in fits] == ["loglinear", "earlier", "earlier (2)"]
    assert client.post("api/refit", {"voxel": [12, 9, 1], "result": "1"}).code == 200
    assert b"Report" in client.get("report/1").body


def test_the_scan_of_the_same_values_serves_both(open_client, made, scan, saved, tmp_path):
    content = json.loads((saved / "fit.json").read_text())
    for source in content["provenance"]["sources"]:
        source["path"] = str(tmp_path / "gone" / Path(source["path"]).name)
    changed = {"fit.json": json.dumps(content).encode()}
    client = open_client(ik.fit(scan))
    assert client.post("api/result", body_of(saved, **changed)).code == 200
    assert client.post("api/refit", {"voxel": [12, 9, 1], "result": "1"}).code == 200
    # A scan from elsewhere may have other values.
    other = open_client(ik.fit(made.dwi))
    assert other.post("api/result", body_of(saved, **changed)).code == 200
    refused = other.error(400, "post", "api/refit", {"voxel": [12, 9, 1], "result": "1"})
    assert "the scan of these maps is not available" in refused


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda home: body_of(home, **{"fit.json": None}), "earlier"),
        (lambda home: body_of(home, **{"D.nii.gz": None}), "D.nii.gz"),
        (lambda home: body_of(home, **{"../x": b"1"}), "'../x'; expected names without folders"),
        (lambda home: body_of(home, **{"..": b"1"}), "expected names without folders"),
        (lambda home: body_of(home, **{"a\\b": b"1"}), "expected names without folders"),
        (lambda home: body_of(home)[:-1], "expected all of them"),
        (lambda home: b"[]\n", "expected a JSON object"),
        (lambda home: b'{"name": "x"}\n', "'files'"),
        (lambda home: b'{"name": "x", "files": {"a": -1}}\n', "files"),
    ],
)
def test_what_is_no_result_is_refused(unchanged_client, saved, spoil, words):
    said = unchanged_client.error(400, "post", "api/result", spoil(saved))
    assert words in said
    assert tempfile.gettempdir() not in said
    assert len(unchanged_client.get("api/scene").json()["results"]) == 1


def test_another_grid_is_refused(unchanged_client, tmp_path):
    ik.save(ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi), tmp_path / "small")
    said = unchanged_client.error(400, "post", "api/result", body_of(tmp_path / "small", "small"))
    assert "small has shape (12, 10, 1) and loglinear (24, 18, 2)" in said
