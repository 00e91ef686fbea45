"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.error_guard import set_verbose
from ivimkit.cli.options.plugin_names import complete, method_names, model_names, organ_names

# The names of choices are repeated here, as importing their owners takes too long for --help.
# tests/unit/cli/test_options.py compares them.


class Average(StrEnum):
    """Choices of --average."""

    auto = "auto"
    geometric = "geometric"
    arithmetic = "arithmetic"
    none = "none"


class BUnit(StrEnum):
    """Choices of --b-unit."""

    s_mm2 = "s/mm2"
    ms_um2 = "ms/um2"
    s_cm2 = "s/cm2"


class Precision(StrEnum):
    """Choices of --precision."""

    float64 = "float64"
    float32 = "float32"


class Unreliable(StrEnum):
    """Choices of --unreliable."""

    fade = "fade"
    hide = "hide"
    show = "show"


SCAN_PANEL = "The scan"
VOLUME_PANEL = "Which volumes, and how they are averaged"
MODEL_PANEL = "Model and method"
REGION_PANEL = "The regions"
OUTPUT_PANEL = "Output"
MACHINE_PANEL = "The machine"

Scans = Annotated[
    list[Path],
    typer.Argument(
        metavar="SCAN",
        show_default=False,
        help="4-D NIfTI files (.nii, .nii.gz), one after the other.",
    ),
]
Bval = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|LIST",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="b-values: a file, or numbers like 0,10,20. By default the file next to the scan: "
        "dwi.bval for dwi.nii.gz.",
    ),
]
Bvec = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Directions. By default the .bvec file next to the scan, if there is one.",
    ),
]
Variables = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="What else differs from volume to volume (echo_time, diffusion_time, ...): a TSV or "
        "CSV file with a header and one row per volume. By default dwi_volumes.tsv next to "
        "dwi.nii.gz, and lists in its JSON sidecar.",
    ),
]
Te = Annotated[
    str | None,
    typer.Option(
        "--te",
        metavar="LIST",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Echo times in ms: one for each volume, like 50,50,75,75, or one for all.",
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|auto",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Fit only voxels where this image is above 0, placed by position; looked for next to "
        "each scan, then in the working directory. auto, auto:body or auto:brain finds the "
        "tissue. By default all voxels.",
    ),
]
Unit = Annotated[
    BUnit,
    typer.Option(
        "--b-unit",
        metavar="UNIT",
        rich_help_panel=SCAN_PANEL,
        help="Unit of the b-values, in the file and in options: s/mm2, ms/um2 (0 to about 3) "
        "or s/cm2.",
    ),
]
Stack = Annotated[
    bool,
    typer.Option(
        "--stack",
        rich_help_panel=SCAN_PANEL,
        help="The SCANs are the 3-D volumes of one scan, in the order of the b-values.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        rich_help_panel=SCAN_PANEL,
        help="Refuse a scan whose volumes and b-values cannot both be right (exit code 2), where "
        "a warning is given otherwise.",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        metavar="B",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="b-values with gaps up to this form one shell. By default less than 1 s/mm², or 2 % "
        "about their middle.",
    ),
]
AverageBy = Annotated[
    Average,
    typer.Option(
        "--average",
        metavar="HOW",
        rich_help_panel=VOLUME_PANEL,
        help="Mean of the volumes of a b-value: geometric, arithmetic, auto (geometric across "
        "directions, arithmetic across repeats) or none (every volume on its own).",
    ),
]
Bmin = Annotated[
    float | None,
    typer.Option(
        metavar="B",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Leave out lower b-values. In the unit of --b-unit, like all b-values in options.",
    ),
]
Bmax = Annotated[
    float | None,
    typer.Option(
        metavar="B",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Leave out higher b-values. Above 1000 kurtosis begins to matter.",
    ),
]
Bvals = Annotated[
    str | None,
    typer.Option(
        "--bvals",
        metavar="LIST",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Use these b-values only, like 0,50,100,800: of each the nearest, within 3 %.",
    ),
]
Volumes = Annotated[
    str | None,
    typer.Option(
        metavar="LIST|FILE",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Use these volumes only, counted from 0, like 0-8,10 or 0-40:2 (every second one), "
        "or a file of numbers.",
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        "--select",
        metavar="CONDITION",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Use volumes only that meet a condition on b (s/mm²) and the other variables, like "
        "\"echo_time == 75 and b <= 400\" or \"gradient in ('bipolar', 'none')\".",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="LIST|FILE",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Weight of each volume that is used (or of each b-value), in its average and in the "
        "fit: numbers like 1,1,2 or a file of them. 0 leaves a volume out.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE",
        rich_help_panel=MODEL_PANEL,
        autocompletion=complete(model_names),
        help=f"Signal model: {', '.join(model_names())}, or a Python file that defines one.",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=MODEL_PANEL,
        autocompletion=complete(method_names),
        help=f"Fit method: {', '.join(method_names())}.",
    ),
]
MethodOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
        help="Option of the method, like steps=2; ivimkit methods lists them. Repeatable.",
    ),
]
BSplit = Annotated[
    float | None,
    typer.Option(
        metavar="B",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
        help="Threshold of segmented and loglinear: perfusion is assumed to be gone from this "
        "b-value on. Short for --option b_split=B.",
    ),
]
Organ = Annotated[
    str | None,
    typer.Option(
        show_default=False,
        metavar="NAME",
        rich_help_panel=MODEL_PANEL,
        autocompletion=complete(organ_names),
        help=f"Start, threshold and ranges of figures for: {', '.join(organ_names())}. "
        "Bounds stay as they are.",
    ),
]
FittedModel = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
        help="Python file of the model that was fitted, if it is your own: results do not "
        "contain its equation, and no code of a result is ever run.",
    ),
]
FittedScan = Annotated[
    Path | None,
    typer.Option(
        "--scan",
        metavar="FILE",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="The scan, for its images and signals. By default the file that was fitted, if it is "
        "still there and unchanged.",
    ),
]
FittedBval = Annotated[
    Path | None,
    typer.Option(
        "--bval",
        metavar="FILE|LIST",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Its b-values, as a file or as numbers, if they are not next to --scan.",
    ),
]
# Some commands need regions, some can do without: the types differ.
LABELS = typer.Option(
    "--labels",
    metavar="FILE",
    show_default=False,
    rich_help_panel=REGION_PANEL,
    help="Label image, or masks (repeatable), whose regions are named after the files. Where "
    "masks overlap, a voxel belongs to the one named first: the lesion before its organ.",
)
LabelNames = Annotated[
    Path | None,
    typer.Option(
        "--names",
        metavar="FILE",
        show_default=False,
        rich_help_panel=REGION_PANEL,
        help="Names of a label image: CSV, TSV, JSON, ITK-SNAP label description or FreeSurfer "
        "colour table.",
    ),
]
CountReliable = Annotated[
    bool | None,
    typer.Option(
        "--reliable/--no-reliable",
        show_default=False,
        rich_help_panel=REGION_PANEL,
        help="Count reliable voxels only, whose value the data identify, or all. By default all "
        "in tables of regions, reliable ones where a lesion is compared.",
    ),
]
ShownUnreliable = Annotated[
    Unreliable,
    typer.Option(
        "--unreliable",
        metavar="HOW",
        rich_help_panel=OUTPUT_PANEL,
        help="Voxels of maps and histograms whose value the data do not determine: fade (hatched, "
        "counted apart), hide (left out), or show (like the others).",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", rich_help_panel=OUTPUT_PANEL, help="Replace existing output."),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", rich_help_panel=OUTPUT_PANEL, help="Print errors only."),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        callback=set_verbose,
        rich_help_panel=OUTPUT_PANEL,
        help="Print every step, and the traceback of an internal error.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        show_default=False,
        rich_help_panel=MACHINE_PANEL,
        help="Number of threads. By default all cores; the maps do not depend on it.",
    ),
]


def _checked_device(value: str) -> str:
    """Refuse a name that no device can have, before anything is read."""
    if value in ("auto", "cpu"):
        return value
    from ivimkit.engine import check_device  # Loads numba.
    from ivimkit.errors import OptionError

    try:
        check_device(value)
    except OptionError as error:
        raise typer.BadParameter(str(error)) from None
    return value


Device = Annotated[
    str,
    typer.Option(
        metavar="WHERE",
        callback=_checked_device,
        rich_help_panel=MACHINE_PANEL,
        help="Where to compute: cpu; cuda for an NVIDIA GPU, or GPUs by their numbers, as in "
        "cuda:0,1; auto uses a GPU for 200 000 voxels or more.",
    ),
]
Digits = Annotated[
    Precision,
    typer.Option(
        "--precision",
        metavar="TYPE",
        rich_help_panel=MACHINE_PANEL,
        help="Arithmetic precision: float64, or float32 for GPUs that are slow in float64.",
    ),
]
