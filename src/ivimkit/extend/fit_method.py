"""FitMethod: the options of a fit method and the voxel function that the engine compiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.plugin import Plugin
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Acquisition

__all__ = ["Batch", "FitMethod", "Step", "VoxelPlan"]


@dataclass(frozen=True)
class VoxelPlan:
    """What a voxel function needs besides the signal; the same for all voxels of a fit.

    Parameters
    ----------
    options : ndarray, shape (n_options,)
        Numbers that the method's options and the model come down to.
    table : ndarray, shape (n_rows, n)
        Numbers computed once per protocol, e.g. a dictionary of decays.
    scratch : int
        How many numbers of scratch a voxel takes, in one flat array.
    """

    options: NDArray[np.float64]
    table: NDArray[np.float64]
    scratch: int = 0


@dataclass(frozen=True)
class Step:
    """A step of a fit of many voxels: a piece of code that several methods may share.

    Parameters
    ----------
    function : callable
        Compiled ``function(part, voxels, scratch, counters, out, status)`` with the voxels of a
        chunk as `ivimkit.kernels.voxel.Voxels`; `scratch` is a tuple of flat arrays, each aligned
        with the lines of the cache. It writes to the rows of `out` and to `status`; before the
        first step, voxels that cannot be fitted have a status other than 0. It must be compiled
        with `ivimkit.kernels.device.pasted`.
    part : int
        Passed to the function, which may do different work in different steps.
    signals : int
        0 for the measured signals. Otherwise they are what an earlier step wrote to the last array
        of scratch, and begin behind so many numbers for each voxel.
    """

    function: Callable[..., Any]
    part: int = 0
    signals: int = 0


@dataclass(frozen=True)
class Batch:
    """The steps of a fit of many voxels at a time, and the scratch that they take.

    Parameters
    ----------
    steps : tuple of Step
        Done one after the other for each chunk. Their functions are compiled one by one.
    scratch : tuple of int
        Lengths of the arrays of scratch but for the last one.
    per_voxel : int
        Length of the last array of scratch, for each voxel of a chunk.
    counters : int
        Length of an array of integers.
    """

    steps: tuple[Step, ...]
    scratch: tuple[int, ...]
    per_voxel: int = 0
    counters: int = 0


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
        Compiled ``voxel(voxel, out)`` with a `ivimkit.kernels.voxel.Voxel` that writes the
        parameters, the weighted sum of squares, the number of iterations and then the `extras` to
        `out` and returns a status code.
    references : tuple of str
        Sources of the method, each with its DOI.
    """

    noun: ClassVar[str] = "method"
    title: ClassVar[str]
    full_fit: ClassVar[bool]
    voxel: ClassVar[Callable[..., Any]]
    references: ClassVar[tuple[str, ...]]

    @property
    def screens(self) -> bool:
        """Whether volumes and values that do not belong are left out before the fit."""
        return bool(getattr(self, "robust", False))

    def without_screen(self) -> FitMethod:
        """Return the method for signals that were screened, or that are no scan."""
        return replace(self, robust=False) if self.screens else self  # type: ignore[call-arg]

    @property
    def least_squares(self) -> bool:
        """Whether the result is a minimum of the weighted sum of squares over all parameters."""
        return self.full_fit

    @property
    def has_penalty(self) -> bool:
        """Whether more than the data decides the result, so that its error is not their noise."""
        return False

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

    def fitted_model(self, model: SignalModel) -> SignalModel:
        """Return the model that is fitted: with what the options say about its parameters.

        By default nothing.

        Parameters
        ----------
        model : SignalModel
            The model that was asked for.

        Raises
        ------
        OptionError
            If an option contradicts the model.
        """
        return model

    def voxel_of(self, model: SignalModel) -> Callable[..., Any]:
        """Return the voxel function for a model: `voxel`, unless the model decides.

        Parameters
        ----------
        model : SignalModel
            The model to fit.
        """
        return self.voxel

    def takes_float32(self, model: SignalModel) -> bool:
        """Return whether the voxel function of a model serves float32, in single precision.

        Those are b-values, weights, signal, table and scratch. A method that leaves this out is
        computed in double precision whatever is asked for.
        """
        return False

    def takes_gpu(self, model: SignalModel) -> bool:
        """Return whether the scratch of a voxel has room on a GPU; else it is fitted on the CPU.

        Parameters
        ----------
        model : SignalModel
            The model to fit.
        """
        return True

    @property
    def measures_noise(self) -> bool:
        """Whether noise that was not given is to be taken from repeated volumes that are averaged.

        Once they are means, a voxel function cannot see how they scatter.
        """
        return False

    @property
    def wants_floor(self) -> bool:
        """Whether the noise that raises the floor of magnitudes is to be measured in the scan.

        What scatters more than that, like motion, pulsation and misfit, raises no floor.
        """
        return False

    def with_floor(self, sigma: float) -> FitMethod:
        """Return the method with the noise of one volume that sizes the noise floor, a.u."""
        return self

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

    def batch(self, model: SignalModel, plan: VoxelPlan, n_rows: int) -> Batch | None:
        """Return what does the same for many voxels at a time, if there is anything.

        It is used on a processor, in float64, where the bounds of all voxels are those of the
        model.

        Parameters
        ----------
        model : SignalModel
            The model to fit.
        plan : VoxelPlan
            What `plan` returned.
        n_rows : int
            Number of values of a signal, padded.

        Returns
        -------
        Batch or None
        """
        return None

    @abstractmethod
    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise, with advice, if the method cannot fit this model to these b-values."""

    @abstractmethod
    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute what is the same for all voxels.

        Parameters
        ----------
        model : SignalModel
            The model to fit.
        x : ndarray, shape (n_variables, n_rows)
            The acquisition, padded: a row per variable of the model, of which b in s/mm^2 is the
            first.
        weight : ndarray, shape (n_rows,)
            Weights; zero for padding.

        Returns
        -------
        VoxelPlan
        """
