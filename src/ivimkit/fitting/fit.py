"""fit(): check, plan, run, wrap."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine import (
    Progress,
    Task,
    default_threads,
    describe,
    gpus_for,
    run,
    say_learning,
)
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    OptionError,
    ScanWarning,
    ShapeError,
)
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.adc import ADC
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.derived_columns import derived_columns
from ivimkit.fitting.identifiability import require_identifiable, unknown_to
from ivimkit.fitting.kurtosis_check import kurtosis_flags, kurtosis_tasks
from ivimkit.fitting.local_prior import (
    LOCAL_MAPS,
    check_neighbours,
    near_prior,
    with_neighbours,
)
from ivimkit.fitting.regularisation import with_weight
from ivimkit.fitting.result import FitResult, Learned, Provenance, VoxelMaps
from ivimkit.fitting.settings import FitSettings, sigma_values
from ivimkit.fitting.spectra import amplitudes_of
from ivimkit.fitting.training import learned_method
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.fitting.voxel_lattices import LogMoments
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.noise.estimate import for_fit
from ivimkit.noise.repeats import magnitude_noise
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.checks import scan_findings
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.source_context import SourceContext
from ivimkit.scan.thresholds import at_shell
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import FAILED, FitStatus, count

if TYPE_CHECKING:
    from ivimkit.noise import NoiseEstimate

__all__ = ["fit", "fit_with"]


def fit(
    data: DWI | ArrayLike,
    bvals: ArrayLike | None = None,
    *,
    model: str | SignalModel = "biexp",
    method: str | FitMethod = "varpro",
    mask: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    sigma: ArrayLike | NoiseEstimate | str | None = None,
    uncertainty: str | Estimator | None = None,
    weights: ArrayLike | None = None,
    adc_bvals: ArrayLike | None = None,
    threads: int | None = None,
    device: str = "auto",
    precision: str = "float64",
    progress: Progress | None = None,
) -> FitResult:
    """Fit a signal model to every voxel of a scan.

    Parameters
    ----------
    data : DWI or array_like, shape (..., n_volumes)
        The scan; an array needs `bvals`.
    bvals : array_like, shape (n_volumes,), optional
        b-values in s/mm^2, for an array.
    model : str or SignalModel
        The model or its name.
    method : str or FitMethod
        The method or its name; options are attributes of the object.
    mask : array_like, shape (...), optional
        Voxels to fit, where > 0; replaces the mask of the scan.
    labels : array_like of int, shape (...), optional
        Regions that method bayes learns separate priors for; needs a mask. Voxels with 0 are one
        more region.
    sigma : float, array_like of shape (...), NoiseEstimate or str, optional
        Noise (standard deviation) of one volume, a.u., for all voxels or as a map; see
        `ivimkit.noise`. Or what to estimate it from: ``"auto"``, ``"repeats"``, ``"air"`` or
        ``"residuals"``, see `ivimkit.noise.for_fit`. By default it is estimated from the residuals
        of each voxel.
    uncertainty : str or Estimator, optional
        Estimator of the uncertainty of the parameters, see `ivimkit.uncertainty`.
    weights : array_like, optional
        Weight of each volume, shape (n_volumes,), before and through every average: see
        `DWI.with_weights`. Zero leaves a volume out. Or one per distinct b-value, for each of its
        volumes.
    adc_bvals : array_like, optional
        b-values used for the ADC; all by default.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    device : str
        Where to compute: ``"cpu"``; ``"cuda"`` for the first NVIDIA GPU, ``"cuda:1"`` or
        ``"cuda:0,1"`` for GPUs by their numbers (``pip install ivimkit[cuda]``); ``"auto"`` takes
        the first GPU if there is one and the voxels are 200 000 or more.
    precision : {"float64", "float32"}
        What the loops over the data compute in. float32 is for GPUs; it changes parameters that
        are well determined by less than 1e-3 of their value.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of voxels.

    Returns
    -------
    FitResult
        Maps, status, settings and provenance.

    Raises
    ------
    AcquisitionError
        If the b-values are not sufficient for the model or the method.
    OptionError
        For an unknown model, method or option.
    ShapeError
        If arrays do not fit each other.
    NoiseError
        If the scan does not have the source of the noise.
    DeviceError
        If a GPU is requested that is not available, or cannot do this.

    Warns
    -----
    AcquisitionWarning
        If the acquisition can be fitted, but not well.
    ScanWarning
        If volumes and b-values contradict each other, or many of the voxels are air, see
        `ivimkit.quality.scan_findings`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom("abdomen", shape=(24, 24, 1)).dwi
    >>> result = ik.fit(dwi, method=ik.methods.Segmented(b_split=150))
    >>> result.maps["D"].shape
    (24, 24, 1)
    """
    settings = FitSettings.of(
        model, method, uncertainty, adc_bvals=adc_bvals, device=device, precision=precision
    )
    dwi = as_dwi(data, bvals, mask, weights)
    if isinstance(sigma, str):
        sigma = for_fit(dwi, sigma)
    settings = settings.for_scan(dwi, sigma=sigma, weights=weights, labels=labels is not None)
    return fit_with(dwi, settings, sigma=sigma, labels=labels, threads=threads, progress=progress)


def fit_with(
    dwi: DWI,
    settings: FitSettings,
    *,
    sigma: ArrayLike | NoiseEstimate | None = None,
    labels: ArrayLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a scan with given settings: the part of `fit` after it has made them.

    Parameters
    ----------
    dwi : DWI
        The scan, with its mask and weights.
    settings : FitSettings
        How to fit it, see `FitSettings.for_scan`.
    sigma : float, array_like of shape (...) or NoiseEstimate, optional
        The noise, by default that of the settings, which do not contain a map.
    labels : array_like of int, shape (...), optional
        Regions that method bayes learns separate priors for.
    threads : int, optional
        Number of threads; all cores by default.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of voxels.

    Returns
    -------
    FitResult
        Its `settings` are those given, with thresholds moved where a shell straddles them.

    Raises
    ------
    OptionError
        If the settings are those of a fit with a map of sigma, and it is not given.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.fitting.fit import fit_with
    >>> first, later = (ik.simulate.phantom(shape=(12, 10, 1), seed=k).dwi for k in (1, 2))
    >>> fit_with(later, ik.fit(first, method="segmented").settings).method.name
    'segmented'
    """
    model, estimator = settings.model, settings.estimator
    if sigma is None and settings.sigma is not None:
        if settings.sigma == "map":
            raise OptionError(
                "the settings are those of a fit with a map of sigma, which they do not contain; "
                "expected the map. Give it again",
                python="Pass sigma=",
            )
        sigma = settings.sigma
    if estimator is not None:
        estimator.check(model, settings.method)
        _check_maps(model, settings.method, estimator)
    dwi = dwi.for_variables(model.variables)
    settings = replace(settings, method=_at_shells(settings.method, model, dwi.fit_acquisition))
    _check(dwi, model, settings.method)
    if near_prior(settings.method) is not None:
        check_neighbours(dwi.shape, dwi.geometry)
    warn_of_scan(dwi, stacklevel=4)
    reader = dwi.voxels()
    small = settings.method.takes_gpu(model)
    wanted = "cpu" if settings.device == "auto" and not small else settings.device
    gpus = gpus_for(wanted, reader.n_voxels)
    where = f"cuda:{','.join(map(str, gpus))}" if gpus else "cpu"
    started, clock = datetime.now(UTC), time.perf_counter()
    as_fitted = _for_averages(settings.method, dwi)
    given = _sigma(sigma, reader)
    x = np.atleast_2d(fitted_x(model.variables, dwi))
    sample = TrainingSample(
        reader,
        dwi.fit_bvals,
        dwi.fit_counts,
        _per_voxel(model, reader),
        magnitude_noise(dwi, getattr(as_fitted, "coils", 1))
        if sigma is None and as_fitted.measures_noise
        else given,
        threads,
        x,
    )
    weighed, chosen = with_weight(as_fitted, sample)
    if weighed is not as_fitted:
        settings, as_fitted = replace(settings, method=weighed), weighed
    regions = _regions(labels, settings.method, dwi, reader)
    adc_task = Task(ADC.model, ADC.method, adc_weight(settings.adc_bvals, dwi, model))
    kurtosis = kurtosis_tasks(model, as_fitted, sample.b, sample.weight)
    methods: dict[str, PosteriorMethod] = {}
    (fitted, adc, *checked), further = _run(
        sample,
        dwi.geometry,
        x,
        regions,
        as_fitted,
        estimator,
        (adc_task, *kurtosis),
        methods,
        (where, settings.precision),
        progress,
    )
    values, status, spread = fitted
    adc_values = adc[0][:, 1].copy()
    failed = (status & int(FAILED)) != 0
    if "ADC" not in model.names:
        status[((adc[1] & int(FAILED)) != 0) & ~failed] |= int(FitStatus.ADC_NOT_AVAILABLE)
    adc_values[failed] = np.nan
    if checked:
        n_par = len(model.parameters)
        cost = (checked[1] if len(checked) > 1 else fitted)[0][:, n_par]
        bent = kurtosis_flags(checked[0][:2], cost, model.n_free, sample.weight, given)
        status[bent & ~failed] |= int(FitStatus.KURTOSIS_LIKELY)
    # Free memory before more is allocated: a volume has millions of voxels.
    del adc, failed, checked
    columns = _columns(model, further, values, spread, adc_values, float(sample.weight.sum()))
    del fitted, spread
    full_status = reader.scatter(status, int(FitStatus.OUTSIDE_MASK))
    return FitResult(
        maps=VoxelMaps(columns, reader.index, dwi.shape, reader.order),
        status=full_status,
        settings=settings,
        acquisition=dwi.acquisition,
        geometry=dwi.geometry,
        learned={name: _learned(method) for name, method in methods.items()},
        dwi=dwi,
        source_context=_context_of(dwi),
        provenance=Provenance(
            versions=_versions(),
            bvals=sample.b.tolist(),
            counts=sample.weight.tolist(),
            sources=[source.to_dict() for source in dwi.sources],
            started=started.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 3),
            threads=threads or default_threads(),
            status_counts=count(full_status, model),
            device=describe(gpus),
            chosen=chosen,
        ),
        spectra=_spectra(sample, settings.method),
    )


