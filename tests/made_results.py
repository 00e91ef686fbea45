"""Results made by hand, so that tests of tables and figures need no fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ivimkit.fitting.result import FitResult, Provenance
from ivimkit.fitting.settings import FitSettings
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.geometry import Geometry

BVALS = (0, 10, 20, 50, 100, 200, 400, 800)


def made_result(
    maps: dict[str, ArrayLike],
    *,
    model: str = "biexp",
    method: str = "varpro",
    status: ArrayLike | None = None,
    affine: ArrayLike | None = None,
) -> FitResult:
    """Return a result with these maps; status 0 unless given."""
    arrays = {name: np.asarray(values, dtype=float) for name, values in maps.items()}
    shape = next(iter(arrays.values())).shape
    provenance = Provenance({}, BVALS, [1.0] * len(BVALS), [], "", 0.0, 1, {})
    return FitResult(
        maps=arrays,
        status=np.zeros(shape, np.int32) if status is None else np.asarray(status, np.int32),
        settings=FitSettings.of(model, method, call=""),
        acquisition=Acquisition(BVALS),
        geometry=Geometry(affine),
        provenance=provenance,
    )


def biexp_maps(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return plausible maps that differ from voxel to voxel."""
    ramp = np.linspace(0.5, 1.0, int(np.prod(shape))).reshape(shape)
    return {
        "S0": 1000 * ramp,
        "f": 0.3 * ramp,
        "D_star": 50e-3 * ramp,
        "D": 1e-3 * ramp,
        "ADC": 1.5e-3 * ramp,
        "fD_star": 15e-3 * ramp**2,
        "rmse": 10 * ramp,
    }
