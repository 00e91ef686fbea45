"""Status: which voxels were fitted, which were not, why, and what to do."""

from __future__ import annotations

import math

from ivimkit.figures.picture import Picture
from ivimkit.figures.status_panels import status_panels
from ivimkit.quality.status_checks import status_rows
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Pictures, Section, Table
from ivimkit.rounding import percent, thousands

__all__ = ["status"]


def status(subject: Subject) -> Section:
    """Return the section of the status map and its counts.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    return Section("Status of the voxels", "status", subject.each(_of_one))


def _of_one(side: Side) -> list[Block]:
    caption = "Each voxel has the colour of its most serious flag."
    pictures = [Picture(status_panels(side.result), caption)] if side.is_image else []
    return [*([Pictures(pictures)] if pictures else []), _counts(side)]


def _counts(side: Side) -> Table:
    rows = [
        (
            row.words,
            thousands(row.n),
            "–" if math.isnan(row.share) else percent(row.share),
            row.sentence,
            row.advice,
        )
        for row in status_rows(side.result)
    ]
    head = ("status", "voxels", "share of the mask", "meaning", "what to do")
    return Table(head, rows, "A voxel with two flags counts in both", words=1, tail=2)
