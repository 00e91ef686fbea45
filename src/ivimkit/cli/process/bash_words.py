"""Words of bash: it splits them at ``=`` and ``:`` before it asks for completions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO

__all__ = ["asks_for_completion", "whole_words"]

_BREAKS = frozenset("=:")
_WORDS, _PLACE = "COMP_WORDS", "COMP_CWORD"


def asks_for_completion(environment: Mapping[str, str]) -> bool:
    """Return whether bash has started the program to get completions.

    Parameters
    ----------
    environment : mapping of str to str
        That of the process.
    """
    asked = environment.get("_IVIMKIT_COMPLETE") == "complete_bash"
    # The script that is installed writes one word per line.
    return asked and "\n" in environment.get(_WORDS, "")


@contextmanager
def whole_words() -> Iterator[None]:
    """Join the words of bash, and print of each completion what follows what it has split off.

    ``--option noise=r`` has four words to bash, of which it replaces the last by what is printed.
    A name without its value is printed twice: behind a single word bash would put a space.
    """
    words, place, before = _joined(os.environ[_WORDS].split("\n"), int(os.environ[_PLACE]))
    os.environ[_WORDS], os.environ[_PLACE] = "\n".join(words), str(place)
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        lines = [line.removeprefix(before) for line in printed.getvalue().splitlines()]
        if len(lines) == 1 and lines[0].endswith("="):
            lines.append(f"{lines[0]}...")
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def _joined(words: list[str], place: int) -> tuple[list[str], int, str]:
    """Return whole words, the position of the current one, and the start that bash keeps."""
    found: list[str] = []
    own, before, follows = 0, "", False
    for position, word in enumerate(words):
        is_break = bool(word) and set(word) <= _BREAKS
        # An empty word stands behind a space.
        if found and (is_break or (follows and word)):
            start = found[-1]
            found[-1] += word
        else:
            start = ""
            found.append(word)
        if position == place:
            own, before = len(found) - 1, found[-1] if is_break else start
        follows = is_break
    if before.startswith("-"):
        # Of --option=noise=r, completions are those of the value.
        _, _, before = before.partition("=")
    return found, own, before
