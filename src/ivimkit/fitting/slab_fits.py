"""SlabFits: a scan fitted in slabs, and its maps, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import Progress
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.derived_columns import derived_columns
from ivimkit.fitting.local_prior import LOCAL_MAPS
from ivimkit.fitting.memory_budget import MemoryBudget
from ivimkit.fitting.prior_choice import compared_voxels
from ivimkit.fitting.region_fits import RegionFits
from ivimkit.fitting.scratch_maps import ScratchWriter
from ivimkit.fitting.screening import LEFT_OUT_MAP
from ivimkit.fitting.slabs import Slab, slabs_of
from ivimkit.fitting.uncertain_voxels import uncertain_flags
from ivimkit.fitting.voxel_fits import VoxelFits
from ivimkit.fitting.voxel_maps import VoxelMaps
from ivimkit.scan.dwi import DWI
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import FAILED, FitStatus
from ivimkit.writing import scratch_folder

__all__ = ["FittedMaps", "fit_slabs"]

Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class FittedMaps:
    """What was fitted in all voxels of a scan.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (...)
        The maps.
    status : ndarray of int, shape (...)
        See `ivimkit.status.FitStatus`.
    evidence : ndarray, shape (n,), optional
        Logarithm of the evidence in `compared_voxels`, of a prior from neighbours.
    """

    maps: Mapping[str, NDArray[np.float64]]
    status: NDArray[np.int32]
    evidence: NDArray[np.float64] | None


def fit_slabs(
    fits: RegionFits,
    budget: MemoryBudget,
    bytes_per_voxel: float,
    *,
    halo: tuple[int, ...] = (),
    screened: DWI | None = None,
    progress: Progress | None = None,
) -> FittedMaps:
    """Fit a scan, slab by slab if its maps do not fit into memory.

    A scan that fits is one slab. Every slab gets the same bits as in the whole: what is learned
    from all voxels was learned before.

    Parameters
    ----------
    fits : RegionFits
        The fit of its regions.
    budget : MemoryBudget
        What may be taken.
    bytes_per_voxel : float
        What the fit of a voxel needs.
    halo : tuple of int
        Number of planes on each side of a slab that its voxels depend on, by axis.
    screened : DWI, optional
        The scan, if a screen has left some of its values out, for the map of their numbers.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of voxels.

    Raises
    ------
    InputError
        If there is no room.
    """
    slabs = slabs_of(fits.sample.reader, budget, bytes_per_voxel, halo)
    parts = _fitted(fits, slabs, screened, progress)
    if len(slabs) == 1:
        (columns, status) = next(parts)
        return _in_memory(fits.sample.reader, columns, status)
    return _on_disk(fits, slabs, parts, budget)


def _in_memory(reader: VoxelReader, columns: Columns, status: NDArray[np.int32]) -> FittedMaps:
    return FittedMaps(
        VoxelMaps(columns, reader.index, reader.shape, reader.order),
        reader.scatter(status, int(FitStatus.OUTSIDE_MASK)),
        _evidence(columns, compared_voxels(reader.n_voxels)),
    )


def _on_disk(
    fits: RegionFits,
    slabs: Sequence[Slab],
    parts: Iterator[tuple[Columns, NDArray[np.int32]]],
    budget: MemoryBudget,
) -> FittedMaps:
    reader = fits.sample.reader
    writer: ScratchWriter | None = None
    compared = compared_voxels(reader.n_voxels)
    evidence = []
    for slab, (columns, status) in zip(slabs, parts, strict=True):
        if writer is None:
            writer = ScratchWriter(
                list(columns),
                reader.index,
                reader.shape,
                reader.order,
                status.dtype,
                scratch_folder(budget.scratch),
            )
        writer.append(slab, columns, status)
        first, last = np.searchsorted(compared, (slab.voxels.start, slab.voxels.stop))
        evidence.append(_evidence(columns, compared[first:last] - slab.voxels.start))
        # Free memory before the next slab takes some.
        del columns, status
    assert writer is not None
    known = [own for own in evidence if own is not None]
    return FittedMaps(*writer.finished(), np.concatenate(known) if known else None)


def _evidence(columns: Columns, positions: NDArray[np.intp]) -> NDArray[np.float64] | None:
    """Return the evidence of some voxels, if their prior is from their neighbours."""
    return columns["ln_evidence"][positions] if LOCAL_MAPS[0] in columns else None


def _fitted(
    fits: RegionFits, slabs: Sequence[Slab], screened: DWI | None, progress: Progress | None
) -> Iterator[tuple[Columns, NDArray[np.int32]]]:
    """Yield the maps of each slab as one value per voxel, and its status."""
    sample, done = fits.sample, 0
    work = sum(slab.around.stop - slab.around.start for slab in slabs)
    for slab in slabs:

        def report(now: int, before: int = done) -> None:
            # Voxels that are fitted as neighbours count as a share of the others.
            if progress is not None:
                progress((before + now) * sample.n_voxels // work, sample.n_voxels)

        found = fits.of(slab, report)
        done += slab.around.stop - slab.around.start
        status = found.status
        failed = (status & int(FAILED)) != 0
        status |= np.where(failed, 0, found.flags)
        found.adc[failed] = np.nan
        columns = _columns(sample.model, fits.columns, found)
        if screened is not None:
            own = np.arange(slab.voxels.start, slab.voxels.stop)
            left_out = screened.left_out_counts(sample.reader.take(own))
            columns[LEFT_OUT_MAP] = left_out.astype(np.float64)
        status |= uncertain_flags(sample.model, columns).astype(status.dtype)
        del found, failed
        yield columns, status


def _columns(model: SignalModel, further: Sequence[str], fitted: VoxelFits) -> Columns:
    """Return all maps as one value per voxel."""
    values = fitted.values
    n_par = len(model.parameters)
    columns = {name: values[:, k] for k, name in enumerate(model.names)}
    columns.setdefault("ADC", fitted.adc)
    for product in model.products:
        one, two = product.factors
        columns[product.name] = columns[one] * columns[two]
    for derived in model.derived:
        columns |= derived_columns(derived, columns)
    cost = values[:, n_par]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["rmse"] = np.sqrt(cost / fitted.weight)
        r2 = cost / fitted.spread
        np.subtract(1.0, r2, out=r2)
        r2[~(fitted.spread > 0.0)] = np.nan
    columns["r2"] = r2
    columns["cost"] = cost
    columns["n_iter"] = values[:, n_par + 1]
    for k, name in enumerate(further, start=n_par + 2):
        columns[name] = values[:, k]
    return columns
