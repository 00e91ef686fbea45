"""What a request brings along, up to a limit."""

from __future__ import annotations

import time

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["read_body"]

_MOST_IGNORED = 1 << 30
"""Bytes of a body that is too large which are read all the same."""

_LONGEST = 20.0
"""Seconds for them."""


async def read_body(request: Request, most: int) -> bytes:
    """Read the body of a request.

    Parameters
    ----------
    request : Request
        The request.
    most : int
        Largest number of bytes; whatever the request says of itself, not more are read.

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
        # To its end, within reason: who is still sending does not read an answer, and would find
        # the connection closed instead.
        body.clear()
        beyond += len(piece)
        if beyond > _MOST_IGNORED or time.monotonic() - clock > _LONGEST:
            break
    if beyond:
        raise HTTPException(413, f"the request is larger than {most} bytes")
    return bytes(body)
