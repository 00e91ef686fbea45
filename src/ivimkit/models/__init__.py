"""Signal models, one per file: the constant MODEL of a file in this folder.

Models of other packages are found by their entry points in the group ``ivimkit.models``; those of
a session are added by `register`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import DERIVED
from ivimkit.extend.plugin import PluginFolder
from ivimkit.extend.signal_model import SignalModel, maps_in_order
from ivimkit.parameter import Parameter

__all__ = ["from_file", "get", "names", "quantities", "register", "shown_maps", "unregister"]

_FOLDER: PluginFolder[SignalModel] = PluginFolder(
    __name__, __path__, "MODEL", SignalModel, "model"
)


def names() -> tuple[str, ...]:
    """Return the names of all models.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "biexp" in ik.models.names()
    True
    """
    return _FOLDER.names()


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
    return _FOLDER.get(name)


def register(model: SignalModel) -> None:
    """Make a model available by its name, for the rest of the session.

    A model need not be registered to be fitted: `ivimkit.fit` accepts the object. Once registered,
    it is found by its name, and results saved with it load with their equation.

    Parameters
    ----------
    model : SignalModel
        The model, whose name must be new.

    Raises
    ------
    OptionError
        If it is not a model, or its name is used by another one.

    Examples
    --------
    >>> import dataclasses
    >>> import ivimkit as ik
    >>> ik.models.register(dataclasses.replace(ik.models.get("biexp"), name="mine"))
    >>> "mine" in ik.models.names()
    True
    >>> ik.models.unregister("mine")
    """
    _FOLDER.register(model)


def unregister(name: str) -> None:
    """Remove a model that `register` added.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    OptionError
        If it was not registered.
    """
    _FOLDER.unregister(name)


def from_file(file: str | os.PathLike[str]) -> SignalModel:
    """Return the model that a Python file defines as its constant ``MODEL``.

    The file is executed: only use files that you trust.

    Parameters
    ----------
    file : path-like
        The file, e.g. ``"mine.py"``.

    Returns
    -------
    SignalModel

    Raises
    ------
    OptionError
        If there is no such file, it cannot be run, or it does not define a model.
    """
    model: SignalModel = _FOLDER.from_file(file)
    return model


def quantities() -> tuple[Parameter, ...]:
    """Return the descriptions of the parameters and products of all models, each name once.

    They describe numbers in a table or an array that does not come with a fit.

    Examples
    --------
    >>> import ivimkit as ik
    >>> {one.name: one.symbol for one in ik.models.quantities()}["D_star"]
    'D*'
    """
    derived = {parameter.name for parameter in DERIVED}
    every = (one for model in _that_load() for one in model.quantities)
    return tuple({one.name: one for one in every if one.name not in derived}.values())


def shown_maps() -> tuple[str, ...]:
    """Return the names of the maps of all models that figures and tables show, in their order.

    Examples
    --------
    >>> import ivimkit as ik
    >>> shown = ik.models.shown_maps()
    >>> [name for name in shown if name in ("f", "D", "D_star", "ADC", "fD_star")]
    ['ADC', 'D', 'f', 'D_star', 'fD_star']
    """
    every = tuple(_that_load())
    product_names = tuple(product.name for model in every for product in model.products)
    shown = {name for model in every for name in model.shown_maps}
    parameters = [one for one in quantities() if one.name in shown - set(product_names)]
    return tuple(dict.fromkeys((*maps_in_order(parameters), *product_names)))


def _that_load() -> Iterator[SignalModel]:
    """Yield all models, except those of other packages that cannot be imported."""
    for name in names():
        try:
            yield get(name)
        except OptionError:
            continue
