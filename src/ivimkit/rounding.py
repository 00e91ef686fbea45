"""Rounding of displayed numbers: one rule for terminal, report, figures and viewer.

A number with an error is rounded according to the error, which has two significant digits; one
without has three. The viewer page has the same rule in ``numbers.ts``, tested on the same cases.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

from ivimkit.parameter import Parameter

__all__ = [
    "NONE",
    "after_number",
    "change",
    "how_shown",
    "in_unit",
    "interval",
    "legible_error",
    "limits",
    "megabytes",
    "percent",
    "plus_minus",
    "probability",
    "rounded",
    "several",
    "shown_factor",
    "shown_unit",
    "spread",
    "thousands",
    "times",
    "unbroken",
    "with_error",
]

NONE = "–"
"""Written where there is no number."""

_ERROR_DIGITS = 2
_MAX_DIGITS = 6
# Rounding error of computed numbers of about 1.
_ROUNDING_ERROR = 1e-12
_SMALLEST = 1e-4
_LARGEST = 1e9
_SHOWN = {"mm^2/s": ("10⁻³ mm²/s", 1e3), "a.u.^2": ("a.u.²", 1.0)}


def rounded(value: float, error: float = math.nan, digits: int = 3) -> str:
    r"""Write a number to the precision of its error; a dash if there is none.

    Parameters
    ----------
    value : float
        The number.
    error : float
        Its standard deviation, or half of its interval; NaN if unknown.
    digits : int
        Significant digits of a number without an error.

    Returns
    -------
    str

    Examples
    --------
    >>> from ivimkit.rounding import rounded
    >>> rounded(1.23456), rounded(1.23456, 0.2), rounded(28.22, 38.64), rounded(12345.6)
    ('1.23', '1.23', '28', '12\u202f346')
    """
    if not math.isfinite(value):
        return NONE
    places = _places(value, error)
    if places is not None:
        return _fixed(value, places)
    if value != 0.0 and not _SMALLEST <= abs(value) < _LARGEST:
        return _power(value, digits)
    if value == 0.0:
        return "0"
    return _fixed(value, max(0, digits - 1 - _magnitude(value, digits)))


def with_error(value: float, error: float, digits: int = 3) -> str:
    """Write a number and its error, both to the same decimal place.

    Examples
    --------
    >>> from ivimkit.rounding import with_error
    >>> with_error(1.1344, 0.0411), with_error(28.22, 38.64), with_error(3.0, float("nan"))
    ('1.134 ± 0.041', '28 ± 39', '3.00')
    """
    places = _places(value, error)
    if not math.isfinite(value) or places is None:
        return rounded(value, digits=digits)
    return f"{_fixed(value, places)} ± {_fixed(error, places)}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """Write the two ends of an interval, both to the decimal place given by its half width.

    Examples
    --------
    >>> from ivimkit.rounding import interval
    >>> interval(0.1234, 0.4567), interval(float("nan"), 1.0)
    ('0.123 to 0.457', '–')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return NONE
    # 95 % limits: one standard deviation is a quarter of the distance between them.
    error = (high - low) / 4.0
    return f"{rounded(low, error, digits)} to {rounded(high, error, digits)}"


