"""Every registered model: the optimum, speed, the error against its bound, and coverage."""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.model_cases import Case, cases, drawn
from ivimkit.engine import evaluate, gradients
from ivimkit.rounding import shown_factor, shown_unit
from ivimkit.status import FAILED
from ivimkit.testing import draws

Array = NDArray[np.float64]

_SNR, _S0 = 50.0, 1000.0
_QUICK, _FULL = 4000, 20_000
_CHECKED, _STARTS = 15, 10
_PROFILED = 1000
_SAME = 1.0001
_MEDIAN = 0.6745  # Of the absolute value of a standard normal variable.
_SEED = 2019


def measure(settings: Settings) -> Findings:
    """Measure every registered model with the protocol of its case."""
    n = settings.size(_QUICK, _FULL)
    summary: list[list[Cell]] = []
    tables, targets = [], []
    for case in cases():
        model = case.model
        print(f"every_model: {model.name}, {case.protocol} ...", flush=True)
        truth = drawn(model, n)
        clean = ik.simulate.signals(model, truth, case.settings)
        noise = np.random.default_rng([_SEED, 1]).normal(0.0, _S0 / _SNR, clean.shape)
        dwi = ik.DWI(clean + noise, case.acquisition, average="none")
        speed = _speed(dwi, model)
        result = _fitted(dwi, model, "curvature")
        share = _at_optimum(case, dwi, result)
        summary.append(
            [
                f"{model.name}, {case.protocol}",
                model.n_free,
                dwi.fit_bvals.size,
                100 * share,
                speed,
            ]
        )
        rows = _errors(case, truth, dwi, result)
        tables.append(_table(case, rows))
        targets.append(
            Target(
                f"{model.name}: at most {_SAME} x the best of {_STARTS} starts in all of "
                f"{_CHECKED} voxels",
                f"{share:.0%}",
                share == 1.0,
            )
        )
    return Findings(
        conditions={
            "data": f"{n} voxels per model, parameters drawn where they usually are, SNR {_SNR:g} "
            "at b = 0, Gaussian noise that the fit is not told; one thread, CPU time"
        },
        checked="every voxel has a fit, and no fit leaves the bounds of its model.",
        tables=[
            Table(
                "All models by varpro",
                [
                    Column("model, protocol"),
                    Column("free parameters", "{:d}"),
                    Column("values", "{:d}"),
                    Column("at the optimum, %", "{:.0f}"),
                    Column("voxels/s", "{:,.0f}"),
                ],
                summary,
            ),
            *tables,
        ],
        targets=targets,
        notes=[
            "The bound is that of Cramér and Rao, at the true values of each voxel: no unbiased "
            "estimate scatters less. RMSE / bound is the root mean square of the error divided by "
            "the bound of its voxel; typical / bound is the same from the median of the absolute "
            "error. Below 1 the bounds of the parameters help; far above it a fit often finds "
            "another, equally good curve. Coverage is the share of the 95 % intervals with the "
            "truth in them, and given the share of the voxels that have one: none is given for a "
            f"value at its bound. Profile intervals are those of {_PROFILED} voxels, for sums of "
            "two decays, where they are cheap.",
            f"The optimum is the best of {_STARTS} random starts of scipy with the slopes of the "
            f"model, in {_CHECKED} voxels; figure models has more of both, with other formulas.",
        ],
    )


def _fitted(dwi: ik.DWI, model: ik.SignalModel, uncertainty: str | None = None) -> ik.FitResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ik.errors.IvimkitWarning)
        result = ik.fit(dwi, model=model, uncertainty=uncertainty, threads=1, device="cpu")
    if (result.status & int(FAILED)).any():
        raise AssertionError(f"{model.name}: a voxel has no fit")
    for parameter in model.parameters:
        values = result.maps[parameter.name]
        if values.min() < parameter.lower or values.max() > parameter.upper:
            raise AssertionError(f"{model.name}: {parameter.name} leaves its bounds")
    return result


def _speed(dwi: ik.DWI, model: ik.SignalModel) -> float:
    """Return voxels per second of CPU time: the best of three fits, after one to compile."""
    _fitted(dwi, model)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        _fitted(dwi, model)
        seconds.append(time.process_time() - start)
    return dwi.n_voxels / min(seconds)


