"""ModelPrior: the prior of a model of any compartments, flat or a mixture of Gaussians."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.prior_table import wrong_model
from ivimkit.extend.signal_model import SignalModel

__all__ = ["Coordinate", "ModelPrior", "coordinates_of"]

# Draws from which means, and distributions without a formula, are computed, and their seed.
_DRAWS, _SEED = 1 << 14, 0
# Share of its upper bound that a parameter searched by its logarithm has at least: as in the fit.
_LEAST = 1e-6


@dataclass(frozen=True)
class Coordinate:
    """A coordinate of the posterior: what a logit turns into a number between two bounds.

    Parameters
    ----------
    name : str
        The parameter of the model.
    lower, upper : float
        Its bounds.
    logarithmic : bool
        Whether its place between them is that of its logarithm.
    share : bool
        Whether it is a fraction, whose logit is that of a share from 0 to 1, whatever its bounds.
    """

    name: str
    lower: float
    upper: float
    logarithmic: bool = False
    share: bool = False

    def values(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the parameter at logits z."""
        with np.errstate(over="ignore"):
            place = 1.0 / (1.0 + np.exp(-z))
        if self.share:
            return np.asarray(place)
        if self.logarithmic:
            low, high = math.log(self.lower), math.log(self.upper)
            return np.asarray(np.exp(low + (high - low) * place))
        return np.asarray(self.lower + (self.upper - self.lower) * place)


def coordinates_of(model: SignalModel) -> tuple[Coordinate, ...]:
    """Return the coordinates of a model, those of shapes first and the first fraction last.

    Parameters that are fixed have none. With three compartments or more, the other fractions
    stand for the part that each takes of what is left by those before it.
    """
    fixed = {p.name for p in model.parameters if p.lower == p.upper} | set(model.fixed_maps)
    found = []
    for compartment in model.compartments:
        for own in compartment.parameters:
            bound = model[own.name]
            is_log = own.scale == "log"
            low = max(bound.lower, _LEAST * bound.upper) if is_log else bound.lower
            if own.name not in fixed:
                found.append(Coordinate(own.name, low, bound.upper, is_log))
    first, *others = [*model.fractions, None]
    shares = [name for name in (*others, first) if name is not None and name not in fixed]
    found += [
        Coordinate(name, model[name].lower, model[name].upper, share=True) for name in shares
    ]
    return tuple(found)


