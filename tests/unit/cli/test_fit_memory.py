"""ivimkit fit --mem-mb: the same files, whatever the memory."""

import numpy as np
import pytest
from typer.testing import CliRunner

import ivimkit as ik
from ivimkit.cli import app

run = CliRunner()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "dwi.nii"
    made = ik.simulate.phantom(shape=(48, 40, 12), snr=30)
    ik.io.save_scan(made.dwi.with_mask(None), path)
    ik.io.save_map(
        (made.labels > 0).astype("uint8"), path.with_name("mask.nii.gz"), made.dwi.geometry
    )
    return path


def test_maps_are_the_same_and_nothing_else_is_left(scan, tmp_path):
    words = ["fit", str(scan), "--mask", str(scan.with_name("mask.nii.gz")), "--no-figures"]
    for name, more in {
        "whole": [],
        "slabs": ["--mem-mb", "251", "--scratch", str(tmp_path)],
        "zarr": ["--mem-mb", "251", "--scratch", str(tmp_path), "--format", "zarr"],
    }.items():
        done = run.invoke(app, [*words, "--out", str(tmp_path / name), *more])
        assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slabs", "whole", "zarr"]
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    assert names == {path.name for path in (tmp_path / "slabs").iterdir()}
    for name in (one for one in names if one.endswith(".nii.gz")):
        whole, slabs = ((tmp_path / folder / name).read_bytes() for folder in ("whole", "slabs"))
        assert whole == slabs, name
    of_images, stored = (ik.load_result(tmp_path / folder) for folder in ("whole", "zarr"))
    assert {path.name for path in (tmp_path / "zarr").iterdir()} == {"fit.json", "maps.zarr"}
    for name in of_images:
        np.testing.assert_array_equal(of_images[name], stored[name], name)
    np.testing.assert_array_equal(of_images.status, stored.status)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--mem-mb", "200"], "--mem-mb is 200; expected more than 250"),
        (["--scratch", "/nowhere"], "/nowhere, the folder for scratch files, is not a folder"),
        (["--mem-mb", "250.01"], "a fit of one slice needs 1 MB of memory"),
    ],
)
def test_what_cannot_be_used_is_said(scan, tmp_path, more, message):
    done = run.invoke(app, ["fit", str(scan), "--out", str(tmp_path / "out"), *more])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()
