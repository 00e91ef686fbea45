"""Per-voxel fit status: code, name, sentence and advice, in one place.

A status is a sum of flags. The low bits are reasons (`FitStatus`); from `BOUND_SHIFT` on,
each model parameter has two bits, "at its lower bound" and "at its upper bound", in the order
of the model's parameters. Zero means: fitted, nothing to report. The name and the meaning of a
compartment that is not detected follow from the model (`Unseen`); so does `KURTOSIS_LIKELY`, whose
bit is that of a third fraction, and which only models of two decays have. After the bits of bounds
each parameter has one more, "uncertain", which only fits with a posterior set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ivimkit.parameter import Parameter

__all__ = [
    "BOUND_SHIFT",
    "FAILED",
    "MAX_INTEGRATED",
    "MAX_OFF",
    "MAX_OFF_PROBABILITY",
    "MAX_PARAMETERS",
    "MONOEXPONENTIAL",
    "UNSEEN_REFERENCE",
    "UNSEEN_SHARES",
    "WITHOUT_FIT",
    "Explained",
    "FitStatus",
    "StatusCodes",
    "Unseen",
    "at_lower",
    "at_upper",
    "can_be_widened",
    "count",
    "describe",
    "explain",
    "gravest",
    "gravest_first",
    "in_words",
    "monoexponential",
    "status_type",
    "uncertain",
]

BOUND_SHIFT = 11

_COUNTED = 1 << 20
"""Voxels whose codes are sorted at a time."""


UNSEEN_SHARES = (32, 512, 1024)
"""Flags "compartment k is not distinguishable from none", for compartments with a fraction."""

UNSEEN_REFERENCE = 64
"""The same flag for the last compartment, whose fraction is the remainder."""


class FitStatus(IntFlag):
    """Why a voxel has no value, or a qualification of its value."""

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
    KURTOSIS_LIKELY = 1024
    POSTERIOR_INACCURATE = 1 << 30


_SENTENCES: dict[FitStatus, tuple[str, str]] = {
    FitStatus.OK: ("Fitted.", "Nothing to do."),
    FitStatus.OUTSIDE_MASK: ("Outside the mask, not fitted.", "Enlarge the mask if needed."),
    FitStatus.NON_FINITE: (
        "No value of the signal is finite, or a map that fixes a parameter is not, not fitted.",
        "Look for the failed volume or processing step, or for the gap in the map.",
    ),
    FitStatus.NO_SIGNAL: (
        "No signal: the best fit is S0 = 0, or all values are the same zero or negative.",
        "Background or a signal void; mask it.",
    ),
    FitStatus.TOO_FEW_BVALUES: (
        "Too few b-values with a weight and a positive signal for this model and method.",
        "Use varpro, which needs no logarithm; look at the weights; or mask the voxel.",
    ),
    FitStatus.NOT_CONVERGED: (
        "The fit did not converge, not reported.",
        "Please report it with the signal: the default method should always converge.",
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
    FitStatus.POSTERIOR_INACCURATE: (
        "The posterior was integrated with an error of more than a tenth of a standard deviation.",
        "Distrust mean and intervals here: see the map accuracy, or fix what is known.",
    ),
}

FAILED = (
    FitStatus.NON_FINITE
    | FitStatus.NO_SIGNAL
    | FitStatus.TOO_FEW_BVALUES
    | FitStatus.NOT_CONVERGED
)
"""Flags of voxels that should have been fitted and have NaN in every map."""

WITHOUT_FIT = int(FAILED | FitStatus.OUTSIDE_MASK)
"""These flags, and that of voxels that were not to be fitted."""


_KURTOSIS_LIKELY = int(FitStatus.KURTOSIS_LIKELY)
_KURTOSIS_TEXTS = (
    "The signal above b = 1000 s/mm^2 bends like kurtosis: f may be far too high, D too low.",
    "Leave out b-values above 1000 (--bmax 1000), or use model kurtosis.",
)

MONOEXPONENTIAL = (
    "MONOEXPONENTIAL",
    "One exponential describes this voxel as well: f and D* are not established.",
    "Use model monoexp there, or average over a region.",
)
"""Name, sentence and advice of voxels with either flag of a compartment that is not detected, in a
model of two decays. It has no bit, as it follows from the others: see `monoexponential`."""


_UNSEEN = (UNSEEN_REFERENCE, *UNSEEN_SHARES)
_OF_OTHER_MAPS = (int(FitStatus.ADC_NOT_AVAILABLE), int(FitStatus.SD_NOT_AVAILABLE))
"""Flags that concern another map, and leave the value itself valid."""


class Unseen(NamedTuple):
    """The flag of a compartment that is not detected, and the parameters that are then unknown.

    Parameters
    ----------
    flag : int
        One of `UNSEEN_SHARES`, or `UNSEEN_REFERENCE`.
    compartment : str
        Its name.
    signal : str
        Name of its signal, which is not detected.
    shares : tuple of str
        Symbol of its fraction, or, for the reference, the fractions of all the others.
    shapes : tuple of str
        Symbols of its other parameters.
    """

    flag: int
    compartment: str
    signal: str
    shares: tuple[str, ...]
    shapes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the flag."""
        return f"{self.signal.upper()}_NOT_DETECTED"

    @property
    def what(self) -> str:
        """The unknown parameters, for a sentence: ``"D*"``, ``"D and K"``."""
        *first, last = self.shapes
        return f"{', '.join(first)} and {last}" if first else last

    @property
    def verb(self) -> str:
        """The verb that goes with it."""
        return "is" if len(self.shapes) == 1 else "are"

    @property
    def is_not(self) -> str:
        """The start of a sentence: the fraction from which it is not distinguishable."""
        end = 1 if self.flag == UNSEEN_REFERENCE else 0
        return f"{' + '.join(self.shares)} is not distinguishable from {end}"

    @property
    def texts(self) -> tuple[str, str]:
        """The sentence, and the advice."""
        sentence = f"{self.is_not} at this noise, so {self.what} {self.verb} not identifiable."
        if self.flag == UNSEEN_REFERENCE:
            return sentence, (
                "Pure fluid, a vessel, or too few high b-values; do not interpret "
                f"{self.what} here."
            )
        return sentence, (
            f"Do not interpret {self.what} here; average over a region or use a model without "
            f"{self.what}."
        )


