"""write_derivatives: everything that is written of one scan, at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ivimkit.cohort.derivative_names import (
    figure_name,
    folder_of,
    map_name,
    mask_name,
    record_name,
    regions_name,
)
from ivimkit.cohort.derivative_sidecars import bids_sidecar
from ivimkit.cohort.region_table import write_region_rows
from ivimkit.cohort.subjects import Subject
from ivimkit.fitting.adc import ADC
from ivimkit.fitting.result import FitResult
from ivimkit.io.json_text import write_json
from ivimkit.io.map_files import save_map, write_image
from ivimkit.io.map_folder import SavedMap, found_mask
from ivimkit.io.record import fit_record
from ivimkit.io.result_files import result_folder
from ivimkit.io.result_folder import check_free
from ivimkit.writing import Files, write_files

if TYPE_CHECKING:
    from ivimkit.report import Report

__all__ = ["Derivatives", "write_derivatives"]

_OF_PRIOR = "prior"
_ENDINGS = {"image/png": ".png", "image/svg+xml": ".svg"}


@dataclass(frozen=True, eq=False)
class Derivatives:
    """What is written of one scan.

    Parameters
    ----------
    subject : Subject
        The scan.
    result : FitResult
        Its fit.
    regions : sequence of mapping
        Its table of regions.
    sources : sequence of str
        Its inputs, as URIs of BIDS.
    report : Report, optional
        Its page, whose pictures become its figures.
    keeps_priors : bool
        Whether its priors are written; those of the cohort are in a folder of their own.
    """

    subject: Subject
    result: FitResult
    regions: Sequence[Mapping[str, Any]]
    sources: Sequence[str]
    report: Report | None = None
    keeps_priors: bool = True

    def writers(self) -> dict[str, Callable[[Path], None]]:
        """Return the functions that write the files, by their paths in the folder of the subject.

        The slow ones, which compress, come first.
        """
        home, result = folder_of(self.subject), self.result
        saved = result_folder(result)
        names = [one.name for one in saved.maps]
        status = f"{self._name('status', names)}.nii.gz"
        found: dict[str, Callable[[Path], None]] = {}
        for one in saved.maps:
            name = home / self._name(one.name, names)
            found[f"{name}.nii.gz"] = partial(self._write_map, one)
            if one.sidecar is not None:
                about = bids_sidecar(one.sidecar, self.sources, status)
                found[f"{name}.json"] = partial(write_json, content=about)
        if (mask := found_mask(result)) is not None:
            inside, name = mask.astype(np.uint8), home / mask_name(self.subject)
            found[f"{name}.nii.gz"] = lambda path: save_map(inside, path, result.geometry)
            about = {"Type": "ROI", "Sources": list(self.sources)}
            found[f"{name}.json"] = partial(write_json, content=about)
        name = home / regions_name(self.subject, result.model.name)
        found[f"{name}.tsv"] = partial(write_region_rows, rows=self.regions)
        found[f"{record_name(self.subject, 'fit')}.json"] = self._write_record
        for own, write in saved.others.items():
            if self.keeps_priors and own.startswith(_OF_PRIOR):
                found[record_name(self.subject, own)] = write
        return {**found, **self._figures()}

    def _name(self, name: str, names: Sequence[str]) -> str:
        # The ADC in addition to another model is of a model of its own.
        alone = name == "ADC" and name not in self.result.model.names
        model = ADC.model.name if alone else self.result.model.name
        return map_name(self.subject, model, name, names)

    def _write_map(self, one: SavedMap, path: Path) -> None:
        write_image(path, one.values(), self.result.geometry, one.shown)

    def _write_record(self, path: Path) -> None:
        write_json(path, msgspec.to_builtins(fit_record(self.result)))

    def _figures(self) -> dict[str, Callable[[Path], None]]:
        """Return the pictures of the report, as files."""
        if self.report is None:
            return {}
        # Imported here: it loads matplotlib.
        from ivimkit.report.section_blocks import Pictures

        found: dict[str, Callable[[Path], None]] = {}
        for section in self.report.sections:
            blocks = [block for block in section.blocks if isinstance(block, Pictures)]
            pictures = [picture for block in blocks for picture in block.pictures]
            for number, picture in enumerate(pictures, start=1):
                shown = picture.encoded()
                place = section.id if len(pictures) == 1 else f"{section.id}{number}"
                name = figure_name(self.subject, place) + _ENDINGS[shown.media_type]
                found[name] = partial(_write_bytes, content=shown.data)
        return found


def write_derivatives(
    out: Path,
    made: Derivatives,
    *,
    threads: int,
    overwrite: bool,
    outdated: Sequence[str] = (),
) -> list[str]:
    """Write the files of one scan to the folder of its subject, all at once.

    Parameters
    ----------
    out : Path
        The output folder.
    made : Derivatives
        What to write.
    threads : int
        Number of threads that compress.
    overwrite : bool
        Whether files of these names may be replaced.
    outdated : sequence of str
        Files of an earlier result, relative to the output folder, which are removed.

    Returns
    -------
    list of str
        The files, relative to the output folder.

    Raises
    ------
    OutputExistsError
        If there are such files, and they may not be replaced.
    InputError
        If they cannot be written.
    """
    home = f"sub-{made.subject.label}"
    writers = made.writers()
    check_free(out / home, list(writers), overwrite=overwrite)
    old = [name.removeprefix(f"{home}/") for name in outdated if name.startswith(f"{home}/")]
    write_files(
        out / home,
        Files(
            list(writers),
            partial(_write_all, writers, threads),
            [name for name in old if name not in writers],
        ),
    )
    return [f"{home}/{name}" for name in writers]


def _write_all(writers: Mapping[str, Callable[[Path], Any]], threads: int, stage: Path) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for job in [pool.submit(write, stage / name) for name, write in writers.items()]:
            job.result()


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
