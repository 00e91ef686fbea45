"""The tables of ``ivimkit design``: settings, order, errors, other protocols, answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ivimkit.cli.screen.terminal import plain_table
from ivimkit.planning import Needed, ProtocolDesign
from ivimkit.rounding import change, in_unit, percent, rounded, shown_unit, thousands
from ivimkit.scan.variables import shown, variable_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["comparison_table", "design_summary", "error_table", "needed_lines", "simulated_table"]

_MAX_NAME = 34


def design_summary(plan: ProtocolDesign, tr: float | None) -> Iterator[RenderableType]:
    """Yield what was designed, the table of settings, and the order to scan them."""
    problem = plan.problem
    yield Text(
        f"{plan.n} volumes for {problem.population.name}, model "
        f"{problem.population.model.name}, SNR {problem.snr:g}",
        style="bold",
    )
    facts = []
    if not math.isnan(plan.echo_time_ms):
        facts.append(f"echo time {thousands(plan.echo_time_ms)} ms")
    if tr is not None:
        facts.append(f"scan time {rounded(plan.n * tr / 60.0)} min")
    if facts:
        yield ", ".join(facts)
    yield ""
    heads = [variable_of(name).head.replace("^2", "²") for name in plan.settings.columns]
    table = plain_table(*heads, "averages", left=0)
    for row, count in zip(
        zip(*plan.settings.columns.values(), strict=True), plan.counts, strict=True
    ):
        table.add_row(*(shown(float(value)) for value in row), str(count))
    yield table
    yield ""
    yield "Scan them in this order, so that a drift of the signal does not look like a decay:"
    columns = list(plan.volumes.values())
    if len(columns) == 1:
        yield ", ".join(shown(float(b)) for b in columns[0])
    else:
        yield "; ".join(
            " ".join(shown(float(value)) for value in row) for row in zip(*columns, strict=True)
        )


def error_table(plan: ProtocolDesign) -> Table:
    """Return the expected error of each parameter."""
    table = plain_table("parameter", "typical value", "expected error", "of the value", "prior")
    for name, row in plan.error_table().iterrows():
        parameter = plan.problem.population.model[str(name)]
        numbers: dict[str, Any] = dict(row)
        table.add_row(
            _head(plan, str(name)),
            in_unit(parameter, numbers["typical"]),
            in_unit(parameter, numbers["error"], digits=2),
            percent(numbers["share"]),
            in_unit(parameter, numbers["prior"], digits=2),
        )
    return table


def comparison_table(plan: ProtocolDesign, rows: pd.DataFrame) -> Table:
    """Return the errors of other protocols in the same scan time, relative to the design."""
    names = plan.names
    model = plan.problem.population.model
    heads = (f"error of {model[name].symbol}" for name in names)
    table = plain_table("protocol", "volumes", "b max", *heads, "together")
    best: dict[str, Any] = dict(rows.iloc[0])
    for name, row in rows.iterrows():
        numbers: dict[str, Any] = dict(row)
        label = str(name)
        cells = [
            in_unit(model[one], numbers[one], digits=2)
            if label == "design"
            else change(numbers[one] / best[one])
            for one in names
        ]
        table.add_row(
            label if len(label) <= _MAX_NAME else f"{label[: _MAX_NAME - 1]}…",
            str(int(numbers["volumes"])),
            f"{numbers['b_max']:g}",
            *cells,
            "" if label == "design" else change(numbers["ratio"]),
        )
    return table


def needed_lines(plan: ProtocolDesign, found: Sequence[Needed]) -> Iterator[str]:
    """Yield a sentence for each wanted error."""
    for one in found:
        parameter = plan.problem.population.model[one.name]
        unit = shown_unit(parameter)
        error = f"{in_unit(parameter, one.error, digits=2)}{' ' + unit if unit else ''}"
        what = f"{parameter.symbol} with an error of {error}"
        if math.isnan(one.snr) and math.isnan(one.volumes):
            yield f"{what} is beyond any SNR and number of volumes"
            continue
        ways = []
        if not math.isnan(one.snr):
            ways.append(f"an SNR of {rounded(one.snr, digits=2)} with these {plan.n} volumes")
        if not math.isnan(one.volumes):
            ways.append(f"{math.ceil(one.volumes - 1e-6)} volumes at SNR {plan.problem.snr:g}")
        yield f"{what} needs {', or '.join(ways)}"


def simulated_table(plan: ProtocolDesign, rows: pd.DataFrame) -> Table:
    """Return bias and error of simulated fits next to the expected errors."""
    table = plain_table("method", "parameter", "bias", "rms error", "expected", "failed", left=2)
    for key, row in rows.iterrows():
        method, name = map(str, key)  # type: ignore[call-overload]
        numbers: dict[str, Any] = dict(row)
        parameter = plan.problem.population.model[name]
        table.add_row(
            method,
            _head(plan, name),
            *(in_unit(parameter, numbers[one], digits=2) for one in ("bias", "rmse", "expected")),
            percent(numbers["failed"]),
        )
    return table


def _head(plan: ProtocolDesign, name: str) -> str:
    parameter = plan.problem.population.model[name]
    unit = shown_unit(parameter)
    return f"{parameter.symbol} ({unit})" if unit else parameter.symbol
