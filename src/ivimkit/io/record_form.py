"""What ``fit.json`` has to hold: each field with its kind, checked before anything is made of it.

What is not named here may be there: later versions and other programs add what they like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

__all__ = ["checked_form"]

Numbers = list[float]
Row = tuple[float, float, float, float]
_KINDS = {
    "object": "names with values",
    "array": "a list",
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}
_NAMED_KINDS = re.compile(r"`(\w+(?: \| \w+)*)`")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
FileName = Annotated[str, msgspec.Meta(pattern=r"\A[^/\\\x00-\x1f]{1,200}\Z")]
Code = Annotated[int, msgspec.Meta(ge=-(2**15), lt=2**15)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Length = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
# Pairs of numbers, no number for one that is infinite.
Pairs = dict[str, tuple[float | None, float | None]]


class _Parameter(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    symbol: str
    unit: str
    lower: float
    upper: float
    start: float
    display: tuple[float, float]
    description: str = ""


class _Acquisition(msgspec.Struct, forbid_unknown_fields=True):
    bvals: Numbers
    bvecs: list[Numbers] | None = None
    tolerance: float | None = None
    labels: list[int] | None = None
    variables: dict[str, list[float | str]] | None = None


class _Geometry(msgspec.Struct):
    affine: tuple[Row, Row, Row, Row]
    voxel_units: Literal["unknown", "meter", "mm", "micron"]
    sform_code: Code
    qform_code: Code
    affine_units: str = "mm"


class _Result(msgspec.Struct):
    model: str
    parameters: list[_Parameter]
    fixed_maps: list[FileName]
    method: str
    method_options: dict[str, Any]
    acquisition: _Acquisition
    geometry: _Geometry
    shape: Annotated[list[Length], msgspec.Meta(max_length=7)]
    maps: list[FileName]
    priors: list[FileName] = []


class _Region(msgspec.Struct):
    prior: str | None
    prior_options: dict[str, Any]
    prior_given: bool
    variance: Literal["scan", "voxel"] | tuple[float, float]


class _Scan(msgspec.Struct):
    b_unit: str | None = None
    average: str | None = None
    tolerance: float | None = None
    bmin: float | None = None
    bmax: float | None = None
    bvals: Numbers | None = None
    volumes: list[int] | None = None
    where: str | None = None
    echo_time: float | Numbers | None = None
    stack: bool = False


class _Options(msgspec.Struct):
    bounds: Pairs = {}
    start: dict[str, float] = {}
    display: Pairs = {}
    uncertainty: str | None = None
    uncertainty_options: dict[str, Any] = {}
    sigma: float | Literal["map"] | None = None
    average: str = "auto"
    weights: Numbers | None = None
    adc_bvals: Numbers | None = None
    organ: str | None = None
    scan: _Scan | None = None
    regions: dict[str, _Region] = {}


class _Source(msgspec.Struct):
    role: str
    path: str
    sha256: str


class _Record(msgspec.Struct):
    result: _Result
    versions: dict[str, str]
    call: str
    options: _Options
    bvals: Numbers
    counts: Numbers
    sources: list[_Source]
    started: str
    seconds: float
    threads: int
    status_counts: dict[str, Count]
    device: str = "cpu"


def checked_form(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of ``fit.json`` if each field of it is of its kind.

    Parameters
    ----------
    content : dict
        What the file holds.

    Raises
    ------
    ValueError
        With the place in the file, if a field is missing or of another kind.

    Examples
    --------
    >>> from ivimkit.io.record_form import checked_form
    >>> checked_form({"result": []})
    Traceback (most recent call last):
    ...
    ValueError: result: expected names with values, got a list
    """
    try:
        record = msgspec.convert(content, _Record)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(str(error))) from None
    if len(record.bvals) != len(record.counts):
        raise ValueError(f"there are {len(record.bvals)} b-values and {len(record.counts)} counts")
    for name, values in _lists(record):
        # Numbers of hundreds of digits are numbers to JSON, and to nothing else.
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"{name} has numbers that are not finite")
    return content


def _lists(record: _Record) -> Iterator[tuple[str, Numbers]]:
    yield "bvals", record.bvals
    yield "counts", record.counts
    yield "options.weights", record.options.weights or []
    yield "options.adc_bvals", record.options.adc_bvals or []


def _sentence(error: str) -> str:
    """Return ``place: what is wrong`` for msgspec's ``What is wrong - at `$.place```."""
    missing = _MISSING.match(error)
    if missing:
        return repr(missing[1])
    error = _NAMED_KINDS.sub(lambda found: _in_words(found[1]), error)
    what, at, place = error.partition(" - at `$.")
    what = what[:1].lower() + what[1:]
    return f"{place.rstrip('`')}: {what}" if at else what


def _in_words(kinds: str) -> str:
    """Return the words for ``float | null``; as it is, in its marks, if it names no kinds."""
    words = [_KINDS.get(kind) for kind in kinds.split(" | ")]
    return f"`{kinds}`" if None in words else " or ".join(map(str, words))
