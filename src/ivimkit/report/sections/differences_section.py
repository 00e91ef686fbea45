"""Differences: two results side by side, and one minus the other."""

from __future__ import annotations

from ivimkit.extend.derived_maps import describe
from ivimkit.figures.difference_panels import agreement_panels, difference_panels
from ivimkit.figures.picture import Picture
from ivimkit.quality.difference import Difference
from ivimkit.quality.difference_sentence import mean_difference
from ivimkit.report.report_subject import Subject
from ivimkit.report.section_blocks import Block, Pictures, Section, Table
from ivimkit.rounding import in_unit, rounded, shown_unit, thousands

__all__ = ["differences"]

_CORRELATION_ERROR = 0.1
"""To two decimal places."""


def differences(subject: Subject, found: Difference) -> Section:
    """Return the section of the difference maps.

    Parameters
    ----------
    subject : Subject
        The content of the report: two results.
    found : Difference
        Their difference, from `ivimkit.quality.difference`.
    """
    first, second = found.names
    blocks: list[Block] = [_table(found)]
    side = subject.first
    if side.is_image:
        shown = Picture(
            difference_panels(found, limits=side.limits, unreliable=subject.unreliable),
            f"{first}, {second}, and {second} minus {first}.",
        )
        blocks.append(Pictures([shown]))
    agreement = Picture(
        agreement_panels(found),
        f"Bland-Altman plots: {second} minus {first} against their mean, voxel by voxel, with "
        "the mean difference and the 95 % limits of agreement.",
    )
    return Section("Differences", "differences", [*blocks, Pictures([agreement])])


def _table(found: Difference) -> Table:
    first, second = found.names
    parameters = (*found.first.model.quantities, *found.second.model.quantities)
    rows = []
    for name, row in found.rows.items():
        parameter = describe(name, parameters)
        means = (float(row[key]) for key in ("first_mean", "second_mean"))
        sd, limits = float(row["sd"]), (float(row[key]) for key in ("sd", "lower", "upper"))
        rows.append(
            (
                parameter.symbol,
                shown_unit(parameter),
                *(in_unit(parameter, value) for value in means),
                mean_difference(parameter, row),
                *(in_unit(parameter, value, sd) for value in limits),
                rounded(row["correlation"], _CORRELATION_ERROR),
                thousands(int(row["n"])),
            )
        )
    head = (
        "map",
        "unit",
        f"mean {first}",
        f"mean {second}",
        "difference",
        "sd",
        "lower limit",
        "upper limit",
        "correlation",
        "voxels",
    )
    caption = (
        f"{second} minus {first} in voxels that have a value in both; limits contain 95 % of the "
        "differences"
    )
    return Table(head, rows, caption, words=2)
