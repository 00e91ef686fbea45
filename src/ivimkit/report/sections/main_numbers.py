"""The main numbers: six or so, each with its limits, in one small table."""

from __future__ import annotations

from collections.abc import Sequence

from ivimkit.extend.derived_maps import describe
from ivimkit.fitting.result import FitResult
from ivimkit.parameter import Parameter
from ivimkit.quality import summary_rows
from ivimkit.quality.region_estimates import RegionEstimate
from ivimkit.quality.region_sentence import estimate_text, median_text
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Table
from ivimkit.rounding import NONE, shown_unit, thousands

__all__ = ["main_numbers"]

_MAX_REGIONS = 6
"""Regions in the table; section Regions has all."""

_MAX_PERFUSION_B = 50.0
"""Lowest b-value of an ADC up to which it contains perfusion, s/mm^2."""


def main_numbers(subject: Subject, sides: Sequence[Side]) -> Table:
    """Return the table: lesion and reference, or regions, or all voxels, by map.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    sides : sequence of Side
        The results with numbers that may be read.
    """
    if subject.labels is None and subject.lesion is None:
        return _of_voxels(subject, sides)
    found = {side.name: subject.numbers[side.name] for side in sides}
    every = [one for numbers in found.values() for one in numbers]
    regions = list(dict.fromkeys(one.region for one in every))
    maps = {one.map: one.parameter for one in every}
    of = ("region", "result") if subject.difference is not None else ("region",)
    columns = {name: [one for one in every if one.map == name] for name in maps}
    rows = []
    for region in regions[:_MAX_REGIONS]:
        for side in sides:
            cells = {one.map: one for one in found[side.name] if one.region == region}
            mark = (region, side.name) if len(of) > 1 else (region,)
            rows.append((*mark, *(_cell(cells.get(name), columns[name]) for name in maps)))
    caption = "Medians of reliable voxels, with 95 % limits"
    if any(one.basis == "mean signal" for one in every):
        caption += "; †: fit of the mean signal, as too few voxels are reliable"
    if any(one.why and one.basis != "none" for one in every):
        caption += "; ?: the evidence contradicts itself"
    if len(regions) > _MAX_REGIONS:
        caption += f"; {len(regions) - _MAX_REGIONS} more regions below"
    head = (*of, *(_head(parameter) for parameter in maps.values()))
    return Table(head, rows, f"{caption}.{_about_adc(sides)}", words=len(of))


def _of_voxels(subject: Subject, sides: Sequence[Side]) -> Table:
    names = list(dict.fromkeys(name for side in sides for name in side.result.model.shown_maps))
    names = [name for name in names if any(name in side.result.maps for side in sides)]
    rows = []
    for side in sides:
        cells = [_quartiles(side.result, name) for name in names]
        mark = side.name or "all voxels"
        rows.append((mark, *cells, thousands(side.result.codes.fitted.total)))
    parameters = [_described(sides, name) for name in names]
    head = ("", *(_head(parameter) for parameter in parameters), "voxels")
    return Table(head, rows, f"Medians, with quartiles.{_about_adc(sides)}")


def _described(sides: Sequence[Side], name: str) -> Parameter:
    side = next(side for side in sides if name in side.result.maps)
    return describe(name, side.result.model.quantities)


def _quartiles(result: FitResult, name: str) -> str:
    if name not in result.maps:
        return NONE
    row = summary_rows(result, [name])[name]
    return _in_two_parts(median_text(describe(name, result.model.quantities), row))


def _cell(one: RegionEstimate | None, column: Sequence[RegionEstimate]) -> str:
    if one is None:
        return NONE
    if one.basis == "none":
        return "unknown"
    marks = f"{' †' if one.basis == 'mean signal' else ''}{' ?' if one.why else ''}"
    return f"{_in_two_parts(estimate_text(one, *column))}{marks}"


def _in_two_parts(text: str) -> str:
    """Return a number and its limits so that a narrow column breaks between them only."""
    value, bracket, limits = text.partition(" (")
    return value + bracket + limits.replace(" ", "\u00a0")


def _head(parameter: Parameter) -> str:
    unit = shown_unit(parameter)
    return f"{parameter.symbol}{f' ({unit})' if unit else ''}"


def _about_adc(sides: Sequence[Side]) -> str:
    """Say that the ADC contains perfusion, if it does."""
    for side in sides:
        b = side.result.settings.adc_bvals or side.result.provenance.bvals
        if "ADC" in side.result.maps and min(b) <= _MAX_PERFUSION_B:
            return f" The ADC is that of b = {min(b):g} to {max(b):g} s/mm², perfusion included."
    return ""
