"""Messages of the library in the terms of the command line."""

from __future__ import annotations

import re

__all__ = ["for_command_line"]

# Advice that differs names the option first and the call in Python second.
_BOTH = re.compile(r"\((--[^()]*?), or [^()]*(?:\([^()]*\)[^()]*)?\)")


def for_command_line(text: str) -> str:
    """Leave out what a message says about Python where it also names an option.

    Examples
    --------
    >>> for_command_line("Leave it out (--bmax 1000, or dwi.select(bmax=1000)) or not")
    'Leave it out (--bmax 1000) or not'
    """
    return _BOTH.sub(r"(\1)", text)
