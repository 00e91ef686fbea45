"""VoxelFits: what is fitted in every voxel, also where weights differ from voxel to voxel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import Task, run
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.adc import ADC
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.fitting.kurtosis_check import kurtosis_flags, kurtosis_tasks
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.fitting.voxel_lattices import LogMoments
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.scan.dwi import DWI
from ivimkit.status import FAILED, FitStatus, status_type

__all__ = ["Fits", "VoxelFits", "for_averages"]

_TOO_FEW = int(FitStatus.TOO_FEW_BVALUES)


def for_averages(method: FitMethod, dwi: DWI) -> FitMethod:
    """Return the method for the averages of the scan, if some values are means of volumes."""
    counts = dwi.fit_averages
    if not (counts[dwi.fit_counts > 0.0] > 1.0).any():
        return method
    return method.for_means(dwi.fit_directions, counts / dwi.fit_directions)


@dataclass(frozen=True, eq=False)
class VoxelFits:
    """Values of some voxels.

    Parameters
    ----------
    values : ndarray, shape (n_voxels, n_par + 2 + n_columns)
        See `ivimkit.engine.run`.
    status : ndarray of int, shape (n_voxels,)
        Its status.
    spread : ndarray, shape (n_voxels,)
        Weighted sum of squares about the mean.
    adc : ndarray, shape (n_voxels,)
        ADC; NaN where it is not available.
    flags : ndarray of int, shape (n_voxels,)
        Further flags of the status, for voxels that did not fail: of the ADC and of kurtosis.
    weight : ndarray, shape (n_voxels,)
        Sum of the weights of the values.
    """

    values: NDArray[np.float64]
    status: NDArray[np.int32]
    spread: NDArray[np.float64]
    adc: NDArray[np.float64]
    flags: NDArray[np.int32]
    weight: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[tuple[NDArray[np.intp], VoxelFits]]) -> VoxelFits:
        """Return the values of all voxels from those of groups, and their positions."""
        if len(parts) == 1 and (np.diff(parts[0][0]) == 1).all():
            return parts[0][1]
        order = np.argsort(np.concatenate([positions for positions, _ in parts]), kind="stable")
        columns = {
            field.name: np.concatenate([getattr(part, field.name) for _, part in parts])[order]
            for field in fields(cls)
        }
        return cls(**columns)


@dataclass(frozen=True, eq=False)
class Fits:
    """The fits of all voxels of a scan: the model, the ADC and the check for kurtosis.

    Parameters
    ----------
    method : FitMethod
        The method as it is for values that are single volumes.
    adc_used : ndarray of bool, shape (n_b,)
        The values that the ADC uses.
    place : tuple of str
        Device, and precision.
    is_noise_given : bool
        Whether the noise of the sample was given, not measured for the method.
    """

    method: FitMethod
    adc_used: NDArray[np.bool_]
    place: tuple[str, str]
    is_noise_given: bool

    def of(
        self,
        sample: TrainingSample,
        task: Task,
        progress: Callable[[int, int], None] | None = None,
    ) -> VoxelFits:
        """Fit all voxels of a sample.

        Parameters
        ----------
        sample : TrainingSample
            The voxels.
        task : Task
            The fit of the model, with the weights of the volumes.
        progress : callable, optional
            Called as ``progress(done, total)``.
        """
        if sample.patterns is None:
            return self._alike(sample, task, progress)
        if self.place[0] != "cpu":
            # Groups of voxels take turns on a GPU, which is not shared by threads.
            sample = replace(sample, threads=1)
        base = sample.weight > 0.0

        def fitted(part: TrainingSample) -> VoxelFits:
            assert part.dwi is not None
            method = self._for_part(task.method, part.dwi)
            own = Task(part.model, method, part.weight, part.sigma, task.estimator)
            less = bool((base & ~(part.weight > 0.0)).any())
            if less and not _is_enough(part.model, method, part.dwi):
                return _without_fit(part, own)
            return self._alike(part, own, None)

        parts, done = [], 0
        for positions, own in sample.in_parts(fitted):
            parts.append((positions, own))
            done += positions.size
            if progress is not None:
                progress(done, sample.n_voxels)
        return VoxelFits.joined(parts)

    def _for_part(self, method: FitMethod, dwi: DWI) -> FitMethod:
        """Return the method of a fit for the averages of some voxels, by their weights."""
        if not isinstance(method, PosteriorMethod | LogMoments):
            return for_averages(self.method, dwi)
        return method.for_means(dwi.fit_directions, dwi.fit_averages / dwi.fit_directions)

    def _alike(
        self,
        sample: TrainingSample,
        task: Task,
        progress: Callable[[int, int], None] | None,
    ) -> VoxelFits:
        """Fit voxels that have the same weights of all values."""
        model, dwi = task.model, sample.dwi
        assert dwi is not None
        x = np.atleast_2d(fitted_x(model.variables, dwi))
        adc_weight = np.where(self.adc_used, sample.weight, 0.0)
        has_adc = np.unique(sample.b[adc_weight > 0.0]).size >= 2
        adc_tasks = (Task(ADC.model, ADC.method, adc_weight),) if has_adc else ()
        kurtosis = kurtosis_tasks(model, task.method, sample.b, sample.weight)
        device, precision = self.place
        fitted, *others = run(
            sample.reader,
            x,
            [task, *adc_tasks, *kurtosis],
            threads=sample.threads,
            device=device,
            precision=precision,
            progress=progress,
        )
        values, status, spread = fitted
        flags = np.zeros_like(status)
        adc = np.full(sample.n_voxels, np.nan)
        missing = np.ones(sample.n_voxels, dtype=bool)
        if has_adc:
            found, adc_status, _ = others.pop(0)
            adc, missing = found[:, 1].copy(), (adc_status & int(FAILED)) != 0
        if "ADC" not in model.names:
            flags[missing] |= int(FitStatus.ADC_NOT_AVAILABLE)
        if others:
            cost = (others[1] if len(others) > 1 else fitted)[0][:, len(model.parameters)]
            sigma = task.sigma if self.is_noise_given else np.full(1, np.nan)
            bent = kurtosis_flags(others[0][:2], cost, model.n_free, sample.weight, sigma)
            flags[bent] |= int(FitStatus.KURTOSIS_LIKELY)
        weight = np.full(sample.n_voxels, float(sample.weight.sum()))
        return VoxelFits(values, status, spread, adc, flags, weight)


def _is_enough(model: SignalModel, method: FitMethod, dwi: DWI) -> bool:
    """Return whether the values that have a weight are enough for a model and a method."""
    if not dwi.used_volumes.any():
        return False
    try:
        acquisition = dwi.fit_acquisition
        require_identifiable(model, acquisition)
        method.check(model, acquisition)
    except (AcquisitionError, OptionError):
        return False
    return True


def _without_fit(sample: TrainingSample, task: Task) -> VoxelFits:
    """Return voxels that cannot be fitted, as too few of their values have a weight."""
    n, n_par = sample.n_voxels, len(task.model.parameters)
    status = np.full(n, _TOO_FEW, dtype=status_type(n_par))
    nothing = np.full(n, np.nan)
    return VoxelFits(
        np.full((n, n_par + 2 + len(task.columns)), np.nan),
        status,
        nothing,
        nothing,
        np.zeros_like(status),
        np.full(n, float(sample.weight.sum())),
    )
