"""Precision: float32 against float64 on the processor."""

from __future__ import annotations

import numpy as np

import ivimkit as ik
from benchmarks.answers import CHECKED, check_answer
from benchmarks.command import run_alone
from benchmarks.data import SNRS, DataSet, organ_mixture, simulated
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table

_VOXELS = 20_000
_METHODS = ("varpro", "trr", "segmented")
_SAME = 1e-3


def measure(settings: Settings) -> Findings:
    """Fit each set twice and compare voxel by voxel."""
    n = settings.size(_VOXELS)
    sets = [*(simulated("b21", snr, n) for snr in SNRS), organ_mixture("b21", 50, n)]
    rows = [_compare(method, data) for method in _METHODS for data in sets]
    return Findings(
        conditions={"data": f"21 b-values, {n} voxels a set", "device": "the processor"},
        checked=f"{CHECKED} That of float64.",
        tables=[
            Table(
                "Single precision beside double",
                [
                    Column("method"),
                    Column("data"),
                    Column("another status, voxels", "{:,}"),
                    Column("of those with the same: S0, f or D off by > 0.1 %", "{:,}"),
                    Column("D\\* off by > 0.1 %", "{:,}"),
                    Column("D\\* where perfusion is seen", "{:,}"),
                ],
                rows,
            )
        ],
        notes=[
            "A borderline voxel, between two optima of equal cost or at a detection "
            "limit, may go either way. Where f is not distinguishable from 0 the data do "
            "not determine D*."
        ],
    )


def _compare(method: str, data: DataSet) -> list[Cell]:
    double = ik.fit(data.signal, data.bvals, method=method)
    check_answer(double, data)
    single = ik.fit(data.signal, data.bvals, method=method, precision="float32")
    same = double.status == single.status
    off = {
        name: same
        & ~np.isclose(single.maps[name], double.maps[name], rtol=_SAME, atol=0, equal_nan=True)
        for name in double.model.names
    }
    rest = off["S0"] | off["f"] | off["D"]
    seen = np.isfinite(double.reliable("D_star"))
    fast = off["D_star"]
    return [
        method,
        data.name,
        int((~same).sum()),
        int(rest.sum()),
        int(fast.sum()),
        int((fast & seen).sum()),
    ]


FIGURE = Figure(
    order=21,
    name="precision",
    title="Precision: float32 against float64",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
