"""Protocol: how a scan was acquired, as far as scans that share a prior have to agree in it."""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from ivimkit.cohort.subject_scan import SubjectScan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.shell_clusters import ABSOLUTE
from ivimkit.scan.variables import ECHO_TIME, B, variable_of

__all__ = ["MAX_B_SHARE", "Protocol"]

MAX_B_SHARE = 0.02
"""b-values that differ by less than this share, or by 1 s/mm², are the same."""

_FIELD = "MagneticFieldStrength"
_OF_SIDECARS = {_FIELD: (_FIELD, 1.0), "EchoTime": (ECHO_TIME.name, 1e3)}
"""What of a sidecar counts: our name, and the factor to our unit."""

_MAX_FIELD_SHARE = 0.05
"""Scanners of 3 T have 2.89 T or 3.0 T."""


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an acquisition.

    Parameters
    ----------
    variables : tuple of str
        Variables of the model.
    x : tuple of tuple of float
        Their values at each value of a signal.
    known : mapping of str to float or str
        What else is known of all volumes, such as the echo time.
    """

    variables: tuple[str, ...]
    x: tuple[tuple[float, ...], ...]
    known: dict[str, float | str]

    @classmethod
    def of(cls, scan: SubjectScan, model: SignalModel, x: NDArray[np.float64]) -> Self:
        """Return the protocol of a scan.

        Parameters
        ----------
        scan : SubjectScan
            The scan, and what its sidecar says.
        model : SignalModel
            The model.
        x : ndarray, shape (n_variables, n_b)
            Its variables, see `ivimkit.fitting.pooled_prior.ScanSample`.
        """
        known: dict[str, float | str] = {}
        for name, (own, factor) in _OF_SIDECARS.items():
            value = scan.dwi.sidecar.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                known[own] = factor * value
        for name, values in scan.dwi.acquisition.variables.items():
            known.pop(name, None)
            if name not in model.variables and (values == values[0]).all():
                known[name] = values[0].item()
        return cls(variables=tuple(model.variables), x=tuple(map(tuple, x.tolist())), known=known)

    def is_like(self, other: Protocol) -> bool:
        """Return whether scans of both can share a prior.

        b-values may differ by 2 % or 1 s/mm², other variables by their tolerance (times by
        0.5 ms), the field strength by 5 %. What one of them does not say is not compared.
        """
        one, two = np.array(self.x), np.array(other.x)
        if self.variables != other.variables or one.shape != two.shape:
            return False
        pairs = zip(self.variables, one, two, strict=True)
        if not all(_are_same(*pair) for pair in pairs):
            return False
        both = self.known.keys() & other.known.keys()
        return all(_is_same(name, self.known[name], other.known[name]) for name in both)

    @property
    def title(self) -> str:
        """The b-values in words."""
        if B.name not in self.variables:
            return ""
        b = self.x[self.variables.index(B.name)]
        return f"b = {' '.join(f'{value:g}' for value in b)} s/mm²"


def _are_same(name: str, one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    if name == B.name:
        return bool((np.abs(one - two) <= np.maximum(ABSOLUTE, MAX_B_SHARE * two)).all())
    variable = variable_of(name)
    return all(
        bool(variable.same_as(np.array([a]), b)[0])
        for a, b in zip(one.tolist(), two.tolist(), strict=True)
    )


def _is_same(name: str, one: float | str, two: float | str) -> bool:
    if isinstance(one, str) or isinstance(two, str):
        return one == two
    if name == _FIELD:
        return abs(one - two) <= _MAX_FIELD_SHARE * max(abs(one), abs(two))
    return _are_same(name, np.array([one]), np.array([two]))
