"""GradientTiming: the diffusion gradients of a volume, and what follows from their times.

Gradients are rectangles: short ramps change b and c by less than a percent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import AcquisitionError, OptionError, ShapeError

__all__ = [
    "DERIVED",
    "GYROMAGNETIC_RATIO",
    "SHAPES",
    "GradientTiming",
    "check_timing",
    "derived",
    "sources",
    "with_derived",
]

Columns = Mapping[str, NDArray[Any]]

SHAPES = ("monopolar", "bipolar", "flow-compensated")
"""Texts of the variable ``gradient`` from which timing follows."""

ONE_PAIR, TWO_PAIRS, OPPOSITE_PAIRS, FOUR_LOBES = 0.0, 1.0, -1.0, -2.0
"""Numbers of the variable ``gradient_code``."""

GYROMAGNETIC_RATIO = 2.0 * math.pi * 42.577478518e6
"""Gyromagnetic ratio of the proton, rad/s/T."""

MIN_B = 1.0
"""b-values below this, in s/mm^2, have no diffusion gradient."""

# Names of variables, see `ivimkit.scan.variables`.
_B, _C, _SHAPE, _CODE = "b", "c", "gradient", "gradient_code"
_TIMES = ("gradient_duration", "gradient_separation", "encoding_time")
DERIVED = (*_TIMES, _CODE, _C)
"""Variables that may follow from the others of a volume."""

# Times are the same up to this, in ms.
_SLACK = 0.5
# Of four lobes, see `ivimkit.kernels.separable.flow_atoms`: b = gamma^2 G^2 T^3 _LOBES.
_LOBES = 1.0 / (36.0 * math.sqrt(2.0) + 48.0)
_SPELLINGS = str.maketrans(" _", "--")


@dataclass(frozen=True)
class GradientTiming:
    """The diffusion gradients of a volume: their shape and their times.

    Parameters
    ----------
    shape : {"monopolar", "bipolar", "flow-compensated"}
        ``monopolar``: one pair of gradients, on both sides of the refocusing pulse. ``bipolar``:
        one pair +G, -G, or two such pairs, if the encoding time has room for them.
        ``flow-compensated``: two pairs, the second of which undoes the effect of the first on
        constant flow. Bipolar and flow-compensated gradients without `duration` and `separation`
        fill the encoding time, as in Wetscherek 2015: as two halves +G, -G, or as four lobes.
    duration : float or None
        Time delta of one gradient, ms.
    separation : float or None
        Time Delta from the start of the first gradient of a pair to that of the second, ms.
    encoding_time : float or None
        Time T from the start of the first gradient to the end of the last, ms; not needed for
        monopolar gradients, with T = Delta + delta.

    Raises
    ------
    OptionError
        If the shape does not exist.
    AcquisitionError
        If times are missing, or do not go together.

    References
    ----------
    Ahlgren A et al. Quantification of microcirculatory parameters by joint analysis of
    flow-compensated and non-flow-compensated intravoxel incoherent motion (IVIM) data. NMR Biomed
    2016;29:640-649. doi:10.1002/nbm.3505

    Examples
    --------
    >>> import ivimkit as ik
    >>> timing = ik.gradients.GradientTiming("bipolar", 7.5, 9.0, encoding_time=60)
    >>> timing.c([0, 50, 200]).round(2).tolist()
    [0.0, 1.12, 2.23]
    >>> timing.strength([200]).round(1).tolist()
    [61.8]
    """

    shape: str
    duration: float | None = None
    separation: float | None = None
    encoding_time: float | None = None

    def __post_init__(self) -> None:
        if _spelled(self.shape) not in SHAPES:
            raise OptionError(
                f"the shape of gradients is {self.shape!r}; expected one of {', '.join(SHAPES)}"
            )
        _ = self._timing()

    def columns(self) -> dict[str, str | float]:
        """Return the variables of volumes with these gradients, for `Acquisition` or `DWI`.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.gradients.GradientTiming("bipolar", encoding_time=60).columns()
        {'gradient': 'bipolar', 'encoding_time': 60}
        """
        times = zip(_TIMES, (self.duration, self.separation, self.encoding_time), strict=True)
        return {
            _SHAPE: _spelled(self.shape),
            **{name: value for name, value in times if value is not None},
        }

    def strength(self, b: ArrayLike) -> NDArray[np.float64]:
        """Return the strength of the gradient that gives b-values, in mT/m.

        Parameters
        ----------
        b : array_like, shape (n,)
            b-values, s/mm^2.

        Returns
        -------
        ndarray, shape (n,)
        """
        return np.asarray(np.sqrt(np.asarray(b, dtype=np.float64) / self._b_at_1()))

    def b(self, strength: ArrayLike) -> NDArray[np.float64]:
        """Return the b-values that a strength of the gradient gives, in s/mm^2.

        Parameters
        ----------
        strength : array_like, shape (n,)
            Strength of the gradient, mT/m.

        Returns
        -------
        ndarray, shape (n,)

        Examples
        --------
        >>> import ivimkit as ik
        >>> timing = ik.gradients.GradientTiming("monopolar", 20, 40)
        >>> timing.b([10, 20, 40]).round().tolist()
        [95.0, 382.0, 1527.0]
        """
        return np.asarray(np.asarray(strength, dtype=np.float64) ** 2 * self._b_at_1())

    def c(self, b: ArrayLike) -> NDArray[np.float64]:
        """Return the flow weighting c at b-values, in s/mm: the phase by the velocity.

        Parameters
        ----------
        b : array_like, shape (n,)
            b-values, s/mm^2.

        Returns
        -------
        ndarray, shape (n,)
            0 where flow is compensated.
        """
        values = np.atleast_1d(np.asarray(b, dtype=np.float64))
        return _c({_B: values, **self._timing()})

    def _timing(self) -> dict[str, NDArray[np.float64]]:
        columns: Columns = {name: np.array([value]) for name, value in self.columns().items()}
        return _timing({_B: np.array([100.0]), **columns})

    def _b_at_1(self) -> float:
        """Return the b-value at 1 mT/m."""
        columns = self._timing()
        code, (short, apart, whole) = columns[_CODE], _seconds(columns)
        pairs = np.where(code == ONE_PAIR, 1.0, 2.0) * short**2 * (apart - short / 3.0)
        # 1 mT/m is 1e-6 T/mm.
        each = np.where(code == FOUR_LOBES, whole**3 * _LOBES, pairs)
        return float((GYROMAGNETIC_RATIO * 1e-6) ** 2 * each[0])


def _spelled(text: str) -> str:
    return str(text).strip().lower().translate(_SPELLINGS)


def _seconds(columns: Columns) -> tuple[NDArray[np.float64], ...]:
    return tuple(1e-3 * columns[name] for name in _TIMES)


def _c(columns: Columns) -> NDArray[np.float64]:
    """Return c from b and timing: c = gamma G delta Delta of one pair, twice that of two."""
    code, (short, apart, _) = columns[_CODE], _seconds(columns)
    per_b = np.maximum(code + 1.0, 0.0) * apart**2 / (apart - short / 3.0)
    return np.asarray(np.sqrt(columns[_B] * per_b))


def with_derived(variables: Sequence[str], given: Any) -> Any:
    """Return a table with those variables of a model that follow from its other columns.

    Parameters
    ----------
    variables : sequence of str
        The variables of the model.
    given : mapping of str to array_like, or data frame
        Values by name, each one per row or one for all.

    Raises
    ------
    ShapeError
        If columns have different lengths.

    Examples
    --------
    >>> table = {"b": [0, 100], "gradient": "flow-compensated", "encoding_time": 40}
    >>> with_derived(("b", "gradient_code", "c"), table)["gradient_code"].tolist()
    [-2.0, -2.0]
    """
    missing = [name for name in variables if sources(name, given) != (name,)]
    if not missing or _B not in given:
        return given
    used = [name for name in (_B, _SHAPE, _CODE, *_TIMES) if name in given]
    found = [np.atleast_1d(np.asarray(given[name])) for name in used]
    try:
        rows = np.broadcast_arrays(*found)
    except ValueError:
        shapes = ", ".join(f"{name} {row.shape}" for name, row in zip(used, found, strict=True))
        raise ShapeError(
            f"columns have shapes {shapes}; expected one length for all of them"
        ) from None
    columns = {
        name: row if name == _SHAPE else row.astype(np.float64)
        for name, row in zip(used, rows, strict=True)
    }
    table = {str(name): given[name] for name in given}
    return {**table, **{name: derived(name, columns) for name in missing}}


def derived(name: str, columns: Columns) -> NDArray[np.float64] | None:
    """Return a variable that follows from others; None if it does not.

    Parameters
    ----------
    name : str
        Its name: ``gradient_code``, ``c``, or one of the times of the gradients.
    columns : mapping of str to ndarray, shape (n,)
        The variables that are known, including b and ``gradient``.

    Returns
    -------
    ndarray or None, shape (n,)

    Raises
    ------
    AcquisitionError
        If the times are missing, or do not go together.
    """
    if name not in DERIVED or sources(name, columns) == (name,):
        return None
    timing = _timing(columns)
    return _c({**columns, **timing}) if name == _C else timing[name]


def sources(name: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the variables that a variable depends on: itself, or those that it is derived from.

    Examples
    --------
    >>> sources("gradient_code", ("b", "gradient", "encoding_time"))
    ('gradient', 'encoding_time')
    """
    shape = _CODE if _CODE in known else _SHAPE
    if name in known or name not in DERIVED or shape not in known:
        return (name,)
    return tuple(source for source in (shape, *_TIMES) if source in known)


