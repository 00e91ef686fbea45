"""Compartment: one part of a voxel, whose signal is its share of S0 times an atom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from ivimkit.errors import OptionError
from ivimkit.kernels.separable.structure import Part, why_not_compiled
from ivimkit.parameter import Parameter

__all__ = ["Compartment", "Derived", "Product"]

Atom = Callable[..., Any]


@dataclass(frozen=True)
class Compartment:
    """A compartment of a signal model.

    The signal of a model is ``S0 (fraction_1 atom_1 + fraction_2 atom_2 + ...)``: a compartment
    declares its atom only, the relative signal if all of S0 were in it.

    Parameters
    ----------
    name : str
        One word, e.g. ``"tissue"``; its status is ``TISSUE_NOT_DETECTED``.
    atom : callable or None
        ``atom(variable, ..., p)`` with the acquisition variables that it declares as numbers and
        a tuple `p` of its shape parameters. It returns ``(value, (d/dp_0, d/dp_1, ...))``, or the
        value alone: then the derivatives are central differences. A plain function that numba can
        compile is enough; `ivimkit.kernels.exponential.exp` is faster in it than `math.exp`.
        None for a compartment from a file: files do not contain equations.
    parameters : tuple of Parameter
        The shape parameters, in the order of `p`.
    fraction : Parameter or None
        Its share of S0; None for the reference, the last compartment, which has the remainder.
    variables : tuple of str
        Columns of the acquisition that the atom takes, in its order.
    signal : str
        Name of its signal, one word, in the name of its status; by default `name`.
    second : callable, optional
        With the same arguments, the upper triangle of the second derivatives, row by row. By
        default they are central differences.
    candidates : callable, optional
        ``candidates(lower, upper)`` with the bounds of its shape parameters as arrays, shape
        (n_shape,), returns rows of them, shape (n, n_shape), some hundred to some thousand. The
        places where a fit begins are chosen among them. By default they are a grid, or fill the
        bounds where there are more than three: with five or more a compartment knows better.

    Raises
    ------
    OptionError
        If its name or a variable is not one word.

    Examples
    --------
    >>> from ivimkit import models
    >>> tissue = models.get("biexp").compartments[-1]
    >>> tissue.name, [parameter.name for parameter in tissue.parameters]
    ('tissue', ['D'])
    """

    name: str
    atom: Atom | None = field(repr=False)
    parameters: tuple[Parameter, ...] = ()
    fraction: Parameter | None = None
    variables: tuple[str, ...] = ("b",)
    signal: str = ""
    second: Atom | None = field(default=None, repr=False)
    candidates: Callable[..., Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.signal:
            object.__setattr__(self, "signal", self.name)
        for word in (self.name, self.signal, *self.variables):
            if not word.isidentifier():
                raise OptionError(
                    f"compartment {self.name!r}: got the name {word!r}; expected one word, like "
                    "'tissue' or 'b'"
                )

    @property
    def has_slopes(self) -> bool:
        """Whether the atom returns its derivatives, by its annotation or by a call.

        Raises
        ------
        OptionError
            If it returns anything but a number or a number with its slopes.
        """
        atom = self.atom
        assert atom is not None
        plain: Any = getattr(atom, "py_func", atom)
        says = getattr(plain, "__annotations__", {}).get("return")
        if isinstance(says, str) and says.partition("[")[0] in ("float", "tuple"):
            return says.startswith("tuple")
        shapes = tuple(sum(parameter.usual) / 2.0 for parameter in self.parameters)
        try:
            found = atom(*(1.0 for _ in self.variables), shapes)
        except Exception as error:
            raise OptionError(
                f"the atom of compartment {self.name} fails at {', '.join(self.variables)} = 1 "
                f"and p = {shapes} ({type(error).__name__}: {error}); expected "
                f"atom({', '.join(self.variables)}, p) with a tuple p of {len(shapes)} numbers"
            ) from error
        if isinstance(found, Real):
            return False
        if isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], tuple | list):
            n = len(found[1])
            if isinstance(found[0], Real) and n == len(shapes):
                return True
        raise OptionError(
            f"the atom of compartment {self.name} returns {found!r}; expected a number, or a "
            f"number and a tuple of its {len(shapes)} slopes"
        )

    def part(self, variables: tuple[str, ...]) -> Part:
        """Return the description for kernels, with its columns among all `variables`.

        Raises
        ------
        OptionError
            If the atom, or what gives its second derivatives, cannot be compiled.
        """
        assert self.atom is not None
        slopes, n = self.has_slopes, len(self.parameters)
        for what, function in (("atom", self.atom), ("second", self.second)):
            why = function and why_not_compiled(function, len(self.variables), n)
            if why:
                raise OptionError(
                    f"the {what} of compartment {self.name} cannot be compiled ({why}); expected "
                    "arithmetic with numbers, functions of math, and exp and log of "
                    "ivimkit.extend. Functions that it calls need @numba.njit"
                )
        return Part(
            self.atom,
            n,
            tuple(variables.index(name) for name in self.variables),
            self.second,
            slopes,
            self.candidates,
        )


@dataclass(frozen=True)
class Product:
    """A map that is the product of two parameters, e.g. f D*.

    Parameters
    ----------
    parameter : Parameter
        Its name, unit and display.
    factors : tuple of str
        Names of the two parameters.
    """

    parameter: Parameter
    factors: tuple[str, str]

    @property
    def name(self) -> str:
        """Name of the map."""
        return self.parameter.name


@dataclass(frozen=True)
class Derived:
    """Maps that are a function of several parameters, e.g. the anisotropy of a tensor.

    They have no standard deviation by curvature; a product of two parameters has one, see
    `Product`.

    Parameters
    ----------
    maps : tuple of Parameter
        Name, unit and display of each map.
    factors : tuple of str
        Names of the parameters that it needs.
    function : callable or None
        ``function(factor, ...)`` with arrays of one shape, (n,), returns the maps, shape
        (n, n_maps); NaN where a factor is NaN. None for those of a model from a file: files do not
        contain functions.
    shown : tuple of str
        Names of the maps that figures and tables show; the others are in files only.
    """

    maps: tuple[Parameter, ...]
    factors: tuple[str, ...]
    function: Callable[..., Any] | None = field(default=None, repr=False, compare=False)
    shown: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the maps."""
        return tuple(one.name for one in self.maps)
