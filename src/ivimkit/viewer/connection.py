"""Connection: how long the server waits for a request, and for how many strangers at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["Patience", "mark_known", "patient_protocol"]

_KNOWN = "ivimkit.known"


@dataclass(frozen=True)
class Patience:
    """What a connection may take.

    Without these, anybody on this machine could hold all connections with requests that never
    end: 63 half-sent ones were enough.

    Parameters
    ----------
    headers : float
        Seconds for a request until its headers are complete, and for all that comes without the
        token.
    body : float
        Seconds between two pieces of a body, with the token.
    strangers : int
        Connections that have not shown the token, at a time; of more, the oldest is closed.
    """

    headers: float = 5.0
    body: float = 15.0
    strangers: int = 24


def mark_known(scope: MutableMapping[str, Any]) -> None:
    """Note that a request has shown the token, and so who is behind its connection."""
    scope.setdefault("state", {})[_KNOWN] = True


def patient_protocol(patience: Patience) -> type[asyncio.Protocol]:
    """Return the protocol of uvicorn with an end to its patience.

    Parameters
    ----------
    patience : Patience
        The limits.

    Returns
    -------
    type
        For one server: it counts the strangers of all its connections.
    """
    # Imported here: `import ivimkit` and --help must not wait for it.
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    strangers: dict[Patient, None] = {}

    class Patient(H11Protocol):
        """One connection."""

        _timer: asyncio.TimerHandle | None = None

        @property
        def known(self) -> bool:
            """Whether a request of this connection had the token."""
            # Before the first request there is no scope, whatever its type says.
            scope: Any = self.scope
            return scope is not None and bool(scope.get("state", {}).get(_KNOWN))

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            strangers[self] = None
            for other in list(strangers):
                if other.known:
                    del strangers[other]
                elif len(strangers) > patience.strangers:
                    del strangers[other]
                    other.transport.abort()
            self._start(patience.headers)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            strangers.pop(self, None)
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Let time run while something of a request is still to come."""
            waiting = self.conn.their_state is h11.SEND_BODY
            begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
            if waiting and self.known:
                self._stop()
                self._start(patience.body)
            elif not (waiting or begun):
                self._stop()
            elif self._timer is None:
                self._start(patience.headers)

        def _start(self, seconds: float) -> None:
            self._timer = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Patient
