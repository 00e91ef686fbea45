"""Population: the tissues that a protocol is to measure, drawn from the prior of an organ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import lognorm, norm, qmc

from ivimkit import organs
from ivimkit.errors import OptionError
from ivimkit.extend.organ_distributions import organ_distributions
from ivimkit.extend.signal_model import SignalModel
from ivimkit.parameter import Parameter
from ivimkit.simulate.abdomen import ABDOMEN
from ivimkit.simulate.texture import TEXTURE_SPREAD
from ivimkit.simulate.tissue_values import tissues_of_model

__all__ = ["ABDOMEN_NAME", "Population", "population_names", "population_of"]

ABDOMEN_NAME = "abdomen"
"""The population of all tissues of the digital abdomen except its large vessels."""

_VESSEL = "vessel"
_MIN_SPREAD = 1e-3
"""Least standard deviation of a coordinate, relative to its value or its typical range."""

_LOG2_TISSUES = 7
# `Parameter.typical` is taken as the central 95 % of a distribution.
_TYPICAL_DEVIATIONS = 1.96
# Fractions together leave at least this share of S0 to the reference compartment.
_MIN_REMAINDER = 0.02
# Spread inside the tissues of the abdomen of parameters that the texture does not have.
_OTHER_SPREAD = 0.1
_SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Population:
    """Parameters of tissues, and how the errors of each parameter are measured.

    Parameters
    ----------
    name : str
        Its name, for people.
    model : SignalModel
        The model.
    params : ndarray, shape (n, n_par)
        Parameters of each tissue in the model's order and units; S0 is 1.
    relative : tuple of bool
        For each of `names`, whether errors are relative to the value (rates and times) or in the
        unit of the parameter (fractions, numbers without a unit, and what may be negative).
    """

    name: str
    model: SignalModel
    params: NDArray[np.float64] = field(repr=False)
    relative: tuple[bool, ...] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are estimated, without S0."""
        return _estimated(self.model)

    @property
    def positions(self) -> list[int]:
        """Positions of S0 and of `names` among the parameters of the model."""
        return [self.model.index(name) for name in (self.model.names[0], *self.names)]

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each of `names`, in the unit of the parameter."""
        return {name: float(self.params[:, self.model.index(name)].mean()) for name in self.names}

    @property
    def size(self) -> dict[str, float]:
        """Size of each of `names`, which shares refer to: the mean, or the rms if signs differ."""
        found = {}
        for name, mean in self.mean.items():
            values = self.params[:, self.model.index(name)]
            signed = bool((values <= 0.0).any())
            found[name] = float(np.sqrt((values**2).mean())) if signed else mean
        return found

    @property
    def scales(self) -> NDArray[np.float64]:
        """Derivative of each parameter by its coordinate, shape (n, 1 + n_names).

        The coordinate of a parameter whose errors are relative is its logarithm, so that an error
        of the coordinate is a relative error; S0, in front, is one of them.
        """
        relative = np.array([True, *self.relative])
        return np.where(relative, self.params[:, self.positions], 1.0)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Inverse covariance of the coordinates, 0 for S0; shape (1 + n_names, 1 + n_names)."""
        values = self.params[:, self.positions[1:]]
        coordinates = np.where(np.array(self.relative), np.log(np.maximum(values, 1e-12)), values)
        found = np.zeros((len(self.names) + 1,) * 2)
        covariance = np.atleast_2d(np.cov(coordinates, rowvar=False))
        # What is the same in all tissues is known, but not exactly.
        widths = [high - low for low, high in (self.model[name].usual for name in self.names)]
        least = _MIN_SPREAD * np.where(np.array(self.relative), 1.0, widths)
        found[1:, 1:] = np.linalg.inv(covariance + np.diag(least**2))
        return found


def population_names() -> tuple[str, ...]:
    """Return the names of all populations.

    Examples
    --------
    >>> from ivimkit.planning import population_names
    >>> "liver" in population_names(), "abdomen" in population_names()
    (True, True)
    """
    return (*organs.names(), ABDOMEN_NAME)


