"""The command line as it was typed, for the record of results."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ivimkit.addresses import public

__all__ = ["command_line", "remember_typed", "set_words_of_file"]

_ARGUMENTS = "ivimkit.arguments"
_OF_FILE = "ivimkit.words_of_file"
_FILES_OF_OPTIONS = ("--config", "--like")


def remember_typed(ctx: typer.Context, words: Sequence[str]) -> None:
    """Keep what was typed after the name of the program."""
    ctx.meta[_ARGUMENTS] = tuple(words)


def command_line(ctx: typer.Context) -> str:
    """Return the command line as it was typed, quoted for a shell; addresses without secrets.

    Options that were taken from a file or another result stand there in place of it.
    """
    # Import shlex only here: it takes as long as all of this module.
    from shlex import join

    words = _without_files(ctx.meta.get(_ARGUMENTS, ()), ctx.meta.get(_OF_FILE))
    return join(["ivimkit", *map(public, words)])


def set_words_of_file(ctx: typer.Context, words: Sequence[str]) -> None:
    """Remember the options that are from a file, as they would be typed."""
    ctx.meta[_OF_FILE] = tuple(words)


def _without_files(typed: Sequence[str], words: Sequence[str] | None) -> list[str]:
    """Return what was typed, with options instead of the files that they are from."""
    if not words:
        return list(typed)
    kept: list[str] = []
    skip = False
    for word in typed:
        name, is_set, _ = word.partition("=")
        if not skip and name not in _FILES_OF_OPTIONS:
            kept.append(word)
        skip = not skip and name in _FILES_OF_OPTIONS and not is_set
    return [*kept, *words]
