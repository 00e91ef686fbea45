"""Variables that may differ between volumes of a scan, with unit, range and tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import AcquisitionError, OptionError, ShapeError
from ivimkit.scan.gradient_timing import MIN_B, with_derived
from ivimkit.scan.shell_clusters import shell_clusters

__all__ = [
    "DIFFUSION_TIME",
    "DIRECTION",
    "ECHO_TIME",
    "ENCODING_TIME",
    "GRADIENT",
    "GRADIENT_CODE",
    "GRADIENT_DURATION",
    "GRADIENT_SEPARATION",
    "KNOWN",
    "B",
    "C",
    "Columns",
    "Variable",
    "along_b",
    "checked_columns",
    "groups_of",
    "points",
    "shown",
    "variable_of",
]

Columns = Mapping[str, NDArray[Any]]
"""Values of variables by name, each of shape (n_volumes,): numbers, or texts."""

# Numbers of an unknown variable are the same if they agree up to rounding.
_ROUNDING = 1e-6
# If the greatest value is below this share of the lowest plausible one, the unit is wrong.
_MILLI = 1e-3
# Ratios to the root of b are the same if they agree to this share of the largest one.
_SAME_RATIO = 0.03


@dataclass(frozen=True)
class Variable:
    """A property of each volume: b-value, echo time, and so on.

    Parameters
    ----------
    name : str
        Name of its column, a Python name.
    label : str
        Prefix of a value in figures and messages, like ``"TE"``.
    unit : str
        Unit of its values; empty if there is none.
    lowest, highest : float
        Plausible values, in `unit`; others were meant in another unit, and are refused.
    tolerance : float or None
        Values with gaps up to this are the same; None if they are the same up to rounding.
    of_gradient : bool
        Whether it describes the diffusion gradient, and so is undefined at b = 0.
    text : bool
        Whether its values may be texts.
    grows_with_b : bool
        Whether it is proportional to the strength of the gradient, and so to the root of b: along
        a series of b-values its ratio to that root is the same.
    """

    name: str
    label: str
    unit: str = ""
    lowest: float = -math.inf
    highest: float = math.inf
    tolerance: float | None = None
    of_gradient: bool = False
    text: bool = False
    grows_with_b: bool = False

    @property
    def head(self) -> str:
        """Header of its column in tables, like ``"TE (ms)"``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def written(self, value: float | str) -> str:
        """Return a value with its label and unit.

        Examples
        --------
        >>> from ivimkit.scan.variables import ECHO_TIME
        >>> ECHO_TIME.written(75.0)
        'TE 75 ms'
        """
        return f"{self.label} {shown(value)}{' ' + self.unit if self.unit else ''}"

    def same_as(self, values: NDArray[np.float64], value: float) -> NDArray[np.bool_]:
        """Return which values agree with a number, within the tolerance."""
        reach = _ROUNDING * max(abs(value), float(np.abs(values).max(initial=0.0)))
        tolerance = 0.0 if self.tolerance is None else self.tolerance
        found: NDArray[np.bool_] = np.abs(values - value) <= tolerance + reach
        return found


B = Variable("b", "b", "s/mm^2", 0.0, 1e4)
"""The b-value. Its tolerance grows with it, see `ivimkit.scan.shell_clusters`."""

ECHO_TIME = Variable("echo_time", "TE", "ms", 1.0, 1000.0, 0.5)
"""Time from excitation to echo."""

DIFFUSION_TIME = Variable(
    "diffusion_time", "diffusion time", "ms", 1.0, 5000.0, 0.5, of_gradient=True
)
"""Time during which diffusion is observed."""

GRADIENT_DURATION = Variable(
    "gradient_duration", "gradient duration", "ms", 0.1, 1000.0, 0.1, of_gradient=True
)
"""Duration of one diffusion gradient."""

GRADIENT_SEPARATION = Variable(
    "gradient_separation", "gradient separation", "ms", 0.1, 1000.0, 0.1, of_gradient=True
)
"""Time from the start of the first gradient of a pair to that of the second, Delta."""

ENCODING_TIME = Variable("encoding_time", "T", "ms", 0.2, 5000.0, 0.5, of_gradient=True)
"""Time from the start of the first diffusion gradient to the end of the last."""

C = Variable("c", "c", "s/mm", 0.0, 100.0, 0.05, of_gradient=True, grows_with_b=True)
"""First moment of the gradients in terms of phase per velocity; 0 where flow is compensated."""

