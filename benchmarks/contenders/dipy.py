"""DIPY's `IvimModel`, both methods, with DIPY's default bounds and options."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Answer, Contender, Fit

# dipy.reconst.ivim.BOUNDS.
_OWN = {"f": (0.0, 0.2), "D_star": (0.0, 1.0), "D": (0.0, 1.0)}
_WIDE = {"f": (0.0, 1.0), "D_star": (2e-3, 0.2), "D": (0.0, 5e-3)}


def _maker(
    method: str, bounds: dict[str, tuple[float, float]] | None = None
) -> Callable[..., Fit]:
    def make(bvals: NDArray[np.float64]) -> Fit:
        from dipy.core.gradients import gradient_table
        from dipy.reconst.ivim import IvimModel

        directions = np.where(bvals[:, None] > 0.0, [1.0, 0.0, 0.0], 0.0)
        table = gradient_table(bvals, bvecs=directions, b0_threshold=0)
        options: dict[str, object] = {}
        if bounds is not None:
            low, high = zip(bounds["f"], bounds["D_star"], bounds["D"], strict=True)
            options["bounds"] = ([0.0, *low], [np.inf, *high])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It warns about its bounds.
            model = IvimModel(table, fit_method=method, **options)

        def fit(signal: NDArray[np.float64]) -> Answer:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # One warning for each start outside the bounds.
                return Answer(np.array(model.fit(signal).model_params, dtype=np.float64))

        return fit

    return make


CONTENDERS = (
    Contender(
        name="dipy-trr",
        label="DIPY trr",
        package="dipy",
        module="dipy",
        install="pip install dipy",
        convention="whole",
        bounds=_OWN,
        pace=200,
        make=_maker("trr"),
    ),
    Contender(
        name="dipy-trr-wide",
        label="DIPY trr, wide bounds",
        package="dipy",
        module="dipy",
        install="pip install dipy",
        convention="whole",
        bounds=_WIDE,
        pace=200,
        make=_maker("trr", _WIDE),
        note="with the bounds of ivimkit: DIPY's, f ≤ 0.2, exclude half of the voxels here",
    ),
    Contender(
        name="dipy-varpro",
        label="DIPY VarPro",
        package="dipy",
        module="dipy",
        install="pip install dipy cvxpy",
        convention="whole",
        bounds=_OWN,
        pace=20,
        make=_maker("varpro"),
        # The search range of its differential evolution and its convex step (tissue at most 0.89);
        # its last step hardly leaves it.
        checked={"f": (0.12, 0.18), "D_star": (5e-3, 10e-3), "D": (0.4e-3, 0.9e-3)},
        tolerance=0.01,
        note="checked with f 0.12 to 0.18, D* 5 to 10e-3 and D 0.4 to 0.9e-3 mm²/s: it does not "
        "recover other noise-free signals",
        needs=("cvxpy",),
    ),
)
