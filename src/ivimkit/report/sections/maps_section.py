"""Maps: the images of the scan, the maps, and their uncertainty."""

from __future__ import annotations

from ivimkit.extend.derived_maps import describe, is_about_another
from ivimkit.figures.mosaic import image_mosaic, mosaic, mosaic_names
from ivimkit.figures.picture import Picture
from ivimkit.figures.prior_panels import prior_panels
from ivimkit.fitting.prior_choice import why_this_prior
from ivimkit.fitting.result import FitResult
from ivimkit.quality import main_maps, summary_rows
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Pictures, Section, Table, Text
from ivimkit.rounding import NONE, in_unit, shown_unit, spread, thousands

__all__ = ["maps"]

_HIGH_B = 800.0
# Numbers about the fit, which the checks assess.
_LEFT_OUT = ("cost", "n_iter", "ln_evidence", "accuracy", "n_neighbours", "n_left_out")
_NOTES = {
    "fade": "; those whose value the data do not determine are hatched: do not interpret them",
    "hide": ", and those whose value the data do not determine",
    "show": "",
}
_OF_POSTERIOR = {
    "fade": "; pale ones are best estimates that may be more than 50 % off",
    "hide": ", and those that may be more than 50 % off",
    "show": "",
}


def maps(subject: Subject) -> Section:
    """Return the section of the medians of the maps, and of the mosaics.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    return Section("Maps", "maps", subject.each(lambda side: _of_one(side, subject.unreliable)))


def _of_one(side: Side, unreliable: str) -> list[Block]:
    result = side.result
    why = why_this_prior(result.provenance.chosen)
    by_auto = f" (auto: {why})" if why else ""
    priors = [
        Picture(prior_panels(table), f"Prior{_of_region(region)}: {table.rule}{by_auto}.")
        for region, table in result.priors.items()
        if table.varies
    ]
    shown: list[Block] = [Pictures(priors)] if priors else []
    numbers = [Text(_fit(result)), _medians(side)]
    if not side.is_image:
        why = "The voxels are a list, not an image: there is no mosaic."
        return [*numbers, Text(why, "note"), *shown]
    known = [
        Picture(
            mosaic(result, name, limits=side.limits, unreliable=unreliable), _caption(side, name)
        )
        for name in mosaic_names(result)
    ]
    hint = "Click a picture, or press Enter on it, to enlarge it."
    notes = _OF_POSTERIOR if len(result.interval50) > 0 else _NOTES
    note = f"Voxels without a value are black{notes[unreliable]}."
    return [
        *numbers,
        Text(hint, "hint"),
        Text(note, "note"),
        Pictures([*_images(side), *known], small=True),
        *shown,
    ]


def _fit(result: FitResult) -> str:
    total, fitted = result.codes.inside.total, result.codes.fitted.total
    return (
        f"{result.model.title} ({result.model.name}) by {result.method.title} "
        f"({result.method.name}); {thousands(fitted)} of {thousands(total)} voxels have values."
    )


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
        rows.append((parameter.symbol, shown_unit(parameter), *cells, thousands(row["n"])))
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


def _images(side: Side) -> list[Picture]:
    """Return the images at the lowest b-value and at a high one, if the scan is available."""
    dwi = side.result.dwi
    if dwi is None:
        return []
    shells = dwi.acquisition.shell_bvals
    high = min(shells.tolist(), key=lambda b: abs(b - _HIGH_B))
    return [
        Picture(image_mosaic(dwi, b, within=side.result.mask), f"Signal at b = {b:g} s/mm².")
        for b in dict.fromkeys((float(shells.min()), high))
    ]


def _caption(side: Side, name: str) -> str:
    parameter = describe(name, side.result.model.quantities)
    text = parameter.description
    if is_about_another(name, side.result.maps):
        what, _, about = text.rpartition(" ")
        return f"{what} {describe(about, side.result.model.quantities).symbol}."
    return f"{parameter.symbol}: {text[:1].lower()}{text[1:]}."


def _of_region(region: str) -> str:
    return "" if region == "all" else f" of region {region}"
