"""Signal models, one file each. A file in this folder with a constant MODEL is a model."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel

__all__ = ["get", "names"]


def names() -> tuple[str, ...]:
    """Return the names of all models.

    Examples
    --------
    >>> import ivimkit as ik
    >>> "biexp" in ik.models.names()
    True
    """
    return tuple(sorted(module.name for module in iter_modules(__path__)))


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
