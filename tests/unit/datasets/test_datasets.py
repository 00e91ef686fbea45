"""Public scans by name: what is known about them, and what happens on the way from a server."""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ivimkit as ik
from file_server import file_server
from ivimkit.cli import app
from ivimkit.datasets import DataSet, Download
from ivimkit.errors import FileFormatError, InputError, OptionError, OutputExistsError

BVECS = b"\n".join(b" ".join([axis] * 21) for axis in (b"0", b"0", b"1")) + b"\n"
BVALS = b"0 10 20 30 40 60 80 100 120 140 160 180 200 300 400 500 600 700 800 900 1000\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server with a scan, the same as an archive, and a damaged mirror."""
    home = tmp_path_factory.mktemp("server")
    made = ik.simulate.phantom(shape=(8, 6, 1))
    ik.io.save_scan(made.dwi, home / "dwi.nii.gz")
    ik.io.save_map(made.dwi.mask.astype(np.uint8), home / "mask.nii.gz", made.dwi.geometry)
    with zipfile.ZipFile(home / "all.zip", "w") as archive:
        for name in ("dwi.nii.gz", "dwi.bval", "mask.nii.gz"):
            archive.write(home / name, f"Data/{name}")
    (home / "other").mkdir()
    (home / "other" / "dwi.nii.gz").write_bytes(b"not the scan")
    with file_server(home) as address:
        yield home, address


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def mine(served):
    """Return a function that registers the served scan; ``urls`` are the paths of the scan."""
    home, address = served
    made = []

    def _mine(*urls, archive=False):
        def download(name, paths, members=None):
            content = (home / name).read_bytes()
            sums = hashlib.sha256(content).hexdigest()
            where = tuple(path if "://" in path else f"{address}/{path}" for path in paths)
            return Download(name, where, sums, len(content), members or {})

        names = ("dwi.nii.gz", "dwi.bval", "mask.nii.gz")
        if archive:
            parts = (download("all.zip", ["all.zip"], {f"Data/{name}": name for name in names}),)
        else:
            parts = tuple(
                download(name, urls if name == "dwi.nii.gz" else [name]) for name in names
            )
        data_set = DataSet(
            name=f"mine-{len(made)}",
            title="A phantom",
            about="Small.",
            licence="CC0 1.0",
            licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
            citation="Nobody. doi:10.1234/5678",
            scan="dwi.nii.gz",
            mask="mask.nii.gz",
            downloads=parts,
        )
        ik.datasets.register(data_set)
        made.append(data_set.name)
        return data_set.name

    yield _mine
    for name in made:
        ik.datasets.unregister(name)


@pytest.mark.parametrize("name", ik.datasets.names())
def test_what_is_known_is_complete(name):
    data_set = ik.datasets.get(name)
    assert data_set.name == name
    assert ik.datasets.get(data_set.name) is data_set
    assert data_set.scan in data_set.files
    assert data_set.mask in ("", *data_set.files)
    assert f"{data_set.scan.removesuffix('.nii.gz')}.bval" in data_set.files
    assert len(set(data_set.files)) == len(data_set.files)
    assert re.fullmatch(r"10\.\d+/\S+\w", data_set.doi)
    assert data_set.licence_url.startswith("https://")
    assert not data_set.title.endswith(".")
    for download in data_set.downloads:
        assert re.fullmatch("[0-9a-f]{64}", download.sha256)
        assert download.n_bytes > 0
        assert all(url.startswith("https://") for url in download.urls)
        assert "/" not in "".join(download.files)


def test_every_file_is_a_data_set():
    files = {file.stem for file in Path(ik.datasets.__file__).parent.glob("[!_]*.py")}
    assert {name.replace("_", "-") for name in files} == set(ik.datasets.names())


def test_checksums_of_the_small_files_of_dipy_are_theirs():
    # Both files can be written down; DIPY publishes their MD5 checksums.
    known = {download.name: download for download in ik.datasets.get("dipy-ivim").downloads}
    for name, content, md5 in (
        ("ivim.bval", BVALS, "f03d89f84aa9a9397103a400e43af43a"),
        ("ivim.bvec", BVECS, "fb633a06b02807355e49ccd85cb92565"),
    ):
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == md5
        assert hashlib.sha256(content).hexdigest() == known[name].sha256
        assert len(content) == known[name].n_bytes