def _spectra(sample: TrainingSample, method: FitMethod) -> NDArray[np.float32] | None:
    """Return the spectra of all voxels, shape (..., n_bins), if the method keeps them."""
    if not (isinstance(method, SpectralMethod) and method.keep_spectrum):
        return None
    values = amplitudes_of(
        sample.reader, sample.b, sample.weight, sample.model, method, sample.threads
    )
    bins = [sample.reader.scatter(own.astype(np.float32), np.nan) for own in values.T]
    return np.stack(bins, axis=-1)


def _context_of(dwi: DWI) -> SourceContext | None:
    """Return what the files of the scan say about the volumes that are used."""
    context = dwi.source_context
    return None if context is None else context.of_volumes(dwi.volumes.tolist())


def _for_averages(method: FitMethod, dwi: DWI) -> FitMethod:
    """Return the method for the averages of the scan, if some values are means of volumes."""
    counts = dwi.fit_averages
    if not (counts[dwi.fit_counts > 0.0] > 1.0).any():
        return method
    return method.for_means(dwi.fit_directions, counts / dwi.fit_directions)


Fitted = tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]


def _run(
    sample: TrainingSample,
    geometry: Geometry,
    x: NDArray[np.float64],
    regions: Mapping[str, NDArray[np.intp]],
    method: FitMethod,
    estimator: Estimator | None,
    others: Sequence[Task],
    learned: dict[str, PosteriorMethod],
    place: tuple[str, str],
    progress: Progress | None,
) -> tuple[list[Fitted], tuple[str, ...]]:
    """Fit region after region, each with what the method learns from it, kept in `learned`.

    Returns what was fitted by the method and by each of the other tasks, and the extra columns.
    """
    parts: list[list[Fitted]] = []
    further: tuple[str, ...] = ()
    done = 0
    for name, positions in regions.items():
        part = sample if len(regions) == 1 else sample.take(positions)
        complete, near = method, None
        if isinstance(method, PosteriorMethod):
            if method.learns:
                say_learning()
            try:
                complete = learned[name] = learned_method(method, part)
            except OptionError as error:
                raise (
                    error if len(regions) == 1 else OptionError(f"region {name}: {error}")
                ) from None
            near = near_prior(method)
        task = Task(part.model, complete, part.weight, part.sigma, estimator)
        further = task.columns
        if near is not None:
            task = replace(task, method=LogMoments.of(learned[name]))
            further += LOCAL_MAPS

        def report(now: int, _: int, before: int = done) -> None:
            if progress is not None:
                progress(before + now, sample.n_voxels)

        device, precision = place
        parts.append(
            run(
                part.reader,
                x,
                [task, *others],
                threads=sample.threads,
                device=device,
                precision=precision,
                progress=report,
            )
        )
        done += part.n_voxels
        if near is not None:
            (values, status, spread), *rest = parts[-1]
            values = with_neighbours(near, learned[name], part, geometry, values, status)
            parts[-1] = [(values, status, spread), *rest]
    if len(parts) == 1:
        return parts[0], further
    order = np.argsort(np.concatenate(list(regions.values())), kind="stable")
    joined: list[Any] = [
        tuple(np.concatenate([part[k][i] for part in parts])[order] for i in range(3))
        for k in range(1 + len(others))
    ]
    return joined, further


