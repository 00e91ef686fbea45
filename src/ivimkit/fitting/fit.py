"""fit(): check, plan, run, wrap."""

from __future__ import annotations

import functools
import itertools
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.defaults import USUAL_METHOD
from ivimkit.engine import (
    Progress,
    Task,
    default_threads,
    describe,
    gpus_for,
    say_learning,
)
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    NoiseChangedWarning,
    OptionError,
    ScanWarning,
    ShapeError,
)
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.denoised import (
    check_denoised,
    fit_denoised,
    number_of_fits,
    remaining_noise,
)
from ivimkit.fitting.derived_columns import derived_columns
from ivimkit.fitting.identifiability import require_identifiable, unknown_to
from ivimkit.fitting.local_prior import (
    LOCAL_MAPS,
    check_neighbours,
    near_prior,
    with_neighbours,
)
from ivimkit.fitting.prior_choice import instead_of_neighbours, prior_for, with_prior
from ivimkit.fitting.regularisation import with_weight
from ivimkit.fitting.result import FitResult, Learned, Provenance, VoxelMaps
from ivimkit.fitting.screen import screened
from ivimkit.fitting.screening import LEFT_OUT_MAP
from ivimkit.fitting.settings import FitSettings, sigma_values
from ivimkit.fitting.spectra import amplitudes_of
from ivimkit.fitting.training import learned_method
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.fitting.uncertain_voxels import uncertain_flags
from ivimkit.fitting.voxel_fits import Fits, VoxelFits, for_averages
from ivimkit.fitting.voxel_lattices import LogMoments
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.noise import NoiseEstimate, for_fit, for_floor
from ivimkit.noise.noise_estimate import ORIGINS
from ivimkit.noise.repeats import magnitude_noise
from ivimkit.portable_bits import cpu_target
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.checks import scan_findings
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.source_context import SourceContext
from ivimkit.scan.thresholds import at_shell
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import FAILED, FitStatus, count

__all__ = ["fit", "fit_with", "fit_with_also"]


