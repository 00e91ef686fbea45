"""The form of ``fit.json`` and ``comparison.json``: format 2, as structs and as JSON Schema.

Other fields are allowed: later versions and other programs may add them. A number that JSON cannot
represent is null where the end of a range may be open.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any, Final, Literal

import msgspec

from ivimkit.extend.compartment import Compartment
from ivimkit.parameter import Role, Scale
from ivimkit.status import MAX_PARAMETERS

__all__ = [
    "FORMAT",
    "Acquired",
    "ComparisonRecord",
    "CompartmentRecord",
    "DerivedRecord",
    "FileName",
    "FitRecord",
    "Grid",
    "HistoryRecord",
    "LearnedRecord",
    "ModelRecord",
    "NoiseRecord",
    "ParameterRecord",
    "PluginRecord",
    "ProductRecord",
    "ProvenanceRecord",
    "ReadingRecord",
    "ResultRecord",
    "ScreeningRecord",
    "SettingsRecord",
    "SourceRecord",
    "StepForm",
    "WeightsRecord",
    "schema",
]

FORMAT: Final = 2
"""Version of the form of ``fit.json`` and ``comparison.json``."""

# Also valid in JSON Schema; `$` alone would accept a trailing line break in Python.
FileName = Annotated[str, msgspec.Meta(pattern=r"^[^/\\\x00-\x1f]{1,200}$(?!\n)")]
Code = Annotated[int, msgspec.Meta(ge=-(2**15), lt=2**15)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Length = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
Unit = Literal["unknown", "meter", "mm", "micron"]
Row = tuple[float, float, float, float]


class ParameterRecord(msgspec.Struct):
    """A parameter of the model; null is an open end of its range."""

    name: str
    symbol: str
    unit: str
    lower: float | None
    upper: float | None
    start: float
    display: tuple[float | None, float | None] = (None, None)
    description: str = ""
    plausible: tuple[float, float] | None = None
    scale: Scale = "linear"
    role: Role = "other"
    typical: tuple[float, float] | None = None
    least: float | None = None
    most: float | None = None


class CompartmentRecord(msgspec.Struct):
    """A compartment: its name, its acquisition variables and the names of its parameters."""

    name: str
    parameters: list[str] = []
    fraction: str | None = None
    variables: list[str] = []
    signal: str = ""

    @classmethod
    def of(cls, compartment: Compartment) -> CompartmentRecord:
        """Return the record of a compartment: all but its atom."""
        fraction = compartment.fraction
        return cls(
            name=compartment.name,
            parameters=[parameter.name for parameter in compartment.parameters],
            fraction=None if fraction is None else fraction.name,
            variables=list(compartment.variables),
            signal=compartment.signal,
        )


class ProductRecord(msgspec.Struct):
    """A map that is the product of two parameters."""

    parameter: ParameterRecord
    factors: tuple[str, str]


class DerivedRecord(msgspec.Struct):
    """Maps that are a function of several parameters, without the function."""

    maps: list[ParameterRecord]
    factors: list[str]
    shown: list[str] = []


class ModelRecord(msgspec.Struct):
    """The model, except for its compiled equation."""

    name: str
    title: str
    equation: str
    parameters: Annotated[
        list[ParameterRecord], msgspec.Meta(min_length=1, max_length=MAX_PARAMETERS)
    ]
    fixed_maps: list[FileName] = []
    references: list[str] = []
    compartments: list[CompartmentRecord] = []
    ascending: list[tuple[str, str]] = []
    products: list[ProductRecord] = []
    derived: list[DerivedRecord] = []


class PluginRecord(msgspec.Struct):
    """A method or an uncertainty estimator: its name and all its options."""

    name: str
    options: dict[str, Any] = {}


class NoiseRecord(msgspec.Struct):
    """The source of an estimated sigma; degrees of freedom are null if it was given."""

    source: str
    degrees: float | None
    n_voxels: Count


class ReadingRecord(msgspec.Struct):
    """How the command line read the scan; b-values in s/mm^2, `bval` in `b_unit`."""

    b_unit: Literal["s/mm2", "ms/um2", "s/cm2"] = "s/mm2"
    average: str = "auto"
    tolerance: float | None = None
    bmin: float | None = None
    bmax: float | None = None
    bvals: list[float] | None = None
    volumes: list[int] | None = None
    where: str | None = None
    echo_time: float | list[float] | None = None
    bval: list[float] | None = None
    stack: bool = False
    series: list[str] | None = None
    images: str = "auto"
    drop_incomplete: bool = False
    axes: str | None = None


class SettingsRecord(msgspec.Struct):
    """How the fit was made, see `ivimkit.fitting.settings.FitSettings`."""

    model: ModelRecord
    method: PluginRecord
    estimator: PluginRecord | None = None
    sigma: float | Literal["map"] | None = None
    noise: NoiseRecord | None = None
    weights: list[float] | None = None
    averages: list[float] | None = None
    value_weights: bool = False
    adc_bvals: list[float] | None = None
    average: str = "auto"
    mask_origin: str = ""
    labels: bool = False
    device: str = "auto"
    precision: str = "float64"
    organ: str | None = None
    reading: ReadingRecord | None = None
    call: str = ""


class SourceRecord(msgspec.Struct):
    """An input file."""

    role: str
    path: str
    sha256: str


class WeightsRecord(msgspec.Struct):
    """How many values were left out, if single values had weights."""

    values: Count
    left_out: Count
    voxels: Count
    different: Count
    missing: Count = 0


class StepForm(msgspec.Struct):
    """A step before the fit, see `ivimkit.scan.history.StepRecord`."""

    name: str
    summary: str = ""
    options: dict[str, Any] = {}
    versions: dict[str, str] = {}
    numbers: dict[str, Any] = {}
    noise: Literal["raw", "interpolated", "changed"] = "raw"
    references: list[str] = []


class HistoryRecord(msgspec.Struct):
    """What was done to the scan before the fit, and the files that it began with."""

    steps: list[StepForm]
    sources: list[SourceRecord] = []
    not_judged: dict[str, str] = {}


class ProvenanceRecord(msgspec.Struct):
    """Where the result comes from, see `ivimkit.fitting.result.Provenance`."""

    versions: dict[str, str]
    bvals: list[float]
    counts: list[float]
    sources: list[SourceRecord]
    started: str
    seconds: float
    threads: int
    status_counts: dict[str, Count]
    device: str = "cpu"
    cpu_target: str = ""
    region_voxels: dict[str, Count] = {}
    chosen: dict[str, str] = {}
    value_weights: WeightsRecord | None = None
    history: HistoryRecord | None = None

    def __post_init__(self) -> None:
        if len(self.bvals) != len(self.counts):
            raise ValueError(f"there are {len(self.bvals)} b-values and {len(self.counts)} counts")


class LearnedRecord(msgspec.Struct):
    """What method bayes used in a region, except the prior itself, which has a separate file.

    `rule`, its `options` (none for a prior given as a table) and `about`, the origin, are for
    readers: they are also in the file of the prior and in the settings.
    """

    variance: tuple[float, float]
    rule: str = ""
    options: dict[str, Any] = {}
    about: dict[str, Any] = {}


class ScreeningRecord(msgspec.Struct):
    """Which volumes and values were left out, see `ivimkit.fitting.screening.Screening`.

    Rows are slabs of slices, columns volumes; null is a factor that is not known.
    """

    reason: str
    volumes: list[Count]
    repeated: list[bool]
    slabs: list[tuple[Count, Count]]
    factors: list[list[float | None]]
    left_out: list[list[bool]]
    shares: list[list[float]]
    n_voxels: list[Count]
    judges_values: bool
    sigma: float | None

    def __post_init__(self) -> None:
        n = len(self.volumes)
        rows: list[list[Any]] = [self.repeated, *self.factors, *self.left_out, *self.shares]
        if any(len(row) != n for row in rows):
            raise ValueError(f"screening: a row does not have one entry per volume, {n}")
        grids: list[list[Any]] = [self.factors, self.left_out, self.shares, self.n_voxels]
        if any(len(grid) != len(self.slabs) for grid in grids):
            raise ValueError(f"screening: expected one row per slab, {len(self.slabs)}")


class Acquired(msgspec.Struct):
    """The volumes that were fitted: b-values in s/mm^2, directions, shells, other variables."""

    bvals: list[float]
    bvecs: list[list[float]] | None = None
    tolerance: float | None = None
    shell_numbers: list[int] | None = None
    variables: dict[str, list[float | str]] = {}


class Grid(msgspec.Struct):
    """Position and size of the voxels: the affine in mm."""

    affine: tuple[Row, Row, Row, Row]
    voxel_units: Unit
    sform_code: Code
    qform_code: Code


class ResultRecord(msgspec.Struct):
    """``fit.json``: a result, except for its maps and priors."""

    format: Literal["ivimkit result"]
    format_version: Literal[2]
    settings: SettingsRecord
    provenance: ProvenanceRecord
    learned: dict[FileName, LearnedRecord]
    acquisition: Acquired
    geometry: Grid
    shape: Annotated[list[Length], msgspec.Meta(max_length=7)]
    maps: list[FileName]
    files: list[str] = []
    screening: ScreeningRecord | None = None

    def __post_init__(self) -> None:
        n = len(self.acquisition.bvals)
        if self.screening is not None and len(self.screening.volumes) != n:
            raise ValueError(f"screening: expected {n} volumes, those of the acquisition")


class FitRecord(msgspec.Struct):
    """One of the fits of a comparison."""

    settings: SettingsRecord
    provenance: ProvenanceRecord


class ComparisonRecord(msgspec.Struct):
    """``comparison.json``: a comparison of models, except for its maps."""

    format: Literal["ivimkit comparison"]
    format_version: Literal[2]
    models: list[str]
    left_out: dict[str, str]
    criterion: str
    alpha: float | None
    references: list[str]
    fits: dict[str, FitRecord]
    files: list[str] = []


def schema(form: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a struct."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_without_indents(msgspec.json.schema(form)),
    }


def _without_indents(part: Any) -> Any:
    """Return a part of a schema whose descriptions, from docstrings, are not indented.

    Up to version 0.22 msgspec leaves the indents of docstrings, later ones do not.
    """
    if isinstance(part, dict):
        return {
            key: inspect.cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _without_indents(value)
            for key, value in part.items()
        }
    return [_without_indents(value) for value in part] if isinstance(part, list) else part
