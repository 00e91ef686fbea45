"""Protocol design: against common, published and ivim-mri's b-values, and against the optimum."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.clock import on_cores
from benchmarks.command import run_alone
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.machine import REPOSITORY
from ivimkit.planning import (
    Candidates,
    EchoTime,
    Goal,
    ProtocolDesign,
    StejskalTanner,
    candidates_of,
    published,
    tissue_T2_ms,
)
from ivimkit.planning.candidates import counted_settings
from ivimkit.planning.information import Information

_VOXELS = 4000
_MANY_STARTS = 100
_SAME = 1.01
_PARAMETERS = ("D", "f", "D_star")
_MAX_SECONDS = 3.0
# Errors of the design / of 13 common b-values that are to be reached, in the order above.
_GOALS = {"abdomen": (0.81, 0.97, None), "liver": (0.88, 0.90, 0.93)}

_IVIM_PYTHON = REPOSITORY / "build" / "contenders" / "ivim-mri" / "bin" / "python"
_IVIM_CODE = """
import json, sys, time
import numpy as np
from ivim import optimize
tissues = np.array(json.load(sys.stdin))
start = time.process_time()
b, a = optimize.crlb(tissues[:, 3], tissues[:, 1], "diffusive", bmax=800, Dstar=tissues[:, 2])
print(json.dumps({"b": b.tolist(), "a": a.tolist(), "seconds": time.process_time() - start}))
"""


_Fits = dict[tuple[str, str], list[float]]


@dataclass(frozen=True)
class _Case:
    """A design, and the common b-values that it replaces."""

    label: str
    organ: str
    snr: float
    n: int
    common: str
    b_max: float | None = None
    echo_time: EchoTime | None = None

    def plan(self, goal: Goal) -> ProtocolDesign:
        return ik.design(
            self.organ,
            snr=self.snr,
            n=self.n,
            b_max=self.b_max,
            echo_time=self.echo_time,
            goal=goal,
        )


_CASES = (
    _Case("abdomen, SNR 20", "abdomen", 20, 13, "b13"),
    _Case("abdomen, SNR 50", "abdomen", 50, 13, "b13"),
    _Case("liver, SNR 20", "liver", 20, 13, "b13"),
    _Case("liver, SNR 40", "liver", 40, 13, "b13"),
    _Case("kidney, SNR 30", "kidney", 30, 13, "b13"),
    _Case("brain, SNR 30", "brain", 30, 21, "b21", 1000.0),
    _Case(
        "liver, SNR 40, TE of 45 mT/m",
        "liver",
        40,
        13,
        "b13",
        1200.0,
        StejskalTanner(T2_ms=tissue_T2_ms("liver"), gradient=45.0),
    ),
)
_SIMULATED = ("abdomen, SNR 20", "liver, SNR 20", "liver, SNR 40")


def measure(settings: Settings) -> Findings:
    """Design, compare, and fit simulated volumes of designs and of common b-values."""
    n = settings.size(_VOXELS)
    ik.design("liver", snr=40, n=8)  # Compiles.
    with on_cores(1):
        plans, seconds = {}, {}
        for case in _CASES:
            start = time.process_time()
            plans[case.label] = case.plan(Goal())
            seconds[case.label] = time.process_time() - start
        designs = [_design_row(case, plans[case.label], seconds[case.label]) for case in _CASES]
        fits = {
            case.label: _fitted(case, plans[case.label], n)
            for case in _CASES
            if case.label in _SIMULATED
        }
        own = list(_own_criteria())
        small = list(_exhaustive())
    peer = _ivim_mri()
    return Findings(
        conditions={
            "tissues": "128 of each prior; bayes in the abdomen learns its prior",
            "simulated fits": f"{n} voxels of each protocol, Rician noise, sigma known",
            "time": "CPU seconds of one core, compiled",
        },
        checked="criterion of each design against the formula for all tissues, one by one.",
        tables=[
            _design_table(designs),
            _fit_table(fits),
            _own_table(own),
            _peer_table(peer),
            _small_table(small),
        ],
        targets=[*_fit_targets(fits), *_other_targets(designs, own, peer, small)],
        notes=_notes(peer),
    )


def _design_row(case: _Case, plan: ProtocolDesign, seconds: float) -> list[Cell]:
    _check(plan)
    common = plan.comparison({"common": published(case.common).bvals}).loc["common"]
    best = case.plan(Goal(starts=_MANY_STARTS)).criterion
    ratios = [float(plan.errors[name] / common[name]) for name in _PARAMETERS]
    return [case.label, _listed(plan), *ratios, seconds, plan.criterion / best]


def _check(plan: ProtocolDesign) -> None:
    """Compare the criterion with the inverse of the information, tissue by tissue."""
    problem = plan.problem
    bounds = ik.crlb(
        "biexp",
        problem.population.params,
        plan.settings.b,
        problem.sigma / (1.0 if problem.echo_time is None else _gain(plan)),
        counts=plan.counts,
        noise="rician",
    )
    variance = []
    for covariance, scale in zip(bounds.covariance, problem.population.scales, strict=True):
        information = np.linalg.inv(covariance / np.outer(scale, scale))
        variance.append(np.diag(np.linalg.inv(information + problem.precision))[1:])
    expected = np.sqrt(np.mean(variance, axis=0))
    errors = problem.errors(plan.settings, plan.counts.astype(float))
    if not np.allclose(errors, expected, rtol=1e-6):
        raise RuntimeError(f"the errors of {plan} are {errors}; expected {expected}")


def _gain(plan: ProtocolDesign) -> float:
    assert plan.problem.echo_time is not None
    return plan.problem.echo_time.gain(float(plan.settings.b.max()))


def _listed(plan: ProtocolDesign) -> str:
    pairs = zip(plan.settings.b, plan.counts, strict=True)
    return ", ".join(f"{b:g}" if count == 1 else f"{b:g}×{count}" for b, count in pairs)


def _fitted(case: _Case, plan: ProtocolDesign, n: int) -> _Fits:
    """Return rms errors of designs / of the common b-values, by criterion and method."""
    known = case.organ in ik.organs.names()
    prior = ik.priors.get("organ", organ=case.organ) if known else "learned"
    methods = {"bayes": ik.methods.get("bayes", prior=prior), "varpro": ik.methods.get("varpro")}
    other = _as_design(plan, published(case.common).bvals).monte_carlo(n, methods)
    found = {}
    for criterion in ("bayes", "relative"):
        made = plan if criterion == "bayes" else case.plan(Goal(criterion=criterion))
        own = made.monte_carlo(n, methods)
        for method in methods:
            found[criterion, method] = [
                float(own.rmse[method, p] / other.rmse[method, p]) for p in _PARAMETERS
            ]
    return found


def _as_design(plan: ProtocolDesign, bvals: Any) -> ProtocolDesign:
    settings, counts = counted_settings(plan.problem.population.model, bvals)
    return ProtocolDesign(plan.problem, settings, counts.astype(np.intp))


def _own_criteria() -> Iterator[list[Cell]]:
    """Yield published sets, and designs of as many volumes under the criterion of each."""
    goal = Goal(criterion="relative", noise="gaussian", min_distinct=3)
    for label, name, model, organ, times in (
        ("Jalnefjord 2019: D and f", "jalnefjord2019", "sivim", "liver", 1),
        ("Jalnefjord 2019, twice", "jalnefjord2019", "sivim", "liver", 2),
    ):
        bvals = np.tile(published(name).bvals, times)
        plan = ik.design(organ, snr=40, n=len(bvals), model=model, b_max=max(bvals), goal=goal)
        yield [label, _listed(plan), *_against(plan, {name: bvals})]
    for label, name, criterion, distinct in (
        ("Dyvorne 2014, liver", "dyvorne2014", "relative", 4),
        ("Dyvorne 2014, three times", "dyvorne2014", "relative", 4),
        ("Chabert 2020 after Lemke 2011, brain", "chabert2020", "relative", 6),
        ("Chabert 2020, usual set, brain", "chabert2020-regular", "relative", 6),
    ):
        one = published(name)
        bvals = np.tile(one.bvals, 3 if "three" in label else 1)
        own = Goal(criterion=criterion, noise="gaussian", min_distinct=distinct)
        plan = ik.design(one.organ, snr=40, n=len(bvals), b_max=max(bvals), goal=own)
        yield [label, _listed(plan), *_against(plan, {name: bvals})]


def _against(plan: ProtocolDesign, other: Mapping[str, Any]) -> list[Cell]:
    (row,) = [values for name, values in plan.comparison(other).iterrows() if name in other]
    return [1.0 / float(row["ratio"])]


def _exhaustive() -> Iterator[list[Cell]]:
    """Yield small problems: the design, and the best of all protocols."""
    grid = np.array([0.0, 10, 20, 50, 100, 200, 400, 800])
    for organ, snr, n, distinct, criterion in (
        ("liver", 20, 6, 4, "bayes"),
        ("brain", 30, 6, 4, "bayes"),
        ("kidney", 30, 6, 5, "crlb"),
        ("pancreas", 50, 5, 4, "relative"),
    ):
        goal = Goal(criterion=criterion, min_distinct=distinct)
        plan = ik.design(organ, snr=snr, n=n, candidates=grid, goal=goal)
        best, tried = _best_of_all(plan, grid, n, distinct)
        yield [f"{organ}, SNR {snr}, {criterion}", n, tried, plan.criterion / best]


def _best_of_all(
    plan: ProtocolDesign, grid: NDArray[np.float64], n: int, distinct: int
) -> tuple[float, int]:
    information = Information(plan.problem, candidates_of(ik.models.get("biexp"), grid))
    values = []
    for chosen in combinations_with_replacement(range(len(grid)), n):
        used = set(chosen)
        low = sum(grid[k] <= 100.0 for k in used)
        if 0 in used and len(used) >= distinct and low >= distinct // 2:
            counts = np.bincount(chosen, minlength=len(grid)).astype(float)
            values.append(information.value(counts))
    return min(values), len(values)


def _ivim_mri() -> list[list[Cell]]:
    """Return ivim-mri's b-values against designs, by its criterion; empty if it is missing."""
    if not _IVIM_PYTHON.exists():
        return []
    rows: list[list[Cell]] = []
    for organ in ("liver", "kidney", "brain"):
        goal = Goal(criterion="relative", noise="gaussian", min_distinct=4)
        start = time.process_time()
        plan = ik.design(organ, snr=40, n=20, goal=goal)
        seconds = time.process_time() - start
        answer = _ivim_answer(plan.problem.population.params)
        settings = Candidates({"b": answer["b"]}, answer["b"])
        peer = plan.problem.errors(settings, 20.0 * answer["a"])
        shares = zip(answer["b"], answer["a"], strict=True)
        rows.append(
            [
                organ,
                ", ".join(f"{b:.0f} ({100 * a:.0f} %)" for b, a in shares),
                _listed(plan),
                plan.criterion / plan.problem.value(peer),
                answer["seconds"],
                seconds,
            ]
        )
    return rows