GRADIENT_CODE = Variable("gradient_code", "gradient code", "", -2.0, 1.0, of_gradient=True)
"""The shape of the gradients as a number, see `ivimkit.scan.gradient_timing`."""

GRADIENT = Variable("gradient", "gradient", of_gradient=True, text=True)
"""The shape of the diffusion gradients, as a text like ``"bipolar"``."""

DIRECTION = tuple(
    Variable(f"g{axis}", f"g{axis}", "", -1.0, 1.0, 0.02, of_gradient=True) for axis in "xyz"
)
"""Components of the unit vector of the gradient direction; 0 0 0 if there is none."""

KNOWN = {
    known.name: known
    for known in (
        B,
        ECHO_TIME,
        DIFFUSION_TIME,
        GRADIENT_DURATION,
        GRADIENT_SEPARATION,
        ENCODING_TIME,
        C,
        GRADIENT,
        GRADIENT_CODE,
        *DIRECTION,
    )
}
"""The variables known to ivimkit, by name. Any other name may also be used."""


def shown(value: float | str) -> str:
    """Return a value as written in messages and tables."""
    return value if isinstance(value, str) else f"{value:.6g}"


def variable_of(name: str) -> Variable:
    """Return a variable by name; an unknown one has no unit and any range.

    Raises
    ------
    OptionError
        If the name is not a Python name, as conditions and models use it.
    """
    if name in KNOWN:
        return KNOWN[name]
    if not str(name).isidentifier():
        raise OptionError(
            f"a variable is called {str(name)[:60]!r}; expected a name of letters, digits and _ "
            "like echo_time. Rename it"
        )
    return Variable(name, name, text=True)


def checked_columns(given: Mapping[str, Any] | None, n: int) -> dict[str, NDArray[Any]]:
    """Return the variables other than b as read-only arrays, shape (n,), of numbers or texts.

    Parameters
    ----------
    given : mapping of str to array_like, or None
        Values by name: one per volume, or one for all of them.
    n : int
        Number of volumes.

    Raises
    ------
    AcquisitionError
        If there is not one value per volume, or values are missing or not plausible.
    OptionError
        If a name cannot be used.
    """
    columns = {}
    for name, values in (given or {}).items():
        variable = variable_of(name)
        if name == B.name:
            raise AcquisitionError(
                "b is among the other variables; expected the b-values separately. Pass them "
                "as bvals"
            )
        column = _column(variable, values, n)
        column.setflags(write=False)
        columns[name] = column
    return columns


def _column(variable: Variable, given: Any, n: int) -> NDArray[Any]:
    values = np.asarray(given)
    if values.dtype.kind == "O":
        # From pandas, or from a list with a gap.
        missing = [k for k, value in enumerate(values.ravel()) if value is None or value != value]
        if missing:
            raise AcquisitionError(
                f"{variable.name} of volume {missing[0]} is missing; expected one value per volume"
            )
        values = np.asarray(values.tolist())
    if values.ndim == 0:
        values = np.full(n, values)
    if values.shape != (n,):
        raise AcquisitionError(
            f"{variable.name} has {values.size} values and there are {n} volumes; expected one "
            "value per volume, or one for all of them"
        )
    if values.dtype.kind == "U" and variable.text:
        return _texts(variable, values)
    try:
        if values.dtype.kind in "bOM":
            raise ValueError(values.dtype)
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise AcquisitionError(
            f"{variable.name} is {str(values.tolist())[:60]}; expected a number per volume"
            f"{', in ' + variable.unit if variable.unit else ''}"
        ) from None
    _check_numbers(variable, numbers)
    return numbers


def _texts(variable: Variable, values: NDArray[Any]) -> NDArray[Any]:
    texts = np.array([text.strip() for text in values.tolist()])
    for volume, text in enumerate(texts.tolist()):
        if not text or not text.isprintable():
            raise AcquisitionError(
                f"{variable.name} of volume {volume} is {text!r}; expected a text. Write none for "
                "volumes to which it does not apply"
            )
    return texts