def test_the_directions_of_dipy_can_be_read(tmp_path):
    signal = np.exp(-1e-3 * np.array(BVALS.split(), float))[None, None, None].repeat(4, axis=0)
    ik.io.save_scan(ik.DWI(signal, np.array(BVALS.split(), float)), tmp_path / "ivim.nii.gz")
    (tmp_path / "ivim.bvec").write_bytes(BVECS)
    assert ik.load(tmp_path / "ivim.nii.gz").acquisition.n_volumes == 21


@pytest.mark.parametrize("archive", [False, True])
def test_fetch_gives_the_files_and_says_where_they_are_from(served, mine, tmp_path, archive):
    home, _ = served
    name = mine("dwi.nii.gz", archive=archive)
    shares = []
    found = ik.datasets.fetch(name, progress=lambda done, total: shares.append(done / total))
    assert found.folder == tmp_path / "cache" / "ivimkit" / "datasets" / name
    for file, path in found.paths.items():
        assert path.read_bytes() == (home / file).read_bytes()
    record = json.loads((found.folder / "dataset.json").read_text(encoding="utf-8"))
    assert record["citation"].endswith("doi:10.1234/5678")
    assert set(record["sha256"]) == set(found.paths)
    assert max(shares) == 1
    assert {path.name for path in found.folder.iterdir()} == {*found.paths, "dataset.json"}


def test_load_reads_the_scan_with_its_mask(served, mine):
    home, _ = served
    dwi = ik.datasets.load(mine("dwi.nii.gz"))
    assert dwi.shape == (8, 6, 1)
    assert np.array_equal(dwi.mask, ik.load(home / "dwi.nii.gz", mask=home / "mask.nii.gz").mask)


@pytest.mark.parametrize("archive", [False, True])
def test_nothing_is_downloaded_twice_and_what_is_damaged_is_downloaded_again(mine, archive):
    name = mine("dwi.nii.gz", archive=archive)
    shares = []

    def note(*done):
        shares.append(done)

    first = ik.datasets.fetch(name, progress=note)
    assert shares
    shares.clear()
    assert ik.datasets.fetch(name, progress=note) == first
    assert not shares
    good = first.scan.read_bytes()
    first.scan.write_bytes(good[:-1])
    assert ik.datasets.fetch(name).scan.read_bytes() == good
    (first.folder / "dataset.json").write_text("{}")
    assert ik.datasets.fetch(name).scan.read_bytes() == good


@pytest.mark.parametrize(
    ("path", "kind", "why"),
    [
        ("other/dwi.nii.gz", FileFormatError, "what came is another file: its checksum does not"),
        ("cut/dwi.nii.gz", InputError, "the connection was cut in the middle"),
        ("denied/dwi.nii.gz", InputError, "the server answers with status 403"),
        ("nowhere/dwi.nii.gz", InputError, "the server answers with status 404"),
        ("http://127.0.0.1:9/dwi.nii.gz", InputError, "cannot be reached; is there a network"),
    ],
)
def test_a_failed_transfer_says_why_and_leaves_nothing(mine, tmp_path, path, kind, why):
    name = mine(path)
    out = tmp_path / "out"
    with pytest.raises(kind, match=why) as raised:
        ik.datasets.fetch(name, out)
    assert type(raised.value) is kind
    text = str(raised.value)
    assert "nothing was kept" in text
    assert "https://doi.org/10.1234/5678" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("archive", [False, True])
def test_an_interrupted_transfer_leaves_nothing(mine, tmp_path, archive):
    def interrupt(done, total):
        raise KeyboardInterrupt

    name = mine("dwi.nii.gz", archive=archive)
    with pytest.raises(KeyboardInterrupt):
        ik.datasets.fetch(name, tmp_path / "out", progress=interrupt)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_mirror_is_asked_if_the_first_address_fails(mine):
    for broken in ("other/dwi.nii.gz", "cut/dwi.nii.gz", "http://127.0.0.1:9/dwi.nii.gz"):
        name = mine(broken, "dwi.nii.gz")
        assert ik.datasets.load(name).shape == (8, 6, 1)