def _learned(method: PosteriorMethod) -> Learned:
    """Return what a method learned: a prior and two numbers."""
    assert isinstance(method.prior, PriorTable | ModelPrior)
    assert not isinstance(method.variance, str)
    return Learned(method.prior, method.variance)


def _regions(
    labels: ArrayLike | None, method: FitMethod, dwi: DWI, reader: VoxelReader
) -> dict[str, NDArray[np.intp]]:
    """Return the positions of every region among the voxels of the reader, by its label."""
    if labels is None:
        return {"all": np.arange(len(reader.index))}
    values = np.asarray(labels)
    if not method.learns:
        raise OptionError(
            f"labels were given for method {method.name}, which with its options learns nothing "
            "from regions; use method bayes with a prior that it learns, or leave them out"
        )
    if dwi.mask.all() and len(dwi.shape) > 1:
        raise OptionError(
            "labels were given without a mask; expected a mask of the voxels to fit, or else air "
            "would be a region"
        )
    if values.shape != dwi.shape:
        raise ShapeError(f"the labels have shape {values.shape}; expected the scan's {dwi.shape}")
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        raise OptionError("the labels are not whole numbers; expected one number per region")
    inside = reader.gather(values)
    return {f"{label:g}": np.flatnonzero(inside == label) for label in np.unique(inside)}


