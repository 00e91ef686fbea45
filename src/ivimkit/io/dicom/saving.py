"""save_dicom: a result as DICOM, for the PACS that its scan came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom.context import DicomContext
from ivimkit.io.dicom.extra import require_dicom
from ivimkit.io.result_folder import absolute, check_free
from ivimkit.scan.labels import Labels
from ivimkit.writing import write_folder

__all__ = [
    "KINDS",
    "check_export_folder",
    "check_kinds",
    "context_of",
    "exported_maps",
    "save_dicom",
]

KINDS = {
    "mr": "MR images in whole numbers, one series per map: every PACS shows them",
    "pm": "Parametric Maps with the exact values",
    "seg": "Segmentation of the regions",
    "sr": "measurement report of the regions",
    "sc": "picture of the maps",
}
"""What can be written, by the names of `save_dicom`."""

_OF_REGIONS = ("seg", "sr")
_OWN = re.compile(r"mr_\w+/[0-9]{4,}\.dcm|(pm_\w+|seg|sr|sc)\.dcm")


def save_dicom(
    result: FitResult,
    folder: str | PathLike[str],
    kinds: Sequence[str] | None = None,
    *,
    labels: Labels | ArrayLike | None = None,
    picture: NDArray[np.uint8] | None = None,
    maps: Sequence[str] | None = None,
    anonymous: bool = False,
    uid_root: str | None = None,
    first_series: int | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Save a result as DICOM, with patient, study and geometry of the images it was fitted from.

    The same result has the same UIDs each time: a PACS replaces what it has already, or keeps
    it. All files appear at once, complete, or not at all.

    Parameters
    ----------
    result : FitResult
        The fit of a scan that `ivimkit.load` has read from DICOM, or such a fit that
        `ivimkit.load_result` has loaded.
    folder : path
        Output folder; created if needed.
    kinds : sequence of str, optional
        What to write: ``"mr"`` (series of MR images, a file per slice), ``"pm"`` (Parametric
        Maps), ``"seg"`` (Segmentation), ``"sr"`` (measurement report, TID 1500, which needs the
        Segmentation and brings it along), ``"sc"`` (Secondary Capture of `picture`). By default
        mr and pm, seg and sr if there are labels, and sc if there is a picture.
    labels : Labels or array_like of int, optional
        Regions, on the voxels of the maps. The report contains 95 % limits if the result has its
        scan, see `ivimkit.quality.roi_table`.
    picture : ndarray of uint8, shape (rows, columns, 3), optional
        Red, green and blue of a picture of the result, such as one of `ivimkit.figures`. A line
        that says that it is for research is added below.
    maps : sequence of str, optional
        Which maps; by default those that figures show.
    anonymous : bool
        Whether to leave out what identifies the patient, see `DicomContext.anonymous`. The files
        then no longer belong to the patient in a PACS.
    uid_root : str, optional
        Root of the UIDs of your organisation; by default 2.25.
    first_series : int, optional
        Number of the first series; by default 100 times that of the source, plus 1.
    overwrite : bool
        Whether an earlier export may be replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If the extra dicom is not installed, or the files cannot be written.
    OptionError
        If a kind or map is unknown, something that a kind needs is missing, or the result was not
        fitted from DICOM.
    ShapeError
        If labels or picture do not have the expected shape.
    OutputExistsError
        If there are DICOM files of an earlier export, and overwriting was not asked for.

    Examples
    --------
    >>> import ivimkit as ik
    >>> result = ik.fit(ik.load("study"))  # doctest: +SKIP
    >>> ik.io.save_dicom(result, "for_pacs", ["mr"], maps=["D", "f"])  # doctest: +SKIP
    """
    chosen = check_kinds(kinds, regions=labels is not None, picture=picture is not None)
    context = context_of(result)
    names = exported_maps(result, maps)
    regions = _regions(result, labels)
    require_dicom("results as DICOM", "highdicom")
    # Only here: both libraries take half a second to import.
    from ivimkit.io.dicom.export import Export

    export = Export(
        result=result,
        context=context.anonymous() if anonymous else context,
        kinds=chosen,
        maps=names,
        labels=regions,
        picture=picture,
        uid_root=uid_root,
        first_series=first_series,
    )
    target = absolute(folder)
    check_export_folder(target, overwrite=overwrite)
    write_folder(target, export.names, export.write, outdated=_earlier(target))
    return [target / name for name in export.names]


