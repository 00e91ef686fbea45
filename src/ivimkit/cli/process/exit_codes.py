"""The exit codes of the command line."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["CLOSED_PIPE", "DONE", "FAULT", "INTERRUPTED", "WRONG_INPUT", "worst"]

DONE = 0
FAULT = 1
"""An error of ivimkit itself."""

WRONG_INPUT = 2
"""Something the user gave cannot be used; also what the option parser returns."""

INTERRUPTED = 130
"""Ctrl-C, as in shells: 128 + SIGINT."""


CLOSED_PIPE = 141
"""Nobody reads the output any more, as after ``| head``: 128 + SIGPIPE, as in shells."""


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of a run of several parts: a fault before wrong input before done."""
    found = set(codes)
    return next((code for code in (FAULT, WRONG_INPUT) if code in found), DONE)
