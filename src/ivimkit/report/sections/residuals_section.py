"""Residuals: residuals of the fit, by b-value, slice and volume."""

from __future__ import annotations

from ivimkit.figures.picture import Picture
from ivimkit.figures.residual_panels import residual_panels
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Items, Pictures, Section, Text
from ivimkit.rounding import thousands

__all__ = ["residuals"]


def residuals(subject: Subject) -> Section | None:
    """Return the section of the residuals; None if no result has its scan.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    if all(side.residuals is None for side in subject.sides):
        return None
    return Section("Residuals", "residuals", subject.each(lambda side: _of_one(subject, side)))


def _of_one(subject: Subject, side: Side) -> list[Block]:
    found = side.residuals
    if found is None:
        why = "The scan is not available." if side.result.dwi is None else "There are none."
        return [Text(why, "note")]
    of_regions = [finding for finding in subject.findings(side) or () if finding.region]
    every = [*(side.findings or ()), *of_regions]
    findings = [f"{finding.sentence} {finding.advice}".strip() for finding in every]
    said: list[Block] = (
        [Items(findings)] if findings else [Text("No b-value, slice or volume stands out.")]
    )
    share = "all" if found.n == found.n_fitted else f"{thousands(found.n)} voxels drawn of"
    caption = (
        f"Measured minus fitted signal in {share} {thousands(found.n_fitted)} fitted voxels. A "
        "b-value that stands out may be wrong; a slice or volume that stands out was moved or "
        "disturbed. Orange bars and framed cells mark those named in the text above."
    )
    return [
        *said,
        Pictures([Picture(residual_panels(found, findings=every), caption)]),
    ]
