"""Posterior: the integrals of method bayes against brute force in plain NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.brute import PARAMETERS, Moments, adaptive_moments, grid_moments
from benchmarks.command import run_alone
from benchmarks.data import PROTOCOLS, RANGES, SNRS, DataSet, simulated
from benchmarks.error import ESTIMATED, UNITS
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.limit import sigma_of, true_model
from ivimkit.extend.signal_model import SignalModel

_NODES = 64
_VOXELS, _FULL = 500, 2000
_CELLS = 100_000
_FINE_VOXELS, _FINE_FULL = 30, 250
_FINE_SNRS = (10, 20, 50, 100, 200)
_WIDE_SNRS = (20, 100)
_RATIO = 1.02
_METHOD = ik.methods.get("bayes", prior="flat", noise="gaussian")


@dataclass(frozen=True)
class _Ratio:
    """RMSE of D, f and D* of both ways to integrate, in the unit of tables."""

    name: str
    ours: NDArray[np.float64]
    grid: NDArray[np.float64]

    @property
    def worst(self) -> float:
        return float((self.ours / self.grid).max())

    def row(self) -> list[Cell]:
        return [self.name, *map(float, self.ours), *map(float, self.ours / self.grid)]


def measure(settings: Settings) -> Findings:
    """Integrate every voxel both ways."""
    n = settings.size(_VOXELS, _FULL)
    few = min(n, settings.size(_FINE_VOXELS, _FINE_FULL))
    ratios = []
    for protocol in PROTOCOLS:
        for snr in SNRS:
            data = simulated(protocol, snr).first(n)
            print(f"posterior: {data.name}, {n} voxels on {_NODES}³ points ...", flush=True)
            ratios.append(_ratio(data, snr))
    true, wide = (
        [
            _fine(simulated(protocol, snr).first(few), snr, model)
            for protocol in PROTOCOLS
            for snr in snrs
        ]
        for model, snrs in (
            (true_model(), _FINE_SNRS),
            (ik.models.get("biexp"), _FINE_SNRS if settings.full else _WIDE_SNRS),
        )
    )
    worst = max(ratio.worst for ratio in ratios)
    return Findings(
        conditions={
            "data": f"the first {n} voxels of each set, {few} for the errors of the integrals",
            "prior": "flat; in the ranges of the truth, or in the default bounds where stated",
            "noise": "Rician, treated as Gaussian with known sigma by both",
        },
        checked="the reference is pure NumPy; its change with the last subdivision of its "
        "cells is in the tables.",
        tables=[
            Table(
                f"Posterior means: RMSE, and its ratio to that of a sum over {_NODES}³ points",
                [
                    Column("set"),
                    Column("RMSE D, 10⁻³ mm²/s", "{:.4f}"),
                    Column("RMSE f", "{:.4f}"),
                    Column("RMSE D*, 10⁻³ mm²/s", "{:.2f}"),
                    *(Column(f"{name}: ratio", "{:.4f}") for name in ("D", "f", "D*")),
                ],
                [ratio.row() for ratio in ratios],
            ),
            _fine_table("Error of the integrals, prior in the ranges of the truth", true),
            _fine_table("Error of the integrals, prior in the default bounds", wide),
        ],
        targets=[
            Target(
                f"RMSE of D, f and D* ≤ {_RATIO} × that of brute force, every set",
                f"worst {worst:.4f}",
                worst <= _RATIO,
            )
        ],
        notes=[
            "Error of the integrals: |difference of the means| in standard deviations of the "
            "posterior, and |ratio of the standard deviations - 1|, of all three parameters, "
            f"against sums over cells that are subdivided where the posterior has mass, {_CELLS} "
            "or more per voxel. The last column is the worst change of the reference with its "
            "last subdivision: where it is large, the reference does not resolve a narrow ridge "
            "either, and the worst voxel says little about bayes. Within the default bounds some "
            "posteriors have two modes: tissue with little blood, or almost only a compartment "
            "that is a little faster than the tissue. There the lattice of bayes may weight the "
            "two wrongly, by up to a standard deviation or so.",
        ],
    )


def _ratio(data: DataSet, snr: float) -> _Ratio:
    sigma = sigma_of(snr)
    result = _fit(data, sigma, true_model())
    grid = grid_moments(data, sigma, RANGES, nodes=_NODES)
    ours, theirs = [], []
    for name in ESTIMATED:
        truth = data.truth[name]
        ours.append(_root(result.maps[name] - truth) / UNITS[name])
        theirs.append(_root(grid.mean[:, PARAMETERS.index(name)] - truth) / UNITS[name])
    return _Ratio(data.name, np.array(ours), np.array(theirs))


def _root(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def _fit(data: DataSet, sigma: float, model: SignalModel) -> ik.FitResult:
    result = ik.fit(data.signal, data.bvals, model=model, method=_METHOD, sigma=sigma)
    result.raise_for_status()
    return result


def _fine(data: DataSet, snr: float, model: SignalModel) -> list[Cell]:
    """Return a row of errors of the integrals of one set."""
    print(f"posterior: {data.name}, {data.signal.shape[0]} voxels in cells ...", flush=True)
    sigma = sigma_of(snr)
    ranges = {name: (model[name].lower, model[name].upper) for name in PARAMETERS}
    result = _fit(data, sigma, model)
    fine, coarse = adaptive_moments(data, sigma, ranges, cells=_CELLS)
    ours = Moments(
        np.stack([result.maps[name] for name in PARAMETERS], axis=1),
        np.stack([result.sd[name] for name in PARAMETERS], axis=1),
    )
    mean, sd = _apart(ours, fine)
    own = max(float(values.max()) for values in _apart(coarse, fine))
    return [data.name, *_summary(mean), *_summary(sd), own]


def _apart(one: Moments, two: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.abs(one.mean - two.mean) / two.sd, np.abs(one.sd / two.sd - 1.0)


def _summary(values: NDArray[np.float64]) -> list[Cell]:
    return [float(np.median(values)), float(np.quantile(values, 0.99)), float(values.max())]


def _fine_table(title: str, rows: list[list[Cell]]) -> Table:
    return Table(
        title,
        [
            Column("set"),
            *(
                Column(f"{what}: {of}", "{:.1e}")
                for what in ("mean", "sd")
                for of in ("median", "99 %", "worst")
            ),
            Column("reference", "{:.1e}"),
        ],
        rows,
    )


FIGURE = Figure(
    order=10,
    name="posterior",
    title="Posterior: are the integrals right?",
    measure=measure,
    full_takes="about 20 minutes of one core, once: the reference is cached",
)

if __name__ == "__main__":
    run_alone(FIGURE)
