"""Peers: every method of ivimkit compared with other packages in speed, accuracy and failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.contender import Contender
from benchmarks.contender_process import absence, interpreter
from benchmarks.contenders import all_contenders
from benchmarks.data import (
    PROTOCOLS,
    SNRS,
    DataSet,
    abdomen_scan,
    organ_mixture,
    prostate,
    simulated,
)
from benchmarks.error import ESTIMATED, rmse
from benchmarks.figure import (
    Cell,
    Chart,
    Column,
    Figure,
    Findings,
    Panel,
    Series,
    Settings,
    Table,
)
from benchmarks.limit import under_mixture, under_truth
from benchmarks.phantoms import SNR, phantom_set
from benchmarks.race import ROUNDS, Entry, Lap, entered, first_fit, race, voxels_per_round
from benchmarks.reference import Bounds, best_costs_of
from benchmarks.scores import OPTIMUM, WRONG, Scores, scores_of

_VOXELS = 20_000
# Each round gives a contender this many seconds' worth of voxels.
_SECONDS, _SECONDS_FULL = 0.4, 4.0
_REFERENCE, _REFERENCE_FULL = 40, 200
_STARTS, _STARTS_FULL = 10, 30
_FIRST = "b21 SNR 50"
_NAMES = {"D": "D", "f": "f", "D_star": "D*"}
_UNITS = {"D": ", 10⁻³ mm²/s", "f": "", "D_star": ", 10⁻³ mm²/s"}
_LIMIT = "limit: true distribution and noise known"
_KINDS = {"": "uniform truth", "organs, ": "mixture of four organs"}


@dataclass(frozen=True)
class _Set:
    """A data set and, if known, the best that any estimate can achieve on it."""

    data: DataSet
    best: Callable[[DataSet], ik.FitResult] | None = None

    def limit(self) -> dict[str, float]:
        """Return the smallest possible RMSE of each parameter; empty if unknown."""
        if self.best is None:
            return {}
        maps = self.best(self.data).maps
        errors = {name: rmse(maps, self.data.truth, name) for name in ESTIMATED}
        return {name: error for name, error in errors.items() if error is not None}


@dataclass(frozen=True)
class _Result:
    """One set, raced."""

    one: _Set
    limit: dict[str, float]
    entries: Sequence[Entry]
    laps: dict[str, Lap]
    scores: dict[str, Scores]
    cold: dict[str, float]

    @property
    def name(self) -> str:
        return self.one.data.name


def measure(settings: Settings) -> Findings:
    """Race all contenders on all sets, and judge their answers."""
    known = [(file, one) for file, several in all_contenders().items() for one in several]
    present = [(file, one) for file, one in known if interpreter(one) is not None]
    # ivimkit first: the others are compared with it.
    present.sort(key=lambda pair: pair[1].package != "ivimkit")
    notes = [absence(one) for _, one in known if interpreter(one) is None]
    sets = _sets(settings.size(_VOXELS))
    seconds = _seconds(settings)
    print("peers: reference optima, on all cores, cached for the next run ...", flush=True)
    references = _references([one.data for one in sets], [one for _, one in present], settings)
    results = []
    with entered(present, sets[0].data, seconds, notes) as entries:
        for one in sets:
            print(f"{time.strftime('%H:%M:%S')} peers: {one.data.name} ...", flush=True)
            results.append(_result(one, entries, references, settings, notes))
    return _findings(settings, sets, entries, results, notes)


def _sets(n: int) -> list[_Set]:
    pairs = [(protocol, snr) for protocol in PROTOCOLS for snr in SNRS]
    sets = [_Set(simulated(p, snr, n), partial(under_truth, snr=snr)) for p, snr in pairs]
    sets += [_Set(organ_mixture(p, snr, n), partial(under_mixture, snr=snr)) for p, snr in pairs]
    sets += [_Set(phantom_set(kind, n)) for kind in ("abdomen", "brain")]
    sets += [_Set(scan) for scan in (prostate(n), abdomen_scan(n)) if scan is not None]
    # The first set is the best known one, and has the times of first fits.
    return sorted(sets, key=lambda one: one.data.name != _FIRST)


def _result(
    one: _Set,
    entries: Sequence[Entry],
    references: dict[tuple[str, Bounds | None], np.ndarray],
    settings: Settings,
    notes: list[str],
) -> _Result:
    data = one.data
    seconds = _seconds(settings)
    laps = race(data, entries, seconds, notes)
    scores = {}
    cold = {}
    for entry in entries:
        name = entry.contender.name
        if name in laps:
            lap = laps[name]
            part = data.first(lap.params.shape[0])
            reference = references.get((data.name, _bounds(entry.contender)))
            scores[name] = scores_of(entry.contender, part, lap.params, lap.flagged, reference)
        if data.name == _FIRST:
            cold[name] = entry.cold
        elif settings.full and name in laps:
            cold[name] = first_fit(entry.file, entry.contender, data, seconds)
    return _Result(one, one.limit(), entries, laps, scores, cold)


def _references(
    sets: Sequence[DataSet], contenders: Sequence[Contender], settings: Settings
) -> dict[tuple[str, Bounds | None], np.ndarray]:
    """Return the lowest costs of the first voxels of each set within each contender's bounds."""
    few = [data.first(_reference_voxels(settings)) for data in sets]
    bounds = dict.fromkeys(map(_bounds, contenders))
    problems = [(data, one) for data in few for one in bounds if one is not None]
    costs = best_costs_of(problems, starts=_STARTS_FULL if settings.full else _STARTS)
    return {(data.name, one): values for (data, one), values in zip(problems, costs, strict=True)}


