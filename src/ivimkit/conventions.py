"""conventions: definitions of D*, of the speed of blood and of f, and conversions between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError

__all__ = [
    "D_BLOOD",
    "D_STAR",
    "TURNS",
    "VELOCITY",
    "D_star_of_flow",
    "convert_D_star",
    "convert_velocity",
    "f_at_echo_time",
    "f_without_T2",
]

D_STAR: Mapping[str, str] = MappingProxyType(
    {
        "whole": "exp(-b D*)",
        "plus_D": "exp(-b (D* + D))",
        "plus_Db": "exp(-b (D* + Db))",
    }
)
"""Definitions of D* by name: the decay of the blood signal."""

D_BLOOD = 1.75e-3
"""Diffusion coefficient of blood itself, mm^2/s, as in Ahlgren 2016 and in ivim-mri."""

VELOCITY: Mapping[str, str] = MappingProxyType(
    {
        "rms": "exp(-c^2 v^2 / 6)",
        "along": "exp(-c^2 v^2 / 2)",
        "dispersion": "exp(-c^2 v^2)",
        "mean": "exp(-c^2 v^2 2 / 9)",
    }
)
"""Definitions of the speed of blood by name: what flow leaves of its signal, to second order in c.

``rms``: root mean square of the speed; ``along``: standard deviation of the velocity along the
gradient; ``dispersion``: the root of half its variance; ``mean``: mean speed in vessels of round
cross-section with laminar flow, where speeds are spread evenly from 0 to twice the mean.
"""

TURNS: Mapping[str, float] = MappingProxyType({"exponential": 3.0, "segments": 6.0})
"""Definitions of the correlation time by name, with n of D* = Db + v^2 tau / n.

``exponential``: the velocity is correlated as exp(-t / tau); ``segments``: blood flows straight
for a time tau, and then turns.
"""

# v of each definition by the root mean square of the speed, squared.
_SQUARE_BY_RMS = {"rms": 1.0, "along": 1.0 / 3.0, "dispersion": 1.0 / 6.0, "mean": 3.0 / 4.0}

# The signal of no capillary bed decays faster; in um^2/ms, or in 10^-3 mm^2/s, every D* is above.
_MAX_D_STAR = 2.0
# Below this, in ms, a T2 was meant in s.
_MIN_T2 = 1.0


def convert_D_star(
    D_star: ArrayLike,
    source: str,
    target: str = "whole",
    *,
    D: ArrayLike | None = None,
    D_blood: float = D_BLOOD,
) -> NDArray[np.float64]:
    """Convert D* from one definition to another.

    | name | decay of the blood | used by |
    |---|---|---|
    | ``whole`` | ``exp(-b D*)`` | ivimkit, DIPY, OSIPI's code collection, osipy, IVIM-NET |
    | ``plus_D`` | ``exp(-b (D* + D))`` | MITK, IVIM_tools: D* on top of the tissue's D |
    | ``plus_Db`` | ``exp(-b (D* + Db))`` | ivim-mri (nlls, bayes): on top of blood's diffusion |

    Parameters
    ----------
    D_star : array_like, shape (...)
        D* as `source` defines it, in mm^2/s; NaN stays NaN.
    source : {"whole", "plus_D", "plus_Db"}
        The definition of `D_star`, see `D_STAR`.
    target : {"whole", "plus_D", "plus_Db"}
        The definition to convert to.
    D : array_like, shape (...), optional
        Diffusion coefficient of the tissue, in mm^2/s; needed from or to ``"plus_D"``. Its shape
        is that of `D_star`, or broadcasts with it.
    D_blood : float
        Db, the diffusion coefficient of blood, in mm^2/s; used from or to ``"plus_Db"``. Measured
        values in blood samples: 0.9e-3 to 1.7e-3 (Funck 2018).

    Returns
    -------
    ndarray, shape (...)
        D* as `target` defines it, in mm^2/s.

    Raises
    ------
    OptionError
        For an unknown definition, values that are negative, infinite or in another unit, a
        missing D, or a result below 0: blood that decays more slowly than the rate that D* is
        added to.
    ShapeError
        If the shapes of `D_star` and `D` do not match.

    References
    ----------
    Le Bihan D et al. Radiology 1988;168:497-505. doi:10.1148/radiology.168.2.3393671
    Ahlgren A et al. NMR Biomed 2016;29:640-649. doi:10.1002/nbm.3505
    Funck C et al. Magn Reson Med 2018;79:2752-2758. doi:10.1002/mrm.26919

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> D_star, D = np.array([0.019, 0.049]), np.array([0.001, 0.001])
    >>> ik.conventions.convert_D_star(D_star, "plus_D", D=D)
    array([0.02, 0.05])
    >>> ik.conventions.convert_D_star([0.02], "whole", "plus_Db")
    array([0.01825])
    """
    for role, name in (("source", source), ("target", target)):
        if name not in D_STAR:
            listed = ", ".join(f"{key} ({decay})" for key, decay in D_STAR.items())
            raise OptionError(f"{role} is {name!r}; expected one of {listed}")
    values = _rates("D_star", D_star)
    if not (math.isfinite(D_blood) and 0.0 <= D_blood < 0.01):
        raise OptionError(
            f"D_blood is {D_blood!r}; expected mm^2/s, about {D_BLOOD:g} for blood at 37 C"
        )
    added = {"whole": np.asarray(0.0), "plus_Db": np.asarray(D_blood)}
    if "plus_D" in (source, target):
        if D is None:
            raise OptionError("D is missing; definition plus_D adds D* to the tissue's D. Pass D=")
        added["plus_D"] = _rates("D", D)
    try:
        converted = np.asarray(values + added[source] - added[target])
    except ValueError:
        raise ShapeError(
            f"D_star has shape {values.shape} and D {added['plus_D'].shape}; expected the same, "
            "or one value of D"
        ) from None
    below = converted < 0.0
    if below.any():
        raise OptionError(
            f"{np.count_nonzero(below)} of {converted.size} values of D* would be negative "
            f"(lowest {converted[below].min():g} mm^2/s) as {target}: their blood decays more "
            "slowly than the rate D* is added to. Check the source, swap compartments with D* < D "
            "(and f with 1 - f), or set the values to NaN"
        )
    return converted


def _rates(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return rates as an array after checking their sign and unit."""
    try:
        rates = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"{name} is {str(values)[:60]!r}; expected numbers in mm^2/s") from None
    bad = (rates < 0.0) | np.isinf(rates)
    if bad.any():
        raise OptionError(
            f"{np.count_nonzero(bad)} of {rates.size} values of {name} are negative or infinite; "
            "expected mm^2/s, >= 0. Set voxels without a value to NaN"
        )
    known = rates[~np.isnan(rates)]
    if known.size and np.median(known) > _MAX_D_STAR:
        raise OptionError(
            f"{name} is {np.median(known):g} in the median; expected mm^2/s, at most "
            f"{_MAX_D_STAR:g}. Divide by 1000 if it is in um^2/ms or 10^-3 mm^2/s"
        )
    return rates