class Explained(Protocol):
    """The part of a model that the texts of a status need, see `SignalModel`."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, in the order of their bits."""
        ...

    @property
    def unseen(self) -> tuple[Unseen, ...]:
        """The flags of its compartments."""
        ...

    @property
    def is_two_decays(self) -> bool:
        """Whether it is a sum of two decays of b: kurtosis, or one, can be mistaken for it."""
        ...


MAX_INTEGRATED = 9
"""Maximum number of parameters of a posterior: its flag is a bit of the bounds of more."""

MAX_PARAMETERS = 25
"""Maximum number of parameters of a model: the bounds of more do not fit into 64 bits."""

MAX_OFF = 0.5
"""Relative error of an estimate, as a share of the true value, above which it is far off."""

MAX_OFF_PROBABILITY = 0.05
"""Probability of such an error above which an estimate is uncertain."""

_N_BITS = 63


def status_type(n_parameters: int) -> type[np.signedinteger[Any]]:
    """Return the type of a status map: it has three bits for each parameter.

    Parameters
    ----------
    n_parameters : int
        Number of parameters of the model.

    Examples
    --------
    >>> from ivimkit.status import status_type
    >>> status_type(4).__name__, status_type(11).__name__
    ('int32', 'int64')
    """
    return np.int32 if BOUND_SHIFT + 3 * n_parameters < 32 else np.int64


def at_lower(index: int) -> int:
    """Return the flag "parameter number `index` is at its lower bound"."""
    return 1 << (BOUND_SHIFT + 2 * index)


def at_upper(index: int) -> int:
    """Return the flag "parameter number `index` is at its upper bound"."""
    return 1 << (BOUND_SHIFT + 2 * index + 1)


