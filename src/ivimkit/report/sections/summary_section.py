"""Summary: the first page, with what was found, its picture, six numbers and the overall light."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ivimkit import quality
from ivimkit.figures.difference_panels import difference_panels
from ivimkit.figures.lesion_panels import lesion_panels
from ivimkit.figures.map_panels import map_panels
from ivimkit.figures.orientation import choose_cut
from ivimkit.figures.picture import Picture
from ivimkit.figures.shown_maps import filled_mask
from ivimkit.quality.difference_sentence import difference_sentence
from ivimkit.quality.region_sentence import regions_sentence, voxels_sentence
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Front, Overall, Pictures, Section, Text
from ivimkit.report.sections.checks_section import about_checks
from ivimkit.report.sections.main_numbers import main_numbers
from ivimkit.report.sections.regions_section import lesion_figure, lesion_sentence, upper
from ivimkit.report.sections.study_facts import study_facts

__all__ = ["summary"]

_MAX_MAPS = 4
_MAX_DIFFERENCES = 3
"""Maps whose difference is in the first picture; section Differences has all."""

_NO_NUMBERS = "There are no numbers here, because they would mean nothing."


def summary(subject: Subject) -> Section:
    """Return the first section, which a reader in a hurry may take for the whole.

    Where the scan cannot be right, or contains only noise, it says so and has no numbers.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    about = about_checks(subject)
    lights = [
        Overall(quality.overall(found), found, side.name, about)
        for side in subject.sides
        for found in (subject.lights[side.name],)
    ]
    return Section(
        "Summary",
        "summary",
        [
            study_facts(subject),
            Front([("", list(_found(subject))), ("", lights)]),
            *_picture(subject),
        ],
    )


def _found(subject: Subject) -> Iterator[Block]:
    """Yield the sentences and the numbers."""
    unreadable = {side.name: subject.nothing_to_read(side) for side in subject.sides}
    if subject.difference is not None and not any(unreadable.values()):
        names = list(subject.difference.rows)[:_MAX_DIFFERENCES]
        yield Text(difference_sentence(subject.difference, names), "lead")
    readable = []
    for side in subject.sides:
        mark = f"{side.name}: " if side.name else ""
        if unreadable[side.name]:
            yield Text(f"{mark}Nothing to read. {unreadable[side.name]}", "warning")
            continue
        readable.append(side)
        faults = [one for one in subject.faults(side) or () if one.is_fault]
        yield from (Text(f"{mark}{upper(one.text)}. {one.advice}.", "warning") for one in faults)
        yield Text(f"{mark}{_sentence(subject, side)}", "lead")
    yield main_numbers(subject, readable) if readable else Text(_NO_NUMBERS, "note")


def _sentence(subject: Subject, side: Side) -> str:
    if subject.lesion is not None:
        return lesion_sentence(subject, side)
    if subject.labels is not None:
        region, colon, rest = regions_sentence(subject.numbers[side.name]).partition(":")
        return f"{upper(region)}{colon}{rest}"
    names = [name for name in side.result.model.robust_maps if name in side.result.maps]
    return voxels_sentence(side.result, names)


def _picture(subject: Subject) -> list[Block]:
    """Return the best picture that there is: differences, the lesion, the regions, or the maps."""
    side = subject.first
    if not side.is_image or not side.result.codes.inside.total:
        return []
    if subject.difference is not None:
        first, second = subject.difference.names
        names = list(subject.difference.rows)[:_MAX_DIFFERENCES]
        figure = difference_panels(
            subject.difference, maps=names, limits=side.limits, unreliable=subject.unreliable
        )
        return [Pictures([Picture(figure, f"{first}, {second}, and {second} minus {first}.")])]
    if subject.lesion is not None:
        return lesion_figure(subject, subject.lesion, side)
    if subject.labels is not None:
        return [Pictures([_of_regions(subject, side)], fits=True)]
    names = [name for name in side.result.model.shown_maps if name in side.result.maps]
    (middle,) = choose_cut(filled_mask(side.result), None, most=1, crop=False).slices
    figure = map_panels(
        side.result,
        slices=middle,
        maps=names[:_MAX_MAPS],
        limits=side.limits,
        unreliable=subject.unreliable,
    )
    return [Pictures([Picture(figure, "The middle slice.")], fits=True)]


def _of_regions(subject: Subject, side: Side) -> Picture:
    """Draw the outlines of all regions, in the slice with most of them."""
    assert subject.labels is not None
    names = list(subject.labels)
    figure = lesion_panels(
        side.result,
        np.asarray(subject.labels.array) > 0,
        marks="contour",
        limits=side.limits,
        unreliable=subject.unreliable,
    )
    which = names[0] if len(names) == 1 else f"the {len(names)} regions"
    return Picture(figure, f"White outlines: {which}.")
