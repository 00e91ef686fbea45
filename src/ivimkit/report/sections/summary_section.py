"""Summary: the fit, its main results, and the traffic-light checks."""

from __future__ import annotations

from collections.abc import Iterator

from ivimkit.extend.derived_maps import describe
from ivimkit.quality import main_maps, summary_rows
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Lamps, Section, Table, Text
from ivimkit.report.sections.regions_section import lesion_sentence
from ivimkit.rounding import NONE, in_unit, spread, thousands, unbroken_unit

__all__ = ["summary"]

# Numbers about the fit, which the checks assess.
_LEFT_OUT = ("cost", "n_iter", "ln_evidence", "accuracy", "n_neighbours", "n_left_out")


def summary(subject: Subject) -> Section:
    """Return the first section: checks with reasons, and the medians of the maps.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    found = list(_sentences(subject))
    return Section(
        "Summary", "summary", [*found, *subject.each(lambda side: _of_one(subject, side))]
    )


def _sentences(subject: Subject) -> Iterator[Block]:
    for side in subject.sides:
        text = lesion_sentence(subject, side)
        if text:
            yield Text(f"{side.name}: {text}" if side.name else text, tone="lead")


def _of_one(subject: Subject, side: Side) -> list[Block]:
    result = side.result
    total, fitted = result.codes.inside.total, result.codes.fitted.total
    what = (
        f"{result.model.title} ({result.model.name}) by {result.method.title} "
        f"({result.method.name}); {thousands(fitted)} of {thousands(total)} voxels have values."
    )
    return [Text(what), Lamps(subject.lights(side)), _medians(side)]


def _medians(side: Side) -> Table:
    result = side.result
    names = [name for name in main_maps(result) if name not in _LEFT_OUT]
    with_sd = any(f"{name}_sd" in result.maps for name in names)
    rows = []
    for name, row in summary_rows(result, names).items():
        parameter = describe(name, result.model.quantities)
        width = spread(row["q25"], row["q75"])
        cells = [in_unit(parameter, row[key], width) for key in ("median", "q25", "q75")]
        if with_sd:
            cells.append(_median_sd(side, name))
        rows.append((parameter.symbol, unbroken_unit(parameter), *cells, thousands(row["n"])))
    head = ("map", "unit", "median", "25 %", "75 %", *(["sd"] if with_sd else []), "voxels")
    caption = "Maps over all voxels with a value" + (
        "; sd: median of the standard deviations" if with_sd else ""
    )
    return Table(head, rows, caption, words=2)


def _median_sd(side: Side, name: str) -> str:
    about = f"{name}_sd"
    if about not in side.result.maps:
        return NONE
    median = summary_rows(side.result, [about])[about]["median"]
    return in_unit(describe(about, side.result.model.quantities), median, digits=2)
