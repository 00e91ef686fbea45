"""Receiver: who may call, what is accepted, and that nothing a caller sends does any harm."""

from __future__ import annotations

import errno
import random
import socket
import threading
from pathlib import Path

import pytest
from pynetdicom.pdu import A_ASSOCIATE_RQ

from ivimkit.node.connections import MAX_MESSAGE_BYTES
from node_parts import (
    ROOT_UID,
    connected,
    events,
    image,
    log_of,
    push,
    running,
    series_uid,
    study_uid,
    wait_for,
    write_settings,
)

NEVER = "quiet_s = 1000\nforce_s = 1000"


@pytest.fixture
def settings(tmp_path):
    """Settings of a node that only receives."""
    path = write_settings(tmp_path, send_to="[]")
    path.write_text(path.read_text().replace("quiet_s = 0.1", NEVER))
    return path


def _spooled(settings: Path) -> list[str]:
    return sorted(path.name for path in (settings.parent / "node" / "studies").rglob("*.dcm"))


def _reason(association) -> str:
    return str(association.acceptor.primitive.reason_str)


def test_only_known_callers_who_mean_this_node_are_accepted(settings, tmp_path):
    with running(settings) as node:
        with connected(node.port) as association:
            assert association.is_established
            assert association.send_c_echo().Status == 0
        with connected(node.port, calling="STRANGER") as association:
            assert association.is_rejected
            assert "Calling AE title not recognised" in _reason(association)
        with connected(node.port, called="OTHER") as association:
            assert association.is_rejected
            assert "Called AE title not recognised" in _reason(association)
    reasons = [line["reason"] for line in events(tmp_path, "refused")]
    assert "no peer calls itself 'STRANGER' at this address" in reasons
    assert any("'OTHER' was called" in reason for reason in reasons)


def test_a_caller_from_another_address_is_refused_before_it_can_say_anything(settings, tmp_path):
    text = settings.read_text().replace('address = "127.0.0.1"', 'address = "127.0.0.9"')
    settings.write_text(text)
    with running(settings) as node, connected(node.port) as association:
        assert not association.is_established
    (line,) = events(tmp_path, "refused")
    assert line["address"] == "127.0.0.1"
    assert line["reason"] == "no peer calls from this address"


def test_the_title_of_one_peer_is_worth_nothing_at_the_address_of_another(settings):
    text = settings.read_text().replace('address = "127.0.0.1"', 'address = "127.0.0.9"', 1)
    settings.write_text(text)
    with running(settings) as node:
        with connected(node.port, calling="MR1") as association:
            assert association.is_rejected
        with connected(node.port, calling="PACS") as association:
            assert association.is_established


def test_a_stored_image_is_what_was_sent_and_duplicates_change_nothing(settings, tmp_path):
    from pydicom import dcmread

    with running(settings) as node:
        assert push(node.port, image(1, 1), image(1, 1)) == [0, 0]
        folder = tmp_path / "node" / "studies" / study_uid(1) / series_uid(1)
        (path,) = folder.iterdir()
        before = path.stat().st_mtime_ns
        found = dcmread(path)
        assert (found.PatientName, found.PixelData) == ("Doe^Jane", b"\0\0")
        push(node.port, image(1, 1))
        assert path.stat().st_mtime_ns == before
        push(node.port, image(1, 1, content=b"\1\0"))
        assert dcmread(path).PixelData == b"\1\0"
        assert not list((tmp_path / "node" / "receiving").iterdir())


def test_names_of_patients_are_in_no_file_but_the_images(settings, tmp_path):
    with running(settings) as node:
        push(node.port, image(1, 1))
    others = [path for path in (tmp_path / "node").rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in others if path.suffix != ".dcm"]
    assert len(texts) >= 2
    assert not any(b"Doe" in text or b"SECRET" in text for text in texts)
    assert all("Doe" not in path.name for path in others)


