"""The options of ``ivimkit bids``, with the names that users of BIDS apps know."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.fit_options import BAYES_PANEL, TRUST_PANEL, FitOptions
from ivimkit.cli.options.plugin_names import complete, model_names, prior_names
from ivimkit.cli.options.scan_options import (
    Average,
    AverageOption,
    Bmax,
    Bmin,
    BUnit,
    KeptBvals,
    Select,
    Tolerance,
    UnitOfB,
)
from ivimkit.cli.options.shared_options import (
    MACHINE_PANEL,
    MODEL_PANEL,
    OUTPUT_PANEL,
    REGION_PANEL,
    SCAN_PANEL,
    VOLUME_PANEL,
    Overwrite,
    PortableBits,
)

__all__ = [
    "BidsDataset",
    "BidsFit",
    "BidsMachine",
    "BidsOutput",
    "BidsReading",
    "Level",
    "Preprocess",
]

_DATASET_PANEL = "Which scans"


class Level(StrEnum):
    """Levels of analysis."""

    participant = "participant"
    group = "group"


@dataclass(frozen=True)
class BidsDataset:
    """Which scans of a data set are fitted, and what belongs to them."""

    participant_label: Annotated[
        list[str] | None,
        typer.Option(
            "--participant-label",
            "--participant_label",
            metavar="LABELS",
            show_default=False,
            rich_help_panel=_DATASET_PANEL,
            help="Subjects, with or without sub-, separated by commas. Repeatable. Also "
            "--participant_label.",
        ),
    ] = None
    session_id: Annotated[
        list[str] | None,
        typer.Option(
            "--session-id",
            "--session-label",
            metavar="LABELS",
            show_default=False,
            rich_help_panel=_DATASET_PANEL,
            help="Sessions, with or without ses-, separated by commas. Repeatable. Also "
            "--session-label.",
        ),
    ] = None
    bids_filter_file: Annotated[
        Path | None,
        typer.Option(
            "--bids-filter-file",
            metavar="FILE",
            show_default=False,
            rich_help_panel=_DATASET_PANEL,
            help='JSON like {"dwi": {"acquisition": "ivim"}}: labels that the files must have; '
            "null for none. Also for mask and labels.",
        ),
    ] = None
    derivatives: Annotated[
        list[str] | None,
        typer.Option(
            "--derivatives",
            metavar="NAME=FOLDER",
            show_default=False,
            rich_help_panel=_DATASET_PANEL,
            help="Data set of masks (_mask) and label images (_dseg). Repeatable.",
        ),
    ] = None
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="DESC|auto",
            show_default=False,
            rich_help_panel=_DATASET_PANEL,
            help="Mask of the derivatives, by its desc or label, like liver; scans without it are "
            "left out. Or auto, auto:body or auto:brain, found in the scan. By default the "
            "only mask of the derivatives, if there is one.",
        ),
    ] = None


@dataclass(frozen=True)
class BidsReading:
    """Which volumes are used."""

    b_unit: UnitOfB = BUnit.s_mm2
    bmin: Bmin = None
    bmax: Bmax = None
    bvals: KeptBvals = None
    select: Select = None
    average: AverageOption = Average.auto
    tolerance: Tolerance = None
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            rich_help_panel=SCAN_PANEL,
            help="A scan whose volumes and b-values cannot both be right fails; otherwise there "
            "is a warning.",
        ),
    ] = False


@dataclass(frozen=True)
class BidsFit(FitOptions):
    """The options of a fit; those that name a file next to one scan are for all scans here."""

    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(model_names),
            help=f"Signal model: {', '.join(model_names())}, or a Python file that defines one, "
            "at the same path on all machines.",
        ),
    ] = "biexp"
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE|MAP",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Fix a parameter, like D_star=0.02, or to maps of the derivatives, by entities "
            "of their names: D=param-D or D=model-ivim_param-D_dwimap; scans without it are left "
            "out. With a table of paths D=map, for its column fix_D. Repeatable.",
        ),
    ] = None
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="shared|NAME|FILE",
            show_default=False,
            rich_help_panel=BAYES_PANEL,
            autocompletion=complete(prior_names),
            help=f"Prior: shared (one for all scans, learned from samples of them), "
            f"{', '.join(prior_names())}, or a file such as OUT_DIR/priors/*.npz of another "
            "cohort. By default auto, for each scan by itself.",
        ),
    ] = None
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="DESC",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Label image of the derivatives, by its desc or label; scans without it are left "
            "out. By default the only one, if there is one. Regions are those of the tables, and "
            "with a mask each learns a separate prior (method bayes).",
        ),
    ] = None
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE|NUMBER|MAP",
            show_default=False,
            rich_help_panel=TRUST_PANEL,
            help="Noise of one volume (standard deviation): repeats, air, mppca, residuals or "
            "auto, found in each scan; a number for all; or maps of the derivatives, by entities "
            "of their names, like desc-noise; with a table of paths map, for its column sigma. By "
            "default from the residuals of each voxel.",
        ),
    ] = None


@dataclass(frozen=True)
class BidsMachine:
    """How much of the machine is used, or of a cluster."""

    n_procs: Annotated[
        int | None,
        typer.Option(
            "--n-procs",
            "--nprocs",
            min=0,
            metavar="N",
            show_default=False,
            rich_help_panel=MACHINE_PANEL,
            help="Scans at a time, at most; by default as many as processors, also those of a "
            "container. 0: one after the other in this process, to look for faults. Also "
            "--nprocs.",
        ),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            "--omp-nthreads",
            min=1,
            metavar="N",
            show_default=False,
            rich_help_panel=MACHINE_PANEL,
            help="Threads of each scan. By default the processors are divided among the scans; "
            "the maps do not depend on it. Also --omp-nthreads.",
        ),
    ] = None
    mem_mb: Annotated[
        float | None,
        typer.Option(
            "--mem-mb",
            metavar="MB",
            show_default=False,
            rich_help_panel=MACHINE_PANEL,
            help="Memory of all scans at a time, 10⁶ bytes: fewer are fitted at once if the "
            "largest would not fit. By default all, also that of a container.",
        ),
    ] = None
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask",
            metavar="ADDRESS",
            show_default=False,
            rich_help_panel=MACHINE_PANEL,
            help="Fit on the workers of a Dask cluster, by the address of its scheduler, like "
            "tcp://10.0.0.1:8786. They need the same files at the same paths.",
        ),
    ] = None
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="K/N",
            show_default=False,
            rich_help_panel=MACHINE_PANEL,
            help="Fit part K of N only: every N-th scan. For the jobs of a cluster.",
        ),
    ] = None
    prior_only: Annotated[
        bool,
        typer.Option(
            "--prior-only",
            rich_help_panel=MACHINE_PANEL,
            help="Take the samples of --prior shared and learn the prior; fit nothing. With "
            "--part, take the samples of that part.",
        ),
    ] = False
    slurm: Annotated[
        int | None,
        typer.Option(
            "--slurm",
            min=1,
            metavar="N",
            show_default=False,
            rich_help_panel=MACHINE_PANEL,
            help="Fit nothing; print a script for sbatch that does, N scans in each job.",
        ),
    ] = None
    portable_bits: PortableBits = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            rich_help_panel=MACHINE_PANEL,
            help="Fit nothing; list the scans, what belongs to them, and those left out.",
        ),
    ] = False
    stop_on_first_crash: Annotated[
        bool,
        typer.Option(
            "--stop-on-first-crash",
            rich_help_panel=MACHINE_PANEL,
            help="End at the first scan that fails. Otherwise the others go on.",
        ),
    ] = False


@dataclass(frozen=True)
class BidsOutput:
    """What is written."""

    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir",
            "-w",
            metavar="DIR",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Also keep each result as ivimkit fit writes it, in DIR/sub-01..., for ivimkit "
            "view, report and roi. Nothing else needs it.",
        ),
    ] = None
    reports: Annotated[
        bool,
        typer.Option(
            rich_help_panel=OUTPUT_PANEL,
            help="Write a report and figures of each scan; they take longer than most fits.",
        ),
    ] = True
    overwrite: Overwrite = False


Preprocess = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="auto|STEPS",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Steps before the fit, as of ivimkit preprocess: auto (what the scan needs), or a "
        "list like align,outliers.",
    ),
]
