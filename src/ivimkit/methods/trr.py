"""Two-stage fit: two straight lines for starting values, then bounded least squares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.kernels.device import device
from ivimkit.kernels.loglinear_solution import log_linear
from ivimkit.kernels.two_decays.descent import refine
from ivimkit.kernels.two_decays.fitted_decays import Box, better, ordered
from ivimkit.kernels.two_decays.one_decay import refit_merged
from ivimkit.kernels.two_decays.option_positions import FAST, OWN
from ivimkit.kernels.two_decays.pools import pool_bounds, store_pools
from ivimkit.kernels.two_decays.search import persist
from ivimkit.kernels.voxel import Voxel
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.thresholds import LOWER_B, UPPER_B, check_threshold, require_split, require_two
from ivimkit.status import FitStatus

_TOO_FEW = int(FitStatus.TOO_FEW_BVALUES)
# Positions of its options: ends of both lines, and whether all parameters are fitted at the end.
_SPLIT_D, _SPLIT_S0, _TWO_STAGE = OWN, OWN + 1, OWN + 2


@device
def _fit_voxel(voxel: Voxel, out: NDArray[np.float64]) -> int:
    b, root_weight, signal, options = voxel.x[0], voxel.root_weight, voxel.signal, voxel.options
    split_d, split_s0 = options[_SPLIT_D], options[_SPLIT_S0]
    box = pool_bounds(voxel.lower, voxel.upper, options)
    s0_low, s0_high, f_low, f_high, fast_low, fast_high, slow_low, slow_high = box
    _, slow, ok = log_linear(b, root_weight, signal, split_d, math.inf, slow_low, slow_high)
    s0, _, ok_s0 = log_linear(b, root_weight, signal, 0.0, split_s0, 0.0, math.inf)
    if not (ok and ok_s0):
        return _TOO_FEW
    s0 = min(max(s0, s0_low), s0_high)
    fast = min(max(voxel.start[int(options[FAST])], fast_low), fast_high)
    first = ordered(Box(s0, s0, f_low, f_high, fast_low, fast_high, slow, slow))
    fast = min(max(fast, first.fast_low), first.fast_high)
    fit = refine(b, root_weight, signal, slow, fast, first, voxel.table)
    if options[_TWO_STAGE] > 0.0:
        fit = refine(b, root_weight, signal, slow, fit.fast, box, voxel.table)
        fit = better(refit_merged(b, root_weight, signal, fit, box, voxel.table), fit)
        fit = persist(b, root_weight, signal, fit, box, voxel.table)
    return store_pools(fit, options, box, out)


@final
@dataclass(frozen=True)
class TRR(TwoDecayMethod):
    """Two-stage fit: two straight lines for starting values, then bounded least squares.

    A line through ln S at b >= `split_b_D` gives S0' and D, one at b <= `split_b_S0` gives S0,
    and f = 1 - S0' / S0. Bounded least squares then fits f and D* with S0 and D fixed, and with
    ``two_stage=True`` all four. The minimum found is the one nearest to the start: unlike
    ``varpro`` it need not be the global one. D* starts at the model's start
    (``model.with_start(D_star=...)``); a start outside the bounds is moved inside.

    Parameters
    ----------
    split_b_D : float
        Lowest b-value of the line for D (inclusive), in s/mm^2.
    split_b_S0 : float
        Highest b-value of the line for S0 (inclusive), in s/mm^2.
    two_stage : bool
        Whether all four parameters are fitted at the end.

    Raises
    ------
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.methods.TRR().split_b_D
    400.0

    References
    ----------
    Garyfallidis E et al. Front Neuroinform 2014;8:8. doi:10.3389/fninf.2014.00008
    """

    name: ClassVar[str] = "trr"
    title: ClassVar[str] = "two-stage bounded least squares"
    full_fit: ClassVar[bool] = True
    voxel = staticmethod(_fit_voxel)
    references: ClassVar[tuple[str, ...]] = (
        "Garyfallidis E et al. Dipy, a library for the analysis of diffusion MRI data. "
        "Front Neuroinform 2014;8:8. doi:10.3389/fninf.2014.00008",
    )

    split_b_D: float = field(default=400.0, metadata=LOWER_B)
    split_b_S0: float = field(default=200.0, metadata=UPPER_B)
    two_stage: bool = True

    def __post_init__(self) -> None:
        check_threshold("split_b_D", self.split_b_D)
        check_threshold("split_b_S0", self.split_b_S0)

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model is not bi-exponential, or a line has too few b-values."""
        super().check(model, acquisition)
        decays = model.two_decays()
        if decays is not None and decays.fast is None:
            raise OptionError(
                f"method trr fits bi-exponential models and {model.name} is not one; "
                "use method varpro or loglinear"
            )
        require_split(acquisition, "split_b_D", self.split_b_D)
        require_two(acquisition, "split_b_S0", upper=self.split_b_S0)

    def starts_from(self, model: SignalModel) -> tuple[str, ...]:
        """Return the rate of the blood, whose start decides which minimum is found."""
        decays = model.two_decays()
        fast = None if decays is None else decays.fast
        return () if fast is None or model[fast].fixed else (fast,)

    @property
    def least_squares(self) -> bool:
        """Whether it has a second stage; without it, S0 and D are those of the lines."""
        return self.two_stage

    def takes_float32(self, model: SignalModel) -> bool:
        """Return True: float32 arrays are computed in single precision."""
        return True

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> Mapping[int, ArrayLike]:
        """Return both thresholds and whether there is a second stage."""
        return {
            _SPLIT_D: self.split_b_D,
            _SPLIT_S0: self.split_b_S0,
            _TWO_STAGE: self.two_stage,
        }


METHOD = TRR
