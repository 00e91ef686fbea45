"""Variable projection: the global least-squares optimum inside the bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import device
from ivimkit.kernels.pools import pool_bounds, store_pools
from ivimkit.kernels.search import global_fit
from ivimkit.signal_model import SignalModel
from ivimkit.two_pool_method import TwoPoolMethod


@device
def _fit_voxel(
    b: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    sigma: float,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    start: NDArray[np.float64],
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> int:
    box = pool_bounds(lower, upper, options)
    fit = global_fit(
        b, root_weight, signal, box, int(options[4]), int(options[5]), options[6], table, work
    )
    return store_pools(fit, options, box, out)


@final
@dataclass(frozen=True)
class VarPro(TwoPoolMethod):
    """Variable projection: the global least-squares optimum inside the bounds.

    The amplitudes S0 f and S0 (1-f) are eliminated in closed form with their constraints; a
    dictionary of decays finds the basins of the remaining two rates; Newton steps with an active
    set for the bounds finish each, and where one pool is left a slope test decides whether a
    second one could lower the cost. Deterministic, without threshold, starting values or
    logarithm: signals may be negative.

    This is the idea of MIX (Farooq 2016) with its random search and its convex solver replaced
    by closed forms.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.methods.VarPro().full_fit
    True

    References
    ----------
    Golub GH, Pereyra V. Inverse Problems 2003;19:R1. doi:10.1088/0266-5611/19/2/201
    Farooq H et al. Sci Rep 2016;6:38927. doi:10.1038/srep38927
    """

    name: ClassVar[str] = "varpro"
    title: ClassVar[str] = "variable projection, global optimum"
    full_fit: ClassVar[bool] = True
    voxel = staticmethod(_fit_voxel)
    references: ClassVar[tuple[str, ...]] = (
        "Golub GH, Pereyra V. Separable nonlinear least squares: the variable projection method "
        "and its applications. Inverse Problems 2003;19:R1-R26. doi:10.1088/0266-5611/19/2/201",
        "Farooq H et al. Microstructure imaging of crossing (MIX) white matter fibers from "
        "diffusion MRI. Sci Rep 2016;6:38927. doi:10.1038/srep38927",
    )

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> tuple[float, ...]:
        """Return nothing: the method has no options."""
        return ()


METHOD = VarPro