def convert_velocity(v: ArrayLike, source: str, target: str = "rms") -> NDArray[np.float64]:
    """Convert the speed of blood from one definition to another.

    | name | signal of flowing blood | used by |
    |---|---|---|
    | ``rms`` | ``exp(-c^2 v^2 / 6)`` | ivimkit; the documentation of ivim-mri |
    | ``along`` | ``exp(-c^2 v^2 / 2)`` | standard deviation of one component of the velocity |
    | ``dispersion`` | ``exp(-c^2 v^2)`` | the parameter ``vd`` of ivim-mri |
    | ``mean`` | ``exp(-c^2 v^2 2 / 9)`` | Wetscherek 2015: laminar flow of mean speed v |

    Parameters
    ----------
    v : array_like, shape (...)
        The speed as `source` defines it, in mm/s; NaN stays NaN.
    source : {"rms", "along", "dispersion", "mean"}
        The definition of `v`, see `VELOCITY`.
    target : {"rms", "along", "dispersion", "mean"}
        The definition to convert to.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    OptionError
        For an unknown definition, or speeds that are negative or not numbers.

    References
    ----------
    Wetscherek A, Stieltjes B, Laun FB. Flow-compensated intravoxel incoherent motion diffusion
    imaging. Magn Reson Med 2015;74:410-419. doi:10.1002/mrm.25410

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.conventions.convert_velocity([1.0, 2.0], "dispersion").round(3)
    array([2.449, 4.899])
    """
    for role, name in (("source", source), ("target", target)):
        if name not in VELOCITY:
            listed = ", ".join(f"{key} ({signal})" for key, signal in VELOCITY.items())
            raise OptionError(f"{role} is {name!r}; expected one of {listed}")
    values = _positive("v", v, "mm/s")
    return np.asarray(values * math.sqrt(_SQUARE_BY_RMS[target] / _SQUARE_BY_RMS[source]))


def D_star_of_flow(
    v: ArrayLike, tau: ArrayLike, turns: str = "exponential", *, D_blood: float = D_BLOOD
) -> NDArray[np.float64]:
    """Return the D* that flowing blood has when the gradients are much longer than tau.

    | turns | D* | used by |
    |---|---|---|
    | ``exponential`` | ``Db + v^2 tau / 3`` | ivimkit, ivim-mri |
    | ``segments`` | ``Db + v^2 tau / 6`` | Le Bihan 1988, Wetscherek 2015 |

    A segment that lasts tau has the same D* as a correlation time of tau / 2.

    Parameters
    ----------
    v : array_like, shape (...)
        Root mean square of the speed, mm/s, see `convert_velocity`.
    tau : array_like, shape (...)
        Time after which blood turns, ms.
    turns : {"exponential", "segments"}
        The definition of `tau`, see `TURNS`.
    D_blood : float
        Db, the diffusion coefficient of blood, mm^2/s; 0 for a D* without it.

    Returns
    -------
    ndarray, shape (...)
        D* as the whole rate of decay, mm^2/s.

    Raises
    ------
    OptionError
        For an unknown definition, or values that are negative or not numbers.

    Examples
    --------
    >>> import ivimkit as ik
    >>> float(ik.conventions.D_star_of_flow(2.0, 30.0).round(5))
    0.04175
    >>> float(ik.conventions.D_star_of_flow(2.0, 60.0, "segments").round(5))
    0.04175
    """
    if turns not in TURNS:
        raise OptionError(f"turns is {turns!r}; expected one of {', '.join(TURNS)}")
    speed, time = _positive("v", v, "mm/s"), 1e-3 * _positive("tau", tau, "ms")
    return np.asarray(D_blood + speed**2 * time / TURNS[turns])