def check_timing(columns: Columns) -> None:
    """Refuse gradients that overlap, or do not fit into the encoding time.

    Raises
    ------
    AcquisitionError
        Naming the first such volume.
    """
    short, apart, whole = (columns.get(name) for name in _TIMES)
    there = columns[_B] >= MIN_B
    if short is not None and apart is not None:
        _refuse(
            there & (short > apart + _SLACK),
            lambda k: (
                f"gradients of {short[k]:g} ms {apart[k]:g} ms apart overlap; expected a "
                "separation, from start to start, of at least the duration"
            ),
        )
        if whole is not None:
            _refuse(
                there & (whole < short + apart - _SLACK),
                lambda k: (
                    f"an encoding time of {whole[k]:g} ms; expected at least duration + "
                    f"separation ({short[k]:g} + {apart[k]:g} ms), from the start of the first "
                    "gradient to the end of the last"
                ),
            )


def _refuse(bad: NDArray[np.bool_], why: Callable[[int], str]) -> None:
    volumes = np.flatnonzero(bad)
    if volumes.size:
        raise AcquisitionError(
            f"volume {volumes[0]} has {why(int(volumes[0]))}. Correct the times, which are in ms"
        )


def _timing(columns: Columns) -> dict[str, NDArray[np.float64]]:
    """Return code and times of each volume; those of b = 0, which has none, from another one."""
    if _CODE in columns:
        return _coded(columns)
    texts = columns[_SHAPE]
    if texts.dtype.kind != "U":
        raise AcquisitionError(
            f"the variable gradient is a number ({texts[0]:g}); expected a text, one of "
            f"{', '.join(SHAPES)}, to find out the timing of the gradients"
        )
    check_timing(columns)
    there = columns[_B] >= MIN_B
    shapes = np.array([_spelled(text) for text in texts])
    _refuse(
        there & ~np.isin(shapes, SHAPES),
        lambda k: (
            f"gradients that are called {str(texts[k])!r}; expected one of {', '.join(SHAPES)}, "
            "to find out their effect on flow"
        ),
    )
    found = {name: columns.get(name) for name in _TIMES}
    short, apart, whole = found.values()
    if (short is None) != (apart is None):
        lacks = _TIMES[0] if short is None else _TIMES[1]
        raise AcquisitionError(_incomplete(f"{lacks} is missing", shapes[there]))
    single = shapes == "monopolar"
    if whole is None and (short is None or not single[there].all()):
        raise AcquisitionError(_incomplete("encoding_time is missing", shapes[there]))
    if short is None and single[there].any():
        raise AcquisitionError(
            _incomplete("gradient_duration and gradient_separation are missing", shapes[there])
        )
    if short is None or apart is None:
        assert whole is not None
        timing = _filled(shapes, whole)
    else:
        timing = _pairs(shapes, short, apart, short + apart if whole is None else whole, there)
    if there.any():
        first = int(np.flatnonzero(there)[0])
        timing = {name: np.where(there, row, row[first]) for name, row in timing.items()}
    return timing


