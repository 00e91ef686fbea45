"""Guard: access control of the server - only pages with the token, on this machine."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from ivimkit.viewer.connection import mark_known

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CONTENT_POLICY", "REPORT_POLICY", "Guard", "new_token"]

_METHODS = ("GET", "POST")
_FRAMES = (
    "frame-ancestors 'self' http://localhost:* https://localhost:* http://127.0.0.1:* "
    "https://127.0.0.1:* vscode-webview:"
)
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    f"connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; {_FRAMES}"
)
"""Policy of the page: it may load from and contact this server only."""

REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    f"img-src data:; font-src data:; base-uri 'none'; form-action 'none'; sandbox "
    f"allow-scripts allow-modals allow-downloads allow-popups; {_FRAMES}"
)
"""Policy of a report: it is one self-contained file, and requests nothing.

It gets a separate origin, so that it cannot send requests to the server either.
"""

_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def new_token() -> str:
    """Return an unguessable token of 256 bits."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """Lets requests with the token through; everything else gets 403 and no information.

    Parameters
    ----------
    app : ASGI application
        The application behind it, which sees the path without the token.
    token : str
        The first part of every path.
    port : int
        The port of the server. Requests to a host other than 127.0.0.1 or localhost on this port
        use a name that someone has pointed to this machine (DNS rebinding).
    """

    app: ASGIApp
    token: str = field(repr=False)
    port: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names that the server accepts."""
        return (f"127.0.0.1:{self.port}", f"localhost:{self.port}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            # A websocket: closing before accepting sends a 403.
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _set_headers(message)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        mark_known(scope)
        prefix = f"/{self.token}"
        # The path is passed on without the token, so that no message or log can contain it.
        path = scope["path"].removeprefix(prefix)
        raw = path.encode("utf-8")
        await self.app({**scope, "path": path, "raw_path": raw}, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        if not self._known(scope["path"]):
            return PlainTextResponse("Forbidden.", 403)
        headers = scope["headers"]
        hosts, origins = _all(headers, b"host"), _all(headers, b"origin")
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return PlainTextResponse("Forbidden: not the address of this server.", 403)
        own = [f"http://{host}" for host in self.hosts]
        if len(origins) > 1 or any(origin not in own for origin in origins):
            return PlainTextResponse("Forbidden: another origin.", 403)
        if scope["method"] not in _METHODS:
            allowed = {"Allow": ", ".join(_METHODS)}
            return PlainTextResponse("Only GET and POST.", 405, headers=allowed)
        if scope["path"] == f"/{self.token}":
            # Relative addresses in the page need the slash.
            return RedirectResponse(f"/{self.token}/")
        return None

    def _known(self, path: str) -> bool:
        """Compare the token in constant time."""
        first, _, _ = path.removeprefix("/").partition("/")
        same = secrets.compare_digest(first.encode("utf-8"), self.token.encode("utf-8"))
        return same and path.startswith("/")


def _all(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _set_headers(message: MutableMapping[str, Any]) -> None:
    """Add the headers that a response does not set itself."""
    present = {key.lower() for key, _ in message["headers"]}
    message["headers"] = [
        *message["headers"],
        *(
            (key.lower().encode(), value.encode())
            for key, value in _HEADERS.items()
            if key.lower().encode() not in present
        ),
    ]