def f_without_T2(
    f: ArrayLike, *, echo_time: float, T2_blood: ArrayLike, T2_tissue: ArrayLike
) -> NDArray[np.float64]:
    """Return the f that a fit without T2 would give at an echo time of 0.

    Tissue has a shorter T2 than blood, so that the f of a scan at one echo time grows with it:
    ``f(TE) = f exp(-TE/T2b) / (f exp(-TE/T2b) + (1 - f) exp(-TE/T2t))``. This is the inverse. It
    gives the f of model ``biexp_t2`` with both T2 fixed at the same values.

    Parameters
    ----------
    f : array_like, shape (...)
        The perfusion fraction of a fit that ignores T2; NaN stays NaN.
    echo_time : float
        Echo time of the scan, ms.
    T2_blood, T2_tissue : array_like, shape (...)
        Assumed T2, ms: numbers, or maps.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    OptionError
        If f is not between 0 and 1, or a time is not positive.

    References
    ----------
    Jerome NP et al. Extended T2-IVIM model for correction of TE dependence of pseudo-diffusion
    volume fraction in clinical diffusion-weighted magnetic resonance imaging. Phys Med Biol
    2016;61:N667-N680. doi:10.1088/1361-6560/61/24/N667

    Examples
    --------
    >>> import ivimkit as ik
    >>> times = {"echo_time": 60, "T2_blood": 160, "T2_tissue": 40}
    >>> ik.conventions.f_without_T2([0.25, 0.4], **times).round(3)
    array([0.098, 0.178])
    """
    return _weighted_f(f, echo_time, T2_blood, T2_tissue, sign=-1.0)


def f_at_echo_time(
    f: ArrayLike, *, echo_time: float, T2_blood: ArrayLike, T2_tissue: ArrayLike
) -> NDArray[np.float64]:
    """Return the f that a fit without T2 gives at an echo time, from that at an echo time of 0.

    Parameters
    ----------
    f : array_like, shape (...)
        The perfusion fraction at an echo time of 0, such as that of model ``biexp_t2``.
    echo_time : float
        Echo time, ms.
    T2_blood, T2_tissue : array_like, shape (...)
        T2, ms: numbers, or maps.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    OptionError
        If f is not between 0 and 1, or a time is not positive.

    Examples
    --------
    >>> import ivimkit as ik
    >>> times = {"echo_time": 60, "T2_blood": 160, "T2_tissue": 40}
    >>> ik.conventions.f_at_echo_time(ik.conventions.f_without_T2(0.25, **times), **times)
    array(0.25)
    """
    return _weighted_f(f, echo_time, T2_blood, T2_tissue, sign=1.0)


def _weighted_f(
    f: ArrayLike, echo_time: float, T2_blood: ArrayLike, T2_tissue: ArrayLike, *, sign: float
) -> NDArray[np.float64]:
    """Return f with the weights of T2 put on (sign 1) or taken off (-1)."""
    share = _positive("f", f, "shares")
    if (share > 1.0).any():
        raise OptionError(
            f"f is up to {np.nanmax(share):g}; expected shares between 0 and 1. Divide by 100 if "
            "it is in percent"
        )
    te = _positive("echo_time", echo_time, "ms")
    blood, tissue = (
        _positive(name, value, "ms", least=_MIN_T2)
        for name, value in (("T2_blood", T2_blood), ("T2_tissue", T2_tissue))
    )
    try:
        ratio = np.exp(sign * te * (1.0 / tissue - 1.0 / blood))
        return np.asarray(share * ratio / (share * ratio + (1.0 - share)))
    except ValueError:
        raise ShapeError(
            f"f has shape {share.shape}, T2_blood {blood.shape} and T2_tissue {tissue.shape}; "
            "expected the same, or one value of T2"
        ) from None


def _positive(
    name: str, values: ArrayLike, unit: str, *, least: float = 0.0
) -> NDArray[np.float64]:
    """Return numbers as an array after checking their sign."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"{name} is {str(values)[:60]!r}; expected numbers, {unit}") from None
    bad = (numbers < least) | np.isinf(numbers)
    if bad.any():
        raise OptionError(
            f"{np.count_nonzero(bad)} of {numbers.size} values of {name} are below {least:g} or "
            f"infinite; expected {unit}, at least {least:g}"
        )
    return numbers
