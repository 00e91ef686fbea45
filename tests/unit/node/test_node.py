"""Node: a study comes in, is judged, fitted and sent; and what goes wrong on the way."""

from __future__ import annotations

import errno
import json
import re
import threading

import msgspec
import pytest

from ivimkit.errors import InputError, OptionError
from ivimkit.node import Node, load_settings
from ivimkit.node.commands import Commands
from ivimkit.node.health import node_status
from ivimkit.node.jobs import Job, Jobs, JobState
from ivimkit.node.requests import ask_to_retry
from ivimkit.node.rules import Rule
from node_parts import (
    ROOT_UID,
    Archive,
    NodeProcess,
    connected,
    events,
    image,
    push,
    running,
    series_uid,
    stand_ins,
    study_uid,
    wait_for,
    write_settings,
)

# pynetdicom leaves the socket of a call that nobody answers to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


MANY = 10_000
"""More images than are sent before a node is killed."""


@pytest.fixture
def archive():
    made = Archive().start()
    yield made
    made.stop()


def _study(number: int, images: int = 2, series: int = 1):
    return [image(number, one, series=series) for one in range(1, images + 1)]


def _results(*studies: int, images: int = 2) -> set[str]:
    sent = [one.SOPInstanceUID for study in studies for one in _study(study, images)]
    return {str(uid).replace(".7777.", ".8888.") for uid in sent}


def _jobs(folder, state: JobState | None = None):
    found = sorted(Jobs(folder / "node").every(), key=lambda job: (job.made_at, job.revision))
    return [job for job in found if state is None or job.state is state]


def _wait_for_jobs(folder, state: JobState, number: int = 1):
    return wait_for(lambda: len(_jobs(folder, state)) >= number and _jobs(folder, state), state)


def test_a_study_is_fitted_and_its_results_are_sent(tmp_path, archive):
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    with running(settings) as node:
        assert push(node.port, *_study(1)) == [0, 0]
        (job,) = _wait_for_jobs(tmp_path, JobState.done)
        health = json.loads((tmp_path / "node" / "health.json").read_text())
        assert (health["port"], health["is_receiving"]) == (node.port, True)
        assert node_status(node.root).is_running
    assert set(archive.received) == _results(1)
    assert (job.study, job.series, job.revision) == (study_uid(1), (series_uid(1),), 1)
    assert [line["event"] for line in _log(tmp_path)] == [
        *("started", "receiving", "job", "looked", "fit", "fitted", "sent", "done", "stopped")
    ]
    status = node_status(tmp_path / "node")
    assert (status.is_running, status.counts()["done"], status.failures) == (False, 1, [])


def _log(folder):
    return [json.loads(line) for line in (folder / "node/node.log").read_text().splitlines()]


@pytest.mark.parametrize("names", [False, True])
def test_patients_are_in_the_log_only_if_asked_for(tmp_path, names):
    settings = write_settings(tmp_path, node=f"log_names = {str(names).lower()}", send_to="[]")
    with running(settings) as node:
        push(node.port, *_study(1))
        _wait_for_jobs(tmp_path, JobState.done)
    texts = [path.read_text() for path in (tmp_path / "node").glob("*") if path.is_file()]
    assert any("Doe" in text for text in texts) == names


def test_results_go_to_the_sender_unless_told_otherwise(tmp_path, archive):
    settings = write_settings(tmp_path, peers={"mr1": archive.port, "pacs": archive.port})
    settings.write_text(settings.read_text().replace('send_to = ["pacs"]', ""))
    archive.name = "MR1"
    with running(settings) as node:
        push(node.port, *_study(1))
        (job,) = _wait_for_jobs(tmp_path, JobState.done)
    assert job.send_to == ("mr1",)
    assert set(archive.received) == _results(1)