def test_files_of_others_are_kept_unless_asked(mine, tmp_path):
    name = mine("dwi.nii.gz")
    out = tmp_path / "out"
    out.mkdir()
    (out / "dwi.bval").write_text("mine")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"dwi\.bval exists already and is not the file"):
        ik.datasets.fetch(name, out)
    assert (out / "dwi.bval").read_text() == "mine"
    found = ik.datasets.fetch(name, out, overwrite=True)
    assert found.scan == out / "dwi.nii.gz"
    assert (out / "dwi.bval").read_text() != "mine"
    assert (out / "notes.txt").read_text() == "mine"
    assert ik.datasets.fetch(name, out) == found


def test_an_archive_without_a_member(mine, tmp_path):
    name = mine(archive=True)
    wanted = ik.datasets.get(name)
    part = dataclasses.replace(wanted.downloads[0], members={"Data/none.bval": "none.bval"})
    ik.datasets.register(dataclasses.replace(wanted, name="mine-x", downloads=(part,)))
    try:
        with pytest.raises(FileFormatError, match=r"has no Data/none\.bval; expected the archive"):
            ik.datasets.fetch("mine-x", tmp_path / "out")
    finally:
        ik.datasets.unregister("mine-x")
    assert not (tmp_path / "out").exists()


def test_names_are_checked_before_anything_is_done(mine):
    known = "there are dipy-ivim, osipi-abdomen, osipi-brain"
    for call in (ik.datasets.get, ik.datasets.fetch, ik.datasets.load):
        with pytest.raises(OptionError, match=f"unknown data set 'ivim'; {known}"):
            call("ivim")
    taken = dataclasses.replace(ik.datasets.get("dipy-ivim"))
    with pytest.raises(OptionError, match="there is another data set 'dipy-ivim'"):
        ik.datasets.register(taken)
    with pytest.raises(OptionError, match="data set 'dipy-ivim' was not registered"):
        ik.datasets.unregister("dipy-ivim")


def test_without_pooch_the_extra_is_named(mine, monkeypatch):
    def missing(name, *args, **kwargs):
        if name == "pooch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    real = builtins.__import__
    name = mine("dwi.nii.gz")
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"pooch is needed .*pip install 'ivimkit\[datasets\]'"):
        ik.datasets.fetch(name)


def test_commands(served, mine, tmp_path):
    name = mine("dwi.nii.gz")
    out = tmp_path / "my scan"
    runner = CliRunner()
    listed = runner.invoke(app, ["datasets", "list", "--json"])
    assert set(json.loads(listed.stdout)) == set(ik.datasets.names())
    assert "doi:10.6084/m9.figshare.3395704.v1" in runner.invoke(app, ["datasets", "list"]).stdout
    done = runner.invoke(app, ["datasets", "fetch", name, "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    assert f"ivimkit fit '{out / 'dwi.nii.gz'}' --mask '{out / 'mask.nii.gz'}'" in done.stdout
    assert "doi:10.1234/5678" in done.stdout
    assert f"{name}: downloading" in done.stderr
    assert (out / "dataset.json").is_file()
    quiet = runner.invoke(app, ["datasets", "fetch", name, "--out", str(out), "--quiet"])
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    told = runner.invoke(app, ["datasets", "fetch", name, "--out", str(out), "--verbose"])
    assert f"SHA-256 {ik.datasets.get(name).downloads[0].sha256}" in told.stderr.replace("\n", " ")
    (out / "dwi.bval").write_text("0")
    again = runner.invoke(app, ["datasets", "fetch", name, "--out", str(out)])
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    replaced = runner.invoke(app, ["datasets", "fetch", name, "--out", str(out), "--overwrite"])
    assert replaced.exit_code == 0
    assert (out / "dwi.bval").read_text() != "0"
    wrong = runner.invoke(app, ["datasets", "fetch", "dipy"])
    assert wrong.exit_code == 2
    assert "there are dipy-ivim" in wrong.stderr
