"""DesignAnswer: what ``ivimkit design --json`` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from ivimkit.cli.answers.json_answer import Answer, Row, rows_of
from ivimkit.io.design_files import design_record
from ivimkit.planning import ProtocolDesign

if TYPE_CHECKING:
    import pandas as pd

    from ivimkit.planning.protocol_design import Needed

__all__ = ["DesignAnswer", "NeededForm", "design_answer"]


class NeededForm(msgspec.Struct):
    """What a wanted error takes: the SNR, or the number of volumes; null if none is enough."""

    name: str
    error: float
    snr: float | None
    volumes: float | None


class DesignAnswer(Answer, kw_only=True):
    """What ``ivimkit design --json`` prints.

    `settings` has the value of each variable (b, ...) of the distinct settings, `averages` how
    often to measure each, `order` the variables of all volumes in the order to acquire them.
    `compared` has a row for each other protocol in the same scan time, the design first;
    `simulated` one for each method and parameter, if fits were simulated.
    """

    format: Literal["ivimkit design"] = "ivimkit design"
    tissues: str
    model: str
    equation: str
    snr: float
    noise: str
    criterion: str
    weights: dict[str, float]
    volumes: int
    settings: dict[str, list[float]]
    averages: list[int]
    order: dict[str, list[float]]
    echo_time_ms: float | None = None
    expected_errors: list[Row]
    compared: list[Row] = msgspec.field(default_factory=list)
    needed: list[NeededForm] = msgspec.field(default_factory=list)
    simulated: list[Row] = msgspec.field(default_factory=list)


def design_answer(
    plan: ProtocolDesign,
    compared: pd.DataFrame | None,
    needed: Sequence[Needed],
    simulated: pd.DataFrame | None,
) -> DesignAnswer:
    """Return the document of a design.

    Parameters
    ----------
    plan : ProtocolDesign
        The design.
    compared : pandas.DataFrame, optional
        What `ProtocolDesign.comparison` returned.
    needed : sequence of Needed
        What `ProtocolDesign.needed` returned.
    simulated : pandas.DataFrame, optional
        What `ProtocolDesign.monte_carlo` returned.
    """
    record = {
        name: value
        for name, value in design_record(plan).items()
        if name not in ("ivimkit", "expected_errors")
    }
    errors = plan.error_table()
    return DesignAnswer(
        units={
            "b": "s/mm^2",
            "echo_time_ms": "ms",
            **{str(name): str(unit) for name, unit in errors["unit"].items()},
        },
        expected_errors=rows_of(errors),
        compared=[] if compared is None else rows_of(compared),
        needed=[NeededForm(**dataclasses.asdict(one)) for one in needed],
        simulated=[] if simulated is None else rows_of(simulated),
        **record,
    )
