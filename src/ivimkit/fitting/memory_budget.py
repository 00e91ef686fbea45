"""MemoryBudget: the memory that a fit may take, and the folder for what has no room in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ivimkit.errors import InputError, OptionError
from ivimkit.extend.estimator import Estimator
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.machine import BYTES_PER_MB, free_memory_mb
from ivimkit.rounding import megabytes
from ivimkit.writing import scratch_folder

__all__ = ["MemoryBudget", "bytes_per_voxel"]

_SHARE_OF_FREE = 0.5
_BYTES_PER_NUMBER = 8
# Per voxel: products, ADC, quality of the fit, the check for kurtosis, status, position.
_FURTHER_NUMBERS = 26
# Moments of the posteriors before and after a round, of prior local.
_NUMBERS_OF_NEIGHBOURS = 48


@dataclass(frozen=True)
class MemoryBudget:
    """What a fit may take.

    Parameters
    ----------
    n_bytes : float
        Memory on top of what the process has, in bytes.
    scratch : Path, optional
        Folder for maps that do not fit into it; the usual one by default.

    Examples
    --------
    >>> from ivimkit.fitting.memory_budget import MemoryBudget
    >>> MemoryBudget.of(2000).n_bytes
    2000000000
    """

    n_bytes: float
    scratch: Path | None = None

    @classmethod
    def of(
        cls, mem_mb: float | None = None, scratch: str | os.PathLike[str] | None = None
    ) -> MemoryBudget:
        """Return a budget by its size.

        Parameters
        ----------
        mem_mb : float, optional
            Memory, 10⁶ bytes; by default half of what is free.
        scratch : path, optional
            Folder for scratch files, see `ivimkit.writing.scratch_folder`.

        Raises
        ------
        OptionError
            If the memory is not a number above 0.
        InputError
            If the folder cannot be used.
        """
        if mem_mb is not None and not mem_mb > 0:
            raise OptionError(
                f"the memory is {mem_mb:g} MB; expected more than 0. Leave it out to take half of "
                "what is free"
            )
        memory = _SHARE_OF_FREE * free_memory_mb() if mem_mb is None else mem_mb
        # The usual folder is looked for when it is needed: most fits need none.
        folder = None if scratch is None else scratch_folder(scratch)
        return cls(memory * BYTES_PER_MB, folder)

    def require(self, n_bytes: float, what: str) -> None:
        """Raise unless there is room for something that cannot be divided.

        Parameters
        ----------
        n_bytes : float
            What it needs.
        what : str
            What it is, like ``"a fit of a denoised scan"``.

        Raises
        ------
        InputError
            If it needs more.
        """
        if n_bytes > self.n_bytes:
            raise InputError(
                f"{what} needs about {megabytes(n_bytes)} of memory, and may take "
                f"{megabytes(self.n_bytes)}; expected room for it. Allow more (--mem-mb), or fit "
                "fewer voxels: give a mask",
                python="Pass mem_mb=",
            )


def bytes_per_voxel(
    model: SignalModel, method: FitMethod, estimator: Estimator | None, *, near: bool = False
) -> float:
    """Return the memory that a fit needs for each voxel while it runs.

    Parameters
    ----------
    model, method, estimator
        The fit.
    near : bool
        Whether its prior is learned from the neighbours of each voxel.
    """
    extras = len(method.extras(model)) + (0 if estimator is None else len(estimator.maps(model)))
    columns = len(model.parameters) + 2 + extras
    numbers = (2 + near) * columns + _FURTHER_NUMBERS + near * _NUMBERS_OF_NEIGHBOURS
    return float(_BYTES_PER_NUMBER * numbers)