def fit(
    data: DWI | ArrayLike,
    bvals: ArrayLike | None = None,
    *,
    model: str | SignalModel = "biexp",
    method: str | FitMethod = USUAL_METHOD,
    also: str | FitMethod | None = None,
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
        The scan; an array needs `bvals`. `ivimkit.fit` also takes files, as paths that
        `ivimkit.load` reads, images of nibabel (with `bvals`), and arrays of xarray with their
        b-values as a coordinate (``b``).
    bvals : array_like, shape (n_volumes,), optional
        b-values in s/mm^2, for an array.
    model : str or SignalModel
        The model or its name.
    method : str or FitMethod
        The method or its name; options are attributes of the object.
    also : str or FitMethod, optional
        Another method, to fit the scan by as well: ``result.also`` is its result. It gets the same
        model, sigma and weights, but no `uncertainty`.
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
        volumes; or one per value, with the shape of the scan: zero leaves that value out of its
        voxel.
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
    second = None if also is None else settings.by_another(model, also)
    return fit_with_also(
        dwi, settings, second, sigma=sigma, labels=labels, threads=threads, progress=progress
    )


def fit_with_also(
    dwi: DWI,
    settings: FitSettings,
    second: FitSettings | None,
    *,
    sigma: ArrayLike | NoiseEstimate | None = None,
    labels: ArrayLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a scan with given settings, and then, as ``result.also``, with those of another method.

    Parameters
    ----------
    dwi, settings, sigma, labels, threads, progress
        As in `fit_with`.
    second : FitSettings, optional
        Settings of the other method, see `FitSettings.by_another`; None for a single fit.

    Returns
    -------
    FitResult
    """
    if second is None:
        return fit_with(
            dwi, settings, sigma=sigma, labels=labels, threads=threads, progress=progress
        )
    # Before the first fit, not after it.
    second.method.check(second.model, dwi.for_variables(second.model.variables).fit_acquisition)
    # Labels are for the method that learns; if neither does, the first one says so.
    second_learns = second.method.learns
    if second_learns and not settings.method.learns:
        settings, first_labels = replace(settings, labels=False), None
    else:
        first_labels = labels
    result = fit_with(
        dwi, settings, sigma=sigma, labels=first_labels, threads=threads, progress=progress
    )
    own = labels if second_learns else None
    second = replace(second, labels=own is not None)
    with _said_before():
        also = fit_with(dwi, second, sigma=sigma, labels=own, threads=threads, progress=progress)
    return replace(result, also=also)


@contextmanager
def _said_before() -> Iterator[None]:
    """Leave out the warnings of another fit of the same scan: the first one has given them."""
    with warnings.catch_warnings():
        for kind in (AcquisitionWarning, ScanWarning):
            warnings.simplefilter("ignore", kind)
        yield


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
    left = None
    if dwi.history.noise == "changed":
        is_given = sigma is not None or settings.sigma is not None
        left = remaining_noise(dwi)
        check_denoised(settings, left)
        if is_given or left is None:
            warnings.warn(_of_denoised(is_given), NoiseChangedWarning, stacklevel=5)
            left = None
    if left is None:
        return _fit_once(
            dwi, settings, sigma=sigma, labels=labels, threads=threads, progress=progress
        )
    if labels is not None:
        raise OptionError(
            "labels were given for a denoised scan, from which no prior is learned; expected none"
        )

    turns, n_turns = itertools.count(), number_of_fits(settings)

    def run(own: FitSettings, of_parameter: NDArray[np.float64] | None) -> FitResult:
        turn = next(turns)

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress((turn * total + done) // n_turns, total)

        with _said_before():
            return _fit_once(dwi, own, sigma=of_parameter, threads=threads, progress=report)

    warn_of_scan(dwi, stacklevel=6)
    result = fit_denoised(dwi, settings, left, run)
    return replace(result, settings=replace(result.settings, sigma=None, noise=None))


def _of_denoised(is_sigma_given: bool) -> str:
    """Say what is not true of a fit of a denoised scan."""
    if is_sigma_given:
        return (
            "the scan was denoised and sigma was given: what denoising left differs from volume "
            "to volume and voxel to voxel, so intervals and what is called not detected are not "
            "right. Leave sigma out: the error that is left is then taken into account"
        )
    return (
        "the scan was denoised, and what was left of its noise is not known: what is called not "
        "detected is not right, and residuals do not show the error"
    )


def _fit_once(
    dwi: DWI,
    settings: FitSettings,
    *,
    sigma: ArrayLike | NoiseEstimate | None = None,
    labels: ArrayLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a scan whose noise is as acquired, or is given."""
    model, estimator = settings.model, settings.estimator
    if sigma is None:
        sigma = settings.sigma
    _check_given_again(settings, dwi, sigma)
    if estimator is not None:
        estimator.check(model, settings.method)
        _check_maps(model, settings.method, estimator)
    scan = dwi = dwi.for_variables(model.variables)
    settings = replace(settings, method=_at_shells(settings.method, model, dwi.fit_acquisition))
    _check(dwi, model, settings.method)
    if near_prior(settings.method) is not None:
        check_neighbours(dwi.shape, dwi.geometry)
    warn_of_scan(dwi, stacklevel=7)
    reader = dwi.voxels()
    started, clock = datetime.now(UTC), time.perf_counter()
    given = _sigma(sigma, reader)
    screening = None
    if settings.method.screens:
        dwi, screening = screened(dwi, _per_voxel(model, reader), given, threads=threads)
    if dwi.weights_of_values is not None:
        dwi = dwi.without_unused()
        reader = dwi.voxels()
    gpus = _gpus(settings, dwi, reader.n_voxels)
    where = f"cuda:{','.join(map(str, gpus))}" if gpus else "cpu"
    as_fitted, of_floor = _with_floor(for_averages(settings.method, dwi), dwi, sigma)
    if isinstance(as_fitted, PosteriorMethod):
        settings = replace(settings, method=as_fitted)
    sample = TrainingSample(
        reader,
        dwi.fit_bvals,
        dwi.fit_counts,
        _per_voxel(model, reader),
        magnitude_noise(dwi, getattr(as_fitted, "coils", 1))
        if sigma is None and as_fitted.measures_noise
        else given,
        threads,
        dwi,
        dwi.patterns(reader),
        np.atleast_2d(fitted_x(model.variables, dwi)),
    )
    weighed, chosen = with_weight(as_fitted, sample)
    if weighed is not as_fitted:
        settings, as_fitted = replace(settings, method=weighed), weighed
    asked = settings.method
    prior, taken = prior_for(asked, sample, dwi.geometry, settings.organ)
    settings = replace(settings, method=with_prior(asked, prior))
    as_fitted = with_prior(as_fitted, prior)
    regions = _regions(labels, settings.method, dwi, reader)
    fits = Fits(
        settings.method,
        adc_weight(settings.adc_bvals, dwi, model) > 0.0,
        (where, settings.precision),
        sigma is not None,
    )
    methods: dict[str, PosteriorMethod] = {}
    fitted, further = _run(
        sample, dwi.geometry, regions, as_fitted, estimator, fits, methods, progress
    )
    status = fitted.status
    failed = (status & int(FAILED)) != 0
    status |= np.where(failed, 0, fitted.flags)
    fitted.adc[failed] = np.nan
    columns = _columns(model, further, fitted)
    if screening is not None and screening.is_judged:
        columns[LEFT_OUT_MAP] = dwi.left_out_counts(reader).astype(np.float64)
    other, why = instead_of_neighbours(asked, methods, sample, columns)
    if other is not None:
        again = replace(settings, method=with_prior(settings.method, other))
        with _said_before():
            result = _fit_once(
                scan, again, sigma=sigma, labels=labels, threads=threads, progress=progress
            )
        return replace(
            result, provenance=replace(result.provenance, chosen={**chosen, **of_floor, **why})
        )
    status |= uncertain_flags(model, columns).astype(status.dtype)
    # Free memory before more is allocated: a volume has millions of voxels.
    del fitted, failed
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
            cpu_target=cpu_target(),
            chosen={**chosen, **of_floor, **taken},
            value_weights=dwi.weight_summary,
            history=dwi.history,
        ),
        spectra=_spectra(sample, settings.method),
        screening=screening,
        value_weights=dwi.value_weights,
    )


