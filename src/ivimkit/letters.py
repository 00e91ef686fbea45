"""Letters that can be written: names of files may hold bytes that are none."""

from __future__ import annotations

import re

__all__ = ["readable"]

# What Python puts for a byte of a file name that is no UTF-8, and what JSON can hold.
_HALVES = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    r"""Return a text with the sign for an unknown letter where it could not be written.

    Parameters
    ----------
    text : str
        E.g. the name of a file, which may be in another encoding than UTF-8.

    Examples
    --------
    >>> from ivimkit.letters import readable
    >>> readable("l\udce9sion") == "l\ufffdsion", readable("lésion")
    (True, 'lésion')
    """
    return _HALVES.sub("\ufffd", text)
