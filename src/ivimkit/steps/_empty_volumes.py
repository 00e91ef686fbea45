"""Volumes without a signal, from which a step cannot learn anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivimkit.errors import InputError
from ivimkit.scan.dwi import DWI

__all__ = ["check_volumes", "has_signal"]

_MAX_NAMED = 8


def check_volumes(dwi: DWI, volumes: Sequence[int], purpose: str) -> None:
    """Check that volumes have a signal: a value above 0 that is not missing.

    Parameters
    ----------
    dwi : DWI
        The scan.
    volumes : sequence of int
        Which ones.
    purpose : str
        What they are needed for, in words that follow "expected images".

    Raises
    ------
    InputError
        If some of them do not.
    """
    empty = [volume for volume in volumes if not has_signal(dwi, volume)]
    if not empty:
        return
    named = ", ".join(map(str, empty[:_MAX_NAMED])) + (", ..." if len(empty) > _MAX_NAMED else "")
    raise InputError(
        f"no signal in volume{'s' if len(empty) > 1 else ''} {named} (counted from 0): all values "
        f"are 0 or missing; expected images {purpose}. Use the other volumes only (--volumes)",
        python="Use dwi.select(volumes=...)",
    )


def has_signal(dwi: DWI, volume: int) -> bool:
    values = np.asarray(dwi.signal[..., volume])
    there = np.isfinite(values) & (values > 0.0)
    if dwi.value_weights is not None:
        there &= np.asarray(dwi.value_weights[..., volume]) > 0.0
    return bool(there.any())
