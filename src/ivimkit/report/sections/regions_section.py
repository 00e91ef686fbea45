"""Regions: their tables, the lesion against its reference, and its figure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ivimkit.extend.derived_maps import describe, is_about_another
from ivimkit.figures.lesion_panels import lesion_panels
from ivimkit.figures.picture import Picture
from ivimkit.parameter import Parameter
from ivimkit.quality import roi_table, sentence
from ivimkit.quality.table_cells import contrast_cells, region_cells
from ivimkit.report.report_subject import Lesion, Side, Subject
from ivimkit.report.section_blocks import Block, Pictures, Section, Table, Text
from ivimkit.rounding import NONE, rounded, shown_unit, thousands
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.fitting.result import FitResult

__all__ = ["lesion_figure", "lesion_sentence", "regions", "upper"]

_HEAD = ("reliable", "mean", "sd", "median", "25 %", "75 %", "5 %", "95 %")
_KEYS = ("reliable", "mean", "sd", "median", "q25", "q75", "p5", "p95")
_FIT_HEAD = ("fit of the mean", "95 % limits")
_FIT_KEYS = ("fit", "fit_limits")
_ABOUT_THE_CONTRAST = (
    "The map that separates the lesion best comes first. CNR: difference / sd of the "
    "reference; AUC: area under the ROC curve; p: Mann-Whitney test. Voxels count as "
    "independent, although neighbours are not. The table shows means; the sentence compares "
    "medians, or the fits of the mean signals where too few voxels are reliable."
)
_ABOUT_THE_TABLES = {
    True: "Mean, sd and percentiles are of reliable voxels only, whose value the data determine.",
    False: "Mean, sd and percentiles are of all voxels with a value; reliable are those whose "
    "value the data determine.",
}
_LEFT_OUT = (
    "S0",
    "rmse",
    "r2",
    "cost",
    "n_iter",
    "ln_evidence",
    "accuracy",
    "sigma",
    "n_neighbours",
    "n_left_out",
)


def regions(subject: Subject) -> Section | None:
    """Return the section of the regions; None if there are none.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    if subject.labels is None and subject.lesion is None:
        return None
    blocks: list[Block] = []
    if subject.lesion is not None:
        lesion = subject.lesion
        # That of one result is in the summary.
        if len(subject.sides) > 1:
            blocks += subject.each(lambda side: lesion_figure(subject, lesion, side))
        blocks += [_contrast(lesion, subject, side) for side in subject.sides]
        blocks.append(Text(_ABOUT_THE_CONTRAST, "note"))
    if subject.labels is not None:
        blocks += _tables(subject.labels, subject)
        blocks.append(Text(_ABOUT_THE_TABLES[bool(subject.reliable_only)], "note"))
    return Section("Regions", "regions", blocks)


def lesion_sentence(subject: Subject, side: Side) -> str:
    """Describe in words how a lesion differs from its reference; empty if there is no lesion.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    side : Side
        The result.
    """
    if subject.lesion is None:
        return ""
    lesion = subject.lesion
    table = subject.comparisons[side.name]
    found = sentence(table, reference=lesion.reference_name, words=True, limits=True)
    return f"{upper(lesion.name)}: {found}."


def lesion_figure(subject: Subject, lesion: Lesion, side: Side) -> list[Block]:
    """Return the picture of the lesion with its caption; nothing where maps are no images.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    lesion : Lesion
        The lesion.
    side : Side
        The result.
    """
    if not side.is_image:
        return []
    figure = lesion_panels(
        side.result,
        lesion.mask,
        reference=lesion.reference,
        marks="both",
        limits=side.limits,
        unreliable=subject.unreliable,
    )
    caption = f"White, with arrowheads: {lesion.name}; dashed: {lesion.reference_name}."
    return [Pictures([Picture(figure, caption)], fits=len(subject.sides) == 1)]


