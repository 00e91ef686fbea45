"""DIPY's `trr` with its default bounds and options."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.contenders import contenders_of
from benchmarks.data import DataSet
from benchmarks.reference import cost_of

__all__ = ["ABSENT", "dipy_voxels_per_second", "is_installed"]

ABSENT = (
    "DIPY is not installed, so it was not timed: `pip install dipy`, or `make bench`, which "
    "installs the extra `bench`."
)

_TRR = next(one for one in contenders_of("dipy") if one.name == "dipy-trr")
# Those of dipy.reconst.ivim.BOUNDS, except for D* > D.
_F, _D_STAR, _D = (0.0, 0.2), (1e-6, 1.0), (0.0, 0.1)


def is_installed() -> bool:
    """Return whether DIPY can be imported."""
    return find_spec("dipy") is not None


def dipy_voxels_per_second(data: DataSet) -> float:
    """Fit with DIPY, check its answer, return its speed.

    One pass, warm: imports and a first voxel are not counted.

    Parameters
    ----------
    data : DataSet
        A simulated set; a few hundred voxels take a second or two.

    Returns
    -------
    float

    Raises
    ------
    AssertionError
        If DIPY's residuals are not near the optimum within its bounds.
    """
    fit = _TRR.make(data.bvals)
    fit(data.signal[:1])
    start = time.perf_counter()
    answer = fit(data.signal)
    seconds = time.perf_counter() - start
    _check(data, answer.params)
    return float(data.signal.shape[0] / seconds)


def _check(data: DataSet, params: NDArray[np.float64]) -> None:
    """Raise unless most residuals are near the optimum within the bounds, and none below it."""
    model = ik.models.get("biexp").with_bounds(f=_F, D_star=_D_STAR, D=_D)
    optimum = ik.fit(data.signal, data.bvals, model=model).maps["cost"]
    ratio = cost_of(data.bvals, data.signal, params) / optimum
    middle = float(np.median(ratio))
    if middle > 1.05:
        raise AssertionError(
            f"DIPY's residuals are {middle:.3f} x the optimum inside its bounds; "
            "expected about 1: it is not used correctly"
        )
