"""Per-voxel fit status: code, name, sentence and what to do, in one place.

A status is a sum of flags. The low bits are reasons (`FitStatus`); from `BOUND_SHIFT` on,
each model parameter has two bits, "at its lower bound" and "at its upper bound", in the order
of the model's parameters. Zero means: fitted, nothing to report.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from ivimkit.parameter import Parameter

__all__ = [
    "BOUND_SHIFT",
    "FAILED",
    "FitStatus",
    "at_lower",
    "at_upper",
    "can_be_widened",
    "count",
    "describe",
    "explain",
    "gravest",
    "gravest_first",
    "in_words",
]

BOUND_SHIFT = 11


class FitStatus(IntFlag):
    """Why a voxel has no value, or what to know about the value it has."""

    OK = 0
    OUTSIDE_MASK = 1
    NON_FINITE = 2
    NO_SIGNAL = 4
    TOO_FEW_BVALUES = 8
    NOT_CONVERGED = 16
    PERFUSION_NOT_DETECTED = 32
    TISSUE_NOT_DETECTED = 64
    ADC_NOT_AVAILABLE = 128
    SD_NOT_AVAILABLE = 256


_SENTENCES: dict[FitStatus, tuple[str, str]] = {
    FitStatus.OK: ("Fitted.", "Nothing to do."),
    FitStatus.OUTSIDE_MASK: ("Outside the mask, not fitted.", "Enlarge the mask if needed."),
    FitStatus.NON_FINITE: (
        "The signal, or a map that fixes a parameter, has a NaN or infinite value, not fitted.",
        "Look for the failed volume or processing step, or for the gap in the map.",
    ),
    FitStatus.NO_SIGNAL: (
        "No signal: the best fit is S0 = 0, or all values are the same zero or negative.",
        "Background or a signal void; mask it.",
    ),
    FitStatus.TOO_FEW_BVALUES: (
        "Too few b-values with a positive signal for this method.",
        "Use varpro, which needs no logarithm, or mask the voxel.",
    ),
    FitStatus.NOT_CONVERGED: (
        "The fit did not converge, not reported.",
        "Please report it with the signal: the default method should always converge.",
    ),
    FitStatus.PERFUSION_NOT_DETECTED: (
        "f is not distinguishable from 0 at this noise, so D* is not identifiable.",
        "Do not interpret D* here; average over a region or use a model without D*.",
    ),
    FitStatus.TISSUE_NOT_DETECTED: (
        "f is not distinguishable from 1 at this noise, so D is not identifiable.",
        "Pure fluid, a vessel, or too few high b-values; do not interpret D here.",
    ),
    FitStatus.ADC_NOT_AVAILABLE: (
        "ADC could not be computed: fewer than two positive signals among its b-values.",
        "Choose other b-values for the ADC, or mask the voxel.",
    ),
    FitStatus.SD_NOT_AVAILABLE: (
        "A standard deviation is not available: its parameter is at a bound, is not identifiable, "
        "or no degree of freedom is left.",
        "Look at profile intervals or at the posterior of method bayes, which need no curvature.",
    ),
}

FAILED = (
    FitStatus.NON_FINITE
    | FitStatus.NO_SIGNAL
    | FitStatus.TOO_FEW_BVALUES
    | FitStatus.NOT_CONVERGED
)
"""Flags of voxels that were to be fitted and have NaN in every map."""


_LEAST_GRAVE = (
    FitStatus.TISSUE_NOT_DETECTED,
    FitStatus.PERFUSION_NOT_DETECTED,
    FitStatus.ADC_NOT_AVAILABLE,
    FitStatus.SD_NOT_AVAILABLE,
)
"""Flags that say less than a value at its bound, the gravest first: the last two concern another
map, and the value itself stays what it is."""


def at_lower(index: int) -> int:
    """Return the flag "parameter number `index` is at its lower bound"."""
    return 1 << (BOUND_SHIFT + 2 * index)


def at_upper(index: int) -> int:
    """Return the flag "parameter number `index` is at its upper bound"."""
    return 1 << (BOUND_SHIFT + 2 * index + 1)


def can_be_widened(parameter: Parameter, side: str) -> bool:
    """Return whether there is anything beyond a bound: not below 0, nor above 1 of a fraction.

    Parameters
    ----------
    parameter : Parameter
        The parameter, with its bounds.
    side : {"lower", "upper"}
        Which bound.
    """
    if side == "lower":
        return parameter.lower > 0.0
    return parameter.unit != "" or parameter.upper < 1.0


_BEYOND = "The true value may lie beyond; widen the bound or distrust the voxel."
_NOTHING_BEYOND = "Nothing lies beyond, so the data do not tell the value: distrust the voxel."


def _flags(code: int, parameters: Sequence[Parameter]) -> list[tuple[str, str, str]]:
    """Return (name, sentence, advice) of each flag that is set in `code`."""
    found = [
        (str(flag.name), *_SENTENCES[flag]) for flag in FitStatus if flag.value and code & flag
    ]
    for index, parameter in enumerate(parameters):
        for side, flag in (("lower", at_lower(index)), ("upper", at_upper(index))):
            if code & flag:
                bound = getattr(parameter, side)
                found.append(
                    (
                        f"{parameter.name}_AT_{side.upper()}_BOUND",
                        f"{parameter.symbol} is at its {side} bound ({bound:g}).",
                        _BEYOND if can_be_widened(parameter, side) else _NOTHING_BEYOND,
                    )
                )
    return found or [("OK", *_SENTENCES[FitStatus.OK])]


def describe(code: int, parameters: Sequence[Parameter]) -> str:
    """Return the sentences of a status code.

    Parameters
    ----------
    code : int
        A value of a status map.
    parameters : sequence of Parameter
        The parameters of the fitted model, in its order.

    Returns
    -------
    str
        One sentence per flag.

    Examples
    --------
    >>> from ivimkit.status import FitStatus, describe
    >>> describe(FitStatus.OUTSIDE_MASK, ())
    'Outside the mask, not fitted.'
    """
    return " ".join(sentence for _, sentence, _ in _flags(int(code), parameters))


def explain(parameters: Sequence[Parameter]) -> dict[int, tuple[str, str, str]]:
    """Return flag -> (name, sentence, what to do) for all flags of a model."""
    flags = [int(FitStatus.OK), *(flag.value for flag in FitStatus)]
    for index in range(len(parameters)):
        flags += [at_lower(index), at_upper(index)]
    return {flag: _flags(flag, parameters)[0] for flag in flags}


def in_words(name: str, parameters: Sequence[Parameter]) -> str:
    """Return the name of a flag as people write it.

    Parameters
    ----------
    name : str
        Name of a flag, as in `FitStatus`, or of a bound.
    parameters : sequence of Parameter
        The parameters of the fitted model.

    Returns
    -------
    str

    Examples
    --------
    >>> from ivimkit import models
    >>> from ivimkit.status import in_words
    >>> biexp = models.get("biexp").parameters
    >>> in_words("D_star_AT_UPPER_BOUND", biexp), in_words("NO_SIGNAL", biexp)
    ('D* at its upper bound', 'no signal')
    """
    for parameter in parameters:
        for side in ("lower", "upper"):
            if name == f"{parameter.name}_AT_{side.upper()}_BOUND":
                return f"{parameter.symbol} at its {side} bound"
    return _IN_WORDS.get(name, name.lower().replace("_", " "))


_IN_WORDS = {
    "OK": "OK",
    "NON_FINITE": "signal not finite",
    "TOO_FEW_BVALUES": "too few b-values",
    "ADC_NOT_AVAILABLE": "ADC not available",
    "SD_NOT_AVAILABLE": "sd not available",
}


def gravest_first(parameters: Sequence[Parameter]) -> list[int]:
    """Return all flags of voxels inside the mask, the gravest first.

    No value at all comes first; then a value at a bound, which the fit was not free to choose;
    then what the data do not tell; last what is only missing beside a value that stands.

    Parameters
    ----------
    parameters : sequence of Parameter
        The parameters of the fitted model, in its order.

    Returns
    -------
    list of int

    Examples
    --------
    >>> from ivimkit.status import FitStatus, gravest_first
    >>> [FitStatus(flag).name for flag in gravest_first(())][::4]
    ['NON_FINITE', 'TISSUE_NOT_DETECTED']
    """
    failed = [int(flag) for flag in FitStatus if flag & FAILED]
    sides = (at_lower, at_upper)
    bounds = [side(index) for index in range(len(parameters)) for side in sides]
    return [*failed, *bounds, *map(int, _LEAST_GRAVE)]


def gravest(status: NDArray[np.int32], parameters: Sequence[Parameter]) -> NDArray[np.int32]:
    """Return the gravest flag of every voxel.

    Parameters
    ----------
    status : ndarray of int, any shape
        The status map.
    parameters : sequence of Parameter
        The parameters of the fitted model, in its order.

    Returns
    -------
    ndarray of int, same shape
        One flag each; 0 where nothing is to be reported. Outside the mask that is
        ``OUTSIDE_MASK``.
    """
    status = np.asarray(status)
    found = np.zeros(status.shape, dtype=np.int32)
    for flag in reversed(gravest_first(parameters)):
        found[(status & flag) != 0] = flag
    outside = int(FitStatus.OUTSIDE_MASK)
    found[(status & outside) != 0] = outside
    return found


def count(status: NDArray[np.int32], parameters: Sequence[Parameter]) -> dict[str, int]:
    """Count the voxels of every flag that occurs; a voxel with two flags counts in both.

    Parameters
    ----------
    status : ndarray of int, any shape
        The status map.
    parameters : sequence of Parameter
        The parameters of the fitted model.

    Returns
    -------
    dict of str to int
        Flag name to number of voxels, only flags that occur.
    """
    codes, numbers = np.unique(np.asarray(status), return_counts=True)
    total: dict[str, int] = {}
    for code, number in zip(codes, numbers, strict=True):
        for name, _, _ in _flags(int(code), parameters):
            total[name] = total.get(name, 0) + int(number)
    return total