def check_kinds(kinds: Sequence[str] | None, *, regions: bool, picture: bool) -> tuple[str, ...]:
    """Return the kinds to write, in their order, or refuse them.

    Parameters
    ----------
    kinds : sequence of str, optional
        Names of `KINDS`; None for all that are possible.
    regions, picture : bool
        Whether there are labels and a picture.

    Raises
    ------
    OptionError
        If a kind is unknown, named twice, or needs what is missing.

    Examples
    --------
    >>> from ivimkit.io.dicom.saving import check_kinds
    >>> (
    ...     check_kinds(None, regions=True, picture=False),
    ...     check_kinds(["sr"], regions=True, picture=False),
    ... )
    (('mr', 'pm', 'seg', 'sr'), ('seg', 'sr'))
    """
    if kinds is None:
        given = {"seg": regions, "sr": regions, "sc": picture}
        return tuple(kind for kind in KINDS if given.get(kind, True))
    if isinstance(kinds, str):
        kinds = (kinds,)
    for kind in kinds:
        if kind not in KINDS:
            raise OptionError(
                f"there is no kind of DICOM output {kind!r}; expected some of {', '.join(KINDS)}"
            )
    if not kinds or len(set(kinds)) < len(kinds):
        raise OptionError(
            f"the kinds of DICOM output are {', '.join(kinds) or 'none'}; expected each of "
            f"{', '.join(KINDS)} at most once, and at least one"
        )
    needy = [kind for kind in _OF_REGIONS if kind in kinds]
    if needy and not regions:
        raise OptionError(
            f"{' and '.join(needy)}: there are no regions to describe; expected labels. Name them "
            f"(--labels), or leave out {' and '.join(needy)}",
            python="Pass labels=",
        )
    if "sc" in kinds and not picture:
        raise OptionError(
            "sc is a picture, and there is none; expected one. Leave out sc",
            python="Pass picture=, an array of red, green and blue",
        )
    wanted = {*kinds, *(["seg"] if "sr" in kinds else [])}
    return tuple(kind for kind in KINDS if kind in wanted)


def check_export_folder(folder: str | PathLike[str], *, overwrite: bool = False) -> None:
    """Refuse a folder with an earlier export, before any work: slices of two would be sent.

    Parameters
    ----------
    folder : path
        Output folder, which need not exist.
    overwrite : bool
        Whether an earlier export may be replaced.

    Raises
    ------
    OutputExistsError
        If there are DICOM files of an earlier export, or the folder is a file.
    """
    target = absolute(folder)
    check_free(target, _earlier(target), overwrite=overwrite)


def context_of(result: FitResult) -> DicomContext:
    """Return patient, study and images of a result, or refuse one that has none.

    Raises
    ------
    OptionError
        If the result was not fitted from DICOM.
    ShapeError
        If its maps are not those of the images.
    """
    context = result.source_context
    if not isinstance(context, DicomContext):
        raise OptionError(
            "the result does not say which patient, study and images it belongs to: its scan was "
            "not read from DICOM, or its dicom.json is missing or belongs to another user; "
            "expected the fit of a DICOM folder. Fit the DICOM files, or name their folder "
            "(--template FOLDER)",
            python="Give it the images it belongs to: ivimkit.io.with_template",
        )
    if len(result.shape) != 3 or len(context.slices) != result.shape[2]:
        raise ShapeError(
            f"the maps have shape {result.shape} and the images {len(context.slices)} slices; "
            "expected maps of three axes with as many slices. Fit the DICOM files again"
        )
    return context


def exported_maps(result: FitResult, maps: Sequence[str] | None) -> tuple[str, ...]:
    """Return the maps to write, by default those that figures show.

    Raises
    ------
    OptionError
        If the result has no such map, or one is named twice.
    """
    if maps is None:
        return tuple(name for name in result.model.shown_maps if name in result.maps)
    unknown = [name for name in maps if name not in result.maps]
    if unknown or not maps or len(set(maps)) < len(maps):
        named = unknown[0] if unknown else ", ".join(maps) or "none"
        raise OptionError(
            f"the maps to export are {named!r}; expected some of {', '.join(result.maps)}, each "
            "at most once"
        )
    return tuple(maps)


def _regions(result: FitResult, labels: Labels | ArrayLike | None) -> Labels | None:
    if labels is None:
        return None
    regions = labels if isinstance(labels, Labels) else Labels(labels)
    if regions.array.shape != result.shape:
        raise ShapeError(
            f"the labels have shape {regions.array.shape}; expected {result.shape}, that of the "
            "maps. Resample them to the scan"
        )
    return regions


def _earlier(folder: Path) -> list[str]:
    """Return the files of an earlier export."""
    if not folder.is_dir():
        return []
    found = [path.relative_to(folder).as_posix() for path in folder.glob("*.dcm")]
    found += [path.relative_to(folder).as_posix() for path in folder.glob("mr_*/*.dcm")]
    return [name for name in sorted(found) if _OWN.fullmatch(name)]
