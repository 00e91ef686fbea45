"""Bits: identical results with one and two threads, in any voxel order, with or without mask."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import B21, DataSet, simulated
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.pairs import working_pairs
from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.result import FitResult

# Not a whole number of chunks, and more than two of them.
_VOXELS = 20_000

Fit = Callable[..., FitResult]


def measure(settings: Settings) -> Findings:
    """Fit the same voxels in different ways and compare every bit of every map."""
    data = _with_odd_voxels(simulated("b21", 20, settings.size(_VOXELS)))
    rows: list[list[Cell]] = []
    for model, usual in working_pairs():
        method = _alone(usual)
        fit = partial(ik.fit, bvals=B21, model=model, method=method)
        rows.append([f"{method.name}, {model.name}", *_differences(fit, data.signal)])
    total = sum(int(count) for row in rows for count in row[1:] if isinstance(count, int))
    return Findings(
        conditions={
            "data": f"{data.signal.shape[0]} voxels of {data.name}, one in twenty with NaN, zero, "
            "negative or constant values",
            "bayes": "with a flat prior and the noise of each voxel alone: what it learns depends "
            "on all voxels",
        },
        checked="the figure itself: all maps and the status, bit for bit, against one thread on "
        "all voxels.",
        tables=[
            Table(
                "Voxels with any difference in any map",
                [
                    Column("method, model"),
                    Column("2 threads", "{:d}"),
                    Column("shuffled", "{:d}"),
                    Column("mask", "{:d}"),
                    Column("one voxel left out", "{:d}"),
                    Column("Fortran order", "{:d}"),
                ],
                rows,
            )
        ],
        targets=[
            Target(
                "Same bits with 1 and 2 threads, voxels in any order, with mask or without",
                f"{total} voxels differ",
                total == 0,
            )
        ],
    )


def _alone(method: FitMethod) -> FitMethod:
    """Return a method that fits each voxel independently, without learning from the others."""
    return ik.methods.get(method.name, prior="flat", variance="voxel") if method.learns else method


def _with_odd_voxels(data: DataSet) -> DataSet:
    """Return the set with every 20th voxel corrupted, in five ways in turn."""
    signal = data.signal.copy()
    odd = np.arange(0, signal.shape[0], 20)
    signal[odd[0::5], 3] = np.nan
    signal[odd[1::5]] = 0.0
    signal[odd[2::5], -4:] *= -1.0
    signal[odd[3::5]] = 500.0
    signal[odd[4::5]] = np.minimum(signal[odd[4::5]], 700.0)  # Saturated.
    return DataSet(data.name, data.bvals, signal, data.truth)


def _differences(fit: Fit, signal: NDArray[np.float64]) -> list[Cell]:
    """Return the number of differing voxels, in the order of the table."""
    n = signal.shape[0]
    whole = _bits(fit(signal, threads=1))
    order = np.random.default_rng(0).permutation(n)
    inside = np.random.default_rng(1).permutation(n) < max(1, n // 3)
    square = signal[: n // 2 * 2].reshape(2, n // 2, -1)
    return [
        _count(whole, _bits(fit(signal, threads=2))),
        _count(whole[order], _bits(fit(signal[order], threads=1))),
        _count(whole[inside], _bits(fit(signal, mask=inside, threads=1))[inside]),
        _count(whole[1:], _bits(fit(signal[1:], threads=1))),
        _count(whole[: square.shape[1] * 2], _bits(fit(np.asfortranarray(square), threads=1))),
    ]


def _bits(result: FitResult) -> NDArray[np.int64]:
    """Return status and maps as whole numbers, a row per voxel: NaN equals NaN, 0 not -0."""
    columns = [np.ascontiguousarray(values).ravel() for values in result.maps.values()]
    maps = np.stack(columns, axis=1).view(np.int64)
    return np.column_stack([result.status.ravel(), maps])


def _count(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    return int(np.count_nonzero((first != second).any(axis=1)))


FIGURE = Figure(
    order=7,
    name="bits",
    title="Bit-identical results, however the voxels are fitted",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
