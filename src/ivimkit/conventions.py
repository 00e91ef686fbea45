"""conventions: the definitions of D*, and the conversion between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError

__all__ = ["D_BLOOD", "D_STAR", "convert_D_star"]

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

# The signal of no capillary bed decays faster; in um^2/ms, or in 10^-3 mm^2/s, every D* is above.
_MAX_D_STAR = 2.0


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
