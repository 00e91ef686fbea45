"""SignalModel: a signal equation, declared by its compartments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import organs
from ivimkit.errors import OptionError
from ivimkit.extend.b_value_advice import sentences
from ivimkit.extend.compartment import Compartment, Derived, Product
from ivimkit.kernels.separable.atoms import decay, instant
from ivimkit.kernels.separable.structure import Structure
from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import MAX_PARAMETERS, UNSEEN_REFERENCE, UNSEEN_SHARES, Unseen

__all__ = ["S0", "SignalModel", "TwoDecays", "maps_in_order"]

S0 = Parameter(
    "S0", "S0", "a.u.", 0.0, math.inf, 1.0, description="signal at b = 0", role="signal"
)
"""The first parameter of every model."""

# The order in which maps are shown, by role. Those of the first line are well determined in most
# voxels; few b-values are sensitive to blood.
_ROBUST = ("diffusion", "shape", "fraction", "time")
_SHOWN = (*_ROBUST, "perfusion", "other")


Advise = Callable[["SignalModel", Acquisition], Iterable[str]]
"""Yields reasons why a scan is a poor choice for a model."""


class TwoDecays(NamedTuple):
    """The parameters of a model that is a sum of at most two exponential decays of b.

    The signal is ``S0 [(1 - fraction) exp(-b slow) + fraction exp(-b fast)]``. ``fast=None``
    means that the fast compartment has no signal at b > 0, ``fraction=None`` that the model has
    one decay only.
    """

    slow: str
    fast: str | None = None
    fraction: str | None = None


@dataclass(frozen=True, repr=False)
class SignalModel:
    """A signal equation with named, bounded parameters.

    The signal is ``S0 (f_1 atom_1 + f_2 atom_2 + ...)``: a model is a list of compartments, whose
    fractions add up to 1. The parameters are S0 and then those of one compartment after the
    other: its fraction, and those of its atom.

    Parameters
    ----------
    name : str
        Short name used in calls and files, e.g. ``"biexp"``.
    title : str
        Name in texts and tables, e.g. ``"bi-exponential IVIM"``.
    equation : str
        The equation as text.
    compartments : tuple of Compartment
        The last one is the reference: it has the remainder of S0 instead of a fraction. For a
        model that was loaded from a file without its equation they have no atoms, or there are
        none.
    ascending : tuple of pairs of str
        Pairs of parameters of two compartments, the second of which is the larger one, e.g.
        ``(("D", "D_star"),)``.
    products : tuple of Product
        Further maps, e.g. f D*.
    derived : tuple of Derived
        Further maps that are functions of several parameters.
    special_cases : mapping of str to mapping
        Names of simpler models, and the values at which parameters of this one give them, e.g.
        ``{"biexp": {"K": 0.0}}``; an infinite value is a limit. F-tests compare such models.
    references : tuple of str
        Sources of the equation, each with its DOI.
    b_needed : float
        The highest b-value that is needed at least, in s/mm^2.
    b_valid : float
        Up to this b-value the equation describes tissue, in s/mm^2.
    advise : callable, optional
        ``advise(model, acquisition)`` yields sentences: reasons why a scan is a poor choice for
        the model, in addition to those that its b-values give.
    directions_needed : int
        Number of different gradient directions that are needed at least.
    fixed_maps : mapping of str to ndarray
        Parameters fixed to a different value in every voxel, see `with_fixed`.
    parameters : tuple of Parameter
        In the order of parameter arrays; by default S0 and those of the compartments.

    Raises
    ------
    OptionError
        If the compartments do not form a model, e.g. if two parameters have the same name.

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
    compartments: tuple[Compartment, ...] = field(default=(), compare=False)
    ascending: tuple[tuple[str, str], ...] = ()
    products: tuple[Product, ...] = ()
    derived: tuple[Derived, ...] = ()
    special_cases: Mapping[str, Mapping[str, float]] = field(default_factory=dict, compare=False)
    references: tuple[str, ...] = ()
    b_needed: float = field(default=0.0, compare=False)
    b_valid: float = field(default=math.inf, compare=False)
    advise: Advise | None = field(default=None, compare=False)
    directions_needed: int = field(default=0, compare=False)
    fixed_maps: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, compare=False)
    parameters: tuple[Parameter, ...] = ()

    def __repr__(self) -> str:
        """Return the name and the bounds."""
        bounds = (
            f"{p.name} = {p.lower:g}" if p.fixed else f"{p.name} {p.lower:g} to {p.upper:g}"
            for p in self.parameters
        )
        maps = (f"{name} by a map" for name in self.fixed_maps)
        return f"<SignalModel {self.name}: {', '.join([*bounds, *maps])}>"

    def __post_init__(self) -> None:
        if not self.parameters:
            object.__setattr__(self, "parameters", (S0, *_of(self.compartments)))
        self._check()

    def _check(self) -> None:
        """Refuse compartments that do not form a model."""
        names = [parameter.name for parameter in self.parameters]
        if len(names) > MAX_PARAMETERS:
            raise OptionError(
                f"model {self.name} has {len(names)} parameters; expected up to {MAX_PARAMETERS}, "
                "as a status has two bits for each"
            )
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise OptionError(
                f"model {self.name} has two parameters {twice[0]!r}; expected different names"
            )
        for compartment in self.compartments[:-1]:
            if compartment.fraction is None:
                raise OptionError(
                    f"compartment {compartment.name} of model {self.name} has no fraction; "
                    "expected one for every compartment but the last, the reference"
                )
        if self.compartments and self.compartments[-1].fraction is not None:
            raise OptionError(
                f"the last compartment of model {self.name}, {self.compartments[-1].name}, has a "
                "fraction; expected none, as it has what the others leave"
            )
        named = (*(n for pair in self.ascending for n in pair), *self._named_elsewhere())
        for name in named:
            if name not in names:
                raise OptionError(
                    f"model {self.name} names a parameter {name!r} that it does not have; it has "
                    f"{', '.join(names)}"
                )

    def _named_elsewhere(self) -> tuple[str, ...]:
        factors = [
            *(name for product in self.products for name in product.factors),
            *(name for derived in self.derived for name in derived.factors),
        ]
        fixed = (name for values in self.special_cases.values() for name in values)
        return (*factors, *fixed)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Columns of the acquisition that the signal depends on, b first."""
        every = (name for c in self.compartments for name in c.variables)
        return tuple(dict.fromkeys(("b", *every)))

    @property
    def has_equation(self) -> bool:
        """Whether the signal can be computed; not for a model loaded without its equation."""
        atoms = [compartment.atom for compartment in self.compartments]
        return bool(atoms) and None not in atoms

    @property
    def structure(self) -> Structure:
        """The description of the model for kernels, the same for any bounds.

        Raises
        ------
        OptionError
            If the model was loaded without its equation.
        """
        if not self.has_equation:
            raise OptionError(
                f"the equation of model {self.name} is not known: it is not one of ivimkit's "
                "models, and a saved result does not contain it; expected the model itself. Use "
                "the maps, or give the model that was fitted (--model)",
                python="Pass model=, to load_result or to predict",
            )
        # From the declaration: bounds change from fit to fit, and the code must not.
        shapes = [p for c in self.compartments for p in c.parameters]
        place = {parameter.name: k for k, parameter in enumerate(shapes)}
        return Structure(
            parts=tuple(c.part(self.variables) for c in self.compartments),
            logarithmic=tuple(p.scale == "log" for p in shapes),
            typical=tuple(p.usual for p in shapes),
            least=tuple(p.least for p in shapes),
            most=tuple(p.most for p in shapes),
            ascending=tuple((place[a], place[b]) for a, b in self.ascending),
        )

    @property
    def kernel(self) -> Callable[..., Any]:
        """Compiled ``kernel(x, j, p) -> (signal, (dS/dp_0, dS/dp_1, ...))``.

        `x` has a row for each of `variables` and a column for each measurement, `j` is the number
        of a measurement, and `p` are the parameters in their order.
        """
        return self.structure.kernel

    def two_decays(self) -> TwoDecays | None:
        """Return which parameters are the rates and the fraction of a sum of two decays of b.

        Returns
        -------
        TwoDecays or None
            None if the signal is not a sum of one or two exponential decays, the faster of which
            may have no signal at b > 0.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.models.get("biexp").two_decays()
        TwoDecays(slow='D', fast='D_star', fraction='f')
        """
        return self._two_decays

    @cached_property
    def _two_decays(self) -> TwoDecays | None:
        if not 1 <= len(self.compartments) <= 2 or self.variables != ("b",):
            return None
        *before, reference = self.compartments
        if reference.atom is not decay:
            return None
        slow = reference.parameters[0].name
        if not before:
            return TwoDecays(slow)
        first = before[0]
        assert first.fraction is not None
        if first.atom is instant:
            return TwoDecays(slow, None, first.fraction.name)
        fast = first.parameters[0].name if first.parameters else ""
        if first.atom is not decay or (slow, fast) not in self.ascending:
            return None
        return TwoDecays(slow, fast, first.fraction.name)

    @property
    def is_two_decays(self) -> bool:
        """Whether the signal is a sum of two decays of b, neither of which is instant.

        Kurtosis, or one decay, can be mistaken for it.
        """
        decays = self.two_decays()
        return decays is not None and decays.fast is not None

    def advice(self, acquisition: Acquisition) -> list[str]:
        """Return reasons why the b-values of a scan, and others, are a poor choice for the model.

        Parameters
        ----------
        acquisition : Acquisition
            The b-values and other variables.

        Returns
        -------
        list of str
            One sentence each; empty if they are suitable.

        Examples
        --------
        >>> import ivimkit as ik
        >>> good = ik.Acquisition([0, 10, 20, 40, 80, 200, 400, 800])
        >>> ik.models.get("biexp").advice(good)
        []
        """
        further = () if self.advise is None else self.advise(self, acquisition)
        return [*sentences(self, acquisition), *further]

    def compartment_of(self, name: str) -> Compartment | None:
        """Return the compartment that a parameter belongs to; None for S0 and other maps."""
        for compartment in self.compartments:
            own = (*compartment.parameters, compartment.fraction)
            if any(parameter is not None and parameter.name == name for parameter in own):
                return compartment
        return None

    @property
    def fractions(self) -> tuple[str, ...]:
        """Names of the fractions, compartment by compartment."""
        return tuple(c.fraction.name for c in self.compartments if c.fraction is not None)

    def components(self, params: Sequence[float]) -> dict[str, list[float]]:
        """Split a voxel into its compartments.

        Parameters
        ----------
        params : sequence of float
            The parameters of the voxel.

        Returns
        -------
        dict of str to list of float
            For each compartment the parameters with which the model gives the signal of that
            compartment alone: its share of S0, with a fraction of 1. Empty for a model with one
            compartment.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.models.get("biexp").components([100.0, 0.25, 0.02, 1e-3])
        {'blood': [25.0, 1.0, 0.02, 0.001], 'tissue': [75.0, 0.0, 0.02, 0.001]}
        """
        if len(self.compartments) < 2:
            return {}
        places = [self.index(name) for name in self.fractions]
        found = {}
        for k, compartment in enumerate(self.compartments):
            alone = [float(value) for value in params]
            shares = [alone[place] for place in places]
            for n, place in enumerate(places):
                alone[place] = 1.0 if n == k else 0.0
            alone[0] *= shares[k] if k < len(shares) else 1.0 - sum(shares)
            found[compartment.name] = alone
        return found

    @property
    def unseen(self) -> tuple[Unseen, ...]:
        """Flags of compartments that are not distinguishable from 0, and their meaning.

        A compartment has one if it has shape parameters, which then are not identifiable.
        """
        if len(self.compartments) < 2:
            return ()
        found = []
        every = tuple(self[name].symbol for name in self.fractions)
        for k, compartment in enumerate(self.compartments):
            shapes = tuple(p.symbol for p in compartment.parameters if p.role != "orientation")
            reference = compartment.fraction is None
            if shapes and (reference or k < len(UNSEEN_SHARES)):
                flag = UNSEEN_REFERENCE if reference else UNSEEN_SHARES[k]
                shares = every if reference else (every[k],)
                found.append(Unseen(flag, compartment.name, compartment.signal, shares, shapes))
        return tuple(found)

    def unseen_flag(self, name: str) -> int:
        """Return the flag of voxels in which the data do not determine a map; 0 if it has none.

        Parameters
        ----------
        name : str
            Name of a map.
        """
        compartment = self.compartment_of(name)
        if compartment is None or name in self.fractions:
            return 0
        return next((u.flag for u in self.unseen if u.compartment == compartment.name), 0)

    @property
    def quantities(self) -> tuple[Parameter, ...]:
        """Descriptions of the parameters, the products and the other derived maps."""
        products = (product.parameter for product in self.products)
        return (
            *self.parameters,
            *products,
            *(one for group in self.derived for one in group.maps),
        )

    @property
    def further_maps(self) -> tuple[str, ...]:
        """Names of the products and the other derived maps.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.models.get("tensor").further_maps
        ('fD_star', 'FA', 'L1', 'L2', 'L3', 'V1x', 'V1y', 'V1z')
        """
        return tuple(one.name for one in self.quantities[len(self.parameters) :])

    @property
    def shown_maps(self) -> tuple[str, ...]:
        """Names of the maps that figures and tables show, in their order.

        The ADC comes first, then parameters of tissue, fractions, parameters of blood and
        products. S0 is not included.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.models.get("biexp").shown_maps
        ('ADC', 'D', 'f', 'D_star', 'fD_star')
        """
        return (*self._ordered(_SHOWN), *(product.name for product in self.products))

    @property
    def parameter_maps(self) -> tuple[str, ...]:
        """The same without products: parameters, and derived maps that are shown like them."""
        return self._ordered(_SHOWN)

    @property
    def robust_maps(self) -> tuple[str, ...]:
        """The maps that are well determined in most voxels: the ADC and those not about blood.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.models.get("biexp").robust_maps
        ('ADC', 'D', 'f')
        """
        return self._ordered(_ROBUST)

    def _ordered(self, roles: Sequence[str]) -> tuple[str, ...]:
        shown = [one for group in self.derived for one in group.maps if one.name in group.shown]
        return maps_in_order((*self.parameters, *shown), roles)

    @cached_property
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
            For an unknown name, bounds out of order, or bounds that are impossible for it.

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
            For an unknown name or a value that is impossible for the parameter.

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
            For an unknown name, or a value that is not finite or is in another unit.
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

    def for_organ(self, organ: str) -> SignalModel:
        """Return the model with the values of an organ preset.

        Starting values and display ranges, and the split between two compartments of blood, for
        those parameters of the model that the preset knows.

        Parameters
        ----------
        organ : str
            One of `ivimkit.organs.names`.

        Returns
        -------
        SignalModel

        Raises
        ------
        OptionError
            If there is no such organ; the message lists the available ones.

        Examples
        --------
        >>> import ivimkit as ik
        >>> liver = ik.models.get("triexp").for_organ("liver")
        >>> (liver["D_inter"].lower, liver["D_inter"].upper), liver["D"].start
        ((0.005, 0.1), 0.0011)
        """
        preset = organs.get(organ)
        model = self
        for own in self.parameters:
            if own.name in preset.bounds:
                model = model.with_bounds(**{own.name: preset.bounds[own.name]})
            value = preset.value(own.name, own.like)
            if value is not None:
                model = model.with_start(**{own.name: value})
            shown = preset.display.get(own.name, preset.display.get(own.like))
            if shown is not None:
                model = model.with_display(**{own.name: shown})
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
        parameter = self[name]
        least, most, unit = parameter.least, parameter.most, parameter.unit
        if not least <= lower <= upper <= most:
            raise OptionError(
                f"{name} is to be between {lower:g} and {upper:g}{' ' + unit if unit else ''}; "
                f"expected {least:g} <= lower <= upper <= {most:g}"
            )
        parameter.check_unit(upper)


def maps_in_order(
    parameters: Sequence[Parameter], roles: Sequence[str] = _SHOWN
) -> tuple[str, ...]:
    """Return the names of maps in the order in which they are shown, the ADC first.

    Parameters
    ----------
    parameters : sequence of Parameter
        In the order of a model.
    roles : sequence of str
        Which roles, in their order.
    """
    found = ["ADC"]
    for role in roles:
        found += [parameter.name for parameter in parameters if parameter.role == role]
    return tuple(dict.fromkeys(found))


def _of(compartments: Sequence[Compartment]) -> tuple[Parameter, ...]:
    """Return the parameters of compartments, in the order of parameter arrays."""
    found: list[Parameter] = []
    for compartment in compartments:
        found += [compartment.fraction] if compartment.fraction is not None else []
        found += compartment.parameters
    return tuple(found)


def _pair(name: str, pair: tuple[float, float]) -> tuple[float, float]:
    try:
        lower, upper = (float(value) for value in pair)
    except (TypeError, ValueError):
        raise OptionError(
            f"bounds of {name} are {pair!r}; expected a pair (lower, upper)"
        ) from None
    return lower, upper