def uncertain(index: int, n_parameters: int) -> int:
    """Return the flag "parameter number `index` is uncertain"; 0 where there is no bit for it.

    Models of up to 17 parameters have a bit for each.
    """
    bit = BOUND_SHIFT + 2 * n_parameters + index
    if status_type(n_parameters) is not np.int32:
        # Behind the bit of POSTERIOR_INACCURATE.
        bit += max(31 - BOUND_SHIFT - 2 * n_parameters, 0)
    return 1 << bit if bit < _N_BITS else 0


def can_be_widened(parameter: Parameter, side: str) -> bool:
    """Return whether there is anything beyond a bound: not below 0 for a rate, for instance.

    Parameters
    ----------
    parameter : Parameter
        The parameter, with its bounds.
    side : {"lower", "upper"}
        Which bound.
    """
    if side == "lower":
        return parameter.lower > parameter.least
    return parameter.upper < parameter.most


_UNCERTAIN_ADVICE = (
    "Read it as a range, from its lower to its upper 95 % limit, or average over a region."
)
_BEYOND = "The true value may lie beyond; widen the bound or distrust the voxel."
_NOTHING_BEYOND = "Nothing lies beyond, so the data do not tell the value: distrust the voxel."


def _flags(code: int, model: Explained | None) -> list[tuple[str, str, str]]:
    """Return (name, sentence, advice) of each flag that is set in `code`."""
    found = [texts for flag, texts in _texts(model) if code & flag]
    return found or [("OK", *_SENTENCES[FitStatus.OK])]


