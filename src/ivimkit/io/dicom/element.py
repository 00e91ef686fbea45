"""Values of DICOM elements, whatever their value representation; private blocks by their owner."""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydicom import Dataset
from pydicom.filereader import read_sequence
from pydicom.tag import BaseTag, Tag

__all__ = ["PrivateTag", "first", "items", "number", "numbers", "raw", "text", "words"]

_TEXT = re.compile(rb"[-+0-9.eE\\ \0]+")
_BINARY = {"FD": "d", "FL": "f", "SS": "h", "US": "H", "SL": "i", "UL": "I"}
# Where the owner of an element is looked for, if not in its usual block.
_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0x13


@dataclass(frozen=True)
class PrivateTag:
    """An element of a vendor, in the block that its owner has reserved.

    Anonymisers and converters remove the names of the owners: the element is then looked for where
    the vendor writes it.

    Parameters
    ----------
    group : int
        Odd group, like 0x0019.
    element : int
        Block that the vendor usually gets and element in it, like 0x100C.
    vr : str
        Value representation, which files in implicit VR do not contain.
    owner : str
        Private creator, like ``"SIEMENS MR HEADER"``.
    """

    group: int
    element: int
    vr: str
    owner: str

    @property
    def name(self) -> str:
        """Its usual tag, for messages, like ``0019,100C``."""
        return f"{self.group:04X},{self.element:04X}"

    @property
    def places(self) -> list[int]:
        """Where it may be, with the names of the owners."""
        usual = self.element >> 8
        blocks = {usual, *range(_FIRST_BLOCK, _LAST_BLOCK + 1)}
        within = [(block << 8) | (self.element & 0xFF) for block in blocks]
        return [self.group << 16 | element for element in (*blocks, *within)]

    def place(self, header: Dataset) -> BaseTag:
        """Return the tag that the element has in a file."""
        usual = self.element >> 8
        for block in (usual, *range(_FIRST_BLOCK, _LAST_BLOCK + 1)):
            owner = BaseTag(self.group << 16 | block)
            if _has(header, owner) and text(header, owner).startswith(self.owner):
                return BaseTag(self.group << 16 | block << 8 | (self.element & 0xFF))
        return BaseTag(self.group << 16 | self.element)


AnyTag = PrivateTag | BaseTag | str


@cache
def _tag_of(keyword: str) -> BaseTag:
    return Tag(keyword)


def _has(header: Dataset, tag: BaseTag) -> bool:
    # A header itself would first make another tag of the tag.
    return tag in header.keys()  # noqa: SIM118


def _value(header: Dataset, tag: AnyTag) -> Any:
    if isinstance(tag, PrivateTag):
        tag = tag.place(header)
    elif isinstance(tag, str):
        tag = _tag_of(tag)
    try:
        found = header[tag] if _has(header, tag) else None
    except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError):
        # A number that is not one: pydicom converts elements when they are first asked for.
        return None
    return None if found is None else found.value


def numbers(header: Dataset, tag: AnyTag) -> tuple[float, ...]:
    r"""Return the numbers of an element; none if it is missing, empty, or not numbers.

    Parameters
    ----------
    header : Dataset
        The header, or an item of a sequence.
    tag : PrivateTag, BaseTag or str
        The element.

    Returns
    -------
    tuple of float
        Only finite ones: an element with NaN is treated as empty.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> from ivimkit.io.dicom.element import PrivateTag, numbers
    >>> header = Dataset()
    >>> header.add_new((0x0043, 0x1039), "UN", b"1000000400\\8\\0\\0")
    >>> numbers(header, PrivateTag(0x0043, 0x1039, "IS", "GEMS_PARM_01"))
    (1000000400.0, 8.0, 0.0, 0.0)
    """
    value = _value(header, tag)
    if isinstance(value, bytes | bytearray):
        value = _of_bytes(bytes(value), tag.vr if isinstance(tag, PrivateTag) else "")
    if value is None or value == "":
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = [value]
    try:
        found = tuple(float(one) for one in value)
    except (TypeError, ValueError):
        return ()
    return found if all(map(math.isfinite, found)) else ()


def _of_bytes(value: bytes, vr: str) -> list[Any] | None:
    """Return the numbers of an element of unknown representation: text, or binary as expected."""
    code = _BINARY.get(vr)
    if code is not None and value and len(value) % struct.calcsize(code) == 0:
        return list(struct.unpack(f"<{len(value) // struct.calcsize(code)}{code}", value))
    if _TEXT.fullmatch(value):
        parts = value.decode("ascii").strip("\0 ").split("\\")
        return parts if parts != [""] else None
    return None


def number(header: Dataset, tag: AnyTag) -> float | None:
    """Return the first number of an element; None if it has none."""
    found = numbers(header, tag)
    return found[0] if found else None


def raw(header: Dataset, tag: AnyTag) -> bytes:
    """Return the bytes of an element; none if it is missing, or is not bytes."""
    value = _value(header, tag)
    return bytes(value) if isinstance(value, bytes | bytearray) else b""


def text(header: Dataset, tag: AnyTag) -> str:
    """Return the text of an element, without blanks around it; empty if it is missing."""
    value = _value(header, tag)
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("latin-1")
    if value is None:
        return ""
    if not isinstance(value, str) and isinstance(value, Sequence):
        value = "\\".join(map(str, value))
    return str(value).strip("\0 ")


def words(header: Dataset, tag: AnyTag) -> tuple[str, ...]:
    """Return the values of an element of several, like Image Type, in upper case."""
    return tuple(word.strip().upper() for word in text(header, tag).split("\\") if word.strip())


def items(header: Dataset, tag: PrivateTag) -> Sequence[Dataset]:
    """Return the items of a private sequence; none if it is missing, or is not one.

    In implicit VR nothing says that the element is a sequence: its bytes are then parsed here.
    """
    value = _value(header, tag)
    if isinstance(value, bytes | bytearray):
        stream = io.BytesIO(bytes(value))
        value = read_sequence(stream, True, True, len(value), "latin-1")
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return value if several else ()


def first(header: Dataset, sequence: PrivateTag | str) -> Dataset:
    """Return the first item of a sequence; an empty one if there is none."""
    items = _value(header, sequence)
    return items[0] if isinstance(items, Sequence) and len(items) else Dataset()
