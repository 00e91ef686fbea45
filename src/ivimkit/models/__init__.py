"""Signal models, one file each. A file in this folder with a constant MODEL is a model."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import DERIVED
from ivimkit.extend.signal_model import SignalModel, maps_in_order
from ivimkit.parameter import Parameter

__all__ = ["get", "names", "quantities", "shown_maps"]


def names() -> tuple[str, ...]:
    """Return the names of all models.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "biexp" in ik.models.names()
    True
    """
    found = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def get(name: str | SignalModel) -> SignalModel:
    """Return a model by its name; a model is returned as it is.

    Parameters
    ----------
    name : str or SignalModel
        One of `names`.

    Returns
    -------
    SignalModel

    Raises
    ------
    OptionError
        For an unknown name; the message lists all models.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.models.get("biexp").names
    ('S0', 'f', 'D_star', 'D')
    """
    if isinstance(name, SignalModel):
        return name
    if name not in names():
        raise OptionError(f"unknown model {name!r}; there are {', '.join(names())}")
    model: SignalModel = import_module(f"{__name__}.{name}").MODEL
    return model


def quantities() -> tuple[Parameter, ...]:
    """Return the descriptions of the parameters and products of all models, each name once.

    Numbers in a table or an array are described by them where no fit is known.

    Examples
    --------
    >>> import ivimkit as ik
    >>> {one.name: one.symbol for one in ik.models.quantities()}["D_star"]
    'D*'
    """
    beside = {parameter.name for parameter in DERIVED}
    every = (one for name in names() for one in get(name).quantities)
    return tuple({one.name: one for one in every if one.name not in beside}.values())


def shown_maps() -> tuple[str, ...]:
    """Return the names of the maps of all models that figures and tables show, in their order.

    Examples
    --------
    >>> import ivimkit as ik
    >>> shown = ik.models.shown_maps()
    >>> [name for name in shown if name in ("f", "D", "D_star", "ADC", "fD_star")]
    ['ADC', 'D', 'f', 'D_star', 'fD_star']
    """
    products = (product.name for name in names() for product in get(name).products)
    beside = {parameter.name for parameter in DERIVED}
    parameters = [one for one in quantities() if one.name not in beside]
    return tuple(dict.fromkeys((*maps_in_order(parameters), *products)))
