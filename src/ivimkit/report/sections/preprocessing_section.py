"""Before the fit: what was done to the scan."""

from __future__ import annotations

from ivimkit.figures.motion_panels import has_motion, motion_panels
from ivimkit.figures.picture import Picture
from ivimkit.fitting.result import FitResult
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Items, Pictures, Section, Text
from ivimkit.report.sections.follow_table import follow_table
from ivimkit.report.sections.step_pictures import step_pictures
from ivimkit.scan.history import NOISE_STATES

__all__ = ["preprocessing"]


_MOTION = (
    "Root mean square displacement of the tissue in each volume, and the angle by which it was "
    "turned. Filled: as they were found, and the volumes were moved back by as much. Open: what a "
    "second registration finds in the moved volumes; it shares errors with the first one, so more "
    "may be left. About 0.3 mm are the error of an estimate. A cross marks a volume whose "
    "movement was not found."
)


def preprocessing(subject: Subject) -> Section | None:
    """Return the section of the steps before the fit; None if there were none.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    if not any(side.result.provenance.history for side in subject.sides):
        return None
    return Section("Before the fit", "preprocessing", subject.each(_of_one))


def _of_one(side: Side) -> list[Block]:
    history = side.result.provenance.history
    if not history:
        return [Text("The scan was fitted as acquired.", "note")]
    done = [f"{step.name}: {step.summary}" for step in history.steps]
    blocks: list[Block] = [Items([*done, *history.residuals_told])]
    pictures = [Picture(motion_panels(history), _MOTION)] if has_motion(history) else []
    pictures += [picture for step in history.steps for picture in step_pictures(step)]
    if pictures:
        blocks.append(Pictures(pictures))
    if (changed := follow_table(history)) is not None:
        blocks.append(changed)
    if history.noise != "raw":
        blocks.append(Text(f"The noise is {NOISE_STATES[history.noise]}.", "note"))
    if history.noise == "changed":
        blocks.append(Text(_of_denoised(side.result), "note"))
    return blocks


def _of_denoised(result: FitResult) -> str:
    """Say whether the errors that the result claims take denoising into account."""
    left = result.provenance.chosen.get("noise")
    if left is None:
        return (
            "What denoising left of the noise was not taken into account: intervals, and what is "
            "called not detected, are not right."
        )
    return f"Intervals, and what is called not detected, follow from {left}."
