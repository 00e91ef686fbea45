"""Whether volumes of one b-value differ by more than noise, pulsation and direction explain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ivimkit.acquisition import Acquisition
from ivimkit.scan_checks.finding import ScanFinding, named
from ivimkit.scan_checks.sample import VolumeSample
from ivimkit.scan_checks.scatter import (
    UNWEIGHTED,
    relative_spread,
    repeat_scatter,
    roughness,
    shells_of,
)

__all__ = ["spreads"]

# What the mean signal of a volume without weighting may scatter by, least and most: breathing and
# inflow move that of a volunteer's abdomen by 4 %.
_LEAST, _MOST = 0.015, 0.04
_CHANCE = 1e-4
# One of many volumes that lies so far off is no scatter.
_FAR, _SCATTERS = 0.15, 6.0
# A weighted volume may lie above the others by pulsation that they suffered, and by direction:
# fibres run along some and across others. Of one direction, by the first only.
_PULSATION, _DIRECTION = 0.3, 0.8e-3
# With so many other shells, the limit is a multiple of what they scatter by.
_LEAST_SHELLS, _TIMES = 3, 4.0
_MANY = 8


def spreads(sample: VolumeSample, acquisition: Acquisition) -> Iterator[ScanFinding]:
    """Find volumes of one b-value whose mean signals differ far beyond noise."""
    shells = shells_of(sample, acquisition.labels)
    for columns in shells:
        if len(columns) < 2 or not sample.mean[columns].mean() > 0.0:
            continue
        if sample.bvals[columns].mean() < UNWEIGHTED:
            found = _unweighted(sample, shells, columns)
        else:
            found = _weighted(sample, shells, columns, acquisition)
        if found is not None:
            yield found


def _unweighted(
    sample: VolumeSample, shells: list[NDArray[np.intp]], columns: NDArray[np.intp]
) -> ScanFinding | None:
    from scipy.special import chdtri  # Slow to load, and few scans repeat b = 0.

    mean = sample.mean[columns]
    n = len(columns)
    usual = float(
        np.clip(
            repeat_scatter(sample, shells, unweighted=False) or _known(roughness(sample, shells)),
            _LEAST,
            _MOST,
        )
    )
    chance = sample.sure * _standard_error(sample, columns)
    spread = relative_spread(mean)
    rare = float(np.sqrt(chdtri(n - 1, _CHANCE) / (n - 1)))
    if spread > np.hypot(usual * rare, chance / mean.mean()):
        return _finding(sample, columns, columns)
    middle = float(np.median(mean))
    apart = np.abs(mean - middle)
    limit = max(_FAR * middle, _SCATTERS * 1.4826 * float(np.median(apart)), chance)
    far = apart > limit
    return _finding(sample, columns, columns[far]) if far.any() else None


def _known(scatter: float) -> float:
    return _MOST if np.isnan(scatter) else scatter


def _weighted(
    sample: VolumeSample,
    shells: list[NDArray[np.intp]],
    columns: NDArray[np.intp],
    acquisition: Acquisition,
) -> ScanFinding | None:
    mean = sample.mean[columns]
    b = float(sample.bvals[columns].mean())
    chance = sample.sure * _standard_error(sample, columns)
    same = acquisition.bvecs is not None and (
        len(acquisition.directions(sample.positions[columns].tolist())) == 1
    )
    log_limit = min(
        _PULSATION + (0.0 if same else _DIRECTION * b), _usual(sample, shells, columns)
    )
    far = np.zeros(len(columns), dtype=bool)
    for k in range(len(columns)):
        others = np.delete(mean, k)
        middle = float(np.median(others))
        scatter = 1.4826 * float(np.median(np.abs(others - middle)))
        limit = max(np.expm1(log_limit) * max(middle, 0.0), _SCATTERS * scatter, chance)
        far[k] = mean[k] - middle > limit
    return _finding(sample, columns, columns[far]) if far.any() else None


def _usual(
    sample: VolumeSample, shells: list[NDArray[np.intp]], columns: NDArray[np.intp]
) -> float:
    """Return what the scatter of the other weighted shells makes likely at this b-value."""
    spreads, rates = [], []
    for other in shells:
        b = float(sample.bvals[other].mean())
        if other is columns or len(other) < 2 or b < UNWEIGHTED:
            continue
        spreads.append(relative_spread(sample.mean[other]))
        rates.append(spreads[-1] / b)
    if len(spreads) < _LEAST_SHELLS:
        return float("inf")
    b = float(sample.bvals[columns].mean())
    return max(_FAR, _TIMES * float(np.median(spreads) + 1.5 * b * np.median(rates)))


def _standard_error(sample: VolumeSample, columns: NDArray[np.intp]) -> float:
    """Return the standard error of the mean of a volume about that of its shell, a.u."""
    block = sample.covariance[np.ix_(columns, columns)]
    n = len(columns)
    variance = (np.trace(block) - block.sum() / n) / (n - 1)
    return float(np.sqrt(max(variance, 0.0) / sample.n_independent))


def _finding(
    sample: VolumeSample, columns: NDArray[np.intp], odd: NDArray[np.intp]
) -> ScanFinding:
    mean = sample.mean[columns]
    b = float(sample.bvals[columns].mean())
    differ = (mean.max() - mean.min()) / mean.mean()
    if len(columns) <= _MANY:
        listed = ", ".join(f"{sample.mean[k]:.4g} (volume {sample.volumes[k]})" for k in columns)
    else:
        low, high = columns[np.argmin(mean)], columns[np.argmax(mean)]
        listed = (
            f"{sample.mean[low]:.4g} (volume {sample.volumes[low]}) to {sample.mean[high]:.4g} "
            f"(volume {sample.volumes[high]})"
        )
    numbers = tuple(sample.volumes[odd].tolist())
    which = ""
    if len(odd) < len(columns):
        which = f"; {named(numbers)} {'lies' if len(numbers) == 1 else 'lie'} apart"
    return ScanFinding(
        "spread",
        numbers,
        f"the volumes at b = {b:g} differ by {differ:.0%} in their mean signal, far more than "
        f"noise: {listed}{which} (volumes count from 0)",
        "Check that all have this b-value, and the same gain and echo time",
    )
