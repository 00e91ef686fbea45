"""Estimator: base class of the uncertainty estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.plugin import Plugin
from ivimkit.extend.signal_model import SignalModel

__all__ = ["Estimator"]


@dataclass(frozen=True)
class Estimator(Plugin, ABC):
    """Base of all uncertainty estimators: a frozen set of options with one voxel function.

    A concrete estimator is a final frozen dataclass in a separate file in ``uncertainty/``.

    Attributes
    ----------
    name : str
        Short name used in calls and files.
    title : str
        Name in texts and tables.
    voxel : callable
        A plain function ``voxel(voxel, found, tables, out)`` that reads a voxel with the plan of
        its method (`ivimkit.kernels.voxel.Voxel`), the result of the method (`Found`) and the plan
        of the estimator (`Tables`), writes the `maps` to `out` (NaN before) and returns flags to
        add to the status. The engine compiles it with ``fit_voxel``, the method's voxel function,
        and ``signal_kernel``, the model's kernel, among its globals and among those of the plain
        functions that it calls: ``fit_voxel(voxel, out)`` and ``signal_kernel(x, j, params)``,
        which returns the signal and its slopes at column j of x.
    references : tuple of str
        Sources, each with its DOI.
    """

    noun: ClassVar[str] = "uncertainty"
    title: ClassVar[str]
    voxel: ClassVar[Callable[..., int]]
    references: ClassVar[tuple[str, ...]]

    @abstractmethod
    def check(self, model: SignalModel, method: FitMethod) -> None:
        """Raise, with advice, if the estimator cannot be used with this model or method."""

    @abstractmethod
    def maps(self, model: SignalModel) -> tuple[str, ...]:
        """Return the names of the maps in the order of the voxel function's output."""

    @abstractmethod
    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute what is the same for all voxels; see `FitMethod.plan`."""
