"""Messages of the library in the terms of the command line."""

from __future__ import annotations

import re

__all__ = ["for_command_line"]

# Advice names the option first and, if it differs, the Python call second.
_BOTH = re.compile(r"\((--[^()]*?), or [^()]*(?:\([^()]*\)[^()]*)?\)")


def for_command_line(text: str) -> str:
    """Remove the advice for Python from a message that also names an option.

    Examples
    --------
    >>> for_command_line("Leave it out (--bmax 1000, or dwi.select(bmax=1000)) or not")
    'Leave it out (--bmax 1000) or not'
    """
    return _BOTH.sub(r"(\1)", text)
