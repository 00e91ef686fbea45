"""Spectra: speed, agreement with SciPy, and the error of the fractions against a fit."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import B21
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from ivimkit.engine import Task, run
from ivimkit.fitting.spectra import amplitudes_of
from ivimkit.kernels.spectrum.penalty import difference_matrix
from ivimkit.scan.voxel_reader import VoxelReader

Array = NDArray[np.float64]

_SEED, _S0 = 1989, 1000.0
_TIMED, _REPEATS = 20_000, 3
_QUICK, _FULL = 4_000, 20_000
_COMPARED = 100
_GOAL, _SAME = 40_000, 1e-8
_SNRS = (20, 50, 100)
_WEIGHTS = (0.02, 0.1, 0.5, 2.0)
_RULES = ("gcv", "lcurve", "discrepancy")
_MODEL = ik.models.get("triexp")


@dataclass(frozen=True)
class _Case:
    """Options of the method that are timed and compared with SciPy."""

    order: int
    mu: float
    bins: int = 60
    has_goal: bool = False

    @property
    def method(self) -> ik.methods.NNLS:
        """The method."""
        return ik.methods.NNLS(regularisation=self.mu, order=self.order, bins=self.bins)


_CASES = (
    _Case(0, 0.0),
    _Case(0, 0.02, has_goal=True),
    _Case(0, 0.5),
    _Case(1, 0.5),
    _Case(2, 0.1),
    # About what the defaults find here.
    _Case(2, 0.5, has_goal=True),
    _Case(2, 2.0),
    _Case(2, 0.5, bins=200),
)


def _truth(n: int) -> Array:
    """Return parameters of tissue of three compartments, all over their usual ranges."""
    random = np.random.default_rng([_SEED, 0])
    low, high = np.array([p.usual for p in _MODEL.parameters[1:]]).T
    return np.column_stack([np.full(n, _S0), random.uniform(low, high, (n, low.size))])


def _noisy(truth: Array, snr: float) -> Array:
    clean = ik.simulate.signals(_MODEL, truth, B21)
    random = np.random.default_rng([_SEED, int(snr)])
    return np.asarray(clean + random.normal(0.0, _S0 / snr, clean.shape))


def _shares(params: Array) -> Array:
    """Return the fractions of tissue, intermediate and fast compartment."""
    fast, inter = (params[:, _MODEL.index(name)] for name in ("f_fast", "f_inter"))
    return np.column_stack([1.0 - fast - inter, inter, fast])


def _difference(case: _Case, signal: Array, found: Array) -> tuple[float, float]:
    """Return the largest difference from SciPy, by the largest amplitude, and SciPy's speed."""
    rates = case.method.bins_of(_MODEL, B21).rates
    penalty = case.mu * difference_matrix(case.order, rates.size)
    matrix = np.vstack([np.exp(-np.outer(B21, rates)), penalty])
    worst, start = 0.0, time.process_time()
    for row, own in zip(signal, found, strict=True):
        right = np.concatenate([row, np.zeros(len(penalty))])
        expected = nnls(matrix, right)[0]
        worst = max(worst, float(np.abs(own - expected).max() / expected.max()))
    return worst, len(signal) / (time.process_time() - start)


def _timed(case: _Case, reader: VoxelReader) -> float:
    """Return voxels per second of CPU time of one thread."""
    task = Task(_MODEL, case.method, np.ones(B21.size))
    x = B21[np.newaxis]
    run(reader.take(np.arange(2)), x, [task], threads=1, device="cpu")
    seconds = []
    for _ in range(_REPEATS):
        start = time.process_time()
        run(reader, x, [task], threads=1, device="cpu")
        seconds.append(time.process_time() - start)
    return len(reader.index) / min(seconds)


