"""CheckAnswer: what ``ivimkit check --json`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ivimkit.cli.answers.json_answer import Answer
from ivimkit.noise import ShellSignal
from ivimkit.planning import ProtocolErrors
from ivimkit.scan.coverage import CoverageRange, PerfusionLeft

__all__ = [
    "CHECK_UNITS",
    "CheckAnswer",
    "CoverageForm",
    "Finding",
    "ParameterForm",
    "PerfusionForm",
    "ScanCheck",
    "ShellForm",
    "coverage_forms",
    "parameter_forms",
    "perfusion_form",
    "shell_forms",
]

CHECK_UNITS = {
    "b": "s/mm^2",
    "b_split": "s/mm^2",
    "D_star": "mm^2/s",
    "high": "s/mm^2",
    "low": "s/mm^2",
    "mean_signal": "a.u.",
    "present": "s/mm^2",
    "recommended": "s/mm^2",
    "sigma": "a.u.",
    "voxel_size": "mm",
}


class Finding(msgspec.Struct):
    """One of the checks: whether it was passed, and what was found."""

    level: Literal["ok", "note", "warning", "error"]
    text: str


class ShellForm(msgspec.Struct):
    """The volumes of one b-value, and of one value of each other variable.

    `low` and `high` are the limits of their b-values; `snr` is that of one image, `snr_of_mean`
    that of the mean of all. null: the noise is not known.
    """

    b: float
    low: float
    high: float
    n_volumes: int
    n_directions: int | None
    mean_signal: float | None
    snr: float | None
    snr_of_mean: float | None
    variables: dict[str, str | float] = {}


class CoverageForm(msgspec.Struct):
    """A range of b-values, what it is for, and which of them there are."""

    purpose: str
    low: float
    high: float
    grade: Literal["good", "thin", "missing"]
    present: list[float]
    recommended: list[float]


class PerfusionForm(msgspec.Struct):
    """The share of the perfusion signal that is left, a row for each b, a column for each D*."""

    b: list[float]
    D_star: list[float]
    share: list[list[float]]


class ParameterForm(msgspec.Struct):
    """What the scan can tell of a parameter in one voxel, in its unit.

    `sd` is the Cramér-Rao bound, null if it is infinite; the others are of simulated fits, null if
    there are none. `region_voxels`: the size of a region that is needed, null if none is enough.
    """

    name: str
    unit: str
    typical: float
    sd: float | None
    simulated_sd: float | None
    simulated_bias: float | None
    per_voxel: bool
    region_voxels: float | None
    verdict: str


class ScanCheck(msgspec.Struct, kw_only=True):
    """What is known of a scan. Of one that cannot be read there is the error alone."""

    scan: str
    can_be_fitted: bool = False
    verdict: str = ""
    error: str | None = None
    shape: list[int] = []
    voxel_size: list[float] = []
    n_volumes: int = 0
    n_voxels: int = 0
    n_voxels_fitted: int = 0
    model: str = ""
    method: str = ""
    checks: list[Finding] = []
    motion: Finding | None = None
    shells: list[ShellForm] = []
    noise: str = ""
    sigma: float | None = None
    b_split: float | None = None
    coverage: list[CoverageForm] = []
    perfusion_left: PerfusionForm | None = None
    before_the_fit: list[str] = []
    snr: float | None = None
    parameters: list[ParameterForm] = []


class CheckAnswer(Answer, kw_only=True):
    """What ``ivimkit check --json`` prints: one entry for each scan."""

    format: Literal["ivimkit check"] = "ivimkit check"
    scans: list[ScanCheck]


def shell_forms(signals: Sequence[ShellSignal]) -> list[ShellForm]:
    """Return the b-values of a scan."""
    return [
        ShellForm(
            b=float(one.shell.b),
            low=float(one.low),
            high=float(one.high),
            n_volumes=int(one.shell.count),
            n_directions=one.shell.n_directions,
            mean_signal=float(one.mean),
            snr=float(one.snr),
            snr_of_mean=float(one.snr_of_mean),
            variables=dict(one.shell.variables),
        )
        for one in signals
    ]


def coverage_forms(ranges: Sequence[CoverageRange]) -> list[CoverageForm]:
    """Return how well the b-values cover the decay."""
    return [
        CoverageForm(
            one.purpose,
            one.low,
            one.high,
            one.grade,  # type: ignore[arg-type]
            list(one.present),
            list(one.recommended),
        )
        for one in ranges
    ]


def perfusion_form(left: PerfusionLeft) -> PerfusionForm:
    """Return the perfusion signal that is left."""
    return PerfusionForm(left.bvals.tolist(), left.D_star.tolist(), left.fraction.tolist())


def parameter_forms(found: ProtocolErrors | None) -> list[ParameterForm]:
    """Return what a scan can tell of each parameter."""
    if found is None:
        return []
    return [
        ParameterForm(
            name=one.name,
            unit=one.unit,
            typical=float(one.typical),
            sd=float(one.sd),
            simulated_sd=float(one.simulated_sd),
            simulated_bias=float(one.simulated_bias),
            per_voxel=bool(one.per_voxel),
            region_voxels=float(one.region_voxels),
            verdict=one.verdict,
        )
        for one in found.parameters
    ]
