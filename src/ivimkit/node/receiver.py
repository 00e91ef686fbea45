"""Receiver: takes images from known peers, and acknowledges each when it is safe on the disk."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.tag import Tag
from pynetdicom import AE, _config, evt

from ivimkit.errors import FileFormatError, InputError
from ivimkit.node.connections import CallServer, quiet_libraries
from ivimkit.node.contexts import supported_contexts
from ivimkit.node.event_log import EventLog
from ivimkit.node.peers import Peer, PeerBook
from ivimkit.node.settings import NodeTable, TlsSettings
from ivimkit.node.spool import Arrival, Spool, Stored, is_uid

__all__ = ["Receiver"]

_SUCCESS = 0x0000
_OUT_OF_RESOURCES = 0xA700
_WRONG_INSTANCE = 0xA900
_CANNOT_UNDERSTAND = 0xC000
_NOT_RECOGNISED = {"called": 0x07, "calling": 0x03}

_MAX_PDU_BYTES = 131_072
_MAX_REQUEST_S = 15.0
"""A caller has this long to say what it wants, and a rejected one to hang up."""

_POLL_S = 0.1
_UIDS = {
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "SOPInstanceUID": 0x00080018,
}


class Receiver:
    """The receiving half of the node.

    Parameters
    ----------
    node : NodeTable
        AE title, address, port, limits.
    tls : TlsSettings, optional
        Certificates; without, connections are not encrypted.
    peers : PeerBook
        Who may call.
    spool : Spool
        Where images go.
    stored : callable
        Called after each image.
    log : EventLog
        What happens.
    """

    def __init__(
        self,
        node: NodeTable,
        tls: TlsSettings | None,
        *,
        peers: PeerBook,
        spool: Spool,
        stored: Callable[[Arrival, Stored], None],
        log: EventLog,
    ) -> None:
        self._node = node
        self._tls = tls
        self._peers = peers
        self._spool = spool
        self._stored = stored
        self._log = log
        self._open: dict[Any, set[str]] = {}
        self._lock = threading.Lock()
        self._server: CallServer | None = None
        self.port = node.port
        """The port that calls are accepted on; for port 0, known after the start."""
        self._process: ExitStack | None = None

    def start(self) -> None:
        """Accept calls from now on.

        Raises
        ------
        InputError
            If the address or the port cannot be used.
        """
        self._process = self._prepared_process()
        context = None if self._tls is None else self._tls.server()
        try:
            server: Any = self._entity().make_server(
                (self._node.address, self._node.port),
                contexts=supported_contexts(),
                evt_handlers=self._handlers(),
                server_class=CallServer,
                tls=context,
                may_call=self._peers.knows,
                refused=lambda address, reason: self._log(
                    "refused", address=address, reason=reason
                ),
                timeout_s=self._node.network_timeout_s,
            )
        except OSError as error:
            raise InputError(
                f"the node cannot listen on {self._node.address}, port {self._node.port}: "
                f"{error.strerror or error}; expected an address of this machine and a free port. "
                "Change [node] of the settings"
            ) from None
        self._server = server
        self.port = int(server.server_address[1])
        threading.Thread(
            target=server.serve_forever, args=(_POLL_S,), name="receiver", daemon=True
        ).start()

    def stop(self) -> None:
        """Accept no more calls, and end those that are going on."""
        if self._server is not None:
            self._server.shutdown()
            for association in self._server.active_associations:
                association.abort()
                association.join(timeout=2.0)
            self._server = None
        if self._process is not None:
            self._process.close()

    def is_busy(self, study: str) -> bool:
        """Return whether a connection over which images of a study came is still open."""
        with self._lock:
            self._forget_ended()
            return any(study in studies for studies in self._open.values())

    def _forget_ended(self) -> None:
        """Keep the calls whose threads run: not every way to end a call is an event."""
        self._open = {call: known for call, known in self._open.items() if call.is_alive()}

    def is_idle(self) -> bool:
        """Return whether nobody is connected."""
        return self._server is None or not self._server.active_associations

    def _prepared_process(self) -> ExitStack:
        """Set what pynetdicom knows only for the whole process; closed, all is as it was."""
        quiet_libraries()
        undo = ExitStack()
        # Images go straight to the disk, so that one of a gigabyte takes no memory; into the
        # folder of the node, so that a renaming makes them an image of their study.
        for owner, name, value in (
            (_config, "STORE_RECV_CHUNKED_DATASET", True),
            (tempfile, "tempdir", str(self._spool.receiving)),
            (threading, "excepthook", self._thread_ended),
        ):
            undo.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        return undo

    def _thread_ended(self, fault: threading.ExceptHookArgs) -> None:
        """Log the fault of a thread of pynetdicom, whose call is over; its traceback has names."""
        self._log("call ended", reason=fault.exc_type.__name__)

    def _entity(self) -> AE:
        entity = AE(self._node.ae_title)
        entity.maximum_associations = self._node.max_associations
        entity.network_timeout = self._node.network_timeout_s
        entity.acse_timeout = min(self._node.network_timeout_s, _MAX_REQUEST_S)
        entity.maximum_pdu_size = _MAX_PDU_BYTES
        entity.implementation_version_name = f"IVIMKIT {version('ivimkit')}"[:16]
        return entity

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
        ]

    def _requested(self, event: evt.Event) -> None:
        """Reject a caller that is not a peer, or means another application."""
        request: Any = event.assoc.requestor.primitive
        address = event.assoc.requestor.address
        calling, called = request.calling_ae_title, request.called_ae_title
        if called.strip() != self._node.ae_title.strip():
            self._reject(
                event, "called", f"{called!r} was called, this is {self._node.ae_title!r}"
            )
        elif self._peers.caller(calling, address) is None:
            self._reject(event, "calling", f"no peer calls itself {calling!r} at this address")

    def _reject(self, event: evt.Event, what: str, reason: str) -> None:
        self._log("refused", address=event.assoc.requestor.address, reason=reason)
        event.assoc.acse.send_reject(0x01, 0x01, _NOT_RECOGNISED[what])
        event.assoc.kill()

    def _peer(self, event: evt.Event) -> Peer:
        requestor = event.assoc.requestor
        found = self._peers.caller(requestor.ae_title, requestor.address)
        assert found is not None, "it was rejected otherwise"
        return found

    def _store(self, event: evt.Event) -> int:
        """Store an image; return the status that is its acknowledgement or its refusal."""
        peer = self._peer(event)
        try:
            arrival = _arrival(event, peer.name)
        except FileFormatError as error:
            self._log("image refused", peer=peer.name, reason=str(error))
            return _CANNOT_UNDERSTAND
        request: Any = event.request
        if str(request.AffectedSOPInstanceUID) != arrival.instance:
            self._log("image refused", peer=peer.name, reason="it has another SOP Instance UID")
            return _WRONG_INSTANCE
        return self._kept(event.dataset_path, arrival, event.assoc)

    def _kept(self, draft: Path, arrival: Arrival, association: Any) -> int:
        if self._spool.free_gb() < self._node.free_gb:
            reason = f"less than free_gb = {self._node.free_gb:g} is left on the disk"
            self._log("image refused", peer=arrival.peer, reason=reason)
            return _OUT_OF_RESOURCES
        with self._lock:
            if association not in self._open:
                self._forget_ended()
            self._open.setdefault(association, set()).add(arrival.study)
        try:
            stored = self._spool.store(draft, arrival)
        except OSError as error:
            self._log("image refused", peer=arrival.peer, reason=error.strerror or str(error))
            return _OUT_OF_RESOURCES
        self._stored(arrival, stored)
        return _SUCCESS


def _arrival(event: evt.Event, peer: str) -> Arrival:
    """Return what an image is.

    Raises
    ------
    FileFormatError
        If its header cannot be read, or lacks what every image has.
    """
    try:
        header = dcmread(
            event.dataset_path,
            stop_before_pixels=True,
            specific_tags=[Tag(tag) for tag in _UIDS.values()],
        )
        found = {name: _raw_text(header.get_item(tag)) for name, tag in _UIDS.items()}
    except Exception as error:  # noqa: BLE001 - a parser of what anybody sends raises anything
        raise FileFormatError(f"its header cannot be read: {error}") from None
    for name, uid in found.items():
        if not is_uid(uid):
            raise FileFormatError(f"its {name} is missing or no UID")
    return Arrival(
        found["StudyInstanceUID"], found["SeriesInstanceUID"], found["SOPInstanceUID"], peer
    )


def _raw_text(element: Any) -> str:
    """Return the value of an element without the checks of pydicom, which warn."""
    value = "" if element is None or element.value is None else element.value
    return value.decode("ascii").strip(" \0") if isinstance(value, bytes) else str(value)
