"""Peers, rules, completeness, retries, logs: the parts that need no socket."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivimkit.errors import OptionError
from ivimkit.node.completeness import Patience, Waiting
from ivimkit.node.event_log import EventLog
from ivimkit.node.inspection import FoundScan
from ivimkit.node.jobs import Delivery
from ivimkit.node.peers import Peer, PeerBook
from ivimkit.node.rules import Rule, When, first_match
from ivimkit.node.sender import Retries, SendError
from ivimkit.node.spool import is_uid

SCAN = FoundScan(
    series=("1.2",),
    b_values=(0, 50, 400, 800),
    description="ep2d_IVIM_liver",
    body_part="LIVER",
    manufacturer="SIEMENS",
)


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({}, True),
        ({"description": "*ivim*"}, True),
        ({"description": "ivim"}, False),
        ({"description": "dwi*| ep2d_* "}, True),
        ({"body_part": "abdomen|liver"}, True),
        ({"manufacturer": "ge*"}, False),
        ({"station": ""}, True),
        ({"protocol": "?*"}, False),
        ({"peer": "mr1"}, True),
        ({"peer": "mr2"}, False),
        ({"b_values": ">=4"}, True),
        ({"b_values": ">4"}, False),
        ({"b_values": "4"}, True),
        ({"b_values": "<= 3"}, False),
        ({"b_values": "<5", "description": "*ivim*", "peer": "mr*"}, True),
    ],
)
def test_a_rule_is_for_the_scans_it_describes(when, fits):
    assert When(**when).fits(SCAN, ("mr1", "other")) == fits


def test_the_first_rule_that_fits_is_taken():
    rules = (Rule(name="a", when=When(peer="x")), Rule(name="b"), Rule(name="c"))
    found = first_match(rules, SCAN, ("mr1",))
    assert found is not None
    assert found.name == "b"
    assert first_match(rules[:1], SCAN, ("mr1",)) is None


def test_a_peer_may_call_from_its_addresses_only():
    peers = [
        Peer(name="a", ae_title="A", address="10.0.0.1"),
        Peer(name="b", ae_title="B", address="10.9.9.9", accept_from=("10.1.0.0/16", "::1")),
        Peer(name="c", ae_title="C", address="localhost"),
    ]
    book = PeerBook(peers)
    assert book.caller("A ", "10.0.0.1") is peers[0]
    assert book.caller("A", "10.1.2.3") is None
    assert book.caller("B", "10.1.2.3") is peers[1]
    assert book.caller("B", "::ffff:10.1.2.3") is peers[1]
    assert book.caller("B", "10.9.9.9") is None
    assert book.caller("C", "127.0.0.1") is peers[2]
    assert [book.knows(one) for one in ("::1", "10.0.0.1", "10.0.0.2")] == [True, True, False]
    assert book.get("d") is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), min_size=1, max_size=20))
def test_a_study_is_due_only_after_it_was_quiet(steps):
    """However images come, a study is due exactly when its last one is old enough."""
    waiting = Waiting(Patience(quiet_s=3, force_s=10), is_busy=lambda study: False)
    now, last = 0.0, {}
    for study, pause in steps:
        now += pause
        waiting.arrived(study, now)
        last[study] = now
        due = {name for name, at in last.items() if now >= at + 3}
        assert set(waiting.due(now)) == due
    assert set(waiting.due(now + 3)) == set(last)


def test_an_open_connection_keeps_a_study_but_not_for_ever():
    busy = {"1"}
    waiting = Waiting(Patience(quiet_s=3, force_s=10), is_busy=busy.__contains__)
    waiting.arrived("1", 0.0)
    assert waiting.due(9.9) == []
    assert waiting.due(10.0) == ["1"]
    busy.clear()
    assert waiting.due(3.0) == ["1"]


def test_an_image_that_comes_during_a_look_is_not_forgotten():
    waiting = Waiting(Patience(quiet_s=3, force_s=10), is_busy=lambda study: False)
    waiting.arrived("1", 0.0)
    seen = waiting.seen("1")
    waiting.arrived("1", 0.0)
    waiting.looked("1", seen, None)
    assert waiting.number() == 1
    waiting.looked("1", waiting.seen("1"), 8.0)
    assert (waiting.due(7.0), waiting.due(8.0)) == ([], ["1"])
    waiting.looked("1", waiting.seen("1"), None)
    assert waiting.number() == 0
    assert waiting.seen("1") is None


def test_attempts_to_send_become_rarer_and_end():
    retries = Retries(minutes=(1, 5), give_up_h=1)
    delivery, now, waits = Delivery(peer="pacs"), 0.0, []
    while delivery.state == "waiting":
        delivery = retries.after(delivery, SendError("nobody answers"), since=0.0, now=now)
        waits.append(delivery.next_at - now)
        now = delivery.next_at
    assert waits == [60, *[300] * 12]
    assert delivery.attempts == 13
    assert delivery.reason == "nobody answers"
    final = SendError("refused", is_final=True)
    assert retries.after(Delivery(peer="pacs"), final, since=0, now=0).state == "failed"


@given(st.text("0123456789./\\-a \n\0\u0663\u00b2", max_size=80))
def test_what_is_taken_for_a_uid_is_a_harmless_file_name(text):
    assert not is_uid(text) or (
        set(text) <= set("0123456789.") and text[0] != "." and ".." not in text
    )


def test_the_log_is_lines_of_json_and_does_not_grow_for_ever(tmp_path):
    stream = io.StringIO()
    log = EventLog(tmp_path / "node.log", stream, lambda: 0.0, max_bytes=200)
    for number in range(10):
        log("step", number=number, path=tmp_path)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["number"] for line in lines] == list(range(10))
    assert lines[0]["time"] == "1970-01-01T00:00:00.000+00:00"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["node.log", "node.log.1"]
    assert all(path.stat().st_size <= 200 for path in tmp_path.iterdir())


def test_a_log_that_cannot_be_written_does_not_end_the_node(tmp_path, capsys):
    stream = io.StringIO()
    stream.close()
    log = EventLog(tmp_path / "missing" / "node.log", stream, lambda: 0.0)
    log("step")
    log("step")
    assert "the log cannot be written" in capsys.readouterr().err


def test_a_network_that_is_none_is_an_error():
    with pytest.raises(OptionError, match=r"accept_from of peer 'a' has '1\.2/99'"):
        PeerBook([Peer(name="a", ae_title="A", address="10.0.0.1", accept_from=("1.2/99",))])
