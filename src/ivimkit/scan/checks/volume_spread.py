"""Check: whether volumes of one b-value differ by more than noise, pulsation and direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.checks.finding import ScanFinding, named
from ivimkit.scan.checks.volume_sample import VolumeSample
from ivimkit.scan.checks.volume_scatter import (
    UNWEIGHTED,
    relative_spread,
    repeat_scatter,
    roughness,
    shells_of,
)

__all__ = ["spread_finding"]

# Limits of the scatter of the mean signal of an unweighted volume: breathing and inflow change
# that of a volunteer's abdomen by 4 %.
_MIN_SCATTER, _MAX_SCATTER = 0.015, 0.04
_CHANCE = 1e-4
# One of many volumes this far off is not just scatter.
_FAR, _SCATTERS = 0.15, 6.0
# A weighted volume exceeds those of the lowest b-value by no more than this.
_ABOVE, _ABOVE_SCATTERS = 0.1, 4.0
# A weighted volume may lie above the others because of their pulsation, and because of direction,
# along or across fibres. Within one direction, only pulsation counts.
_PULSATION, _DIRECTION = 0.3, 0.8e-3
# With this many other shells, the limit is a multiple of their scatter.
_MIN_SHELLS, _TIMES, _MIN_EXCESS = 3, 4.0, 0.1
_QUIET, _MOSTLY, _MANY_VOLUMES = 2.5, 0.7, 4
_MAX_LISTED = 8


def spread_finding(sample: VolumeSample, acquisition: Acquisition) -> ScanFinding | None:
    """Report volumes of one b-value whose mean signals differ by far more than noise.

    Parameters
    ----------
    sample : VolumeSample
        The voxels.
    acquisition : Acquisition
        Shells and directions of the scan.

    Returns
    -------
    ScanFinding or None
        One for all shells.
    """
    shells = shells_of(sample, acquisition.shell_numbers)
    found = []
    for columns in shells:
        if len(columns) < 2 or not sample.mean[columns].mean() > 0.0:
            continue
        if sample.bvals[columns].mean() < UNWEIGHTED:
            odd = _unweighted(sample, shells, columns)
        else:
            odd = _weighted(sample, shells, columns, acquisition)
        if odd.size:
            found.append(_Spread(sample, columns, odd))
    return _finding(found) if found else None


@dataclass(frozen=True, eq=False)
class _Spread:
    """A shell whose volumes differ, and which of them are odd."""

    sample: VolumeSample
    columns: NDArray[np.intp]
    odd: NDArray[np.intp]

    @property
    def b(self) -> float:
        return float(self.sample.bvals[self.columns].mean())

    @property
    def difference(self) -> float:
        mean = self.sample.mean[self.columns]
        return float((mean.max() - mean.min()) / mean.mean())

    def listed(self) -> str:
        """List the mean signals, or their range."""
        shown = self.columns
        between = ", "
        if len(shown) > _MAX_LISTED:
            mean = self.sample.mean[shown]
            shown, between = shown[[np.argmin(mean), np.argmax(mean)]], " to "
        return between.join(
            f"{self.sample.mean[k]:.4g} (volume {self.sample.volumes[k]})" for k in shown
        )


def _unweighted(
    sample: VolumeSample, shells: list[NDArray[np.intp]], columns: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return which unweighted volumes are odd: all, where it is unclear which are right."""
    from scipy.special import chdtri  # Slow to import, and few scans repeat b = 0.

    mean = sample.mean[columns]
    n = len(columns)
    usual = float(
        np.clip(
            repeat_scatter(sample, shells, unweighted=False) or _known(roughness(sample, shells)),
            _MIN_SCATTER,
            _MAX_SCATTER,
        )
    )
    chance = sample.sure * _standard_error(sample, columns)
    spread = relative_spread(mean)
    rare = float(np.sqrt(chdtri(n - 1, _CHANCE) / (n - 1)))
    if spread > np.hypot(usual * rare, chance / mean.mean()):
        return columns
    middle = float(np.median(mean))
    apart = np.abs(mean - middle)
    limit = max(_FAR * middle, _SCATTERS * 1.4826 * float(np.median(apart)), chance)
    far = apart > limit
    return columns[far]


def _known(scatter: float) -> float:
    return _MAX_SCATTER if np.isnan(scatter) else scatter


