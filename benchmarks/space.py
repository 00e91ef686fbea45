"""Space: what a prior from the neighbours does to error, small lesions, edges and intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.error import ESTIMATED
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.half_split import halves, prediction_errors
from benchmarks.machine import REPOSITORY
from benchmarks.scenes import SCENES, Scene, Scores, score

_SEEDS = (0, 1, 2)
_MAIN = SCENES[:2]
_EARLIER = REPOSITORY / "benchmarks" / "earlier" / "table_prior.json"

_LEAST_SQUARES, _TABLE = "varpro", "learned, earlier: a table"
_LEARNED, _LOCAL = "learned", "local"
_METHODS = {
    _LEAST_SQUARES: ik.methods.get("varpro"),
    _LEARNED: ik.methods.get("bayes", prior="learned"),
    _LOCAL: ik.methods.get("bayes", prior="local"),
}
# Shares of the errors of the earlier prior, contrast kept and area under the curve to reach.
_GOALS = {"D": 0.85, "f": 0.75}
_KEPT_MEAN, _KEPT_LEAST, _AUC = 88.0, 80.0, 0.95
_LARGE = "lesion"


def measure(settings: Settings) -> Findings:
    """Fit scenes with several seeds, and halves of the real scans."""
    scenes = SCENES if settings.full else _MAIN
    found: dict[str, dict[str, list[Scores]]] = {}
    for scene in scenes:
        found[scene.name] = _scores(scene, _SEEDS if scene in _MAIN else _SEEDS[:1])
    tables = [table for scene in scenes for table in _tables(scene.name, found[scene.name])]
    real = _real()
    return Findings(
        conditions={
            "data": "three slices of the digital abdomen (112 x 84) and brain (80 x 96), in which "
            "ln D, ln D*, ln f and ln S0 vary inside tissues by 0.10, 0.30, 0.20, 0.08 (brain "
            "0.06, 0.3, 0.3, 0.08), half of it smooth over 5 voxels, with lesions of the S0 of "
            f"the tissue around; means of {len(_SEEDS)} seeds for the first two scenes",
            "told": "nothing about the noise, no labels",
        },
        checked="at most 0.1 % of the voxels without a fit.",
        tables=[*tables, *([real] if real.rows else [])],
        targets=[*_targets(found), *_real_targets(real)],
        notes=[
            "Contrast kept: difference of the mean estimates of lesion and host over that of the "
            "true means. AUC: probability that D of a voxel of the lesion is below one of the "
            "host. Lowest coverage: of all tissues of 50 voxels or more, and of voxels with "
            "another tissue beside them. Evidence: what the prior said about the data before it "
            "saw them; a prior from the neighbours never sees the voxel itself.",
            "The earlier `learned` was measured with the same scenes before it was replaced "
            "(`benchmarks/earlier`).",
        ],
    )


def _scores(scene: Scene, seeds: Sequence[int]) -> dict[str, list[Scores]]:
    earlier = json.loads(_EARLIER.read_text())["scores"]
    stored = [earlier.get(f"{scene.name}|{seed}") for seed in seeds]
    found: dict[str, list[Scores]] = {name: [] for name in _METHODS}
    for seed in seeds:
        made = scene.make(seed)
        for name, method in _METHODS.items():
            print(f"space: {scene.name}, seed {seed}, {name} ...", flush=True)
            result = ik.fit(made.dwi, method=method)
            result.raise_for_status(max_failed=0.001)
            known = "D_lo" in result.maps
            found[name].append(
                score(made, result.maps, result.interval.__getitem__ if known else None)
            )
    if all(stored):
        found[_TABLE] = [Scores(**one) for one in stored]
    return found


def _tables(name: str, found: dict[str, list[Scores]]) -> Iterator[Table]:
    order = [label for label in (_LEAST_SQUARES, _TABLE, _LEARNED, _LOCAL) if label in found]
    yield Table(
        name,
        [
            Column("method"),
            Column("RMSE D, 10⁻³ mm²/s", "{:.4f}"),
            Column("f", "{:.4f}"),
            Column("D*, 10⁻³ mm²/s", "{:.1f}"),
            Column("at edges: D", "{:.4f}"),
            Column("f", "{:.4f}"),
            *(Column(f"95 % interval: {symbol}", "{:.1f}") for symbol in ("D", "f", "D*")),
            *(Column(f"lowest: {symbol}", "{:.0f}") for symbol in ("D", "f", "D*")),
            Column("ln evidence per voxel", "{:.3f}"),
        ],
        [_row(label, found[label]) for label in order],
    )
    groups = list(found[_LOCAL][0].lesions)
    rows: list[list[Cell]] = []
    for group in groups:
        for label in order:
            rows.append(_lesion_row(group, label, found[label]))
    yield Table(
        f"{name}: lesions",
        [
            Column("lesions"),
            Column("voxels", "{:.0f}"),
            Column("method"),
            *(Column(f"contrast kept, %: {symbol}", "{:.0f}") for symbol in ("D", "f", "D*")),
            Column("AUC of D", "{:.3f}"),
            *(Column(f"95 % interval: {symbol}", "{:.0f}") for symbol in ("D", "f", "D*")),
            Column("ln evidence per voxel", "{:.2f}"),
        ],
        rows,
    )


def _row(label: str, scores: list[Scores]) -> list[Cell]:
    row: list[Cell] = [label]
    row += [_mean([s.rmse[name] for s in scores]) for name in ESTIMATED]
    row += [_mean([s.edge[name] for s in scores]) for name in ESTIMATED[:2]]
    if not scores[0].covered:
        return [*row, *[None] * (2 * len(ESTIMATED) + 1)]
    row += [_mean([s.covered[name] for s in scores]) for name in ESTIMATED]
    row += [min(s.lowest[name][0] for s in scores) for name in ESTIMATED]
    row.append(_known_mean([s.evidence for s in scores]))
    return row


def _lesion_row(group: str, label: str, scores: list[Scores]) -> list[Cell]:
    lesions = [s.lesions[group] for s in scores]
    row: list[Cell] = [group, _mean([one["n"] for one in lesions]), label]
    row += [_mean([one[name] for one in lesions]) for name in ESTIMATED]
    row.append(_mean([one["AUC"] for one in lesions]))
    if not scores[0].covered:
        return [*row, *[None] * (len(ESTIMATED) + 1)]
    row += [_mean([one[f"cov {name}"] for one in lesions]) for name in ESTIMATED]
    return [*row, _known_mean([one.get("evidence") for one in lesions])]


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _real() -> Table:
    """Return how well one half of the volumes of real scans predicts the other."""
    rows: list[list[Cell]] = []
    for name, mask, first, second in halves():
        found = {}
        for label, method in _METHODS.items():
            print(f"space: {name}, {label} ...", flush=True)
            found[label] = prediction_errors(method, mask, first, second)
        known = np.all([np.isfinite(errors) for errors in found.values()], axis=0)
        plain = found[_LEAST_SQUARES][known]
        for label, errors in found.items():
            own = errors[known]
            better = None if label == _LEAST_SQUARES else 100.0 * float(np.mean(own < plain))
            total = float(np.sqrt(np.mean(own**2)))
            rows.append([name, int(known.sum()), label, float(np.median(own)), total, better])
    return Table(
        "Real scans: error of the prediction of the other half of the volumes, % of S(0)",
        [
            Column("scan"),
            Column("voxels", "{:,d}"),
            Column("method"),
            Column("median voxel", "{:.2f}"),
            Column("root mean square", "{:.2f}"),
            Column("voxels predicted better than by varpro, %", "{:.1f}"),
        ],
        rows,
    )


def _targets(found: dict[str, dict[str, list[Scores]]]) -> list[Target]:
    targets = []
    for scene in _MAIN:
        scores = found[scene.name]
        reference = scores.get(_TABLE, scores[_LEARNED])
        for name, goal in _GOALS.items():
            ratio = _mean([s.rmse[name] for s in scores[_LOCAL]]) / _mean(
                [s.rmse[name] for s in reference]
            )
            targets.append(
                Target(
                    f"{scene.name}: RMSE of {name} ≤ {goal:g} × that of the earlier learned",
                    f"{ratio:.2f}",
                    ratio <= goal,
                )
            )
    large = [s.lesions[_LARGE] for s in found[_MAIN[0].name][_LOCAL]]
    kept = [one["D"] for one in large]
    area = min(one["AUC"] for one in large)
    targets.append(
        Target(
            f"Abdomen, lesion of 178 voxels: ≥ {_KEPT_MEAN:g} % of the contrast of D in the mean, "
            f"never below {_KEPT_LEAST:g} %, AUC ≥ {_AUC:g}",
            f"{_mean(kept):.1f} %, {min(kept):.1f} %, {area:.3f}",
            _mean(kept) >= _KEPT_MEAN and min(kept) >= _KEPT_LEAST and area >= _AUC,
        )
    )
    return targets


def _real_targets(real: Table) -> list[Target]:
    """Return whether the prior from the neighbours predicts the other half best, scan by scan."""
    median = {(row[0], row[2]): row[3] for row in real.rows}
    return [
        Target(
            f"{name}: local predicts the median voxel better than learned and than varpro",
            ", ".join(f"{label} {median[name, label]:.2f} %" for label in _METHODS),
            median[name, _LOCAL] < min(median[name, _LEARNED], median[name, _LEAST_SQUARES]),
        )
        for name in dict.fromkeys(row[0] for row in real.rows)
    ]


FIGURE = Figure(
    order=16,
    name="space",
    title="A prior from the neighbours: error, small lesions, edges, intervals",
    measure=measure,
    full_takes="six more scenes, a few minutes",
)

if __name__ == "__main__":
    run_alone(FIGURE)
