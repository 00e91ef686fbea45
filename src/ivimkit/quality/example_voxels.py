"""Example voxels: those with the best, the median and the worst fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.quality.table_rows import labels_like
from ivimkit.scan.blocks import positions
from ivimkit.scan.labels import Labels
from ivimkit.status import WITHOUT_FIT

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult

__all__ = ["example_voxels"]


def example_voxels(result: FitResult, labels: Labels | None = None) -> dict[str, tuple[int, ...]]:
    """Choose voxels that show how well a fit describes the signal.

    Fits are ordered by the residual, root mean square, divided by S0: R² would be low for a voxel
    without decay.

    Parameters
    ----------
    result : FitResult
        The fit; its scan is not needed.
    labels : Labels, optional
        Regions, each of which adds its voxel of median fit.

    Returns
    -------
    dict of str to tuple of int
        Index of the voxel by ``"best fit"``, ``"median fit"`` and ``"worst fit"``, then by the
        name of the region. A voxel appears once; empty if no voxel has a fit.

    Raises
    ------
    OptionError
        If the result has no map of S0 or of the residual.
    ShapeError
        If the labels have another shape than the maps.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> list(ik.quality.example_voxels(ik.fit(made.dwi)))
    ['best fit', 'median fit', 'worst fit']
    """
    missing = [name for name in ("S0", "rmse") if name not in result.maps]
    if missing:
        raise OptionError(
            f"the result has no map {missing[0]}; expected S0 and rmse to order fits by. Fit again"
        )
    ordered = _by_residual(result)
    if not ordered.size:
        return {}
    chosen = {
        "best fit": ordered[0],
        "median fit": ordered[(ordered.size - 1) // 2],
        "worst fit": ordered[-1],
    }
    regions = [] if labels is None else [(name, labels) for name in labels]
    for name, of in regions:
        inside = labels_like(of[name], result)
        own = ordered[inside.ravel()[ordered]]
        if own.size:
            chosen[name] = own[(own.size - 1) // 2]
    found: dict[str, tuple[int, ...]] = {}
    for name, position in chosen.items():
        index = tuple(int(i) for i in np.unravel_index(position, result.shape))
        if index not in found.values():
            found[name] = index
    return found


def _by_residual(result: FitResult) -> NDArray[np.intp]:
    """Return flat positions of the voxels that have a fit, the best first."""
    shares, places = [], []
    for box, part in result.blocks():
        S0, rmse = part.maps["S0"], part.maps["rmse"]
        valid = ((part.status & WITHOUT_FIT) == 0) & (S0 > 0) & np.isfinite(rmse)
        shares.append(np.atleast_1d(rmse[valid].astype(np.float64) / S0[valid]))
        places.append(positions(valid, box, result.shape))
    flat = np.concatenate(places)
    # Of equal ones the first in C order first.
    return flat[np.lexsort((flat, np.concatenate(shares)))]
