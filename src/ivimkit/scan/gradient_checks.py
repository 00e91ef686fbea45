"""Checks of b-values, directions and shell numbers, before an Acquisition is made."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import AcquisitionError

__all__ = ["checked_bvals", "checked_bvecs", "checked_shell_numbers", "odd_lengths"]

_LOWEST_MAXIMUM = 10.0
_HIGHEST_MAXIMUM = 1e4
_USUAL = (50.0, 1e4)
# GE adds this to b-values of volumes with several directions.
_ROUNDED_LENGTH = 0.02
_GE_OFFSET = 1e9


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
            f"the highest b-value is {highest:g}; expected s/mm^2, i.e. some hundreds. "
            "If the unit is ms/um^2, say so (--b-unit ms/um2), or multiply by 1000",
            python="Pass b_unit='ms/um2' to ivimkit.load",
        )
    if highest <= _HIGHEST_MAXIMUM:
        return
    positive = b[b > 0] - _GE_OFFSET
    if positive.min() >= 0 and positive.max() <= _HIGHEST_MAXIMUM:
        raise AcquisitionError(
            f"the highest b-value is {highest:.10g}; expected s/mm^2, i.e. up to some "
            f"thousands. This is the offset of 1e9 of GE: subtract 1000000000 from each b-value "
            f"above 0, which leaves up to {positive.max():g}"
        )
    advice = "Correct the b-values"
    if _USUAL[0] <= highest / 1e2 <= _USUAL[1]:
        advice = "If the unit is s/cm^2, say so (--b-unit s/cm2), or divide by 100"
    elif _USUAL[0] <= highest / 1e6 <= _USUAL[1]:
        advice = "If the unit is s/m^2, divide by 1e6"
    raise AcquisitionError(
        f"the highest b-value is {highest:g}; expected s/mm^2, i.e. up to some thousands. {advice}"
    )


def odd_lengths(
    bvals: NDArray[np.float64], bvecs: NDArray[np.float64] | None, *, differ: bool
) -> str | None:
    """Say how directions of weighted volumes differ from length 1; None if they do not.

    With `differ`, equal lengths contain no information and are not reported.

    Such lengths can encode the b-values: if these are nominal, as MRtrix assumes, the true ones
    are b |v|^2.
    """
    if bvecs is None:
        return None
    length = np.sqrt((bvecs**2).sum(axis=1))
    weighted = (bvals > 0) & (length > 0)
    odd = np.flatnonzero(weighted & (np.abs(length - 1.0) > _ROUNDED_LENGTH))
    if not odd.size or (differ and np.ptp(length[weighted]) <= _ROUNDED_LENGTH):
        return None
    low, high, first = length[odd].min(), length[odd].max(), int(odd[0])
    true = bvals[first] * length[first] ** 2
    return (
        f"the directions of {odd.size} of {np.count_nonzero(weighted)} weighted volumes have "
        f"lengths of {low:.3g} to {high:.3g}; expected 1. The b-values are used as they are. They "
        "may be nominal and the lengths encode the true ones, b |v|^2 (MRtrix reads them so): "
        f"volume {first} would be b = {true:.4g}, not {bvals[first]:.4g}. Then write these to the "
        "b-value file, otherwise directions of length 1"
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


def checked_shell_numbers(numbers: ArrayLike, n: int) -> NDArray[np.intp]:
    """Return the shell numbers as a read-only array, shape (n,).

    Raises
    ------
    AcquisitionError
        If they are not whole numbers, or have another length.
    """
    try:
        values = np.asarray(numbers)
        groups = np.array(values, dtype=np.intp)
        whole = values.dtype.kind in "iu" or np.array_equal(values, groups)
    except (TypeError, ValueError, OverflowError):
        whole, groups = False, np.zeros(0, dtype=np.intp)
    if not whole:
        raise AcquisitionError(
            f"the shell numbers are {str(numbers)[:60]!r}; expected a whole number per b-value"
        )
    if groups.shape != (n,):
        raise AcquisitionError(
            f"the shell numbers have shape {groups.shape}; expected ({n},), one per b-value"
        )
    groups.setflags(write=False)
    return groups