def test_an_incomplete_study_waits_for_its_last_image(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    with running(settings, expected=3) as node:
        push(node.port, *_study(1, images=2))
        wait_for(lambda: events(tmp_path, "looked"))
        assert events(tmp_path, "looked")[0]["verdict"] == "incomplete"
        assert not _jobs(tmp_path)
        push(node.port, image(1, 3))
        (job,) = _wait_for_jobs(tmp_path, JobState.done)
    assert job.revision == 1
    assert len(list((node.root / "jobs" / job.id / "in").rglob("*.dcm"))) == 3


@pytest.mark.parametrize("drop", [False, True])
def test_an_image_that_never_comes_is_not_waited_for_forever(tmp_path, drop):
    more = f"drop_incomplete = {str(drop).lower()}"
    settings = write_settings(tmp_path, node="force_s = 0.3", more=more, send_to="[]")
    with running(settings, expected=3) as node:
        push(node.port, *_study(1))
        (job,) = _wait_for_jobs(tmp_path, JobState.done if drop else JobState.failed)
    assert job.drop_incomplete
    assert job.reason == ("" if drop else "1 images are missing")
    assert node_status(node.root).failures == ([] if drop else [f"{job.id}: {job.reason}"])


def test_late_images_make_a_revision_and_nothing_is_deleted(tmp_path, archive):
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    with running(settings) as node:
        push(node.port, *_study(1))
        _wait_for_jobs(tmp_path, JobState.done)
        push(node.port, image(1, 3))
        first, second = _wait_for_jobs(tmp_path, JobState.done, 2)
    assert (first.revision, second.revision) == (1, 2)
    assert set(archive.received) == _results(1, images=3)
    folders = [node.root / "jobs" / job.id / "in" for job in (first, second)]
    assert [len(list(folder.rglob("*.dcm"))) for folder in folders] == [2, 3]


def test_images_sent_again_change_nothing_but_other_content_does(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    with running(settings) as node:
        push(node.port, *_study(1))
        _wait_for_jobs(tmp_path, JobState.done)
        push(node.port, *_study(1))
        push(node.port, image(1, 2, content=b"\1\0"))
        first, second = _wait_for_jobs(tmp_path, JobState.done, 2)
    assert (first.revision, second.revision) == (1, 2)
    assert len(events(tmp_path, "looked")) == 2


def test_other_series_of_the_study_do_not_repeat_the_fit(tmp_path):
    """As the results do, if the archive forwards them to the node again."""
    settings = write_settings(tmp_path, send_to="[]")
    other = image(1, 1, series=2)
    other.SeriesDescription = "t2_tse"
    with running(settings) as node:
        push(node.port, *_study(1))
        _wait_for_jobs(tmp_path, JobState.done)
        push(node.port, other)
        wait_for(lambda: len(events(tmp_path, "looked")) == 2)
    assert len(_jobs(tmp_path)) == 1


def test_two_studies_at_once_stay_apart(tmp_path, archive):
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    with (
        running(settings, expected=4) as node,
        connected(node.port) as one,
        connected(node.port, calling="PACS") as other,
    ):
        for first, second in zip(_study(1, 4), _study(2, 4), strict=True):
            assert one.send_c_store(first).Status == 0
            assert other.send_c_store(second).Status == 0
        one.release()
        other.release()
        jobs = _wait_for_jobs(tmp_path, JobState.done, 2)
    assert {job.study for job in jobs} == {study_uid(1), study_uid(2)}
    assert set(archive.received) == _results(1, 2, images=4)


def test_a_study_is_not_looked_at_while_its_sender_is_connected(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    with running(settings) as node:
        with connected(node.port) as association:
            for one in _study(1):
                association.send_c_store(one)
            push(node.port, *_study(2))
            _wait_for_jobs(tmp_path, JobState.done)
            assert [job.study for job in _jobs(tmp_path)] == [study_uid(2)]
        _wait_for_jobs(tmp_path, JobState.done, 2)


def test_a_scan_that_no_rule_is_for_is_ignored_with_the_reason(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    settings.write_text(settings.read_text().replace("*ivim*", "*prostate*"))
    with running(settings) as node:
        push(node.port, *_study(1))
        (line,) = wait_for(lambda: events(tmp_path, "looked"))
        assert (line["verdict"], line["reason"]) == ("ignored", "no rule is for 'ep2d_ivim'")
        (study,) = node_status(node.root).studies
        assert (study.images, study.look.verdict) == (2, "ignored")


def test_a_peer_that_is_down_gets_everything_when_it_is_back(tmp_path):
    archive = Archive()
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    with running(settings) as node:
        push(node.port, *_study(1), *_study(2))
        wait_for(lambda: len(events(tmp_path, "not sent")) >= 3)
        assert "nobody answers at 127.0.0.1" in events(tmp_path, "not sent")[0]["reason"]
        status = node_status(node.root)
        assert {one.state for parts in status.deliveries.values() for one in parts} == {"waiting"}
        archive.start()
        _wait_for_jobs(tmp_path, JobState.done, 2)
    archive.stop()
    assert sorted(archive.received) == sorted(_results(1, 2))


def test_a_peer_that_stays_away_makes_the_job_fail_and_a_retry_sends_without_another_fit(tmp_path):
    archive = Archive()
    settings = write_settings(
        tmp_path, node="give_up_h = 0", peers={"mr1": 0, "pacs": archive.port}
    )
    with running(settings) as node:
        push(node.port, *_study(1))
        (job,) = _wait_for_jobs(tmp_path, JobState.failed)
        assert job.reason.startswith("pacs: nobody answers")
        archive.start()
        assert ask_to_retry(node.root, []) == [job.id]
        _wait_for_jobs(tmp_path, JobState.done)
    archive.stop()
    assert sorted(archive.received) == sorted(_results(1))
    assert len(events(tmp_path, "fit")) == 1


@pytest.mark.parametrize(
    ("status", "sentence", "state"),
    [
        (0xA700, "it refused an image with status 0xA700", "waiting"),
        (0x0122, "it refused an image with status 0x0122", "failed"),
        (0xB000, "", "sent"),
    ],
)
def test_refusals_of_a_peer_are_final_unless_its_disk_is_full(
    tmp_path, archive, status, sentence, state
):
    archive.status = status
    settings = write_settings(
        tmp_path, node="give_up_h = 1", peers={"mr1": 0, "pacs": archive.port}
    )
    settings.write_text(settings.read_text().replace("[0.001]", "[5]"))
    with running(settings) as node:
        push(node.port, *_study(1))
        (job,) = wait_for(lambda: _jobs(tmp_path))
        folder = Jobs(node.root).folder(job.id)
        delivery = wait_for(lambda: (found := folder.delivery("pacs")).attempts and found)
    assert delivery.state == state
    assert sentence in delivery.reason


def test_a_kind_that_the_peer_does_not_store_is_named(tmp_path):
    from pynetdicom.presentation import build_context

    archive = Archive().start(contexts=[build_context("1.2.840.10008.1.1")])
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    with running(settings) as node:
        push(node.port, *_study(1))
        (job,) = _wait_for_jobs(tmp_path, JobState.failed)
    archive.stop()
    assert job.reason.startswith("pacs: it does not accept MR Image Storage. Enable that there")


def test_what_a_peer_does_not_store_does_not_keep_back_the_rest(tmp_path, archive):
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    other = image(1, 2)
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    with running(settings) as node:
        with connected(node.port, storage=(other.SOPClassUID,)) as association:
            for one in (other, image(1, 1)):
                assert association.send_c_store(one).Status == 0
        (job,) = _wait_for_jobs(tmp_path, JobState.failed)
    assert "it does not accept Secondary Capture Image Storage" in job.reason
    assert archive.received == [f"{ROOT_UID}.8888.1.1.1"]


@pytest.mark.parametrize(
    ("mode", "more", "sentence", "attempts"),
    [
        ("wrong input", "", "b-values are missing; expected some. Add them", 1),
        ("crash", "fit_attempts = 2", "it was ended by SIGABRT", 2),
        ("nothing", "fit_attempts = 1", "the fit has written no files", 1),
        ("hang", "timeout_s = 3\nfit_attempts = 1", "it ran longer than 3 s", 1),
        ("memory", "memory_gb = 0.3\nfit_attempts = 1", "MemoryError", 1),
    ],
)
def test_a_fit_that_fails_ends_its_job_and_not_the_node(tmp_path, mode, more, sentence, attempts):
    settings = write_settings(tmp_path, node=more, send_to="[]")
    (tmp_path / "mode").write_text(mode)
    with running(settings) as node:
        push(node.port, *_study(1))
        (job,) = _wait_for_jobs(tmp_path, JobState.failed)
        assert re.search(sentence, job.reason)
        assert job.attempts == attempts
        assert not list((node.root / "jobs" / job.id).glob("attempt*"))
        # The node goes on, and a retry does the fit again.
        (tmp_path / "mode").unlink()
        ask_to_retry(node.root, [job.id])
        push(node.port, *_study(2))
        _wait_for_jobs(tmp_path, JobState.done, 2)


def test_a_study_that_cannot_be_read_is_tried_twice_and_told(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    broken = image(1, 1)
    broken.SeriesDescription = "UNREADABLE"
    with running(settings) as node:
        push(node.port, broken)
        wait_for(lambda: len(events(tmp_path, "unreadable")) == 2)
        wait_for(lambda: node_status(node.root).failures)
        assert node_status(node.root).failures == [f"{study_uid(1)}: the images cannot be read"]
        push(node.port, *_study(2))
        _wait_for_jobs(tmp_path, JobState.done)
        assert ask_to_retry(node.root, []) == [study_uid(1)]
        wait_for(lambda: len(events(tmp_path, "unreadable")) == 4)


def test_only_what_exists_can_be_tried_again(tmp_path):
    with pytest.raises(OptionError, match=r"there is no job 'x'; .* \(none failed\)"):
        ask_to_retry(tmp_path, ["x"])
    with pytest.raises(OptionError, match=r"there is no job '1\.2'"):
        ask_to_retry(tmp_path, ["1.2"])


def test_nothing_is_kept_longer_than_told_but_what_failed(tmp_path):
    settings = write_settings(tmp_path, node="keep_days = 1", send_to="[]")
    shift = [0.0]
    import time

    with running(settings, now=lambda: time.time() + shift[0]) as node:
        push(node.port, *_study(1))
        _wait_for_jobs(tmp_path, JobState.done)
        (tmp_path / "mode").write_text("wrong input")
        push(node.port, *_study(2))
        (failed,) = _wait_for_jobs(tmp_path, JobState.failed)
        shift[0] = 0.5 * 86_400
        wait_for(lambda: _age_of_health(node) > 0.4 * 86_400)
        assert len(_jobs(tmp_path)) == 2
        shift[0] = 1.1 * 86_400
        wait_for(lambda: len(events(tmp_path, "removed")) == 3)
        assert _jobs(tmp_path) == [failed]
        assert not list((node.root / "studies").iterdir())
        assert len(list((node.root / "jobs" / failed.id / "in").rglob("*.dcm"))) == 2
        # What came later is a new study.
        (tmp_path / "mode").unlink()
        push(node.port, *_study(1))
        _wait_for_jobs(tmp_path, JobState.done)


def _age_of_health(node) -> float:
    import time

    return json.loads((node.root / "health.json").read_text())["at"] - time.time()


def test_with_keep_days_0_everything_goes_at_once(tmp_path):
    settings = write_settings(tmp_path, node="keep_days = 0", send_to="[]")
    with running(settings) as node:
        push(node.port, *_study(1))
        wait_for(lambda: len(events(tmp_path, "removed")) == 2)
        assert [list((node.root / name).iterdir()) for name in ("studies", "jobs")] == [[], []]


def test_a_second_node_on_the_same_folder_is_refused(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    with running(settings):
        second = Node(load_settings(settings), commands=stand_ins(2, tmp_path / "mode"))
        with pytest.raises(InputError, match=r"another node works on .*; expected one node per"):
            second.start()
    with running(settings) as node:
        assert node_status(node.root).is_running


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ivimkit.node.service.hold", lambda folder: -1)
    node = Node(load_settings(write_settings(tmp_path, send_to="[]")))
    with pytest.raises(InputError, match="has no locks; expected a local disk"):
        node.start()


def test_a_port_that_is_taken_is_said(tmp_path, archive):
    settings = write_settings(tmp_path, send_to="[]")
    settings.write_text(settings.read_text().replace("port = 0", f"port = {archive.port}", 1))
    node = Node(load_settings(settings))
    with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1, port {archive.port}"):
        node.start()


def test_a_fault_of_the_node_itself_ends_it_loudly(tmp_path, monkeypatch):
    def fault(self, study):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("ivimkit.node.intake.Intake.look", fault)
    settings = write_settings(tmp_path, send_to="[]")
    node = Node(load_settings(settings), pulse_s=0.02)
    node.start()
    push(node.port, *_study(1))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        node.run()
    node.stop()


def test_a_disk_that_is_full_for_a_moment_does_not_end_the_node(tmp_path, monkeypatch):
    """Writing fails at several steps; then there is space again, and everything goes on."""
    from ivimkit.node import jobs

    written, failed = jobs.write_json, []

    def full(path, content):
        if len(failed) < 4:
            failed.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        written(path, content)

    monkeypatch.setattr("ivimkit.node.service._TROUBLE_S", 0.02)
    settings = write_settings(tmp_path, node="fit_attempts = 5", send_to="[]")
    with running(settings) as node:
        monkeypatch.setattr("ivimkit.node.jobs.write_json", full)
        push(node.port, *_study(1))
        _wait_for_jobs(tmp_path, JobState.done)
    assert len(failed) == 4
    assert "No space left" in events(tmp_path, "trouble")[0]["reason"]


def test_the_words_of_a_fit_are_those_of_the_rule(tmp_path):
    job = Job(id="j", study="1.2", series=("1.3",), rule="1", drop_incomplete=True)
    folder = Jobs(tmp_path).folder("j")
    rule = Rule(write=("mr", "sc"), fit={"organ": "liver"}, keep_result=True)
    _, *words = Commands().fit(job, rule, folder, tmp_path / "out")
    assert words == [
        *("-m", "ivimkit", "dicom", "run", str(folder.input), str(tmp_path / "out")),
        *("--as=mr,sc", "--organ=liver", "--drop-incomplete"),
        *(f"--result={folder.result}", "--overwrite"),
    ]


def test_the_rule_of_a_job_that_is_gone_is_said(tmp_path):
    settings = write_settings(tmp_path, more='name = "liver"', send_to="[]")
    (tmp_path / "mode").write_text("wrong input")
    with running(settings) as node:
        push(node.port, *_study(1))
        (job,) = _wait_for_jobs(tmp_path, JobState.failed)
    settings.write_text(settings.read_text().replace('"liver"', '"kidney"'))
    ask_to_retry(node.root, [job.id])
    with running(settings):
        wait_for(lambda: "there is no rule 'liver' any more" in _jobs(tmp_path)[0].reason)


def test_the_peer_of_a_job_that_is_gone_is_said(tmp_path):
    down = Archive()
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": down.port})
    settings.write_text(settings.read_text().replace("[0.001]", "[5]"))
    with running(settings) as node:
        push(node.port, *_study(1))
        wait_for(lambda: events(tmp_path, "not sent"))
    write_settings(tmp_path, peers={"mr1": 0, "other": down.port}, send_to='["other"]')
    with running(settings):
        (job,) = _wait_for_jobs(tmp_path, JobState.failed)
    assert job.reason == "pacs: it is not among the peers with a port any more"


def test_a_damaged_record_is_not_a_job(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    with running(settings) as node:
        push(node.port, *_study(1))
        (job,) = _wait_for_jobs(tmp_path, JobState.done)
    record = node.root / "jobs" / job.id / "job.json"
    record.write_bytes(record.read_bytes()[:50])
    assert node_status(node.root).jobs == ()


def test_many_studies_one_after_the_other(tmp_path, archive):
    """A short soak; benchmarks/node_soak.py is the long one."""
    settings = write_settings(
        tmp_path, node="keep_days = 0", peers={"mr1": 0, "pacs": archive.port}
    )
    number = 6
    with running(settings) as node:
        threads = threading.active_count()
        for study in range(1, number + 1):
            assert push(node.port, *_study(study)) == [0, 0]
        wait_for(lambda: len(events(tmp_path, "removed")) == 2 * number)
        wait_for(lambda: threading.active_count() <= threads)
        assert node._waiting.number() == 0
        assert not node._jobs.active()
    assert sorted(archive.received) == sorted(_results(*range(1, number + 1)))


# ------------------------------------------------------------------------------ kill -9


def test_killed_while_receiving_nothing_acknowledged_is_lost(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    settings.write_text(settings.read_text().replace("quiet_s = 0.1", "quiet_s = 0.4"))
    node = NodeProcess(settings, expected=MANY).start()
    acknowledged = []
    with connected(node.port) as association:
        for number in range(1, MANY):
            if number == 20:
                threading.Timer(0.01, node.kill).start()
            try:
                answer = association.send_c_store(image(1, number))
            except RuntimeError:
                break
            if answer.get("Status") != 0:
                break
            acknowledged.append(f"{ROOT_UID}.7777.1.1.{number}")
    assert 19 <= len(acknowledged) < MANY - 1
    wait_for(lambda: node.process is not None and node.process.poll() is not None)
    stored = {path.stem for path in (tmp_path / "node" / "studies").rglob("*.dcm")}
    assert set(acknowledged) <= stored
    # Sent again, as senders do; what is there is not doubled.
    total = len(stored) + 5
    again = NodeProcess(settings, expected=total).start()
    assert push(again.port, *_study(1, images=total)) == [0] * total
    _wait_for_jobs(tmp_path, JobState.done)
    again.kill()
    (job,) = _jobs(tmp_path)
    assert len(list((tmp_path / "node" / "jobs" / job.id / "out").iterdir())) == total


def test_killed_while_fitting_it_fits_again(tmp_path):
    settings = write_settings(tmp_path, send_to="[]")
    (tmp_path / "mode").write_text("hang")
    node = NodeProcess(settings).start()
    push(node.port, *_study(1))
    (job,) = wait_for(lambda: [one for one in _jobs(tmp_path) if one.process])
    node.kill()
    assert job.state is JobState.working
    (tmp_path / "mode").unlink()
    again = NodeProcess(settings).start()
    (done,) = _wait_for_jobs(tmp_path, JobState.done)
    again.kill()
    assert done.attempts == 2
    # The fit of the dead node does not run on.
    from ivimkit.node.child_process import started_at

    assert started_at(job.process[0]) != job.process[1]


def test_a_fit_that_ends_the_node_each_time_is_given_up(tmp_path):
    settings = write_settings(tmp_path, node="fit_attempts = 1", send_to="[]")
    jobs = Jobs(tmp_path / "node")
    (tmp_path / "node").mkdir()
    jobs.prepare()
    job = Job(id="a-b", study="1.2", series=("1.3",), rule="1", state=JobState.working, attempts=1)
    source = tmp_path / "1.3" / "1.dcm"
    source.parent.mkdir()
    source.touch()
    jobs.add(job, [source])
    with running(settings):
        (failed,) = _wait_for_jobs(tmp_path, JobState.failed)
    assert failed.reason == "the node ended during each of 1 attempts"


def test_killed_while_sending_the_rest_is_sent_and_nothing_twice(tmp_path):
    archive = Archive(hold=threading.Event()).start()
    settings = write_settings(tmp_path, peers={"mr1": 0, "pacs": archive.port})
    node = NodeProcess(settings, expected=5).start()
    push(node.port, *_study(1, images=5))
    wait_for(lambda: _jobs(tmp_path, JobState.sending))
    (job,) = _jobs(tmp_path)
    folder = Jobs(tmp_path / "node").folder(job.id)
    # Two images arrive and are acknowledged; then the node dies while the archive thinks.
    archive.let_through(2)
    wait_for(lambda: len(folder.acknowledged("pacs")) == 2)
    node.kill()
    assert _jobs(tmp_path)[0].state is JobState.sending
    archive.hold.set()
    again = NodeProcess(settings, expected=5).start()
    _wait_for_jobs(tmp_path, JobState.done)
    again.kill()
    archive.stop()
    assert set(archive.received) == _results(1, images=5)
    # The one that was on its way may have come twice: an archive replaces it.
    assert len(archive.received) <= 6
    assert len(events(tmp_path, "fit")) == 1


def test_stopped_while_fitting_the_attempt_does_not_count(tmp_path):
    settings = write_settings(tmp_path, node="fit_attempts = 1", send_to="[]")
    (tmp_path / "mode").write_text("hang")
    with running(settings) as node:
        push(node.port, *_study(1))
        wait_for(lambda: [job for job in _jobs(tmp_path) if job.process])
    (job,) = _jobs(tmp_path)
    assert (job.state, job.attempts, job.process) == (JobState.queued, 0, None)
    (tmp_path / "mode").unlink()
    with running(settings):
        _wait_for_jobs(tmp_path, JobState.done)
    assert msgspec.json.decode((node.root / "jobs" / job.id / "job.json").read_bytes())
