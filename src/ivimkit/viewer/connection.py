"""Connection: limits on waiting time and on connections without the token."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["Patience", "mark_known", "patient_protocol"]

_CONNECTION = "ivimkit.connection"


@dataclass(frozen=True)
class Patience:
    """Limits of a connection.

    Without these, anybody on this machine could block all connections with requests that never
    end: 63 half-sent ones were enough.

    Parameters
    ----------
    headers : float
        Seconds for a request until its headers are complete, and for everything sent without the
        token.
    body : float
        Seconds between two pieces of a body, with the token.
    strangers : int
        Maximum number of simultaneous connections without the token; beyond that, the oldest is
        closed.
    """

    headers: float = 5.0
    body: float = 15.0
    strangers: int = 24


def mark_known(scope: MutableMapping[str, Any]) -> None:
    """Mark the connection of a request that has shown the token, for as long as it lasts."""
    connection = scope.get("state", {}).get(_CONNECTION)
    if connection is not None:
        connection.become_known()


def patient_protocol(patience: Patience) -> type[asyncio.Protocol]:
    """Return the protocol of uvicorn with limits on its waiting.

    Parameters
    ----------
    patience : Patience
        The limits.

    Returns
    -------
    type
        For one server: it counts the connections without the token.
    """
    # Imported here: `import ivimkit` and --help must not wait for it.
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    strangers: dict[Patient, None] = {}

    class Patient(H11Protocol):
        """One connection."""

        _timer: asyncio.TimerHandle | None = None
        # Whether a request of this connection had the token. A property of the connection, as its
        # next request is unknown until the token has been looked for.
        known = False

        def become_known(self) -> None:
            self.known = True
            strangers.pop(self, None)

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # Each request gets a copy of these as its state.
            self.app_state = {**self.app_state, _CONNECTION: self}
            strangers[self] = None
            while len(strangers) > patience.strangers:
                oldest = next(iter(strangers))
                del strangers[oldest]
                oldest.transport.abort()
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
            """Run a timer while part of a request is still to come."""
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
