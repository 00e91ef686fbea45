"""FitResult: the maps of a fit, the status of every voxel, and their provenance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine import evaluate
from ivimkit.errors import FitFailedError, OptionError, ShapeError
from ivimkit.extend.derived_maps import describe as describe_map
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.map_names import MapsByName, StoredMaps
from ivimkit.fitting.maps_within import MapsWithin
from ivimkit.fitting.result_forms import DatasetForm, dataset_of, form_of, frame_of
from ivimkit.fitting.result_text import lines_of_maps, lines_of_regions
from ivimkit.fitting.screening import Screening
from ivimkit.fitting.settings import FitSettings
from ivimkit.fitting.spectra import Spectrum, require_spectra, spectrum_of
from ivimkit.fitting.voxel_maps import VoxelMaps
from ivimkit.rounding import thousands, times
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.blocks import Box, boxes_of, finite
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.history import NO_HISTORY, History
from ivimkit.scan.labels import Labels
from ivimkit.scan.nifti_image import as_float32, nifti_image
from ivimkit.scan.source_context import SourceContext
from ivimkit.scan.value_weights import WeightSummary
from ivimkit.scan.variables import points
from ivimkit.status import (
    FAILED,
    WITHOUT_FIT,
    FitStatus,
    StatusCodes,
    at_lower,
    at_upper,
    describe,
    uncertain,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["FitResult", "Learned", "Provenance", "VoxelMaps"]

_COUNTED = 1 << 15
"""Voxels whose weights are in memory at a time."""


class _Suffixed(MapsByName[Any]):
    """The maps whose names end in given suffixes, by the names before them."""

    def __init__(
        self,
        maps: Mapping[str, Any],
        suffixes: tuple[str, ...],
        order: Sequence[str],
        what: str = "uncertainty of",
        advice: str = "fit with uncertainty=... or with method bayes",
    ) -> None:
        self._maps = maps
        self._suffixes = suffixes
        self._order = order
        self._what = what
        self._advice = advice

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            there = ", ".join(self) or f"none: {self._advice}"
            raise OptionError(f"there is no {self._what} {name!r}; there is {there}")
        found = tuple(self._maps[name + suffix] for suffix in self._suffixes)
        return found[0] if len(found) == 1 else found

    def __contains__(self, name: object) -> bool:
        return all(f"{name}{suffix}" in self._maps for suffix in self._suffixes)

    def __iter__(self) -> Iterator[str]:
        return (name for name in dict.fromkeys(self._order) if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Provenance:
    """Origin of a result: everything that is not in `FitSettings`.

    Parameters
    ----------
    versions : mapping of str to str
        Versions of ivimkit and of the packages that compute.
    bvals, counts : sequence of float
        b-values used in s/mm^2, and the number of volumes of each.
    sources : sequence of mapping
        Input files: role, path, SHA-256.
    started : str
        Date and time, ISO 8601, UTC.
    seconds : float
        Duration of the fit.
    threads : int
        Number of threads.
    status_counts : mapping of str to int
        Voxels per status flag.
    device : str
        The device that computed it: ``"cpu"``, or the numbers and the kind of the GPUs.
    cpu_target : str
        The processor that code was compiled for, such as ``"znver3"``; ``"x86-64-v3"`` for
        portable bits, see `ivimkit.use_portable_bits`.
    region_voxels : mapping of str to int
        Voxels in each mean signal, by region, of `ivimkit.quality.roi_fit`; empty for a scan.
    chosen : mapping of str to str
        Options of the method that were found from the scan, and how, e.g.
        ``{"regularisation": "gcv, 500 voxels"}``.
    value_weights : WeightSummary, optional
        How many values were left out, if single values had weights.
    history : History
        What was done to the scan before the fit, see `ivimkit.preprocess`.
    """

    versions: Mapping[str, str]
    bvals: Sequence[float]
    counts: Sequence[float]
    sources: Sequence[Mapping[str, str]]
    started: str
    seconds: float
    threads: int
    status_counts: Mapping[str, int]
    device: str = "cpu"
    cpu_target: str = ""
    region_voxels: Mapping[str, int] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    value_weights: WeightSummary | None = None
    history: History = NO_HISTORY


@dataclass(frozen=True, eq=False)
class Learned:
    """Prior and noise of method bayes in one region, given or learned from its voxels.

    Parameters
    ----------
    prior : PriorTable or ModelPrior
        The prior; the second for models that are not two decays.
    variance : tuple of float
        Distribution of the noise variances: degrees of freedom, and scale in a.u.^2; zeros where
        it is estimated in each voxel.
    """

    prior: PriorTable | ModelPrior
    variance: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """The result of `ivimkit.fit`.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (...)
        One map per parameter of the model and ``ADC``, ``fD_star`` (with D*), ``rmse``, ``r2``,
        ``cost``, ``n_iter``; NaN where a voxel has no value. Those of a scan larger than memory
        are float32 on disk, and are read where they are looked at.
    status : ndarray of int, shape (...)
        See `ivimkit.status.FitStatus`; 0 is a fitted voxel without any flag.
    settings : FitSettings
        How the fit was made: model, method, uncertainty, noise, weights ...
    acquisition : Acquisition
        b-values of the volumes used.
    geometry : Geometry
        Position and size of the voxels.
    provenance : Provenance
        Origin: versions, input files, time, device.
    learned : mapping of str to Learned
        Prior and noise of method bayes, by region ("all" without labels).
    dwi : DWI, optional
        The scan that was fitted, for curves and residuals; None where it is not available, see
        `scan`.
    source_context : SourceContext, optional
        What the files of the scan say of patient, study and images, for results in the same form.
    spectra : ndarray, shape (..., n_bins), optional
        Amplitudes of the spectra of all voxels, a.u., if method nnls was told to keep them; see
        `spectrum`.
    also : FitResult, optional
        The fit of the same scan by another method, if one was asked for.
    screening : Screening, optional
        Which volumes and values were left out because they do not belong to the scan, if the
        method was told to look for them (option ``robust``).
    value_weights : ndarray, shape (..., n_volumes), optional
        Weights of single values, those that were given and those of the screening.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> b = np.array([0, 10, 20, 50, 100, 200, 400, 800])
    >>> signal = ik.simulate.signals("biexp", [1000, 0.1, 0.02, 1e-3], b)
    >>> result = ik.fit(signal, b)
    >>> round(float(result["D"]), 6)
    0.001
    """

    maps: Mapping[str, NDArray[np.float64]]
    status: NDArray[np.int32]
    settings: FitSettings
    acquisition: Acquisition
    geometry: Geometry
    provenance: Provenance
    learned: Mapping[str, Learned] = field(default_factory=dict)
    dwi: DWI | None = None
    source_context: SourceContext | None = None
    spectra: NDArray[np.float32] | None = None
    also: FitResult | None = None
    screening: Screening | None = None
    value_weights: NDArray[Any] | None = None

    def __repr__(self) -> str:
        """Return what was fitted, and the usual numbers: median and quartiles of each map."""
        total, fitted = self.codes.inside.total, self.codes.fitted.total
        regions = list(self.provenance.region_voxels)
        names = [name for name in self.model.shown_maps if name in self.maps]
        shown = [describe_map(name, self.model.quantities) for name in names]
        if regions:
            where, lines = "mean signals", lines_of_regions(self.maps, shown, regions)
        else:
            where, lines = times(self.shape, "voxel"), lines_of_maps(self.maps, shown)
        return "\n  ".join(
            [
                f"FitResult: {self.model.title} by {self.method.title}",
                f"{where}, {thousands(fitted)} of {thousands(total)} fitted",
                *lines,
            ]
        )

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return a map by its name, shape (...): short for ``result.maps[name]``."""
        if name not in self.maps:
            raise OptionError(f"there is no map {name!r}; there are {', '.join(self.maps)}")
        return self.maps[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is a map of that name."""
        return name in self.maps

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the maps."""
        return iter(self.maps)

    def keys(self) -> KeysView[str]:
        """Return the names of the maps, so that ``dict(result)`` has all of them."""
        return self.maps.keys()

    def image(self, name: str, *, reliable: bool = False) -> Any:
        """Return a map as an image of nibabel, where the scan was.

        nilearn and other packages that work on images take it as it is. The header has the name
        of the map and its unit, and the display range as the window of viewers.

        Parameters
        ----------
        name : str
            Name of a map, or ``"status"``.
        reliable : bool
            Whether voxels that the data do not determine are NaN, see `FitResult.reliable`.

        Returns
        -------
        nibabel.Nifti1Image or nibabel.Nifti2Image
            float32, or int32 for the status, with the geometry fields of the scan; what
            `ivimkit.save` writes.

        Raises
        ------
        OptionError
            If there is no such map; the message lists those there are.

        Examples
        --------
        >>> import ivimkit as ik
        >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
        >>> result.image("D").shape
        (12, 10, 1)
        """
        if name == "status":
            return nifti_image(self.status, self.geometry)
        about = describe_map(name, self.model.quantities)
        values = self[name]
        return nifti_image(
            as_float32(self.reliable(name) if reliable else values), self.geometry, about
        )

    def to_nifti(self, name: str) -> Any:
        """Return ``image(name)``: its name next to `to_xarray` and `to_dataframe`."""
        return self.image(name)

    def to_xarray(self) -> xr.Dataset:
        """Return maps and status as a data set of xarray, described as in the CF conventions.

        The variables have ``units`` and ``long_name``; the status has ``flag_masks`` and
        ``flag_meanings``. Coordinates are distances along the axes of the voxels, mm; the affine,
        by rows, is an attribute of the data set.

        Returns
        -------
        xarray.Dataset
            With the axes x, y and z of an image, or voxel.

        Raises
        ------
        OptionError
            If xarray is not installed (``pip install ivimkit[xarray]``).

        Examples
        --------
        >>> import ivimkit as ik
        >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
        >>> dataset = result.to_xarray()  # doctest: +SKIP
        >>> dataset["D"].sel(z=0).plot()  # doctest: +SKIP
        """
        return dataset_of(self.maps, self.status, self.dataset_form())

    def dataset_form(self) -> DatasetForm:
        """Return what a data set of the maps says of them, without their values."""
        return form_of(
            list(self.maps),
            self.status,
            self.settings,
            self.geometry,
            versions=self.provenance.versions,
            bvals=self.provenance.bvals,
        )

    def to_dataframe(self, labels: Labels | ArrayLike | None = None) -> pd.DataFrame:
        """Return a table of pandas with one row per voxel of the mask.

        Parameters
        ----------
        labels : Labels or array_like of int, shape (...), optional
            Regions, for the column ``region``, which is missing (NaN) outside of them.

        Returns
        -------
        pandas.DataFrame
            One column per map, in the stored units, which are in ``attrs["units"]``, and
            ``status``; the index is the position of the voxel.

        Raises
        ------
        ShapeError
            If the labels have another shape than the maps.

        Examples
        --------
        >>> import ivimkit as ik
        >>> made = ik.simulate.phantom(shape=(24, 18, 1))
        >>> table = ik.fit(made.dwi).to_dataframe(ik.Labels(made.labels, made.label_names))
        >>> bool(table.groupby("region", observed=True)["D"].median()["liver"] < 2e-3)
        True
        """
        own = None if labels is None else labels if isinstance(labels, Labels) else Labels(labels)
        if own is not None and own.array.shape != self.shape:
            raise ShapeError(
                f"the labels have shape {own.array.shape}; expected {self.shape}, that of the maps"
            )
        return frame_of(self.maps, self.status, self.mask, self.model, own)

    @property
    def model(self) -> SignalModel:
        """The model, with the bounds and fixed values of the fit."""
        return self.settings.model

    @property
    def method(self) -> FitMethod:
        """The method, with its options."""
        return self.settings.method

    @property
    def priors(self) -> Mapping[str, PriorTable | ModelPrior]:
        """Priors that method bayes used, by region ("all" without labels)."""
        return {region: one.prior for region, one in self.learned.items()}

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape."""
        return self.status.shape

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Voxels to fit, shape (...)."""
        inside: NDArray[np.bool_] = (self.status & int(FitStatus.OUTSIDE_MASK)) == 0
        return inside

    @cached_property
    def codes(self) -> StatusCodes:
        """The codes of the status, and their numbers, from which follows any count of flags."""
        return StatusCodes.of(self.status)

    def within(self, box: Box) -> FitResult:
        """Return the maps and the status of a part of the voxels, as a result of its own.

        Everything else is that of the whole: settings, provenance, geometry; but it has no scan.

        Parameters
        ----------
        box : tuple
            A slice for each axis of the maps, or one list of positions among slices.

        Examples
        --------
        >>> import ivimkit as ik
        >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 2)).dwi)
        >>> result.within((slice(None), slice(None), [1])).shape
        (12, 10, 1)
        """
        return dataclasses.replace(
            self,
            maps=MapsWithin(self.maps, box),
            status=np.asarray(self.status[box]),
            dwi=None,
            spectra=None,
            also=None,
            value_weights=None,
        )

    def blocks(self) -> Iterator[tuple[Box, FitResult]]:
        """Go through the result, some planes at a time: maps may be larger than memory.

        Yields
        ------
        tuple, FitResult
            Where the planes are, and what is there, see `within`.
        """
        for box in boxes_of(self.status):
            yield box, self.within(box)

    def gathered(self, pick: Callable[[Box, FitResult], NDArray[Any]]) -> NDArray[Any]:
        """Return numbers of all blocks in one row.

        Parameters
        ----------
        pick : callable
            What to take of each block; see `blocks` for its arguments.
        """
        found = [np.atleast_1d(pick(box, part)) for box, part in self.blocks()]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def values_of(self, name: str) -> NDArray[np.float64]:
        """Return the values that a map has, in one row; their order is that of the blocks.

        Parameters
        ----------
        name : str
            Name of a map.

        Returns
        -------
        ndarray, shape (n,)
            Finite.

        Examples
        --------
        >>> import ivimkit as ik
        >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 2)).dwi)
        >>> result.values_of("D").size == result.codes.fitted.total
        True
        """
        return self.gathered(lambda _, part: finite(part.maps[name]))

    def fitted_voxels(self) -> NDArray[np.bool_]:
        """Return the voxels that have a fit.

        Returns
        -------
        ndarray of bool, shape (...)
            Those in the mask whose fit did not fail.

        Examples
        --------
        >>> import ivimkit as ik
        >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 2)).dwi)
        >>> int(result.fitted_voxels().sum()) == result.codes.fitted.total
        True
        """
        return self._marked(lambda part: (part.status & WITHOUT_FIT) == 0)

    def _marked(self, pick: Callable[[FitResult], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """Return the voxels that are picked, block by block, shape (...)."""
        found = np.zeros_like(self.status, dtype=bool)
        for box, part in self.blocks():
            found[box] = pick(part)
        return found

    @property
    def params(self) -> NDArray[np.float64]:
        """Parameters in the model's order, shape (..., n_par)."""
        return np.stack([self.maps[name] for name in self.model.names], axis=-1)

    @property
    def sd(self) -> Mapping[str, NDArray[np.float64]]:
        """Standard deviation per parameter, in its unit, shape (...); NaN where not available.

        Raises
        ------
        OptionError
            If the fit was made without uncertainty, or has none for that parameter.
        """
        return _Suffixed(self.maps, ("_sd",), self._quantities)

    @property
    def interval(self) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The 95 % limits per parameter: a pair of arrays of shape (...).

        Raises
        ------
        OptionError
            If the fit was made without uncertainty, or has none for that parameter.
        """
        return _Suffixed(self.maps, ("_lo", "_hi"), self._quantities)

    @property
    def interval50(self) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The 50 % limits per parameter, of method bayes: a pair of arrays of shape (...).

        The parameter is as likely inside as outside.

        Raises
        ------
        OptionError
            If the fit has none for that parameter.
        """
        names = self._quantities
        advice = "fit with method bayes"
        return _Suffixed(self.maps, ("_lo50", "_hi50"), names, "50 % interval of", advice)

    @property
    def information(self) -> Mapping[str, NDArray[np.float64]]:
        """Information about each parameter that the data added to the prior, in bits, shape (...).

        Of method bayes: the Kullback-Leibler divergence of the posterior from the prior, of each
        parameter alone. Near 0 the estimate is that of the prior; each bit halves the range.

        Raises
        ------
        OptionError
            If the fit has none for that parameter.
        """
        names = self._quantities
        return _Suffixed(self.maps, ("_bits",), names, "information on", "fit with method bayes")

    @property
    def _quantities(self) -> tuple[str, ...]:
        """Names of the parameters, of the ADC, of products and of other derived maps."""
        return (*self.model.names, "ADC", *self.model.further_maps)

    def scan(self, other: DWI | None = None) -> DWI:
        """Return the scan that was fitted.

        Parameters
        ----------
        other : DWI, optional
            The scan, where the result does not have it or another average is wanted.

        Returns
        -------
        DWI
            `other`, or else `dwi`.

        Raises
        ------
        OptionError
            If it is not available; the message says how to name it.
        ShapeError
            If it does not belong to the maps.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi).scan().shape
        (12, 10, 1)
        """
        found = self.dwi if other is None else other
        if found is None:
            raise OptionError(
                "the result does not include its scan; expected the measured signals. Name "
                "the scan that was fitted (--scan)",
                python="Load it with load_result(folder, scan=True), or pass dwi=",
            )
        if found.shape != self.shape:
            raise ShapeError(
                f"the scan has shape {found.shape}; expected {self.shape}, that of the maps. Pass "
                "the scan that was fitted"
            )
        return found

    def value_counts(self) -> NDArray[np.intp]:
        """Return the number of values of each voxel that have a weight in the fit, shape (...).

        Values are averages, see `DWI.fit_bvals`; 0 outside the mask.

        Raises
        ------
        OptionError
            If values were left out of some voxels, and the result does not include its scan.

        Examples
        --------
        >>> import ivimkit as ik
        >>> dwi = ik.simulate.phantom(shape=(12, 10, 1)).dwi
        >>> int(ik.fit(dwi).value_counts().max())
        13
        """
        inside = self.mask
        used = np.asarray(self.provenance.counts) > 0.0
        if self.provenance.value_weights is None:
            return np.where(inside, np.count_nonzero(used), 0)
        if not inside.any():
            return np.zeros(self.shape, dtype=np.intp)
        reader = self.scan().for_variables(self.model.variables).with_mask(inside).voxels()
        counts = np.zeros(reader.n_voxels, dtype=np.intp)
        for start in range(0, reader.n_voxels, _COUNTED):
            stop = min(start + _COUNTED, reader.n_voxels)
            weights = reader.read_weights(start, stop)
            counts[start:stop] = np.count_nonzero(weights[:, used], axis=1)
        found: NDArray[np.intp] = reader.scatter(counts, 0)
        return found

    def predict(
        self,
        bvals: ArrayLike | Mapping[str, ArrayLike],
        *,
        model: SignalModel | None = None,
    ) -> NDArray[np.float64]:
        """Return the fitted signal.

        Parameters
        ----------
        bvals : array_like, shape (n_b,), or mapping of str to array_like
            b-values in s/mm^2; or a table with the variables of the model, like
            ``{"b": [0, 800], "echo_time": 75}``, each with n_b values or one for all.
        model : SignalModel, optional
            The model that was fitted, for a result that was loaded without its equation.

        Returns
        -------
        ndarray, shape (..., n_b)
            Signal, a.u.; NaN where a voxel has no fit.

        Raises
        ------
        OptionError
            If the equation of the model is not available, or another model is given.
        """
        known = self.model if model is None else model
        if known.names != self.model.names:
            raise OptionError(
                f"model {known.name} has the parameters {', '.join(known.names)}; expected those "
                f"of the result, {', '.join(self.model.names)}. Give the model that was fitted"
            )
        return evaluate(known, self.params, points(known.variables, bvals))

    def spectrum(self, where: tuple[int, ...] | ArrayLike) -> Spectrum:
        """Return the spectrum of decay rates of a voxel, or of the mean signal of a region.

        Of method nnls. Of a voxel whose spectrum was kept it needs nothing else; otherwise it is
        computed from the scan, as it was in the fit.

        Parameters
        ----------
        where : tuple of int or array_like of bool, shape (...)
            Position of the voxel, one number per axis; or the region, where True.

        Returns
        -------
        Spectrum
            Rates, amplitudes, windows and peaks.

        Raises
        ------
        OptionError
            If the fit was made by another method, there is no such voxel, or the scan is needed
            and not available.
        ShapeError
            If the region has another shape, or no fitted voxel is in it.

        Examples
        --------
        >>> import ivimkit as ik
        >>> made = ik.simulate.phantom(shape=(24, 24, 1))
        >>> result = ik.fit(made.dwi, method=ik.methods.NNLS(regularisation=0.1))
        >>> spectrum = result.spectrum(made.labels == 1)
        >>> spectrum.rates.shape == spectrum.amplitudes.shape
        True
        """
        method = require_spectra(self.method)
        b, weight = self.provenance.bvals, self.provenance.counts
        if not isinstance(where, tuple):
            region = np.asarray(where, dtype=bool)
            return spectrum_of(self._curve(region), b, weight, self.model, method)
        if len(where) != len(self.shape) or any(
            not 0 <= i < n for i, n in zip(where, self.shape, strict=True)
        ):
            raise OptionError(
                f"there is no voxel {where}; expected {len(self.shape)} numbers inside the shape "
                f"{self.shape} of the maps"
            )
        kept = None if self.spectra is None else self.spectra[where]
        if kept is None:
            region = np.zeros(self.shape, dtype=bool)
            region[where] = True
            return spectrum_of(self._curve(region), b, weight, self.model, method)
        return spectrum_of((), b, weight, self.model, method, amplitudes=kept)

    def _curve(self, region: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the mean signal of a region as it was fitted, shape (n_b,), a.u."""
        scan = self.scan().for_variables(self.model.variables)
        if scan.fit_bvals.size != len(self.provenance.counts):
            raise ShapeError(
                f"the scan has {scan.fit_bvals.size} values per voxel; expected "
                f"{len(self.provenance.counts)}, those of the fit. Load the result with its scan"
            )
        return scan.curve(region)

    def reliable(self, name: str) -> NDArray[np.float64]:
        """Return a map with NaN also where the data do not determine it.

        D* (and f D*) needs a detectable perfusion signal, D a detectable tissue signal. A value at
        a bound of its parameter is decided by the bound, not by the data; only f = 0 is a result,
        as its bound is that of the model itself. f and D* need both compartments: where the tissue
        signal is not detected (f), D is at its lower bound or D* is at its lower bound, tissue was
        fitted as perfusion, and f is far too high. None of the three is reliable where kurtosis is
        likely.

        Parameters
        ----------
        name : str
            Name of a map.

        Returns
        -------
        ndarray, shape (...)
        """
        values = np.array(self.maps[name])
        values[self.unreliable(name)] = np.nan
        return values

    def unreliable(self, name: str) -> NDArray[np.bool_]:
        """Return the voxels in which the data do not determine a map, see `reliable`.

        Parameters
        ----------
        name : str
            Name of a map.

        Returns
        -------
        ndarray of bool, shape (...)
            Whether or not it has a value there.
        """
        return self._marked(lambda part: part._doubtful(name))

    def uncertain(self, name: str) -> NDArray[np.bool_]:
        """Return the voxels whose posterior allows that a map is more than 50 % off.

        That has a probability above 5 % there, see `ivimkit.fitting.uncertain_voxels`. Such a
        value is still the best estimate, and to leave it out of a mean or a median would
        bias that, so `reliable` keeps it; pictures fade it.

        Parameters
        ----------
        name : str
            Name of a map: a parameter of the model, or a map derived from some. Of others, and of
            fits without a posterior, no voxel is uncertain.

        Returns
        -------
        ndarray of bool, shape (...)

        Examples
        --------
        >>> import ivimkit as ik
        >>> dwi = ik.simulate.phantom(shape=(16, 12, 1), snr=20).dwi
        >>> result = ik.fit(dwi, method=ik.methods.Bayes(prior="flat"))
        >>> bool(result.uncertain("D").mean() < result.uncertain("D_star").mean())
        True
        """
        names = self.model.names
        wide = [
            uncertain(names.index(one), len(names)) for one in self._made_of(name) if one in names
        ]
        found: NDArray[np.bool_] = (self.status & sum(wide)) != 0
        return found

    def _made_of(self, name: str) -> list[str]:
        """Return the maps that a map is computed from; of a parameter, itself."""
        factors: list[str] = []
        for product in self.model.products:
            factors += product.factors if product.name == name else ()
        for derived in self.model.derived:
            factors += derived.factors if name in derived.names else ()
        return factors or [name]

    def _doubtful(self, name: str) -> NDArray[np.bool_]:
        """Return the voxels in which a map is not reliable."""
        model = self.model
        factors = self._made_of(name)
        if factors != [name]:
            found = np.any([self._doubtful(factor) for factor in factors], axis=0)
            return np.asarray(found, dtype=bool)
        own = model.compartment_of(name)
        if own is None:
            return self._at_bound(name)
        reference = model.compartments[-1]
        # Where the diffusion of tissue is 0, tissue was fitted as perfusion.
        mixed = self._kurtosis()
        if own is not reference:
            for parameter in reference.parameters:
                if parameter.role == "diffusion":
                    mixed |= self._at_bound(parameter.name, upper=False)
        if name not in model.fractions:
            return self._not_seen(name) | self._at_bound(name) | mixed
        for parameter in own.parameters:
            if any(parameter.name == fast for _, fast in model.ascending):
                merged = self._at_bound(parameter.name, upper=False)
                mixed |= merged & ~self._not_seen(parameter.name)
        for parameter in reference.parameters:
            mixed |= self._not_seen(parameter.name)
        return mixed | self._at_bound(name, lower=False)

    def _kurtosis(self) -> NDArray[np.bool_]:
        """Return the voxels in which kurtosis is taken for blood."""
        if not self.model.is_two_decays:
            return np.zeros(self.shape, dtype=bool)
        found: NDArray[np.bool_] = (self.status & int(FitStatus.KURTOSIS_LIKELY)) != 0
        return found

    def _not_seen(self, name: str) -> NDArray[np.bool_]:
        """Return the voxels in which the compartment of a shape parameter is not detected."""
        found: NDArray[np.bool_] = (self.status & self.model.unseen_flag(name)) != 0
        return found

    def _at_bound(
        self, name: str | None, *, lower: bool = True, upper: bool = True
    ) -> NDArray[np.bool_]:
        """Return the voxels in which a parameter is at a bound; none for another map."""
        if name is None or name not in self.model.names:
            return np.zeros(self.shape, dtype=bool)
        index = self.model.index(name)
        flags = lower * at_lower(index) | upper * at_upper(index)
        found: NDArray[np.bool_] = (self.status & flags) != 0
        return found

    def at(self, voxel: tuple[int, ...]) -> dict[str, float]:
        """Return the value of each map at one voxel.

        Parameters
        ----------
        voxel : tuple of int
            Position of the voxel, one number >= 0 per axis.

        Returns
        -------
        dict of str to float
            In the units of the maps; NaN where the voxel has no value.

        Examples
        --------
        >>> import ivimkit as ik
        >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
        >>> result.at((5, 4, 0))["D"] == result.maps["D"][5, 4, 0]
        np.True_
        """
        if isinstance(self.maps, StoredMaps):
            return self.maps.at(voxel)
        return {name: float(self.maps[name][voxel]) for name in self.maps}

    def counts(self) -> dict[str, int]:
        """Return the number of voxels per status flag that occurs."""
        return self.codes.flags(self.model)

    def sentence(self, index: int | tuple[int, ...]) -> str:
        """Return the status of one voxel in words.

        Parameters
        ----------
        index : int or tuple of int
            Position of the voxel.

        Returns
        -------
        str
        """
        return describe(int(self.status[index]), self.model)

    def raise_for_status(self, max_failed: float = 0.0) -> None:
        """Raise if more voxels failed than is acceptable.

        Parameters
        ----------
        max_failed : float
            Accepted share of the voxels in the mask, 0 to 1.

        Raises
        ------
        FitFailedError
            With the number of voxels and the reasons.
        """
        n = self.codes.inside.total
        failed = n - self.codes.fitted.total
        if n and failed / n > max_failed:
            reasons = {str(f.name): f for f in FitStatus if f & FAILED}
            listed = ", ".join(f"{k}: {v}" for k, v in self.counts().items() if k in reasons)
            raise FitFailedError(
                f"{failed} of {n} voxels ({failed / n:.1%}) could not be fitted ({listed}); "
                f"accepted are {max_failed:.1%}. Look at the status map"
            )