def _texts(model: Explained | None) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Yield all flags of a model, each with its name, sentence and advice."""
    for flag, (name, texts) in _reasons(model).items():
        yield int(flag), (name, *texts)
    for index, parameter in enumerate(model.parameters if model else ()):
        for side, flag in (("lower", at_lower(index)), ("upper", at_upper(index))):
            bound = getattr(parameter, side)
            yield (
                flag,
                (
                    f"{parameter.name}_AT_{side.upper()}_BOUND",
                    f"{parameter.symbol} is at its {side} bound ({bound:g}).",
                    _BEYOND if can_be_widened(parameter, side) else _NOTHING_BEYOND,
                ),
            )
    for flag, parameter in _uncertain(model):
        yield flag, (f"{parameter.name}_UNCERTAIN", _off(parameter), _UNCERTAIN_ADVICE)


def _uncertain(model: Explained | None) -> list[tuple[int, Parameter]]:
    """Return the flags of parameters that are uncertain, each with its parameter."""
    parameters = model.parameters if model else ()
    flags = [(uncertain(k, len(parameters)), one) for k, one in enumerate(parameters)]
    return [(flag, one) for flag, one in flags if flag]


def _off(parameter: Parameter) -> str:
    off, probability = 100 * MAX_OFF, 100 * MAX_OFF_PROBABILITY
    return (
        f"{parameter.symbol} may be more than {off:g} % off (probability above {probability:g} %)."
    )


def _reasons(model: Explained | None) -> dict[int, tuple[str, tuple[str, str]]]:
    """Return flag -> name, and sentence and advice, of all flags but those of bounds."""
    found = {int(flag): (str(flag.name), texts) for flag, texts in _SENTENCES.items() if int(flag)}
    for about in model.unseen if model else ():
        found[about.flag] = (about.name, about.texts)
    if model is not None and (model.is_two_decays or len(model.parameters) > MAX_INTEGRATED):
        # Of two decays, posteriors are summed on a lattice.
        del found[int(FitStatus.POSTERIOR_INACCURATE)]
    if model is not None and model.is_two_decays:
        found[_KURTOSIS_LIKELY] = (FitStatus.KURTOSIS_LIKELY.name or "", _KURTOSIS_TEXTS)
    return dict(sorted(found.items()))


def monoexponential(status: NDArray[np.signedinteger[Any]], model: Explained) -> NDArray[np.bool_]:
    """Return the voxels that one exponential describes as well as the two of the model.

    These are voxels in which either compartment is not detected. On simulated voxels of one decay
    and of two, that is right more often than an F-test of the two fits.

    Parameters
    ----------
    status : ndarray of int, any shape
        The status map.
    model : SignalModel
        The fitted model.

    Returns
    -------
    ndarray of bool, same shape
        False everywhere for a model that is not a sum of two decays.
    """
    flags = UNSEEN_SHARES[0] | UNSEEN_REFERENCE if model.is_two_decays else 0
    return np.asarray((np.asarray(status) & flags) != 0)


def describe(code: int, model: Explained | None = None) -> str:
    """Return the sentences of a status code.

    Parameters
    ----------
    code : int
        A value of a status map.
    model : SignalModel, optional
        The fitted model. Without it, only sentences for all models.

    Returns
    -------
    str
        One sentence per flag.

    Examples
    --------
    >>> from ivimkit.status import FitStatus, describe
    >>> describe(FitStatus.OUTSIDE_MASK)
    'Outside the mask, not fitted.'
    """
    sentences = [sentence for _, sentence, _ in _flags(int(code), model)]
    if model is not None and monoexponential(np.array(code), model):
        sentences.append(MONOEXPONENTIAL[1])
    return " ".join(sentences)


def explain(model: Explained | None = None) -> dict[int, tuple[str, str, str]]:
    """Return flag -> (name, sentence, advice) for all flags of a model.

    Parameters
    ----------
    model : SignalModel, optional
        The fitted model; without it the flags that all models have.
    """
    return {0: ("OK", *_SENTENCES[FitStatus.OK]), **dict(_texts(model))}


def in_words(name: str, model: Explained) -> str:
    """Return the name of a flag in words.

    Parameters
    ----------
    name : str
        Name of a flag, as in `FitStatus`, or of a bound.
    model : SignalModel
        The fitted model.

    Returns
    -------
    str

    Examples
    --------
    >>> from ivimkit import models
    >>> from ivimkit.status import in_words
    >>> biexp = models.get("biexp")
    >>> in_words("D_star_AT_UPPER_BOUND", biexp), in_words("NO_SIGNAL", biexp)
    ('D* at its upper bound', 'no signal')
    """
    for parameter in model.parameters:
        for side in ("lower", "upper"):
            if name == f"{parameter.name}_AT_{side.upper()}_BOUND":
                return f"{parameter.symbol} at its {side} bound"
        if name == f"{parameter.name}_UNCERTAIN":
            return f"{parameter.symbol} uncertain"
    return _IN_WORDS.get(name, name.lower().replace("_", " "))


_IN_WORDS = {
    "OK": "OK",
    "NON_FINITE": "signal not finite",
    "TOO_FEW_BVALUES": "too few b-values",
    "MONOEXPONENTIAL": "one exponential as good",
    "ADC_NOT_AVAILABLE": "ADC not available",
    "SD_NOT_AVAILABLE": "sd not available",
}


def gravest_first(model: Explained | None = None) -> list[int]:
    """Return all flags of voxels inside the mask, the most serious first.

    No value at all comes first; then a value at a bound, which the fit was not free to choose;
    then kurtosis, which the model does not have; then what the data do not determine, or only
    roughly; then a posterior that is not exact; last flags that concern another map.

    Parameters
    ----------
    model : SignalModel, optional
        The fitted model; without it the flags that all models have.

    Returns
    -------
    list of int

    Examples
    --------
    >>> from ivimkit import models
    >>> from ivimkit.status import FitStatus, gravest_first
    >>> flags = gravest_first(models.get("biexp"))
    >>> FitStatus(flags[0]).name, FitStatus(flags[-1]).name
    ('NON_FINITE', 'SD_NOT_AVAILABLE')
    """
    failed = [int(flag) for flag in FitStatus if flag & FAILED]
    sides = (at_lower, at_upper)
    n = len(model.parameters) if model else 0
    bounds = [side(index) for index in range(n) for side in sides]
    wrong = [_KURTOSIS_LIKELY] if model is not None and model.is_two_decays else []
    known = explain(model)
    unseen = [flag for flag in _UNSEEN if flag in known and flag not in wrong]
    wide = [flag for flag, _ in _uncertain(model)]
    rough = [flag for flag in (int(FitStatus.POSTERIOR_INACCURATE),) if flag in known]
    return [*failed, *bounds, *wrong, *unseen, *wide, *rough, *_OF_OTHER_MAPS]


def gravest(status: NDArray[np.signedinteger[Any]], model: Explained) -> NDArray[Any]:
    """Return the most serious flag of every voxel.

    Parameters
    ----------
    status : ndarray of int, any shape
        The status map.
    model : SignalModel
        The fitted model.

    Returns
    -------
    ndarray of int, same shape
        One flag each; 0 where nothing is to be reported. Outside the mask that is
        ``OUTSIDE_MASK``.
    """
    status = np.asarray(status)
    found = np.zeros(status.shape, dtype=status.dtype)
    for flag in reversed(gravest_first(model)):
        found[(status & flag) != 0] = flag
    outside = int(FitStatus.OUTSIDE_MASK)
    found[(status & outside) != 0] = outside
    return found


def count(status: NDArray[np.signedinteger[Any]], model: Explained) -> dict[str, int]:
    """Count the voxels of every flag that occurs; a voxel with two flags counts in both.

    Parameters
    ----------
    status : ndarray of int, any shape
        The status map.
    model : SignalModel
        The fitted model.

    Returns
    -------
    dict of str to int
        Flag name to number of voxels, only flags that occur.
    """
    return StatusCodes.of(status).flags(model)


@dataclass(frozen=True, eq=False)
class StatusCodes:
    """The codes that occur in a status map, and their numbers: any count of flags follows.

    A map may be larger than memory; it is looked at once, part by part.

    Parameters
    ----------
    codes : ndarray of int, shape (n_codes,)
        The codes, ascending.
    numbers : ndarray of int, shape (n_codes,)
        Number of voxels of each.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.status import FitStatus, StatusCodes
    >>> found = StatusCodes.of(np.array([[0, 1], [1, 32]]))
    >>> found.total, found.inside.total, found.having(FitStatus.PERFUSION_NOT_DETECTED)
    (4, 2, 1)
    """

    codes: NDArray[np.int64]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, status: NDArray[np.signedinteger[Any]]) -> Self:
        """Count the codes of a status map of any shape."""
        flat = np.asarray(status).ravel(order="K")
        outside = int(FitStatus.OUTSIDE_MASK)
        numbers: dict[int, int] = {}
        for start in range(0, flat.size, _COUNTED):
            part = flat[start : start + _COUNTED]
            # Codes are sorted to be counted, and this one is most of many maps.
            others = part[part != outside]
            found = np.unique(others, return_counts=True)
            pairs = zip(*(own.tolist() for own in found), strict=True)
            for code, number in (*pairs, (outside, part.size - others.size)):
                if number:
                    numbers[code] = numbers.get(code, 0) + number
        codes = sorted(numbers)
        return cls(np.array(codes, np.int64), np.array([numbers[c] for c in codes], np.int64))

    @property
    def total(self) -> int:
        """Number of all voxels."""
        return int(self.numbers.sum())

    @property
    def inside(self) -> Self:
        """Those of voxels in the mask."""
        return self.without(FitStatus.OUTSIDE_MASK)

    @property
    def fitted(self) -> Self:
        """Those of voxels that have values."""
        return self.without(WITHOUT_FIT)

    def without(self, flags: int) -> Self:
        """Return those that have none of some flags."""
        keep = (self.codes & int(flags)) == 0
        return type(self)(self.codes[keep], self.numbers[keep])

    def having(self, flags: int) -> int:
        """Return the number of voxels that have at least one of some flags."""
        return self.where((self.codes & int(flags)) != 0)

    def where(self, chosen: NDArray[np.bool_]) -> int:
        """Return the number of voxels whose codes are chosen, shape (n_codes,)."""
        return int(self.numbers[chosen].sum())

    def flags(self, model: Explained) -> dict[str, int]:
        """Return the number of voxels of every flag that occurs, see `count`."""
        total: dict[str, int] = {}
        every = list(_texts(model))
        for code, number in zip(self.codes.tolist(), self.numbers.tolist(), strict=True):
            for name in [texts[0] for flag, texts in every if code & flag] or ["OK"]:
                total[name] = total.get(name, 0) + number
        return total
