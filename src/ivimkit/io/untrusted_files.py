"""File content is not trusted: whatever reading it raises becomes one error."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ivimkit.errors import FileFormatError, IvimkitError

__all__ = ["reason_of", "untrusted"]

_MAX_LETTERS = 200
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (MemoryError, "it would need more memory than is available"),
    (RecursionError, "it is nested too deeply"),
    (OverflowError, "it holds a number that is too large"),
    (UnicodeError, "it is not text in UTF-8"),
    (EOFError, "it ends too early"),
    (zlib.error, "its compressed part is damaged"),
    (zipfile.BadZipFile, "it is damaged"),
)
_KINDS_OF_PYTHON = (AttributeError, TypeError, IndexError, AssertionError, SyntaxError)


@contextmanager
def untrusted(refuse: Callable[[str], IvimkitError]) -> Iterator[None]:
    """Turn any error in reading the content of a file into one error with a sentence.

    Parsers raise anything: numpy, zipfile, json, pandas and openpyxl raise nearly every exception
    that Python has, and a list of them is never complete. So this wraps the reading of content, as
    tightly as possible, and nothing else.

    Parameters
    ----------
    refuse : callable
        Makes the error from the reason. A `FileFormatError` from within passes unchanged; other
        errors of ivimkit become the reason.

    Examples
    --------
    >>> from ivimkit.errors import FileFormatError
    >>> from ivimkit.io.untrusted_files import untrusted
    >>> with untrusted(lambda why: FileFormatError(f"x.json is damaged: {why}")):
    ...     {}["shape"]
    Traceback (most recent call last):
    ...
    ivimkit.errors.FileFormatError: x.json is damaged: it has no 'shape'
    """
    try:
        yield
    except (FileFormatError, Warning):
        raise
    except Exception as error:
        raise refuse(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """Return why content cannot be read, in plain words, on one line.

    Parameters
    ----------
    error : Exception
        The exception from a parser.

    Examples
    --------
    >>> from ivimkit.io.untrusted_files import reason_of
    >>> reason_of(RecursionError("maximum recursion depth exceeded"))
    'it is nested too deeply'
    """
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON from line {error.lineno}, column {error.colno} on"
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    if isinstance(error, KeyError) and re.fullmatch(r"'\w{1,60}'", str(error)):
        return f"it has no {error}"
    text = " ".join(str(error).split())
    if "integer string conversion" in text:
        return "it holds a number of thousands of digits"
    if not text or isinstance(error, _KINDS_OF_PYTHON):
        return "its content has a wrong type"
    return text if len(text) <= _MAX_LETTERS else f"{text[:_MAX_LETTERS]}..."
