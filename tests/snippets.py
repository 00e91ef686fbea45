"""Snippets: the fenced blocks of a Markdown page, and how each kind is run."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RUN", "SHOWN", "Snippet", "run_snippets", "snippets_of"]

RUN = ("python", "pycon", "sh")
"""Languages that are run, in the order of the page: code, a session with its output, a shell."""

SHOWN = ("text", "json", "bibtex")
"""Languages that are only shown."""

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)(?P<about>[^\n]*)\n(?P<code>.*?)^(?P=indent)```",
    re.M | re.S,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Snippet:
    """One fenced block.

    Parameters
    ----------
    page : Path
        The file it is in.
    line : int
        Line of its first line of code, from 1.
    language : str
        What is written behind the fence.
    code : str
        Its text, without the indentation of the fence.
    file : str
        Name of the file that it is, by its title; empty for none.
    """

    page: Path
    line: int
    language: str
    code: str
    file: str = ""


def snippets_of(page: Path) -> list[Snippet]:
    """Return all fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Snippet(
            page,
            text.count("\n", 0, match.start()) + 2,
            match["language"],
            re.sub(f"^{match['indent']}", "", match["code"], flags=re.M),
            (_TITLE.findall(match["about"]) or [""])[0],
        )
        for match in _FENCE.finditer(text)
    ]


def run_snippets(page: Path, shell: Callable[[list[str]], None]) -> None:
    """Run the blocks of a page in their order; Python blocks share a namespace.

    A block with the name of a file as its title is written to that file instead.

    Parameters
    ----------
    page : Path
        The page.
    shell : callable
        Runs one command, given as words.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for snippet in snippets_of(page):
        if snippet.file:
            Path(snippet.file).write_text(snippet.code, encoding="utf-8")
        elif snippet.language == "python":
            # Empty lines in front, so that a traceback shows the line of the page.
            source = "\n" * (snippet.line - 1) + snippet.code
            exec(compile(source, str(page), "exec"), namespace)
        elif snippet.language == "pycon":
            _run_session(snippet, namespace)
        elif snippet.language == "sh":
            for words in _commands(snippet):
                shell(words)


def _run_session(snippet: Snippet, namespace: dict[str, Any]) -> None:
    where = f"{snippet.page.name}:{snippet.line}"
    test = doctest.DocTestParser().get_doctest(
        snippet.code, namespace, where, str(snippet.page), snippet.line - 1
    )
    test.globs = namespace  # The parser has made a copy; names must outlive the session.
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)


def _commands(snippet: Snippet) -> list[list[str]]:
    """Return the words of each command; a backslash at the end of a line continues it."""
    lines = snippet.code.replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines]
    return [words for words in found if words]
