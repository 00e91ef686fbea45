"""Facts: which scan a report is about, when it was fitted, the organ, the protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from ivimkit.fitting.result import FitResult
from ivimkit.report.report_subject import Subject
from ivimkit.report.section_blocks import Facts
from ivimkit.rounding import several, times

__all__ = ["study_facts"]

_DIGITS = 8
"""Digits of the SHA-256 of a scan that stand for its name."""


def study_facts(subject: Subject) -> Facts:
    """Return study, date, organ and protocol; both values where two results differ.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    facts: dict[str, Callable[[FitResult], str]] = {
        "Scan": lambda result: _scan(result, subject.anonymous),
        "Fitted": lambda result: result.provenance.started[:10] or "date not recorded",
        "Organ": _organ,
        "Protocol": _protocol,
    }
    shown = []
    for name, of in facts.items():
        found = [of(side.result) for side in subject.sides]
        if len(set(found)) > 1:
            pairs = zip(subject.sides, found, strict=True)
            shown.append((name, "; ".join(f"{side.name}: {fact}" for side, fact in pairs)))
        else:
            shown.append((name, found[0]))
    return Facts(shown)


def _scan(result: FitResult, anonymous: bool) -> str:
    """Return the name of the scan, or the start of its SHA-256, which identifies it, too."""
    source = next((one for one in result.provenance.sources if one["role"] == "scan"), None)
    if source is None:
        return "an array, without a file"
    if anonymous:
        return f"SHA-256 {source['sha256'][:_DIGITS]}…"
    return PurePath(source["path"]).name


def _organ(result: FitResult) -> str:
    return result.settings.organ or "not named"


def _protocol(result: FitResult) -> str:
    acquisition = result.acquisition.with_directions_together()
    b = sorted({shell.b for shell in acquisition.shells})
    ends = f" from {b[0]:g} to {b[-1]:g} s/mm²" if len(b) > 1 else f": {b[0]:g} s/mm²"
    volumes = several(result.acquisition.n_volumes, "volume")
    steps = [step.name for step in result.provenance.history.steps]
    before = f"; before the fit: {', '.join(steps)}" if steps else ""
    return (
        f"{several(len(b), 'b-value')}{ends}, {volumes}; "
        f"{times(result.shape, 'voxel')} of {result.geometry.size_text}{before}"
    )