def population_of(
    model: SignalModel, organ: str | None = None, *, log2_n: int = _LOG2_TISSUES
) -> Population:
    """Return the tissues of an organ, spread evenly over its prior.

    D, D* and f are those of the prior ``organ`` of method bayes: log-normal and beta
    distributions around literature means. Parameters that the organ does not have are spread over
    their typical range. The tissues are a Sobol sequence: the same for every call, and even
    more evenly spread than random draws.

    Parameters
    ----------
    model : SignalModel
        The model.
    organ : str, optional
        One of `population_names`; ``"abdomen"`` mixes the tissues of the digital abdomen. By
        default the typical ranges of the model.
    log2_n : int
        Logarithm of the number of tissues, to the base 2.

    Returns
    -------
    Population

    Raises
    ------
    OptionError
        If there is no such organ, or the bounds of the model exclude it.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.planning import population_of
    >>> liver = population_of(ik.models.get("biexp"), "liver")
    >>> liver.names, bool(abs(liver.mean["D"] / 1.1e-3 - 1) < 0.05)
    (('f', 'D_star', 'D'), True)
    """
    if organ is not None and organ not in population_names():
        raise OptionError(
            f"there is no organ {organ!r}; expected one of {', '.join(population_names())}"
        )
    names = _estimated(model)
    if not names:
        raise OptionError(
            f"model {model.name} has no free parameter except S0; expected one to be estimated. "
            "Free one of them, or use another model"
        )
    if organ == ABDOMEN_NAME:
        params = _mixture(model, names, log2_n)
    else:
        known = {} if organ is None else organ_distributions(organ)
        params = _drawn(model, [_distribution(model[name], known) for name in names], log2_n)
    params = params[_possible(model, params)]
    if len(params) <= len(names):
        raise OptionError(
            f"the bounds of model {model.name} exclude the values of {organ or 'tissue'}; "
            "expected wider bounds. Widen them, or choose another organ"
        )
    relative = tuple(_is_relative(model[name]) for name in names)
    return Population(organ or f"typical values of {model.name}", model, params, relative)


def _estimated(model: SignalModel) -> tuple[str, ...]:
    free = (p for p in model.parameters[1:] if not p.fixed and p.name not in model.fixed_maps)
    return tuple(parameter.name for parameter in free)


def _is_relative(parameter: Parameter) -> bool:
    """Return whether errors are relative: of rates and times, but not of what has both signs."""
    return bool(parameter.unit) and parameter.lower >= 0.0


def _distribution(parameter: Parameter, known: Mapping[str, Any]) -> Any:
    """Return the distribution of a parameter: that of the organ, or over its typical range."""
    if parameter.name in known:
        return known[parameter.name]
    low, high = parameter.usual
    if not _is_relative(parameter):
        return norm((low + high) / 2.0, (high - low) / (2.0 * _TYPICAL_DEVIATIONS))
    low = max(low, _SMALLEST_SHARE * high)
    return lognorm(np.log(high / low) / (2.0 * _TYPICAL_DEVIATIONS), scale=np.sqrt(low * high))


def _drawn(model: SignalModel, distributions: list[Any], log2_n: int) -> NDArray[np.float64]:
    """Return parameters at evenly spread quantiles, shape (n, n_par)."""
    places = _quantiles(len(distributions), log2_n)
    values = [d.ppf(places[:, k]) for k, d in enumerate(distributions)]
    return _with_fixed(model, np.stack(values, axis=1))


def _mixture(model: SignalModel, names: tuple[str, ...], log2_n: int) -> NDArray[np.float64]:
    """Return the tissues of the abdomen in turn, each with the texture of phantoms."""
    places = _quantiles(len(names), log2_n)
    tissues = [
        tissue
        for tissue in tissues_of_model(ABDOMEN.tissues, model)
        if tissue.name != _VESSEL and all(name in tissue.values for name in names)
    ]
    centre = np.array([[t.value(name) for name in names] for t in tissues])
    spread = np.array([TEXTURE_SPREAD.get(name, _OTHER_SPREAD) for name in names])
    turn = np.arange(len(places)) % len(tissues)
    return _with_fixed(model, centre[turn] * np.exp(spread * norm.ppf(places)))


def _quantiles(n_dimensions: int, log2_n: int) -> NDArray[np.float64]:
    """Return points of a Sobol sequence, moved from the lower corners of their cells to inside."""
    sequence = qmc.Sobol(n_dimensions, scramble=False).random_base2(log2_n)
    return np.asarray(sequence + 0.5 / 2**log2_n)


def _with_fixed(model: SignalModel, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return all parameters of the model: S0 is 1, and fixed ones have their value."""
    params = np.empty((len(values), len(model.parameters)))
    params[:] = [parameter.lower for parameter in model.parameters]
    params[:, 0] = 1.0
    for name, column in zip(_estimated(model), values.T, strict=True):
        params[:, model.index(name)] = column
    for name, given in model.fixed_maps.items():
        params[:, model.index(name)] = np.nanmean(given)
    return params


def _possible(model: SignalModel, params: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which tissues are within the bounds, in order and leave something to the tissue."""
    good = np.asarray(np.isfinite(params).all(axis=1))
    for name in _estimated(model):
        values = params[:, model.index(name)]
        good &= (values > model[name].lower) & (values < model[name].upper)
    for low, high in model.ascending:
        good &= params[:, model.index(low)] < params[:, model.index(high)]
    if model.fractions:
        shares = params[:, [model.index(name) for name in model.fractions]]
        good &= shares.sum(axis=1) <= 1.0 - _MIN_REMAINDER
    return good
