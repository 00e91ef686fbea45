"""Uncertain: how many estimates are far off without a word in the status, and at what price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.command import run_alone
from benchmarks.data import PROTOCOLS, SNRS, DataSet, organ_mixture, simulated
from benchmarks.error import ESTIMATED
from benchmarks.figure import Cell, Column, Figure, Findings, Settings, Table, Target
from benchmarks.phantoms import phantom_set
from benchmarks.scores import WRONG
from ivimkit.fitting.uncertain_voxels import off_probability
from ivimkit.status import FAILED, MAX_OFF_PROBABILITY, uncertain

_Rule = Callable[[ik.FitResult, str], NDArray[np.bool_]]

_VOXELS = 10_000
_GOAL = 2.0
# The prior that a list of voxels gets, and the worst one for it.
_PRIORS = ("learned", "flat")
# Other rules, for comparison: thresholds of the probability, and of the information in bits.
_PROBABILITIES = (0.02, 0.1, 0.2)
_BITS = (0.2, 0.5, 1.0)
_SYMBOLS = {"D": "D", "f": "f", "D_star": "D*"}


@dataclass(frozen=True)
class _Outcome:
    """A fit of a set: where each estimate is far off, and the maps to judge it by."""

    label: str
    prior: str
    wrong: dict[str, NDArray[np.bool_]]
    other_flags: NDArray[np.bool_]
    result: ik.FitResult

    @property
    def any_wrong(self) -> NDArray[np.bool_]:
        return reduce(np.logical_or, self.wrong.values())

    def flagged(self, name: str) -> NDArray[np.bool_]:
        return self.result.uncertain(name)


def measure(settings: Settings) -> Findings:
    """Fit the sets of the comparison with other packages, and count."""
    outcomes = list(_outcomes(settings.size(_VOXELS)))
    own = [_row(one, {name: one.flagged(name) for name in ESTIMATED}) for one in outcomes]
    worst = {
        prior: max(
            (row for one, row in zip(outcomes, own, strict=True) if one.prior == prior),
            key=lambda row: row[3],
        )
        for prior in _PRIORS
    }
    return Findings(
        conditions={
            "data": f"{settings.size(_VOXELS)} voxels of each simulated set of the comparison "
            "with other packages, as a list without neighbours",
            "wrong": f"D, f or D* off by more than {WRONG:.0%} of the true value",
            "before": "by all other flags of the status",
            "flagged right": "of the voxels in which D, f and D* are right, those with a flag",
        },
        checked="every voxel has a posterior.",
        tables=[
            Table("Method bayes, by set", _columns(), own),
            _parameters(outcomes),
            _rules(outcomes),
        ],
        targets=[
            Target(
                f"Prior {prior}: wrong and not flagged ≤ {_GOAL:g} % on every set",
                f"{row[3]:.2f} % at most ({row[0]})",
                bool(row[3] <= _GOAL),
            )
            for prior, row in worst.items()
        ],
        notes=[
            "The flag of a parameter is set where its posterior gives a relative error of more "
            f"than 50 % a probability above {MAX_OFF_PROBABILITY:.0%}. A lower threshold flags "
            "more voxels that are right. Too little information (bits) is no substitute: an "
            "estimate may be the prior's and right, as where all tissue is alike, or far off with "
            "a bit or two, as with a flat prior.",
        ],
    )


def _outcomes(n: int) -> Iterator[_Outcome]:
    sets = [simulated(protocol, snr, n) for protocol in PROTOCOLS for snr in SNRS]
    sets += [organ_mixture(protocol, snr, n) for protocol in PROTOCOLS for snr in SNRS]
    sets += [phantom_set(kind, n) for kind in ("abdomen", "brain")]
    for prior in _PRIORS:
        for data in sets:
            print(f"uncertain: {data.name}, {prior} ...", flush=True)
            yield _outcome(data, prior)


def _outcome(data: DataSet, prior: str) -> _Outcome:
    result = ik.fit(data.signal, data.bvals, method=ik.methods.Bayes(prior=prior))
    assert not (result.status & int(FAILED)).any()
    names = result.model.names
    wide = sum(uncertain(k, len(names)) for k in range(len(names)))
    wrong = {
        name: np.abs(result.maps[name] / data.truth[name] - 1.0) > WRONG for name in ESTIMATED
    }
    return _Outcome(data.name, prior, wrong, (result.status & ~wide) != 0, result)


def _columns() -> list[Column]:
    return [
        Column("set"),
        Column("prior"),
        Column("wrong and not flagged, before, %", "{:.1f}"),
        Column("wrong and not flagged, %", "{:.2f}"),
        Column("flagged, %", "{:.0f}"),
        Column("flagged right, %", "{:.0f}"),
    ]


def _row(one: _Outcome, flags: dict[str, NDArray[np.bool_]]) -> list[Cell]:
    flagged = reduce(np.logical_or, flags.values(), one.other_flags)
    wrong = one.any_wrong
    return [
        one.label,
        one.prior,
        _percent(wrong & ~one.other_flags),
        _percent(wrong & ~flagged),
        _percent(flagged),
        _percent(flagged[~wrong]),
    ]


def _parameters(outcomes: list[_Outcome]) -> Table:
    """Return the shares of each parameter alone, of the prior that such voxels get."""
    rows: list[list[Cell]] = []
    for one in outcomes:
        if one.prior != _PRIORS[0]:
            continue
        row: list[Cell] = [one.label]
        for name in ESTIMATED:
            told, wrong = one.flagged(name), one.wrong[name]
            row += [_percent(told), _percent(wrong), _percent(wrong & ~told)]
        rows.append(row)
    kinds = ("uncertain", "wrong", "wrong, not told")
    columns = [
        Column(f"{_SYMBOLS[name]}: {kind}, %", "{:.1f}") for name in ESTIMATED for kind in kinds
    ]
    return Table(f"Each parameter, prior {_PRIORS[0]}", [Column("set"), *columns], rows)


def _rules(outcomes: list[_Outcome]) -> Table:
    """Return what other rules would do: the worst set, and the mean of the voxels flagged."""
    rules = {
        f"probability of 50 % off above {limit:.0%}": _by_probability(limit)
        for limit in sorted((*_PROBABILITIES, MAX_OFF_PROBABILITY))
    }
    rules |= {f"information below {bits:g} bits": _by_bits(bits) for bits in _BITS}
    rules["95 % interval beyond 50 % off"] = _by_interval
    rows: list[list[Cell]] = []
    for label, rule in rules.items():
        row: list[Cell] = [label]
        for prior in _PRIORS:
            found = [
                _row(one, {name: rule(one.result, name) for name in ESTIMATED})
                for one in outcomes
                if one.prior == prior
            ]
            row += [max(one[3] for one in found), float(np.mean([one[5] for one in found]))]
        rows.append(row)
    columns = [
        Column(f"{prior}: {what}", form)
        for prior in _PRIORS
        for what, form in (("wrong and not flagged, worst set, %", "{:.2f}"),
                           ("flagged right, mean, %", "{:.0f}"))
    ]  # fmt: skip
    return Table("Other rules", [Column("flag where"), *columns], rows)


def _by_probability(limit: float) -> _Rule:
    def rule(result: ik.FitResult, name: str) -> NDArray[np.bool_]:
        ends = tuple(result.maps[f"{name}{end}"] for end in ("_lo", "_lo50", "_hi50", "_hi"))
        return off_probability(result.maps[name], ends) > limit

    return rule


def _by_bits(bits: float) -> _Rule:
    return lambda result, name: result.information[name] < bits


def _by_interval(result: ik.FitResult, name: str) -> NDArray[np.bool_]:
    low, high = result.interval[name]
    estimate = result.maps[name]
    return (low < estimate / (1.0 + WRONG)) | (high > estimate / (1.0 - WRONG))


def _percent(where: NDArray[np.bool_]) -> float:
    return 100.0 * float(np.mean(where)) if where.size else 0.0


FIGURE = Figure(
    order=12,
    name="uncertain",
    title="Uncertain: estimates that are far off, and whether the status says so",
    measure=measure,
)

if __name__ == "__main__":
    run_alone(FIGURE)
