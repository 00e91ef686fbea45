"""TwoPoolMethod: what the methods for sums of two exponential decays share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.atoms import build_dictionary
from ivimkit.kernels.pools import pool_options
from ivimkit.kernels.side_by_side import memory_rows
from ivimkit.kernels.two_pools import GONE
from ivimkit.scan.acquisition import Acquisition

__all__ = ["TwoPoolMethod"]

# Slow rates are dense because a parabola is laid through them, fast ones because each basin needs
# one; benchmarks/optimum.py counts the voxels that a coarser choice misses.
_N_SLOW = 16
_N_FAST = 8


@dataclass(frozen=True)
class TwoPoolMethod(FitMethod):
    """Base of the methods that fit a model with `SignalModel.two_decays`.

    Attributes
    ----------
    searches : bool
        Whether the method looks through the dictionary of decays.
    """

    searches: ClassVar[bool] = True

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model is not a sum of decays, or needs a b = 0 that is not there."""
        decays = model.two_decays()
        if decays is None:
            raise OptionError(
                f"method {self.name} fits sums of one or two exponential decays; "
                f"model {model.name} is something else"
            )
        instant = decays.fraction is not None and decays.fast is None
        if instant and float(np.min(acquisition.shell_bvals)) > 0.0:
            raise AcquisitionError(
                f"model {model.name} sees perfusion only at b = 0, and the lowest b-value is "
                f"{float(np.min(acquisition.shell_bvals)):g}; use model biexp or monoexp"
            )

    @abstractmethod
    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> tuple[float, ...]:
        """Return the numbers that the method's voxel function reads behind the common ones.

        The b-values are those with a weight, one for each value of the signal.
        """

    def plan(
        self, model: SignalModel, b: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays of the protocol."""
        pools = model.two_decays()
        assert pools is not None
        degrees = int(np.count_nonzero(weight)) - model.n_free
        positions = (
            model.index("S0"),
            -1 if pools.fraction is None else model.index(pools.fraction),
            -1 if pools.fast is None else model.index(pools.fast),
            model.index(pools.slow),
        )
        own = self.own_options(model, b[weight > 0.0])
        if not self.searches:
            return VoxelPlan(pool_options(positions, 0, 0, degrees, *own), np.zeros((1, 1)), 1)
        slow = model[pools.slow]
        fast = (
            (GONE, GONE)
            if pools.fast is None
            else (model[pools.fast].lower, model[pools.fast].upper)
        )
        fraction = (
            (0.0, 0.0)
            if pools.fraction is None
            else (model[pools.fraction].lower, model[pools.fraction].upper)
        )
        dictionary = build_dictionary(
            b, weight, (slow.lower, slow.upper), fast, fraction, _N_SLOW, _N_FAST
        )
        options = pool_options(positions, dictionary.n1, dictionary.n2, degrees, *own)
        n_columns = dictionary.table.shape[1]
        lane_rows = memory_rows(b.size, dictionary.n1, dictionary.n2, n_columns)
        return VoxelPlan(options, dictionary.table, dictionary.work_rows, lane_rows)
