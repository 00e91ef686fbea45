"""check_whole: whether a scan that is not in memory fits into it."""

from __future__ import annotations

from ivimkit.errors import InputError
from ivimkit.machine import BYTES_PER_MB, free_memory_mb
from ivimkit.rounding import megabytes

__all__ = ["check_whole"]


def check_whole(n_bytes: float, what: str = "this") -> None:
    """Refuse what needs a whole scan in memory, if there is no room for it.

    Parameters
    ----------
    n_bytes : float
        What is needed.
    what : str
        Its name.

    Raises
    ------
    InputError
        If less is free.
    """
    free = free_memory_mb() * BYTES_PER_MB
    if n_bytes > free:
        raise InputError(
            f"{what} needs all of the scan in memory, {megabytes(n_bytes)}, and "
            f"{megabytes(free)} are free; expected room for it. Use a machine with more memory, "
            "or give it a part of the scan: fewer volumes or slices"
        )
