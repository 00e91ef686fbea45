"""The screen of volumes and values that do not belong to a scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import methods
from ivimkit.engine import Task, evaluate, in_chunks, robust_chunk, run
from ivimkit.engine.bind import bind
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.screening import Screening
from ivimkit.scan.dwi import DWI
from ivimkit.scan.voxel_reader import Column, VoxelReader

__all__ = ["MIN_DEGREES", "MIN_VOXELS", "ScreenRules", "obstacle", "screened"]

MIN_VOXELS = 50
"""With fewer voxels, the factor of a volume is not known well enough."""

MIN_DEGREES = 4
"""Minimum number of volumes beyond the free parameters: a fit follows fewer wherever they are."""

# Voxels of a slab, which is judged separately: dropouts of multi-slice scans concern slices.
_MIN_SLAB_VOXELS = 300
# Voxels of a slab that its factors are found from.
_MAX_SLAB_VOXELS = 1000
_BLOCK = 1 << 14
_MAX_ROUNDS = 5
# Fitted signals below this many standard deviations are raised by the noise floor.
_MIN_SIGNAL = 3.0
# A volume is left out if its factor is off by this many standard deviations, and by more than what
# is worth it: with repeats, and without.
_MAX_DEVIATION = 5.0
# Volumes without repeats are tried one by one, this many times per slab: two of them that lost
# signal bend the fit, so that neither looks odd enough.
_MAX_TRIALS = 3
_MIN_SCATTER = 0.006
_MIN_LOG_FACTOR, _MIN_LONE_LOG_FACTOR = 0.05, 0.10
# Neighbours share noise: this many voxels count as one.
_SHARED = 2.0
# Of a normal distribution: standard deviation by median deviation, error of a median by that of a
# mean.
_MAD, _OF_MEDIAN = 1.4826, 1.2533
# A value is left out if its residual is larger than this many standard deviations: of normal noise
# one in 16 000 is.
_MAX_RESIDUAL = 4.0
# A voxel of which a larger share would go is not understood, and keeps all its values.
_MAX_SHARE_OUT = 0.3
# With fewer degrees of freedom, the residuals of a single voxel show neither its noise nor a value
# that does not belong.
_MIN_OWN_DEGREES = 6


@dataclass(frozen=True)
class ScreenRules:
    """What the screen leaves out.

    Parameters
    ----------
    deviation : float
        A volume is left out if its factor is off by more than this many standard deviations.
    keep : int
        b-values (settings) that each slab of slices keeps at least, and always more than the model
        has free parameters.
    values : bool
        Whether single values are judged, too, in the volumes that are left.
    """

    deviation: float = _MAX_DEVIATION
    keep: int = 0
    values: bool = True


_USUAL = ScreenRules()


@dataclass(frozen=True, eq=False)
class _Voxels:
    """Some voxels of a scan, volume by volume, and where their robust fits begin.

    Parameters
    ----------
    signals : ndarray, shape (n_voxels, n_volumes)
        a.u.; 0 where they are not used.
    used : ndarray of bool, shape (n_voxels, n_volumes)
        Values that count: finite, and with a weight.
    slab : ndarray of int, shape (n_voxels,)
        The slab of each voxel.
    sigma : ndarray, shape (n_voxels,)
        Noise that was given; NaN where it is not known.
    model : SignalModel
        Its fixed maps have one value per voxel.
    params, fitted : ndarray
        Parameters, shape (n_voxels, n_par), and the signal of the volumes that they give.
    """

    signals: NDArray[np.float64]
    used: NDArray[np.bool_]
    slab: NDArray[np.intp]
    sigma: NDArray[np.float64]
    model: SignalModel
    params: NDArray[np.float64]
    fitted: NDArray[np.float64]


class _Screen:
    """The scan, and what all of its voxels share."""

    def __init__(
        self,
        dwi: DWI,
        model: SignalModel,
        sigma: NDArray[np.float64],
        threads: int | None,
        rules: ScreenRules,
    ) -> None:
        self.dwi, self.threads, self.rules = dwi, threads, rules
        self.least_kept = max(model.n_free + 1, rules.keep)
        self.single = dwi.with_average("none")
        self.x = np.ascontiguousarray(np.atleast_2d(fitted_x(model.variables, self.single)))
        self.shell_x = np.atleast_2d(fitted_x(model.variables, dwi.with_average("arithmetic")))
        self.reader = self.single.voxels()
        self.model, self.sigma = model, sigma
        weights = self.single.weights
        # A volume that is the mean of several has less noise.
        self.root = np.ones(len(dwi.volumes)) if weights is None else np.sqrt(weights)
        self.shells = [np.array(shell.volumes) for shell in dwi.acquisition.shells]
        self.repeated = np.zeros(dwi.acquisition.n_volumes, dtype=bool)
        for volumes in self.shells:
            self.repeated[volumes] = volumes.size > 1
        self.slab_of_voxel, self.slabs = _slabs(self.reader)
        n = dwi.fit_acquisition.n_volumes
        self.judges_values = rules.values and n - model.n_free >= _MIN_OWN_DEGREES

    def voxels(self, positions: NDArray[np.intp]) -> _Voxels:
        """Read some voxels, and fit the medians of their repeats."""
        reader = self.reader.take(positions)
        signals = np.empty((reader.n_voxels, reader.n_columns))
        reader.read(0, reader.n_voxels, signals)
        used = np.isfinite(signals)
        used &= self.root > 0.0
        signals[~used] = 0.0
        maps = {name: values[positions] for name, values in self.model.fixed_maps.items()}
        model = replace(self.model, fixed_maps=maps)
        params = self._start(signals, used, model)
        fitted = np.full(signals.shape, np.nan)
        sigma = self.sigma if self.sigma.size == 1 else self.sigma[positions]
        return _Voxels(
            signals,
            used,
            self.slab_of_voxel[positions],
            np.broadcast_to(sigma, (reader.n_voxels,)),
            model,
            params,
            fitted,
        )

    def _start(
        self, signals: NDArray[np.float64], used: NDArray[np.bool_], model: SignalModel
    ) -> NDArray[np.float64]:
        """Return the parameters of least squares of the medians of each shell."""
        medians = np.stack([_median(signals, used, volumes) for volumes in self.shells], axis=1)
        # Voxels without any value of a shell are left as they are: NaN.
        everywhere = np.ones(len(medians), dtype=bool)
        columns = [Column(((k,),)) for k in range(medians.shape[1])]
        task = Task(model, methods.get("varpro"), np.array([v.size for v in self.shells], float))
        reader = VoxelReader(medians, everywhere, columns)
        values, _, _ = run(reader, self.shell_x, [task], threads=self.threads, device="cpu")[0]
        return np.ascontiguousarray(values[:, : len(model.parameters)])

    def fit(self, of: _Voxels, used: NDArray[np.bool_], pooled: float) -> NDArray[np.float64]:
        """Fit robustly with some of the values; return the noise that was assumed, per voxel."""
        sigma = self._noise(of, used, pooled)
        model = of.model
        n = len(of.signals)
        rows = n if model.fixed_maps else 1
        lower = np.tile([p.lower for p in model.parameters], (rows, 1)).astype(np.float64)
        upper = np.tile([p.upper for p in model.parameters], (rows, 1)).astype(np.float64)
        for name, values in model.fixed_maps.items():
            lower[:, model.index(name)] = upper[:, model.index(name)] = values
        in_chunks(
            bind(robust_chunk, ("signal_kernel", model.kernel)),
            n,
            self.x,
            of.signals,
            used * self.root,
            sigma,
            lower,
            upper,
            of.params,
            of.fitted,
            threads=self.threads,
        )
        return sigma

    def _noise(self, of: _Voxels, used: NDArray[np.bool_], pooled: float) -> NDArray[np.float64]:
        """Return the noise of each voxel: what is known, and what its own residuals show if more.

        What moves is not thermal noise, but residuals that are as large everywhere do not say that
        one value does not belong.
        """
        known = np.where(np.isfinite(of.sigma), of.sigma, pooled)
        own, degrees = self.residual_scale(of, used)
        known = np.where(np.isfinite(known), known, own)
        larger = (degrees >= _MIN_OWN_DEGREES) & (own > known)
        found = np.where(larger, own, known)
        # Signals without noise are exact, but for rounding.
        least = 1e-6 * np.abs(of.signals).max(axis=1, initial=1e-300)
        return np.ascontiguousarray(np.where(found > least, found, least))

    def residual_scale(
        self, of: _Voxels, used: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the robust scale of the residuals of each voxel, and its degrees of freedom."""
        n = used.sum(axis=1)
        degrees = n - float(self.model.n_free)
        fitted = of.fitted
        if not np.isfinite(fitted).any():
            return np.full(n.size, np.nan), degrees
        left = np.abs(of.signals - fitted) * self.root
        if (used == used[:1]).all():
            # The usual case, and several times as fast.
            own = left[:, used[0]]
            middle = _row_medians(own) if own.shape[1] else np.zeros(n.size)
        else:
            left[~used] = np.inf
            left.sort(axis=1)
            last = np.maximum(n - 1, 0)
            row = np.arange(n.size)
            middle = 0.5 * (left[row, last // 2] + left[row, n // 2 * (n > 1)])
        with np.errstate(divide="ignore", invalid="ignore"):
            return _MAD * middle * np.sqrt(n / np.maximum(degrees, 1.0)), degrees


def screened(
    dwi: DWI,
    model: SignalModel,
    sigma: NDArray[np.float64],
    *,
    threads: int | None = None,
    rules: ScreenRules = _USUAL,
) -> tuple[DWI, Screening]:
    """Return a scan without the volumes and values that do not belong to it, and what was found.

    A fit by the loss of Geman and McClure, which begins at least squares of the medians of the
    repeats, is hardly moved by values that lie apart. Volumes whose ratio to it, the median over
    the voxels of a slab of slices, is unlike that of the others are left out, unless the other
    repeats of their b-value agree with them: then it is the model that does not fit. This is
    repeated until nothing changes. Then the worst volume of each slab that is still odd is left
    out for a trial, and stays out if the fit without it finds it too far off. In the volumes that
    are left, single values whose residual is far larger than the noise are left out.

    Parameters
    ----------
    dwi : DWI
        The scan, as the model needs it (`DWI.for_variables`).
    model : SignalModel
        The model, its fixed maps with one value per voxel of the mask.
    sigma : ndarray, shape (1,) or (n_voxels,)
        Noise of a volume of weight 1, a.u.; NaN where it is not known.
    threads : int, optional
        Number of threads.
    rules : ScreenRules
        What is left out.

    Returns
    -------
    dwi : DWI
        The scan, where values that do not belong have weight 0.
    screening : Screening

    References
    ----------
    Chang LC et al. RESTORE. Magn Reson Med 2005;53:1088-1095. doi:10.1002/mrm.20426
    """
    reason = obstacle(dwi, model)
    if reason:
        return dwi, Screening.impossible(reason, dwi.volumes, dwi.acquisition.bvals)
    screen = _Screen(dwi, model, sigma, threads, rules)
    factors, left_out, pooled = _judged_volumes(screen)
    kept, shares = _judged_values(screen, left_out, pooled)
    screening = Screening(
        "",
        dwi.volumes,
        dwi.acquisition.bvals,
        screen.repeated,
        screen.slabs,
        factors,
        left_out,
        shares,
        np.bincount(screen.slab_of_voxel, minlength=len(screen.slabs)),
        screen.judges_values,
        pooled,
        rules.values,
    )
    if kept is None:
        return dwi, screening
    weights = kept if dwi.value_weights is None else kept * dwi.value_weights
    return dwi.with_value_weights(weights), screening


def obstacle(dwi: DWI, model: SignalModel) -> str:
    """Return why a scan cannot be judged by a model, in words; empty if it can.

    Parameters
    ----------
    dwi : DWI
        The scan.
    model : SignalModel
        The model.
    """
    if dwi.n_voxels < MIN_VOXELS:
        there = "is 1 voxel" if dwi.n_voxels == 1 else f"are {dwi.n_voxels} voxels"
        return f"there {there}, and {MIN_VOXELS} are needed to judge a volume"
    n = dwi.fit_acquisition.n_volumes
    if n - model.n_free < MIN_DEGREES:
        return (
            f"{n} volumes leave {max(n - model.n_free, 0)} degrees of freedom with model "
            f"{model.name}, and {MIN_DEGREES} are needed to tell a value that does not belong"
        )
    return ""


def _slabs(reader: VoxelReader) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the slab of each voxel, and first and last slice of each slab.

    Slices are added to a slab until it has enough voxels; what is left at the end is added to the
    last one.
    """
    if len(reader.shape) < 3:
        return np.zeros(reader.n_voxels, dtype=np.intp), np.zeros((1, 2), dtype=np.intp)
    slices = np.unravel_index(reader.index, reader.shape, order=reader.order)[2]
    counts = np.bincount(slices, minlength=reader.shape[2])
    slab_of_slice = np.zeros(reader.shape[2], dtype=np.intp)
    ends: list[int] = []
    n = 0
    for number, count in enumerate(counts):
        slab_of_slice[number] = len(ends)
        n += count
        if n >= _MIN_SLAB_VOXELS:
            ends.append(number)
            n = 0
    if not ends:
        ends.append(reader.shape[2] - 1)
    ends[-1] = reader.shape[2] - 1
    slab_of_slice = np.minimum(slab_of_slice, len(ends) - 1)
    firsts = [0, *(end + 1 for end in ends[:-1])]
    return slab_of_slice[slices], np.array([firsts, ends], dtype=np.intp).T


def _sample(slab: NDArray[np.intp], n_slabs: int) -> NDArray[np.intp]:
    """Return positions of up to `_MAX_SLAB_VOXELS` voxels of each slab, evenly spread."""
    chosen = []
    for number in range(n_slabs):
        own = np.flatnonzero(slab == number)
        if own.size > _MAX_SLAB_VOXELS:
            own = own[np.linspace(0, own.size - 1, _MAX_SLAB_VOXELS).astype(np.intp)]
        chosen.append(own)
    return np.sort(np.concatenate(chosen))


def _judged_volumes(
    screen: _Screen,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """Return the factor of each volume in each slab, which are left out, and the pooled noise."""
    of = screen.voxels(_sample(screen.slab_of_voxel, len(screen.slabs)))
    left_out = np.zeros((len(screen.slabs), len(screen.repeated)), dtype=bool)
    _evaluate(screen, of)
    left_out, factors, pooled = _settled(screen, of, left_out)
    tried = np.zeros_like(left_out)
    for _ in range(_MAX_TRIALS):
        trial = _worst(screen, factors, left_out, tried)
        if not trial.any():
            break
        tried |= trial
        now, _, _ = _judged_once(screen, of, left_out | trial)
        left_out, factors, pooled = _settled(screen, of, left_out | (trial & now))
    return factors, left_out, pooled


def _settled(
    screen: _Screen, of: _Voxels, left_out: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], float]:
    """Judge the volumes of each slab until nothing changes, beginning without some of them."""
    for _ in range(_MAX_ROUNDS):
        now, factors, pooled = _judged_once(screen, of, left_out)
        if (now == left_out).all():
            break
        left_out = now
    return left_out, factors, pooled


def _judged_once(
    screen: _Screen, of: _Voxels, left_out: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], float]:
    """Fit without some of the volumes; return which do not belong, all factors and the noise."""
    used = of.used & ~left_out[of.slab]
    screen.fit(of, used, _pooled(screen, of, used))
    pooled = _pooled(screen, of, used)
    return *_off(screen, of, left_out, pooled), pooled


def _worst(
    screen: _Screen,
    factors: NDArray[np.float64],
    left_out: NDArray[np.bool_],
    tried: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return the volume of each slab that is off most, of those that were not tried yet.

    Only volumes without repeats, which the median of their setting does not protect.
    """
    worst = np.zeros_like(left_out)
    open_ = ~left_out & ~tried & ~screen.repeated & np.isfinite(factors)
    for slab in np.flatnonzero(open_.any(axis=1)):
        logs = np.log(np.maximum(factors[slab], 1e-3))
        apart = np.abs(logs - np.median(logs[np.isfinite(logs) & ~left_out[slab]]))
        apart[~open_[slab]] = 0.0
        k = int(np.argmax(apart))
        worst[slab, k] = apart[k] > _MIN_LONE_LOG_FACTOR
    return worst


def _evaluate(screen: _Screen, of: _Voxels) -> None:
    """Write the signal that the parameters give, where there are any."""
    finite = np.isfinite(of.params).all(axis=1)
    of.fitted[finite] = evaluate(of.model, of.params[finite], screen.x)


def _pooled(screen: _Screen, of: _Voxels, used: NDArray[np.bool_]) -> float:
    """Return the noise of a volume in the typical voxel, a.u."""
    if np.isfinite(of.sigma).all():
        return float(np.median(of.sigma))
    scale, degrees = screen.residual_scale(of, used)
    known = np.isfinite(scale) & (degrees > 0.0)
    return float(np.median(scale[known])) if known.any() else float("nan")


def _off(
    screen: _Screen, of: _Voxels, before: NDArray[np.bool_], pooled: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which volumes of each slab do not belong, and the factors of all."""
    noise = np.where(np.isfinite(of.sigma), of.sigma, pooled)[:, np.newaxis]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(
            of.used & (of.fitted > _MIN_SIGNAL * noise), of.signals / of.fitted, np.nan
        )
    n_slabs, n_volumes = before.shape
    middle = np.full(before.shape, np.nan)
    error = np.full(before.shape, np.inf)
    for slab in range(n_slabs):
        own = ratio[of.slab == slab]
        for k in range(n_volumes):
            values = own[np.isfinite(own[:, k]), k]
            if values.size >= MIN_VOXELS:
                middle[slab, k] = _row_medians(values[np.newaxis])[0]
                apart = np.abs(values - middle[slab, k])
                spread = _MAD * float(_row_medians(apart[np.newaxis])[0])
                error[slab, k] = _OF_MEDIAN * spread / np.sqrt(values.size / _SHARED)
    out = np.zeros_like(before)
    for slab in range(n_slabs):
        own = _off_in_slab(screen, middle[slab], error[slab], ~before[slab])
        left = sum(not own[volumes].all() for volumes in screen.shells)
        # Where too little would be left, it is not known which volumes belong.
        out[slab] = own & (left >= screen.least_kept)
    return out, middle


def _off_in_slab(
    screen: _Screen,
    factors: NDArray[np.float64],
    errors: NDArray[np.float64],
    kept: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which volumes do not belong, by their factors in a slab."""
    out = np.zeros(factors.size, dtype=bool)
    known = np.isfinite(factors)
    if np.count_nonzero(known & kept) < MIN_DEGREES:
        return out
    # A volume without any signal has a factor of 0.
    logs = np.log(np.maximum(factors, 1e-3))
    relative = errors / np.maximum(factors, 1e-3)
    centre = float(np.median(logs[known & kept]))
    apart = logs - centre
    scatter = _MAD * float(np.median(np.abs(apart[known & kept])))
    limit = screen.rules.deviation * np.hypot(max(scatter, _MIN_SCATTER), relative)
    least = np.where(screen.repeated, _MIN_LOG_FACTOR, _MIN_LONE_LOG_FACTOR)
    with np.errstate(invalid="ignore"):
        out = known & (np.abs(apart) > np.maximum(limit, least))
    for volumes in screen.shells:
        own = volumes[known[volumes]]
        for k in own[out[own]]:
            others = own[own != k]
            alike = np.abs(apart[others] - apart[k]) <= max(limit[k], least[k])
            # Where most repeats agree, it is the model that does not fit this b-value.
            if others.size and alike.mean() > 0.5:
                out[k] = False
    return out


def _judged_values(
    screen: _Screen, left_out: NDArray[np.bool_], pooled: float
) -> tuple[NDArray[np.bool_] | None, NDArray[np.float64]]:
    """Return which values are kept, shape (..., n_volumes), and the shares that are not.

    None instead of the first if all are kept.
    """
    reader = screen.reader
    n_volumes = left_out.shape[1]
    lost, totals = np.zeros(left_out.shape), np.zeros(left_out.shape[0])
    kept: NDArray[np.bool_] | None = None
    for positions in _blocks(reader.n_voxels):
        of = screen.voxels(positions)
        bad = _bad_values(screen, of, left_out, pooled)
        for slab in np.unique(of.slab):
            lost[slab] += bad[of.slab == slab].sum(axis=0)
        totals += np.bincount(of.slab, minlength=len(totals))
        if bad.any():
            if kept is None:
                kept = np.ones((int(np.prod(reader.shape)), n_volumes), dtype=bool)
            kept[reader.index[positions]] = ~bad
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(totals[:, np.newaxis] > 0, lost / totals[:, np.newaxis], 0.0)
    if kept is None:
        return None, shares
    whole = [kept[:, k].reshape(reader.shape, order=reader.order) for k in range(n_volumes)]
    return np.stack(whole, axis=-1), shares


def _bad_values(
    screen: _Screen, of: _Voxels, left_out: NDArray[np.bool_], pooled: float
) -> NDArray[np.bool_]:
    """Return the values of some voxels that do not count, those of volumes left out included."""
    out = left_out[of.slab]
    if not screen.rules.values:
        return out
    used = of.used & ~out
    _evaluate(screen, of)
    sigma = screen.fit(of, used, pooled)
    own, degrees = screen.residual_scale(of, used)
    sigma = np.where((degrees >= _MIN_OWN_DEGREES) & (own > sigma), own, sigma)
    with np.errstate(invalid="ignore"):
        left = np.abs(of.signals - of.fitted) * screen.root
        far = used & (left > _MAX_RESIDUAL * sigma[:, np.newaxis])
    # A voxel that loses many of its values, or all of some b-values that it needs, keeps them.
    n_shells = np.zeros(len(far), dtype=np.intp)
    for volumes in screen.shells:
        n_shells += (used & ~far)[:, volumes].any(axis=1)
    many = far.sum(axis=1) > _MAX_SHARE_OUT * used.sum(axis=1)
    few = (n_shells <= screen.model.n_free) | (degrees < _MIN_OWN_DEGREES)
    far[many | few] = False
    return out | far


def _row_medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row of finite values, without the checks of `numpy.median`."""
    half = values.shape[1] // 2
    if values.shape[1] % 2:
        return np.asarray(np.partition(values, half, axis=1)[:, half])
    found = np.partition(values, (half - 1, half), axis=1)
    return np.asarray(0.5 * (found[:, half - 1] + found[:, half]))


def _blocks(n: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, n, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, n))


def _median(
    signals: NDArray[np.float64], used: NDArray[np.bool_], volumes: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the median of some volumes in each voxel, over the values that count."""
    values = signals[:, volumes]
    if volumes.size == 1:
        return np.where(used[:, volumes[0]], values[:, 0], np.nan)
    if used[:, volumes].all():
        return _row_medians(values)
    values = np.where(used[:, volumes], values, np.nan)
    empty = ~used[:, volumes].any(axis=1)
    values[empty] = 0.0
    found = np.nanmedian(values, axis=1)
    found[empty] = np.nan
    return np.asarray(found)
