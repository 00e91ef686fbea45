"""ScanBatch: work on scans one after the other; what ``ivimkit fit`` and ``compare`` share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import typer
from rich.text import Text

from ivimkit.cli.error_guard import exit_code_of
from ivimkit.cli.options.output_folders import check_writable, output_folders
from ivimkit.cli.options.scan_input import ScanInput, first_files, weight_list
from ivimkit.cli.process.address_copies import named_by_address
from ivimkit.cli.process.exit_codes import DONE, worst
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.process.typed_line import command_line
from ivimkit.cli.screen.terminal import Screen, say_error
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.settings import ScanReading
from ivimkit.io.result_names import FIGURES
from ivimkit.scan.dwi import DWI

__all__ = ["OneScan", "ScanBatch"]


@dataclass(frozen=True)
class OneScan:
    """One scan of a batch.

    Parameters
    ----------
    files : Path or sequence of Path
        Its file, or the files of its volumes.
    folder : Path
        Where its results go.
    reading : ScanInput
        How to read it.
    """

    files: Path | Sequence[Path]
    folder: Path
    reading: ScanInput

    @property
    def name(self) -> str:
        """Name of the scan in messages."""
        return named_by_address(str(first_files([self.files])[0]))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files."""
        return (self.files,) if isinstance(self.files, Path) else tuple(self.files)

    @property
    def record(self) -> ScanReading:
        """The settings to read it again."""
        return self.reading.record()

    def load(self) -> DWI:
        """Read it."""
        return self.reading.load(self.files)

    def as_preprocessed(self) -> OneScan:
        """Return the scan that steps made of it: its volumes are chosen, and have weights."""
        return replace(self, reading=self.reading.of_chosen())


Job = Callable[[OneScan], None]


@dataclass(frozen=True, kw_only=True)
class ScanBatch(ABC):
    """Everything that is the same for all scans of a call.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    scan : ScanInput
        How to read the scans.
    out : Path, optional
        Where to write; by default next to each scan.
    overwrite : bool
        Whether results may be replaced.
    figures : bool
        Whether to draw.
    answers : list
        What --json says of the scans that are done.
    """

    ending: ClassVar[str]
    """Ending of the names of default folders."""

    ctx: typer.Context
    screen: Screen
    scan: ScanInput
    out: Path | None = None
    overwrite: bool = False
    figures: bool = True
    answers: list[Any] = field(default_factory=list)

    @abstractmethod
    def check_lists(self) -> None:
        """Raise OptionError for invalid options, before any file is searched for."""

    @abstractmethod
    def jobs(self, scans: Sequence[Path]) -> Sequence[Job]:
        """Check all that can be checked without a scan; return the work for each."""

    @abstractmethod
    def check_output(self, folder: Path) -> None:
        """Refuse a folder that contains results, unless overwriting was asked for."""

    def run(self, scans: Sequence[Path]) -> int:
        """Work on all scans; one that fails does not stop the others.

        Parameters
        ----------
        scans : sequence of Path
            The files.

        Returns
        -------
        int
            The exit code: the most serious of all scans.
        """
        self.scan.check()
        weight_list(self.scan.weights)
        self.check_lists()
        inputs = self.scan.inputs(scans)
        named = first_files(inputs)
        folders = output_folders(named, self.out, ending=self.ending)
        inside = self.scan.each(named, self.screen)
        jobs = self.jobs(named)
        for folder in folders:
            check_writable(folder)
            if self.figures:
                check_writable(folder / FIGURES)
            self.check_output(folder)
        codes = []
        begin_log()
        with self.screen.warnings_shown():
            for files, folder, reading, job in zip(inputs, folders, inside, jobs, strict=True):
                if len(inputs) > 1:
                    self.screen.show(Text(named_by_address(f"\n{files}"), style="bold"))
                one = OneScan(files, folder, reading)
                codes.append(exit_code_of(partial(self._do, job, one), self.ctx))
        failed = [str(files) for files, code in zip(inputs, codes, strict=True) if code != DONE]
        self.screen.answer(self.document())
        if failed and len(inputs) > 1:
            say_error(f"failed: {len(failed)} of {len(inputs)} scans: {', '.join(failed)}")
        return worst(codes)

    def document(self) -> Any:
        """Return what --json prints of all scans; None for a command without it."""
        return None

    def failure(self, scan: str, error: str) -> Any:
        """Return what --json says of a scan that failed; None for a command without it."""
        return None

    def _do(self, job: Job, one: OneScan) -> None:
        try:
            self.check_output(one.folder)
            job(one)
        except Exception as error:
            self.answers.append(self.failure(one.name, named_by_address(str(error))))
            raise

    @property
    def call(self) -> str:
        """The command line, for the record of the results."""
        return command_line(self.ctx)

    def note_scan(self, dwi: DWI, loaded: str) -> None:
        """With --verbose, print what was read."""
        note = self.screen.note
        shape = " x ".join(map(str, dwi.shape))
        note(f"{loaded}: {shape} voxels, {dwi.n_voxels} of them to fit")
        if dwi.mask_origin:
            note(f"mask: {dwi.mask_origin}")
        pairs = zip(dwi.fit_bvals, dwi.fit_counts, strict=True)
        note("b (volumes): " + ", ".join(f"{b:g} ({count:g})" for b, count in pairs))

    def note_method(self, method: FitMethod) -> None:
        """With --verbose, print the options of the method."""
        options = ", ".join(f"{name}={value}" for name, value in method.options().items())
        self.screen.note(f"method {method.name}: {options or 'no options'}")