def _errors(case: Case, truth: Array, dwi: ik.DWI, result: ik.FitResult) -> list[list[Cell]]:
    """Return one row per free parameter but S0."""
    model = case.model
    bound = ik.crlb(model, truth, case.settings, sigma=_S0 / _SNR).sd
    profile = None
    if model.two_decays() is not None:
        profile = _fitted(dwi.with_mask(np.arange(dwi.n_voxels) < _PROFILED), model, "profile")
    rows: list[list[Cell]] = []
    for k, parameter in enumerate(model.parameters):
        name = parameter.name
        if name == "S0" or name not in bound:
            continue
        error, least, factor = (
            result.maps[name] - truth[:, k],
            bound[name],
            shown_factor(parameter),
        )
        there = np.isfinite(least) & (least > 0.0)
        z = error[there] / least[there]
        unit = shown_unit(parameter)
        rows.append(
            [
                f"{parameter.symbol}, {unit}" if unit else parameter.symbol,
                factor * math.sqrt(float(np.mean(error**2))),
                factor * float(np.median(least[there])),
                math.sqrt(float(np.mean(z**2))),
                float(np.median(np.abs(z))) / _MEDIAN,
                *_coverage(result, name, truth[:, k]),
                *((None, None) if profile is None else _coverage(profile, name, truth[:, k])),
            ]
        )
    return rows


def _coverage(result: ik.FitResult, name: str, truth: Array) -> tuple[float, float]:
    """Return the share of the intervals that hold the truth, and that of the voxels with one."""
    low, high = result.interval[name]
    there = np.isfinite(low) & np.isfinite(high)
    inside = (low <= truth) & (truth <= high)
    return 100.0 * float(inside[there].mean()), 100.0 * float(there[result.mask].mean())


def _table(case: Case, rows: list[list[Cell]]) -> Table:
    return Table(
        f"{case.model.name}, {case.protocol}, SNR {_SNR:g}",
        [
            Column("parameter"),
            Column("RMSE", "{:.3g}"),
            Column("bound, median", "{:.3g}"),
            Column("RMSE / bound", "{:.2f}"),
            Column("typical / bound", "{:.2f}"),
            Column("coverage, curvature, %", "{:.1f}"),
            Column("given, %", "{:.1f}"),
            Column("coverage, profile, %", "{:.1f}"),
            Column("given, %", "{:.1f}"),
        ],
        rows,
    )


def _at_optimum(case: Case, dwi: ik.DWI, result: ik.FitResult) -> float:
    """Return the share of the first voxels whose cost is that of the best of many starts."""
    model = case.model
    x = np.array([case.settings[name] for name in model.variables])
    starts = draws(model, _STARTS, seed=_SEED)
    cost = result.maps["cost"]
    found = [
        cost[v] <= _SAME * _best_cost(model, x, np.asarray(dwi.signal[v], float), starts)
        for v in range(_CHECKED)
    ]
    return float(np.mean(found))


def _best_cost(model: ik.SignalModel, x: Array, signal: Array, starts: Array) -> float:
    """Return the lowest cost of the starts that end at parameters that the model allows."""
    size = np.array(
        [max(abs(low), abs(high)) for low, high in (p.usual for p in model.parameters)]
    )
    size[0] = _S0
    low = np.array([p.lower for p in model.parameters]) / size
    high = np.array([p.upper for p in model.parameters]) / size
    best = math.inf
    for start in starts:
        begin = np.clip(start / size, low + 1e-6, np.where(np.isfinite(high), high - 1e-6, high))
        fit = least_squares(
            lambda z: evaluate(model, z * size, x) - signal,
            begin,
            lambda z: gradients(model, z * size, x) * size,
            bounds=(low, high),
            x_scale="jac", ftol=1e-10, xtol=1e-9, gtol=1e-12, max_nfev=150,
        )  # fmt: skip
        values = fit.x * size
        shares = sum(values[model.index(name)] for name in model.fractions)
        ordered = all(
            values[model.index(small)] <= values[model.index(large)]
            for small, large in model.ascending
        )
        if ordered and shares <= 1.0:
            best = min(best, 2.0 * float(fit.cost))
    return best


FIGURE = Figure(
    order=25,
    name="every_model",
    title="Every model: optimum, speed, error against the bound, coverage",
    measure=measure,
    full_takes="about 10 minutes (20 000 voxels per model)",
)

if __name__ == "__main__":
    run_alone(FIGURE)