def _check_numbers(variable: Variable, numbers: NDArray[np.float64]) -> None:
    unit = f" {variable.unit}" if variable.unit else ""
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise AcquisitionError(
            f"{variable.name} of volume {bad[0]} is {numbers[bad[0]]:g}; expected a number"
            f"{' of' + unit if unit else ''}. Correct it, or leave the volume out of the scan"
        )
    bad = np.flatnonzero((numbers < variable.lowest) | (numbers > variable.highest))
    if not bad.size:
        return
    advice = "Correct it"
    if variable.unit == "ms" and 0.0 < numbers.max() <= max(variable.highest * _MILLI, 1.0):
        advice = "If the unit is s, multiply by 1000"
    raise AcquisitionError(
        f"{variable.name} of volume {bad[0]} is {numbers[bad[0]]:g}{unit}; expected "
        f"{variable.lowest:g} to {variable.highest:g}{unit}. {advice}"
    )


def along_b(
    name: str, values: NDArray[Any], b: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return what stays the same along a series of b-values, and the group of equal ones.

    For most variables the values themselves; for one that grows with the gradient, such as c, its
    ratio to the root of b.

    Examples
    --------
    >>> import numpy as np
    >>> along_b("c", np.array([0.0, 1.0, 2.0]), np.array([50.0, 50.0, 200.0]))[1].tolist()
    [0, 1, 1]
    """
    if not variable_of(name).grows_with_b:
        return values, groups_of(name, values)
    ratio = values / np.sqrt(np.maximum(b, MIN_B))
    return ratio, shell_clusters(ratio, _SAME_RATIO * float(ratio.max(initial=0.0)))


def groups_of(name: str, values: NDArray[Any]) -> NDArray[np.intp]:
    """Return the group of equal values of each value, numbered in ascending order.

    Numbers are equal within the tolerance of the variable, like b-values of one shell.

    Examples
    --------
    >>> import numpy as np
    >>> groups_of("echo_time", np.array([75.0, 50.0, 50.2])).tolist()
    [1, 0, 0]
    """
    if values.dtype.kind == "U":
        return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.intp)
    tolerance = variable_of(name).tolerance
    if tolerance is None:
        tolerance = _ROUNDING * float(np.abs(values).max(initial=0.0))
    return shell_clusters(values, tolerance * (1.0 + _ROUNDING))


def points(variables: Sequence[str], given: Any) -> NDArray[np.float64]:
    """Return the values of a model's variables at which its signal is needed.

    Parameters
    ----------
    variables : sequence of str
        The variables of the model, in its order.
    given : array_like, shape (n,), or a table
        b-values in s/mm^2, for a model of b alone; or a mapping or data frame with a column for
        each variable, in its unit, of n values or one for all. Variables of the gradients may
        follow from others, see `ivimkit.scan.gradient_timing`. Columns that the model does not
        use are ignored.

    Returns
    -------
    ndarray
        For a model of b alone the b-values, shape (n,); otherwise one row per variable, shape
        (n_variables, n).

    Raises
    ------
    OptionError
        If a variable is missing, or b-values alone are not enough.
    ShapeError
        If columns have different lengths.

    Examples
    --------
    >>> points(("b", "echo_time"), {"b": [0, 800], "echo_time": 75}).tolist()
    [[0.0, 800.0], [75.0, 75.0]]
    """
    is_table = hasattr(given, "keys")
    if not is_table and tuple(variables) == (B.name,):
        return np.atleast_1d(np.asarray(given, dtype=np.float64))
    listed = ", ".join(variables)
    if not is_table:
        raise OptionError(
            f"got b-values alone for a model of {listed}; expected a table with these columns, "
            f"like {{{', '.join(f'{name!r}: [...]' for name in variables)}}}"
        )
    given = with_derived(variables, given)
    missing = [name for name in variables if name not in given]
    if missing:
        there = ", ".join(map(str, given.keys())) or "the columns"
        raise OptionError(
            f"there is no {missing[0]} among {there}; expected {listed}, the variables of the "
            "model"
        )
    columns = [np.asarray(given[name], dtype=np.float64) for name in variables]
    rows: tuple[NDArray[np.float64], ...] = ()
    with suppress(ValueError):
        rows = np.broadcast_arrays(*(np.atleast_1d(column) for column in columns))
    if not rows or rows[0].ndim != 1:
        shapes = ", ".join(
            f"{name} {column.shape}" for name, column in zip(variables, columns, strict=True)
        )
        raise ShapeError(f"columns have shapes {shapes}; expected one length for all of them")
    return np.array(rows[0]) if len(rows) == 1 else np.array(rows)
