"""The answers that are tables: what fit, roi, compare and repeat print with --json."""

from __future__ import annotations

from typing import Literal

import msgspec

from ivimkit.cli.answers.json_answer import Answer, Row

__all__ = [
    "CompareAnswer",
    "ComparedScan",
    "FitAnswer",
    "FittedScan",
    "RepeatAnswer",
    "RoiAnswer",
    "StatusForm",
]


class StatusForm(msgspec.Struct):
    """A flag of the status: voxels that have it, their share of those fitted, what it means."""

    name: str
    n: int
    share: float | None
    sentence: str


class FittedScan(msgspec.Struct, kw_only=True):
    """One fit; of a scan that cannot be fitted there is the error alone.

    A row of `maps` has the columns map, unit, n, median, q25 and q75, and sd where there is one.
    """

    scan: str
    error: str | None = None
    folder: str = ""
    model: str = ""
    method: str = ""
    n_voxels: int = 0
    seconds: float = 0.0
    threads: int = 0
    maps: list[Row] = []
    status: list[StatusForm] = []


class FitAnswer(Answer, kw_only=True):
    """What ``ivimkit fit --json`` prints: one entry for each scan."""

    format: Literal["ivimkit fit"] = "ivimkit fit"
    scans: list[FittedScan]


class RoiAnswer(Answer, kw_only=True):
    """What ``ivimkit roi --json`` prints: the tables that --out writes.

    `maps` has a row for each region and map, `regions` one for each region, `comparison` one for
    each map if a lesion was compared, and `sentence` says what came out.
    """

    format: Literal["ivimkit roi"] = "ivimkit roi"
    result: str
    maps: list[Row]
    regions: list[Row]
    comparison: list[Row] | None = None
    sentence: str | None = None


class ComparedScan(msgspec.Struct, kw_only=True):
    """One comparison: a row for each region, and verdicts; or the error alone."""

    scan: str
    error: str | None = None
    folder: str = ""
    models: list[str] = []
    left_out: dict[str, str] = {}
    regions: list[Row] = []
    verdicts: list[str] = []


class CompareAnswer(Answer, kw_only=True):
    """What ``ivimkit compare --json`` prints: one entry for each scan."""

    format: Literal["ivimkit compare"] = "ivimkit compare"
    criterion: str
    scans: list[ComparedScan]


class RepeatAnswer(Answer, kw_only=True):
    """What ``ivimkit repeat --json`` prints: the tables that --out writes.

    Either `repeatability` or, with --change, `change` has rows; `values` are what they are from.
    """

    format: Literal["ivimkit repeat"] = "ivimkit repeat"
    repeatability: list[Row] | None = None
    change: list[Row] | None = None
    values: list[Row]