@dataclass(frozen=True, eq=False)
class ModelPrior:
    """A prior of the shape parameters and fractions of a model.

    Flat, it is uniform in the parameters inside their bounds, and in the fractions where they and
    the remainder are not negative. Otherwise it is a mixture of Gaussians of the logits of the
    coordinates.

    Parameters
    ----------
    model : str
        Name of the model.
    rule : str
        Name of the prior that made it, see `ivimkit.priors`.
    coordinates : tuple of Coordinate
        As `coordinates_of` returns them.
    weights : ndarray, shape (n,)
        Of the Gaussians; their sum is 1. None for a flat prior.
    means : ndarray, shape (n, n_coordinates)
    covariances : ndarray, shape (n, n_coordinates, n_coordinates)
    about : mapping of str to object
        How it was made: numbers and words, ready for JSON.

    Raises
    ------
    ShapeError
        If the Gaussians do not fit the coordinates.
    OptionError
        If weights are negative, or something is not finite.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.extend.model_prior import ModelPrior, coordinates_of
    >>> model = ik.models.get("kurtosis")
    >>> prior = ModelPrior("kurtosis", "flat", coordinates_of(model))
    >>> prior.flat, prior.mean()["K"]
    (True, 1.5)
    """

    model: str
    rule: str
    coordinates: tuple[Coordinate, ...]
    weights: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    means: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    covariances: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0, 0)))
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.flat:
            return
        n, d = self.weights.size, len(self.coordinates)
        shapes = self.weights.shape, self.means.shape, self.covariances.shape
        if shapes != ((n,), (n, d), (n, d, d)):
            raise ShapeError(
                f"weights, means and covariances have shapes {shapes}; expected {n} Gaussians of "
                f"{d} coordinates"
            )
        finite = all(np.isfinite(a).all() for a in (self.weights, self.means, self.covariances))
        if not finite or (self.weights < 0.0).any() or not self.weights.sum() > 0.0:
            raise OptionError("the Gaussians of a prior must be finite, and their weights >= 0")

    @property
    def flat(self) -> bool:
        """Whether it is uniform inside the bounds."""
        return self.weights.size == 0

    @property
    def varies(self) -> bool:
        """Whether a parameter has more than one value."""
        return bool(self.coordinates)

    @property
    def near(self) -> bool:
        """Whether it depends on the neighbours of a voxel: never."""
        return False

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of its coordinates."""
        return tuple(coordinate.name for coordinate in self.coordinates)

    def alone(self) -> ModelPrior:
        """Return it as a prior of the scan alone, which it is."""
        return self

    def check(self, model: SignalModel) -> None:
        """Raise if the prior was made for another model, or for other bounds.

        Raises
        ------
        OptionError
            With what differs.
        """
        if model.name != self.model:
            raise wrong_model(self.model, model)
        if coordinates_of(model) != self.coordinates:
            raise OptionError(
                f"the prior was made for model {self.model} with other bounds or fixed "
                "parameters; expected those of this fit. Learn a prior with them"
            )

    def same_as(self, other: object) -> bool:
        """Return whether two priors contain the same numbers."""
        return (
            isinstance(other, ModelPrior)
            and (self.model, self.rule, self.coordinates)
            == (other.model, other.rule, other.coordinates)
            and np.array_equal(self.weights, other.weights)
            and np.array_equal(self.means, other.means)
            and np.array_equal(self.covariances, other.covariances)
        )

    def draw(self, n: int = _DRAWS, seed: int = _SEED) -> dict[str, NDArray[np.float64]]:
        """Return n draws of every parameter that is not fixed."""
        random = np.random.default_rng(seed)
        fractions = [c for c in self.coordinates if c.share]
        if self.flat:
            shapes = [c for c in self.coordinates if not c.share]
            drawn = {c.name: random.uniform(c.lower, c.upper, n) for c in shapes}
            return drawn | _on_simplex(fractions, n, random)
        chosen = random.choice(self.weights.size, n, p=self.weights / self.weights.sum())
        noise = random.standard_normal((n, len(self.coordinates)))
        factors = np.linalg.cholesky(self.covariances)
        z = self.means[chosen] + np.einsum("nij,nj->ni", factors[chosen], noise)
        drawn = {c.name: c.values(z[:, k]) for k, c in enumerate(self.coordinates)}
        if len(fractions) > 1:
            left = 1.0 - drawn[fractions[-1].name]
            for c in fractions[:-1]:
                part = drawn[c.name] * left
                left = left - part
                drawn[c.name] = part
        return drawn

    def mean(self) -> dict[str, float]:
        """Return the mean of every parameter; of several fractions, and of a mixture, by draws."""
        if self.flat and sum(c.share for c in self.coordinates) < 2:
            return {c.name: 0.5 * (c.lower + c.upper) for c in self.coordinates}
        return {name: float(f"{values.mean():.3g}") for name, values in self.draw().items()}


def _on_simplex(
    fractions: list[Coordinate], n: int, random: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Return draws of fractions that are uniform inside their bounds, the remainder >= 0."""
    if len(fractions) < 2:
        return {c.name: random.uniform(c.lower, c.upper, n) for c in fractions}
    low = np.array([c.lower for c in fractions])
    high = np.array([c.upper for c in fractions])
    left = 1.0 - low.sum()
    kept = np.zeros((0, len(fractions)))
    while len(kept) < n:
        shares = low + left * random.dirichlet(np.ones(len(fractions) + 1), n)[:, :-1]
        inside = shares[(shares <= high).all(axis=1)]
        kept = np.concatenate([kept, inside])
        if not len(kept):
            break
    kept = kept[:n] if len(kept) else np.tile(low, (n, 1))
    return {c.name: kept[:, k] for k, c in enumerate(fractions)}
