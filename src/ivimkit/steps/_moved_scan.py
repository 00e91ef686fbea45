"""Moved scan: the volumes of a scan as acquired, each read where its tissue was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.run import default_threads, in_threads
from ivimkit.errors import InputError
from ivimkit.extend.preprocessing_step import Progress
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.steps._interpolated_noise import Precisions
from ivimkit.steps._resampling import read_at, read_weights_at

__all__ = ["Places", "check_not_moved", "missing_share", "moved_scan"]

Places = Callable[[int], NDArray[np.float64] | None]
"""Where each voxel of a volume is read, as indices, shape (3, x, y, z); None: where it is."""


def check_not_moved(dwi: DWI, name: str) -> None:
    """Check that the volumes have not been resampled before.

    Raises
    ------
    InputError
        If they have; the message names the steps.
    """
    moved = [step.name for step in dwi.history.steps if step.noise == "interpolated"]
    if moved:
        raise InputError(
            f"step {name} resamples the volumes as acquired, and the scan has had "
            f"{' and '.join(moved)} already; expected the scan before that. Begin with it: steps "
            "in one list resample once"
        )


def moved_scan(
    dwi: DWI,
    places: Places,
    acquisition: Acquisition,
    progress: Progress,
    *,
    precisions: Precisions | None = None,
) -> DWI:
    """Return a scan whose volumes are read at other positions, by one cubic interpolation.

    Parameters
    ----------
    dwi : DWI
        The scan before any resampling.
    places : callable
        Where the voxels of each volume are read.
    acquisition : Acquisition
        The acquisition of the moved volumes.
    progress : callable
        Called with the share of the volumes that are done.
    precisions : Precisions, optional
        How precise the values are; by default as before.

    Returns
    -------
    DWI
        float32. A value that a volume did not see is NaN and has the weight 0.
    """
    n = acquisition.n_volumes
    shape = (*dwi.shape, 1)[:3]
    signal = np.empty((*shape, n), dtype=np.float32, order="F")
    weights: dict[int, NDArray[Any]] = {}

    def work(volume: int) -> int:
        own = np.asarray(dwi.signal[..., volume], dtype=np.float32).reshape(shape)
        given = dwi.value_weights
        weight = None if given is None else np.asarray(given[..., volume]).reshape(shape)
        index = places(volume)
        if index is None:
            signal[..., volume] = own
        else:
            if weight is not None:
                own = np.where(weight > 0.0, own, np.float32(np.nan))
                weight = read_weights_at(weight, index)
            signal[..., volume] = read_at(own, index)
        seen = np.isfinite(signal[..., volume])
        if precisions is not None:
            weight = precisions.weights(volume) * (1.0 if weight is None else weight)
        if weight is not None:
            weights[volume] = np.where(seen, weight, np.float32(0.0))
        elif not seen.all():
            weights[volume] = seen
        return volume

    for done, _ in enumerate(in_threads(work, range(n), default_threads()), start=1):
        progress(done / n)
    return dwi.with_signal(
        signal.reshape((*dwi.shape, n), order="A"),
        acquisition=acquisition,
        value_weights=_together(weights, (*shape, n), dwi.shape),
    )


def _together(
    weights: dict[int, NDArray[Any]], shape: tuple[int, ...], spatial: tuple[int, ...]
) -> NDArray[Any] | None:
    """Return the weights of all volumes; None if none has any."""
    if not weights:
        return None
    kind = np.uint8 if all(own.dtype == np.bool_ for own in weights.values()) else np.float32
    full = np.ones(shape, dtype=kind, order="F")
    for volume, own in weights.items():
        full[..., volume] = own
    return full.reshape((*spatial, shape[-1]), order="A")


def missing_share(dwi: DWI) -> float:
    """Return the share of the values in the mask that have the weight 0."""
    summary = dwi.weight_summary
    return 0.0 if summary is None else summary.left_out / summary.values
