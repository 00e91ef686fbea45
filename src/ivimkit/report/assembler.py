"""Assembler: turns sections, which are data, into one self-contained page."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ivimkit.errors import OptionError
from ivimkit.figures.picture import Encoded, Picture
from ivimkit.report.section_blocks import Beside, Block, Front, Section, Table
from ivimkit.rounding import unbroken

__all__ = ["assemble"]


def assemble(sections: Sequence[Section], *, title: str, subtitle: str) -> str:
    """Return a page of sections as one HTML file, with pictures, style and script embedded.

    Parameters
    ----------
    sections : sequence of Section
        The sections, in this order.
    title, subtitle : str
        The heading.

    Returns
    -------
    str
        HTML. Texts are escaped, and a content security policy keeps the page from loading
        anything.

    Raises
    ------
    OptionError
        If two sections have the same id.

    Examples
    --------
    >>> from ivimkit.report.assembler import assemble
    >>> from ivimkit.report.section_blocks import Section, Text
    >>> page = assemble([Section("First", "first", [Text("a < b")])], title="T", subtitle="")
    >>> "a &lt; b" in page
    True
    """
    twice = [name for name, n in Counter(section.id for section in sections).items() if n > 1]
    if twice:
        raise OptionError(
            f"two sections have the id {twice[0]!r}; expected one each. Rename one of them"
        )
    environment = _environment()
    blocks: Any = environment.get_template("blocks.html").module
    shown = [
        {
            "title": section.title,
            "id": section.id,
            "body": _body(blocks, section),
            "folded": section.folded,
        }
        for section in sections
    ]
    style, script = _asset("report.css"), _asset("report.js")
    return environment.get_template("report.html").render(
        title=title,
        subtitle=subtitle,
        sections=shown,
        folded=any(section.folded for section in sections),
        version=version("ivimkit"),
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
    )


@cache
def _environment() -> Environment:
    """Return the templates, compiled once: that takes longer than all else about a page."""
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("ivimkit.report", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_unbroken,
    )
    environment.globals.update(encoded=_encoded, is_number=_is_number, split_doi=_split_doi)
    return environment


def _unbroken(value: Any) -> Any:
    """Return a text of the page with numbers and units on one line; code and HTML as they are."""
    return unbroken(value) if type(value) is str else value


def _body(blocks: Any, section: Section) -> Markup:
    shown = [
        _show(blocks, block, f"{section.id}-{number}")
        for number, block in enumerate(section.blocks, start=1)
    ]
    return Markup("").join(shown)


def _show(blocks: Any, block: Block, place: str) -> Markup:
    """Return a block as HTML; `place` is the prefix of all ids inside it."""
    inside = []
    if isinstance(block, Beside | Front):
        for column, (name, parts) in enumerate(block.columns, start=1):
            here = [
                _show(blocks, part, f"{place}-{column}-{number}")
                for number, part in enumerate(parts, start=1)
            ]
            inside.append((name, Markup("").join(here)))
    return Markup(getattr(blocks, block.kind)(block, place, inside))


def _encoded(picture: Picture) -> Encoded:
    return picture.encoded()


def _is_number(table: Table, column: int) -> bool:
    return table.words <= column < len(table.head) - table.tail


def _split_doi(text: str) -> tuple[str, str]:
    """Return the text before a DOI at the end of a text, and the DOI; empty if none."""
    words, found, doi = text.partition("doi:")
    return (words.rstrip(), doi.rstrip(".")) if found else (text, "")


@cache
def _asset(name: str) -> str:
    return (files("ivimkit.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the hash by which the policy of the page allows its script and style."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
