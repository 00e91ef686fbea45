"""check_whole: whether a whole scan fits into memory."""

from __future__ import annotations

from ivimkit.errors import InputError
from ivimkit.machine import BYTES_PER_MB, free_memory_mb
from ivimkit.rounding import megabytes

__all__ = ["check_whole"]


def check_whole(n_bytes: float, what: str = "the whole scan") -> None:
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
            f"{what} needs {megabytes(n_bytes)} of memory, and {megabytes(free)} are free; "
            "expected room for all of it. Use a machine with more memory, or a part of the scan: "
            "fewer volumes or slices"
        )
