"""ProtocolInput: the acquisition that the options of a simulated scan say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import simulate
from ivimkit.cli.options.assignments import number_list
from ivimkit.cli.options.protocol_options import ProtocolOptions
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.io.gradient_files import is_table, read_bvals, read_bvecs
from ivimkit.io.scan_bvals import in_s_mm2
from ivimkit.io.variable_files import read_variables
from ivimkit.io.volume_variables import VolumeVariables
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.shell_clusters import ABSOLUTE, RELATIVE
from ivimkit.scan.variables import ECHO_TIME

__all__ = ["ProtocolInput"]

_SETS = {"b13": simulate.B13, "b21": simulate.B21}
_DEFAULT = "b13"


@dataclass(frozen=True)
class ProtocolInput(ProtocolOptions):
    """The volumes of a scan to simulate: its options, read."""

    def acquisition(self) -> Acquisition:
        """Return the acquisition.

        Raises
        ------
        InputError
            If something cannot be read, is missing or given twice, or does not match.
        """
        known = self._table()
        b = self._b(known)
        further = dict(known.further)
        if self.te is not None:
            if ECHO_TIME.name in further:
                raise OptionError(
                    f"echo times were given twice, in {known.name} and by --te; expected them "
                    "once. Leave one out"
                )
            times = number_list(self.te, "--te")
            further[ECHO_TIME.name] = times[0] if len(times) == 1 else times
        return Acquisition(b, known.directions(self._directions(len(b))), variables=further)

    def _table(self) -> VolumeVariables:
        if self.variables is None:
            return VolumeVariables({}, "--variables")
        columns, b_has_unit = read_variables(self.variables)
        return VolumeVariables(columns, str(self.variables), b_has_unit)

    def _b(self, known: VolumeVariables) -> NDArray[np.float64]:
        """Return the b-values, s/mm^2: those of the option and of the table must agree."""
        if known.b is None:
            if known.columns and self.bvals is None:
                raise AcquisitionError(
                    f"{known.name} has no column b; expected the b-value of each volume. Add the "
                    "column, or give them (--bvals LIST or FILE)"
                )
            return self._named(self.bvals or _DEFAULT)
        unit = "s/mm2" if known.b_has_unit else self.b_unit
        tabled = np.asarray(in_s_mm2(known.b, unit), dtype=np.float64)
        if self.bvals is None:
            return tabled
        b = self._named(self.bvals)
        near = np.maximum(ABSOLUTE, RELATIVE * tabled)
        if b.shape != tabled.shape or (np.abs(b - tabled) > near).any():
            raise AcquisitionError(
                f"column b of {known.name} ({tabled.size} values) and --bvals ({b.size} values) "
                "differ; expected the same. Leave out one of them"
            )
        return b

    def _named(self, text: str) -> NDArray[np.float64]:
        """Return the b-values of a set, of a file, or of a list, in s/mm^2."""
        if text in _SETS:
            return np.array(_SETS[text], dtype=np.float64)
        path = _file_of(text)
        given: Any = number_list(text, "--bvals") if path is None else read_bvals(path)
        return np.asarray(in_s_mm2(given, self.b_unit), dtype=np.float64)

    def _directions(self, n: int) -> NDArray[np.float64] | None:
        path = self.bvec
        if path is None and self.bvals is not None and self.bvals not in _SETS:
            path = _file_of(self.bvals)
            path = path if path is not None and is_table(path) else None
        if path is None:
            return None
        vectors = read_bvecs(path)
        if len(vectors) != n:
            raise AcquisitionError(
                f"{path} has {len(vectors)} directions and there are {n} volumes; expected one "
                "direction per volume. Check that they belong together"
            )
        return vectors


def _file_of(text: str) -> Path | None:
    path = Path(text)
    try:
        return path if path.is_file() else None
    except OSError:
        return None
