"""Small lesions in a phantom: discs in one slice, as bright at b = 0 as the tissue around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.simulate.anatomy import Anatomy, Grid, tissue_fractions
from ivimkit.simulate.tissue import Tissue

__all__ = ["check_lesions", "lesion_tissues", "place_lesions", "with_lesions"]

# Voxels of the host, at least, between a lesion and anything else.
_MIN_GAP = 3.0
# Distinguishes the random numbers of places from those of the noise of the same seed.
_STREAM = 7_002


def check_lesions(radii: Sequence[float]) -> None:
    """Raise if a radius is not a number above 0."""
    for radius in radii:
        if not 0.0 < radius < math.inf:
            raise OptionError(
                f"the radius of a lesion is {radius!r}; expected a number > 0, in mm"
            )


def lesion_tissues(anatomy: Anatomy, radii: Sequence[float]) -> tuple[Tissue, ...]:
    """Return a tissue for each distinct radius, in ascending order, with the host's S0."""
    small, host = anatomy.small_lesion, anatomy.tissues[anatomy.host - 1]
    values = {**small.values, "S0": host.values["S0"]}
    return tuple(
        replace(
            small,
            name=f"lesion of {radius:g} mm",
            values=values,
            source=f"{small.source}; S0: that of the {host.name}",
        )
        for radius in sorted(set(radii))
    )


def place_lesions(
    anatomy: Anatomy, grid: Grid, radii: Sequence[float], seed: int, *, parts: int = 3
) -> NDArray[np.uint8]:
    """Put a disc of each radius somewhere inside the host, away from the other ones.

    A voxel belongs to a disc if its centre does, so no voxel of a lesion is mixed.

    Parameters
    ----------
    anatomy : Anatomy
        Its host is the tissue around the lesions.
    grid : Grid
        The voxels.
    radii : sequence of float
        One radius per lesion, mm.
    seed : int
        The same seed gives the same places.
    parts : int
        See `ivimkit.simulate.anatomy.tissue_fractions`.

    Returns
    -------
    ndarray of int, shape (x, y, z)
        Number, from 1, of the radius among the distinct ones in ascending order; 0 elsewhere.

    Raises
    ------
    OptionError
        If there is no room.
    """
    from scipy.ndimage import distance_transform_edt  # Slow to load, and few phantoms need it.

    random = np.random.default_rng([seed, _STREAM])
    placed = np.zeros(grid.shape, dtype=np.uint8)
    numbers = {radius: n for n, radius in enumerate(sorted(set(radii)), start=1)}
    edges = grid.voxel_size[:2]
    u, v = grid.axis(0)[:, None], grid.axis(1)[None, :]
    free = np.zeros((grid.shape[2], *grid.shape[:2]), dtype=bool)
    for k in range(grid.shape[2]):
        fractions = tissue_fractions(anatomy, grid, k, parts=parts)
        free[k] = fractions[anatomy.host - 1] >= 1.0
    room = np.zeros(free.shape)
    # What lies outside the image is not known to be the host: a frame of one voxel is not free.
    for k in range(len(free)):
        room[k] = distance_transform_edt(np.pad(free[k], 1), sampling=edges)[1:-1, 1:-1]
    gap = _MIN_GAP * max(edges)
    # The largest first: small ones still find room between them.
    for count, radius in enumerate(sorted(radii, reverse=True)):
        candidates = np.flatnonzero(room.ravel() >= radius + gap)
        if not candidates.size:
            raise OptionError(
                f"there is no room for a lesion of {radius:g} mm in the "
                f"{anatomy.tissues[anatomy.host - 1].name}: {count} of {len(radii)} have a place. "
                "Ask for fewer or smaller ones, or for more slices"
            )
        k, i, j = np.unravel_index(random.choice(candidates), room.shape)
        distance = np.hypot(u - u[i, 0], v - v[0, j])
        placed[:, :, k][distance <= radius] = numbers[radius]
        # The distance to the disc, where it is nearer than anything else that is not the host.
        room[k] = np.minimum(room[k], np.maximum(distance - radius, 0.0))
    return placed


def with_lesions(
    fractions: NDArray[np.float32], placed: NDArray[np.uint8], n_kinds: int
) -> NDArray[np.float32]:
    """Return the fractions of a slice with those of lesions, which fill their voxels, behind.

    Parameters
    ----------
    fractions : ndarray, shape (n_tissues, n_u, n_v)
        See `ivimkit.simulate.anatomy.tissue_fractions`.
    placed : ndarray of int, shape (n_u, n_v)
        Number of the kind of lesion in each voxel, from 1; 0 is none.
    n_kinds : int
        Number of kinds.
    """
    kinds = np.arange(1, n_kinds + 1, dtype=np.uint8)[:, None, None]
    lesions = (placed[np.newaxis] == kinds).astype(np.float32)
    return np.concatenate([np.where(placed > 0, np.float32(0), fractions), lesions])