def test_nobody_else_can_read_the_folders(settings, tmp_path):
    with running(settings) as node:
        push(node.port, image(1, 1))
    folders = [path for path in (tmp_path / "node").rglob("*") if path.is_dir()]
    assert len(folders) > 5
    assert {oct(path.stat().st_mode & 0o777) for path in [tmp_path / "node", *folders]} == {
        "0o700"
    }


def test_images_are_refused_before_the_disk_is_full(settings, tmp_path):
    settings.write_text(settings.read_text().replace("free_gb = 0", "free_gb = 2"))
    free = [3_000_000_000]
    with running(settings, free_bytes=lambda folder: free[0]) as node:
        assert push(node.port, image(1, 1)) == [0]
        free[0] = 1_999_999_999
        assert push(node.port, image(1, 2), image(2, 1)) == [0xA700, 0xA700]
        wait_for(lambda: b'"is_receiving":false' in (tmp_path / "node/health.json").read_bytes())
        free[0] = 3_000_000_000
        assert push(node.port, image(1, 2)) == [0]
    assert len(_spooled(settings)) == 2
    assert "less than free_gb = 2 is left" in events(tmp_path, "image refused")[0]["reason"]
    assert not list((tmp_path / "node" / "receiving").iterdir())


def test_a_disk_that_fails_is_no_acknowledgement(settings, tmp_path, monkeypatch):
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with running(settings) as node:
        monkeypatch.setattr("ivimkit.node.spool.sync_file", full)
        assert push(node.port, image(1, 1)) == [0xA700]
        monkeypatch.undo()
        assert push(node.port, image(1, 1)) == [0]
    assert events(tmp_path, "image refused")[0]["reason"] == "No space left on device"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StudyInstanceUID", "../../outside"),
        ("StudyInstanceUID", ""),
        ("StudyInstanceUID", "1." * 40 + "1"),
        ("SeriesInstanceUID", None),
        ("SeriesInstanceUID", ".look.json"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*UI:UserWarning")
def test_images_without_proper_uids_are_refused(settings, tmp_path, name, value):
    made = image(1, 1)
    if value is None:
        delattr(made, name)
    else:
        made[name]._value = value
    with running(settings) as node:
        assert push(node.port, made, image(2, 1)) == [0xC000, 0]
    assert len(_spooled(settings)) == 1
    assert f"its {name} is missing or no UID" in events(tmp_path, "image refused")[0]["reason"]
    assert not list((tmp_path / "node" / "receiving").iterdir())


def _send_raw(association, content: bytes, instance: str) -> int | None:
    """Send any bytes as a data set; return the status, None if the connection was closed."""
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    request.AffectedSOPInstanceUID = instance
    request.Priority = 2
    request.DataSet = BytesIO(content)
    context = next(
        one
        for one in association.accepted_contexts
        if one.abstract_syntax == request.AffectedSOPClassUID
    )
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return None if answer is None else answer.Status


def test_broken_data_sets_are_refused_or_kept_and_never_harm(settings, tmp_path):
    """Bytes of an image, damaged at random places, and bytes that never were an image."""
    from pynetdicom.dsutils import encode

    whole = encode(image(1, 1), False, True)
    assert whole is not None
    draw = random.Random(4)
    broken = [b"\0\0", draw.randbytes(500), whole[: len(whole) // 2], whole + b"\xff" * 40]
    for _ in range(60):
        made = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            made[draw.randrange(len(made))] = draw.randrange(256)
        broken.append(bytes(made))
    statuses = set()
    with running(settings) as node:
        with connected(node.port) as association:
            for content in broken:
                statuses.add(_send_raw(association, content, f"{ROOT_UID}.7777.1.1.1"))
        assert push(node.port, image(2, 1)) == [0]
    assert statuses <= {0, 0xC000, 0xA900}
    assert 0xC000 in statuses
    assert f"{ROOT_UID}.7777.2.1.1.dcm" in _spooled(settings)
    assert {path.name for path in tmp_path.iterdir()} == {"node", "node.toml"}


def test_an_image_under_another_name_is_refused(settings, tmp_path):
    from pynetdicom.dsutils import encode

    content = encode(image(1, 1), False, True)
    with running(settings) as node, connected(node.port) as association:
        assert _send_raw(association, content, f"{ROOT_UID}.1") == 0xA900
    assert events(tmp_path, "image refused")[0]["reason"] == "it has another SOP Instance UID"


def _associate_request() -> bytes:
    """Return the bytes of a proper request for an association."""
    from pynetdicom import AE
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
    )
    from pynetdicom.presentation import build_context

    made = A_ASSOCIATE()
    made.application_context_name = "1.2.840.10008.3.1.1.1"
    made.calling_ae_title, made.called_ae_title = "MR1", "IVIMKIT"
    context = build_context("1.2.840.10008.1.1")
    context.context_id = 1
    made.presentation_context_definition_list = [context]
    length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16382
    uid.implementation_class_uid = AE().implementation_class_uid
    made.user_information = [length, uid]
    request = A_ASSOCIATE_RQ()
    request.from_primitive(made)
    return bytes(request.encode())


def _say(port: int, content: bytes) -> None:
    """Connect, send bytes, and hang up, as somebody does who does not speak DICOM."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)


def test_noise_on_the_socket_does_not_harm_the_node(settings):
    """Random bytes, damaged requests, data too early, hang-ups: then it still works."""
    request = _associate_request()
    draw = random.Random(5)
    noise = [b"", b"GET / HTTP/1.1\r\n\r\n", request[:40], request, request + draw.randbytes(200)]
    noise += [
        bytes([4, 0, 0, 0, 0, 12]) + draw.randbytes(12),
        bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
    ]
    for _ in range(12):
        noise.append(draw.randbytes(draw.randint(1, 300)))
        made = bytearray(request)
        for _ in range(draw.randint(1, 8)):
            made[draw.randrange(len(made))] = draw.randrange(256)
        noise.append(bytes(made))
    with running(settings) as node:
        threads = threading.active_count()
        for content in noise:
            _say(node.port, content)
        assert push(node.port, image(1, 1)) == [0]
        wait_for(lambda: threading.active_count() <= threads, "the threads of all calls to end")
    assert len(_spooled(settings)) == 1


def test_a_message_of_absurd_length_ends_the_call_at_once(settings):
    with running(settings) as node:
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as connection:
            length = MAX_MESSAGE_BYTES + 1
            connection.sendall(bytes([1, 0]) + length.to_bytes(4, "big") + b"x" * 100)
            assert connection.recv(1000)[:1] in (b"", b"\x07")
        assert push(node.port, image(1, 1)) == [0]


def test_a_silent_caller_is_hung_up_on(tmp_path):
    settings = write_settings(tmp_path, node="network_timeout_s = 0.3", send_to="[]")
    with (
        running(settings) as node,
        socket.create_connection(("127.0.0.1", node.port), timeout=10) as connection,
    ):
        connection.sendall(_associate_request()[:20])
        assert connection.recv(1000)[:1] in (b"", b"\x07")


def test_more_calls_than_allowed_are_told_so(tmp_path):
    settings = write_settings(tmp_path, node="max_associations = 1", send_to="[]")
    with running(settings) as node, connected(node.port) as first:
        assert first.is_established
        with connected(node.port) as second:
            assert second.is_rejected
            assert "Local limit exceeded" in _reason(second)


def test_what_a_dead_sender_left_is_removed_at_the_next_start(settings, tmp_path):
    (tmp_path / "node" / "receiving").mkdir(parents=True)
    (tmp_path / "node" / "receiving" / "half.dcm").write_bytes(b"x")
    with running(settings):
        assert not list((tmp_path / "node" / "receiving").iterdir())


def test_the_log_says_who_sent_and_not_whom(settings, tmp_path):
    with running(settings) as node:
        push(node.port, image(3, 1))
    (line,) = [line for line in log_of(tmp_path) if line["event"] == "receiving"]
    assert (line["study"], line["peer"]) == (study_uid(3), "mr1")
