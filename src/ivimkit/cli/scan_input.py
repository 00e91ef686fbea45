"""ScanInput: which files and volumes a command was told to use, and the scan they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ivimkit import io, masks
from ivimkit.cli.assignment import number_list, position_list
from ivimkit.cli.beside import files_for
from ivimkit.cli.screen import Screen
from ivimkit.dwi import DWI
from ivimkit.io.scan import open_volume

__all__ = ["ScanInput"]

_FILES = ("bval", "bvec", "mask")


@dataclass(frozen=True)
class ScanInput:
    """The options that say how to read a scan.

    Parameters
    ----------
    bval, bvec : Path, optional
        Files that go with the scan.
    mask : str or Path, optional
        What was given: ``"auto"`` and the like, or a file; of one scan, see `each`, its file.
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
    """

    bval: Path | None = None
    bvec: Path | None = None
    mask: str | Path | None = None
    b_unit: str = "s/mm2"
    tolerance: float | None = None
    average: str = "auto"
    bmin: float | None = None
    bmax: float | None = None
    bvals: str | None = None
    volumes: str | None = None

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

    @property
    def finds_mask(self) -> bool:
        """Whether a mask is to be found in the scan."""
        return isinstance(self.mask, str) and masks.kind_of(self.mask) is not None

    def each(self, scans: Sequence[Path], screen: Screen) -> list[ScanInput]:
        """Return the options of each scan, with the mask that is for it.

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
        if self.mask is None or self.finds_mask:
            return [self] * len(scans)
        files = files_for(str(self.mask), "--mask", scans, screen)
        for file in dict.fromkeys(files):
            open_volume(file, "a mask")
        return [dataclasses.replace(self, mask=file) for file in files]

    def load(self, scan: Path | Sequence[Path]) -> DWI:
        """Load a scan, or the volumes of one, and keep the volumes asked for.

        Parameters
        ----------
        scan : Path or sequence of Path
            A 4-D file, or 3-D files.

        Returns
        -------
        DWI
        """
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
        return {name: value for name, value in (values | chosen).items() if name not in _FILES}
