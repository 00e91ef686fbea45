"""VolumeVariables: the variables of the volumes of a scan, from files and arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.io.remote_copies import local_path
from ivimkit.io.scan_files import AnyPath, OpenedScan
from ivimkit.io.variable_files import read_sidecars, read_variables, table_beside
from ivimkit.scan.variables import DIRECTION, ECHO_TIME, B

__all__ = ["VolumeVariables", "read_volume_variables"]

AVERAGES = "averages"
"""Column with the number of images whose mean each volume is."""
# cos of 1 degree: directions that are the same up to rounding.
_SAME_DIRECTION = float(np.cos(np.deg2rad(1.0)))


@dataclass(frozen=True, eq=False)
class VolumeVariables:
    """The variables of the volumes of a scan, apart from files of b-values and directions.

    Parameters
    ----------
    columns : mapping of str to array_like
        Values by name, possibly with b and directions.
    name : str
        The source of b and directions, for messages.
    b_has_unit : bool
        Whether b is already in s/mm^2, whatever the unit of other b-values.
    table, sidecar : Path, optional
        The files that were read.
    """

    columns: Mapping[str, Any]
    name: str
    b_has_unit: bool = False
    table: Path | None = None
    sidecar: Path | None = None

    @property
    def b(self) -> Any:
        """The b-values; None if they are not among the variables."""
        return self.columns.get(B.name)

    def counted(self, given: Any) -> tuple[VolumeVariables, Any]:
        """Return the variables without the column of averages, and the averages.

        Those are the number of images behind each volume: given, of a column that is named, or of
        the column ``averages``; None if there are none.

        Raises
        ------
        OptionError
            If it names a column that does not exist, or has texts.
        """
        name = given if isinstance(given, str) else AVERAGES
        rest = {k: values for k, values in self.columns.items() if k not in (name, AVERAGES)}
        without = replace(self, columns=rest)
        if not isinstance(given, str):
            return without, self.columns.get(AVERAGES) if given is None else given
        if given not in self.columns:
            there = ", ".join(self.columns) or "none"
            raise OptionError(
                f"averages is {given!r}, which is not a column of the volumes; expected a number, "
                f"numbers, or one of the columns: {there}. Check the name, or give the table "
                "(--variables)"
            )
        try:
            return without, np.asarray(self.columns[given], dtype=np.float64)
        except ValueError:
            raise OptionError(
                f"the column {given} of averages contains texts; expected numbers >= 1. Name "
                "another column"
            ) from None

    @property
    def further(self) -> dict[str, Any]:
        """All but b and directions."""
        own = {B.name, *(axis.name for axis in DIRECTION)}
        return {name: values for name, values in self.columns.items() if name not in own}

    def directions(self, bvecs: Any) -> Any:
        """Return the directions of their file, or of the table, which must agree.

        Raises
        ------
        AcquisitionError
            If they contradict each other.
        """
        if DIRECTION[0].name not in self.columns:
            return bvecs
        try:
            own = np.stack([np.asarray(self.columns[g.name], float) for g in DIRECTION], axis=-1)
        except (KeyError, ValueError):
            raise AcquisitionError(
                f"{self.name} does not have all of gx, gy and gz, or they differ in length; "
                "expected one number per volume of each"
            ) from None
        if bvecs is None:
            return own
        other = np.asarray(bvecs, dtype=np.float64)
        if other.shape != own.shape:
            return bvecs
        _check_same(own, other, self.name)
        return bvecs


def _check_same(own: NDArray[np.float64], other: NDArray[np.float64], name: str) -> None:
    lengths = np.sqrt((own**2).sum(axis=1)), np.sqrt((other**2).sum(axis=1))
    both = (lengths[0] > 0.0) & (lengths[1] > 0.0)
    cosine = np.abs((own * other).sum(axis=1))
    apart = both & (cosine < _SAME_DIRECTION * lengths[0] * lengths[1])
    if apart.any():
        raise AcquisitionError(
            f"volume {int(np.flatnonzero(apart)[0])} (from 0) has one direction in {name} and "
            "another in the directions; expected the same. Correct one of them, or leave out gx, "
            "gy and gz"
        )


def read_volume_variables(
    given: AnyPath | Mapping[str, Any] | None,
    files: OpenedScan,
    *,
    sidecars: Sequence[Path] = (),
    echo_time: float | Sequence[float] | None = None,
) -> VolumeVariables:
    """Read the table of a scan and the lists of its sidecars; combine them with what was given.

    What was given in the call has priority, then the table, then the sidecars.

    Parameters
    ----------
    given : path or mapping, optional
        A table, or values by name; by default the table next to the scan, if there is one.
    files : OpenedScan
        The scan.
    sidecars : sequence of Path
        The sidecars of the scan, as `ivimkit.io.gradient_files.sidecars_of` finds them.
    echo_time : float or sequence of float, optional
        Echo times, ms.

    Returns
    -------
    VolumeVariables

    Raises
    ------
    FileFormatError
        If a table cannot be read.
    ShapeError
        If it has another number of rows than the scan has volumes.
    OptionError
        If something is given twice.
    """
    n, first = files.shape[-1], files.alone
    found: dict[str, Any] = {}
    listed, sources = read_sidecars(sidecars, n)
    table, b_has_unit, name = None, False, "variables"
    if isinstance(given, str | PathLike):
        table = local_path(given)
    elif given is None and first is not None:
        table = table_beside(first)
    if table is not None:
        name = str(table)
        found, b_has_unit = read_variables(table)
        rows = len(next(iter(found.values())))
        if rows != n:
            raise ShapeError(
                f"{table} has {rows} rows and {files.name} has {n} volumes; expected one row per "
                "volume. Check that they belong together"
            )
    elif isinstance(given, Mapping):
        found = dict(given)
    if echo_time is not None:
        if ECHO_TIME.name in found and given is not None:
            raise OptionError(
                f"echo times were given twice, in {name} and separately (--te); expected them "
                "once. Leave one out"
            )
        found[ECHO_TIME.name] = echo_time
    listed = {**files.variables, **listed}
    taken = {key: values for key, values in listed.items() if key not in found}
    return VolumeVariables(
        columns={**found, **taken},
        name=name,
        b_has_unit=b_has_unit,
        table=table,
        sidecar=next((path for key, path in sources.items() if key in taken), None),
    )
