"""DicomRun: fit a folder of DICOM and export the result; behind ``ivimkit dicom run``."""

from __future__ import annotations

import dataclasses
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from ivimkit import io
from ivimkit.cli.jobs.dicom_export import DicomExport
from ivimkit.cli.jobs.fit_batch import FitBatch
from ivimkit.cli.options.assignments import words
from ivimkit.cli.options.export_options import DicomOutput, ExportOptions
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.result_options import FittedFiles, RegionFiles
from ivimkit.cli.options.scan_input import ScanInput
from ivimkit.cli.options.shared_options import MachineOptions
from ivimkit.cli.process.exit_codes import DONE
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import InputError, OptionError
from ivimkit.fitting.local_prior import LOCAL_MAPS
from ivimkit.fitting.screening import LEFT_OUT_MAP
from ivimkit.io.dicom import is_dicom_input
from ivimkit.io.dicom.context import DicomContext
from ivimkit.io.dicom.segmentation_files import find_segmentations
from ivimkit.io.result_files import USUAL_MAPS

__all__ = ["SEGMENTATIONS", "DicomRun"]

SEGMENTATIONS = "seg"
"""Word of --labels for the Segmentations among the files."""

_OF_REGIONS = ("seg", "sr")
# Endings of the maps of an estimator of the uncertainty.
_UNCERTAINTY = re.compile(r"_(sd|lo|hi)$")


@dataclass(frozen=True, kw_only=True)
class DicomRun:
    """What to fit, and what to write.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    scan : ScanInput
        How to read the scan.
    setup : FitSetup
        What to fit and how.
    output : DicomOutput
        What to write.
    result : Path, optional
        Where the maps are also kept.
    overwrite : bool
        Whether earlier files may be replaced.
    machine : MachineOptions
        What to compute on.
    """

    ctx: typer.Context
    screen: Screen
    scan: ScanInput
    setup: FitSetup
    output: DicomOutput
    result: Path | None
    overwrite: bool
    machine: MachineOptions

    def run(self, source: Path, out: Path) -> int:
        """Fit and export; return the exit code.

        Raises
        ------
        InputError
            If something cannot be used, before the fit where that can be known.
        """
        if source.exists() and not is_dicom_input(source):
            raise InputError(
                f"{source} is not DICOM; expected a folder, a ZIP archive or a file of DICOM. "
                "For NIfTI use ivimkit fit"
            )
        self._check_maps()
        drawn = find_segmentations(source) if self._is_drawn and source.is_dir() else []
        self._export(out, [one.path for one in drawn]).check()
        with ExitStack() as stack:
            folder = self.result
            if folder is None:
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="ivimkit-"))) / "fit"
            code = self._batch(folder).run([source])
            if code == DONE:
                space = _space(folder) if drawn else ""
                inside = [one.path for one in drawn if one.frame_of_reference == space]
                self._export(out, inside).run(folder)
        return code

    def _check_maps(self) -> None:
        """Refuse names of maps that no fit of this model and method has."""
        if self.output.maps is None:
            return
        model = self.setup.signal_model()
        known = {
            *(quantity.name for quantity in model.quantities),
            *USUAL_MAPS,
            *LOCAL_MAPS,
            LEFT_OUT_MAP,
            *self.setup.fit_method(model).extras(model),
        }
        for name in words(self.output.maps):
            if name not in known and _UNCERTAINTY.sub("", name) not in known:
                raise OptionError(
                    f"--maps names {name!r}, which model {model.name} does not have; expected "
                    f"some of {', '.join(sorted(known))}, or a parameter's _sd, _lo or _hi"
                )

    @property
    def _is_drawn(self) -> bool:
        """Whether the regions are those drawn in the study."""
        return self.setup.labels == SEGMENTATIONS

    def _batch(self, folder: Path) -> FitBatch:
        setup = self.setup
        if self.scan.mask is None or self._is_drawn:
            # Then the labels are for the export only: air would be a region that learns a prior.
            setup = dataclasses.replace(setup, labels=None)
        return FitBatch(
            ctx=self.ctx,
            screen=self.screen,
            scan=self.scan,
            setup=setup,
            out=folder,
            overwrite=self.overwrite,
            figures=False,
            is_kept=self.result is not None,
            anonymous=self.output.anonymous,
            machine=self.machine,
        )

    def _export(self, out: Path, drawn: list[Path]) -> DicomExport:
        labels = self.setup.labels
        files = [] if labels is None else [Path(labels)]
        output = self.output
        if self._is_drawn:
            files = drawn
            if not drawn:
                output = _without_regions(output)
        model = Path(self.setup.model)
        return DicomExport(
            screen=self.screen,
            output=ExportOptions(**vars(output)),
            regions=RegionFiles(labels=files or None),
            files=FittedFiles(model=model if model.suffix == ".py" else None),
            out=out,
            overwrite=self.overwrite,
        )


def _space(folder: Path) -> str:
    """Return the frame of reference of a result."""
    context = io.load_result(folder).source_context
    return context.frame_of_reference if isinstance(context, DicomContext) else ""


def _without_regions(output: DicomOutput) -> DicomOutput:
    """Return what can be written while nobody has drawn a region."""
    if output.kinds is None:
        return output
    kinds = [kind for kind in words(output.kinds) if kind not in _OF_REGIONS]
    if not kinds:
        raise OptionError(
            f"--as is {output.kinds} and --labels {SEGMENTATIONS}, but there is no Segmentation "
            "in the space of the scan; expected one. Draw regions, or add another kind"
        )
    return dataclasses.replace(output, kinds=",".join(kinds))
