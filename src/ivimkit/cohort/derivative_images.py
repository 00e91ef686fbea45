"""DerivativeImages: masks and label images of other programs, by the scan that they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ivimkit.cohort.bids_filters import BidsFilters
from ivimkit.cohort.entities import NAMES, Entities, entities_of, suffix_of
from ivimkit.errors import OptionError
from ivimkit.io.gradient_files import paths_in

__all__ = ["SUFFIXES", "DerivativeImages", "MapName"]

SUFFIXES = {"mask": "mask", "labels": "dseg"}
"""Suffixes of the names of masks and label images."""

_OF_IMAGE = ("desc", "label", "space", "seg", "res", "den")
"""Entities that say what an image is, not which scan it belongs to."""

_OF_MAP = (*_OF_IMAGE, "model", "param")


@dataclass(frozen=True)
class MapName:
    """Entities of the name of a map, and maybe its suffix: ``model-ivim_param-D_dwimap``.

    Parameters
    ----------
    entities : mapping of str to str
        Entities that it has, among others.
    suffix : str
        Its suffix; empty for any.
    """

    entities: Entities
    suffix: str = ""

    @classmethod
    def of_text(cls, text: str, option: str) -> Self:
        """Read what a user wrote.

        Raises
        ------
        OptionError
            If it is something else.
        """
        *parts, last = text.split("_")
        suffix = "" if "-" in last else last
        words = [*parts, last] if not suffix else parts
        entities = dict(word.split("-", 1) for word in words if word.count("-") == 1)
        if not entities or len(entities) < len(words) or not set(entities) <= set(NAMES):
            raise OptionError(
                f"{option} is {text!r}; expected a number, or the entities of the maps in the "
                "derivatives, like desc-noise or model-ivim_param-D_dwimap. Correct it"
            )
        return cls(entities, suffix)

    def is_of(self, path: Path, entities: Entities) -> bool:
        """Return whether a file is called so."""
        return self.suffix in ("", suffix_of(path)) and self.entities.items() <= entities.items()


@dataclass(frozen=True)
class _Image:
    path: Path
    entities: Entities

    def rank(self, scan: Entities) -> tuple[bool, int]:
        shared = sum(scan.get(name) == label for name, label in self.entities.items())
        return self.path.parent.name == "dwi", shared

    @property
    def what(self) -> str:
        return self.entities.get("desc", self.entities.get("label", ""))


@dataclass(frozen=True)
class DerivativeImages:
    """The folders of derivatives, each with subjects as BIDS has them.

    Parameters
    ----------
    folders : mapping of str to Path
        Folders by the name of their data set.
    filters : BidsFilters
        Which of the images are taken.
    """

    folders: Mapping[str, Path]
    filters: BidsFilters = field(default_factory=BidsFilters)

    def find(self, kind: str, scan: Entities, wanted: str | None) -> Path | None:
        """Find the image of a scan.

        Parameters
        ----------
        kind : {"mask", "labels"}
            Which image.
        scan : Entities
            The entities of the scan.
        wanted : str, optional
            Its label of ``desc`` or ``label``, such as ``liver``.

        Returns
        -------
        Path or None
            The image that shares most entities with the scan; one in a folder ``dwi`` before
            others.

        Raises
        ------
        OptionError
            If there are several.
        """
        images = [
            image
            for image in self._images(kind, scan)
            if wanted is None
            or wanted in (image.entities.get("desc"), image.entities.get("label"))
        ]
        if not images:
            return None
        best = max(image.rank(scan) for image in images)
        first = [image for image in images if image.rank(scan) == best]
        if len(first) > 1:
            raise OptionError(_several(kind, first))
        return first[0].path

    def find_map(self, name: str, wanted: MapName, scan: Entities) -> Path | None:
        """Find a map of a scan, such as that of its noise.

        Parameters
        ----------
        name : str
            What it is for, for errors.
        wanted : MapName
            What its file is called.
        scan : Entities
            The entities of the scan.

        Raises
        ------
        OptionError
            If there are several.
        """
        images = [
            _Image(path, entities)
            for folder in self.folders.values()
            for path in _files_of(folder, scan)
            if (entities := entities_of(path)) is not None
            and path.name.endswith((".nii", ".nii.gz"))
            and wanted.is_of(path, entities)
            and _belongs(entities, scan, but=_OF_MAP)
        ]
        if not images:
            return None
        best = max(image.rank(scan) for image in images)
        first = [image for image in images if image.rank(scan) == best]
        if len(first) > 1:
            names = ", ".join(str(image.path) for image in first[:3])
            raise OptionError(
                f"{len(first)} images of the derivatives could be the map of {name}: {names}; "
                "expected one. Name more of its entities, like model-ivim_param-D"
            )
        return first[0].path

    def _images(self, kind: str, scan: Entities) -> list[_Image]:
        found = []
        for folder in self.folders.values():
            for path in _files_of(folder, scan):
                image = _image(path, SUFFIXES[kind])
                if image is None or not _belongs(image.entities, scan):
                    continue
                if self.filters.takes(kind, image.entities):
                    found.append(image)
        return found


def _files_of(folder: Path, scan: Entities) -> list[Path]:
    """Return the files of a subject, and of the session of the scan."""
    home = folder / f"sub-{scan['sub']}"
    homes = [home, home / f"ses-{scan['ses']}"] if "ses" in scan else [home]
    return [
        path
        for home in homes
        for inner in paths_in(home)
        if not inner.name.startswith("ses-")
        for path in ([inner] if inner.suffix else paths_in(inner))
    ]


def _image(path: Path, suffix: str) -> _Image | None:
    if not path.name.endswith((".nii", ".nii.gz")) or suffix_of(path) != suffix:
        return None
    entities = entities_of(path)
    return None if entities is None else _Image(path, entities)


def _belongs(image: Entities, scan: Entities, but: Collection[str] = _OF_IMAGE) -> bool:
    """Whether an image is of a scan: it may say less of the scan, but nothing else."""
    return all(
        scan.get(name) == label for name, label in image.items() if name not in but
    ) and all(
        scan[name] == image[name] for name in ("space", "res") if {name} <= {*image} & {*scan}
    )


def _several(kind: str, images: Sequence[_Image]) -> str:
    option = {"mask": "--mask", "labels": "--labels"}[kind]
    names = ", ".join(str(image.path) for image in images[:3])
    words = sorted({image.what for image in images} - {""})
    choose = (
        f"Choose one by {option} with one of {', '.join(words)}"
        if len(words) == len(images)
        else "Choose one by --bids-filter-file"
    )
    return (
        f"{len(images)} images of the derivatives could be the {kind}: {names}; expected one. "
        f"{choose}"
    )
