"""Provenance: the files, versions and settings behind a result, and how to run it again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ivimkit.fitting.result import FitResult
from ivimkit.io.record import result_record
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.rerun_command import rerun
from ivimkit.report.section_blocks import Block, Code, Items, Section, Table, Text

__all__ = ["provenance"]

_MAX_NUMBERS = 512
_LIST = re.compile(r"\[[^\[\]{}\"]*\]")


def provenance(subject: Subject) -> Section:
    """Return the section of the provenance.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """

    def of_one(side: Side) -> list[Block]:
        return _of_one(side.result, subject.anonymous)

    return Section("Provenance", "provenance", subject.each(of_one))


def _of_one(result: FitResult, anonymous: bool) -> list[Block]:
    record = result.provenance
    again = rerun(result, anonymous=anonymous)
    notes: list[Block] = [Items(again.notes)] if again.notes else []
    when = f"Fitted {record.started} in {record.seconds:.1f} s on {record.threads} threads."
    unnamed = (
        "Files are named by their roles, because their names may contain that of a patient; their "
        "SHA-256 identifies them."
    )
    return [
        *([Text(when)] if record.started else []),
        Code(again.command, "Run this again"),
        *notes,
        *([Text(unnamed, "note")] if anonymous and record.sources else []),
        *_files(result.provenance.sources, "Input files", anonymous),
        *_raw_files(result, anonymous),
        Code(_as_json(_shown(result, anonymous)), "Full record of the fit", folded=True),
    ]


def _files(sources: Sequence[Mapping[str, str]], title: str, anonymous: bool) -> list[Block]:
    if not sources:
        return [Text("The scan was an array: there are no input files.", "note")]
    if anonymous:
        rows = [(source["role"], source["sha256"]) for source in sources]
        return [Table(("file", "SHA-256"), rows, title, words=2)]
    named = [(source["role"], source["path"], source["sha256"]) for source in sources]
    return [Table(("file", "path", "SHA-256"), named, title, words=3)]


def _raw_files(result: FitResult, anonymous: bool) -> list[Block]:
    """Return the files of the scan before the steps that were applied to it."""
    history = result.provenance.history
    raw = [source.to_dict() for source in history.sources]
    return _files(raw, "Files of the scan as acquired", anonymous) if raw else []


def _shown(result: FitResult, anonymous: bool) -> Mapping[str, Any]:
    """Return the record; without the typed command and paths if it is to be anonymous."""
    whole: dict[str, Any] = msgspec.to_builtins(result_record(result, []))
    record = {part: whole[part] for part in ("settings", "learned", "provenance")}
    if anonymous:
        del record["settings"]["call"]
        reading = record["settings"].get("reading")
        if reading and reading.get("series"):
            # Numbers of series are as good as anonymous, their UIDs are not.
            reading["series"] = [name for name in reading["series"] if "." not in name]
        for part in (record["provenance"], record["provenance"]["history"]):
            for source in part["sources"]:
                del source["path"]
    return record


def _as_json(record: Mapping[str, Any]) -> str:
    text = json.dumps(_plain(record), indent=2, ensure_ascii=False, default=str)
    # Lists of numbers on one line: otherwise they fill most of the page.
    return _LIST.sub(lambda match: " ".join(match[0].split()), text)


def _plain(value: Any) -> Any:
    """Return as JSON types; for a table of numbers, such as a prior, only its size."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return value
    size = np.asarray(value, dtype=object).size
    return f"{size} numbers" if size > _MAX_NUMBERS else [_plain(item) for item in value]
