"""fit(): check, plan, run, wrap."""

from __future__ import annotations

import functools
import itertools
import math
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.defaults import USUAL_METHOD
from ivimkit.engine import Progress, default_threads, describe, gpus_for
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
from ivimkit.extend.prior import Prior
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.denoised import (
    check_denoised,
    fit_denoised,
    number_of_fits,
    remaining_noise,
)
from ivimkit.fitting.identifiability import require_identifiable, unknown_to
from ivimkit.fitting.local_prior import check_neighbours, near_prior, planes_around
from ivimkit.fitting.memory_budget import MemoryBudget, bytes_per_voxel
from ivimkit.fitting.prior_choice import (
    instead_of_neighbours,
    is_chosen,
    prior_for,
    with_prior,
)
from ivimkit.fitting.region_fits import RegionFits, regions_of
from ivimkit.fitting.regularisation import with_weight
from ivimkit.fitting.result import FitResult, Learned, Provenance
from ivimkit.fitting.screen import screened
from ivimkit.fitting.settings import FitSettings, sigma_values
from ivimkit.fitting.slab_fits import fit_slabs
from ivimkit.fitting.spectra import amplitudes_of
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.fitting.voxel_fits import Fits, for_averages
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.noise import NoiseEstimate, for_fit, for_floor
from ivimkit.noise.noise_estimate import ORIGINS
from ivimkit.noise.repeats import magnitude_noise
from ivimkit.portable_bits import cpu_target
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.checks import scan_findings
from ivimkit.scan.dwi import DWI
from ivimkit.scan.source_context import SourceContext
from ivimkit.scan.thresholds import at_shell
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import count

__all__ = ["fit", "fit_with", "fit_with_also", "with_measured_floor"]


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
    mem_mb: float | None = None,
    scratch: str | PathLike[str] | None = None,
    progress: Progress | Literal[False] | None = None,
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
    mem_mb : float, optional
        Memory that the fit may take on top of what is in memory already, 10⁶ bytes; half of what
        is free by default. A scan whose maps do not fit is fitted in slabs of slices, and the maps
        of the result, the same as those of the whole, are on disk as float32.
    scratch : path, optional
        Folder for these maps, which are gone with the result; by default that of the variable
        TMPDIR, or ``/var/tmp``. `ivimkit.save` keeps them.
    progress : callable or False, optional
        Called as ``progress(done, total)`` with numbers of voxels. By default a
        notebook shows the progress of a fit that takes more than 2 s; False shows nothing.

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
    InputError
        If there is not enough memory for one slice, or room for the maps on disk.

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
    budget = MemoryBudget.of(mem_mb, scratch)
    dwi = as_dwi(data, bvals, mask, weights)
    if isinstance(sigma, str):
        sigma = for_fit(dwi, sigma)
    settings = settings.for_scan(dwi, sigma=sigma, weights=weights, labels=labels is not None)
    second = None if also is None else settings.by_another(model, also)
    return fit_with_also(
        dwi,
        settings,
        second,
        sigma=sigma,
        labels=labels,
        threads=threads,
        budget=budget,
        progress=progress or None,
    )


