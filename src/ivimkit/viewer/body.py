"""What a request brings along, up to a limit."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["read_body"]


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
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise HTTPException(413, f"the request is larger than {most} bytes")
    return bytes(body)
