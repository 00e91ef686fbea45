"""Posteriors whose priors are learned from the voxels around each voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit import priors
from ivimkit.engine import compile_loop_aside, final_chunk, round_chunk
from ivimkit.engine.bind import bind
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.mixture import Mixture
from ivimkit.extend.prior import NearPrior
from ivimkit.extend.prior_table import NEIGHBOURS, PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.fitting.voxel_lattices import free_coordinates, moments_of, over_voxels, shared_by
from ivimkit.kernels.two_decays.mixture.scan_posteriors import Moments, Neighbourhood
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.scan.geometry import Geometry
from ivimkit.status import FAILED, at_lower, at_upper

__all__ = [
    "LOCAL_MAPS",
    "check_neighbours",
    "near_prior",
    "neighbour_offsets",
    "planes_around",
    "with_neighbours",
]

LOCAL_MAPS = ("local_weight", "n_neighbours")
"""Share of a posterior that comes from the population of the neighbours, and how many of them
there are, effectively."""

# Factor on the standard deviations of the posteriors of a round that place the lattices of the
# next.
_WIDENED = 1.4
# Neighbours are within this many standard deviations of the weight.
_RADII = 2.0
# Distances that differ by less than this share are equal, whatever the rounding of an affine.
_TOLERANCE = 1e-4


def near_prior(method: FitMethod) -> NearPrior | None:
    """Return the prior of a method if it is learned from the voxels around each voxel."""
    if not isinstance(method, PosteriorMethod):
        return None
    table = method.prior
    if not (isinstance(table, PriorTable) and table.near):
        return method.rule if isinstance(method.rule, NearPrior) else None
    try:
        rule = priors.get(table.rule, **table.about[NEIGHBOURS])
    except (TypeError, ValueError):
        rule = None
    if not isinstance(rule, NearPrior):
        raise OptionError(
            "the prior does not say how neighbours count; expected one that was learned with "
            "prior local. Learn it again"
        )
    return rule


def check_neighbours(shape: tuple[int, ...], geometry: Geometry) -> None:
    """Raise if the voxels of a scan have no neighbours.

    Raises
    ------
    OptionError
        For a plain list of voxels, or positions that are not known.
    """
    if len(shape) not in (2, 3):
        raise OptionError(
            f"prior local needs voxels that have neighbours, and the data have the shape {shape}; "
            "expected an image of 2 or 3 dimensions. Use prior learned, which treats all voxels "
            "alike"
        )
    if geometry.singular:
        raise OptionError(
            "prior local needs the distances of voxels, and the affine of the scan maps them to a "
            "plane; expected one that spans a volume. Mend the header, or use prior learned"
        )


def neighbour_offsets(
    shape: tuple[int, ...], geometry: Geometry, reach: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the steps to the neighbours of a voxel, in voxels, and their weights.

    Parameters
    ----------
    shape : tuple of int
        Shape of the scan, of 2 or 3 dimensions.
    geometry : Geometry
        Its affine gives the distances.
    reach : float
        See `ivimkit.priors.local.Local`.

    Returns
    -------
    offsets : ndarray of int, shape (n, 3)
    weights : ndarray, shape (n,)
    """
    edges = geometry.affine[:3, :3]
    sizes = np.array(geometry.voxel_size)
    present = [axis for axis in range(3) if axis < len(shape) and shape[axis] > 1]
    shorter = np.sort(sizes[present] if len(present) > 1 else sizes)[:2]
    width = reach * float(np.sqrt(shorter[0] * shorter[1]))
    steps = [
        int(np.ceil(_RADII * width / sizes[axis] * _skewed(edges))) if axis in present else 0
        for axis in range(3)
    ]
    grid = np.meshgrid(*(np.arange(-n, n + 1) for n in steps), indexing="ij")
    offsets = np.stack([axis.ravel() for axis in grid], axis=1).astype(np.int64)
    distance = np.sqrt(((offsets @ edges.T) ** 2).sum(axis=1)) / width
    near = (distance <= _RADII * (1.0 + _TOLERANCE)) & (offsets != 0).any(axis=1)
    return offsets[near], np.exp(-0.5 * distance[near] ** 2)


def planes_around(rule: NearPrior, shape: tuple[int, ...], geometry: Geometry) -> tuple[int, ...]:
    """Return how many planes away, along each axis, a voxel matters for the estimate of another.

    In every round, and in the estimate, a voxel reads its neighbours as they were before.

    Parameters
    ----------
    rule : NearPrior
        The prior.
    shape, geometry
        As of `neighbour_offsets`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.fitting.local_prior import planes_around
    >>> planes_around(ik.priors.get("local", rounds=1), (64, 48, 9), ik.Geometry())
    (4, 4, 4)
    """
    offsets, _ = neighbour_offsets(shape, geometry, rule.reach)
    farthest = np.abs(offsets).max(axis=0, initial=0)
    return tuple(int(n) * (rule.rounds + 1) for n in farthest[: len(shape)])


