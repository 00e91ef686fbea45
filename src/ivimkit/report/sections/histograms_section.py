"""Histograms of the maps, over all voxels and region by region."""

from __future__ import annotations

from ivimkit.figures.histograms import histograms as draw
from ivimkit.figures.picture import Picture
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Pictures, Section

__all__ = ["histograms"]

_CAPTION = "All voxels with a value."


def histograms(subject: Subject) -> Section:
    """Return the section of the histograms.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    labels = subject.labels

    def of_one(side: Side) -> list[Block]:
        pictures = [
            Picture(draw(side.result, limits=side.limits, unreliable=subject.unreliable), _CAPTION)
        ]
        if labels is not None:
            figure = draw(
                side.result,
                labels=labels.array,
                label_names=labels.names,
                limits=side.limits,
                unreliable=subject.unreliable,
            )
            pictures.append(Picture(figure, "Region by region."))
        return [Pictures(pictures)]

    return Section("Histograms", "histograms", subject.each(of_one))