def _check_given_again(
    settings: FitSettings, dwi: DWI, sigma: ArrayLike | NoiseEstimate | None
) -> None:
    """Raise if settings stand for something per voxel that they do not contain."""
    if isinstance(sigma, str) and sigma == "map":
        raise OptionError(
            "the settings are those of a fit with a map of sigma, which they do not contain; "
            "expected the map. Give it again",
            python="Pass sigma=",
        )
    if settings.value_weights and dwi.value_weights is None:
        raise OptionError(
            "the settings are those of a fit with weights of single values, which they do not "
            "contain; expected a scan with such weights. Give them again",
            python="Pass dwi.with_weights(weights)",
        )


def _gpus(settings: FitSettings, dwi: DWI, n_voxels: int) -> tuple[int, ...]:
    """Return the GPUs of a fit; none for what has no room there, unless they were asked for."""
    # Voxels whose values have weights come in groups that are too small for a GPU.
    n_together = 0 if dwi.weights_of_values is not None else n_voxels
    fits_gpu = settings.method.takes_gpu(settings.model)
    return gpus_for(
        "cpu" if settings.device == "auto" and not fits_gpu else settings.device, n_together
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


def _with_floor(
    method: FitMethod, dwi: DWI, sigma: ArrayLike | NoiseEstimate | None
) -> tuple[FitMethod, dict[str, str]]:
    """Return the method with the noise that raises the floor, and where that comes from."""
    measured = isinstance(sigma, NoiseEstimate) and sigma.source != "given"
    if not method.wants_floor or not (sigma is None or measured):
        return method, {}
    found = for_floor(dwi, coils=getattr(method, "coils", 1))
    if found is None:
        return method, {"floor": "from the residuals: the scan has no other source"}
    # More digits than it is known to, and few enough to be typed.
    noise = float(f"{found.sigma:.6g}")
    return method.with_floor(noise), {"floor": f"{noise:.4g} a.u. {ORIGINS[found.source]}"}


def _run(
    sample: TrainingSample,
    geometry: Geometry,
    regions: Mapping[str, NDArray[np.intp]],
    method: FitMethod,
    estimator: Estimator | None,
    fits: Fits,
    learned: dict[str, PosteriorMethod],
    progress: Progress | None,
) -> tuple[VoxelFits, tuple[str, ...]]:
    """Fit region after region, each with what the method learns from it, kept in `learned`.

    Returns what was fitted, and the names of the extra columns of the method.
    """
    parts: list[tuple[NDArray[np.intp], VoxelFits]] = []
    further: tuple[str, ...] = ()
    done = 0
    for name, positions in regions.items():
        part = sample if len(regions) == 1 else sample.take(positions)
        complete, near = method, None
        if isinstance(method, PosteriorMethod):
            if method.learns:
                say_learning()
            try:
                complete = learned[name] = learned_method(method, part.with_enough_values())
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

        own = fits.of(part, task, report)
        done += part.n_voxels
        if near is not None:
            values = with_neighbours(near, learned[name], part, geometry, own.values, own.status)
            own = replace(own, values=values)
        parts.append((positions, own))
    return VoxelFits.joined(parts), further


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
        warnings.warn(text, AcquisitionWarning, stacklevel=7)
    left_out = unknown_to(model, acquisition)
    if left_out:
        warnings.warn(left_out, AcquisitionWarning, stacklevel=7)


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
    fitted: VoxelFits,
) -> dict[str, NDArray[np.float64]]:
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


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("ivimkit", "numpy", "numba", "nibabel")}
