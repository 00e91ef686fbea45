"""TwoDecayMethod: base of the methods for sums of one or two exponential decays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.extend.fit_method import FitMethod, VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.two_decays.fitted_decays import INSTANT_RATE
from ivimkit.kernels.two_decays.option_positions import two_decay_options
from ivimkit.kernels.two_decays.plan import search_plan
from ivimkit.scan.acquisition import Acquisition

__all__ = ["TwoDecayMethod"]


@dataclass(frozen=True)
class TwoDecayMethod(FitMethod):
    """Base of the methods that fit a model with `SignalModel.two_decays`.

    Attributes
    ----------
    searches : bool
        Whether the method searches the dictionary of decays.
    """

    searches: ClassVar[bool] = True

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model is not a sum of decays, or needs b = 0 and the scan lacks it."""
        decays = model.two_decays()
        if decays is None:
            raise OptionError(
                f"method {self.name} fits sums of one or two exponential decays; "
                f"model {model.name} is not one. Use method varpro"
            )
        instant = decays.fraction is not None and decays.fast is None
        if instant and float(np.min(acquisition.shell_bvals)) > 0.0:
            raise AcquisitionError(
                f"model {model.name} has a perfusion signal only at b = 0, and the lowest "
                f"b-value is {float(np.min(acquisition.shell_bvals)):g}; use model biexp or "
                "monoexp"
            )

    @abstractmethod
    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> Mapping[int, ArrayLike]:
        """Return the options of the method behind those that all methods share.

        They are given by their positions among the options, from
        `ivimkit.kernels.two_decays.option_positions.OWN` on. The b-values are those with a weight,
        one for each value of the signal.
        """

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays of the protocol."""
        decays = model.two_decays()
        assert decays is not None
        b = x[0]
        degrees = int(np.count_nonzero(weight)) - model.n_free
        positions = (
            model.index("S0"),
            -1 if decays.fraction is None else model.index(decays.fraction),
            -1 if decays.fast is None else model.index(decays.fast),
            model.index(decays.slow),
        )
        own = self.own_options(model, b[weight > 0.0])
        if not self.searches:
            return VoxelPlan(two_decay_options(positions, 0, 0, degrees, own), np.zeros((1, 1)))
        instant = (INSTANT_RATE, INSTANT_RATE)
        return VoxelPlan(
            *search_plan(
                b,
                weight,
                positions,
                _bounds(model, decays.slow, instant),
                _bounds(model, decays.fast, instant),
                _bounds(model, decays.fraction, (0.0, 0.0)),
                degrees,
                own,
            )
        )


def _bounds(
    model: SignalModel, name: str | None, absent: tuple[float, float]
) -> tuple[float, float]:
    """Return the bounds of a parameter, or those of one that the model does not have."""
    return absent if name is None else (model[name].lower, model[name].upper)
