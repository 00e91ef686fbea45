"""Segmented fit: D from high b-values first, then the perfusion parameters with D fixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import VoxelPlan
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.kernels.device import device
from ivimkit.kernels.loglinear_solution import log_linear, mean_signal
from ivimkit.kernels.two_decays.fitted_decays import Box
from ivimkit.kernels.two_decays.one_rate import fit_rate, rate_scratch
from ivimkit.kernels.two_decays.option_positions import N_FAST, OWN
from ivimkit.kernels.two_decays.pools import pool_bounds, store_pools
from ivimkit.kernels.two_decays.search import global_fit
from ivimkit.kernels.voxel import Voxel
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.thresholds import LOWER_B, check_threshold, require_split
from ivimkit.status import FitStatus

STEPS = (3, 2)
_TOO_FEW = int(FitStatus.TOO_FEW_BVALUES)
# Positions of its options: the lowest b-value of the line, and the two lowest of all.
_B_SPLIT, _B_FIRST, _B_SECOND = OWN, OWN + 1, OWN + 2


@device
def _fit_two_steps(voxel: Voxel, out: NDArray[np.float64]) -> int:
    b, root_weight, signal, options = voxel.x[0], voxel.root_weight, voxel.signal, voxel.options
    s0_low, s0_high, f_low, f_high, fast_low, fast_high, slow_low, slow_high = pool_bounds(
        voxel.lower, voxel.upper, options
    )
    _, rate, ok = log_linear(
        b, root_weight, signal, options[_B_SPLIT], math.inf, slow_low, slow_high
    )
    if not ok:
        return _TOO_FEW
    box = Box(s0_low, s0_high, f_low, f_high, fast_low, fast_high, rate, rate)
    fit = global_fit(voxel, box)
    return store_pools(fit, options, box, out)


@device
def _fit_three_steps(voxel: Voxel, out: NDArray[np.float64]) -> int:
    b, root_weight, signal, options = voxel.x[0], voxel.root_weight, voxel.signal, voxel.options
    s0_low, s0_high, f_low, f_high, fast_low, fast_high, slow_low, slow_high = pool_bounds(
        voxel.lower, voxel.upper, options
    )
    b_first, b_second = options[_B_FIRST], options[_B_SECOND]
    intercept, rate, ok = log_linear(
        b, root_weight, signal, options[_B_SPLIT], math.inf, slow_low, slow_high
    )
    if not ok:
        return _TOO_FEW
    s0 = mean_signal(b, root_weight, signal, b_first)
    if b_first > 0.0:
        s0, _, ok = log_linear(b, root_weight, signal, b_first, b_second, 0.0, math.inf)
    if not (ok and s0 > 0.0):
        return _TOO_FEW
    s0 = min(max(s0, s0_low), s0_high)
    f = min(max(1.0 - intercept / s0, f_low), f_high)
    box = Box(s0, s0, f, f, fast_low, fast_high, rate, rate)
    fit = fit_rate(voxel, box)
    return store_pools(fit, options, box, out)


@final
@dataclass(frozen=True)
class Segmented(TwoDecayMethod):
    """Segmented fit: D from high b-values first, then the perfusion parameters with D fixed.

    Step 1 fits a weighted straight line to ln S at b >= `b_split`, where the blood signal is
    assumed to have vanished: D and the intercept A = S0 (1-f). With ``steps=3``, step 2 takes
    f = 1 - A / S(0) with the measured signal at b = 0 (without a b = 0 the line through the two
    lowest b-values), and step 3 fits D* to all b-values with S0, f and D fixed. With ``steps=2``,
    step 2 fits S0, f and D* to all b-values with D fixed.

    The remaining blood signal at `b_split` biases D up and f down: this is not a full fit and
    does not return the true parameters even without noise.

    Parameters
    ----------
    b_split : float
        Lowest b-value of the line (inclusive), in s/mm^2.
    steps : {3, 2}
        Whether f comes from the intercept (3) or from the second fit (2).

    Raises
    ------
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.methods.Segmented(b_split=150, steps=2)
    Segmented(b_split=150, steps=2)

    References
    ----------
    Luciani A et al. Radiology 2008;249:891-899. doi:10.1148/radiol.2493080080
    """

    name: ClassVar[str] = "segmented"
    title: ClassVar[str] = "segmented fit"
    full_fit: ClassVar[bool] = False
    references: ClassVar[tuple[str, ...]] = (
        "Luciani A et al. Liver cirrhosis: intravoxel incoherent motion MR imaging - pilot study. "
        "Radiology 2008;249:891-899. doi:10.1148/radiol.2493080080",
    )

    b_split: float = field(default=200.0, metadata=LOWER_B)
    steps: int = field(default=3, metadata={"choices": STEPS})

    def __post_init__(self) -> None:
        check_threshold("b_split", self.b_split)
        if self.steps not in STEPS:
            raise OptionError(f"steps is {self.steps!r}; expected 3 or 2")

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model has no perfusion, or too few b-values are above the threshold."""
        super().check(model, acquisition)
        if not model.fractions:
            raise OptionError(
                f"method segmented needs a perfusion fraction and model {model.name} has none; "
                "use method loglinear or varpro"
            )
        require_split(acquisition, "b_split", self.b_split)

    @property
    def voxel(self) -> Callable[..., Any]:  # type: ignore[override]
        """The compiled voxel function of these steps, so that the other is not compiled."""
        return _fit_three_steps if self.steps == 3 else _fit_two_steps

    def takes_float32(self, model: SignalModel) -> bool:
        """Return True: float32 arrays are computed in single precision."""
        return True

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> Mapping[int, ArrayLike]:
        """Return the threshold and the two lowest b-values."""
        first, second = np.unique(b)[:2].tolist()
        return {_B_SPLIT: self.b_split, _B_FIRST: first, _B_SECOND: second}

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        """Compute the dictionary of decays; three steps need scratch for the fast ones only."""
        plan = super().plan(model, x, weight)
        if self.steps == 2:
            return plan
        return replace(plan, scratch=rate_scratch(x.shape[1], int(plan.options[N_FAST])))


METHOD = Segmented