def as_dwi(
    data: DWI | ArrayLike,
    bvals: ArrayLike | None,
    mask: ArrayLike | None,
    weights: ArrayLike | None = None,
) -> DWI:
    """Return the data of `fit`, a scan or an array with its b-values, as a scan."""
    if weights is not None:
        return as_dwi(data, bvals, mask).with_weights(weights)
    if isinstance(data, DWI):
        if bvals is not None:
            raise OptionError(
                "bvals were given in addition to a DWI, which contains them; leave them out"
            )
        return data if mask is None else data.with_mask(mask)
    if bvals is None:
        raise AcquisitionError(
            "got an array without b-values; expected fit(array, bvals). b-values are never guessed"
        )
    return DWI(data, bvals, mask=mask)


def _at_shells(method: FitMethod, model: SignalModel, acquisition: Acquisition) -> FitMethod:
    """Return the method with thresholds moved away from shells that straddle them: `at_shell`."""
    for option in fields(method):
        if option.metadata.get("unit") != "s/mm^2":
            continue
        threshold = getattr(method, option.name)
        if threshold is None and model.fractions:
            threshold = option.metadata.get("usual")
        if threshold is None:
            continue
        moved = at_shell(acquisition, threshold, upper=option.metadata["upper"])
        if moved != threshold:
            change: dict[str, Any] = {option.name: moved}
            method = replace(method, **change)
    return method


def _check(dwi: DWI, model: SignalModel, method: FitMethod) -> None:
    """Refuse what cannot be fitted and warn of what cannot be fitted well."""
    acquisition = dwi.fit_acquisition
    require_identifiable(model, acquisition, weighted=dwi.weights is not None)
    method.check(model, acquisition)
    for text in model.advice(acquisition):
        warnings.warn(text, AcquisitionWarning, stacklevel=4)
    left_out = unknown_to(model, acquisition)
    if left_out:
        warnings.warn(left_out, AcquisitionWarning, stacklevel=4)


def warn_of_scan(dwi: DWI, *, stacklevel: int = 2) -> None:
    """Warn of contradictions between volumes and b-values, before any fit."""
    for finding in scan_findings(dwi):
        warnings.warn(str(finding), ScanWarning, stacklevel=stacklevel)


