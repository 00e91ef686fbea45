"""Options that several commands or groups of options share, and the panels of the help."""

# No postponed annotations, which are made anew for each command: an option is one object.

from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ivimkit.cli.error_guard import set_verbose
from ivimkit.cli.options.completion import complete_choice, complete_method_option
from ivimkit.errors import OptionError
from ivimkit.portable_bits import use_portable_bits

# The names of choices are repeated here, as importing their owners takes too long for --help.
# tests/unit/cli/options/test_shared_options.py compares them.


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
DICOM_PANEL = "Which images of DICOM"
VOLUME_PANEL = "Which volumes, and how they are averaged"
MODEL_PANEL = "Model and method"
REGION_PANEL = "The regions"
OUTPUT_PANEL = "Output"
MACHINE_PANEL = "The machine"
SETTINGS_PANEL = "Settings and log"

# Commands show these options in different panels, see `in_panel`.
SIGMA = typer.Option(
    "--sigma",
    metavar="SOURCE|NUMBER|FILE",
    show_default=False,
    help="Noise of one volume (standard deviation) in the unit of the scan, as a number or a map, "
    "placed by position and looked for next to each scan; or what to estimate it from: repeats "
    "(repeated volumes), air, mppca (principal components of patches), residuals, or auto for "
    "the first of repeats, air and residuals that the scan has. By "
    "default from the residuals of each voxel.",
)

MethodOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
        autocompletion=complete_method_option,
        help="Option of the method, like steps=2; ivimkit methods lists them. Repeatable.",
    ),
]
ShownUnreliable = Annotated[
    Unreliable,
    typer.Option(
        "--unreliable",
        metavar="HOW",
        rich_help_panel=OUTPUT_PANEL,
        help="Voxels of maps and histograms whose value the data do not determine: fade (hatched, "
        "or pale if uncertain; counted apart), hide (left out), or show (like the others).",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        rich_help_panel=SCAN_PANEL,
        help="The same number gives the same noise.",
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
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        rich_help_panel=OUTPUT_PANEL,
        help="Print one JSON document instead of tables, for programs.",
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


def _checked_device(ctx: typer.Context, value: str) -> str:
    """Refuse a name that no device can have, before anything is read."""
    if value in ("auto", "cpu"):
        return value
    if ctx.params.get("portable_bits"):
        raise typer.BadParameter(
            f"{value!r} is given with --portable-bits, which are those of a processor; expected "
            "cpu. Leave one out"
        )
    from ivimkit.engine import check_device  # Loads numba.

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
        autocompletion=complete_choice("auto", "cpu", "cuda"),
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


MemMb = Annotated[
    float | None,
    typer.Option(
        "--mem-mb",
        metavar="MB",
        show_default=False,
        rich_help_panel=MACHINE_PANEL,
        help="Memory of the process, 10⁶ bytes. A scan whose maps do not fit is fitted in slabs "
        "of slices; the maps are the same. By default half of what is free, also in a "
        "container.",
    ),
]
Scratch = Annotated[
    Path | None,
    typer.Option(
        "--scratch",
        metavar="DIR",
        show_default=False,
        rich_help_panel=MACHINE_PANEL,
        help="Folder on a disk with room for the maps of a scan that does not fit into memory; "
        "they are gone when the command ends. By default $TMPDIR, or /var/tmp.",
    ),
]


def _portable(asked: bool) -> bool:
    if asked:
        try:
            use_portable_bits()
        except OptionError as error:
            raise typer.BadParameter(str(error)) from None
    return asked


PortableBits = Annotated[
    bool,
    typer.Option(
        "--portable-bits",
        callback=_portable,
        # Before anything that loads numba, such as the check of --device.
        is_eager=True,
        rich_help_panel=MACHINE_PANEL,
        help="Compile for all x86-64 processors with AVX2, not for this one: results are the same "
        "to the last bit on all of them, and fits take a little longer.",
    ),
]


@dataclass(frozen=True)
class RunOptions:
    """What every command has that works: its settings from a file, and a record of the run."""

    settings: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            show_default=False,
            rich_help_panel=SETTINGS_PANEL,
            help="Take options from this TOML file; those on the command line win. "
            "ivimkit config writes one.",
        ),
    ] = None
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            metavar="FILE",
            show_default=False,
            rich_help_panel=SETTINGS_PANEL,
            help="Add what happens to this log: versions, options, warnings, errors.",
        ),
    ] = None


@dataclass(frozen=True)
class RunLikeOptions(RunOptions):
    """The same for a command that fits: its settings may also be those of a result."""

    like_result: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="RESULT",
            show_default=False,
            rich_help_panel=SETTINGS_PANEL,
            help="Fit as this result was fitted: with its model, method, noise, b-values and all "
            "other settings, but not the files of its scan. Options on the command line win.",
        ),
    ] = None


@dataclass(frozen=True)
class MachineOptions:
    """What to compute on."""

    threads: Threads = None
    device: Device = "auto"
    precision: Digits = Precision.float64
    portable_bits: PortableBits = False


@dataclass(frozen=True)
class ScreenOptions:
    """What a command prints: the options of `ivimkit.cli.screen.terminal.Screen`."""

    quiet: Quiet = False
    verbose: Verbose = False


def out_option(metavar: str, text: str) -> Any:
    """Return the option ``--out`` of a command; what is written differs from one to another."""
    return typer.Option(
        "--out",
        "-o",
        metavar=metavar,
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
        help=text,
    )


def in_panel(option: Any, panel: str) -> Any:
    """Return an option as it appears in a panel of the help."""
    shown = copy(option)
    shown.rich_help_panel = panel
    return shown
