"""The tables that close a fit: medians of the maps, counts per status."""

from __future__ import annotations

import math

from rich.table import Table

from ivimkit.cli.screen.terminal import plain_table
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.prior_table import learned_from
from ivimkit.fitting.prior_choice import why_this_prior
from ivimkit.fitting.result import FitResult
from ivimkit.quality import main_maps, summary_rows
from ivimkit.quality.status_checks import status_rows
from ivimkit.rounding import in_unit, percent, shown_unit, spread, thousands

__all__ = [
    "chosen_lines",
    "left_out_lines",
    "map_table",
    "prior_lines",
    "status_table",
    "timing",
]


def map_table(result: FitResult) -> Table:
    """Return a table of the median and the quartiles of each map, with its uncertainty.

    Standard deviations and information are shown next to their map, as medians.
    """
    names = main_maps(result)
    further = {
        head: suffix
        for head, suffix in (("sd", "_sd"), ("bits", "_bits"))
        if any(f"{name}{suffix}" in result.maps for name in names)
    }
    table = plain_table("map", "unit", "median", "25 %", "75 %", *further, "voxels", left=2)
    for name, row in summary_rows(result, names).items():
        parameter = describe(name, result.model.quantities)
        width = spread(row["q25"], row["q75"])
        numbers = [in_unit(parameter, row[key], width) for key in ("median", "q25", "q75")]
        for suffix in further.values():
            numbers.append(_median(result, f"{name}{suffix}"))
        table.add_row(parameter.symbol, shown_unit(parameter), *numbers, thousands(row["n"]))
    return table


def _median(result: FitResult, name: str) -> str:
    """Return the median of an uncertainty map; empty if there is none."""
    if name not in result.maps:
        return ""
    median = summary_rows(result, [name])[name]["median"]
    return in_unit(describe(name, result.model.quantities), median, digits=2)


def prior_lines(result: FitResult) -> list[str]:
    """Say which prior was used, region by region, its source, and why prior auto took it."""
    lines = []
    why = why_this_prior(result.provenance.chosen)
    by_auto = f" (auto: {why})" if why else ""
    for region, table in result.priors.items():
        source = learned_from(table.about)
        learned = f" from {source}" if source else ""
        where = "prior" if region == "all" else f"prior of region {region}"
        lines.append(f"{where}: {table.rule}{learned}{by_auto}")
    return lines


def chosen_lines(result: FitResult) -> list[str]:
    """Say which options of the method were found from the scan, and how."""
    options = result.method.options()
    # What `prior_lines` says is left out.
    return [
        f"noise floor: {how}" if name == "floor" else f"{name}: {options[name]} ({how})"
        for name, how in result.provenance.chosen.items()
        if name != "prior"
    ]


def left_out_lines(result: FitResult) -> list[str]:
    """Say which volumes and values were left out, by the screen or by weights that were given."""
    if result.screening is not None:
        return result.screening.sentences()
    weights = result.provenance.value_weights
    if weights is None:
        return []
    missing = f"{percent(weights.missing / weights.values)} of the values are missing"
    if not result.settings.value_weights:
        return [f"{missing} (NaN or infinite), in {thousands(weights.voxels)} voxels"]
    return [
        f"weights of single values: {percent(weights.left_out / weights.values)} of the values "
        f"left out, in {thousands(weights.voxels)} voxels"
        + (f"; {missing}" if weights.missing else "")
    ]


def status_table(result: FitResult) -> Table:
    """Return a table of the number of voxels and the meaning of each status."""
    table = plain_table("status", "voxels", "share")
    table.add_column("meaning", header_style="dim")
    for row in status_rows(result):
        share = "" if math.isnan(row.share) else percent(row.share)
        table.add_row(row.words, thousands(row.n), share, row.sentence)
    return table


def timing(result: FitResult) -> str:
    """Report the duration and the speed of the fit."""
    n, seconds = result.codes.inside.total, result.provenance.seconds
    rate = n / seconds if seconds > 0 else math.inf
    threads = result.provenance.threads
    return (
        f"{thousands(n)} voxels in {seconds:.2f} s, {thousands(rate)} voxels/s on {threads} "
        f"{'thread' if threads == 1 else 'threads'}"
    )