def _weighted(
    sample: VolumeSample,
    shells: list[NDArray[np.intp]],
    columns: NDArray[np.intp],
    acquisition: Acquisition,
) -> NDArray[np.intp]:
    """Return which weighted volumes are too bright for their shell."""
    mean = sample.mean[columns]
    b = float(sample.bvals[columns].mean())
    chance = sample.sure * _standard_error(sample, columns)
    same = acquisition.bvecs is not None and (
        len(acquisition.directions(sample.positions[columns].tolist())) == 1
    )
    log_limit = min(
        _PULSATION + (0.0 if same else _DIRECTION * b), _usual(sample, shells, columns)
    )
    others = [other for other in shells if other is not columns]
    scatter = repeat_scatter(sample, others, unweighted=True)
    lowest = max(float(sample.mean[shells[0]].mean()), 0.0)
    highest = lowest * (1.0 + max(_ABOVE, _ABOVE_SCATTERS * scatter))
    middle, usual = _of_the_others(mean)
    limit = np.maximum(np.expm1(log_limit) * np.clip(middle, 0.0, None), _SCATTERS * usual)
    above = mean - middle
    far = (above > limit) | (mean > highest)
    return np.asarray(columns[far & (above > chance)], dtype=np.intp)


def _of_the_others(
    mean: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, for each of some means, the median of the others and their robust scatter."""
    # One of many volumes does not change the median.
    rests = [mean] if len(mean) > _MAX_LISTED else [np.delete(mean, k) for k in range(len(mean))]
    middle = np.array([np.median(rest) for rest in rests])
    apart = [np.median(np.abs(rest - m)) for rest, m in zip(rests, middle, strict=True)]
    return np.resize(middle, len(mean)), np.resize(1.4826 * np.array(apart), len(mean))


def _usual(
    sample: VolumeSample, shells: list[NDArray[np.intp]], columns: NDArray[np.intp]
) -> float:
    """Return the scatter expected at this b-value from the other weighted shells.

    Pulsation and motion affect all of them alike, and the effect of direction grows with b, so
    only shells of about this b-value or more are used. Shells of two or three volumes are used
    only if there are no larger ones.
    """
    own = float(sample.bvals[columns].mean())
    spreads, rates, many = [], [], 0
    quiet, quiet_near = 0, 0
    for other in shells:
        b, n = float(sample.bvals[other].mean()), len(other)
        if other is columns or n < 2 or b < UNWEIGHTED or not sample.mean[other].mean() > 0.0:
            continue
        noise = _standard_error(sample, other) / float(sample.mean[other].mean())
        spread = relative_spread(sample.mean[other])
        many += n >= _MANY_VOLUMES
        quiet += spread < _QUIET * noise
        quiet_near += spread < _QUIET * noise and b >= own / 4.0
        spreads.append(max(spread, noise))
        if b >= own / 4.0:
            rates.append(spreads[-1] / b)
    silent = quiet > _MOSTLY * len(spreads) and quiet_near >= _MIN_SHELLS
    known = many > 0.5 * len(spreads) or silent
    if len(spreads) < _MIN_SHELLS or not rates or not known:
        return float("inf")
    # Up to half of them may be corrupted themselves, for example by a swap.
    rate = sorted(rates)[(len(rates) - 1) // 2]
    return max(_MIN_EXCESS, _TIMES * float(np.median(spreads) + 1.5 * own * rate))


def _standard_error(sample: VolumeSample, columns: NDArray[np.intp]) -> float:
    """Return the standard error of the mean of a volume about that of its shell, a.u."""
    block = sample.covariance[np.ix_(columns, columns)]
    n = len(columns)
    variance = (np.trace(block) - block.sum() / n) / (n - 1)
    return float(np.sqrt(max(variance, 0.0) / sample.n_independent))


def _finding(found: Sequence[_Spread]) -> ScanFinding:
    worst = max(found, key=lambda spread: spread.difference)
    odd = np.sort(np.concatenate([spread.odd for spread in found]))
    numbers = tuple(worst.sample.volumes[odd].tolist())
    others = [f"{spread.b:g}" for spread in found if spread is not worst]
    too = f"; so do those at b = {', '.join(others)}" if others else ""
    which = ""
    if len(worst.odd) < len(worst.columns):
        apart = worst.sample.volumes[worst.odd].tolist()
        which = f"; {named(apart)} {'lies' if len(apart) == 1 else 'lie'} apart"
    return ScanFinding(
        "spread",
        numbers,
        f"the volumes at b = {worst.b:g} differ by {worst.difference:.0%} in their mean signal, "
        f"far more than noise: {worst.listed()}{which}{too} (volumes count from 0)",
        "Check that all have this b-value, and the same gain and echo time; if these differ, say "
        "which volume has which (--variables FILE, or --te)",
    )
