"""SignalModel: the parameters and the scalar kernel of one signal equation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError
from ivimkit.parameter import Parameter

__all__ = ["SignalModel", "TwoPools"]


@dataclass(frozen=True)
class TwoPools:
    """Which parameters of a model are the rates and the fraction of a sum of two decays.

    The signal is ``S0 [(1 - fraction) exp(-b slow) + fraction exp(-b fast)]``. ``fast=None``
    means that the fast pool is gone at the first b > 0, ``fraction=None`` that there is no
    fast pool at all.
    """

    slow: str
    fast: str | None = None
    fraction: str | None = None


@dataclass(frozen=True)
class SignalModel:
    """A signal equation with named, bounded parameters.

    Parameters
    ----------
    name : str
        Short name used in calls and files, e.g. ``"biexp"``.
    title : str
        Name for people, e.g. ``"bi-exponential IVIM"``.
    equation : str
        The equation as text.
    parameters : tuple of Parameter
        In the order of parameter arrays.
    kernel : callable
        Compiled scalar function ``kernel(b, p) -> (signal, (dS/dp_0, dS/dp_1, ...))``.
    pools : TwoPools or None
        Set if the model is a sum of at most two exponential decays.
    references : tuple of str
        Sources of the equation, each with its DOI.
    fixed_maps : mapping of str to ndarray
        Parameters fixed to a different value in every voxel, see `with_fixed`.
    variables : tuple of str
        The variables of the acquisition that the signal depends on, see
        `ivimkit.scan.variables`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> model = ik.models.get("biexp").with_bounds(D=(0, 3e-3))
    >>> model["D"].upper
    0.003
    """

    name: str
    title: str
    equation: str
    parameters: tuple[Parameter, ...]
    kernel: Callable[..., Any] = field(repr=False, compare=False)
    pools: TwoPools | None = None
    references: tuple[str, ...] = ()
    fixed_maps: Mapping[str, NDArray[np.float64]] = field(
        default_factory=dict, repr=False, compare=False
    )
    variables: tuple[str, ...] = ("b",)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def n_free(self) -> int:
        """Number of parameters that are not fixed."""
        return sum(not p.fixed and p.name not in self.fixed_maps for p in self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[self.index(name)]

    def index(self, name: str) -> int:
        """Return the position of parameter `name`.

        Raises
        ------
        OptionError
            If the model has no such parameter; the message lists those it has.
        """
        if name not in self.names:
            raise OptionError(
                f"model {self.name} has no parameter {name!r}; it has {', '.join(self.names)}"
            )
        return self.names.index(name)

    def with_bounds(self, **bounds: tuple[float, float]) -> SignalModel:
        """Return the model with other bounds; a parameter that was fixed is free again.

        Parameters
        ----------
        **bounds : tuple of float
            ``name=(lower, upper)`` in the parameter's unit. A start outside is moved inside.

        Returns
        -------
        SignalModel

        Raises
        ------
        OptionError
            For an unknown name, bounds out of order, or bounds outside what the parameter can be.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.models.get("biexp").with_bounds(f=(0, 0.5))["f"].upper
        0.5
        """
        model = self
        for name, pair in bounds.items():
            lower, upper = _pair(name, pair)
            self._check_range(name, lower, upper)
            old = self[name]
            start = min(max(old.start, lower), upper)
            maps = {key: m for key, m in model.fixed_maps.items() if key != name}
            free = replace(old, lower=lower, upper=upper, start=start)
            model = replace(model._replace(name, free), fixed_maps=maps)
        return model

    def with_fixed(self, **values: ArrayLike) -> SignalModel:
        """Return the model with parameters fixed, to a number or to a map.

        Parameters
        ----------
        **values : float or array_like
            ``name=value`` in the parameter's unit; an array has the shape of the scan's voxels,
            and voxels where it is not finite fail.

        Returns
        -------
        SignalModel

        Raises
        ------
        OptionError
            For an unknown name or a value outside what the parameter can be.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.models.get("biexp").with_fixed(D_star=0.02).n_free
        3
        """
        model = self
        for name, value in values.items():
            array = np.asarray(value, dtype=np.float64)
            finite = array[np.isfinite(array)]
            if finite.size == 0:
                raise OptionError(
                    f"{name} is fixed to {value!r}; expected a number or a map of them"
                )
            low, high = float(finite.min()), float(finite.max())
            self._check_range(name, low, high)
            start = float(np.median(finite))
            fixed = replace(self[name], lower=low, upper=high, start=start)
            maps = {key: m for key, m in model.fixed_maps.items() if key != name}
            if array.ndim:
                maps[name] = array
            model = replace(model._replace(name, fixed), fixed_maps=maps)
        return model

    def with_start(self, **starts: float) -> SignalModel:
        """Return the model with other starting values, for methods that use one.

        Parameters
        ----------
        **starts : float
            ``name=value`` in the parameter's unit. A value outside the bounds is moved inside.

        Returns
        -------
        SignalModel

        Raises
        ------
        OptionError
            For an unknown name, or a value that is not finite or was meant in another unit.
        """
        model = self
        for name, value in starts.items():
            if not math.isfinite(value):
                raise OptionError(f"start of {name} is {value}; expected a finite number")
            old = self[name]
            if value > old.start:
                old.check_unit(value)
            model = model._replace(
                name, replace(old, start=min(max(float(value), old.lower), old.upper))
            )
        return model

    def with_display(self, **ranges: tuple[float, float]) -> SignalModel:
        """Return the model with other ranges for figures, ``name=(low, high)``."""
        model = self
        for name, pair in ranges.items():
            model = model._replace(name, replace(self[name], display=_pair(name, pair)))
        return model

    def _replace(self, name: str, parameter: Parameter) -> SignalModel:
        index = self.index(name)
        parameters = (*self.parameters[:index], parameter, *self.parameters[index + 1 :])
        return replace(self, parameters=parameters)

    def _check_range(self, name: str, lower: float, upper: float) -> None:
        """Refuse values that the parameter cannot have: negative rates, fractions above 1."""
        unit = self[name].unit
        highest = 1.0 if unit == "" else math.inf
        if not 0.0 <= lower <= upper <= highest:
            raise OptionError(
                f"{name} is to be between {lower:g} and {upper:g}{' ' + unit if unit else ''}; "
                f"expected 0 <= lower <= upper <= {highest:g}"
            )
        self[name].check_unit(upper)


def _pair(name: str, pair: tuple[float, float]) -> tuple[float, float]:
    try:
        lower, upper = (float(value) for value in pair)
    except (TypeError, ValueError):
        raise OptionError(
            f"bounds of {name} are {pair!r}; expected a pair (lower, upper)"
        ) from None
    return lower, upper
