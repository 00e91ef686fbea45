"""Server: uvicorn in a thread, on this machine only."""

from __future__ import annotations

import errno
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ivimkit.errors import OptionError
from ivimkit.viewer.connection import Patience, patient_protocol

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

__all__ = ["HOST", "Server", "bind"]

HOST = "127.0.0.1"
"""Never any other address: the server is not visible on the network."""

_MAX_PORT = 65535
_LAST_ANSWERS = 3.0
_PATIENCE = Patience()
# Maximum number of simultaneous requests; a page needs a handful.
_CONCURRENCY = 64


def bind(port: int) -> socket.socket:
    """Bind a port of this machine.

    Parameters
    ----------
    port : int
        The port; 0 for any free port.

    Returns
    -------
    socket

    Raises
    ------
    OptionError
        If there is no such port, it is in use, or not allowed for this user.
    """
    if not 0 <= port <= _MAX_PORT:
        raise OptionError(f"the port is {port}; expected 1 to {_MAX_PORT}, or 0 for any")
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port that was just released can be used again at once.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        # Listening claims it: if two are bound, the second fails here.
        bound.listen(128)
    except OSError as error:
        bound.close()
        what = {errno.EADDRINUSE: "is in use", errno.EACCES: "is not allowed for this user"}
        raise OptionError(
            f"port {port} of {HOST} {what.get(error.errno or 0, f'cannot be had ({error})')}; "
            "expected a free one. Choose another port, or leave it out for any free port"
        ) from None
    return bound


@dataclass(frozen=True, eq=False)
class Server:
    """An application that is served.

    Parameters
    ----------
    app : ASGI application
        The application.
    listening : socket
        Its socket, see `bind`.
    patience : Patience
        Limits on waiting for requests.
    """

    app: ASGIApp = field(repr=False)
    listening: socket.socket
    patience: Patience = _PATIENCE
    _uvicorn: uvicorn.Server = field(init=False, repr=False)
    _thread: threading.Thread = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Imported here: `import ivimkit` and --help must not wait for it.
        import uvicorn

        settings = uvicorn.Config(
            self.app,
            http=patient_protocol(self.patience),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_level="error",
            # The addresses contain the token.
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=_CONCURRENCY,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(
            target=server.run,
            kwargs={"sockets": [self.listening]},
            name="ivimkit viewer",
            daemon=True,
        )
        object.__setattr__(self, "_uvicorn", server)
        object.__setattr__(self, "_thread", thread)

    def start(self) -> None:
        """Start to answer; connections wait for it, so there is nothing to wait for here."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the server answers."""
        return self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end of the server."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """Stop the server and release the port."""
        self._uvicorn.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_LAST_ANSWERS)
        self.listening.close()
