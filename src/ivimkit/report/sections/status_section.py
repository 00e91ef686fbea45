"""Status: which voxels were fitted, which were not, why, and what to do."""

from __future__ import annotations

import numpy as np

from ivimkit.figures.picture import Picture
from ivimkit.figures.status_panels import status_panels
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Pictures, Section, Table
from ivimkit.rounding import percent, thousands
from ivimkit.status import FitStatus, explain, in_words

__all__ = ["status"]


def status(subject: Subject) -> Section:
    """Return the section of the status map and its counts.

    Parameters
    ----------
    subject : Subject
        What the report is about.
    """
    return Section("Status of the voxels", "status", subject.each(_of_one))


def _of_one(side: Side) -> list[Block]:
    caption = "Each voxel has the colour of its most serious flag."
    pictures = [Picture(status_panels(side.result), caption)] if side.is_image else []
    return [*([Pictures(pictures)] if pictures else []), _counts(side)]


def _counts(side: Side) -> Table:
    result = side.result
    total = max(1, int(np.count_nonzero(result.mask)))
    about = {name: texts for name, *texts in explain(result.model).values()}
    rows = []
    for name, n in result.counts().items():
        outside = name == FitStatus.OUTSIDE_MASK.name
        share = "–" if outside else percent(n / total)
        rows.append((in_words(name, result.model), thousands(n), share, *about[name]))
    head = ("status", "voxels", "share of the mask", "meaning", "what to do")
    return Table(head, rows, "A voxel with two flags counts in both", words=1, tail=2)
