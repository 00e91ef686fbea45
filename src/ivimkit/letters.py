"""Printable text: file names may contain bytes that are not characters."""

from __future__ import annotations

import re

__all__ = ["readable"]

# Python's surrogate for a byte of a file name that is not UTF-8; JSON cannot encode it.
_HALVES = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    r"""Return a text with the replacement character where it could not be written.

    Parameters
    ----------
    text : str
        E.g. a file name, which may not be in UTF-8.

    Examples
    --------
    >>> from ivimkit.letters import readable
    >>> readable("l\udce9sion") == "l\ufffdsion", readable("lésion")
    (True, 'lésion')
    """
    return _HALVES.sub("\ufffd", text)
