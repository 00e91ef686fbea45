"""The posterior of a model of any compartments: what method bayes needs besides the kernels."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import VoxelPlan
from ivimkit.extend.model_prior import ModelPrior, coordinates_of
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.noise_floor import N_FLOOR, excess_table
from ivimkit.kernels.separable.dictionary import plan as separable_plan
from ivimkit.kernels.separable.layout import MAX_COMPARTMENTS, Option
from ivimkit.kernels.separable.posterior.point_rows import (
    MAX_PRIOR_COMPONENTS,
    N_KNOTS,
    N_POINTS,
    PosteriorOption,
)
from ivimkit.kernels.separable.posterior.proposal import DEGREES
from ivimkit.kernels.separable.posterior.voxel_posterior import posterior_scratch
from ivimkit.kernels.two_decays.lattice.lattice_options import N_VALUES, NOISE_DEGREES, NOISE_SCALE
from ivimkit.status import MAX_INTEGRATED

__all__ = ["check_model", "model_extras", "posterior_plan", "products_of_pairs"]

_OWN = PosteriorOption()
_MAX_PRODUCTS = 8
# The tables of a prior reach to these logits.
_END = 12.0


def check_model(model: SignalModel, method: str) -> None:
    """Raise, with advice, if the posterior of a model cannot be integrated.

    Raises
    ------
    OptionError
        With the reason.
    """
    if len(model.compartments) > MAX_COMPARTMENTS:
        raise OptionError(
            f"model {model.name} has {len(model.compartments)} compartments; method {method} "
            f"integrates up to {MAX_COMPARTMENTS}. Use a model with fewer"
        )
    if len(model.parameters) > MAX_INTEGRATED:
        raise OptionError(
            f"model {model.name} has {len(model.parameters)} parameters; method {method} "
            f"integrates up to {MAX_INTEGRATED}. Use method varpro with uncertainty profile"
        )
    if len(model.fractions) > 1:
        for name in model.fractions:
            if model[name].fixed or name in model.fixed_maps:
                raise OptionError(
                    f"{name} is fixed in model {model.name}; method {method} takes fixed "
                    "fractions in models of two compartments only. Leave it free, or use method "
                    "varpro"
                )
    # Raises if the equation is not known.
    _ = model.structure


def products_of_pairs(model: SignalModel) -> list[tuple[str, str, str]]:
    """Return name and factors of the products of a fraction and another parameter."""
    found = []
    for product in model.products:
        one, two = product.factors
        if (one in model.fractions) != (two in model.fractions) and "S0" not in (one, two):
            found.append((product.parameter.name, one, two))
    return found[:_MAX_PRODUCTS]


def model_extras(model: SignalModel) -> tuple[str, ...]:
    """Return the maps of uncertainty, information, evidence and accuracy of a model."""
    names = [
        f"{name}_{what}" for name in model.names for what in ("sd", "lo", "hi", "lo50", "hi50")
    ]
    own = model.names[1:]
    names += [f"{name}_bits" for name in own]
    for name, _, _ in products_of_pairs(model):
        names += [name, f"{name}_sd"]
    names += [f"corr_{one}_{two}" for one, two in combinations(own, 2)]
    return (*names, "sigma", "ln_evidence", "accuracy")


def posterior_plan(
    model: SignalModel,
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    prior: ModelPrior,
    noise: tuple[str, float, float, float, float],
    *,
    estimate: int = 0,
    samples: bool = False,
) -> VoxelPlan:
    """Compute what all voxels share: the dictionary, the table of variates, and the prior.

    Parameters
    ----------
    model : SignalModel
        The model.
    x, weight : ndarray
        The acquisition and the weights, padded.
    prior : ModelPrior
        The prior.
    noise : tuple
        Kind of the noise; the noise of one volume that sizes the floor, 0 if it is not known;
        degrees of freedom and scale of the distribution of its variance, and the constant of the
        evidence that follows from them.
    estimate : int
        The estimate in the maps: 0 the mean, 1 the median.
    samples : bool
        Whether samples are written instead of a summary.
    """
    structure = model.structure
    lower = np.array([parameter.lower for parameter in model.parameters])
    upper = np.array([parameter.upper for parameter in model.parameters])
    fit, table, n_fit = separable_plan(structure, lower, upper, x, weight)
    kind, floor_noise, degrees, scale, constant = noise
    options = np.zeros(_OWN.size)
    options[: fit.size] = fit
    options[Option().degrees] = np.count_nonzero(weight) - model.n_free
    options[_OWN.first + NOISE_DEGREES] = degrees
    options[_OWN.first + NOISE_SCALE] = scale
    options[_OWN.first + N_VALUES] = np.count_nonzero(weight)
    options[_OWN.estimate] = estimate
    options[_OWN.takes_floor_off] = kind == "rician"
    options[_OWN.writes_samples] = samples
    options[_OWN.power_constant] = constant
    options[_OWN.scratch] = n_fit
    options[_OWN.floor_noise] = floor_noise
    options[_OWN.floor : _OWN.floor + N_FLOOR] = excess_table()
    numbers, free_fraction = _numbers(model)
    d = len(numbers)
    options[_OWN.n_free] = d
    options[_OWN.coordinates : _OWN.coordinates + d] = numbers
    options[_OWN.free_fraction] = free_fraction
    options[_OWN.n_prior] = prior.weights.size
    options[_OWN.log_density] = -_log_volume(model) if prior.flat else 0.0
    options[_OWN.t_constant] = (
        math.lgamma(0.5 * (DEGREES + d))
        - math.lgamma(0.5 * DEGREES)
        - 0.5 * d * math.log(DEGREES * math.pi)
    )
    pairs = products_of_pairs(model)
    options[_OWN.n_products] = len(pairs)
    for number, (_, one, two) in enumerate(pairs):
        at = _OWN.products + 2 * number
        options[at : at + 2] = model.index(one), model.index(two)
    variates = _variates(d)
    begins = np.cumsum([table.size, variates.size, gaussians(prior).size])
    options[[_OWN.variates, _OWN.prior, _OWN.marginals]] = begins
    whole = np.concatenate([table, variates, gaussians(prior), _marginals(model, prior).ravel()])
    scratch = posterior_scratch(structure, n_fit, x.shape[1])
    return VoxelPlan(options, whole[np.newaxis], scratch)


def _numbers(model: SignalModel) -> tuple[list[int], bool]:
    """Return shapes and shares that are coordinates, and whether the first fraction is free."""
    shapes = [p.name for c in model.compartments for p in c.parameters]
    names = [c.name for c in coordinates_of(model)]
    numbers = [shapes.index(name) for name in names if name in shapes]
    numbers += [len(shapes) + k for k in range(max(len(model.fractions) - 1, 0))]
    return numbers, bool(model.fractions) and model.fractions[0] in names


@functools.lru_cache(maxsize=16)
def _variates(d: int) -> NDArray[np.float64]:
    """Return d rows of t variates, the shift of the nodes, and the share that is drawn."""
    from scipy.special import gammaincinv, ndtri  # Slow to load, and few fits need them.
    from scipy.stats.qmc import Sobol

    power = math.ceil(math.log2(N_POINTS))
    points = Sobol(d + 3, scramble=False).random_base2(power) + 0.5 / (1 << power)
    points = points[:N_POINTS]
    radius = np.sqrt(0.5 * DEGREES / gammaincinv(0.5 * DEGREES, points[:, d]))
    rows = [ndtri(points[:, c]) * radius for c in range(d)]
    return np.concatenate([*rows, points[:, d + 1], points[:, d + 2]])


def gaussians(prior: ModelPrior) -> NDArray[np.float64]:
    """Return the numbers of a mixture for kernels: level, mean and inverse factor of each."""
    if prior.weights.size > MAX_PRIOR_COMPONENTS:
        raise OptionError(
            f"the prior has {prior.weights.size} Gaussians; expected up to {MAX_PRIOR_COMPONENTS}"
        )
    rows: list[Sequence[float]] = []
    d = len(prior.coordinates)
    total = prior.weights.sum()
    for weight, mean, covariance in zip(
        prior.weights, prior.means, prior.covariances, strict=True
    ):
        inverse = np.linalg.inv(np.linalg.cholesky(covariance))
        level = math.log(max(weight / total, 1e-300)) - 0.5 * d * math.log(2.0 * math.pi)
        level += float(np.log(np.diag(inverse)).sum())
        rows.append([level, *mean, *inverse.ravel()])
    return np.array(rows, dtype=np.float64).ravel()


def _log_volume(model: SignalModel) -> float:
    """Return the logarithm of the volume inside the bounds, with a remainder >= 0."""
    coordinates = coordinates_of(model)
    total = sum(math.log(c.upper - c.lower) for c in coordinates if not c.share)
    shares = [c for c in coordinates if c.share]
    if len(shares) < 2:
        return total + sum(math.log(c.upper - c.lower) for c in shares)
    # The volume where fractions are above their lower bounds is left^m / m!; that beyond the upper
    # bounds of some of them is of the same shape: inclusion and exclusion.
    left = 1.0 - sum(c.lower for c in shares)
    m, volume = len(shares), 0.0
    for size in range(m + 1):
        for chosen in combinations(shares, size):
            beyond = left - sum(c.upper - c.lower for c in chosen)
            volume += (-1.0) ** size * max(beyond, 0.0) ** m / math.factorial(m)
    return total + math.log(max(volume, 1e-300))


def _marginals(model: SignalModel, prior: ModelPrior) -> NDArray[np.float64]:
    """Return the distribution functions of all parameters at logits, for the information."""
    from scipy.special import ndtr  # Slow to load, and few fits need it.

    z = np.linspace(-_END, _END, N_KNOTS)
    found = np.zeros((len(model.names), N_KNOTS))
    n_shares = sum(c.share for c in prior.coordinates)
    drawn: dict[str, NDArray[np.float64]] = {}
    for k, c in enumerate(prior.coordinates):
        of_part = c.share and n_shares > 1
        if not prior.flat and (not of_part or k == len(prior.coordinates) - 1):
            sd = np.sqrt(prior.covariances[:, k, k])
            row = prior.weights @ ndtr((z - prior.means[:, k, None]) / sd[:, None])
            row = row / prior.weights.sum()
        elif not of_part:
            row = np.clip((c.values(z) - c.lower) / (c.upper - c.lower), 0.0, 1.0)
        else:
            drawn = drawn or prior.draw()
            values = np.sort(drawn[c.name])
            row = np.searchsorted(values, c.values(z)) / values.size
        found[model.index(c.name)] = row
    return found
