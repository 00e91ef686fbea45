"""Methods with a spectrum that write more than its maps: the spectrum, or how good it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.spectrum.layout import INFLUENCE, SIZES, SPECTRUM
from ivimkit.kernels.spectrum.voxel_spectrum import fit_spectrum
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.scan.acquisition import Acquisition

__all__ = ["for_weighing", "with_spectrum"]


@dataclass(frozen=True)
class _Writing(FitMethod):
    """A method with a spectrum that writes more than the maps, named by `further`."""

    name: ClassVar[str] = "spectrum"
    title: ClassVar[str] = "spectrum with more than its maps"
    full_fit: ClassVar[bool] = False
    voxel = staticmethod(fit_spectrum)
    references: ClassVar[tuple[str, ...]] = ()

    method: SpectralMethod
    more: int
    further: tuple[str, ...]

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        return (*self.method.extras(model), *self.further)

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        self.method.check(model, acquisition)

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        return self.method.plan_with(self.more, model, x, weight)


def with_spectrum(method: SpectralMethod, n_bins: int) -> FitMethod:
    """Return a method that also writes the amplitudes of all bins, behind the maps."""
    return _Writing(method, SPECTRUM, tuple(map(str, range(n_bins))))


def for_weighing(method: SpectralMethod, mu: float, *, influence: bool) -> FitMethod:
    """Return a method that also writes what the rules for the weight of the penalty need.

    Parameters
    ----------
    method : SpectralMethod
        The method.
    mu : float
        The weight to try.
    influence : bool
        Whether to write the number of effective parameters behind the squares of residuals and of
        differences.
    """
    sizes = ("square", "roughness")
    more, further = (INFLUENCE, (*sizes, "influence")) if influence else (SIZES, sizes)
    return _Writing(replace(method, regularisation=mu), more, further)
