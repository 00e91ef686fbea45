"""Follow table: what step follow changed in the parameters of the tissue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from ivimkit.models import get as model_of
from ivimkit.report.section_blocks import Table
from ivimkit.rounding import change, in_unit, rounded, shown_unit
from ivimkit.scan.history import History

__all__ = ["follow_table"]

_MODEL = "biexp"
_PARAMETERS = ("D", "f", "D_star")
_RESIDUALS = "rmse_percent_of_S0"

_CAPTION = (
    "Medians over the tissue, by a quick fit of {model}. Volumes are pulled to what the model "
    "predicts, so the residuals fall and the parameters change, f in particular, whether there "
    "was motion or not."
)


def follow_table(history: History) -> Table | None:
    """Return the medians without and with step follow; None if there was no such step.

    Parameters
    ----------
    history : History
        Of the scan. From a file, the numbers of the step may be damaged: then there is no table.
    """
    step = history.step("follow")
    if step is None:
        return None
    before, after = (step.numbers.get(f"medians_{when}") for when in ("before", "after"))
    if not (_is_complete(before) and _is_complete(after)):
        return None
    aligned = "align" in history.names[: history.names.index("follow")]
    return Table(
        ("median", "align only" if aligned else "as acquired", "with follow", "change"),
        [*_rows(before, after), _residuals(before, after)],
        _CAPTION.format(model=_MODEL),
    )


def _is_complete(medians: Any) -> TypeGuard[Mapping[str, float]]:
    """Return whether all medians that are shown are numbers."""
    return isinstance(medians, Mapping) and all(
        isinstance(medians.get(name), float) for name in (*_PARAMETERS, _RESIDUALS)
    )


def _rows(before: Mapping[str, float], after: Mapping[str, float]) -> list[list[str]]:
    model = model_of(_MODEL)
    rows = []
    for name in _PARAMETERS:
        parameter = model[name]
        unit = shown_unit(parameter)
        head = f"{parameter.symbol} ({unit})" if unit else parameter.symbol
        old, new = before[name], after[name]
        rows.append([head, in_unit(parameter, old), in_unit(parameter, new), _changed(old, new)])
    return rows


def _residuals(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    old, new = before[_RESIDUALS], after[_RESIDUALS]
    return ["residuals (% of S0)", rounded(old), rounded(new), _changed(old, new)]


def _changed(old: float, new: float) -> str:
    return change(new / old) if old else ""