def fit_with_also(
    dwi: DWI,
    settings: FitSettings,
    second: FitSettings | None,
    *,
    sigma: ArrayLike | NoiseEstimate | None = None,
    labels: ArrayLike | None = None,
    threads: int | None = None,
    budget: MemoryBudget | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a scan with given settings, and then, as ``result.also``, with those of another method.

    Parameters
    ----------
    dwi, settings, sigma, labels, threads, budget, progress
        As in `fit_with`.
    second : FitSettings, optional
        Settings of the other method, see `FitSettings.by_another`; None for a single fit.

    Returns
    -------
    FitResult
    """
    rest: dict[str, Any] = {"threads": threads, "budget": budget, "progress": progress}
    if second is None:
        return fit_with(dwi, settings, sigma=sigma, labels=labels, **rest)
    # Before the first fit, not after it.
    second.method.check(second.model, dwi.for_variables(second.model.variables).fit_acquisition)
    # Labels are for the method that learns; if neither does, the first one says so.
    second_learns = second.method.learns
    if second_learns and not settings.method.learns:
        settings, first_labels = replace(settings, labels=False), None
    else:
        first_labels = labels
    result = fit_with(dwi, settings, sigma=sigma, labels=first_labels, **rest)
    own = labels if second_learns else None
    second = replace(second, labels=own is not None)
    with _said_before():
        also = fit_with(dwi, second, sigma=sigma, labels=own, **rest)
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
    priors: Mapping[str, Prior | PriorTable | ModelPrior] | None = None,
    threads: int | None = None,
    budget: MemoryBudget | None = None,
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
    priors : mapping of str to Prior, PriorTable or ModelPrior, optional
        The prior of each region, by its label as text, instead of one that is learned. That of the
        method has to be one of them.
    threads : int, optional
        Number of threads; all cores by default.
    budget : MemoryBudget, optional
        What it may take; by default half of the memory that is free.
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
    budget = MemoryBudget.of() if budget is None else budget
    left = None
    if dwi.history.noise == "changed":
        is_given = sigma is not None or settings.sigma is not None
        left = remaining_noise(dwi)
        check_denoised(settings, left)
        if is_given or left is None:
            warnings.warn(_of_denoised(is_given), NoiseChangedWarning, stacklevel=5)
            left = None
    if left is None:
        return _fit_once(dwi, settings, budget, sigma, labels, priors, threads, progress)
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
            return _fit_once(dwi, own, budget, of_parameter, None, None, threads, report)

    # Its fits are put together voxel by voxel, all in memory.
    per_voxel = bytes_per_voxel(settings.model, settings.method, settings.estimator)
    budget.require(2.0 * per_voxel * dwi.n_voxels, "the fit of a denoised scan")
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
    budget: MemoryBudget,
    sigma: ArrayLike | NoiseEstimate | None,
    labels: ArrayLike | None,
    priors: Mapping[str, Prior | PriorTable | ModelPrior] | None,
    threads: int | None,
    progress: Progress | None,
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
    if near_prior(settings.method) is not None and not is_chosen(settings.method):
        check_neighbours(dwi.shape, dwi.geometry)
    warn_of_scan(dwi, stacklevel=7)
    reader = dwi.voxels()
    started, clock = datetime.now(UTC), time.perf_counter()
    given = _sigma(sigma, reader)
    screening = None
    _check_room(settings.method, dwi, reader, budget)
    if settings.method.screens:
        dwi, screening = screened(dwi, _per_voxel(model, reader), given, threads=threads)
    if dwi.weights_of_values is not None:
        dwi = dwi.without_unused()
        reader = dwi.voxels()
    gpus = _gpus(settings, dwi, reader.n_voxels)
    where = f"cuda:{','.join(map(str, gpus))}" if gpus else "cpu"
    as_fitted, of_floor = with_measured_floor(for_averages(settings.method, dwi), dwi, sigma)
    if isinstance(as_fitted, PosteriorMethod):
        settings = replace(settings, method=as_fitted)
    if sigma is None and as_fitted.measures_noise:
        given = magnitude_noise(dwi, getattr(as_fitted, "coils", 1))
    sample = TrainingSample.of(dwi, reader, _per_voxel(model, reader), given, threads)
    weighed, chosen = with_weight(as_fitted, sample)
    if weighed is not as_fitted:
        settings, as_fitted = replace(settings, method=weighed), weighed
    asked = settings.method
    prior, taken = prior_for(asked, sample, dwi.geometry, settings.organ)
    settings = replace(settings, method=with_prior(asked, prior))
    as_fitted = with_prior(as_fitted, prior)
    regions = _regions(labels, settings.method, dwi, reader, given=priors is not None)
    fits = Fits(
        settings.method,
        adc_weight(settings.adc_bvals, dwi, model) > 0.0,
        (where, settings.precision),
        sigma is not None,
    )
    whole = RegionFits.learned(as_fitted, sample, dwi.geometry, regions, estimator, fits, priors)
    screen = dwi if screening is not None and screening.is_judged else None
    near = whole.near
    found = fit_slabs(
        whole,
        budget,
        bytes_per_voxel(model, as_fitted, estimator, near=near is not None),
        halo=() if near is None else planes_around(near, dwi.shape, dwi.geometry),
        screened=screen,
        progress=progress,
    )
    other, why = instead_of_neighbours(asked, whole.posteriors, sample, found.evidence)
    if other is not None:
        again = replace(settings, method=with_prior(settings.method, other))
        del found
        with _said_before():
            result = _fit_once(scan, again, budget, sigma, labels, priors, threads, progress)
        return replace(
            result, provenance=replace(result.provenance, chosen={**chosen, **of_floor, **why})
        )
    return FitResult(
        maps=found.maps,
        status=found.status,
        settings=settings,
        acquisition=dwi.acquisition,
        geometry=dwi.geometry,
        learned={name: _learned(method) for name, method in whole.posteriors.items()},
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
            status_counts=count(found.status, model),
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


def _check_room(method: FitMethod, dwi: DWI, reader: VoxelReader, budget: MemoryBudget) -> None:
    """Refuse what looks at the whole scan at a time, if there is no room for that."""
    if method.screens:
        # Signals, fitted ones, and what is left, of every volume.
        needed = 3.0 * 8.0 * reader.n_voxels * dwi.acquisition.n_volumes
        budget.require(needed, "option robust looks at the whole scan, and")
    if isinstance(method, SpectralMethod) and method.keep_spectrum:
        needed = 3.0 * 8.0 * math.prod(dwi.shape) * method.bins
        budget.require(needed, "option keep_spectrum, for all voxels,")


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


def with_measured_floor(
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


def _learned(method: PosteriorMethod) -> Learned:
    """Return what a method learned: a prior and two numbers."""
    assert isinstance(method.prior, PriorTable | ModelPrior)
    assert not isinstance(method.variance, str)
    return Learned(method.prior, method.variance)


def _regions(
    labels: ArrayLike | None,
    method: FitMethod,
    dwi: DWI,
    reader: VoxelReader,
    *,
    given: bool,
) -> dict[str, NDArray[np.intp]]:
    """Return the positions of every region among the voxels of the reader, by its label.

    Their priors may be given; otherwise the method has to learn them.
    """
    if labels is None:
        return regions_of(reader, None)
    values = np.asarray(labels)
    if not (given or method.learns):
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
    return regions_of(reader, values)


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
    if _is_ignored(ScanWarning):
        return
    for finding in scan_findings(dwi):
        warnings.warn(str(finding), ScanWarning, stacklevel=stacklevel)


def _is_ignored(category: type[Warning]) -> bool:
    """Return whether warnings are ignored whatever they say: what they say takes time to find."""
    for action, message, kind, module, line in warnings.filters:
        if issubclass(category, kind):
            return action == "ignore" and message is None and module is None and line == 0
    return False


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


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("ivimkit", "numpy", "numba", "nibabel")}
