"""ivimkit node: the commands around a node."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess

import pytest

from fork_server import start_process
from ivimkit.node import Node
from ivimkit.node.jobs import Jobs, JobState
from node_parts import (
    Archive,
    connected,
    image,
    push,
    running,
    study_uid,
    wait_for,
    write_settings,
)
from ran_alone import check_imports

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def archive():
    made = Archive().start()
    yield made
    made.stop()


def _words(text: str) -> str:
    return " ".join(text.split())


def test_status_of_a_node_that_never_ran(run, tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    assert "not running; no jobs" in run("node", "status", "--config", settings).stdout
    found = json.loads(run("node", "status", "--config", settings, "--json").stdout)
    assert (found["is_running"], found["jobs"], found["failures"]) == (False, [], [])
    assert "nothing failed" in run("node", "retry", "--config", settings).stdout
    assert not (tmp_path / "node").exists()


def test_status_says_what_failed_is_ignored_or_comes_in_and_retry_does_it_again(run, tmp_path):
    settings = write_settings(tmp_path, send_to="[]", node="force_s = 0.1")
    other = image(2, 1)
    other.SeriesDescription = "t2_tse"
    with running(settings) as node:
        for one in (image(1, 1), other):
            push(node.port, one)
        (job,) = wait_for(
            lambda: [one for one in Jobs(node.root).every() if one.state is JobState.failed]
        )
        wait_for(lambda: (node.root / "studies" / study_uid(2) / ".look.json").is_file())
        text = run("node", "status", "--config", settings, code=1).stdout
        assert "running; 1 failed" in text
        assert f"failed: {job.id}: 1 images are missing" in text
        assert f"ignored: study {study_uid(2)}: no diffusion" in text
        assert "Doe" not in text
        found = json.loads(run("node", "status", "-c", settings, "--json", code=1).stdout)
        assert found["counts"]["failed"] == 1
        assert found["failures"] == [f"{job.id}: 1 images are missing"]
        assert f"again, now: {job.id}" in run("node", "retry", "-c", settings).stdout
        wait_for(lambda: Jobs(node.root).get(job.id).state is JobState.done)
    again = run("node", "retry", job.id, "-c", settings).stdout
    assert f"again, when the node is started: {job.id}" in again
    error = run("node", "retry", "x", "-c", settings, code=2).stderr
    assert "there is no job 'x'; expected the name of a job" in _words(error)


def test_status_says_when_results_are_sent_again(run, tmp_path):
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": Archive().port})
    settings.write_text(settings.read_text().replace("[0.001]", "[5]"))
    with running(settings) as node:
        push(node.port, image(1, 1), image(1, 2))
        text = wait_for(
            lambda: (
                (found := run("node", "status", "-c", settings).stdout).count("not sent") and found
            )
        )
    assert "not sent to pacs after 1 attempts (nobody answers" in _words(text)


def test_check_finds_what_is_wrong_before_the_node_does(run, tmp_path, archive):
    settings = write_settings(
        tmp_path, peers={"mr1": 0, "pacs": archive.port, "down": Archive().port}
    )
    text = run("node", "check", "--config", settings, code=1).stdout
    assert "ok    settings: peers mr1, pacs, down; rules 1" in text
    assert "ok    peer pacs: answers C-ECHO" in text
    assert "wrong peer down: nobody answers" in text
    assert "ok    port" in text
    with running(settings):
        assert "the node is running" in run("node", "check", "-c", settings, code=1).stdout
    text = settings.read_text().replace("free_gb = 0", "free_gb = 1e9")
    settings.write_text(text.replace("port = 0", f"port = {archive.port}", 1))
    text = _words(run("node", "check", "--config", settings, code=1).stdout)
    assert "GB free; expected free_gb = 1e+09 at least" in text
    assert f"port {archive.port}, cannot be used" in text
    run("node", "check", "--config", settings, "--settings-only")


def test_check_warns_of_a_network_without_encryption(run, tmp_path):
    settings = write_settings(tmp_path, node='address = "0.0.0.0"', send_to="[]")
    text = run("node", "check", "--config", settings).stdout
    assert "encryption: none: whoever is on the network can read images" in _words(text)
    settings.write_text(settings.read_text() + '\n[tls]\ncertificate="a"\nkey="b"\nca="c"\n')
    text = run("node", "check", "--config", settings, code=1).stdout
    assert "wrong certificates: certificate in [tls] is" in _words(text)


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        ('{ method = "segmentd" }', "fit of rule '1': unknown method 'segmentd'"),
        ('{ b_split = "high" }', "fit of rule '1': Invalid value for '--b-split'"),
        ('{ bounds = ["f=1:0"] }', "fit of rule '1': "),
    ],
)
def test_options_of_a_fit_that_cannot_be_are_said(run, tmp_path, fit, sentence):
    settings = write_settings(tmp_path, more=f"fit = {fit}", send_to="[]")
    assert sentence in _words(run("node", "check", "--config", settings, code=2).stderr)


def test_a_node_does_not_start_with_options_that_cannot_be(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(Node, "start", lambda *_: pytest.fail("it has started"))
    settings = write_settings(tmp_path, more='fit = { method = "segmentd" }', send_to="[]")
    run("node", "run", "--config", settings, code=2)
    # Said by a process that ends, as what checks a fit would stay in memory.
    assert "fit of rule '1': unknown method 'segmentd'" in _words(capfd.readouterr().err)
    assert not (tmp_path / "node").exists()


def test_a_node_runs_until_it_is_told_to_end(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    node = start_process(
        "from ivimkit.__main__ import main; main()",
        ["node", "run", "--config", settings],
        imports=("ivimkit.cli", "node_parts"),
        stderr=subprocess.PIPE,
    )
    line = json.loads(node.stderr.readline())
    assert line["event"] == "started"
    with connected(line["port"]) as association:
        assert association.send_c_echo().Status == 0
    node.send_signal(signal.SIGTERM)
    _, error = node.communicate(timeout=30)
    assert node.returncode == 130
    assert json.loads(error.splitlines()[0])["event"] == "stopped"


def test_fetch_asks_for_studies_by_what_is_known_of_them(run, tmp_path, archive):
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    command = ("node", "fetch", "--config", settings)
    for words, sentence in (
        (
            ("--from", "mr1", "--study", "1.2"),
            "--from is 'mr1'; expected a peer with a port: pacs",
        ),
        (("--from", "pacs"), "nothing says which studies to fetch; expected at least one of"),
    ):
        assert sentence in _words(run(*command, *words, code=2).stderr)
    text = run(*command, "--from", "pacs", "--study", "1.2", code=1).stderr
    assert "peer pacs: it does not accept Study Root" in _words(text)


@pytest.mark.parametrize("name", ["run", "status", "retry", "check", "fetch"])
def test_help_fits_80_columns_and_has_an_example(run, name):
    text = run("node", name, "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert f"\n   ivimkit node {name}" in text


def test_help_and_status_load_nothing_that_fits_scans(tmp_path):
    """A node runs for months, and `node status` for a fifth of a second."""
    settings = write_settings(tmp_path, send_to="[]")
    heavy = {"numba", "scipy", "pandas", "matplotlib", "nibabel", "highdicom"}
    check_imports(heavy, "node run --help", f"node status --config {shlex.quote(str(settings))}")
