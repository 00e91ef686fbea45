"""ivimkit view: an address, a page behind it, and a clean end."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from fork_server import start_process
from ivimkit import Geometry, io
from ivimkit.viewer import page_files

# A page of its own, as one is only built where npm can be reached.
COMMAND = """
import sys
from pathlib import Path
from ivimkit.viewer import page_files
home = Path(sys.argv.pop(1))
page_files.folder = lambda: home
from ivimkit.cli import main
main()
"""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    home = tmp_path_factory.mktemp("static")
    (home / "index.html").write_text("<!doctype html><title>page</title>")
    return home


@pytest.fixture
def out(placed, folder):
    """A result on disk, with its scan and labels beside it."""
    return placed("dwi_ivim", folder / "out")


@pytest.fixture
def served(page, monkeypatch):
    """Runs in this process find a page."""
    monkeypatch.setattr(page_files, "folder", lambda: page)


@pytest.fixture
def start(page):
    """Function that starts ivimkit view as a process of its own and waits for the address."""
    running = []

    def _start(*arguments):
        process = start_process(
            COMMAND,
            [page, "view", *arguments],
            imports=("ivimkit.cli.jobs.view_run",),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process, process.stdout.readline().strip()

    yield _start
    for process in running:
        process.kill()
        process.communicate()


def get(url, address=""):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request("GET", parts.path + address)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_cleanly(start, out, folder, number):
    labels = folder / "labels.nii.gz"
    process, url = start(out, "--no-browser", "--labels", labels)
    assert url.startswith("http://127.0.0.1:"), process.stderr.read()
    assert get(url) == (200, b"<!doctype html><title>page</title>")
    code, scene = get(url, "api/scene")
    assert code == 200
    scene = json.loads(scene)
    assert (scene["has_scan"], scene["title"]) == (True, "out")
    assert scene["labels"] is not None
    maps = io.load_result(out).maps
    _, answer = get(url, "api/voxel?x=8&y=9&z=0")
    rows = {row["name"]: row["value"] for row in json.loads(answer)["fits"][0]["estimates"]}
    assert rows["D"] == float(maps["D"][8, 9, 0])
    # A connection that stays open must not keep it alive.
    with socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30):
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1:] == ["interrupted: nothing is left half-written"]
    assert "Traceback" not in errors
    with pytest.raises(ConnectionRefusedError):
        get(url)


@POSIX
def test_a_browser_that_stays_in_front_does_not_hold_back_the_address(
    start, out, tmp_path, monkeypatch
):
    """It is told a file, and the file is gone when the command has ended."""
    told, go_on, script = tmp_path / "told", tmp_path / "go on", tmp_path / "browser"
    script.write_text(
        f'#!/bin/sh\necho "$@" > {told}.part\nmv {told}.part {told}\n'
        # What it would write to must not wait for its end.
        f'exec >/dev/null 2>&1\nwhile [ ! -e "{go_on}" ]; do sleep 0.1; done\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    process, url = start(out)
    assert url.startswith("http://127.0.0.1:")
    deadline = time.monotonic() + 30
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    address = told.read_text().strip()
    assert urlsplit(url).path.strip("/") not in address
    page = Path(unquote(urlsplit(address).path))
    assert url in page.read_text()
    assert not go_on.exists()
    process.send_signal(signal.SIGINT)
    go_on.touch()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not page.exists()


def test_port_in_use(run, out, served):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("view", out, "--no-browser", "--port", port, code=2)
    assert f"port {port} of 127.0.0.1 is in use; expected a free one" in result.stderr
    assert result.stdout == ""


def test_what_cannot_be_viewed(run, out, folder, scan, served, tmp_path):
    small = tmp_path / "small.nii.gz"
    io.save_map(np.ones((3, 3, 3), np.uint8), small, Geometry(np.diag([1, 1, 1, 1])))
    other = tmp_path / "other"
    run("simulate", "brain", "--shape", "12,10,1", "--out", tmp_path / "phantom")
    run("fit", tmp_path / "phantom" / "dwi.nii.gz", "--out", other, "--no-figures", "-q")
    far = tmp_path / "far.nii.gz"
    away = Geometry([[1, 0, 0, 9e3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    io.save_map(np.ones((3, 3, 3), np.uint8), far, away)
    for arguments, sentence in [
        ((folder,), "there is no fit.json in"),
        ((tmp_path / "nowhere",), "there is no fit.json in"),
        ((out, out), "a result is named twice"),
        ((out, other), "expected results on one grid"),
        ((out, "--labels", far), "do not overlap; expected an image of this scan"),
        ((out, "--labels", folder / "none.nii.gz"), "there is no file"),
        ((out, "--names", folder / "names.csv"), "--names is given without --labels"),
        ((out, "--scan", tmp_path / "phantom" / "dwi.nii.gz"), "the scan has"),
        ((out, "--scan", folder / "none.nii.gz"), "there is no file"),
    ]:
        result = run("view", *arguments, "--no-browser", code=2)
        assert sentence in result.stderr, arguments
        assert result.stdout == ""


def test_a_page_that_was_not_built(run, out, monkeypatch, tmp_path):
    monkeypatch.setattr(page_files, "folder", lambda: tmp_path)
    result = run("view", out, "--no-browser", code=2)
    assert "error: the page of the viewer is missing" in result.stderr
    assert "pip install --force-reinstall" in result.stderr
    assert result.stdout == ""


@pytest.fixture
def waiting(monkeypatch):
    """Viewers do not wait: each is handed over as it is about to."""
    from ivimkit.viewer import Viewer

    seen = []

    def wait(viewer, *_):
        seen.append((viewer.url, json.loads(get(viewer.url, "api/scene")[1])))
        viewer.close()

    monkeypatch.setattr(Viewer, "wait", wait)
    return seen


def test_without_its_scan_maps_are_shown_and_a_warning_says_so(run, out, scan, served, waiting):
    scan.unlink()
    result = run("view", out, "--no-browser")
    assert "warning: no images and no signal next to the maps" in result.stderr
    ((url, scene),) = waiting
    assert result.stdout == f"{url}\n"
    assert scene["has_scan"] is False
    assert str(scan) in scene["why_no_scan"]


def test_the_scan_can_be_elsewhere(run, out, folder, scan, served, waiting):
    for path in (scan, folder / "dwi.bval"):
        shutil.move(path, path.with_name(path.name.replace("dwi", "moved")))
    run("view", out, "--no-browser", "--scan", folder / "moved.nii.gz")
    assert waiting[0][1]["has_scan"] is True


def test_two_results_and_named_regions(run, placed, out, folder, served, waiting):
    placed("other", folder / "steps")
    names = folder / "names.json"
    names.write_text('{"1": "liver tissue"}')
    labels = folder / "labels.nii.gz"
    run("view", out, folder / "steps", "--no-browser", "--labels", labels, "--names", names)
    scene = waiting[0][1]
    assert [entry["name"] for entry in scene["results"]] == ["out", "steps"]
    assert scene["labels"]["names"]["1"] == "liver tissue"


def test_quiet_still_prints_the_address(run, out, served, waiting):
    assert run("view", out, "--no-browser", "-q").stdout == f"{waiting[0][0]}\n"


def test_no_server_is_left(run, out, served, waiting):
    def servers():
        return [thread for thread in threading.enumerate() if thread.name == "ivimkit viewer"]

    before = servers()
    run("view", out, "--no-browser")
    assert len(waiting) == 1
    assert servers() == before
