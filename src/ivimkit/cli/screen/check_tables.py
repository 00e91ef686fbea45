"""The tables of ``ivimkit check``: b-values, coverage, perfusion signal left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from ivimkit.cli.screen.terminal import plain_table
from ivimkit.noise import ShellSignal
from ivimkit.noise.shells import shown_snr, usual_sigma
from ivimkit.parameter import RATE_UNIT
from ivimkit.planning import ParameterErrors, ProtocolErrors
from ivimkit.rounding import NONE, how_shown, percent, rounded
from ivimkit.scan.coverage import CoverageRange, PerfusionLeft
from ivimkit.scan.variables import shown, variable_of

__all__ = [
    "coverage_table",
    "noise_note",
    "parameter_error_table",
    "perfusion_table",
    "shell_table",
]

_GRADE_STYLES = {"good": "green", "thin": "yellow", "missing": "red"}


def shell_table(signals: Sequence[ShellSignal]) -> Table:
    """Return a table of the settings: volumes, directions, mean signal, signal-to-noise ratio."""
    further = list(signals[0].shell.variables)
    heads = (variable_of(name).head for name in further)
    columns = ["b (s/mm²)", *heads, "volumes", "directions", "mean signal", "SNR"]
    averaged = any(signal.n_images > 1.0 for signal in signals)
    table = plain_table(*columns, *(["averaged"] if averaged else []), left=0)
    usual = usual_sigma(signals)
    for signal in signals:
        shell = signal.shell
        directions = "–" if shell.n_directions is None else str(shell.n_directions)
        snr = shown_snr(signal, usual)
        table.add_row(
            _members(signal.low, signal.high, shell.b),
            *(shown(shell.variables[name]) for name in further),
            str(shell.count),
            directions,
            rounded(signal.mean),
            *(snr if averaged else snr[:1]),
        )
    return table


def noise_note(signals: Sequence[ShellSignal]) -> Iterator[str]:
    """Explain the signal-to-noise ratios of the table, if there are any."""
    known = [signal for signal in signals if signal.sigma > 0]
    if not known:
        return
    note = "SNR: mean signal by the noise of one image, that of the median voxel"
    if any(signal.n_images > 1.0 for signal in signals):
        note += "; averaged: by that of the mean of all images of the b-value"
    if len(known) < len(signals):
        listed = ", ".join(dict.fromkeys(f"{signal.shell.b:g}" for signal in known))
        note += f"; ~ with the noise found at b = {listed}"
    yield f"{note}."


def coverage_table(ranges: Sequence[CoverageRange]) -> Table:
    """Return a table of the ranges of b-values with their grades."""
    table = plain_table("range", "for", "grade", "here", "recommended", left=5)
    for column in table.columns[3:]:
        column.no_wrap = False
    for part in ranges:
        limits = f"{part.low:g}" if part.low == part.high else f"{part.low:g}-{part.high:g}"
        table.add_row(
            limits,
            part.purpose,
            Text(part.grade, style=_GRADE_STYLES[part.grade]),
            _listed(part.present),
            _listed(part.recommended),
        )
    return table


def parameter_error_table(found: ProtocolErrors) -> Table:
    """Return a table of the errors of one voxel: by the bound, and of simulated fits."""
    heads = ["parameter", "typical value", "sd (bound)"]
    heads += ["sd (fits)", "bias (fits)"] if found.simulated else []
    table = plain_table(*heads, "of the value")
    for one in found.parameters:
        unit, factor = how_shown(one.unit)
        cells = [rounded(factor * one.typical), _finite(factor * one.sd)]
        if found.simulated:
            cells += [_finite(factor * one.simulated_sd), _finite(factor * one.simulated_bias)]
        head = f"{one.symbol} ({unit})" if unit else one.symbol
        table.add_row(head, *cells, _share(one))
    return table


def _finite(value: float) -> str:
    return "unlimited" if value == math.inf else rounded(value, digits=2)


def _share(one: ParameterErrors) -> str:
    return percent(one.share) if math.isfinite(one.share) else NONE


def perfusion_table(left: PerfusionLeft, b_split: float) -> Table:
    """Return a table of the perfusion signal left at each b-value and at the threshold."""
    _, factor = how_shown(RATE_UNIT)
    heads = (f"D* = {factor * rate:g}" for rate in left.D_star)
    table = plain_table("b (s/mm²)", *heads, left=0)
    table.add_column("")
    for b, row in zip(left.bvals, left.fraction, strict=True):
        note = "threshold" if b == b_split else ""
        table.add_row(f"{b:g}", *(percent(share).removesuffix(" %") for share in row), note)
    return table


def _members(low: float, high: float, b: float) -> str:
    """Return a b-value, with the range of its volumes where they jitter."""
    return f"{b:g}" if low == high else f"{round(b, 1):g} ({low:g}-{high:g})"


def _listed(bvals: Sequence[float]) -> str:
    return ", ".join(f"{b:g}" for b in bvals) or "none"
