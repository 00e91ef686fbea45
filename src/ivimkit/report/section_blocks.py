"""Section and its blocks: the content of a report as data, for the assembler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ivimkit.figures.picture import Picture
from ivimkit.quality.result_checks import Light

__all__ = [
    "Beside",
    "Block",
    "Code",
    "Facts",
    "Front",
    "Items",
    "Lamps",
    "LampsOfTwo",
    "Links",
    "Overall",
    "Pictures",
    "Section",
    "Table",
    "Text",
    "Title",
]


@dataclass(frozen=True)
class Block:
    """Base of all blocks.

    Attributes
    ----------
    kind : str
        Name of the macro in ``templates/blocks.html`` that shows it.
    """

    kind: ClassVar[str]


@dataclass(frozen=True)
class Text(Block):
    """A paragraph.

    Parameters
    ----------
    text : str
        Plain text.
    tone : {"plain", "note", "hint", "lead", "warning"}
        A note is about the numbers; a hint is about the page on a screen and is not printed; a
        lead is the main message of the section, and a warning what forbids to trust it.
    """

    kind: ClassVar[str] = "text"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Title(Block):
    """A heading below that of the section.

    Parameters
    ----------
    text : str
        The heading.
    """

    kind: ClassVar[str] = "title"
    text: str


@dataclass(frozen=True)
class Lamps(Block):
    """Traffic-light checks.

    Parameters
    ----------
    lights : sequence of Light
        One row each.
    """

    kind: ClassVar[str] = "lamps"
    lights: Sequence[Light]


@dataclass(frozen=True)
class LampsOfTwo(Block):
    """Traffic-light checks of two results in one table.

    Parameters
    ----------
    names : (str, str)
        Names of the results.
    pairs : sequence of (Light or None, Light or None)
        One row each: the same check of both; None where a result does not have it.
    """

    kind: ClassVar[str] = "lamps_of_two"
    names: tuple[str, str]
    pairs: Sequence[tuple[Light | None, Light | None]]


@dataclass(frozen=True)
class Overall(Block):
    """The overall light of a result, and the checks that are not good.

    Parameters
    ----------
    light : Light
        The overall light.
    lights : sequence of Light
        The checks that it summarises.
    name : str
        Name of the result; empty if there is only one.
    about : str
        What the checks were made of.
    """

    kind: ClassVar[str] = "overall"
    light: Light
    lights: Sequence[Light]
    name: str = ""
    about: str = ""


@dataclass(frozen=True)
class Facts(Block):
    """What a page is about, in a few words each.

    Parameters
    ----------
    facts : sequence of (str, str)
        What is said, and what it is.
    """

    kind: ClassVar[str] = "facts"
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table(Block):
    """A table of text and numbers.

    Parameters
    ----------
    head : sequence of str
        Titles of the columns.
    rows : sequence of sequence of str
        Cells, ready to be shown.
    caption : str
        What the table shows.
    words : int
        Number of text columns from the left; the others are numbers, right-aligned.
    tail : int
        Number of text columns at the right end.
    """

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    words: int = 1
    tail: int = 0


@dataclass(frozen=True)
class Pictures(Block):
    """A group of figures, each of which can be enlarged.

    Parameters
    ----------
    pictures : sequence of Picture
        The figures with caption and alternative text.
    small : bool
        Whether they are shown as thumbnails, to be opened one by one.
    fits : bool
        Whether they are shown so small that the first screen has room for them.
    """

    kind: ClassVar[str] = "pictures"
    pictures: Sequence[Picture]
    small: bool = False
    fits: bool = False


@dataclass(frozen=True)
class Code(Block):
    """Text to copy, with a copy button.

    Parameters
    ----------
    text : str
        The text.
    label : str
        Its label.
    folded : bool
        Whether it is hidden until opened.
    prose : bool
        Whether it is prose, not code.
    """

    kind: ClassVar[str] = "code"
    text: str
    label: str
    folded: bool = False
    prose: bool = False


@dataclass(frozen=True)
class Items(Block):
    """A list.

    Parameters
    ----------
    items : sequence of str
        Its entries.
    numbered : bool
        Whether they are numbered, like references.
    """

    kind: ClassVar[str] = "items"
    items: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True)
class Links(Block):
    """A list of files next to the page.

    Parameters
    ----------
    links : sequence of (str, str, str)
        Relative path of each file, its name, and what to say about it.
    """

    kind: ClassVar[str] = "links"
    links: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Beside(Block):
    """Blocks of several results side by side; stacked on a narrow page.

    Parameters
    ----------
    columns : sequence of (str, sequence of Block)
        Title and blocks of each result.
    """

    kind: ClassVar[str] = "beside"
    columns: Sequence[tuple[str, Sequence[Block]]]


@dataclass(frozen=True)
class Front(Block):
    """Blocks that belong on the first screen: what was found, and beside it how good that is.

    Parameters
    ----------
    columns : sequence of (str, sequence of Block)
        The main column and the narrow one; they have no titles.
    """

    kind: ClassVar[str] = "front"
    columns: Sequence[tuple[str, Sequence[Block]]]


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Parameters
    ----------
    title : str
        Heading, and entry in the table of contents.
    id : str
        Link target; unique in a report.
    blocks : sequence of Block
        Its content.
    folded : bool
        Whether only the heading is shown until it is opened; it is printed open.
    """

    title: str
    id: str
    blocks: Sequence[Block] = field(repr=False)
    folded: bool = False