def _ivim_answer(tissues: NDArray[np.float64]) -> dict[str, Any]:
    done = subprocess.run(
        [str(_IVIM_PYTHON), "-W", "ignore", "-c", _IVIM_CODE],
        input=json.dumps(tissues.tolist()),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(_IVIM_PYTHON).parent,
        env={**os.environ, "PYTHONPATH": ""},
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return {"b": np.array(told["b"]), "a": np.array(told["a"]), "seconds": told["seconds"]}


def _design_table(rows: list[list[Cell]]) -> Table:
    return Table(
        "Designs: expected errors / those of 13 or 21 common b-values in the same scan time",
        [
            Column("case"),
            Column("b-values, s/mm²"),
            *(Column(f"error of {name}", "{:.2f}") for name in ("D", "f", "D*")),
            Column("CPU s", "{:.2f}"),
            Column(f"criterion / best of {_MANY_STARTS} starts", "{:.4f}"),
        ],
        rows,
    )


def _fit_table(fits: dict[str, _Fits]) -> Table:
    rows: list[list[Cell]] = [
        [label, criterion, method, *ratios]
        for label, found in fits.items()
        for (criterion, method), ratios in found.items()
    ]
    return Table(
        "Real fits: rms error with the design / with 13 common b-values (D, D* as logarithms)",
        [
            Column("case"),
            Column("criterion of the design"),
            Column("fitted by"),
            *(Column(f"rms error of {name}", "{:.2f}") for name in ("D", "f", "D*")),
        ],
        rows,
    )


def _own_table(rows: list[list[Cell]]) -> Table:
    return Table(
        "Published sets: design / published set, sum of relative errors, same number of volumes",
        [Column("set"), Column("design, b in s/mm²"), Column("ratio", "{:.3f}")],
        rows,
    )


def _peer_table(rows: list[list[Cell]]) -> Table:
    return Table(
        "ivim-mri's optimiser on the same tissues: its criterion, b up to 800, 20 volumes",
        [
            Column("organ"),
            Column("ivim-mri: b (share of time)"),
            Column("ivimkit: b"),
            Column("ivimkit / ivim-mri", "{:.3f}"),
            Column("ivim-mri, CPU s", "{:.2f}"),
            Column("ivimkit, CPU s", "{:.2f}"),
        ],
        rows,
    )


def _small_table(rows: list[list[Cell]]) -> Table:
    return Table(
        "Small problems: design / best of all protocols on a grid of 8 b-values",
        [
            Column("problem"),
            Column("volumes", "{:d}"),
            Column("protocols", "{:,d}"),
            Column("ratio", "{:.4f}"),
        ],
        rows,
    )


def _fit_targets(fits: dict[str, _Fits]) -> Iterator[Target]:
    for organ, goals in _GOALS.items():
        found = fits[f"{organ}, SNR 20"]["bayes", "bayes"]
        for name, goal, ratio in zip(("D", "f", "D*"), goals, found, strict=True):
            if goal is not None:
                yield Target(
                    f"{organ}, SNR 20, bayes: rms error of {name} <= {goal:.2f} x common b-values",
                    f"{ratio:.2f}",
                    round(ratio, 2) <= goal,
                )
    goals, found = _GOALS["liver"], fits["liver, SNR 20"]["bayes", "bayes"]
    aim, mean = (float(np.exp(np.mean(np.log(np.array(v))))) for v in (goals, found))
    yield Target(
        f"liver, SNR 20, bayes: geometric mean of the three <= {aim:.3f}",
        f"{mean:.3f}",
        mean <= aim,
    )
    for label, ratios in fits.items():
        worst = max(ratios["relative", "varpro"])
        yield Target(
            f"{label}, criterion relative, varpro: no error larger than with common b-values",
            f"{worst:.2f}",
            worst <= 1.0,
        )


def _other_targets(
    designs: list[list[Cell]],
    own: list[list[Cell]],
    peer: list[list[Cell]],
    small: list[list[Cell]],
) -> Iterator[Target]:
    slowest, worst = (
        max(_number(row[5]) for row in designs),
        max(_number(row[6]) for row in designs),
    )
    yield Target(
        f"a design takes <= {_MAX_SECONDS:g} CPU s", f"{slowest:.1f}", slowest <= _MAX_SECONDS
    )
    yield Target(
        f"criterion <= {_SAME} x best of {_MANY_STARTS} starts", f"{worst:.4f}", worst <= _SAME
    )
    ratio = max(_number(row[2]) for row in own)
    yield Target(
        "never worse than published sets by their criterion", f"{ratio:.3f}", ratio <= 1.0
    )
    if peer:
        ratio = max(_number(row[3]) for row in peer)
        yield Target("never worse than ivim-mri by its criterion", f"{ratio:.3f}", ratio <= 1.0)
    else:
        yield Target("never worse than ivim-mri by its criterion", "–", None)
    ratio = max(_number(row[3]) for row in small)
    yield Target(f"<= {_SAME} x best of all protocols", f"{ratio:.4f}", ratio <= _SAME)


def _number(cell: Cell) -> float:
    assert isinstance(cell, int | float)
    return float(cell)


def _notes(peer: list[list[Cell]]) -> list[str]:
    notes = [
        "Published sets are compared with designs of the same number of volumes and the same "
        "highest b-value; candidates are the steps of scanners, so that a published b-value "
        "between them is not available to the design. The b-values of Lemke 2011, Zhang 2012 and "
        "Leporq 2015 could not be confirmed from an accessible source, and are not in the table.",
    ]
    if not peer:
        notes.append(
            "ivim-mri is left out: it is not installed. To install it: python3 -m venv "
            "build/contenders/ivim-mri && build/contenders/ivim-mri/bin/pip install ivim-mri"
        )
    return notes


FIGURE = Figure(
    order=26,
    name="design",
    title="Protocol design: fewer errors in the same scan time",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
