"""The page of the group: how the scans ended, protocols, distributions, outliers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ivimkit import models
from ivimkit.cohort.group_tables import MAX_SCORE, MIN_SCANS, STATISTIC, id_names
from ivimkit.cohort.ledger import DONE, Entry
from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.figures.cohort_panels import MAX_REGIONS, cohort_panels
from ivimkit.figures.picture import Picture
from ivimkit.report import Report
from ivimkit.report.section_blocks import Block, Pictures, Section, Table, Text
from ivimkit.rounding import NONE, how_shown, percent, rounded, several, thousands

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["group_page"]

_MAX_ROWS = 50
"""Maximum number of rows of a table of the page; the tables on disk have all."""

_MAX_DRAWN = 9
_NOT_DRAWN = ("rmse", "r2", "cost", "n_iter", "S0", "ln_evidence", "accuracy", "sigma")
"""Maps that say how the fit went, not what the tissue is like."""


def group_page(
    table: pd.DataFrame,
    outliers: pd.DataFrame,
    entries: Sequence[Entry],
    repeated: tuple[pd.DataFrame, pd.DataFrame] | None,
    prior: Section | None = None,
) -> Report:
    """Return the page.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per scan, region and map.
    outliers : pandas.DataFrame
        Rows of it, with the columns ``score`` and ``typical``.
    entries : sequence of Entry
        The ledger; may be empty, in a folder that was copied without it.
    repeated : tuple of pandas.DataFrame, optional
        Values and repeatability, if subjects have several sessions.
    prior : Section, optional
        The priors that the scans share.
    """
    ids = id_names(table)
    n_scans, n_subjects = len(table[ids].drop_duplicates()), table["participant_id"].nunique()
    subtitle = f"{several(n_scans, 'scan')} of {several(n_subjects, 'subject')}"
    found = [
        _failures(entries),
        _reliability(entries),
        _protocols(entries),
        _distributions(table, outliers),
        _outliers(outliers, ids),
        None if repeated is None else _repeatability(repeated[1]),
        prior,
    ]
    return Report("ivimkit: the group", subtitle, [one for one in found if one is not None])


def _failures(entries: Sequence[Entry]) -> Section | None:
    if not entries:
        return None
    bad = [entry for entry in entries if entry.state != DONE]
    lead = (
        f"Without maps: {thousands(len(bad))} of {several(len(entries), 'scan')}."
        if bad
        else f"No failures: maps of {several(len(entries), 'scan')}."
    )
    blocks: list[Block] = [Text(lead, tone="lead")]
    if bad:
        bad.sort(key=lambda entry: (entry.state, entry.name))
        rows = [(one.name, one.state, one.sentence or NONE) for one in bad[:_MAX_ROWS]]
        blocks.append(
            Table(("scan", "state", "why"), rows, _caption("Without maps", bad), words=3)
        )
    return Section("Failures", "failures", blocks)


def _reliability(entries: Sequence[Entry]) -> Section | None:
    """Return the scans with the smallest share of voxels without a flag, worst first."""
    done = sorted((one for one in entries if one.state == DONE), key=lambda one: one.share_ok)
    if not done:
        return None
    rows = [
        (one.name, percent(one.share_ok), thousands(one.n_voxels), str(len(one.warnings)))
        for one in done[:_MAX_ROWS]
    ]
    head = ("scan", "voxels without any flag", "voxels", "warnings")
    return Section("Worst scans first", "worst", [Table(head, rows, _caption("Scans", done))])


def _protocols(entries: Sequence[Entry]) -> Section | None:
    counts = Counter(entry.protocol for entry in entries if entry.state == DONE)
    if not counts:
        return None
    rows = [(name, thousands(number)) for name, number in counts.most_common(_MAX_ROWS)]
    about = (
        "All scans have one protocol."
        if len(counts) == 1
        else "Values of different protocols differ for technical reasons: compare within one."
    )
    head = ("b-values and voxel size", "scans")
    return Section("Protocols", "protocols", [Text(about), Table(head, rows, "Protocols")])


def _distributions(table: pd.DataFrame, outliers: pd.DataFrame) -> Section:
    maps = [name for name in table["map"].unique() if name not in _NOT_DRAWN][:_MAX_DRAWN]
    caption = (
        f"The {STATISTIC} of each scan in each region. Lines: median and quartiles of the scans; "
        "diamonds: outliers."
    )
    blocks: list[Block] = []
    if maps:
        blocks.append(Pictures([Picture(cohort_panels(table, outliers, maps=maps), caption)]))
    if table["region"].nunique() > MAX_REGIONS:
        blocks.append(Text(f"The first {MAX_REGIONS} regions are shown.", tone="note"))
    rows = [_summary(region, name, own) for (region, name), own in _groups(table)]
    head = ("region", "map", "unit", "scans", "median", "25 %", "75 %", "CV between scans")
    blocks.append(Table(head, rows, f"The {STATISTIC} of the scans", words=3))
    return Section("Distributions", "distributions", blocks)


def _groups(table: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    shown = table[~table["map"].isin(_NOT_DRAWN)]
    pairs = shown.groupby(["region", "map"], sort=False)
    return [((str(region), str(name)), own) for (region, name), own in pairs]


def _summary(region: str, name: str, own: pd.DataFrame) -> tuple[str, ...]:
    unit, factor = _unit(name)
    values = factor * own[STATISTIC].dropna()
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    cv = (
        float(values.std() / abs(values.mean())) if len(values) > 1 and values.mean() else math.nan
    )
    spread = percent(cv) if math.isfinite(cv) else NONE
    return (region, name, unit, str(len(values)), *map(rounded, (middle, low, high)), spread)


def _outliers(outliers: pd.DataFrame, ids: Sequence[str]) -> Section:
    about = Text(
        f"A {STATISTIC} further than {MAX_SCORE:g} robust standard deviations from that of all "
        f"scans in the same region and map. Fewer than {MIN_SCANS} scans are not judged.",
        tone="note",
    )
    if outliers.empty:
        return Section("Outliers", "outliers", [Text("There are none."), about])
    rows = []
    for _, row in outliers.head(_MAX_ROWS).iterrows():
        unit, factor = _unit(str(row["map"]))
        name = " ".join(str(row[one]) for one in ids if isinstance(row[one], str))
        numbers = (factor * row[STATISTIC], factor * row["typical"], row["score"])
        rows.append((name, str(row["region"]), str(row["map"]), unit, *map(rounded, numbers)))
    head = ("scan", "region", "map", "unit", "value", "median of all", "distance in robust sd")
    table = Table(head, rows, _caption("Outliers", outliers), words=4)
    return Section("Outliers", "outliers", [table, about])


def _repeatability(table: pd.DataFrame) -> Section:
    rows = []
    for _, row in table.reset_index().iterrows():
        region, name = str(row["region"]), str(row["map"])
        if name in _NOT_DRAWN:
            continue
        unit, factor = _unit(name)
        rows.append(
            (
                *(region, name, unit, str(row["subjects"])),
                *(rounded(factor * row[one]) for one in ("mean", "within_sd", "rc")),
                percent(row["within_cv"]) if math.isfinite(row["within_cv"]) else NONE,
                rounded(row["icc"]),
            )
        )
    head = (
        *("region", "map", "unit", "subjects", "mean", "sd within subjects"),
        *("repeatability coefficient", "CV within subjects", "ICC"),
    )
    about = Text(
        "Of the first scan of each session. Changes between sessions that are real count as "
        "errors here.",
        tone="note",
    )
    return Section(
        "Repeatability between sessions",
        "repeatability",
        [Table(head, rows, "Repeatability", words=3), about],
    )


def _unit(name: str) -> tuple[str, float]:
    """Return the unit in which a map is shown, and the factor to it."""
    try:
        return how_shown(describe(name, models.quantities()).unit)
    except OptionError:
        return "", 1.0


def _caption(text: str, rows: Sequence[Entry] | pd.DataFrame) -> str:
    return f"{text}: the first {_MAX_ROWS} of {len(rows)}" if len(rows) > _MAX_ROWS else text
