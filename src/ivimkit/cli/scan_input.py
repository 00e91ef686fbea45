"""ScanInput: which files and volumes a command was told to use, and the scan they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivimkit import io
from ivimkit.cli.assignment import number_list, position_list
from ivimkit.cli.wording import for_command_line
from ivimkit.dwi import DWI
from ivimkit.errors import AcquisitionError
from ivimkit.scan_checks import scan_findings

__all__ = ["ScanInput"]

# What does not change how a scan is read is not kept to read it again.
_NOT_KEPT = ("bval", "bvec", "mask", "strict")


@dataclass(frozen=True)
class ScanInput:
    """The options that say how to read a scan.

    Parameters
    ----------
    bval, bvec, mask : Path, optional
        Files that go with the scan.
    b_unit : str
        See `ivimkit.load`.
    tolerance : float, optional
        See `ivimkit.load`.
    average : str
        See `ivimkit.load`.
    bmin, bmax : float, optional
        Range of b-values to keep, s/mm^2.
    bvals : str, optional
        List of b-values to keep.
    volumes : str, optional
        List of volumes to keep.
    strict : bool
        Refuse a scan whose volumes and b-values cannot both be right.
    """

    bval: Path | None = None
    bvec: Path | None = None
    mask: Path | None = None
    b_unit: str = "s/mm2"
    tolerance: float | None = None
    average: str = "auto"
    bmin: float | None = None
    bmax: float | None = None
    bvals: str | None = None
    volumes: str | None = None
    strict: bool = False

    @property
    def kept_bvals(self) -> list[float] | None:
        """The b-values to keep; None for all."""
        return None if self.bvals is None else number_list(self.bvals, "--bvals")

    @property
    def kept_volumes(self) -> list[int] | None:
        """The volumes to keep; None for all."""
        return None if self.volumes is None else position_list(self.volumes, "--volumes")

    def check(self) -> None:
        """Raise OptionError for a list that cannot be read, before any scan is."""
        _ = self.kept_bvals, self.kept_volumes

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
            _refuse_faults(dwi)
        return dwi

    def _read(self, scan: Path | Sequence[Path]) -> DWI:
        bvals, volumes = self.kept_bvals, self.kept_volumes
        dwi = io.load(
            scan,
            self.bval,
            self.bvec,
            self.mask,
            b_unit=self.b_unit,
            average=self.average,
            tolerance=self.tolerance,
        )
        if all(value is None for value in (self.bmin, self.bmax, bvals, volumes)):
            return dwi
        return dwi.select(bmin=self.bmin, bmax=self.bmax, bvals=bvals, volumes=volumes)

    def to_dict(self) -> dict[str, Any]:
        """Return what is needed to read the scan again, besides the files."""
        values = dataclasses.asdict(self)
        chosen = {"bvals": self.kept_bvals, "volumes": self.kept_volumes}
        return {name: value for name, value in (values | chosen).items() if name not in _NOT_KEPT}


def _refuse_faults(dwi: DWI) -> None:
    """Raise AcquisitionError if volumes and b-values cannot both be right."""
    faults = [finding for finding in scan_findings(dwi) if finding.is_fault]
    if faults:
        raise AcquisitionError(" ".join(for_command_line(f"{fault}.") for fault in faults)[:-1])