def _speed() -> tuple[Table, list[Target]]:
    signal = _noisy(_truth(_TIMED), 50)
    reader = ik.DWI(signal, B21, average="none").voxels()
    some = reader.take(np.arange(_COMPARED))
    rows: list[list[Cell]] = []
    targets = []
    for case in _CASES:
        found = amplitudes_of(some, B21, np.ones(B21.size), _MODEL, case.method, threads=1)
        worst, scipy = _difference(case, signal[:_COMPARED], found)
        speed = _timed(case, reader)
        above = float((found > 0.0).sum(axis=1).mean())
        rows.append([case.order, case.mu, case.bins, speed, speed / scipy, worst, above])
        print(f"spectrum: {case}: {speed:,.0f} voxels/s, {worst:.1e} from scipy", flush=True)
        name = f"order {case.order}, mu {case.mu:g}, {case.bins} bins"
        if case.has_goal:
            text = f"{name}: >= {_GOAL:,d} voxels/s of a core"
            targets.append(Target(text, f"{speed:,.0f}", speed >= _GOAL))
        targets.append(Target(f"{name}: SciPy's to {_SAME:g}", f"{worst:.1e}", worst <= _SAME))
    columns = [
        Column("order"),
        Column("mu", "{:g}"),
        Column("bins"),
        Column("voxels/s", "{:,.0f}"),
        Column("of scipy nnls", "{:.1f}"),
        Column("largest difference from scipy / largest amplitude", "{:.1e}"),
        Column("bins above 0", "{:.1f}"),
    ]
    title = f"Speed of one thread and agreement with SciPy, b21 SNR 50, {_COMPARED} compared"
    return Table(title, columns, rows), targets


def _errors(n: int, snr: float) -> tuple[Table, Target]:
    truth = _truth(n)
    signal, expected = _noisy(truth, snr), _shares(truth)
    rows: list[list[Cell]] = []

    def add(name: str, method: str | ik.methods.NNLS) -> float:
        options = {"sigma": _S0 / snr} if name.endswith("discrepancy") else {}
        result = ik.fit(signal, B21, model=_MODEL, method=method, threads=1, **options)
        away = _shares(result.params) - expected
        rms = np.sqrt((away**2).mean(axis=0))
        mu = getattr(result.method, "mu", None)
        rows.append([name, mu, *map(float, rms), *map(float, away.mean(axis=0))])
        return float(np.sqrt((rms**2).sum()))

    fitted = add("varpro", "varpro")
    found = {
        f"order {order}, {weight}": add(
            f"order {order}, {weight}", ik.methods.NNLS(regularisation=weight, order=order)
        )
        for order in (0, 1, 2)
        for weight in (*_WEIGHTS, *_RULES)
    }
    usual = found["order 2, gcv"]
    print(f"spectrum: SNR {snr:g}: {usual:.3f} against {fitted:.3f} of varpro", flush=True)
    shares = ("tissue", "intermediate", "fast")
    columns = [
        Column("method"),
        Column("mu", "{:.3g}"),
        *(Column(f"{share}: rms", "{:.3f}") for share in shares),
        *(Column(f"{share}: bias", "{:.3f}") for share in shares),
    ]
    text = f"SNR {snr:g}: fractions of the defaults nearer the truth than those of the fit"
    title = f"Error of the fractions, three compartments, b21 SNR {snr:g}"
    return Table(title, columns, rows), Target(text, f"{usual / fitted:.2f}", usual < fitted)


def measure(settings: Settings) -> Findings:
    """Time the spectra, compare them with SciPy, and their fractions with the truth."""
    n = settings.size(_QUICK, _FULL)
    speed, targets = _speed()
    tables = [speed]
    for snr in _SNRS:
        table, target = _errors(n, snr)
        tables.append(table)
        targets.append(target)
    ranges = ", ".join(
        f"{p.symbol} {p.usual[0]:g} to {p.usual[1]:g}" for p in _MODEL.parameters[1:]
    )
    return Findings(
        conditions={
            "data": f"three decays, uniform ({ranges}; rates in mm^2/s), Gaussian noise; {n} "
            f"voxels, {_TIMED} timed, CPU time of one thread"
        },
        checked="the amplitudes are those of scipy.optimize.nnls on the augmented problem.",
        tables=tables,
        targets=targets,
    )


FIGURE = Figure(
    order=24,
    name="spectrum",
    title="Method nnls: spectra of decay rates",
    measure=measure,
    full_takes="about 10 minutes of one core (20 000 voxels)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
