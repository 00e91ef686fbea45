"""ik.view: a handle that opens, shows and closes."""

import http.client
import platform
import socket
import sys
import threading
import time
import webbrowser
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, PageMissingError
from ivimkit.viewer import open_viewer as viewing
from ivimkit.viewer import page_files
from ivimkit.viewer.study import Study
from ivimkit.viewer.warm_up import WarmUp, warm_up


@pytest.fixture(autouse=True)
def _page(monkeypatch, static):
    monkeypatch.setattr(page_files, "folder", lambda: static)


def fetch(url, address):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("GET", parts.path + address)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def answers(url):
    try:
        return fetch(url, "api/ping") == 200
    except ConnectionRefusedError:
        return False


def test_a_block_serves_and_closes(result):
    with ik.view(result, open_browser=False) as viewer:
        assert viewer.url.startswith("http://127.0.0.1:")
        assert viewer.running
        assert answers(viewer.url)
    assert not viewer.running
    assert not answers(viewer.url)
    viewer.close()


def test_the_port_is_taken_given_back_and_can_be_chosen(result):
    with ik.view(result, open_browser=False) as viewer:
        port = urlsplit(viewer.url).port
        with pytest.raises(OptionError, match=f"port {port} of 127.0.0.1 is in use; expected a"):
            ik.view(result, port=port, open_browser=False)
    with ik.view(result, port=port, open_browser=False) as again:
        assert urlsplit(again.url).port == port
        assert again.url != viewer.url


def test_a_port_of_another_program_is_in_use(result):
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(OptionError, match="is in use"),
    ):
        ik.view(result, port=other.getsockname()[1], open_browser=False)


@pytest.mark.parametrize("port", [-1, 70000])
def test_no_such_port(result, port):
    with pytest.raises(OptionError, match=f"the port is {port}; expected 1 to 65535"):
        ik.view(result, port=port, open_browser=False)


def test_nobody_else_on_the_network_is_answered(result):
    with ik.view(result, open_browser=False) as viewer:
        listening = viewer._server.listening
        assert listening.getsockname()[0] == "127.0.0.1"


def test_the_notebook_shows_a_frame(result):
    with ik.view(result, open_browser=False) as viewer:
        frame = viewer._repr_html_()
    assert f'src="{viewer.url}"' in frame
    assert 'title="ivimkit viewer"' in frame


@pytest.mark.parametrize(
    ("asked", "screen", "notebook", "opened"),
    [
        (None, ":0", False, True),
        (None, "", False, False),
        (None, ":0", True, False),
        (True, "", True, True),
        (False, ":0", False, False),
    ],
)
def test_the_browser_opens_where_it_should(result, monkeypatch, asked, screen, notebook, opened):
    seen = []
    monkeypatch.setattr(webbrowser, "open", seen.append)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    else:
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", screen)
    with ik.view(result, open_browser=asked) as viewer:
        if opened:
            until(lambda: seen)
    assert bool(seen) == opened
    assert viewer.url not in seen


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and BROWSER are those of POSIX")
def test_nobody_reads_the_token_from_the_list_of_processes(result, monkeypatch, tmp_path):
    """The browser gets a file that only its user can read; one that stays in front holds up none.

    And what the browser is told ends with the viewer.
    """
    told, go_on = tmp_path / "told", tmp_path / "go on"
    script = tmp_path / "browser"
    script.write_text(
        f'#!/bin/sh\necho "$@" > {told}.part; mv {told}.part {told}\n'
        f'while [ ! -e "{go_on}" ]; do sleep 0.05; done\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    # It reads the variable once per process.
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    begun = time.monotonic()
    try:
        with ik.view(result, open_browser=True) as viewer:
            until(told.exists)
            assert not go_on.exists()
            arguments = told.read_text()
            token = urlsplit(viewer.url).path.strip("/")
            assert token not in arguments
            path = Path(unquote(urlsplit(arguments.strip()).path))
            assert path.stat().st_mode & 0o777 == 0o600
            assert path.parent.stat().st_mode & 0o777 == 0o700
            assert f'content="0; url={viewer.url}"' in path.read_text()
        assert not path.exists()
    finally:
        go_on.touch()
    assert time.monotonic() - begun < 20


def until(done):
    """Wait for something that another thread does."""
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_wait_ends_when_the_viewer_is_closed(result):
    viewer = ik.view(result, open_browser=False)
    closing = threading.Timer(0.3, viewer.close)
    closing.start()
    started = time.monotonic()
    viewer.wait()
    assert time.monotonic() - started < 10
    assert not viewer.running
    closing.join()


def test_what_is_asked_while_waiting_may_end_it(result):
    def interrupt():
        raise KeyboardInterrupt

    viewer = ik.view(result, open_browser=False)
    with pytest.raises(KeyboardInterrupt):
        viewer.wait(interrupt)
    assert not viewer.running


def test_a_page_that_was_not_built_is_missed_before_anything_else(monkeypatch, tmp_path):
    monkeypatch.setattr(page_files, "folder", lambda: tmp_path)
    with pytest.raises(PageMissingError, match="the page of the viewer is missing: it is built"):
        ik.view()


def test_warming_up_fits_by_every_method(result, monkeypatch):
    from ivimkit.viewer import warm_up as module

    asked = []
    monkeypatch.setattr(module, "refit_voxel", lambda study, request: asked.append(request))
    warm_up(Study.of([result, replace(result, dwi=None)]))
    assert asked[0]["method"] == "varpro"
    assert {request["method"] for request in asked} == set(ik.methods.names())
    assert {request["result"] for request in asked} == {"0"}


def test_nothing_is_warmed_up_for_nobody(result, monkeypatch):
    from ivimkit.viewer import warm_up as module

    asked = []
    monkeypatch.setattr(module, "refit_voxel", lambda study, request: asked.append(request))
    warm_up(Study.of([result]), lambda: len(asked) == 2)
    assert len(asked) == 2
    warming = WarmUp(Study.of([result]), delay=30.0)
    warming.begin()
    warming.end()
    for thread in threading.enumerate():
        if thread.name == "ivimkit viewer warm-up":
            thread.join(20.0)
    assert len(asked) == 2


def test_it_begins_once_when_an_image_was_shown(result, monkeypatch):
    from ivimkit.viewer import warm_up as module

    begun = []
    done = threading.Event()

    def note(study, ended):
        begun.append(study)
        done.set()

    monkeypatch.setattr(module, "warm_up", note)
    warming = WarmUp(Study.of([result]), delay=0.0)
    monkeypatch.setattr(viewing, "WarmUp", lambda study: warming)
    with ik.view(result, open_browser=False) as viewer:
        for address in ("api/scene", "api/voxel?x=8&y=9&z=0"):
            fetch(viewer.url, address)
        assert begun == []
        for _ in range(3):
            fetch(viewer.url, "volumes/0/D.nii")
        assert done.wait(30)
    assert begun == [warming.study]
