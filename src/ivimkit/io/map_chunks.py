"""Chunks of the maps of a result: the parts that they are written and read in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

__all__ = ["Box", "chunk_boxes", "chunk_of"]

Box = tuple[slice, ...]

_CHUNK_VOXELS = 1 << 19
"""2 MB of each map: two slices of 512 x 512 voxels."""


def chunk_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of chunks, each a run of numbers in Fortran order: slices of an image.

    Examples
    --------
    >>> from ivimkit.io.map_chunks import chunk_of
    >>> chunk_of((512, 512, 200)), chunk_of((96, 64, 16)), chunk_of(())
    ((512, 512, 2), (96, 64, 16), ())
    """
    left, chunk = _CHUNK_VOXELS, []
    for n in shape:
        chunk.append(max(1, min(n, left)))
        left //= chunk[-1]
    return tuple(chunk)


def chunk_boxes(shape: tuple[int, ...]) -> Iterator[Box]:
    """Yield the boxes of voxels of the chunks, in Fortran order.

    Examples
    --------
    >>> from ivimkit.io.map_chunks import chunk_boxes
    >>> list(chunk_boxes((512, 512, 3)))[1]
    (slice(0, 512, None), slice(0, 512, None), slice(2, 3, None))
    """
    steps = chunk_of(shape)
    starts = [range(0, n, step) for n, step in zip(shape, steps, strict=True)]
    # The last axis of a product is the fastest one.
    for corner in product(*reversed(starts)):
        yield tuple(
            slice(first, min(first + step, n))
            for first, step, n in zip(reversed(corner), steps, shape, strict=True)
        )