def _reference_voxels(settings: Settings) -> int:
    usual = _REFERENCE_FULL if settings.full else _REFERENCE
    return usual if settings.voxels is None else min(usual, settings.voxels)


def _bounds(contender: Contender) -> Bounds | None:
    """Return the bounds of the bi-exponential model; None for contenders that fit another one."""
    if "D_star" not in contender.estimates:
        return None
    return contender.bounds["f"], contender.bounds["D_star"], contender.bounds["D"]


def _seconds(settings: Settings) -> float:
    return _SECONDS_FULL if settings.full else _SECONDS


def _findings(
    settings: Settings,
    sets: Sequence[_Set],
    entries: Sequence[Entry],
    results: Sequence[_Result],
    notes: Sequence[str],
) -> Findings:
    largest = max(one.data.signal.shape[0] for one in sets)
    seconds = _seconds(settings)
    starts = _STARTS_FULL if settings.full else _STARTS
    scans = {"prostate", "abdomen scan"} - {one.data.name for one in sets}
    cold = "of every set" if settings.full else f"on {_FIRST} alone"
    return Findings(
        conditions={
            "data": f"up to {largest} voxels of each set, one signal per b-value; phantoms with "
            f"SNR {SNR:g}; real scans have no truth",
            "voxels": f"slow contenders get fewer: {ROUNDS} rounds of roughly {seconds:g} s, each "
            "round the next voxels",
            "threads": "one, every contender in a separate process on the same core, BLAS and "
            "OpenMP too",
            "state": "in turn, one round after the other; warm: median of the rounds; cold: "
            f"first fit in a fresh process, its start, imports and compilation included, {cold}",
            "optimum": f"sum of squares ≤ {OPTIMUM} × the best of {starts} random starts of scipy "
            f"within the contender's bounds, first {_reference_voxels(settings)} voxels",
            "wrong": f"D, f or D* off by more than {WRONG:.0%}, and no status, flag or NaN",
            "memory": "peak resident memory of the process in warm fits, all it loaded included",
        },
        checked="noise-free signals at the b-values of each set return every parameter within "
        "the tolerance in the first table (median relative error); otherwise no time is shown.",
        tables=[_contender_table(entries, results), *(_table(one, settings) for one in results)],
        notes=[
            "Segmented fits and bayes do not minimise the sum of squares. Bias is the mean error. "
            "The RMSE of a few voxels is itself uncertain, by about 70 % divided by the square "
            "root of their number, more for D*, whose errors have long tails. Narrow bounds cut "
            "those tails off, as a prior would: compare errors with equal bounds.",
            *_own_notes(entries),
            *([f"Not available and left out: {', '.join(sorted(scans))}."] if scans else []),
            *notes,
        ],
        charts=_charts(entries, results),
    )


def _own_notes(entries: Sequence[Entry]) -> list[str]:
    """Return the remarks about contenders, each sentence once."""
    labels: dict[str, list[str]] = {}
    for entry in entries:
        if entry.contender.note:
            labels.setdefault(entry.contender.note, []).append(entry.contender.label)
    return [f"{', '.join(several)}: {note}." for note, several in labels.items()]


def _contender_table(entries: Sequence[Entry], results: Sequence[_Result]) -> Table:
    rows: list[list[Cell]] = []
    for entry in entries:
        one = entry.contender
        worst = max(entry.recovered.values(), default=None)
        ranges: list[Cell] = [
            f"{one.bounds[name][0]:g} to {one.bounds[name][1]:g}" if name in one.bounds else None
            for name in ("f", "D_star", "D")
        ]
        version = f"{one.package} {entry.version}"
        convention = one.convention if "D_star" in one.estimates else None
        rows.append([one.label, version, convention, *ranges, entry.cold, worst, one.tolerance])
    return Table(
        "Who takes part",
        [
            Column("contender"),
            Column("package"),
            Column("its D*"),
            Column("bounds of f"),
            Column("D*, mm²/s"),
            Column("D, mm²/s"),
            Column(f"first fit ({_FIRST}), s", "{:.1f}"),
            Column("noise-free: worst error", "{:.1e}"),
            Column("tolerance", "{:g}"),
        ],
        rows,
    )


