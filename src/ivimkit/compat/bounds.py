"""Bounds in the format of other packages: their unit is checked, then the model gets them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ivimkit import models
from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel

__all__ = ["bounded_model", "check_rate"]

# Up to this, an upper bound is in mm^2/s; above 1 it is in another unit. In between it means "no
# bound", like DIPY's 1.0.
_MAX_RATE = {"D": 0.1, "D_star": 1.0}
_NO_BOUND = 1.0
# Ten times below the slowest diffusion in tissue; values in m^2/s and cm^2/s are far below.
_MIN_RATE = {"D": 1e-4, "D_star": 1e-3}
_TYPICAL = {"D": "1e-3 for tissue", "D_star": "1e-2 for blood"}


def check_rate(name: str, value: float, what: str) -> None:
    """Raise if a rate, or an upper bound of one, is in another unit than mm^2/s.

    Parameters
    ----------
    name : {"D", "D_star"}
        The rate.
    value : float
        Its value.
    what : str
        Its name in the message.

    Raises
    ------
    OptionError
        The message gives the factor to convert with.
    """
    if value > _NO_BOUND and math.isfinite(value):
        advice = f"divide by 1000 if it is in um^2/ms or 10^-3 mm^2/s: {value * 1e-3:g}"
    elif 0.0 < value < _MIN_RATE[name]:
        advice = f"multiply by 1e6 if it is in m^2/s ({value * 1e6:g}), by 100 if in cm^2/s"
    else:
        return
    raise OptionError(f"{what} is {value:g}; expected mm^2/s, about {_TYPICAL[name]}: {advice}")


def bounded_model(
    bounds: Mapping[str, tuple[float, float]], names: Mapping[str, str] | None = None
) -> SignalModel:
    """Return the bi-exponential model with bounds from another package.

    Parameters
    ----------
    bounds : mapping of str to tuple of float
        Lower and upper bounds of S0, f, D_star and D, rates in mm^2/s. An upper bound of a rate
        that is infinite, or at most 1 but above the searched range (D 0.1, D* 1), means no bound
        and becomes the latter.
    names : mapping of str to str, optional
        The package's names of the rates, for messages.

    Returns
    -------
    SignalModel

    Raises
    ------
    OptionError
        For another unit, a wrong order, impossible values, or bounds that leave no room for D* >
        D.
    """
    used = {}
    for name, (lower, upper) in bounds.items():
        used[name] = (lower, upper)
        if name in _MAX_RATE:
            called = name if names is None else names.get(name, name)
            check_rate(name, upper, f"the upper bound of {called}")
            used[name] = (lower, min(upper, _MAX_RATE[name]))
    if used["D"][0] >= used["D_star"][1]:
        raise OptionError(
            f"the bounds have D from {used['D'][0]:g} and D* up to {used['D_star'][1]:g} mm^2/s; "
            "expected room for D* > D. Check their order"
        )
    return models.get("biexp").with_bounds(**used)
