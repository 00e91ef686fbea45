"""DWI: a diffusion-weighted scan, its b-values, mask and geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import InputError, OptionError, ShapeError
from ivimkit.rounding import thousands, times
from ivimkit.scan.acquisition import Acquisition, Series, Shell
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.history import NO_HISTORY, History
from ivimkit.scan.lazy_signal import LazyArray, LazySignal, as_lazy, is_lazy
from ivimkit.scan.slab_reader import SlabReader
from ivimkit.scan.source import Source
from ivimkit.scan.source_context import SourceContext
from ivimkit.scan.value_weights import (
    Patterns,
    WeightSummary,
    checked_value_weights,
    summary_of,
)
from ivimkit.scan.variables import DIRECTION, B
from ivimkit.scan.voxel_reader import Column, VoxelReader
from ivimkit.scan.whole_scan import check_whole

__all__ = ["AVERAGES", "DWI", "Geometry"]

AVERAGES = ("auto", "geometric", "arithmetic", "none")
"""Ways to average the volumes of a shell."""

_CHUNK = 1 << 16
"""Voxels in memory at a time."""

_PATTERN_CHUNK = 1 << 13
"""Voxels whose weights are in memory at a time."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class DWI:
    """A diffusion-weighted scan.

    Parameters
    ----------
    signal : array_like, shape (..., n_volumes)
        Magnitude signal, a.u., one volume per b-value on the last axis; any number of spatial
        axes, any real type, memory-mapped or not. Not copied. A value that is NaN or infinite is
        missing: it has no part in averages and fits, see `missing`. An array that is not in memory
        (of Zarr, HDF5 or dask: anything with ``shape``, ``dtype`` and slices) is read part by
        part, when it is needed.
    bvals : array_like, shape (n_volumes,), or Acquisition
        b-values in s/mm^2.
    affine : array_like, shape (4, 4), optional
        From voxel index to position in mm.
    mask : array_like, shape (...), optional
        Voxels to fit, where > 0; all voxels by default.
    bvecs : array_like, shape (n_volumes, 3), optional
        Gradient directions.
    variables : mapping of str to array_like, optional
        What else differs from volume to volume, like ``{"echo_time": [50, 75, 100]}`` (ms), see
        `Acquisition`.
    tolerance : float, optional
        Largest gap between b-values of a shell, see `Acquisition`.
    geometry : Geometry, optional
        Instead of `affine`, with codes and units.
    average : {"auto", "geometric", "arithmetic", "none"}
        How the volumes of a shell are averaged. ``"auto"`` is the geometric mean across
        directions and the arithmetic mean across repeats of one direction (of all volumes if
        directions are unknown); ``"none"`` keeps every volume separate. Where a value is not
        positive, the arithmetic mean is used instead of the geometric one.
    sources : sequence of Source
        The files it came from.
    volumes : array_like of int, optional
        Which volumes of `signal` the b-values belong to; all by default.
    mask_origin : str
        How the mask was made, if ivimkit made it, for the provenance of results.
    weights : array_like, shape (n_b,), optional
        Weight of each volume in its average and in a fit, one per b-value, see `with_weights`; by
        default `averages`.
    averages : float or array_like, shape (n_b,), optional
        Number of magnitude images whose mean each volume is, see `with_averages`; 1 by default.
    value_weights : array_like, shape (..., n_volumes), optional
        Weight of each value, which multiplies that of its volume, see `with_weights`.
    source_context : SourceContext, optional
        What its files say of patient, study and images, one entry per volume of `signal`, so that
        results can be written in the same form.
    history : History
        What was done to the signal since it was acquired, see `ivimkit.preprocess`.
    sidecar : mapping, optional
        What its JSON sidecar says of the scan as a whole, by the keys of BIDS, like
        ``{"PartialFourier": 0.75}``.

    Attributes
    ----------
    stored : ndarray, shape (..., n_stored)
        The array that was given, including volumes that are not selected.

    Raises
    ------
    ShapeError
        If signal, b-values and mask do not match, the mask is empty, or the affine is singular.
    InputError
        If the signal does not consist of real numbers.
    OptionError
        If `average` is unknown, or both `affine` and `geometry`, or both an `Acquisition` and
        directions, are given.
    AcquisitionError
        If the b-values are implausible, see `Acquisition`.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> dwi = ik.DWI(np.ones((4, 4, 2, 3)), [0, 100, 800])
    >>> dwi.shape, dwi.n_voxels, dwi.fit_bvals.tolist()
    ((4, 4, 2), 32, [0.0, 100.0, 800.0])
    """

    stored: NDArray[Any]
    acquisition: Acquisition
    mask: NDArray[np.bool_]
    geometry: Geometry
    average: str
    sources: tuple[Source, ...]
    volumes: NDArray[np.intp]
    mask_origin: str
    weights: NDArray[np.float64] | None
    averages: NDArray[np.float64] | None
    value_weights: NDArray[Any] | None
    source_context: SourceContext | None
    history: History
    sidecar: Mapping[str, Any]

    def __init__(
        self,
        signal: ArrayLike,
        bvals: ArrayLike | Acquisition,
        affine: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        *,
        bvecs: ArrayLike | None = None,
        variables: Mapping[str, Any] | None = None,
        tolerance: float | None = None,
        geometry: Geometry | None = None,
        average: str = "auto",
        sources: Sequence[Source] = (),
        volumes: ArrayLike | None = None,
        mask_origin: str = "",
        weights: ArrayLike | None = None,
        averages: ArrayLike | None = None,
        value_weights: ArrayLike | None = None,
        source_context: SourceContext | None = None,
        history: History = NO_HISTORY,
        sidecar: Mapping[str, Any] | None = None,
    ) -> None:
        data = _checked_signal(signal)
        acquisition = _acquisition(bvals, bvecs, variables, tolerance)
        if average not in AVERAGES:
            raise OptionError(f"average is {average!r}; expected one of {', '.join(AVERAGES)}")
        if affine is not None and geometry is not None:
            raise OptionError("both affine and geometry were given; expected one. Leave out one")
        object.__setattr__(self, "stored", data)
        object.__setattr__(self, "acquisition", acquisition)
        object.__setattr__(self, "mask", _checked_mask(mask, data.shape[:-1]))
        object.__setattr__(self, "geometry", _placed(affine) if geometry is None else geometry)
        object.__setattr__(self, "average", average)
        object.__setattr__(self, "sources", tuple(sources))
        object.__setattr__(self, "volumes", _checked_volumes(volumes, data.shape, acquisition))
        object.__setattr__(self, "mask_origin", mask_origin)
        number = _checked_averages(averages, acquisition.n_volumes)
        object.__setattr__(self, "averages", number)
        own = number if weights is None else weights
        object.__setattr__(self, "weights", _checked_weights(own, acquisition.n_volumes))
        object.__setattr__(
            self,
            "value_weights",
            None
            if value_weights is None
            else checked_value_weights(value_weights, (*data.shape[:-1], acquisition.n_volumes)),
        )
        object.__setattr__(self, "source_context", source_context)
        object.__setattr__(self, "history", history)
        object.__setattr__(self, "sidecar", dict(sidecar or {}))

    def __repr__(self) -> str:
        """Return the size of the scan, its settings, and what was done to it."""
        voxels = times(self.shape, "voxel")
        lines = [
            f"DWI: {voxels} of {self.geometry.size_text}, {thousands(self.n_voxels)} in the mask",
            str(self.acquisition),
        ]
        if self.history.steps:
            lines.append(f"after {', '.join(self.history.names)}")
        return "\n  ".join(lines)

    @cached_property
    def signal(self) -> NDArray[Any]:
        """Signal of the volumes that are selected, shape (..., n_volumes), a.u.

        The array that was given, or a view of it if the selected volumes are evenly spaced (all up
        to some b, every second one). Otherwise a copy, made on first access; fits and means read
        the stored array and never make one.
        """
        if np.array_equal(self.volumes, np.arange(self.stored.shape[-1])):
            return self.stored
        step = np.diff(self.volumes)
        if step.size and step[0] > 0 and np.all(step == step[0]):
            return self.stored[..., self.volumes[0] : self.volumes[-1] + 1 : step[0]]
        return self.stored[..., self.volumes]

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape."""
        return self.stored.shape[:-1]

    @cached_property
    def n_voxels(self) -> int:
        """Number of voxels in the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def affine(self) -> NDArray[np.float64]:
        """From voxel index to position, shape (4, 4)."""
        return self.geometry.affine

    @property
    def fit_bvals(self) -> NDArray[np.float64]:
        """b-value of each fitted value, in s/mm^2: one per shell, or per volume.

        For a shell, the weighted mean over its volumes.
        """
        if self.average == "none":
            return self.acquisition.bvals
        if self.weights is None:
            return self.acquisition.shell_bvals
        return self._means(self.acquisition.bvals)

    def fit_x(self, variables: Sequence[str]) -> NDArray[np.float64]:
        """Return the variables of a model for each fitted value.

        Parameters
        ----------
        variables : sequence of str
            The variables, in the model's order, like ``("b", "echo_time")``. For ``gx``, ``gy`` or
            ``gz`` the scan must come from `for_variables`.

        Returns
        -------
        ndarray, shape (n_variables, n_values)
            In the units of the variables; the first row of ``("b",)`` is `fit_bvals`.

        Raises
        ------
        AcquisitionError
            If a variable is not known for this scan, or is a text.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> te = [60, 60, 90, 90]
        >>> dwi = ik.DWI(np.ones((2, 4)), [0, 500, 0, 500], variables={"echo_time": te})
        >>> dwi.fit_x(("b", "echo_time")).tolist()
        [[0.0, 0.0, 500.0, 500.0], [60.0, 90.0, 60.0, 90.0]]
        """
        return np.array([self._row(name) for name in variables])

    def for_variables(self, variables: Sequence[str]) -> DWI:
        """Return the scan as a model of these variables needs it: directions separate, if used.

        Raises
        ------
        AcquisitionError
            If a variable is not known for this scan, or is a text.
        """
        acquisition = self.acquisition
        if any(axis.name in variables for axis in DIRECTION):
            acquisition = acquisition.with_directions_apart()
        found = self if acquisition is self.acquisition else self._with(acquisition=acquisition)
        found.fit_x(variables)
        return found

    def with_directions_together(self) -> DWI:
        """Return the scan with all directions of a b-value as one setting, for tables."""
        acquisition = self.acquisition.with_directions_together()
        return self if acquisition is self.acquisition else self._with(acquisition=acquisition)

    def with_variables(self, variables: Mapping[str, Any] | None) -> DWI:
        """Return the scan with other variables in addition to b and directions, see `Acquisition`.

        Raises
        ------
        AcquisitionError
            If there is not one value per volume, or one is not plausible.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> dwi = ik.DWI(np.ones((2, 4)), [0, 500, 0, 500])
        >>> dwi.with_variables({"echo_time": [60, 60, 90, 90]}).acquisition.n_shells
        4
        """
        return self._with(acquisition=self.acquisition.with_variables(variables))

    @property
    def fit_names(self) -> tuple[str, ...]:
        """Name of each fitted value: its b-value, and what distinguishes it from others."""
        names = self.acquisition.shell_names
        if self.average == "none":
            tails = [name.partition(" ")[1:] for name in names]
            own = zip(self.acquisition.bvals, self.acquisition.shell_of_volume, strict=True)
            return tuple(f"{b:g}{''.join(tails[shell])}" for b, shell in own)
        if self.weights is None:
            return names
        tails = [name.partition(" ")[1:] for name in names]
        return tuple(
            f"{b:g}{''.join(tail)}" for b, tail in zip(self.fit_bvals, tails, strict=True)
        )

    @property
    def fit_series(self) -> tuple[Series, ...]:
        """The series of the acquisition, with the positions of the fitted values."""
        series = self.acquisition.series
        if self.average != "none":
            return series
        where = self.acquisition.shell_of_volume
        return tuple(
            replace(one, members=tuple(np.flatnonzero(np.isin(where, one.members)).tolist()))
            for one in series
        )

    def _row(self, name: str) -> NDArray[np.float64]:
        """Return one variable of each fitted value."""
        if name == B.name:
            return self.fit_bvals
        values = self.acquisition.numbers_of(name)
        return values if self.average == "none" else self._means(values)

    def _means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of numbers per volume in each shell, weighted if there are weights."""
        return np.array([self._mean_of(values, shell) for shell in self.acquisition.shells])

    @property
    def fit_counts(self) -> NDArray[np.float64]:
        """Weight of each fitted value: number of volumes, or sum of their weights."""
        if self.average == "none":
            return np.ones(self.acquisition.n_volumes) if self.weights is None else self.weights
        if self.weights is None:
            return self.acquisition.counts.astype(np.float64)
        parts = [self.weights[list(shell.volumes)] for shell in self.acquisition.shells]
        # For equal weights a product: their sum would round.
        return np.array([w.size * w[0] if np.all(w == w[0]) else w.sum() for w in parts])

    @property
    def fit_averages(self) -> NDArray[np.float64]:
        """Number of magnitude images with the same noise as each fitted value.

        The number of volumes that have a weight, each counted as often as it was averaged, and
        less if the weights differ from that.
        """
        if self.average == "none":
            single = np.ones(self.acquisition.n_volumes)
            return single if self.averages is None else self.averages
        if self.weights is None:
            return self.fit_counts
        return np.array([self._size(list(self._used(shell))) for shell in self.acquisition.shells])

    def _size(self, volumes: list[int]) -> float:
        """Return the number of images with the same noise as the mean of some volumes."""
        assert self.weights is not None
        w = self.weights[volumes]
        if self.averages is None:
            return float(w.size if np.all(w == w[0]) else w.sum() ** 2 / (w**2).sum())
        n = self.averages[volumes]
        # A mean of n images has the variance 1 / n, and a weighted sum that of its terms.
        return float(w.sum() ** 2 / (w**2 / n).sum()) if w.any() else float(n.sum())

    @property
    def fit_acquisition(self) -> Acquisition:
        """The acquisition of the volumes that have a weight, in any voxel of the mask."""
        if self.weights is None and self.weights_of_values is None:
            return self.acquisition
        return self.acquisition.take(np.flatnonzero(self.used_volumes))

    @cached_property
    def used_volumes(self) -> NDArray[np.bool_]:
        """Which volumes have a weight, in any voxel of the mask, shape (n_volumes,)."""
        n = self.acquisition.n_volumes
        used = np.ones(n, dtype=bool) if self.weights is None else self.weights > 0.0
        weights = self.weights_of_values
        if weights is not None:
            own = (weights[..., v][self.mask].any() for v in range(n))
            used = used & np.fromiter(own, dtype=bool, count=n)
        return used

    @cached_property
    def missing(self) -> NDArray[np.bool_] | None:
        """Which values are missing: NaN or infinite, in voxels that have others.

        Shape (..., n_volumes); None if no value is missing. They have the weight 0 in averages and
        fits. Voxels without any finite value are not counted: nothing can be fitted there.
        """
        lost = _not_finite(self.stored, self.volumes)
        if lost is None:
            return None
        lost &= ~lost.all(axis=-1, keepdims=True)
        return lost if lost.any() else None

    @cached_property
    def weights_of_values(self) -> NDArray[Any] | None:
        """Weight of each value, shape (..., n_volumes): that which was given, 0 where missing.

        None if there are none, and nothing is missing inside the mask.
        """
        missing = self.missing
        if missing is None or not missing[self.mask].any():
            return self.value_weights
        if self.value_weights is None:
            return np.logical_not(missing).view(np.uint8)
        return np.where(missing, 0, self.value_weights)

    @property
    def value_acquisition(self) -> Acquisition:
        """The fitted values as an acquisition: one volume for each of them.

        For fits of means, whose b-values and other variables are those of the fit of the scan.
        Values that are means over directions have none; those of `for_variables` keep theirs.
        """
        acquisition = self.acquisition
        if self.average == "none":
            variables = acquisition.variables
            return Acquisition(acquisition.bvals, acquisition.bvecs, variables=variables)
        shells = acquisition.shells
        variables = {
            name: self._means(values)
            if values.dtype.kind == "f"
            else np.array([shell.variables[name] for shell in shells])
            for name, values in acquisition.variables.items()
        }
        axes = [axis.name for axis in DIRECTION if axis.name in variables]
        bvecs = np.stack([variables[name] for name in axes], axis=-1) if axes else None
        return Acquisition(self.fit_bvals, bvecs, variables=variables)

    @property
    def fit_directions(self) -> NDArray[np.float64]:
        """Number of values in the geometric mean of each fitted value; 1 for none."""
        if self.average == "none":
            return np.ones(self.acquisition.n_volumes)
        shells = self.acquisition.shells
        return np.array([float(len(self._column(shell).groups)) for shell in shells])

    def select(
        self,
        *,
        bmin: float | None = None,
        bmax: float | None = None,
        bvals: Sequence[float] | None = None,
        volumes: Sequence[int] | None = None,
        where: str | None = None,
    ) -> DWI:
        """Return the scan with some of its volumes, without copying the signal.

        Parameters
        ----------
        bmin, bmax : float, optional
            Lowest and highest b-value, in s/mm^2, inclusive, see `Acquisition.select`.
        bvals : sequence of float, optional
            The b-values to keep, in s/mm^2: for each the nearest shell, within 3 %.
        volumes : sequence of int, optional
            Positions of the volumes to keep, from 0.
        where : str, optional
            A condition on b and the other variables of the volumes, like ``"echo_time == 75"``,
            see `Acquisition.select`.

        Returns
        -------
        DWI

        Raises
        ------
        AcquisitionError
            If there is no such b-value or volume, or too few are left.
        OptionError
            If the condition cannot be understood, or names a column that does not exist.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> dwi = ik.DWI(np.ones((4, 4, 4)), [0, 500, 1000, 2000])
        >>> dwi.select(bmax=1000).fit_bvals.tolist()
        [0.0, 500.0, 1000.0]
        """
        keep = self.acquisition.select(
            bmin=bmin, bmax=bmax, bvals=bvals, volumes=volumes, where=where
        )
        return self._with(
            acquisition=self.acquisition.take(keep),
            volumes=self.volumes[keep],
            weights=None if self.weights is None else self.weights[keep],
            averages=None if self.averages is None else self.averages[keep],
            value_weights=None if self.value_weights is None else self.value_weights[..., keep],
        )

    def with_mask(self, mask: ArrayLike | None, *, origin: str = "") -> DWI:
        """Return the scan with another mask; None means all voxels.

        Parameters
        ----------
        mask : array_like, shape (...), or None
            Voxels to fit, where > 0.
        origin : str
            How it was made, for the provenance of results, if ivimkit made it.

        Raises
        ------
        ShapeError
            If the mask is empty or has another shape.
        """
        return self._with(mask=mask, mask_origin=origin)

    def with_sources(self, sources: Sequence[Source]) -> DWI:
        """Return the scan with other files that it came from."""
        return self._with(sources=sources)

    def with_history(self, history: History) -> DWI:
        """Return the scan with another record of what was done to its signal."""
        return self._with(history=history)

    def with_sidecar(self, sidecar: Mapping[str, Any]) -> DWI:
        """Return the scan with other facts about it as a whole, by the keys of BIDS."""
        return self._with(sidecar=sidecar)

    def with_signal(self, signal: ArrayLike, **changes: Any) -> DWI:
        """Return the scan with other values of the volumes that are used.

        Parameters
        ----------
        signal : array_like, shape (..., n_volumes)
            One volume per b-value.
        **changes
            Other arguments of `DWI` that change with it: ``acquisition``, ``value_weights``,
            ``weights``, ``averages``, ``mask``, ``source_context``.

        Returns
        -------
        DWI

        Raises
        ------
        ShapeError
            If the signal has another spatial shape, or another number of volumes than there are
            b-values.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> dwi = ik.DWI(np.ones((4, 3)), [0, 100, 800])
        >>> dwi.with_signal(2 * dwi.signal).curve().tolist()
        [2.0, 2.0, 2.0]
        """
        context = self.source_context
        if context is not None and "source_context" not in changes:
            context = context.of_volumes(self.volumes.tolist())
        acquisition = changes.pop("acquisition", self.acquisition)
        given = self._attributes() | {"source_context": context, **changes}
        given.setdefault("value_weights", self.value_weights)
        return DWI(signal, acquisition, **given)

    def with_average(self, average: str) -> DWI:
        """Return the scan with another way of averaging.

        Raises
        ------
        OptionError
            If `average` is unknown.
        """
        return self._with(average=average)

    def with_weights(self, weights: ArrayLike | None) -> DWI:
        """Return the scan with weights of its volumes; None means equal weights of all images.

        A weight acts before and through every average: the mean of a shell is the weighted mean of
        its volumes (the weighted geometric mean across directions, each with the greatest weight
        of its volumes), and has the sum of the weights in a fit. A volume of weight 0 is left out,
        as if it did not exist; a shell of such volumes keeps its plain mean and has weight 0.

        Parameters
        ----------
        weights : array_like, shape (n_volumes,), (n_b,) or (..., n_volumes), or None
            Weights >= 0; they replace earlier ones. One per entry of `fit_bvals` applies to each
            of its volumes. With the shape of the scan, each value has its own weight: averages and
            fits differ from voxel to voxel, and a value of weight 0 is left out in its voxel.

        Returns
        -------
        DWI

        Raises
        ------
        ShapeError
            If there is not one weight per volume.
        OptionError
            If a weight is negative or not finite, or all are 0.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> dwi = ik.DWI([[100.0, 50.0, 90.0, 40.0]], [0, 800, 0, 800])
        >>> dwi.with_weights([1, 1, 0, 3]).curve().tolist()
        [100.0, 42.5]
        >>> two = ik.DWI([[100.0, 50.0, 40.0], [80.0, 0.0, 20.0]], [0, 800, 800])
        >>> two.with_weights([[1, 1, 1], [1, 0, 1]]).curve().tolist()
        [90.0, 32.5]
        """
        if weights is None:
            return self._with(weights=None, value_weights=None)
        if np.ndim(weights) > 1:
            return self._with(weights=None, value_weights=weights)
        return self._with(weights=self._per_volume(weights, "weights"), value_weights=None)

    def with_averages(self, averages: ArrayLike | None) -> DWI:
        """Return the scan with the number of magnitude images whose mean each volume is.

        Scanners and other software often store means. A mean of n magnitudes has the noise floor
        of one of them, and a spread that is smaller by the root of n: sigma remains that of one
        image. Unless other weights were given, the numbers are the weights of the volumes. Images
        that were averaged as complex numbers have the floor of their mean: they count as one.

        Parameters
        ----------
        averages : float or array_like, shape (n_volumes,) or (n_b,), or None
            Numbers >= 1, one for all volumes, or one each, or one per entry of `fit_bvals` for
            each of its volumes; None for single images.

        Returns
        -------
        DWI

        Raises
        ------
        ShapeError
            If there is not one number per volume.
        OptionError
            If a number is less than 1 or not finite.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> dwi = ik.DWI(np.ones((2, 3)), [0, 0, 800]).with_averages([1, 3, 8])
        >>> dwi.fit_counts.tolist(), dwi.fit_averages.tolist()
        ([4.0, 8.0], [4.0, 8.0])
        """
        if averages is not None and np.ndim(averages) > 0:
            averages = self._per_volume(averages, "averages")
        own = self.weights is not None and (
            self.averages is None or not np.array_equal(self.weights, self.averages)
        )
        return self._with(averages=averages, weights=self.weights if own else None)

    def _per_volume(self, values: ArrayLike, what: str) -> NDArray[np.float64]:
        """Return one number per volume, of numbers per volume or per fitted value."""
        given = np.asarray(values, dtype=np.float64)
        n_volumes, n_b = self.acquisition.n_volumes, len(self.fit_bvals)
        if given.ndim != 1 or given.size not in (n_volumes, n_b):
            or_values = f", or one per value of the scan {(*self.shape, n_volumes)}"
            raise ShapeError(
                f"{what} have shape {given.shape}; expected one per distinct b-value ({n_b}) "
                f"or per volume ({n_volumes}){or_values if what == 'weights' else ''}"
            )
        if given.size == n_volumes:
            return given
        spread = np.empty(n_volumes)
        for shell, value in zip(self.acquisition.shells, given, strict=True):
            spread[list(shell.volumes)] = value
        return spread

    def with_value_weights(self, weights: ArrayLike | None) -> DWI:
        """Return the scan with weights of its values, which multiply those of its volumes.

        Parameters
        ----------
        weights : array_like, shape (..., n_volumes), or None
            Weights >= 0; None for 1 everywhere.

        Raises
        ------
        ShapeError, InputError, OptionError
            As `with_weights`.
        """
        return self._with(value_weights=weights)

    def without_unused(self) -> DWI:
        """Return the scan where volumes without any weight in the mask have the weight 0."""
        if self.weights_of_values is None or self.used_volumes.all():
            return self
        weights = np.ones(len(self.volumes)) if self.weights is None else self.weights
        return self._with(weights=np.where(self.used_volumes, weights, 0.0))

    def weights_at(self, index: tuple[int, ...]) -> NDArray[np.float64] | None:
        """Return the weights of the volumes in one voxel, shape (n_volumes,); None for equal ones.

        Those of the volumes, where nothing of the voxel has a weight.
        """
        if self.weights_of_values is None:
            return self.weights
        own = np.asarray(self.weights_of_values[index], dtype=np.float64)
        combined = own if self.weights is None else own * self.weights
        return combined if combined.any() else self.weights

    def patterns(self, reader: VoxelReader) -> Patterns | None:
        """Return the voxels of a reader in groups with the same weights of all values.

        Each group can be fitted as a scan with weights of its volumes: `of_pattern`.

        Parameters
        ----------
        reader : VoxelReader
            A reader of this scan.

        Returns
        -------
        Patterns or None
            None if there are no weights of single values, and none is missing.
        """
        if self.weights_of_values is None:
            return None
        weights = 1.0 if self.weights is None else self.weights
        rows = (block * weights for block in self._weight_rows(reader))
        return Patterns.of(rows, self._alike)

    def of_pattern(self, row: NDArray[np.float64]) -> DWI:
        """Return the scan with the weights of a group of voxels, one per volume; perhaps all 0."""
        made = self._with(weights=None, value_weights=None)
        object.__setattr__(made, "weights", row)
        return made

    @property
    def weight_summary(self) -> WeightSummary | None:
        """How many values of the mask have a weight of 0, or another one than 1, or are missing.

        Whatever the weights of the volumes are.
        """
        if self.weights_of_values is None:
            return None
        missing = 0 if self.missing is None else int(np.count_nonzero(self.missing[self.mask]))
        found = summary_of(self._weight_rows(self.voxels()), self._usual_weights)
        return replace(found, missing=missing)

    @property
    def images_per_volume(self) -> NDArray[np.float64] | None:
        """Number of images as acquired with the same noise as each volume; None for 1.

        More than one where volumes are means of images, or were interpolated.
        """
        shares = self.history.noise_shares
        if shares is None or len(shares) != self.stored.shape[-1]:
            return self.averages
        averages = 1.0 if self.averages is None else self.averages
        return np.asarray(averages / np.array(shares)[self.volumes])

    @property
    def _usual_weights(self) -> NDArray[np.float32] | None:
        """Weights by what interpolation left of the noise of each volume; None for 1."""
        known = self.history.interpolated_weights
        if known is None:
            return None
        if len(known) != self.stored.shape[-1]:
            # Volumes were averaged since.
            return np.full(len(self.volumes), np.nan, dtype=np.float32)
        return np.array(known, dtype=np.float32)[self.volumes]

    def left_out_counts(self, reader: VoxelReader) -> NDArray[np.intp]:
        """Return the number of values with weight 0 in each voxel of a reader of this scan."""
        if self.weights_of_values is None:
            return np.zeros(reader.n_voxels, dtype=np.intp)
        rows = self._weight_rows(reader)
        return np.concatenate([np.count_nonzero(block == 0.0, axis=1) for block in rows])

    def _weight_rows(self, reader: VoxelReader) -> Iterator[NDArray[np.float64]]:
        """Yield the weights of the values of the voxels of a reader, some voxels at a time."""
        each = self.with_average("none")._with(weights=None, averages=None).voxels()
        for start in range(0, reader.n_voxels, _PATTERN_CHUNK):
            part = each.at(reader.index[start : start + _PATTERN_CHUNK])
            yield part.read_weights(0, part.n_voxels)

    @cached_property
    def _alike(self) -> list[NDArray[np.intp]]:
        """Sets of volumes that can change places: only the weights of the set matter."""
        if self.average == "none":
            return []
        found: list[NDArray[np.intp]] = []
        for shell in self.acquisition.shells:
            groups: tuple[tuple[int, ...], ...] = (shell.volumes,)
            if self.average == "auto" and self.acquisition.bvecs is not None:
                groups = self.acquisition.directions(shell.volumes)
                if all(len(group) == 1 for group in groups):
                    groups = (shell.volumes,)
            columns = [self.acquisition.bvals, *self.acquisition.variables.values()]
            if self.averages is not None:
                columns.append(self.averages)
            for group in groups:
                volumes = np.array(group, dtype=np.intp)
                if len(group) > 1 and all((c[volumes] == c[volumes[0]]).all() for c in columns):
                    found.append(volumes)
        return found

    def curve(self, mask: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the mean signal of a region, one value per entry of `fit_bvals`.

        Volumes are selected, weighted and averaged in each voxel as for a fit.

        Parameters
        ----------
        mask : array_like, shape (...), optional
            The region, where > 0; only voxels in the mask of the scan count, which is the default.

        Returns
        -------
        ndarray, shape (n_b,)
            Signal, a.u.; voxels in which one of the values is not finite are left out.

        Raises
        ------
        ShapeError
            If the mask has another shape, or no voxel of the scan's mask is in it.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> dwi = ik.DWI([[100, 60, 20], [200, 80, 40]], [0, 500, 1000])
        >>> dwi.curve().tolist(), dwi.select(bmax=500).curve([0, 1]).tolist()
        ([150.0, 70.0, 30.0], [200.0, 80.0])
        """
        region = self if mask is None else self.with_mask(mask)
        reader = region.with_mask(region.mask & self.mask).voxels()
        total, n = np.zeros(reader.n_columns), 0
        used = self.fit_counts > 0.0
        for start in range(0, reader.n_voxels, _CHUNK):
            values = np.empty((min(_CHUNK, reader.n_voxels - start), reader.n_columns))
            reader.read(start, start + _CHUNK, values)
            values = values[np.isfinite(values[:, used]).all(axis=1)]
            total += values.sum(axis=0)
            n += len(values)
        return total / n if n else np.full(reader.n_columns, np.nan)

    def voxels(self) -> VoxelReader:
        """Return a reader of the voxels in the mask.

        Returns
        -------
        VoxelReader
            With one column per entry of `fit_bvals`.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> reader = ik.DWI(np.ones((5, 3)), [0, 100, 800]).voxels()
        >>> out = np.empty((5, 3))
        >>> reader.read(0, 5, out)
        >>> out.sum()
        np.float64(15.0)
        """
        if self.average == "none":
            columns = [Column(((int(volume),),)) for volume in self.volumes]
        else:
            columns = [self._column(shell) for shell in self.acquisition.shells]
        return self._reader(self.mask, columns, self._by_volume(self.weights_of_values))

    def mean_image(self, b: float) -> NDArray[np.float64]:
        """Return the averaged image of the shell nearest to a b-value, also outside the mask.

        If several settings have that b-value, the first of them: the shortest echo time.

        Parameters
        ----------
        b : float
            b-value in s/mm^2.

        Returns
        -------
        ndarray, shape (...)
            Signal, a.u.
        """
        return self.shell_image(self._nearest_shell(b))

    def mean_values(self, b: float, mask: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the values of `mean_image` in some voxels, without an image of all.

        Parameters
        ----------
        b : float
            b-value in s/mm^2.
        mask : array_like, shape (...), optional
            The voxels, where > 0; those in the mask of the scan by default.

        Returns
        -------
        ndarray, shape (n_voxels,)
            Signal, a.u., in the memory order of the scan, that of `voxels`.
        """
        inside = self.mask if mask is None else np.asarray(mask) > 0
        return self._averaged(self._nearest_shell(b), inside)[1]

    def mean_part(self, b: float, box: Sequence[slice | Sequence[int]]) -> NDArray[np.float64]:
        """Return a part of `mean_image`, without an image of all voxels.

        Parameters
        ----------
        b : float
            b-value in s/mm^2.
        box : sequence of slice, and of a sequence of int
            For each axis of space a slice with positive steps; for one of them it may be a list of
            positions.

        Returns
        -------
        ndarray
            Signal, a.u.; of the shape of a part of an array.

        Examples
        --------
        >>> import numpy as np, ivimkit as ik
        >>> dwi = ik.DWI(np.ones((4, 3, 5, 2)), [0, 800])
        >>> dwi.mean_part(0, (slice(0, 2), slice(None), [4, 1])).shape
        (2, 3, 2)
        """
        # Each voxel once, in the order in which voxels are read; then as they are asked for.
        once: list[Any] = [one if isinstance(one, slice) else np.unique(one) for one in box]
        order: list[Any] = [
            slice(None) if isinstance(one, slice) else np.searchsorted(own, one)
            for one, own in zip(box, once, strict=True)
        ]
        chosen = np.zeros(self.shape, dtype=bool, order="F")
        chosen[tuple(once)] = True
        reader, values = self._averaged(self._nearest_shell(b), chosen)
        part = values.reshape(chosen[tuple(once)].shape, order=reader.order)
        return np.asarray(part[tuple(order)])

    def _nearest_shell(self, b: float) -> int:
        shells = self.acquisition.shells
        return min(range(len(shells)), key=lambda k: abs(shells[k].b - b))

    def shell_image(self, number: int) -> NDArray[np.float64]:
        """Return the averaged image of a shell by its position, also outside the mask.

        Parameters
        ----------
        number : int
            Position among the shells of the acquisition.

        Returns
        -------
        ndarray, shape (...)
            Signal, a.u., of the values that have a weight, or of all where none has; NaN where all
            are missing.
        """
        reader, values = self._averaged(number, _everywhere(self.shape))
        return np.asarray(reader.scatter(values, np.nan))

    def _averaged(
        self, number: int, mask: NDArray[np.bool_]
    ) -> tuple[VoxelReader, NDArray[np.float64]]:
        """Return the averages of a shell in some voxels, and the reader that has their order."""
        reader, values = self._average_of(number, mask, self.value_weights)
        if self.value_weights is not None:
            # It is to be looked at: where nothing has a weight, what there is.
            _, plain = self._average_of(number, mask, None)
            values = np.where(np.isnan(values), plain, values)
        return reader, values

    def _average_of(
        self, number: int, mask: NDArray[np.bool_], given: NDArray[Any] | None
    ) -> tuple[VoxelReader, NDArray[np.float64]]:
        """Return an average of the values that are there, by the weights given."""
        columns = [self._column(self.acquisition.shells[number])]
        used = sorted({v for column in columns for group in column.groups for v in group})
        weights = self._by_volume(given)
        # Not `missing`: the other volumes need not be read.
        lost = _not_finite(self.stored, np.array(used, dtype=np.intp))
        if lost is not None:
            kept = np.logical_not(lost).view(np.uint8)
            weights = {
                volume: kept[..., k] if weights is None else kept[..., k] * weights[volume]
                for k, volume in enumerate(used)
            }
        reader = self._reader(mask, columns, weights)
        values = np.empty((reader.n_voxels, 1))
        for start in range(0, reader.n_voxels, _CHUNK):
            reader.read(start, start + _CHUNK, values[start : start + _CHUNK])
        return reader, values[:, 0]

    def _reader(
        self,
        mask: NDArray[np.bool_],
        columns: Sequence[Column],
        by_volume: dict[int, NDArray[Any]] | None,
    ) -> VoxelReader:
        """Return a reader of some voxels, by the weights of values of each volume."""
        lazy = as_lazy(self.stored)
        if lazy is not None:
            return SlabReader(lazy, mask, columns, by_volume)
        return VoxelReader(self.stored, mask, columns, by_volume)

    def _by_volume(self, weights: NDArray[Any] | None) -> dict[int, NDArray[Any]] | None:
        """Return weights of values by the number of the volume in the stored array."""
        if weights is None:
            return None
        return {int(v): weights[..., k] for k, v in enumerate(self.volumes)}

    def _used(self, shell: Shell) -> tuple[int, ...]:
        """Return the volumes of a shell that have a weight; all of them if none has."""
        if self.weights is None:
            return shell.volumes
        return tuple(v for v in shell.volumes if self.weights[v] > 0.0) or shell.volumes

    def _mean_of(self, values: NDArray[np.float64], shell: Shell) -> float:
        used = list(self._used(shell))
        if len(used) == 1:
            return float(values[used[0]])
        own = values[used]
        # For equal values exactly that value, as a sum would round.
        if (own == own[0]).all():
            return float(own[0])
        if self.weights is None:
            return float(own.mean())
        weights = self.weights[used]
        alike = np.all(weights == weights[0])
        return float(own.mean() if alike else np.average(own, weights=weights))

    def _column(self, shell: Shell) -> Column:
        """Translate a shell to volumes of the signal array, grouped for averaging."""
        used = self._used(shell)
        groups: tuple[tuple[int, ...], ...] = (used,)
        if self.average == "auto" and self.acquisition.bvecs is not None:
            groups = self.acquisition.directions(used)
        elif self.average == "geometric":
            groups = tuple((volume,) for volume in used)
        weights = None
        if self.weights is not None and self.weights[list(used)].any():
            weights = tuple(tuple(float(self.weights[v]) for v in group) for group in groups)
        return Column(
            tuple(tuple(int(self.volumes[v]) for v in group) for group in groups), weights
        )

    def _attributes(self) -> dict[str, Any]:
        """Return what another scan made of this one keeps, as arguments of `DWI`.

        All but signal, acquisition and volumes; and weights of values, which need no second check.
        """
        return {
            "mask": self.mask,
            "geometry": self.geometry,
            "average": self.average,
            "sources": self.sources,
            "mask_origin": self.mask_origin,
            "weights": self.weights,
            "averages": self.averages,
            "source_context": self.source_context,
            "history": self.history,
            "sidecar": self.sidecar,
        }

    def _with(self, **changes: Any) -> DWI:
        given = self._attributes() | {"volumes": self.volumes, "mask": None, **changes}
        made = DWI(self.stored, given.pop("acquisition", self.acquisition), **given)
        if "mask" not in changes:
            # It was checked, voxel by voxel, when it was given.
            object.__setattr__(made, "mask", self.mask)
        if "value_weights" not in changes:
            # They were checked, value by value, when they were given.
            object.__setattr__(made, "value_weights", self.value_weights)
        if "missing" in vars(self) and "volumes" not in changes:
            # The signal is the same, and need not be searched again.
            vars(made)["missing"] = self.missing
        return made


def _placed(affine: ArrayLike | None) -> Geometry:
    geometry = Geometry(affine)
    if geometry.singular:
        raise ShapeError(
            "the affine is singular: voxels have no volume; expected a matrix with three edges "
            "longer than 0. Leave it out if the positions do not matter"
        )
    return geometry


def _acquisition(
    bvals: ArrayLike | Acquisition,
    bvecs: ArrayLike | None,
    variables: Mapping[str, Any] | None,
    tolerance: float | None,
) -> Acquisition:
    if not isinstance(bvals, Acquisition):
        return Acquisition(bvals, bvecs, variables=variables, tolerance=tolerance)
    if bvecs is not None or variables is not None or tolerance is not None:
        raise OptionError(
            "an Acquisition was given with separate directions, variables or a tolerance; "
            "expected them in the Acquisition"
        )
    return bvals


def _checked_signal(signal: ArrayLike) -> NDArray[Any]:
    if np.ma.isMaskedArray(signal):
        raise InputError(
            "the signal is a masked array; expected a plain one. "
            "Pass signal.filled(numpy.nan), or the mask as mask="
        )
    data = _held(signal)
    if data.dtype.kind == "c":
        raise InputError(
            f"the signal is complex ({data.dtype}); expected magnitudes. Take numpy.abs of it"
        )
    if data.dtype.kind not in "iuf":
        raise InputError(f"the signal is of type {data.dtype}; expected real numbers")
    if data.ndim == 0 or data.size == 0:
        raise ShapeError(
            f"the signal has shape {data.shape}; expected (..., n_b), with the b-values on the "
            "last axis, and at least one voxel"
        )
    return data


def _held(signal: ArrayLike) -> NDArray[Any]:
    """Return the signal as an array of numpy, or as one that is read when it is needed."""
    lazy = as_lazy(signal)
    if lazy is None and is_lazy(signal):
        lazy = LazySignal(cast("LazyArray", signal))
    return np.asarray(signal) if lazy is None else cast("NDArray[Any]", lazy)


def _not_finite(stored: NDArray[Any], volumes: NDArray[np.intp]) -> NDArray[np.bool_] | None:
    """Return which values of some volumes are NaN or infinite; None if all are finite."""
    if stored.dtype.kind != "f":
        return None
    lazy = as_lazy(stored)
    if lazy is not None:
        return _not_finite_of_slabs(lazy, volumes)
    with np.errstate(invalid="ignore", over="ignore"):
        # One pass without a copy: a sum of finite numbers is finite unless it overflows.
        whole = volumes.size == stored.shape[-1] and not stored.flags.f_contiguous
        sums = [stored.sum()] if whole else [stored[..., v].sum() for v in volumes]
    if np.isfinite(sums).all():
        return None
    lost = [~np.isfinite(stored[..., v]) for v in volumes]
    return np.stack(lost, axis=-1) if np.any(lost) else None


def _not_finite_of_slabs(
    signal: LazySignal, volumes: NDArray[np.intp]
) -> NDArray[np.bool_] | None:
    """Return the same of a scan that is not in memory, read slab by slab."""
    lost: NDArray[np.bool_] | None = None
    step = signal.thickness()
    for start in range(0, signal.shape[-2], step):
        planes = slice(start, start + step)
        finite = np.isfinite(signal[..., planes, volumes])
        if finite.all():
            continue
        if lost is None:
            shape = (*signal.shape[:-1], len(volumes))
            check_whole(math.prod(shape), "the list of missing values (NaN)")
            lost = np.zeros(shape, dtype=bool)
        lost[..., planes, :] = ~finite
    return lost


def _checked_volumes(
    volumes: ArrayLike | None, shape: tuple[int, ...], acquisition: Acquisition
) -> NDArray[np.intp]:
    n = acquisition.n_volumes
    index = np.arange(shape[-1]) if volumes is None else np.array(volumes, dtype=np.intp)
    if index.shape != (n,):
        what = "volumes on its last axis" if volumes is None else "selected volumes"
        hint = f" Axis {shape.index(n)} fits: use numpy.moveaxis." if n in shape[:-1] else ""
        raise ShapeError(
            f"the signal of shape {shape} has {len(index)} {what} and there are {n} b-values; "
            f"expected one b-value per volume.{hint} Check that scan and b-values belong together"
        )
    if volumes is not None and (index.min() < 0 or index.max() >= shape[-1]):
        raise ShapeError(
            f"volumes {index.min()} to {index.max()} are to be used; "
            f"expected 0 to {shape[-1] - 1}, as the signal has shape {shape}"
        )
    index.setflags(write=False)
    return index


def _checked_weights(weights: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    if weights is None:
        return None
    given = np.array(weights, dtype=np.float64)
    if given.shape != (n,):
        raise ShapeError(f"weights have shape {given.shape}; expected one per volume, ({n},)")
    if not (np.isfinite(given).all() and (given >= 0.0).all()):
        raise OptionError("weights must be finite and >= 0; set a weight to 0 to leave it out")
    if not given.any():
        raise OptionError("all weights are 0; expected volumes with a weight. Leave them out")
    given.setflags(write=False)
    return given


def _checked_averages(averages: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    """Return the number of images behind each volume; None if each is a single one."""
    if averages is None:
        return None
    given = np.array(averages, dtype=np.float64)
    if given.ndim == 0:
        given = np.full(n, given)
    if given.shape != (n,):
        raise ShapeError(f"averages have shape {given.shape}; expected one per volume, ({n},)")
    if not (np.isfinite(given).all() and (given >= 1.0).all()):
        wrong = given[~(np.isfinite(given) & (given >= 1.0))][0]
        raise OptionError(
            f"averages contain {wrong:g}; expected numbers >= 1, of the images whose mean each "
            "volume is. To leave a volume out, give it the weight 0"
        )
    if np.all(given == 1.0):
        return None
    given.setflags(write=False)
    return given


def _checked_mask(mask: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask is None:
        return _everywhere(shape)
    array = np.asarray(mask)
    if array.shape != shape:
        raise ShapeError(
            f"the mask has shape {array.shape}; expected {shape}, that of the scan without its "
            "last axis. Resample the mask to the scan"
        )
    if array.dtype.kind not in "biuf":
        raise InputError(f"the mask is of type {array.dtype}; expected numbers, > 0 inside")
    inside = np.array(array > 0)
    if not inside.any():
        raise ShapeError(
            "the mask is empty; expected at least one voxel > 0. Check it, or leave it out to "
            "fit all voxels"
        )
    inside.setflags(write=False)
    return inside


def _everywhere(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask of all voxels that uses no memory."""
    return np.broadcast_to(np.True_, shape)
