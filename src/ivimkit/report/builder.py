"""build(): a report from one or two results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures.reliability import check_choice
from ivimkit.fitting.result import FitResult
from ivimkit.quality import ring as ring_around
from ivimkit.quality.difference import difference
from ivimkit.quality.table_rows import labelled, labels_like
from ivimkit.report.html_document import Report
from ivimkit.report.report_subject import Lesion, Side, Subject
from ivimkit.report.section_blocks import Section
from ivimkit.report.sections.acquisition_section import acquisition
from ivimkit.report.sections.checks_section import checks
from ivimkit.report.sections.curves_section import curves
from ivimkit.report.sections.differences_section import differences
from ivimkit.report.sections.histograms_section import histograms
from ivimkit.report.sections.maps_section import maps
from ivimkit.report.sections.methods_section import methods
from ivimkit.report.sections.preprocessing_section import preprocessing
from ivimkit.report.sections.provenance_section import provenance
from ivimkit.report.sections.regions_section import regions
from ivimkit.report.sections.residuals_section import residuals
from ivimkit.report.sections.screening_section import screening
from ivimkit.report.sections.status_section import status
from ivimkit.report.sections.summary_section import summary
from ivimkit.scan.labels import Labels

__all__ = ["build"]

_RING = 10.0
"""Width of the ring around a lesion if no reference is given, mm."""


def build(
    result: FitResult,
    other: FitResult | None = None,
    *,
    labels: Labels | ArrayLike | None = None,
    lesion: str | ArrayLike | None = None,
    reference: str | ArrayLike | None = None,
    ring: float | None = None,
    gap: float = 5.0,
    reliable_only: bool | None = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    unreliable: str = "fade",
    anonymous: bool = True,
) -> Report:
    """Build a report on a result, or on two results of the same voxels side by side.

    Images, curves and residuals need the scan, ``result.dwi``: `ivimkit.fit` sets it, and
    `ivimkit.load_result` loads it with ``scan=True``. Without it those sections are left out.

    Parameters
    ----------
    result : FitResult
        The fit.
    other : FitResult, optional
        Another fit, with another method or from another time point, on the same grid.
    labels : Labels or array_like of int, shape of the maps, optional
        Regions; see `ivimkit.load_labels`. Their names are shown as they are.
    lesion : str or array_like, shape of the maps, optional
        Region of interest, by its name or as a mask.
    reference : str or array_like, shape of the maps, optional
        Region to compare it with, by its name or as a mask; with `ring`, the region that the ring
        is confined to.
    ring : float, optional
        Width in mm of a ring around the lesion to compare it with, inside the fitted mask or the
        reference; 10 if there is no reference.
    gap : float
        Distance in mm between lesion and ring, to exclude mixed voxels.
    reliable_only : bool, optional
        Whether to use only voxels whose value the data identify, see `ivimkit.FitResult.reliable`;
        by default all in region tables, and reliable ones to compare a lesion.
    names : sequence of str, optional
        Names of the two results; by default their methods, or A and B.
    title : str, optional
        Title of the page.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine, in maps, histograms and the
        picture of the lesion: fade and hatch them, leave them out, or show them like all others.
    anonymous : bool
        Whether to leave out names of files and folders, and the command line, which may contain
        the name of a patient. Of the NIfTI header only the geometry is ever shown.

    Returns
    -------
    Report
        With ``html`` and ``write``.

    Raises
    ------
    ShapeError
        If the results have different voxels, or a region has another shape, or no voxel.
    OptionError
        If there is no such region, or options contradict each other.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> labels = ik.Labels(made.labels, made.label_names)
    >>> report = ik.report.build(ik.fit(made.dwi), labels=labels, lesion="lesion")
    >>> [section.id for section in report.sections][:3]
    ['summary', 'checks', 'acquisition']
    """
    check_choice(unreliable)
    results = [result] if other is None else [result, other]
    called = _names(results, names)
    both = None if other is None else difference(result, other, (called[0], called[1]))
    sides = [Side(name, one) for name, one in zip(called, results, strict=True)]
    regions_of = None if labels is None else labelled(labels, result)
    subject = Subject(
        sides=sides,
        labels=regions_of,
        lesion=_lesion(result, regions_of, lesion, reference, (ring, gap)),
        unreliable=unreliable,
        anonymous=anonymous,
        reliable_only=reliable_only,
        difference=both,
    )
    models = " and ".join(dict.fromkeys(one.model.title for one in results))
    heading = f"Report: {models}" if title is None else title
    return Report(heading, _subtitle(sides), _sections(subject))


def _sections(subject: Subject) -> tuple[Section, ...]:
    """Return the sections in the order of the page, folded but for the first."""
    both = subject.difference
    found = [
        None if both is None else differences(subject, both),
        checks(subject),
        acquisition(subject),
        regions(subject),
        maps(subject),
        histograms(subject),
        curves(subject),
        status(subject),
        preprocessing(subject),
        screening(subject),
        residuals(subject),
        methods(subject),
        provenance(subject),
    ]
    folded = (replace(section, folded=True) for section in found if section is not None)
    return (summary(subject), *folded)


def _names(results: Sequence[FitResult], names: Sequence[str] | None) -> list[str]:
    if names is not None:
        if len(names) != len(results) or len(set(names)) != len(results) or not all(names):
            raise OptionError(
                f"names are {list(names)}; expected {len(results)}, all different. Name every "
                "result"
            )
        return list(names)
    if len(results) == 1:
        return [""]
    for found in ([one.method.name for one in results], [one.model.name for one in results]):
        if len(set(found)) == len(found):
            return found
    return ["A", "B"]


def _subtitle(sides: Sequence[Side]) -> str:
    parts = []
    for side in sides:
        result = side.result
        text = f"{result.model.title} by {result.method.title}"
        parts.append(f"{side.name}: {text}" if side.name else text)
    return "; ".join(parts)


def _lesion(
    result: FitResult,
    labels: Labels | None,
    lesion: str | ArrayLike | None,
    reference: str | ArrayLike | None,
    ring: tuple[float | None, float],
) -> Lesion | None:
    width, gap = ring
    if lesion is None:
        if reference is not None or width is not None:
            what = "a reference" if reference is not None else "a ring"
            raise OptionError(f"{what} is given without a lesion; expected both. Name the lesion")
        return None
    name, mask = _region(result, labels, lesion, "lesion")
    if not mask.any():
        raise ShapeError("the lesion is empty; expected at least one voxel > 0. Draw it again")
    tissue, within = "tissue", result.mask
    if reference is not None:
        tissue, inside = _region(result, labels, reference, "reference")
        if width is None:
            return Lesion(name, mask, tissue, inside)
        within = within & inside
    wide = _RING if width is None else width
    size = result.geometry.voxel_size
    around = ring_around(mask, size, gap=gap, width=wide, within=within)
    if not around.any():
        where = "the fitted mask" if reference is None else tissue
        raise ShapeError(
            f"the ring of {wide:g} mm, {gap:g} mm from {name}, has no voxel in {where}; expected "
            "some. Make it wider, or the gap smaller"
        )
    return Lesion(name, mask, f"the {tissue} around it", around)


def _region(
    result: FitResult, labels: Labels | None, region: str | ArrayLike, role: str
) -> tuple[str, NDArray[np.bool_]]:
    """Return name and voxels of a region that is given by its name or as a mask."""
    if not isinstance(region, str):
        return role, np.asarray(labels_like(region, result) > 0)
    if labels is None:
        raise OptionError(
            f"the {role} is {region!r} and there are no labels; expected the regions in which "
            "it is. Give labels, or a mask"
        )
    return region, labels[region]
