"""Residuals of a fit, b-value by b-value and slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import evaluate
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.decay_curves import fitted_x, with_b
from ivimkit.scan.dwi import DWI
from ivimkit.scan.voxel_reader import VoxelReader

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult
    from ivimkit.noise import NoiseEstimate

__all__ = ["Residuals", "residuals"]

_CHUNK = 8192
"""Voxels in memory at a time."""

_STEP = 0.5
"""Step in b for slopes, s/mm^2."""

_EXAMPLES = 256
"""Number of voxels whose parameters are kept."""


@dataclass(frozen=True, eq=False)
class Residuals:
    """Measured minus fitted signal, pooled over voxels.

    A mean is the sum of the residuals divided by the sum of S0, so that dark voxels do not
    outweigh bright ones.

    Parameters
    ----------
    bvals : ndarray, shape (n_b,)
        b-value of each value that was fitted, s/mm^2.
    names : tuple of str
        Name of each: its b-value, and what distinguishes it from others with that b-value.
    x : ndarray, shape (n_b,) or (n_variables, n_b)
        Variables of the model at each, from `ivimkit.fitting.decay_curves.fitted_x`.
    counts : ndarray, shape (n_b,)
        Number of volumes averaged into each.
    weights : ndarray, shape (n_b,)
        Its weight in the fit.
    mean : ndarray, shape (n_b,)
        Mean residual, % of S0.
    sd : ndarray, shape (n_b,)
        Standard deviation of the residual from voxel to voxel, % of the mean S0.
    z : ndarray, shape (n_b,)
        Mean residual in standard deviations of the noise of that value; NaN if unknown.
    slices : ndarray of int, shape (n_slices,)
        Slices with enough voxels.
    n_by_slice : ndarray of int, shape (n_slices,)
        Voxels used in each.
    by_slice : ndarray, shape (n_slices, n_b)
        Mean residual of each slice, % of its S0.
    volumes : ndarray of int, shape (n_volumes,)
        Position of each volume in the scan, from 0.
    shell : ndarray of int, shape (n_volumes,)
        Which of `bvals` it belongs to.
    by_volume : ndarray, shape (n_volumes,)
        Mean residual of each volume, % of S0.
    spread : ndarray, shape (n_slices, n_volumes)
        Root mean square residual of each volume in each slice, % of the mean S0 of all voxels.
    systematic : ndarray, shape (n_volumes,)
        Root mean square of the part of the residual of a volume that is proportional to signal and
        slope of the fitted curve, % of the mean S0: the effect of another gain or b-value.
    noise : float
        Noise of one volume, % of the mean S0; NaN if it is unknown.
    n, n_fitted : int
        Voxels used: all that were fitted, or an even share of each slice.
    model : SignalModel
        The model.
    examples : ndarray, shape (n_examples, n_par)
        Parameters of a subset of the voxels used.
    method : FitMethod, optional
        The method of the fit.
    unknown : tuple of str
        Variables that differ between the volumes and are not in the model.
    """

    bvals: NDArray[np.float64]
    names: tuple[str, ...] = field(repr=False)
    x: NDArray[np.float64] = field(repr=False)
    counts: NDArray[np.float64]
    weights: NDArray[np.float64] = field(repr=False)
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    z: NDArray[np.float64] = field(repr=False)
    slices: NDArray[np.intp]
    n_by_slice: NDArray[np.intp] = field(repr=False)
    by_slice: NDArray[np.float64] = field(repr=False)
    volumes: NDArray[np.intp] = field(repr=False)
    shell: NDArray[np.intp] = field(repr=False)
    by_volume: NDArray[np.float64] = field(repr=False)
    spread: NDArray[np.float64] = field(repr=False)
    systematic: NDArray[np.float64] = field(repr=False)
    noise: float
    n: int
    n_fitted: int
    model: SignalModel = field(repr=False)
    examples: NDArray[np.float64] = field(repr=False)
    method: FitMethod | None = field(default=None, repr=False)
    unknown: tuple[str, ...] = ()


def residuals(
    result: FitResult,
    dwi: DWI | None = None,
    *,
    noise: NoiseEstimate | None = None,
    most: int = 100_000,
    seed: int = 0,
) -> Residuals:
    """Pool the residuals of a fit, to reveal wrong b-values, drift and motion.

    Parameters
    ----------
    result : FitResult
        The fit.
    dwi : DWI, optional
        The scan; by default the one available in the result.
    noise : NoiseEstimate, optional
        Noise of one volume; by default from the residuals of the typical voxel.
    most : int
        Maximum number of voxels to use; if there are more, an even random share of each slice.
    seed : int
        Random seed; the same seed gives the same voxels.

    Returns
    -------
    Residuals

    Raises
    ------
    OptionError
        If there is no scan, no voxel has a fit, or `most` is less than 1.
    ShapeError
        If the scan does not belong to the result.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2))
    >>> found = ik.quality.residuals(ik.fit(made.dwi))
    >>> found.by_slice.shape, bool(np.abs(found.mean).max() < 1)
    ((2, 13), True)
    """
    scan = _without_left_out(result.scan(dwi))
    if most < 1:
        raise OptionError(f"most is {most}; expected the number of voxels to use, at least 1")
    fitted = result.fitted_voxels() & scan.mask
    if not fitted.any():
        raise OptionError(
            "no voxel has a fit; expected some to take residuals of. Look at the status map"
        )
    reader = scan.with_mask(fitted).voxels()
    slice_of = _slices(reader.index, result.shape, reader.order)
    chosen = _even_share(slice_of, most, seed)
    reader = reader.take(chosen)
    slices, where = np.unique(slice_of[chosen], return_inverse=True)
    params = np.stack([reader.gather(result.maps[name]) for name in result.model.names], axis=1)
    own = scan.with_mask(fitted).with_average("none").voxels().take(chosen)
    weights = _weights(result, scan)
    sums = _Sums(slices.size, scan.fit_bvals, _shell(scan), weights > 0.0)
    for start in range(0, reader.n_voxels, _CHUNK):
        part = slice(start, min(start + _CHUNK, reader.n_voxels))
        averages, volumes = _read(reader, part), _read(own, part)
        curves = _Curves(result, params[part], scan)
        sums.add(where[part], averages, volumes, curves, weights)
    return _finish(result, scan, sums, noise, weights, slices, params, int(fitted.sum()))


def _without_left_out(scan: DWI) -> DWI:
    """Return the scan without volumes of weight 0 that are not part of an average."""
    if scan.weights is None or scan.average == "none":
        return scan
    keep = np.ones(scan.acquisition.n_volumes, dtype=bool)
    for shell in scan.acquisition.shells:
        weights = scan.weights[list(shell.volumes)]
        keep[list(shell.volumes)] = (weights > 0.0) | ~weights.any()
    return scan if keep.all() else scan.select(volumes=np.flatnonzero(keep).tolist())


def _read(reader: VoxelReader, part: slice) -> NDArray[np.float64]:
    out = np.empty((part.stop - part.start, reader.n_columns))
    reader.read(part.start, part.stop, out)
    return out


class _Curves:
    """Fitted curves of some voxels: signal and slope over b, and S0."""

    def __init__(self, result: FitResult, params: NDArray[np.float64], scan: DWI) -> None:
        b, variables = scan.fit_bvals, result.model.variables
        x = fitted_x(variables, scan)
        further = (with_b(x, variables, b + _STEP), with_b(x[..., :1], variables, 0.0))
        values = evaluate(result.model, params, np.concatenate([x, *further], axis=-1))
        self.signal = values[:, : b.size]
        self.slope = (values[:, b.size : -1] - self.signal) / _STEP
        self.S0 = values[:, -1]


class _Sums:
    """Sums over voxels; nothing else is kept. What was left out of a voxel has no residual."""

    def __init__(
        self,
        n_slices: int,
        bvals: NDArray[np.float64],
        shell: NDArray[np.intp],
        used: NDArray[np.bool_],
    ) -> None:
        n_b, n_volumes = bvals.size, shell.size
        self.shell, self.used = shell, used
        self.n = np.zeros(n_slices, dtype=np.intp)
        self.S0 = np.zeros(n_slices)
        # Numbers of voxels that have the value, and their S0.
        self.there, self.there_S0 = np.zeros((n_slices, n_b)), np.zeros((n_slices, n_b))
        self.volumes_there = np.zeros((n_slices, n_volumes))
        self.volumes_S0 = np.zeros((n_slices, n_volumes))
        self.values = np.zeros((n_slices, n_b))
        self.squares = np.zeros((n_slices, n_b))
        self.volumes = np.zeros((n_slices, n_volumes))
        self.volume_squares = np.zeros((n_slices, n_volumes))
        # For least squares of volumes on signal and slope: products of each pair of the three.
        self.basis = np.zeros((n_b, 2, 2))
        self.onto = np.zeros((n_volumes, 2))
        self.costs: list[NDArray[np.float64]] = []

    def add(
        self,
        where: NDArray[np.intp],
        averages: NDArray[np.float64],
        volumes: NDArray[np.float64],
        curves: _Curves,
        weights: NDArray[np.float64],
    ) -> None:
        """Add voxels: their slices, and their signals, fitted and by volume."""
        member = (where == np.arange(self.n.size)[:, np.newaxis]).astype(np.float64)
        there, volumes_there = ~np.isnan(averages), ~np.isnan(volumes)
        left = np.where(there, averages - curves.signal, 0.0)
        left_volumes = np.where(volumes_there, volumes - curves.signal[:, self.shell], 0.0)
        self.n += member.sum(axis=1).astype(np.intp)
        self.S0 += member @ curves.S0
        self.there += member @ there
        self.there_S0 += member @ (there * curves.S0[:, np.newaxis])
        self.volumes_there += member @ volumes_there
        self.volumes_S0 += member @ (volumes_there * curves.S0[:, np.newaxis])
        self.values += member @ left
        self.squares += member @ left**2
        self.volumes += member @ left_volumes
        self.volume_squares += member @ left_volumes**2
        shapes = np.stack([curves.signal, curves.slope])
        self.basis += np.einsum("inb,jnb->bij", shapes, shapes)
        products = [(shape[:, self.shell] * left_volumes).sum(axis=0) for shape in shapes]
        self.onto += np.stack(products, axis=1)
        # With fewer values, a cost has fewer degrees of freedom.
        self.costs.append((left**2 @ weights)[there[:, self.used].all(axis=1)])

    def systematic(self) -> NDArray[np.float64]:
        """Return the sum of squares of each volume that signal and slope explain."""
        # As if the voxels that have the volume were like the others.
        share = np.maximum(self.volumes_there.sum(axis=0), 1.0) / self.n.sum()
        basis = self.basis[self.shell] * share[:, np.newaxis, np.newaxis]
        inverse = np.linalg.pinv(basis, rcond=1e-9, hermitian=True)
        return np.asarray(np.einsum("vi,vij,vj->v", self.onto, inverse, self.onto))


def _finish(
    result: FitResult,
    scan: DWI,
    sums: _Sums,
    noise: NoiseEstimate | None,
    weights: NDArray[np.float64],
    slices: NDArray[np.intp],
    params: NDArray[np.float64],
    n_fitted: int,
) -> Residuals:
    n, S0 = int(sums.n.sum()), float(sums.S0.sum())
    mean_S0 = S0 / n
    sigma = _typical_noise(result, sums, weights) if noise is None else noise.sigma
    # A value that no voxel has gives 0 / 0: it has no residual.
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.values.sum(axis=0) / sums.there.sum(axis=0)
        variance = sums.squares.sum(axis=0) / sums.there.sum(axis=0) - mean**2
        by_slice = sums.values / sums.there_S0
        by_volume = sums.volumes.sum(axis=0) / sums.volumes_S0.sum(axis=0)
        spread = np.sqrt(sums.volume_squares / sums.volumes_there)
        systematic = np.sqrt(sums.systematic() / sums.volumes_there.sum(axis=0))
    return Residuals(
        bvals=scan.fit_bvals,
        names=scan.fit_names,
        x=fitted_x(result.model.variables, scan),
        counts=scan.fit_averages,
        weights=weights,
        mean=100 * mean / mean_S0,
        sd=100 * np.sqrt(np.maximum(variance, 0.0)) / mean_S0,
        z=mean * np.sqrt(scan.fit_averages) / sigma,
        slices=slices,
        n_by_slice=sums.n,
        by_slice=100 * by_slice,
        volumes=scan.volumes,
        shell=_shell(scan),
        by_volume=100 * by_volume,
        spread=100 * spread / mean_S0,
        systematic=100 * systematic / mean_S0,
        noise=100 * sigma / mean_S0,
        n=n,
        n_fitted=n_fitted,
        model=result.model,
        method=result.method,
        unknown=tuple(
            name
            for name in scan.acquisition.varying
            if name not in scan.acquisition.varying_for(result.model.variables)
        ),
        examples=params[:: -(-n // _EXAMPLES)],
    )


def _slices(index: NDArray[np.intp], shape: tuple[int, ...], order: str) -> NDArray[np.intp]:
    """Return the slice of each voxel: its index on the third axis, 0 if there is none."""
    if len(shape) < 3:
        return np.zeros(index.size, dtype=np.intp)
    steps = np.cumprod((1, *(shape if order == "F" else shape[::-1])))
    axis = 2 if order == "F" else len(shape) - 3
    return np.asarray(index // steps[axis] % shape[2], dtype=np.intp)


def _even_share(slice_of: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    """Return positions, ascending: all, or a random subset of equal size from each slice."""
    if slice_of.size <= most:
        return np.arange(slice_of.size)
    drawn = np.random.default_rng(seed).random(slice_of.size)
    order = np.asarray(np.lexsort((drawn, slice_of)))
    numbers = np.bincount(slice_of)
    first = np.repeat(np.cumsum(numbers) - numbers, numbers)
    rank = np.arange(slice_of.size) - first
    share = max(1, most // int(np.count_nonzero(numbers)))
    chosen: NDArray[np.intp] = order[rank < share]
    chosen.sort()
    return chosen[:most]


def _shell(scan: DWI) -> NDArray[np.intp]:
    """Return which fitted value each volume belongs to."""
    if scan.average == "none":
        return np.arange(scan.acquisition.n_volumes)
    # For a selection of volumes, the numbers have gaps.
    return scan.acquisition.shell_of_volume


def _weights(result: FitResult, scan: DWI) -> NDArray[np.float64]:
    recorded = np.asarray(result.provenance.counts, dtype=np.float64)
    return recorded if recorded.size == scan.fit_bvals.size else scan.fit_counts


def _typical_noise(result: FitResult, sums: _Sums, weights: NDArray[np.float64]) -> float:
    """Return the noise of a volume from the voxel of median cost, a.u.; NaN if impossible."""
    degrees = np.count_nonzero(weights) - result.model.n_free
    if degrees <= 0:
        return float("nan")
    # The median of chi-square, by Wilson and Hilferty: outliers do not affect it.
    middle = degrees * (1 - 2 / (9 * degrees)) ** 3
    costs = np.concatenate(sums.costs)
    return float(np.sqrt(np.median(costs) / middle)) or float("nan") if costs.size else np.nan
