"""Checks of b-values, directions and shell labels, before an Acquisition is made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import AcquisitionError

__all__ = ["checked_bvals", "checked_bvecs", "checked_labels"]

_LOWEST_MAXIMUM = 10.0
_HIGHEST_MAXIMUM = 1e5


def checked_bvals(bvals: ArrayLike) -> NDArray[np.float64]:
    """Return the b-values as a read-only array, shape (n,), in s/mm^2.

    Raises
    ------
    AcquisitionError
        If they are not numbers in one row, negative, not finite, in another unit or all equal.
    """
    try:
        b = np.array(bvals, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise AcquisitionError(
            f"the b-values are {str(bvals)[:60]!r}; expected one number per volume, in s/mm^2"
        ) from None
    if b.ndim != 1 or b.size == 0:
        raise AcquisitionError(
            f"the b-values have shape {b.shape}; expected (n,), one number per volume. "
            "Flatten them with numpy.ravel"
        )
    _check_each(b)
    _check_unit(b)
    if np.all(b == b[0]):
        raise AcquisitionError(
            f"all {len(b)} b-values are {b[0]:g}; expected at least two different ones. "
            "Check the b-value file"
        )
    b.setflags(write=False)
    return b


def _check_each(b: NDArray[np.float64]) -> None:
    for bad, what in ((~np.isfinite(b), "not finite"), (b < 0, "negative")):
        if bad.any():
            volume = int(np.flatnonzero(bad)[0])
            raise AcquisitionError(
                f"the b-value of volume {volume} is {b[volume]:g}, which is {what}; "
                "expected numbers >= 0 in s/mm^2. Correct it or leave the volume out"
            )


def _check_unit(b: NDArray[np.float64]) -> None:
    highest = float(b.max())
    if 0 < highest < _LOWEST_MAXIMUM:
        raise AcquisitionError(
            f"the highest b-value is {highest:g}; expected s/mm^2, that is some hundreds. "
            "If the unit is ms/um^2, say --b-unit ms/um2, load(..., b_unit='ms/um2'), "
            "or multiply by 1000"
        )
    if highest > _HIGHEST_MAXIMUM:
        raise AcquisitionError(
            f"the highest b-value is {highest:g}; expected s/mm^2, that is up to some thousands. "
            "If the unit is s/m^2, divide by 1e6"
        )


def checked_bvecs(bvecs: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    """Return the directions as a read-only array, shape (n, 3).

    Raises
    ------
    AcquisitionError
        If they are not finite numbers of that shape.
    """
    if bvecs is None:
        return None
    try:
        vectors = np.array(bvecs, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise AcquisitionError(
            f"the directions are {str(bvecs)[:60]!r}; expected numbers of shape ({n}, 3)"
        ) from None
    if vectors.shape != (n, 3):
        raise AcquisitionError(
            f"the directions have shape {vectors.shape}; expected ({n}, 3), one for each of the "
            f"{n} b-values. Transpose them or check the files"
        )
    if not np.isfinite(vectors).all():
        volume = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise AcquisitionError(
            f"the direction of volume {volume} is not finite; expected three numbers. "
            "Use 0 0 0 where there is none"
        )
    vectors.setflags(write=False)
    return vectors


def checked_labels(labels: ArrayLike, n: int) -> NDArray[np.intp]:
    """Return the shell labels as a read-only array, shape (n,).

    Raises
    ------
    AcquisitionError
        If they are no whole numbers, or of another length.
    """
    try:
        values = np.asarray(labels)
        groups = np.array(values, dtype=np.intp)
        whole = values.dtype.kind in "iu" or np.array_equal(values, groups)
    except (TypeError, ValueError, OverflowError):
        whole, groups = False, np.zeros(0, dtype=np.intp)
    if not whole:
        raise AcquisitionError(
            f"the shell labels are {str(labels)[:60]!r}; expected a whole number per b-value"
        )
    if groups.shape != (n,):
        raise AcquisitionError(
            f"the shell labels have shape {groups.shape}; expected ({n},), one per b-value"
        )
    groups.setflags(write=False)
    return groups
