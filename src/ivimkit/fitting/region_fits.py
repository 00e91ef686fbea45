"""RegionFits: the fit of each region of a scan, with what a method learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine import Task, say_learning
from ivimkit.errors import OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior import NearPrior, Prior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.fitting.local_prior import LOCAL_MAPS, near_prior, with_neighbours
from ivimkit.fitting.prior_choice import with_prior_of
from ivimkit.fitting.slabs import Slab
from ivimkit.fitting.training import learned_method
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.fitting.voxel_fits import Fits, VoxelFits
from ivimkit.fitting.voxel_lattices import LogMoments
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.voxel_reader import VoxelReader

__all__ = ["WHOLE", "RegionFits", "regions_of"]

WHOLE = "all"
"""Name of the region of a fit without labels."""


def regions_of(reader: VoxelReader, labels: ArrayLike | None) -> dict[str, NDArray[np.intp]]:
    """Return the positions of the voxels of each region, ascending, by its name.

    Parameters
    ----------
    reader : VoxelReader
        The voxels.
    labels : array_like of int, shape (...), optional
        The region of each voxel of the scan; one region without.
    """
    if labels is None:
        return {WHOLE: np.arange(reader.n_voxels)}
    inside = reader.gather(np.asarray(labels))
    return {f"{label:g}": np.flatnonzero(inside == label) for label in np.unique(inside)}


@dataclass(frozen=True, eq=False)
class RegionFits:
    """The fits of a scan, region by region, after its method has learned from all of its voxels.

    Parameters
    ----------
    sample : TrainingSample
        All voxels.
    geometry : Geometry
        Where they are.
    regions : mapping of str to ndarray of int
        Positions of the voxels of each region, ascending.
    methods : mapping of str to FitMethod
        The method of each, with what it has learned.
    estimator : Estimator, optional
        What estimates the uncertainty.
    fits : Fits
        What is fitted in each voxel.
    """

    sample: TrainingSample
    geometry: Geometry
    regions: Mapping[str, NDArray[np.intp]]
    methods: Mapping[str, FitMethod]
    estimator: Estimator | None
    fits: Fits

    @classmethod
    def learned(
        cls,
        method: FitMethod,
        sample: TrainingSample,
        geometry: Geometry,
        regions: Mapping[str, NDArray[np.intp]],
        estimator: Estimator | None,
        fits: Fits,
        priors: Mapping[str, Prior | PriorTable | ModelPrior] | None = None,
    ) -> RegionFits:
        """Let a method learn from each region, or give it the prior of the region.

        Raises
        ------
        OptionError
            If there is too little to learn from.
        """
        methods = {
            name: _learned(
                with_prior_of(name, method, priors),
                sample if len(regions) == 1 else sample.take(own),
                name,
                regions,
            )
            for name, own in regions.items()
        }
        return cls(sample, geometry, regions, methods, estimator, fits)

    @property
    def posteriors(self) -> dict[str, PosteriorMethod]:
        """The methods that have learned a prior, by region."""
        return {
            name: method
            for name, method in self.methods.items()
            if isinstance(method, PosteriorMethod)
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns behind parameters, cost and iterations."""
        method = next(iter(self.methods.values()))
        task = Task(self.sample.model, method, self.sample.weight, estimator=self.estimator)
        return task.columns + (LOCAL_MAPS if self.near is not None else ())

    @property
    def near(self) -> NearPrior | None:
        """The prior from neighbours, if there is one in any of the regions."""
        found = map(near_prior, self.methods.values())
        return next((prior for prior in found if prior is not None), None)

    def of(self, slab: Slab, progress: Callable[[int], None]) -> VoxelFits:
        """Fit the voxels of a slab.

        Parameters
        ----------
        slab : Slab
            The voxels.
        progress : callable
            Called with the number of voxels that are done, of those that the slab needs.
        """
        parts: list[tuple[NDArray[np.intp], VoxelFits]] = []
        done = 0
        for name, positions in self.regions.items():
            first, last = np.searchsorted(positions, (slab.around.start, slab.around.stop))
            if first == last:
                continue
            own = positions[first:last]
            whole = own.size == self.sample.n_voxels
            part = self.sample if whole else self.sample.take(own)
            parts.append((own, self._fitted(self.methods[name], part, done, progress)))
            done += part.n_voxels
        found = VoxelFits.joined(parts)
        if slab.voxels == slab.around:
            return found
        kept = {field.name: getattr(found, field.name)[slab.within] for field in fields(found)}
        return VoxelFits(**kept)

    def _fitted(
        self, method: FitMethod, part: TrainingSample, done: int, progress: Callable[[int], None]
    ) -> VoxelFits:
        """Fit voxels of one region."""
        near = near_prior(method)
        task = Task(part.model, method, part.weight, part.sigma, self.estimator)
        if near is not None:
            assert isinstance(method, PosteriorMethod)
            task = replace(task, method=LogMoments.of(method))
        found = self.fits.of(part, task, lambda now, _: progress(done + now))
        if near is None and self.near is None:
            return found
        if near is None:
            nothing = np.full((part.n_voxels, len(LOCAL_MAPS)), np.nan)
            return replace(found, values=np.concatenate([found.values, nothing], axis=1))
        assert isinstance(method, PosteriorMethod)
        rest = found.values, found.status
        return replace(found, values=with_neighbours(near, method, part, self.geometry, *rest))


def _learned(
    method: FitMethod,
    voxels: TrainingSample,
    name: str,
    regions: Mapping[str, NDArray[np.intp]],
) -> FitMethod:
    """Return the method after it has learned from the voxels of a region."""
    if not isinstance(method, PosteriorMethod):
        return method
    if method.learns:
        say_learning()
    try:
        return learned_method(method, voxels.with_enough_values())
    except OptionError as error:
        raise error if len(regions) == 1 else OptionError(f"region {name}: {error}") from None
