"""Where to compute: the names of devices, and whether they are available."""

from __future__ import annotations

import importlib
import importlib.util
import re

from ivimkit.errors import DeviceError, OptionError
from ivimkit.portable_bits import has_portable_bits

__all__ = ["AUTO_VOXELS", "DEVICES", "check_device", "describe", "gpus_for"]

DEVICES = ("auto", "cpu", "cuda")
"""Names of devices; ``"cuda:1"`` and ``"cuda:0,1"`` are GPUs by their numbers."""

AUTO_VOXELS = 200_000
"""Number of voxels from which on ``"auto"`` uses a GPU: fewer take less time than its start."""

_NUMBERS = re.compile(r"cuda:(\d+(?:,\d+)*)")


def check_device(device: str) -> tuple[int, ...]:
    """Check the name of a device and return the numbers of its GPUs.

    Raises
    ------
    OptionError
        For an invalid name.

    Examples
    --------
    >>> check_device("cuda:0,1")
    (0, 1)
    """
    if device in DEVICES:
        return (0,) if device == "cuda" else ()
    named = _NUMBERS.fullmatch(device)
    if named is None:
        raise OptionError(
            f"device is {device!r}; expected one of {', '.join(DEVICES)}, or GPUs by their "
            "numbers, as in cuda:1 or cuda:0,1"
        )
    numbers = tuple(int(number) for number in named[1].split(","))
    if len(set(numbers)) < len(numbers):
        raise OptionError(f"device is {device!r}, which names a GPU twice; name each once")
    return numbers


def gpus_for(device: str, n_voxels: int) -> tuple[int, ...]:
    """Return the numbers of the GPUs to use; empty for the processor.

    Parameters
    ----------
    device : str
        ``"cpu"``; ``"cuda"`` for the first GPU; ``"cuda:1"`` or ``"cuda:0,1"`` for GPUs by their
        numbers; ``"auto"`` for the first GPU, if available, for at least `AUTO_VOXELS` voxels.
    n_voxels : int
        Number of voxels to fit.

    Returns
    -------
    tuple of int

    Raises
    ------
    OptionError
        For an invalid name.
    DeviceError
        If a GPU is requested that is not available.
    """
    wanted = check_device(device)
    # A GPU has bits of its own.
    may_choose = device == "auto" and n_voxels >= AUTO_VOXELS and not has_portable_bits()
    if may_choose and not isinstance(_count(), str):
        return (0,)
    if not wanted:
        return ()
    there = _count()
    if isinstance(there, str):
        raise DeviceError(f"device is {device!r}, and {there}")
    if max(wanted) >= there:
        raise DeviceError(
            f"device is {device!r}, and there is no GPU {max(wanted)}; this machine has {there}, "
            "counted from 0"
        )
    return wanted


def describe(gpus: tuple[int, ...]) -> str:
    """Return the name of the device that `gpus_for` chose, with the kind of GPU.

    Examples
    --------
    >>> describe(())
    'cpu'
    """
    if not gpus:
        return "cpu"
    cuda = importlib.import_module("numba.cuda")
    kinds = {str(getattr(cuda.gpus[number], "name", "simulator")) for number in gpus}
    return f"cuda:{','.join(map(str, gpus))} ({', '.join(sorted(kinds))})"


def _count() -> int | str:
    """Return the number of GPUs, or the reason why none is available, with advice."""
    if importlib.util.find_spec("numba_cuda") is None:
        return (
            "the package numba-cuda is not installed; expected it for a GPU. "
            "pip install ivimkit[cuda], or use device cpu"
        )
    cuda = importlib.import_module("numba.cuda")  # Slow to load, and needed for GPUs only.
    if not cuda.is_available():
        return (
            "there is no NVIDIA GPU, or no driver for it, that CUDA can use (see nvidia-smi); "
            "use device cpu"
        )
    return len(cuda.gpus)
