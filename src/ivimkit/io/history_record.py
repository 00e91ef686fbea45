"""The history of a scan as a record: in ``fit.json``, and in the sidecar of such a scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ivimkit.errors import FileFormatError
from ivimkit.io.json_form import converted
from ivimkit.io.json_text import plain, restored
from ivimkit.io.record_form import HistoryRecord, SourceRecord, StepForm
from ivimkit.scan.history import NO_HISTORY, History, StepRecord
from ivimkit.scan.source import Source

__all__ = ["HISTORY_KEY", "history_from_sidecar", "history_of", "history_record"]

HISTORY_KEY = "IvimkitHistory"
"""The key of the history in the JSON sidecar of a scan."""


def history_record(history: History) -> HistoryRecord:
    """Return the record of a history."""
    return HistoryRecord(
        steps=[
            StepForm(
                name=step.name,
                summary=step.summary,
                options=plain(dict(step.options)),
                versions=dict(step.versions),
                numbers=plain(dict(step.numbers)),
                noise=step.noise,
                references=list(step.references),
            )
            for step in history.steps
        ],
        sources=[SourceRecord(**source.to_dict()) for source in history.sources],
        not_judged=dict(history.not_judged),
    )


def history_of(record: HistoryRecord | None) -> History:
    """Return the history of a record; an empty one for none."""
    if record is None:
        return NO_HISTORY
    return History(
        steps=tuple(
            StepRecord(
                name=step.name,
                summary=step.summary,
                options=restored(step.options),
                versions=step.versions,
                numbers=restored(step.numbers),
                noise=step.noise,
                references=tuple(step.references),
            )
            for step in record.steps
        ),
        sources=tuple(Source(**msgspec.to_builtins(source)) for source in record.sources),
        not_judged=record.not_judged,
    )


def history_from_sidecar(content: Mapping[str, Any], path: Path) -> History:
    """Return the history of a scan that its sidecar tells; an empty one if it tells none.

    Raises
    ------
    FileFormatError
        If it is damaged: a scan whose noise is not known must not be taken for one as acquired.
    """
    if HISTORY_KEY not in content:
        return NO_HISTORY
    try:
        return history_of(
            converted({HISTORY_KEY: content[HISTORY_KEY]}, _InSidecar).IvimkitHistory
        )
    except ValueError as error:
        raise FileFormatError(
            f"{path} has a damaged history of its scan ({error}); expected what ivimkit "
            "preprocess wrote. Preprocess the scan again"
        ) from None


class _InSidecar(msgspec.Struct):
    IvimkitHistory: HistoryRecord
