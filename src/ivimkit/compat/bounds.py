"""Bounds as other packages write them: checked for their unit, then bounds of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel

__all__ = ["bounded_model", "check_rate"]

# Up to here an upper bound is mm^2/s, from 1 on it is another unit. Between the widest range that
# is searched and 1 it stands for "no bound", as DIPY's 1.0 does.
_HIGHEST = {"D": 0.1, "D_star": 1.0}
_NO_BOUND = 1.0
# No tissue diffuses ten times more slowly than tissue; m^2/s and cm^2/s are far below.
_LOWEST = {"D": 1e-4, "D_star": 1e-3}
_TYPICAL = {"D": "1e-3 for tissue", "D_star": "1e-2 for blood"}


def check_rate(name: str, value: float, what: str) -> None:
    """Raise if a rate, or an upper bound of one, is in another unit than mm^2/s.

    Parameters
    ----------
    name : {"D", "D_star"}
        The rate.
    value : float
        What is given for it.
    what : str
        How to call it, for the message.

    Raises
    ------
    OptionError
        With the factor that would help.
    """
    if value > _NO_BOUND and math.isfinite(value):
        advice = f"divide by 1000 if it is in um^2/ms or 10^-3 mm^2/s: {value * 1e-3:g}"
    elif 0.0 < value < _LOWEST[name]:
        advice = f"multiply by 1e6 if it is in m^2/s ({value * 1e6:g}), by 100 if in cm^2/s"
    else:
        return
    raise OptionError(f"{what} is {value:g}; expected mm^2/s, about {_TYPICAL[name]}: {advice}")


def bounded_model(
    bounds: Mapping[str, tuple[float, float]], names: Mapping[str, str] | None = None
) -> SignalModel:
    """Return the bi-exponential model with bounds from elsewhere.

    Parameters
    ----------
    bounds : mapping of str to tuple of float
        Lower and upper bounds of S0, f, D_star and D, rates in mm^2/s. An upper bound of a rate
        that is infinite, or up to 1, but above what is searched (D 0.1, D* 1) stands for no
        bound and becomes the latter.
    names : mapping of str to str, optional
        What rates are called there, for messages.

    Returns
    -------
    SignalModel

    Raises
    ------
    OptionError
        For another unit, a wrong order, values that cannot be, or bounds that leave no D* > D.
    """
    used = {}
    for name, (lower, upper) in bounds.items():
        used[name] = (lower, upper)
        if name in _HIGHEST:
            called = name if names is None else names.get(name, name)
            check_rate(name, upper, f"the upper bound of {called}")
            used[name] = (lower, min(upper, _HIGHEST[name]))
    if used["D"][0] >= used["D_star"][1]:
        raise OptionError(
            f"the bounds have D from {used['D'][0]:g} and D* up to {used['D_star'][1]:g} mm^2/s; "
            "expected room for D* > D. Check their order"
        )
    return models.get("biexp").with_bounds(**used)
