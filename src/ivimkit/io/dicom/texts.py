"""text_of: texts as values of DICOM may contain them."""

from __future__ import annotations

import re

__all__ = ["MAX_LONG", "MAX_SHORT", "text_of"]

MAX_SHORT = 16
"""Bytes of a short text (SH) and of a code value."""

MAX_LONG = 64
"""Bytes of a long text (LO)."""

_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f]")


def text_of(text: str, length: int = MAX_LONG) -> str:
    r"""Return a text on one line, without what separates values, cut to a length.

    The standard counts characters; programs that count bytes are common, so bytes of UTF-8 count.

    Parameters
    ----------
    text : str
        The text.
    length : int
        Largest number of bytes.

    Examples
    --------
    >>> from ivimkit.io.dicom.texts import text_of
    >>> text_of("one \\ two\n"), text_of("µµµ", 5)
    ('one two', 'µµ')
    """
    line = " ".join(_FORBIDDEN.sub(" ", text).split())
    return line.encode()[:length].decode(errors="ignore").strip()
