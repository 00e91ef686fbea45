"""Weighted log-linear least squares: ADC, or D and the intercept above a threshold."""

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
from ivimkit.kernels.loglinear_solution import log_linear, mean_signal
from ivimkit.kernels.two_decays.descent import squared_residual
from ivimkit.kernels.two_decays.fitted_decays import CONVERGED, INSTANT_RATE, Fit
from ivimkit.kernels.two_decays.option_positions import FRACTION, OWN
from ivimkit.kernels.two_decays.pools import pool_bounds, store_pools
from ivimkit.kernels.voxel import Voxel
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.thresholds import LOWER_B, check_threshold, require_split, require_two
from ivimkit.status import FitStatus

_TOO_FEW = int(FitStatus.TOO_FEW_BVALUES)
_IVIM_SPLIT = 200.0
# Position of its option: the lowest b-value of the line.
_B_SPLIT = OWN


@device
def _fit_voxel(voxel: Voxel, out: NDArray[np.float64]) -> int:
    b, root_weight, signal, options = voxel.x[0], voxel.root_weight, voxel.signal, voxel.options
    box = pool_bounds(voxel.lower, voxel.upper, options)
    intercept, rate, ok = log_linear(
        b, root_weight, signal, options[_B_SPLIT], math.inf, box.slow_low, box.slow_high
    )
    if not ok:
        return _TOO_FEW
    s0 = intercept
    f = 0.0
    if options[FRACTION] >= 0.0:
        s0 = mean_signal(b, root_weight, signal, 0.0)
        if not s0 > 0.0:
            return _TOO_FEW
        f = min(max(1.0 - intercept / s0, box.f_low), box.f_high)
    s0 = min(max(s0, box.s0_low), box.s0_high)
    a1 = (1.0 - f) * s0
    cost = squared_residual(b, root_weight, signal, rate, INSTANT_RATE, a1, f * s0)
    fit = Fit(rate, INSTANT_RATE, a1, f * s0, cost, math.inf, math.inf, 1, CONVERGED)
    return store_pools(fit, options, box, out)


@final
@dataclass(frozen=True)
class LogLinear(TwoDecayMethod):
    """Weighted log-linear least squares, in closed form.

    ln S is a straight line in b; every point has the weight S^2 times the number of averages,
    because noise of the same size in S is 1/S as large in ln S. For ``monoexp`` this is the ADC.
    For ``sivim`` the line through b >= `b_split` gives D and the intercept A, and f = 1 - A /
    S(0).

    Parameters
    ----------
    b_split : float or None
        Use b-values from this one on (inclusive), in s/mm^2. None: all of them for ``monoexp``,
        200 for ``sivim``.

    Raises
    ------
    OptionError
        If `b_split` is not a number >= 0.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.methods.LogLinear(b_split=100)
    LogLinear(b_split=100)

    References
    ----------
    Veraart J et al. NeuroImage 2013;81:335-346. doi:10.1016/j.neuroimage.2013.05.028
    """

    name: ClassVar[str] = "loglinear"
    title: ClassVar[str] = "weighted log-linear least squares"
    full_fit: ClassVar[bool] = False
    searches: ClassVar[bool] = False
    voxel = staticmethod(_fit_voxel)
    references: ClassVar[tuple[str, ...]] = (
        "Veraart J et al. Weighted linear least squares estimation of diffusion MRI parameters: "
        "strengths, limitations, and pitfalls. NeuroImage 2013;81:335-346. "
        "doi:10.1016/j.neuroimage.2013.05.028",
    )

    b_split: float | None = field(default=None, metadata={**LOWER_B, "usual": _IVIM_SPLIT})

    def __post_init__(self) -> None:
        if self.b_split is not None:
            check_threshold("b_split", self.b_split)

    def _split(self, ivim: bool) -> float:
        if self.b_split is not None:
            return float(self.b_split)
        return _IVIM_SPLIT if ivim else 0.0

    def check(self, model: SignalModel, acquisition: Acquisition) -> None:
        """Raise if the model has a D*, or too few b-values are above the threshold."""
        super().check(model, acquisition)
        decays = model.two_decays()
        if decays is not None and decays.fast is not None:
            raise OptionError(
                f"method loglinear cannot estimate {decays.fast} of model {model.name}; "
                "use model sivim (f and D only) or method segmented"
            )
        ivim = bool(model.fractions)
        if ivim:
            require_split(acquisition, "b_split", self._split(ivim))
        else:
            require_two(acquisition, "b_split", lower=self._split(ivim))

    def takes_float32(self, model: SignalModel) -> bool:
        """Return True: float32 arrays are computed in single precision."""
        return True

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> Mapping[int, ArrayLike]:
        """Return the threshold."""
        return {_B_SPLIT: self._split(bool(model.fractions))}


METHOD = LogLinear