def _skewed(edges: NDArray[np.float64]) -> float:
    """Return how many times more steps along an edge a skewed lattice takes to go as far."""
    lengths = np.sqrt((edges**2).sum(axis=0))
    # The largest row of the inverse of unit edges: 1 for a right angle.
    return float(np.sqrt((np.linalg.inv(edges / lengths) ** 2).sum(axis=1)).max())


def with_neighbours(
    rule: NearPrior,
    method: PosteriorMethod,
    sample: TrainingSample,
    geometry: Geometry,
    first: NDArray[np.float64],
    status: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Return the values of a method whose priors come from the neighbours.

    Parameters
    ----------
    rule : NearPrior
        The prior.
    method : PosteriorMethod
        The method, its prior the table of the scan.
    sample : TrainingSample
        All voxels of the scan, or of a region of it.
    geometry : Geometry
        Where they are.
    first : ndarray, shape (n_voxels, n_par + 2 + n)
        Values of `LogMoments` with the same table.
    status : ndarray of int, shape (n_voxels,)
        Its status; voxels that lose their posterior get a flag, and flags of bounds become those
        of the estimates.

    Returns
    -------
    ndarray, shape (n_voxels, n_par + 2 + n_extras)
        Values with `Bayes.extras`, and `LOCAL_MAPS` last.
    """
    table = method.prior
    assert isinstance(table, PriorTable)
    model = sample.model
    n_own = len(model.parameters) + 2
    good = (status & int(FAILED)) == 0
    free = free_coordinates(model)
    before = moments_of(first[:, n_own:], free, good)
    after = Moments(*(values.copy() for values in before))
    around = _around(rule, table, sample, geometry, good)
    local = np.full((sample.n_voxels, 2), np.nan)
    n_extras = len(method.extras(model))
    out = np.full((sample.n_voxels, n_own + n_extras), np.nan)
    out[:, :n_own] = first[:, :n_own]
    flags = np.zeros(sample.n_voxels, dtype=np.int64)
    shared = shared_by(sample.of_one_pattern(), method)
    signals = np.zeros((0, shared.root_weight.size))
    rest = around, before, out, flags
    # The rounds are compiled meanwhile.
    compile_loop_aside(final_chunk, 0, 0, signals, shared, *rest, threads=sample.threads)
    for _ in range(rule.rounds):
        over_voxels(bind(round_chunk), sample, method, around, before, _WIDENED, after, local)
        before, after = after, before
    over_voxels(bind(final_chunk), sample, method, around, before, out, flags)
    # The flags of bounds are those of the best fit, which the estimates replace.
    status &= ~sum(at_lower(k) | at_upper(k) for k in range(n_own - 2))
    status |= (flags | _at_bounds(out, model)).astype(status.dtype)
    failed = (status & int(FAILED)) != 0
    out = np.concatenate([out, local], axis=1)
    out[failed] = np.nan
    return out


def _at_bounds(values: NDArray[np.float64], model: SignalModel) -> NDArray[np.int64]:
    """Return the flags of the parameters that are at a bound, as the engine sets them."""
    found = np.zeros(len(values), dtype=np.int64)
    for k, one in enumerate(model.parameters):
        if one.lower < one.upper and one.name not in model.fixed_maps:
            found[values[:, k] <= one.lower] |= at_lower(k)
            found[values[:, k] >= one.upper] |= at_upper(k)
    return found


def _around(
    rule: NearPrior,
    table: PriorTable,
    sample: TrainingSample,
    geometry: Geometry,
    good: NDArray[np.bool_],
) -> Neighbourhood:
    reader = sample.reader
    shape = (*reader.shape, 1, 1)[:3]
    indices = np.stack(np.unravel_index(reader.index, shape, order=reader.order), axis=1)
    positions = np.full(shape, -1, dtype=np.int64)
    positions[tuple(indices.T)] = np.arange(sample.n_voxels)
    offsets, weights = neighbour_offsets(reader.shape, geometry, rule.reach)
    mixture = Mixture.from_dict(table.about.get("mixture", {}))
    if mixture.free != free_coordinates(sample.model):
        raise OptionError(
            f"the prior was learned with other fixed parameters than model {sample.model.name} "
            "has here; expected the same ones. Learn the prior again"
        )
    components = mixture.components()
    broad = components[-1].copy()
    broad[0] -= np.log(mixture.weights[-1])
    shares = np.array(
        [1.0 - rule.scan_share - rule.broad_share, rule.scan_share, rule.broad_share]
    )
    return Neighbourhood(
        good.astype(np.int64),
        np.ascontiguousarray(indices, dtype=np.int64),
        positions,
        np.ascontiguousarray(offsets),
        weights,
        mixture.inside(),
        components,
        broad,
        shares,
    )
