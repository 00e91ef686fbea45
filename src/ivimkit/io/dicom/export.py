"""Export: everything that is written for one result, one file at a time."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from ivimkit import quality
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom.capture import capture, check_picture
from ivimkit.io.dicom.context import DicomContext
from ivimkit.io.dicom.header import VERSION, Header
from ivimkit.io.dicom.measurement_report import measurement_report
from ivimkit.io.dicom.mr_series import mr_series
from ivimkit.io.dicom.parametric_map import map_uids, parametric_map
from ivimkit.io.dicom.quantities import Quantity, quantity_of
from ivimkit.io.dicom.segmentation import segmentation, segments_of
from ivimkit.io.dicom.texts import text_of
from ivimkit.io.dicom.uids import Uids
from ivimkit.io.json_text import plain
from ivimkit.io.record import fit_record
from ivimkit.scan.labels import Labels

__all__ = ["Export"]

# Numbers of series relative to the first: 40 maps of each kind find room.
_FIRST_PM, _SEG, _SR, _SC = 40, 80, 81, 82
# What a fit may differ in without being another result.
_INCIDENTAL = ("call", "device", "precision")


@dataclass(frozen=True)
class Export:
    """A result to be written as DICOM; everything in it is checked.

    Parameters
    ----------
    result : FitResult
        The fit.
    context : DicomContext
        Patient, study and images.
    kinds : tuple of str
        What to write.
    maps : tuple of str
        Which maps.
    labels : Labels, optional
        Regions.
    picture : ndarray of uint8, optional
        For the Secondary Capture.
    uid_root : str, optional
        Root of UIDs.
    first_series : int, optional
        Number of the first series.
    """

    result: FitResult
    context: DicomContext
    kinds: tuple[str, ...]
    maps: tuple[str, ...]
    labels: Labels | None = None
    picture: NDArray[np.uint8] | None = None
    uid_root: str | None = None
    first_series: int | None = None

    def __post_init__(self) -> None:
        # Before the folder is touched.
        Uids("", self.uid_root)
        if self.picture is not None:
            check_picture(self.picture)

    @property
    def names(self) -> list[str]:
        """The files, relative to the folder."""
        found: list[str] = []
        if "mr" in self.kinds:
            n_slices = self.result.shape[2]
            found += [_image_name(name, k) for name in self.maps for k in range(n_slices)]
        if "pm" in self.kinds:
            found += [f"pm_{name}.dcm" for name in self.maps]
        return [*found, *(f"{kind}.dcm" for kind in ("seg", "sr", "sc") if kind in self.kinds)]

    def write(self, folder: Path) -> None:
        """Write all files into an empty folder."""
        writers = {
            "mr": self._write_images,
            "pm": self._write_maps,
            "seg": self._write_regions,
            "sc": self._write_picture,
        }
        with warnings.catch_warnings():
            # The name is that of the source, whatever its form.
            warnings.filterwarnings("ignore", "The string .* intended person name")
            for kind, write in writers.items():
                if kind in self.kinds:
                    write(folder)

    @cached_property
    def header(self) -> Header:
        """What all files share."""
        result = self.result
        x, y, z = result.shape
        return Header(
            context=self.context,
            geometry=result.geometry,
            shape=(x, y, z),
            uids=Uids(self._seed(), self.uid_root),
            made=_time(result.provenance.started),
            settings=_settings(result),
            organ=result.settings.organ,
            first_series=self.first_series,
        )

    @cached_property
    def _region_header(self) -> Header:
        """The header of what depends on the regions, too."""
        assert self.labels is not None
        names = json.dumps(list(self.labels.names.items()))
        return _with_seed(self.header, names, _hash(self.labels.array))

    def _seed(self) -> str:
        """Return what makes this result another one than any other: the images, and the options.

        Not the values: rounding may differ from one machine to another, and a fit that is repeated
        there is still the same result.
        """
        result = self.result
        settings = msgspec.to_builtins(fit_record(result).settings)
        for name in _INCIDENTAL:
            settings.pop(name, None)
        if result.settings.sigma not in (None, "map"):
            # It may be an estimate, with the rounding of a machine.
            settings["sigma"] = f"{result.settings.sigma:.6g}"
        given = dict(result.model.fixed_maps)
        if result.settings.sigma == "map" and result.settings.noise is None:
            given["sigma"] = result.maps["sigma"]
        parts = (
            VERSION,
            self.context.digest,
            json.dumps(settings, sort_keys=True),
            _hash(result.mask),
            *(f"{name} {_hash(values)}" for name, values in sorted(given.items())),
            "with the patient" if self.context.patient else "anonymous",
        )
        return "\0".join(parts)

    def _quantities(self) -> Iterator[tuple[int, Quantity]]:
        """Yield the maps with their positions, which do not depend on which others are written."""
        order = list(dict.fromkeys((*self.result.model.shown_maps, *self.result.maps)))
        for name in self.maps:
            yield order.index(name), quantity_of(self.result, name)

    def _write_images(self, folder: Path) -> None:
        for offset, quantity in self._quantities():
            values = self.result.maps[quantity.name]
            for k, image in enumerate(mr_series(values, quantity, self.header, offset)):
                _save(image, folder / _image_name(quantity.name, k))

    def _write_maps(self, folder: Path) -> None:
        for offset, quantity in self._quantities():
            values = self.result.maps[quantity.name]
            made = parametric_map(values, quantity, self.header, _FIRST_PM + offset)
            _save(made, folder / f"pm_{quantity.name}.dcm")

    def _write_regions(self, folder: Path) -> None:
        """Write the Segmentation, and the report that refers to it."""
        assert self.labels is not None
        header = self._region_header
        segments = segments_of(self.labels, header)
        regions = segmentation(self.labels, segments, header, _SEG)
        _save(regions, folder / "seg.dcm")
        if "sr" not in self.kinds:
            return
        table = quality.roi_table(self.result, self.labels, maps=self.maps)
        maps = {name: self._map_reference(name) for name in self.maps if "pm" in self.kinds}
        # What is reported also depends on the maps, and on whether the scan was available.
        content = json.dumps([self.maps, list(maps), list(table.columns)])
        made = measurement_report(
            table,
            [quantity for _, quantity in self._quantities()],
            segments,
            regions,
            maps,
            _with_seed(header, content),
            _SR,
        )
        _save(made, folder / "sr.dcm")

    def _write_picture(self, folder: Path) -> None:
        assert self.picture is not None
        header = _with_seed(self.header, _hash(self.picture))
        _save(capture(self.picture, header, _SC), folder / "sc.dcm")

    def _map_reference(self, name: str) -> Dataset:
        """Return what a report says of a Parametric Map, without its pixels."""
        made = self.header.of_study()
        made.SOPClassUID = ParametricMapStorage
        made.SOPInstanceUID, made.SeriesInstanceUID = map_uids(name, self.header)
        return made


def _with_seed(header: Header, *parts: str) -> Header:
    """Return the header of what depends on more."""
    seed = "\0".join((header.uids.seed, *parts))
    return replace(header, uids=replace(header.uids, seed=seed))


def _image_name(name: str, position: int) -> str:
    return f"mr_{name}/{position + 1:04d}.dcm"


def _hash(array: NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _time(started: str) -> datetime:
    """Return when a fit was made, in local time as all times of a study; or now."""
    try:
        return datetime.fromisoformat(started).astimezone()
    except ValueError:
        return datetime.now().astimezone()


def _settings(result: FitResult) -> tuple[str, ...]:
    """Return how a result was fitted, as short texts."""
    options = {
        "model": result.model.name,
        "method": result.method.name,
        **plain(result.method.options()),
    }
    bvals = " ".join(f"{b:g}" for b in result.provenance.bvals)
    return (*(text_of(f"{name}={value}") for name, value in options.items()), f"b={bvals}")


def _save(made: Dataset, path: Path) -> None:
    made.save_as(path, enforce_file_format=True)
