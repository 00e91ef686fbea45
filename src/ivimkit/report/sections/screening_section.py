"""Screening: volumes and values that were left out, because they do not belong."""

from __future__ import annotations

from ivimkit.figures.picture import Picture
from ivimkit.figures.screening_panels import screening_panels
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Items, Pictures, Section, Text
from ivimkit.rounding import percent, thousands

__all__ = ["screening"]


def screening(subject: Subject) -> Section | None:
    """Return the section of what was left out; None if nothing was to be.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    if not any(_is_about(side) for side in subject.sides):
        return None
    return Section("Volumes and values left out", "screening", subject.each(_of_one))


def _is_about(side: Side) -> bool:
    result = side.result
    return result.screening is not None or result.provenance.value_weights is not None


def _of_one(side: Side) -> list[Block]:
    found, weights = side.result.screening, side.result.provenance.value_weights
    blocks: list[Block] = []
    if side.result.settings.value_weights and weights is not None:
        blocks.append(
            Text(
                f"Weights of single values were given. With those, "
                f"{percent(weights.left_out / weights.values)} of the values were left out, in "
                f"{thousands(weights.voxels)} voxels."
            )
        )
    if weights is not None and weights.missing:
        blocks.append(
            Text(
                f"{percent(weights.missing / weights.values)} of the values are missing: NaN or "
                "infinite. Their voxels were fitted without them."
            )
        )
    if found is None:
        return blocks or [Text("All values were fitted.", "note")]
    blocks.append(Items(found.sentences()))
    if found.is_judged:
        caption = (
            "Measured divided by fitted signal of each volume, and the share of its values that "
            "were left out, by slice. The fit that they are compared with is one that values "
            "which lie apart hardly move."
        )
        blocks.append(Pictures([Picture(screening_panels(found), caption)]))
    return blocks
