"""Maps: the images of the scan, the maps, and their uncertainty."""

from __future__ import annotations

from ivimkit.extend.derived_maps import describe, is_about_another
from ivimkit.figures.mosaic import image_mosaic, mosaic, mosaic_names
from ivimkit.figures.picture import Picture
from ivimkit.figures.prior_panels import prior_panels
from ivimkit.fitting.prior_choice import why_this_prior
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Pictures, Section, Text

__all__ = ["maps"]

_HIGH_B = 800.0
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
    """Return the section of the mosaics.

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
    if not side.is_image:
        return [Text("The voxels are a list, not an image: there is no mosaic.", "note"), *shown]
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
        Text(hint, "hint"),
        Text(note, "note"),
        Pictures([*_images(side), *known], small=True),
        *shown,
    ]


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
