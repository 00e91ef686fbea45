"""Request body: read up to a size limit."""

from __future__ import annotations

import time

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["read_body"]

_MAX_IGNORED_BYTES = 1 << 30
"""Maximum number of bytes of an oversized body to read and discard."""

_MAX_IGNORED_SECONDS = 20.0
"""Maximum time for that, s."""


async def read_body(request: Request, most: int) -> bytes:
    """Read the body of a request.

    Parameters
    ----------
    request : Request
        The request.
    most : int
        Maximum number of bytes to read, whatever the request headers say.

    Returns
    -------
    bytes

    Raises
    ------
    HTTPException
        413 if it is larger.
    """
    body, beyond, clock = bytearray(), 0, time.monotonic()
    async for piece in request.stream():
        if not beyond and len(body) + len(piece) <= most:
            body += piece
            continue
        # To its end, within limits: a client that is still sending does not read the answer, and
        # would find the connection closed instead.
        body.clear()
        beyond += len(piece)
        if beyond > _MAX_IGNORED_BYTES or time.monotonic() - clock > _MAX_IGNORED_SECONDS:
            break
    if beyond:
        raise HTTPException(413, f"the request is larger than {most} bytes")
    return bytes(body)
