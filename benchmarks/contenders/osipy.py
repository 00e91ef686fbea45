"""osipy, OSIPI's own package: Levenberg-Marquardt on all voxels at once in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Answer, Contender, Fit

_INSTALL = (
    "pip install osipy, with Python 3.12 or newer, or python3.12 -m venv build/contenders/osipy "
    "&& build/contenders/osipy/bin/pip install osipy"
)
# osipy.ivim.models.IVIMBiexponentialModel.get_bounds.
_BOUNDS = {"f": (0.0, 0.7), "D_star": (2e-3, 0.1), "D": (1e-4, 5e-3)}


def _maker(method: str) -> Callable[..., Fit]:
    def make(bvals: NDArray[np.float64]) -> Fit:
        from osipy.ivim import FittingMethod, fit_ivim

        chosen = FittingMethod(method)

        def fit(signal: NDArray[np.float64]) -> Answer:
            with np.errstate(all="ignore"):
                found = fit_ivim(signal, bvals, method=chosen)
            maps = (found.s0_map, found.f_map, found.d_star_map, found.d_map)
            params = np.stack([np.ravel(one.values) for one in maps], axis=1)
            good = np.ravel(found.quality_mask).astype(bool)
            return Answer(params.astype(np.float64), ~good)

        return fit

    return make


CONTENDERS = tuple(
    Contender(
        name=f"osipy-{method}",
        label=f"osipy {method}",
        package="osipy",
        module="osipy",
        install=_INSTALL,
        convention="whole",
        bounds=_BOUNDS,
        pace=pace,
        make=_maker(method),
    )
    for method, pace in (("segmented", 80_000), ("full", 80_000), ("bayesian", 20_000))
)
