"""Connections: the server that accepts calls, and what it refuses before DICOM begins.

Gaps of pynetdicom are closed here. It does the TLS handshake where it accepts calls, so that one
caller who says nothing would block all others; it has no time limit for a message that stops in
its midst; it reads messages of any claimed length, up to 4 GB; it leaves the socket open if the
other side hangs up first; a caller who hangs up without a word is waited for, and counts as one of
those who may call at the same time; and one answer in thousands is taken away from whoever waits
for it, see `_Checkpoint`.
"""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from socketserver import BaseServer
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import (
    AddressInformation,
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

__all__ = [
    "MAX_MESSAGE_BYTES",
    "CallServer",
    "CarefulSocket",
    "hang_up",
    "mend",
    "quiet_libraries",
]

MAX_MESSAGE_BYTES = 4_000_000
"""Longest protocol data unit that is read. The node asks for much shorter ones."""

_HANDSHAKE_S = 10.0
_JOIN_S = 20.0


class CarefulSocket(AssociationSocket):
    """A socket that does not wait for messages of absurd length, and is closed at the end."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Receive bytes, of which there cannot be too many."""
        if nr_bytes > MAX_MESSAGE_BYTES:
            raise OSError(f"a message of {nr_bytes} bytes was announced")
        return super().recv(nr_bytes)

    def close(self) -> None:
        """Hang up, whoever did so first."""
        held = self.socket
        super().close()
        if held is not None:
            held.close()


class _Checkpoint(threading.Event):
    """Where the thread of an association pauses while somebody else waits for an answer.

    That somebody clears the event, then reads in ``_is_paused`` whether the thread has stopped.
    In pynetdicom 3.0 the thread may have passed the event just before and not yet have said so:
    both go on, and the thread may take the answer as a message that nobody asked for. Here passing
    and saying so are one step.

    Parameters
    ----------
    association : Association
        Whose thread.
    """

    def __init__(self, association: Any) -> None:
        super().__init__()
        self._association = association
        self._step = threading.Lock()
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Pause until the thread may go on."""
        while super().wait(timeout):
            with self._step:
                if self.is_set():
                    self._association._is_paused = False
                    return True
        return False

    def clear(self) -> None:
        """Let the thread pause when it comes here next."""
        with self._step:
            super().clear()


def mend(association: Any) -> None:
    """Close the gaps of an association whose connection has just been opened."""
    # Another socket object would announce the connection a second time.
    association.dul.socket.__class__ = CarefulSocket
    # Without it, each of many small messages waits for the acknowledgement of the last.
    association.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    association._reactor_checkpoint = _Checkpoint(association)


class _Call(RequestHandler):
    """One call; its association runs in a thread."""

    def _create_association(self) -> Any:
        made = super()._create_association()
        mend(made)
        made.dul.artim_timer.timeout = self.ae.acse_timeout
        made.bind(evt.EVT_CONN_CLOSE, _stop_waiting)
        return made

    @property
    def remote(self) -> AddressInformation:
        """The address of the caller."""
        return AddressInformation.from_tuple(self.client_address)


class CallServer(ThreadedAssociationServer):
    """A server that refuses unknown addresses and callers without a certificate.

    Parameters
    ----------
    *args
        As for `pynetdicom.transport.AssociationServer`.
    tls : ssl.SSLContext, optional
        For encrypted connections.
    may_call : callable
        Whether a call from an address is accepted.
    refused : callable
        Called with the address and the reason of a refusal.
    timeout_s : float
        A connection ends if nothing comes for this long.
    **kwargs
        As for `pynetdicom.transport.AssociationServer`.
    """

    def __init__(
        self,
        *args: Any,
        tls: ssl.SSLContext | None,
        may_call: Callable[[str], bool],
        refused: Callable[[str, str], None],
        timeout_s: float,
        **kwargs: Any,
    ) -> None:
        self._tls = tls
        self._may_call = may_call
        self._refused = refused
        self._timeout_s = timeout_s
        kwargs["request_handler"] = _Call
        super().__init__(*args, **kwargs)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a call, and nothing more: this is where all others wait."""
        assert self.socket is not None
        request, address = self.socket.accept()
        request.settimeout(self._timeout_s)
        return request, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Return whether a call may go on."""
        if self._may_call(client_address[0]):
            return True
        self._refused(client_address[0], "no peer calls from this address")
        return False

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Begin with DICOM, after the certificates have been shown."""
        if self._tls is not None:
            try:
                request.settimeout(_HANDSHAKE_S)
                request = self._tls.wrap_socket(request, server_side=True)
                request.settimeout(self._timeout_s)
            except OSError as error:
                self._refused(client_address[0], f"no encrypted connection: {error}")
                self.shutdown_request(request)
                return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error of a call, which ends it."""
        self._refused(client_address[0], f"the call ended with {sys.exception()!r}")

    def shutdown(self) -> None:
        """Stop accepting calls."""
        BaseServer.shutdown(self)
        self.server_close()


def _stop_waiting(event: evt.Event) -> None:
    """Let the thread of a call end that waits for a request which will not come any more."""
    if event.assoc.requestor.primitive is None:
        queue: Any = event.assoc.dul.to_user_queue
        queue.put(None)


def hang_up(association: Association) -> None:
    """End an association, in whatever state it is."""
    if association.is_established:
        association.release()
    if association.is_alive():
        association.join(timeout=_JOIN_S)
    if association.dul.socket is not None:
        association.dul.socket.close()


def quiet_libraries() -> None:
    """Keep what pynetdicom and pydicom log to themselves: it contains names of patients."""
    from pynetdicom import _config

    _config.LOG_HANDLER_LEVEL = "none"
    for name in ("pynetdicom", "pydicom"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
