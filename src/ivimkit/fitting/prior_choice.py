"""The prior that prior auto stands for, chosen by what the scan has before it is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior import ChoosingPrior, Prior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.fitting.local_prior import near_prior, neighbour_offsets
from ivimkit.fitting.training import MIN_VOXELS, least_squares
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.scan.geometry import Geometry

__all__ = [
    "compared_voxels",
    "instead_of_neighbours",
    "is_chosen",
    "prior_for",
    "why_this_prior",
    "with_prior",
    "with_prior_of",
]

_BY_AUTO = "auto, "
_NEAR, _NOT_NEAR = "voxels have neighbours", "voxels have no neighbours"
# Number of voxels that are tried, whether they can be fitted at all.
_MAX_TRIED = 3000
# Number of voxels that say whether neighbours help.
_MAX_COMPARED = 2000
# A draw of as many others may have fewer that can be fitted.
_MARGIN = 2
# Share of the voxels that have to touch another one.
_MIN_SHARE = 0.5
# How far below zero the mean gain by neighbours has to be: what is closer is a tie.
_MIN_STANDARD_ERRORS = 2.0


def is_chosen(method: FitMethod) -> bool:
    """Return whether the scan decides about the prior of a method: auto, or one of a cohort."""
    if not isinstance(method, PosteriorMethod):
        return False
    table = method.prior
    return isinstance(method.rule, ChoosingPrior) or (
        isinstance(table, PriorTable) and table.chooses
    )


def prior_for(
    method: FitMethod, sample: TrainingSample, geometry: Geometry, organ: str | None = None
) -> tuple[Prior | PriorTable | None, dict[str, str]]:
    """Return the prior that prior auto of a method, or one of a cohort, stands for, and why.

    Parameters
    ----------
    method : FitMethod
        Any method.
    sample : TrainingSample
        The voxels of the scan.
    geometry : Geometry
        Where they are.
    organ : str, optional
        The organ that was named for the fit, if the prior names none.

    Returns
    -------
    Prior, PriorTable or None
        The prior; None for methods whose prior the scan does not decide about.
    dict of str to str
        The reason in words, by the name of the option; empty for these.
    """
    if not is_chosen(method):
        return None, {}
    assert isinstance(method, PosteriorMethod)
    if isinstance(method.prior, PriorTable):
        rule = near_prior(method)
        assert rule is not None
        if _near(sample, geometry, rule.reach):
            return method.prior, {"prior": f"{_BY_AUTO}{_NEAR}"}
        return method.prior.alone(), {"prior": f"{_BY_AUTO}{_NOT_NEAR}"}
    assert isinstance(method.rule, ChoosingPrior)
    return _prior_of_scan(method.rule, sample, geometry, organ)


def _prior_of_scan(
    rule: ChoosingPrior, sample: TrainingSample, geometry: Geometry, organ: str | None
) -> tuple[Prior, dict[str, str]]:
    """Return the prior that prior auto stands for, and why."""
    if not _enough(sample):
        return rule.fixed_for(sample.model, organ), {
            "prior": f"{_BY_AUTO}too few voxels to learn from"
        }
    if sample.model.two_decays() is not None and _near(sample, geometry, rule.local.reach):
        return rule.local, {"prior": f"{_BY_AUTO}{_NEAR}"}
    return rule.learned, {"prior": f"{_BY_AUTO}{_NOT_NEAR}"}


def with_prior(method: FitMethod, prior: Prior | PriorTable | ModelPrior | None) -> FitMethod:
    """Return a method with another prior; as it is if that is None or it has none."""
    if prior is None or not isinstance(method, PosteriorMethod):
        return method
    return replace(method, prior=prior)


def with_prior_of(
    region: str, method: FitMethod, given: Mapping[str, Prior | PriorTable | ModelPrior] | None
) -> FitMethod:
    """Return a method with the prior that was given for a region.

    Parameters
    ----------
    region : str
        Name of the region.
    method : FitMethod
        The method after `prior_for`: what the scan decided holds for all its regions.
    given : mapping of str to Prior, PriorTable or ModelPrior, optional
        The prior of each region; by default that of the method.
    """
    if given is None or not isinstance(method, PosteriorMethod):
        return method
    own, taken = given[region], method.prior
    if isinstance(own, PriorTable) and isinstance(taken, PriorTable) and not taken.near:
        own = own.alone()
    return replace(method, prior=own)


def instead_of_neighbours(
    asked: FitMethod,
    methods: Mapping[str, PosteriorMethod],
    sample: TrainingSample,
    evidence: NDArray[np.float64] | None,
) -> tuple[Prior | PriorTable | None, dict[str, str]]:
    """Return the prior to fit with again if the neighbours did not help, and why.

    The prior of a voxel from its neighbours has not seen the voxel, so its evidence says how well
    they predict it. If the prior of the whole scan clearly predicts voxels better in the mean, it
    is taken: the scan is a list in the form of an image, say, or the same tissue everywhere. On a
    tie neighbours stay, as they keep the contrast of small regions.

    Parameters
    ----------
    asked : FitMethod
        The method as it was asked for.
    methods : mapping of str to PosteriorMethod
        What was learned, by region. Regions that were given are not compared.
    sample : TrainingSample
        The voxels of the scan.
    evidence : ndarray, shape (n,), optional
        Logarithm of the evidence of `compared_voxels` in the fit; None if it has none.

    Returns
    -------
    Prior, PriorTable or None
        None if the fit is to be kept.
    dict of str to str
        The reason in words, by the name of the option; empty if it is.
    """
    if not is_chosen(asked):
        return None, {}
    if len(methods) != 1 or evidence is None:
        return None, {}
    (method,) = methods.values()
    values, good = sample.few(compared_voxels(sample.n_voxels)).fitted(method)
    model = sample.model
    place = len(model.parameters) + 2 + method.extras(model).index("ln_evidence")
    gain = (evidence - values[:, place])[good]
    gain = gain[np.isfinite(gain)]
    if not _clearly_below_zero(gain):
        return None, {}
    assert isinstance(asked, PosteriorMethod)
    table, rule = asked.prior, asked.rule
    other: Prior | PriorTable | None = None
    if isinstance(table, PriorTable):
        other = table.alone()
    elif isinstance(rule, ChoosingPrior):
        other = rule.learned
    return other, {"prior": f"{_BY_AUTO}neighbours predict voxels worse than the whole scan"}


def compared_voxels(n_voxels: int) -> NDArray[np.intp]:
    """Return positions of the voxels that say whether neighbours help."""
    return _spread(n_voxels, _MAX_COMPARED)


def why_this_prior(chosen: Mapping[str, str]) -> str:
    """Return why prior auto took the prior of a fit; empty if it was named.

    Parameters
    ----------
    chosen : mapping of str to str
        See `ivimkit.fitting.result.Provenance`.

    Examples
    --------
    >>> why_this_prior({"prior": "auto, voxels have neighbours"})
    'voxels have neighbours'
    """
    return chosen.get("prior", "").removeprefix(_BY_AUTO)


def _clearly_below_zero(gain: NDArray[np.float64]) -> bool:
    """Return whether the mean of as many values is below zero by more than its own error."""
    if gain.size < 2:
        return False
    error = float(gain.std(ddof=1)) / np.sqrt(gain.size)
    return bool(gain.mean() < -_MIN_STANDARD_ERRORS * error)


def _enough(sample: TrainingSample) -> bool:
    """Return whether enough voxels can be fitted to learn from them."""
    if sample.n_voxels < MIN_VOXELS:
        return False
    tried = _spread(sample.n_voxels, _MAX_TRIED)
    _, good = sample.few(tried).fitted(least_squares())
    every = tried.size == sample.n_voxels
    return int(good.sum()) >= (MIN_VOXELS if every else _MARGIN * MIN_VOXELS)


def _spread(n_voxels: int, most: int) -> NDArray[np.intp]:
    """Return positions of voxels all over the scan, at most as many as that."""
    return np.linspace(0, n_voxels - 1, min(n_voxels, most)).astype(np.intp)


def _near(sample: TrainingSample, geometry: Geometry, reach: float) -> bool:
    """Return whether the voxels are an image, and half of them or more touch another one.

    Slices that are too far from each other for prior local do not touch.
    """
    reader = sample.reader
    shape = reader.shape
    if len(shape) not in (2, 3) or sum(n > 1 for n in shape) < 2 or geometry.singular:
        return False
    inside = reader.scatter(np.ones(sample.n_voxels, dtype=bool), fill=False)
    offsets, _ = neighbour_offsets(shape, geometry, reach)
    axes = [axis for axis in range(len(shape)) if (offsets == np.eye(3)[axis]).all(axis=1).any()]
    return bool(_touching(inside, axes)[inside].mean() >= _MIN_SHARE)


def _touching(inside: NDArray[np.bool_], axes: Sequence[int]) -> NDArray[np.bool_]:
    """Return the voxels with another one next to them along one of the axes."""
    found = np.zeros_like(inside)
    for axis in axes:
        along, other = np.moveaxis(inside, axis, 0), np.moveaxis(found, axis, 0)
        both = along[1:] & along[:-1]
        other[1:] |= both
        other[:-1] |= both
    return found