def legible_error(error: float, *values: float) -> float:
    """Return an error by which numbers of this size are rounded to three digits at most.

    For sentences and first looks: nobody reads the full precision of a median of a thousand
    voxels.

    Examples
    --------
    >>> from ivimkit.rounding import legible_error, rounded
    >>> rounded(1.23456, legible_error(0.0003, 1.23456)), rounded(1.23456, legible_error(0.3, 1.2))
    ('1.23', '1.23')
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if not largest > 0.0:
        return error
    return max(error, 10.0 ** (math.floor(math.log10(largest)) - 1))


def spread(q25: float, q75: float) -> float:
    """Return the standard deviation of a normal distribution with these quartiles.

    Examples
    --------
    >>> from ivimkit.rounding import spread
    >>> round(spread(-0.6745, 0.6745), 3)
    1.0
    """
    return (q75 - q25) / 1.349


def probability(p: float) -> str:
    """Write a p-value to three decimal places, never as 0.

    Examples
    --------
    >>> from ivimkit.rounding import probability
    >>> probability(0.01234), probability(1e-9)
    ('0.012', '< 0.001')
    """
    if not math.isfinite(p):
        return NONE
    return "< 0.001" if p < 1e-3 else _fixed(p, 3)


def percent(share: float) -> str:
    """Write a share in per cent, to a tenth; never 0 unless it is 0, never 100 unless it is 1.

    Examples
    --------
    >>> from ivimkit.rounding import percent
    >>> percent(0.1234), percent(1e-5), percent(0.0), percent(0.99999)
    ('12.3 %', '< 0.1 %', '0.0 %', '> 99.9 %')
    """
    if not math.isfinite(share):
        return NONE
    if 0.0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1.0:
        return "> 99.9 %"
    return f"{_fixed(100 * share, 1)} %"


def change(ratio: float) -> str:
    """Write a ratio as the change in per cent; a dash if there is none.

    Examples
    --------
    >>> from ivimkit.rounding import change
    >>> change(1.25), change(0.8), change(1.0)
    ('+25 %', '−20 %', '0 %')
    """
    if not math.isfinite(ratio):
        return NONE
    size = round(100.0 * (ratio - 1.0))
    return _signed(f"{size:+d} %") if size else "0 %"


def thousands(n: float) -> str:
    r"""Write a count, with thin spaces between thousands.

    Examples
    --------
    >>> from ivimkit.rounding import thousands
    >>> thousands(1234567)
    '1\u202f234\u202f567'
    """
    return _fixed(n, 0)


def megabytes(n_bytes: float) -> str:
    r"""Write a size in memory or on disk, rounded up: ``'2\u202f000 MB'`` for 2e9 bytes.

    Examples
    --------
    >>> from ivimkit.rounding import megabytes
    >>> megabytes(2e9), megabytes(1)
    ('2\u202f000 MB', '1 MB')
    """
    return f"{thousands(math.ceil(n_bytes / 1e6))} MB"


def several(n: int, what: str) -> str:
    r"""Write a number of things, by the name of one of them.

    Examples
    --------
    >>> from ivimkit.rounding import several
    >>> several(1, "warning"), several(1234, "voxel")
    ('1 warning', '1\u202f234 voxels')
    """
    return f"{thousands(n)} {what}{'s' if n != 1 else ''}"


def times(shape: Sequence[int], what: str) -> str:
    """Write the numbers of things along some axes, by the name of one of them.

    Examples
    --------
    >>> from ivimkit.rounding import times
    >>> times((64, 48, 5), "voxel"), times((), "voxel")
    ('64 × 48 × 5 voxels', 'one voxel')
    """
    if math.prod(shape) == 1:
        return f"one {what}"
    return f"{' × '.join(map(str, shape))} {what}s"


def shown_unit(parameter: Parameter) -> str:
    """Return the unit in which the numbers of a parameter are shown; empty if they have none."""
    unit, _ = how_shown(parameter.unit)
    return unit


def shown_factor(parameter: Parameter) -> float:
    """Return shown number by stored value of a parameter, see `shown_unit`."""
    _, factor = how_shown(parameter.unit)
    return factor


def how_shown(unit: str) -> tuple[str, float]:
    """Return the unit that is shown for a stored one, and shown number by stored value.

    Examples
    --------
    >>> from ivimkit.rounding import how_shown
    >>> how_shown("mm^2/s")
    ('10⁻³ mm²/s', 1000.0)
    """
    return _SHOWN.get(unit, (unit.replace("^2", "²"), 1.0))


def after_number(parameter: Parameter) -> str:
    """Return the unit as it follows a number, with its space; empty without a unit.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.rounding import after_number
    >>> model = ik.models.get("biexp")
    >>> after_number(model["D"]), after_number(model["f"])
    (' ·10⁻³ mm²/s', '')
    """
    unit = shown_unit(parameter)
    return f" {'·' if unit.startswith('10') else ''}{unit}" if unit else ""


def unbroken(text: str) -> str:
    r"""Return a text whose lines do not break between a number and its unit, sign or symbol.

    For pages and figures, which break lines; in the terminal texts stay as they are.

    Examples
    --------
    >>> from ivimkit.rounding import unbroken
    >>> unbroken("D 0.82 (0.80 to 0.84) ·10⁻³ mm²/s at b = 800 s/mm², 26 % lower")
    'D\xa00.82 (0.80 to 0.84)\xa0·10⁻³\xa0mm²/s at b\xa0=\xa0800\xa0s/mm², 26\xa0% lower'
    """
    return _TIED.sub("\u00a0", text)


def in_unit(parameter: Parameter, value: float, error: float = math.nan, digits: int = 3) -> str:
    """Write a stored value as a number in the unit that is shown, see `shown_unit`.

    Examples
    --------
    >>> from ivimkit import models
    >>> from ivimkit.rounding import in_unit
    >>> in_unit(models.get("biexp").parameters[3], 1.2345e-3, 2e-5)
    '1.234'
    """
    factor = shown_factor(parameter)
    shown = value * factor
    if _has_a_scale(parameter) and error * factor < _ROUNDING_ERROR:
        error = math.nan
    if _has_a_scale(parameter) and 0.0 < abs(shown) < _SMALLEST and not error > 0.0:
        return "< 0.0001" if shown > 0 else "> −0.0001"
    return rounded(shown, error * factor, digits)


def plus_minus(parameter: Parameter, value: float, error: float, digits: int = 3) -> str:
    """Write a stored value and its error in the unit that is shown.

    Examples
    --------
    >>> from ivimkit import models
    >>> from ivimkit.rounding import plus_minus
    >>> plus_minus(models.get("biexp").parameters[3], 1.2345e-3, 2e-5)
    '1.234 ± 0.020'
    """
    factor = shown_factor(parameter)
    if not error > 0.0:
        return in_unit(parameter, value, digits=digits)
    return with_error(value * factor, error * factor, digits)


def limits(parameter: Parameter, low: float, high: float, digits: int = 3) -> str:
    """Write stored limits in the unit that is shown, never beyond the bounds of the parameter.

    Examples
    --------
    >>> from ivimkit import models
    >>> from ivimkit.rounding import limits
    >>> limits(models.get("biexp").parameters[1], -0.02, 0.404)
    '0.00 to 0.40'
    """
    factor = shown_factor(parameter)
    if not parameter.fixed:
        low, high = (
            min(max(end, parameter.lower), parameter.upper) if math.isfinite(end) else end
            for end in (low, high)
        )
    return interval(low * factor, high * factor, digits)


def _has_a_scale(parameter: Parameter) -> bool:
    """Return whether 0.0001 of the shown unit is negligible, as for a fraction and mm²/s."""
    return not parameter.unit.startswith("a.u.")


def _places(value: float, error: float) -> int | None:
    """Return how many decimal places an error allows; None if it does not determine them."""
    if not (math.isfinite(error) and error > 0.0) or abs(value) >= _LARGEST or error >= _LARGEST:
        return None
    places = max(0, _ERROR_DIGITS - 1 - _magnitude(error, _ERROR_DIGITS))
    size = value if math.isfinite(value) and value else error
    # A rounding error must not lead to sixteen digits.
    most = _MAX_DIGITS - 1 - _magnitude(size, _MAX_DIGITS)
    return places if places <= most else None


def _magnitude(value: float, digits: int) -> int:
    """Return the power of ten of a number that is rounded to some digits: 9.996 becomes 10."""
    return int(f"{abs(value):.{digits - 1}e}".partition("e")[2])


def _fixed(value: float, places: int) -> str:
    """Write a number with some decimal places, ties away from 0, as the page does."""
    if not math.isfinite(value):
        return NONE
    unit = Decimal(1).scaleb(-places)
    exact = Decimal(float(value)).quantize(unit, ROUND_HALF_UP, _CONTEXT)
    text = f"{abs(exact):,f}".replace(",", "\u202f")
    return f"−{text}" if exact < 0 else text


def _power(value: float, digits: int) -> str:
    number, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{_signed(number)}·10{str(int(exponent)).translate(_RAISED)}"


def _signed(text: str) -> str:
    return text.replace("-", "−")


_CONTEXT = Context(prec=400)
_TIED = re.compile(
    # A unit, or a sign, after a number or its limits.
    r"(?<=[\d)]) (?=·?10[⁻⁰¹²³⁴-⁹]|[%°×±])"
    r"|(?<=[\d⁰¹²³⁴-⁹]) (?=(?:s/mm²|mm²/s|mm[²³]?|cm|ml|ms|s|T|kB|MB|GB|a\.u\.)(?!\w))"
    # A number after a sign, which comes after a symbol, or after the symbol.
    r"|(?<=[=<>≤≥±×]) (?=[+−]?\d)"
    r"|(?<=[\w*]) (?=[=<>≤≥] [+−]?\d)"
    r"|(?<=\bADC) (?=[+−]?\d)|(?<=\b[DKf]) (?=[+−]?\d)|(?<=\bD\*) (?=[+−]?\d)"
)
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