def _check_maps(model: SignalModel, method: FitMethod, estimator: Estimator) -> None:
    """Refuse an estimator of maps that the method computes itself."""
    own = set(method.extras(model)).intersection(estimator.maps(model))
    if own:
        raise OptionError(
            f"method {method.name} gives {min(own)} and more itself, and uncertainty "
            f"{estimator.name} would replace them. Leave out the uncertainty"
        )


def adc_weight(
    adc_bvals: Sequence[float] | None, dwi: DWI, model: SignalModel
) -> NDArray[np.float64]:
    """Return the weights of a scan with zeros at b-values that the ADC does not use.

    The ADC depends on b alone. For a model of further variables it is the ADC of the volumes that
    differ in b alone: of the series with the most shells.
    """
    b, weight = dwi.fit_bvals, dwi.fit_counts
    if dwi.acquisition.varying_for(model.variables):
        number = dwi.acquisition.longest_series(averaged=dwi.average != "none")
        longest = dwi.fit_series[number]
        weight = np.where(np.isin(np.arange(len(weight)), longest.members), weight, 0.0)
    if adc_bvals is None:
        return weight
    acquisition = dwi.acquisition
    chosen = np.zeros(acquisition.n_volumes, dtype=bool)
    missing = []
    for value in adc_bvals:
        try:
            chosen[acquisition.select(bvals=[value])] = True
        except AcquisitionError:
            missing.append(f"{value:g}")
    listed = ", ".join(f"{value:g}" for value in np.unique(b))
    if missing:
        raise AcquisitionError(
            f"adc_bvals {', '.join(missing)} are not in the scan; it has {listed}"
        )
    shells = acquisition.shells
    used = (
        chosen
        if dwi.average == "none"
        else np.array([chosen[list(shell.volumes)].any() for shell in shells])
    )
    if np.unique(b[used & (weight > 0.0)]).size < 2:
        raise AcquisitionError(
            f"adc_bvals leave fewer than two b-values; an ADC needs two of {listed}"
        )
    return np.where(used, weight, 0.0)


def _sigma(sigma: ArrayLike | NoiseEstimate | None, reader: VoxelReader) -> NDArray[np.float64]:
    """Return the noise as one value for all voxels of the reader or one for each."""
    if sigma is None:
        return np.full(1, np.nan)
    values = sigma_values(sigma)
    if values.ndim and values.shape != reader.shape:
        raise ShapeError(
            f"the map of sigma has shape {values.shape}; expected the scan's {reader.shape}"
        )
    used = reader.gather(values) if values.ndim else values.reshape(1)
    if not (np.isfinite(used) & (used > 0.0)).all():
        raise OptionError(
            "sigma has values that are zero, negative or not finite; expected the standard "
            "deviation of the noise, > 0, in every voxel of the mask"
        )
    return used


def _per_voxel(model: SignalModel, reader: VoxelReader) -> SignalModel:
    """Return the model with its fixed maps as one value per voxel of the reader."""
    gathered = {}
    for name, values in model.fixed_maps.items():
        if values.shape != reader.shape:
            raise ShapeError(
                f"the map that fixes {name} has shape {values.shape}; expected the scan's "
                f"{reader.shape}"
            )
        gathered[name] = reader.gather(values)
    return replace(model, fixed_maps=gathered)


def _columns(
    model: SignalModel,
    further: Sequence[str],
    values: NDArray[np.float64],
    spread: NDArray[np.float64],
    adc: NDArray[np.float64],
    total_weight: float,
) -> dict[str, NDArray[np.float64]]:
    """Return all maps as one value per voxel."""
    n_par = len(model.parameters)
    columns = {name: values[:, k] for k, name in enumerate(model.names)}
    columns.setdefault("ADC", adc)
    for product in model.products:
        one, two = product.factors
        columns[product.name] = columns[one] * columns[two]
    for derived in model.derived:
        columns |= derived_columns(derived, columns)
    cost = values[:, n_par]
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["rmse"] = np.sqrt(cost / total_weight)
        r2 = cost / spread
        np.subtract(1.0, r2, out=r2)
        r2[~(spread > 0.0)] = np.nan
    columns["r2"] = r2
    columns["cost"] = cost
    columns["n_iter"] = values[:, n_par + 1]
    for k, name in enumerate(further, start=n_par + 2):
        columns[name] = values[:, k]
    return columns


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("ivimkit", "numpy", "numba", "nibabel")}
