"""find_bids: the diffusion scans of a BIDS data set, with all files that belong to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ivimkit.cohort.bids_filters import BidsFilters
from ivimkit.cohort.derivative_images import DerivativeImages, MapName
from ivimkit.cohort.entities import entities_of, label_of, name_of, suffix_of
from ivimkit.cohort.subjects import SIGMA, Found, Subject, check_distinct
from ivimkit.errors import FileFormatError, InputError, OptionError
from ivimkit.io.gradient_files import beside, paths_in, read_bvals, sidecars_of
from ivimkit.scan import masks
from ivimkit.writing import full_path

__all__ = ["DESCRIPTION", "find_bids"]

DESCRIPTION = "dataset_description.json"
"""The file that makes a folder a data set."""

_MIN_B_VALUES = 2
_NOT_MAGNITUDE = ("phase", "real", "imag")


def find_bids(
    root: Path,
    *,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    filters: BidsFilters | None = None,
    derivatives: Mapping[str, Path] | None = None,
    mask: str | None = None,
    labels: str | None = None,
    maps: Mapping[str, MapName] | None = None,
) -> Found:
    """Find the diffusion scans of a data set: ``sub-*/[ses-*/]dwi/*_dwi.nii[.gz]``.

    b-values, directions and table of volumes (``_dwi.tsv``) may lie next to the scan or, with some
    of its entities, in a folder above it; of JSON sidecars all that fit count, the nearest first.
    A scan without directions is taken: those of trace-weighted images have none.

    Parameters
    ----------
    root : Path
        The data set; it contains ``dataset_description.json``.
    participants, sessions : sequence of str
        Labels to take, with or without ``sub-`` or ``ses-``; all by default.
    filters : BidsFilters, optional
        Which files to take.
    derivatives : mapping of str to Path, optional
        Folders with masks (``_mask``) and label images (``_dseg``) by the name of their data set.
    mask : str, optional
        ``auto``, ``auto:body`` or ``auto:brain``; or ``desc`` or ``label`` of a mask of the
        derivatives, without which a scan is left out. By default the only one, if there is one.
    labels : str, optional
        The same for label images.
    maps : mapping of str to MapName, optional
        Maps of each scan in the derivatives, by what they are for: ``sigma`` or the name of a
        parameter. A scan without them is left out.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        If it is not a data set, something asked for is not there, or there is no scan.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from ivimkit.cohort import find_bids
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "dataset_description.json").write_text('{"Name": "example"}')
    >>> _ = (root / "dwi.bval").write_text("0 100 800")
    >>> (root / "sub-01" / "dwi").mkdir(parents=True)
    >>> (root / "sub-01" / "dwi" / "sub-01_dwi.nii.gz").touch()
    >>> [(subject.name, subject.bval.name) for subject in find_bids(root).subjects]
    [('sub-01', 'dwi.bval')]
    """
    # Workers may run in another folder.
    root = full_path(root)
    _check_root(root)
    images = DerivativeImages(_folders(derivatives or {}), filters or BidsFilters())
    search = _Search(root, images, mask, labels, functools.cache(paths_in), maps or {})
    _check_choice(mask, labels, images, search.maps)
    folders = _chosen(root, "sub", participants)
    homes = [home for folder in folders for home in _with_sessions(folder, sessions)]
    if sessions:
        _check_sessions(folders, sessions)
    subjects: list[Subject] = []
    skipped: list[tuple[str, str]] = []
    for path in (path for home in homes for path in search.scans_in(home / "dwi")):
        try:
            subjects.append(search.subject(path))
        except _LeftOutError as reason:
            skipped.append((str(path.relative_to(root)), str(reason)))
    check_distinct(subjects)
    if not subjects and not skipped:
        raise InputError(
            f"there is no scan in {root} that was asked for; expected files like "
            "sub-01/dwi/sub-01_dwi.nii.gz. Check the folder, the labels and the filters"
        )
    return Found(tuple(subjects), tuple(skipped), root)


class _LeftOutError(Exception):
    """Why a scan is not fitted."""


@dataclass(frozen=True)
class _Search:
    """Everything that is the same for all scans of a data set."""

    root: Path
    images: DerivativeImages
    mask: str | None
    labels: str | None
    listed: Callable[[Path], Sequence[Path]]
    maps: Mapping[str, MapName]

    def scans_in(self, folder: Path) -> list[Path]:
        """Return the scans of a folder that the filters take."""
        return [
            path
            for path in self.listed(folder)
            if path.name.endswith((".nii", ".nii.gz"))
            and suffix_of(path) == "dwi"
            and (entities := entities_of(path)) is not None
            and self.images.filters.takes("dwi", entities)
        ]

    def subject(self, path: Path) -> Subject:
        """Return a scan with its files; raise _LeftOutError if it is not to be fitted."""
        entities = entities_of(path) or {}
        if entities.get("part") in _NOT_MAGNITUDE:
            raise _LeftOutError(f"it contains part-{entities['part']}, not magnitudes")
        bval, bvec, table = (
            beside(path, kind, listed=self.listed) for kind in ("bval", "bvec", "tsv")
        )
        _check_bvals(bval, table)
        return Subject(
            entities={name: label for name, label in entities.items() if name != "desc"},
            scan=path,
            bval=bval,
            bvec=bvec,
            variables=table,
            sidecars=sidecars_of(path, listed=self.listed),
            mask=self._mask(entities),
            labels=self._image("labels", entities, self.labels),
            maps={name: self._map(name, entities) for name in self.maps},
        )

    def _mask(self, entities: Mapping[str, str]) -> str | None:
        if self.mask is not None and masks.kind_of(self.mask) is not None:
            return self.mask
        found = self._image("mask", entities, self.mask)
        return None if found is None else str(found)

    def _map(self, name: str, entities: Mapping[str, str]) -> Path:
        found = self.images.find_map(name, self.maps[name], entities)
        if found is None:
            raise _LeftOutError(f"the derivatives contain no map of {name} of it")
        return found

    def _image(self, kind: str, entities: Mapping[str, str], wanted: str | None) -> Path | None:
        found = self.images.find(kind, entities, wanted)
        if found is None and wanted is not None:
            raise _LeftOutError(f"the derivatives contain no {kind} {wanted} of it")
        return found


def _check_bvals(bval: Path | None, table: Path | None) -> None:
    """Raise _LeftOutError for a scan that was not made for this: without b-values, or with one."""
    if bval is None:
        if table is None:
            raise _LeftOutError("it has no b-values (.bval)")
        return
    try:
        number = len(set(read_bvals(bval).tolist()))
    except FileFormatError:
        # A damaged file is an error of this scan, which the fit reports.
        return
    if number < _MIN_B_VALUES:
        raise _LeftOutError("all its volumes have one b-value")


def _check_root(root: Path) -> None:
    if not (root / DESCRIPTION).is_file():
        raise FileFormatError(
            f"there is no {DESCRIPTION} in {root}; expected the root of a BIDS data set. Check "
            "the path, or give a table of paths (TSV or CSV) instead"
        )


def _folders(derivatives: Mapping[str, Path]) -> Mapping[str, Path]:
    for name, folder in derivatives.items():
        if not folder.is_dir():
            raise FileFormatError(
                f"there is no folder {folder} of the derivatives {name}; expected a data set with "
                "folders sub-01, ... Check the path"
            )
    return {name: full_path(folder) for name, folder in derivatives.items()}


def _check_choice(
    mask: str | None, labels: str | None, images: DerivativeImages, maps: Mapping[str, MapName]
) -> None:
    named = {"--mask": mask if mask and masks.kind_of(mask) is None else None, "--labels": labels}
    named |= {
        "--sigma" if name == SIGMA else f"--fix {name}": name_of(one.entities)
        for name, one in maps.items()
    }
    for option, wanted in named.items():
        if wanted is not None and not images.folders:
            raise OptionError(
                f"{option} is {wanted!r}, and no derivatives are given; expected the folder that "
                "contains it. Add --derivatives NAME=FOLDER"
                + (", or find a mask by --mask auto" if option == "--mask" else "")
            )


def _chosen(root: Path, entity: str, wanted: Sequence[str]) -> list[Path]:
    """Return the folders of an entity in a folder, or those of some labels."""
    there = {
        path.name.removeprefix(f"{entity}-"): path
        for path in paths_in(root)
        if path.name.startswith(f"{entity}-") and path.is_dir()
    }
    labels = [label_of(text, entity) for text in wanted] or list(there)
    missing = [label for label in labels if label not in there]
    if missing:
        known = ", ".join(list(there)[:10]) + (", ..." if len(there) > 10 else "")
        raise OptionError(
            f"there is no {entity}-{missing[0]} in {root}; expected some of {known or 'none'}. "
            "Correct the label"
        )
    return [there[label] for label in dict.fromkeys(labels)]


def _with_sessions(folder: Path, wanted: Sequence[str]) -> list[Path]:
    """Return the folders of a subject that contain scans: its own, or those of its sessions."""
    labels = {label_of(text, "ses") for text in wanted}
    inner = [path for path in paths_in(folder) if path.name.startswith("ses-") and path.is_dir()]
    chosen = [path for path in inner if not labels or path.name.removeprefix("ses-") in labels]
    return chosen if labels else [folder, *chosen]


def _check_sessions(folders: Sequence[Path], wanted: Sequence[str]) -> None:
    """Refuse labels of sessions that no subject has."""
    there = {path.name.removeprefix("ses-") for one in folders for path in one.glob("ses-*")}
    for label in (label_of(text, "ses") for text in wanted):
        if label not in there:
            raise OptionError(
                f"no subject has a session {label}; expected some of "
                f"{', '.join(sorted(there)) or 'none'}. Correct the label"
            )
