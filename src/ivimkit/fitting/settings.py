"""FitSettings: how a fit is made, decided before the first voxel is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import methods, models
from ivimkit import uncertainty as estimators
from ivimkit.defaults import USUAL_METHOD
from ivimkit.errors import OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.noise import NoiseEstimate
from ivimkit.scan.dwi import DWI

__all__ = ["FitSettings", "MeasuredNoise", "ScanReading", "sigma_values"]


@dataclass(frozen=True)
class MeasuredNoise:
    """Origin of an estimated sigma, see `ivimkit.noise.NoiseEstimate`.

    Parameters
    ----------
    source : {"repeats", "residuals", "background", "given"}
        What it was estimated from.
    degrees : float
        Its degrees of freedom; infinite if it was given.
    n_voxels : int
        Number of voxels it was estimated from.
    """

    source: str
    degrees: float
    n_voxels: int


@dataclass(frozen=True)
class ScanReading:
    """How the command line read a scan: with the files, all that is needed to read it again.

    Parameters
    ----------
    b_unit : str
        Unit of the b-values in the files and on the command line, see `ivimkit.load`.
    average : str
        See `ivimkit.load`.
    tolerance : float, optional
        See `ivimkit.load`; s/mm^2.
    bmin, bmax : float, optional
        Range of b-values kept, s/mm^2.
    bvals : tuple of float, optional
        b-values kept, s/mm^2.
    volumes : tuple of int, optional
        Volumes kept, from 0.
    where : str, optional
        Condition on the variables of the volumes kept, see `DWI.select`.
    echo_time : float or tuple of float, optional
        Echo time of all volumes or of each, in ms, as it was given.
    bval : tuple of float, optional
        b-values that were written on the command line instead of a file, in `b_unit`.
    stack : bool
        Whether the files were the volumes of one scan.
    series : tuple of str, optional
        Series of DICOM that were chosen, by number or UID.
    images : {"auto", "directions", "trace"}
        Which images of DICOM were chosen.
    drop_incomplete : bool
        Whether incomplete volumes of DICOM were left out.
    axes : str, optional
        Which axis of an array of Zarr or HDF5 is which, as it was given.
    """

    b_unit: str = "s/mm2"
    average: str = "auto"
    tolerance: float | None = None
    bmin: float | None = None
    bmax: float | None = None
    bvals: tuple[float, ...] | None = None
    volumes: tuple[int, ...] | None = None
    where: str | None = None
    echo_time: float | tuple[float, ...] | None = None
    bval: tuple[float, ...] | None = None
    stack: bool = False
    series: tuple[str, ...] | None = None
    images: str = "auto"
    drop_incomplete: bool = False
    axes: str | None = None

    @property
    def selection(self) -> dict[str, Any]:
        """What `DWI.select` needs to keep the same volumes; empty if all were kept."""
        names = ("bmin", "bmax", "bvals", "volumes", "where")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class FitSettings:
    """How a fit is made: everything except the scan that decides its numbers.

    Parameters
    ----------
    model : SignalModel
        The model, with its bounds, starts and fixed values.
    method : FitMethod
        The method, with its options.
    estimator : Estimator, optional
        How the uncertainty is estimated; None for that of the method itself, if any.
    sigma : float or "map", optional
        Noise of one volume that was given, a.u.; "map" if it was a map.
    noise : MeasuredNoise, optional
        Origin of `sigma`, if it was estimated.
    weights : tuple of float, optional
        Weights that were given, of each volume or of each b-value.
    averages : tuple of float, optional
        Number of magnitude images whose mean each volume was, see `DWI.with_averages`.
    value_weights : bool
        Whether single values had weights, which are not contained here.
    adc_bvals : tuple of float, optional
        b-values of the ADC, s/mm^2; None for all.
    average : str
        How volumes of one b-value became one value, see `ivimkit.load`.
    mask_origin : str
        How ivimkit found the mask; empty if it did not.
    labels : bool
        Whether regions with their own priors were given.
    device : str
        The device that was requested; `Provenance.device` is the one that was used.
    precision : {"float64", "float32"}
        What the loops over the data compute in.
    organ : str, optional
        Name of the organ whose presets were used.
    reading : ScanReading, optional
        How the command line read the scan; None for a scan from Python code.
    call : str
        The command line or the call.

    Examples
    --------
    >>> import ivimkit as ik
    >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi, sigma=20.0)
    >>> result.settings.sigma, result.settings.estimator, result.settings.average
    (20.0, None, 'auto')
    """

    model: SignalModel
    method: FitMethod
    estimator: Estimator | None = None
    sigma: float | Literal["map"] | None = None
    noise: MeasuredNoise | None = None
    weights: tuple[float, ...] | None = field(default=None, repr=False)
    averages: tuple[float, ...] | None = field(default=None, repr=False)
    value_weights: bool = False
    adc_bvals: tuple[float, ...] | None = None
    average: str = "auto"
    mask_origin: str = ""
    labels: bool = False
    device: str = "auto"
    precision: str = "float64"
    organ: str | None = None
    reading: ScanReading | None = None
    call: str = "ivimkit.fit"

    @classmethod
    def of(
        cls,
        model: str | SignalModel = "biexp",
        method: str | FitMethod = USUAL_METHOD,
        uncertainty: str | Estimator | None = None,
        *,
        adc_bvals: ArrayLike | None = None,
        device: str = "auto",
        precision: str = "float64",
        organ: str | None = None,
        reading: ScanReading | None = None,
        call: str = "ivimkit.fit",
    ) -> Self:
        """Return settings from the arguments of a call, where plug-ins may be given by name.

        `for_scan` adds what depends on the scan.

        Raises
        ------
        OptionError
            For an unknown model, method or estimator.
        """
        known = methods.get(method)
        return cls(
            model=known.fitted_model(models.get(model)),
            method=known,
            estimator=None if uncertainty is None else estimators.get(uncertainty),
            adc_bvals=_numbers(adc_bvals),
            device=device,
            precision=precision,
            organ=organ,
            reading=reading,
            call=call,
        )

    def for_scan(
        self,
        dwi: DWI,
        *,
        sigma: ArrayLike | NoiseEstimate | None = None,
        weights: ArrayLike | None = None,
        labels: bool = False,
    ) -> Self:
        """Return the settings with what depends on the scan, its noise, weights and regions.

        Parameters
        ----------
        dwi : DWI
            The scan: its average, the origin of its mask, and its weights.
        sigma : float, array_like or NoiseEstimate, optional
            Noise of one volume, a.u.
        weights : array_like, optional
            Weights as they were given; by default those of the scan.
        labels : bool
            Whether regions were given.
        """
        return replace(
            self,
            sigma=_recorded_sigma(sigma),
            noise=_measured(sigma),
            weights=_numbers(dwi.weights if weights is None or np.ndim(weights) > 1 else weights),
            averages=_numbers(dwi.averages),
            value_weights=dwi.value_weights is not None,
            average=dwi.average,
            mask_origin=dwi.mask_origin or "",
            labels=labels,
        )

    def by_another(self, model: str | SignalModel, method: str | FitMethod) -> Self:
        """Return the settings with another method, and without an estimator of uncertainty.

        Parameters
        ----------
        model : str or SignalModel
            The model as it was asked for: a method may change it.
        method : str or FitMethod
            The other method.

        Raises
        ------
        OptionError
            If it is the same method, or unknown.
        """
        known = methods.get(method)
        if known.name == self.method.name:
            others = ", ".join(name for name in methods.names() if name != known.name)
            raise OptionError(
                f"the other method is {known.name}, which is the method itself; expected another "
                f"one: {others}. Choose one of these, or leave it out (--also)",
                python="Pass also=",
            )
        return replace(
            self, model=known.fitted_model(models.get(model)), method=known, estimator=None
        )


def sigma_values(sigma: ArrayLike | NoiseEstimate) -> NDArray[np.float64]:
    """Return the noise as a number or a map; of a `NoiseEstimate`, the pooled number."""
    return np.asarray(sigma, dtype=np.float64)


def _recorded_sigma(
    sigma: ArrayLike | NoiseEstimate | None,
) -> float | Literal["map"] | None:
    if sigma is None:
        return None
    values = sigma_values(sigma)
    return "map" if values.ndim else float(values)


def _measured(sigma: ArrayLike | NoiseEstimate | None) -> MeasuredNoise | None:
    if not isinstance(sigma, NoiseEstimate):
        return None
    return MeasuredNoise(sigma.source, float(sigma.degrees), int(sigma.n_voxels))


def _numbers(values: ArrayLike | None) -> tuple[float, ...] | None:
    if values is None:
        return None
    found: Sequence[float] = np.atleast_1d(np.asarray(values, dtype=np.float64)).ravel().tolist()
    return tuple(found)
