"""DicomExport: a saved result as DICOM; the work behind ``ivimkit dicom export``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ivimkit import io, organs
from ivimkit.cli.options.assignments import series_list, words
from ivimkit.cli.options.export_options import ExportOptions
from ivimkit.cli.options.model_file import ModelFile
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.options.result_input import check_names, load_regions, with_scan
from ivimkit.cli.options.result_options import FittedFiles, RegionFiles
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import OptionError
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom.extra import require_dicom
from ivimkit.io.dicom.saving import check_export_folder, check_kinds, context_of, exported_maps
from ivimkit.io.dicom.uids import Uids
from ivimkit.io.result_folder import absolute
from ivimkit.scan.labels import Labels

__all__ = ["DicomExport"]


@dataclass(frozen=True)
class DicomExport:
    """What to write of a result, and where.

    Parameters
    ----------
    screen : Screen
        Where to print.
    output : ExportOptions
        Kinds, maps, patient and identifiers.
    regions : RegionFiles
        Regions for Segmentation, report and picture.
    files : FittedFiles
        The scan and the model, where the result does not say enough.
    out : Path
        The folder to write.
    overwrite : bool
        Whether an earlier export may be replaced.
    """

    screen: Screen
    output: ExportOptions
    regions: RegionFiles
    files: FittedFiles
    out: Path
    overwrite: bool = False

    def run(self, folder: Path) -> None:
        """Load, draw, write, and say which files there are."""
        kinds = self.check()
        file = ModelFile(self.files.model, self.screen)
        begin_log()
        with self.screen.warnings_shown():
            [result] = file.load([folder], "no 95 % limits of regions" if "sr" in kinds else "")
            maps = exported_maps(result, self._maps())
            result = self._with_template(result)
            context_of(result)
            labels = load_regions(result, self.regions.labels, self.regions.names)
            lesion = self._lesion(labels)
            result = self._with_scan(result, kinds)
            drawn = _picture(result, lesion) if "sc" in kinds else None
            written = io.save_dicom(
                result,
                self.out,
                kinds,
                labels=labels,
                picture=drawn,
                maps=maps,
                anonymous=self.output.anonymous,
                uid_root=self.output.uid_root,
                first_series=self.output.first_series,
                overwrite=self.overwrite,
            )
        for line in _summary(self.out, written):
            self.screen.show(line)

    def check(self) -> tuple[str, ...]:
        """Return what to write; refuse what cannot be written, before any work."""
        kinds = self._kinds()
        require_dicom("results as DICOM", "highdicom")
        check_writable(self.out)
        check_export_folder(self.out, overwrite=self.overwrite)
        return kinds

    def _kinds(self) -> tuple[str, ...]:
        """Return what to write; refuse inconsistent options, before anything is read."""
        Uids("", self.output.uid_root)
        check_names(self.regions.labels, self.regions.names)
        given = None if self.output.kinds is None else words(self.output.kinds)
        kinds = check_kinds(given, regions=bool(self.regions.labels), picture=True)
        if self.output.lesion is not None and not self.regions.labels:
            raise OptionError("--lesion is given without --labels; expected both. Name the labels")
        if self.output.lesion is not None and "sc" not in kinds:
            raise OptionError(
                "--lesion is given without sc among the kinds (--as); expected both, as it is "
                "what the picture shows. Leave one out"
            )
        if self.output.series is not None and self.output.template is None:
            raise OptionError(
                "--series is given without --template, whose series it chooses; expected both. "
                "Leave it out"
            )
        if self.output.template is not None and self.files.scan is not None:
            raise OptionError(
                "--scan and --template are both given; expected one of them, as the maps of a "
                "template have the order of its voxels. Leave one out"
            )
        return kinds

    def _maps(self) -> list[str] | None:
        return None if self.output.maps is None else words(self.output.maps)

    def _with_template(self, result: FitResult) -> FitResult:
        """Return the result with the DICOM images that were named, if any were."""
        if self.output.template is None:
            return result
        series = series_list(self.output.series)
        return io.with_template(result, io.load(self.output.template, series=series))

    def _lesion(self, labels: Labels | None) -> NDArray[np.bool_] | None:
        """Return the voxels that the picture shows close up."""
        if self.output.lesion is None or labels is None:
            return None
        return labels[self.output.lesion]

    def _with_scan(self, result: FitResult, kinds: Sequence[str]) -> FitResult:
        """Return the result with its scan, if that is used."""
        used = {"sr": "no 95 % limits of regions", "sc": "no images next to the maps"}
        missing = [words for kind, words in used.items() if kind in kinds]
        if not missing:
            return result
        if self.output.template is not None:
            self.screen.warn(
                f"{', '.join(missing)}: the voxels of the scan have another order than those of "
                "the template; expected the fit of the DICOM images. Fit them to have both"
            )
            return result
        return with_scan(
            result,
            self.screen,
            ", ".join(missing),
            scan=self.files.scan,
            bval=self.files.bval,
        )


def _picture(result: FitResult, lesion: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """Return a picture of the maps, or of a lesion on them."""
    # Here and not above: other kinds do not wait for matplotlib.
    from ivimkit.figures import Picture, lesion_panels, map_panels

    if lesion is not None:
        return Picture(lesion_panels(result, lesion)).pixels()
    organ = result.settings.organ
    limits = organs.get(organ).display if organ in organs.names() else None
    return Picture(map_panels(result, result.dwi, limits=limits)).pixels()


def _summary(out: Path, written: list[Path]) -> list[str]:
    """Return the files to name: those of a series by their folder."""
    home = absolute(out)
    single = [path for path in written if path.parent == home]
    counts = Counter(path.parent for path in written if path.parent != home)
    return [*(f"{folder} ({n} images)" for folder, n in counts.items()), *map(str, single)]
