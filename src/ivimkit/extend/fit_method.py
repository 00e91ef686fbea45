"""FitMethod: the options of a fit method and the voxel function that the engine compiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.plugin import Plugin
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Acquisition

__all__ = ["FitMethod", "VoxelPlan"]


@dataclass(frozen=True)
class VoxelPlan:
    """What a voxel function needs besides the signal; the same for all voxels of a fit.

    Parameters
    ----------
    options : ndarray, shape (n_options,)
        Numbers that the method's options and the model come down to.
    table : ndarray, shape (n_rows, n)
        Numbers computed once per protocol, e.g. a dictionary of decays.
    work_rows : int
        Rows of the scratch array, which has n columns; never depends on the number of b-values.
    lane_rows : int
        Rows of the scratch array that `FitMethod.side_by_side` needs.
    """

    options: NDArray[np.float64]
    table: NDArray[np.float64]
    work_rows: int
    lane_rows: int = 0


@dataclass(frozen=True)
class FitMethod(Plugin, ABC):
    """Base of all fit methods: a frozen set of options with one compiled voxel function.

    A concrete method is a final frozen dataclass in a file of its own in ``methods/``.

    Attributes
    ----------
    name : str
        Short name used in calls and files.
    title : str
        Name for people.
    full_fit : bool
        Whether noise-free data give the exact parameters.
    voxel : callable
        Compiled ``voxel(b, root_weight, signal, sigma, lower, upper, start, options, table, work,
        out)`` that writes the parameters, the weighted sum of squares, the number of iterations
        and then the `extras` to `out` and returns a status code. `sigma` is the noise of one
        volume, NaN where it is not known.
    references : tuple of str
        Sources of the method, each with its DOI.
    """

    noun: ClassVar[str] = "method"
    title: ClassVar[str]
    full_fit: ClassVar[bool]
    voxel: ClassVar[Callable[..., Any]]
    references: ClassVar[tuple[str, ...]]

    @property
    def least_squares(self) -> bool:
        """Whether the result is a minimum of the weighted sum of squares over all parameters."""
        return self.full_fit

    @property
    def learns(self) -> bool:
        """Whether what a voxel gets depends on the other voxels of the scan."""
        return False

    def starts_from(self, model: SignalModel) -> tuple[str, ...]:
        """Return the parameters whose starting value in the model moves the result.

        None by default: a method that finds the minimum by itself needs no start.

        Parameters
        ----------
        model : SignalModel
            The model to fit.
        """
        return ()

    @property
    def takes_float32(self) -> bool:
        """Whether the voxel function serves arrays of float32, in single precision.

        Those are b-values, weights, signal, table and scratch. A method that leaves this out is
        computed in double precision whatever is asked for.
        """
        return False

    @property
    def measures_noise(self) -> bool:
        """Whether noise that was not given is to be taken from repeated volumes that are averaged.

        Once they are means, a voxel function cannot see how they scatter.
        """
        return False

    def for_means(
        self, directions: NDArray[np.float64], repeats: NDArray[np.float64]
    ) -> FitMethod:
        """Return the method for values of which some are means of several volumes.

        By default it is the method itself: such values differ in their weight alone.

        Parameters
        ----------
        directions : ndarray, shape (n_b,)
            Number of values whose geometric mean each value of the signal is.
        repeats : ndarray, shape (n_b,)
            Number of volumes behind each of these, averaged arithmetically.

        Returns
        -------
        FitMethod
        """
        return self

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        """Return the names of the maps that the method gives beside the parameters."""
        return ()

    def side_by_side(self, model: SignalModel) -> Callable[..., Any] | None:
        """Return a compiled function that does the same for many voxels, if there is one.

        It is called as in `ivimkit.engine.cpu.fit_chunk_side_by_side`, on a processor, in float64,
        where the bounds of all voxels are those of the model.

        Parameters
        ----------
        model : SignalModel
            The model to fit.

        Returns
        -------
        callable or None
        """
        return None

    @abstractmethod
    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise, with advice, if the method cannot fit this model to these b-values."""

    @abstractmethod
    def plan(
        self, model: SignalModel, b: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute what is the same for all voxels.

        Parameters
        ----------
        model : SignalModel
            The model to fit.
        b : ndarray, shape (n_b,)
            b-values in s/mm^2, padded.
        weight : ndarray, shape (n_b,)
            Weights; zero for padding.

        Returns
        -------
        VoxelPlan
        """