def _coded(columns: Columns) -> dict[str, NDArray[np.float64]]:
    """Return the timing of volumes whose gradients have a number already."""
    missing = [name for name in _TIMES if name not in columns]
    if missing:
        raise AcquisitionError(
            f"gradient_code is known and {missing[0]} is not; expected {', '.join(_TIMES)} (ms). "
            "Give them in a table (--variables FILE)"
        )
    return {name: np.asarray(columns[name]) for name in (_CODE, *_TIMES)}


def _filled(shapes: NDArray[Any], whole: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the timing of gradients that fill the encoding time: halves, or four lobes."""
    lobes = shapes == "flow-compensated"
    half = 0.5 * whole
    return {
        _CODE: np.where(lobes, FOUR_LOBES, ONE_PAIR),
        **dict(zip(_TIMES, (half, half, whole), strict=True)),
    }


def _pairs(
    shapes: NDArray[Any],
    short: NDArray[np.float64],
    apart: NDArray[np.float64],
    whole: NDArray[np.float64],
    there: NDArray[np.bool_],
) -> dict[str, NDArray[np.float64]]:
    """Return the timing of one pair or two, whose number follows from the encoding time."""
    room = whole >= 2.0 * (short + apart) - _SLACK
    compensated = shapes == "flow-compensated"
    _refuse(
        there & compensated & ~room,
        lambda k: (
            f"flow-compensated gradients in {whole[k]:g} ms; expected room for two pairs of "
            f"duration + separation ({short[k]:g} + {apart[k]:g} ms) each, or no duration and no "
            "separation for four lobes that fill the encoding time"
        ),
    )
    single = shapes == "monopolar"
    code = np.where(compensated, OPPOSITE_PAIRS, np.where(room & ~single, TWO_PAIRS, ONE_PAIR))
    # Of one pair, what comes after its end is a pause.
    ends = np.where(single, short + apart, whole)
    return {
        _CODE: code,
        **dict(zip(_TIMES, (short, apart, ends), strict=True)),
    }


def _incomplete(what: str, shapes: NDArray[Any]) -> str:
    listed = ", ".join(dict.fromkeys(shapes.tolist()))
    return (
        f"{what} for {listed} gradients; expected gradient_duration, gradient_separation and "
        "encoding_time (ms), or the encoding time alone for bipolar and flow-compensated "
        "gradients that fill it. Give them in a table (--variables FILE)"
    )
