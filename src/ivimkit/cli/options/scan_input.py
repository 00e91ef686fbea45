"""ScanInput: the files and volumes that a command uses, and the scan made from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ivimkit import io
from ivimkit.cli.options.assignments import number_list, position_list, series_list
from ivimkit.cli.options.files_per_scan import files_for
from ivimkit.cli.options.scan_options import BUnit, ScanOptions
from ivimkit.cli.screen.option_words import for_command_line
from ivimkit.cli.screen.progress import reading_shown
from ivimkit.cli.screen.terminal import Screen, stderr
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.fitting.settings import ScanReading
from ivimkit.io.gradient_files import read_bvals
from ivimkit.io.nifti import open_nifti
from ivimkit.io.region_masks import RegionChoice
from ivimkit.io.scan_bvals import B_UNITS, numbers_of
from ivimkit.io.scan_files import open_volume
from ivimkit.scan import masks
from ivimkit.scan.checks import scan_findings
from ivimkit.scan.dwi import DWI
from ivimkit.scan.volume_selection import check_selection

__all__ = ["ScanInput", "first_files", "is_image", "weight_list"]


def first_files(inputs: Sequence[Path | Sequence[Path]]) -> list[Path]:
    """Return the file of each scan; of a scan of several files, the first."""
    return [one if isinstance(one, Path) else one[0] for one in inputs]


def weight_list(text: str | None) -> list[float] | None:
    """Return the weights of --weights, from the command line or a file of numbers.

    None if there are none, or if they are an image with a weight for each value.

    Raises
    ------
    OptionError
        If it is neither numbers nor a file.
    """
    if text is None or is_image(text):
        return None
    try:
        return number_list(text, "--weights")
    except OptionError as error:
        path = Path(text)
        if not path.exists():
            raise OptionError(f"{error}, or a file of numbers") from None
        return [float(weight) for weight in read_bvals(path)]


def _numbers_of_averages(text: str | None) -> float | list[float] | None:
    """Return the numbers of --averages; None if it is not given or names a column."""
    if text is None or text.isidentifier():
        return None
    numbers = number_list(text, "--averages")
    if not min(numbers) >= 1.0:
        raise OptionError(
            f"--averages is {text!r}; expected numbers >= 1, of the images whose mean each volume "
            "is. To leave a volume out, give it the weight 0 (--weights)"
        )
    return numbers[0] if len(numbers) == 1 else numbers


def is_image(text: str) -> bool:
    """Return whether an option names a NIfTI file."""
    return text.lower().endswith((".nii", ".nii.gz"))


@dataclass(frozen=True)
class ScanInput(ScanOptions):
    """The options that say how to read a scan, and the scan that they give.

    Parameters
    ----------
    weights : str, optional
        List of weights, or a file of them: volumes of weight 0 cannot be wrong. Or an image with a
        weight for each value; of one scan, see `each`.
    mask_file : Path, optional
        The file of the mask of one scan, see `each`.
    """

    weights: str | None = None
    mask_file: Path | None = None

    @property
    def kept_bvals(self) -> list[float] | None:
        """The b-values to keep, s/mm^2; None for all."""
        if self.bvals is None:
            return None
        return [self.in_s_mm2(b) for b in number_list(self.bvals, "--bvals")]

    @property
    def echo_time(self) -> float | list[float] | None:
        """The echo times, ms: one for all volumes, or one each; None if they were not given."""
        if self.te is None:
            return None
        times = number_list(self.te, "--te")
        return times[0] if len(times) == 1 else times

    def in_s_mm2(self, b: float) -> float:
        """Convert a b-value of an option to s/mm^2."""
        return b * B_UNITS[self.b_unit]

    @property
    def chosen_series(self) -> tuple[str, ...] | None:
        """The series of DICOM to use, by number or UID; None if they were not chosen."""
        return series_list(self.series)

    @property
    def kept_volumes(self) -> list[int] | None:
        """The volumes to keep; None for all."""
        if self.volumes is None:
            return None
        try:
            return position_list(self.volumes, "--volumes")
        except OptionError:
            path = Path(self.volumes)
            if not path.is_file():
                raise
        numbers = read_bvals(path)
        if not np.all(numbers == np.round(numbers)):
            raise OptionError(f"--volumes is {path}; expected a file of whole numbers from 0")
        return [int(number) for number in numbers]

    def check(self) -> None:
        """Raise OptionError for a list that cannot be read, before any scan is loaded."""
        _ = self.kept_bvals, self.kept_volumes, self.echo_time, self.chosen_series
        if self.select is not None:
            check_selection(self.select)

    @property
    def finds_mask(self) -> bool:
        """Whether a mask is to be found in the scan."""
        return self.mask is not None and masks.kind_of(self.mask) is not None

    def inputs(self, scans: Sequence[Path]) -> list[Path | Sequence[Path]]:
        """Return the scans of a call: each file, or all files as the volumes of one scan."""
        return [list(scans)] if self.stack else list(scans)

    def each(self, scans: Sequence[Path], screen: Screen) -> list[ScanInput]:
        """Return the options of each scan, with its mask and the weights of its values.

        Parameters
        ----------
        scans : sequence of Path
            The scans; of a scan of several files, the first.
        screen : Screen
            Where to say that there are two files of one name.

        Raises
        ------
        InputError
            If there is no mask for some of the scans, or one that cannot be opened.
        """
        found = [self] * len(scans)
        if self.weights is not None and is_image(self.weights):
            files = files_for(self.weights, "--weights", scans, screen)
            for file in dict.fromkeys(files):
                open_nifti(file)
            found = [dataclasses.replace(self, weights=str(file.absolute())) for file in files]
        if self.mask is None or self.finds_mask:
            return found
        regions = RegionChoice.of(self.mask)
        name = self.mask if regions is None else regions.file
        files = files_for(name, "--mask", scans, screen)
        for file in dict.fromkeys(files):
            if regions is None:
                open_volume(file, "a mask")
        pairs = zip(found, files, strict=True)
        return [dataclasses.replace(one, mask_file=file) for one, file in pairs]

    @property
    def _mask(self) -> Path | str | None:
        """The mask of one scan, as `ivimkit.load` takes it."""
        regions = None if self.mask is None else RegionChoice.of(self.mask)
        if regions is None or self.mask_file is None:
            return self.mask_file or self.mask
        return regions.in_file(self.mask_file)

    def weighted(self, dwi: DWI) -> DWI:
        """Return a scan with the weights that were given; without any, with those it has."""
        if self.weights is None:
            return dwi
        if is_image(self.weights):
            return io.load_weights(self.weights, dwi)
        return dwi.with_weights(weight_list(self.weights))

    def load(self, scan: Path | Sequence[Path]) -> DWI:
        """Load a scan, or the volumes of one, and keep the volumes asked for.

        Parameters
        ----------
        scan : Path or sequence of Path
            A 4-D file, or 3-D files.

        Returns
        -------
        DWI

        Raises
        ------
        AcquisitionError
            If `strict` and the scan contradicts itself.
        """
        dwi = self._read(scan)
        if self.strict:
            _refuse_faults(self.weighted(dwi))
        return dwi

    def _read(self, scan: Path | Sequence[Path]) -> DWI:
        choice = self._choice()
        numbers = _numbers_of_averages(self.averages)
        with reading_shown(stderr(), scan):
            dwi = io.load(
                scan,
                self.bval,
                self.bvec,
                self._mask,
                variables=self.variables,
                echo_time=self.echo_time,
                b_unit=self.b_unit.value,
                average=self.average.value,
                averages=self.averages if numbers is None else None,
                tolerance=choice.pop("tolerance"),
                series=self.chosen_series,
                images=self.images.value,
                drop_incomplete=self.drop_incomplete,
                axes=self.axes,
            )
        try:
            if any(value is not None for value in choice.values()):
                dwi = dwi.select(**choice)
            return dwi if numbers is None else dwi.with_averages(numbers)
        except AcquisitionError as error:
            if self.b_unit is BUnit.s_mm2:
                raise
            raise AcquisitionError(
                f"{error}. --b-unit is {self.b_unit}, and so is every b-value in an option"
            ) from None

    def record(self) -> ScanReading:
        """Return what is needed, besides the files, to read the scan again."""
        choice, echo_time = self._choice(), self.echo_time
        written = numbers_of(self.bval)
        return ScanReading(
            b_unit=self.b_unit.value,
            average=self.average.value,
            tolerance=choice["tolerance"],
            bmin=choice["bmin"],
            bmax=choice["bmax"],
            bvals=_tuple(choice["bvals"]),
            volumes=_tuple(choice["volumes"]),
            where=choice["where"],
            echo_time=_tuple(echo_time) if isinstance(echo_time, list) else echo_time,
            bval=tuple(map(float, written)) if isinstance(written, list) else None,
            stack=self.stack,
            series=self.chosen_series,
            images=self.images.value,
            drop_incomplete=self.drop_incomplete,
            axes=self.axes,
        )

    def of_chosen(self) -> ScanInput:
        """Return how to read what was made of the scan: volumes are chosen, b is in s/mm^2."""
        return ScanInput(
            average=self.average,
            tolerance=None if self.tolerance is None else self.in_s_mm2(self.tolerance),
            mask=self.mask,
            mask_file=self.mask_file,
        )

    def _choice(self) -> dict[str, Any]:
        """Return the options that select volumes, with b-values in s/mm^2."""
        limits = {"bmin": self.bmin, "bmax": self.bmax, "tolerance": self.tolerance}
        return {
            **{name: None if b is None else self.in_s_mm2(b) for name, b in limits.items()},
            "bvals": self.kept_bvals,
            "volumes": self.kept_volumes,
            "where": self.select,
        }


def _tuple(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _refuse_faults(dwi: DWI) -> None:
    """Raise AcquisitionError if volumes and b-values cannot both be right."""
    faults = [finding for finding in scan_findings(dwi) if finding.is_fault]
    if faults:
        raise AcquisitionError(" ".join(for_command_line(f"{fault}.") for fault in faults)[:-1])