def _table(result: _Result, settings: Settings) -> Table:
    with_truth = bool(result.one.data.truth)
    columns = [
        Column("contender"),
        Column("voxels", "{:,d}"),
        Column("voxels/s", "{:,.0f}"),
        Column("voxels/s, cold", "{:,.0f}"),
        Column("peak, MB", "{:.0f}"),
        Column("at optimum, %", "{:.1f}"),
        Column("failed, %", "{:.2f}"),
    ]
    rows = [_row(entry, result, settings) for entry in result.entries]
    if with_truth:
        columns.append(Column("wrong, not told, %", "{:.1f}"))
        for name in ESTIMATED:
            fine = "{:.3f}" if name != "D_star" else "{:.2f}"
            columns += [
                Column(f"{_NAMES[name]}: median error, %", "{:.1f}"),
                Column(f"{_NAMES[name]}: bias{_UNITS[name]}", fine),
                Column(f"{_NAMES[name]}: RMSE{_UNITS[name]}", fine),
            ]
    if result.limit:
        errors = [cell for name in ESTIMATED for cell in (None, None, result.limit[name])]
        n = result.one.data.signal.shape[0]
        rows.append([_LIMIT, n, None, None, None, None, None, None, *errors])
    if not result.cold:
        columns = [column for column in columns if "cold" not in column.title]
        rows = [[*row[:3], *row[4:]] for row in rows]
    return Table(result.name, columns, rows)


def _row(entry: Entry, result: _Result, settings: Settings) -> list[Cell]:
    one = entry.contender
    width = 17 if result.one.data.truth else 7
    if one.name not in result.laps:
        return [one.label, None, "stopped", *[None] * (width - 3)]
    lap, scores = result.laps[one.name], result.scores[one.name]
    speeds: list[Cell] = ["not valid", "not valid"]
    if entry.is_valid(result.one.data.bvals):
        seconds = _seconds(settings)
        n = voxels_per_round(one, result.one.data, seconds)
        cold = result.cold.get(one.name)
        speeds = [lap.speed, None if cold is None else n / cold]
    row: list[Cell] = [one.label, scores.voxels, *speeds, lap.peak / 1e6]
    row += [_percent(scores.optimum), _percent(scores.failed)]
    if result.one.data.truth:
        row.append(_percent(scores.silent))
        row += [cell for name in ESTIMATED for cell in scores.errors[name]]
    return row


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _charts(entries: Sequence[Entry], results: Sequence[_Result]) -> list[Chart]:
    by_name = {result.name: result for result in results}
    speed = Chart(
        "speed",
        f"Speed against error, {_FIRST}: the best is at the lower right. The dashed line is the "
        "least error possible.",
        "voxels per second of one core",
        [_speed_panel(entries, by_name[_FIRST], name) for name in ESTIMATED],
    )
    return [speed, *(_snr_chart(entries, by_name, kind) for kind in _KINDS)]


def _speed_panel(entries: Sequence[Entry], result: _Result, name: str) -> Panel:
    series = [
        Series(one.label, one.package, [result.laps[one.name].speed], [error])
        for one, error, valid in _errors(entries, result, name)
        if valid
    ]
    series.append(Series(_LIMIT, "limit", [1.0], [result.limit[name]]))
    return Panel(_NAMES[name], f"RMSE of {_NAMES[name]}{_UNITS[name]}", series)


def _snr_chart(entries: Sequence[Entry], by_name: dict[str, _Result], kind: str) -> Chart:
    panels = []
    for protocol in PROTOCOLS:
        raced = [(snr, by_name[f"{kind}{protocol} SNR {snr:g}"]) for snr in SNRS]
        for name in ESTIMATED:
            lines: dict[str, Series] = {}
            for snr, result in raced:
                for one, error, _ in _errors(entries, result, name):
                    line = lines.setdefault(one.label, Series(one.label, one.package, [], []))
                    lines[one.label] = Series(
                        line.label, line.group, [*line.x, snr], [*line.y, error]
                    )
            limits = [result.limit[name] for _, result in raced]
            series = [*lines.values(), Series(_LIMIT, "limit", list(map(float, SNRS)), limits)]
            label = f"RMSE of {_NAMES[name]}{_UNITS[name]}"
            panels.append(Panel(f"{_NAMES[name]}, {protocol}", label, series))
    return Chart(
        "snr-organs" if kind else "snr",
        f"Error against SNR, {_KINDS[kind]}. The dashed line is the least error possible.",
        "SNR",
        panels,
        ticks=SNRS,
    )


def _errors(
    entries: Sequence[Entry], result: _Result, name: str
) -> list[tuple[Contender, float, bool]]:
    """Return the contenders with an RMSE of a parameter, the RMSE, and whether the time is
    valid."""
    found = []
    for entry in entries:
        one = entry.contender
        if one.name not in result.scores or name not in one.estimates:
            continue
        error = result.scores[one.name].errors[name][2]
        if error is not None:
            found.append((one, error, entry.is_valid(result.one.data.bvals)))
    return found


FIGURE = Figure(
    order=0,
    name="peers",
    title="Peers: every method compared with other packages",
    measure=measure,
    full_takes="one to two hours of one core",
)

if __name__ == "__main__":
    run_alone(FIGURE)