def _contrast(lesion: Lesion, subject: Subject, side: Side) -> Table:
    rows = []
    for name, row in subject.comparisons[side.name].iterrows():
        parameter = describe(str(name), side.result.model.quantities)
        cells = contrast_cells(parameter, row)
        reliable = ", ".join(
            f"{thousands(row[f'{of}_reliable'])} of {thousands(row[f'{of}_valued'])}"
            for of in ("lesion", "reference")
        )
        g = f"{cells['g']} ({cells['g_lo']} to {cells['g_hi']})" if cells["g"] != NONE else NONE
        rows.append(
            (
                parameter.symbol,
                shown_unit(parameter),
                *(cells[key] for key in ("lesion", "reference")),
                reliable,
                *(cells[key] for key in ("difference", "change", "cnr")),
                g,
                *(cells[key] for key in ("auc", "p")),
            )
        )
    head = (
        "map",
        "unit",
        lesion.name,
        lesion.reference_name,
        "reliable voxels",
        "difference",
        "change",
        "CNR",
        "Hedges' g (95 %)",
        "AUC",
        "p",
    )
    which = "all" if subject.reliable_only is False else "reliable"
    what = f"{upper(lesion.name)} against {lesion.reference_name}, mean ± sd of {which} voxels"
    caption = f"{side.name}: {what}" if side.name else what
    return Table(head, rows, caption, words=2)


def _tables(labels: Labels, subject: Subject) -> Iterator[Table]:
    """Yield the sizes of the regions, and a table for each map; two results share its rows."""
    sides = subject.sides
    tables = {
        side.name: roi_table(
            side.result,
            labels,
            maps=_names(side),
            mean_fit=subject.means.get(side.name, False),
            reliable_only=bool(subject.reliable_only),
        )
        for side in sides
    }
    names = list(dict.fromkeys(name for side in sides for name in _names(side)))
    first: Any = tables[sides[0].name].xs(_names(sides[0])[0], level="map")
    yield _sizes(first)
    for side in sides:
        if side.name in subject.means:
            yield from _flagged(labels, side, subject.means[side.name])
    fitted = any("roi_fit" in table.columns for table in tables.values())
    for name in names:
        known = [side for side in sides if name in _names(side)]
        parameter = describe(name, known[0].result.model.quantities)
        rows = {side.name: tables[side.name].xs(name, level="map") for side in known}
        cells = [
            (region, *([side] if side else []), *_cells(parameter, part.loc[region], fitted))
            for region in labels
            for side, part in rows.items()
        ]
        unit = shown_unit(parameter)
        of = ("region", "result") if len(sides) > 1 else ("region",)
        head = (*of, *_HEAD, *(_FIT_HEAD if fitted else ()))
        title = f"{parameter.symbol}{f' ({unit})' if unit else ''}"
        yield Table(head, cells, title, words=len(of))


def _flagged(labels: Labels, side: Side, means: FitResult) -> Iterator[Table]:
    """Yield the status of the mean-signal fits, where there is one."""
    rows = [
        (region, means.sentence(position))
        for position, region in enumerate(labels)
        if means.status[position]
    ]
    if rows:
        title = "Fits of the mean signal: notes"
        caption = f"{side.name}: {title}" if side.name else title
        yield Table(("region", "status of the fit"), rows, caption, words=2)


def _names(side: Side) -> list[str]:
    """Return the maps in region tables, the usual ones first."""
    there = side.result.maps
    own = [name for name in there if not is_about_another(name, there) and name not in _LEFT_OUT]
    return [name for name in dict.fromkeys((*side.result.model.shown_maps, *own)) if name in own]


def _sizes(table: pd.DataFrame) -> Table:
    rows = []
    for region, row in table.iterrows():
        total = int(row["n"] + row["missing"])
        numbers = [rounded(row[key]) for key in ("volume_ml", "diameter_mm")]
        rows.append((str(region), thousands(total), thousands(int(row["n"])), *numbers))
    head = ("region", "voxels", "with a value", "volume (ml)", "largest diameter (mm)")
    return Table(head, rows, "Size of the regions")


def _cells(parameter: Parameter, row: Any, fitted: bool) -> tuple[str, ...]:
    cells = region_cells(parameter, row)
    return tuple(cells[key] for key in (*_KEYS, *(_FIT_KEYS if fitted else ())))


def upper(name: str) -> str:
    """Capitalise a name at the start of a sentence, unless it is not a word (a file name)."""
    return name[:1].upper() + name[1:] if name.isalpha() else name
