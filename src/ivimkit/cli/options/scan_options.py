"""ScanOptions: the options that say which files make a scan, and which of its volumes count."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.shared_options import DICOM_PANEL, SCAN_PANEL, VOLUME_PANEL

__all__ = [
    "Average",
    "AverageOption",
    "BUnit",
    "Bmax",
    "Bmin",
    "DropIncomplete",
    "Images",
    "ImagesOption",
    "KeptBvals",
    "ScanOptions",
    "Scans",
    "Select",
    "SeriesOption",
    "Tolerance",
    "UnitOfB",
    "Weights",
]


class Average(StrEnum):
    """Choices of --average."""

    auto = "auto"
    geometric = "geometric"
    arithmetic = "arithmetic"
    none = "none"


class Images(StrEnum):
    """Choices of --images."""

    auto = "auto"
    directions = "directions"
    trace = "trace"


class BUnit(StrEnum):
    """Choices of --b-unit."""

    s_mm2 = "s/mm2"
    ms_um2 = "ms/um2"
    s_cm2 = "s/cm2"


Scans = Annotated[
    list[Path],
    typer.Argument(
        metavar="SCAN",
        show_default=False,
        help="4-D NIfTI files (.nii, .nii.gz), folders or ZIP archives of DICOM, Zarr stores or "
        "HDF5 files (FILE::PATH for one array of several), one after the other. Any file may be "
        "at an address: https://, s3:// or gs://.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="LIST|FILE",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Weight of each volume that is used (or of each b-value), in its average and in the "
        "fit: numbers like 1,1,2 or a file of them. 0 leaves a volume out. Or a 4-D image with a "
        "weight for each value, looked for next to each scan: 0 leaves that value out.",
    ),
]


EchoTimes = Annotated[
    str | None,
    typer.Option(
        "--te",
        metavar="LIST",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Echo times in ms: one for each volume, like 50,50,75,75, or one for all.",
    ),
]
UnitOfB = Annotated[
    BUnit,
    typer.Option(
        "--b-unit",
        metavar="UNIT",
        rich_help_panel=SCAN_PANEL,
        help="Unit of the b-values, in the file and in options: s/mm2, ms/um2 (0 to about 3) "
        "or s/cm2.",
    ),
]

SeriesOption = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="LIST",
        show_default=False,
        rich_help_panel=DICOM_PANEL,
        help="The series of the scan, by number or UID, like 5 or 5,7; several become one scan. "
        "ivimkit dicom list shows them. Needed where a folder contains several scans.",
    ),
]
ImagesOption = Annotated[
    Images,
    typer.Option(
        "--images",
        metavar="WHICH",
        rich_help_panel=DICOM_PANEL,
        help="Of a scan that has both: its directions or their means (trace). auto uses the "
        "directions.",
    ),
]
DropIncomplete = Annotated[
    bool,
    typer.Option(
        "--drop-incomplete",
        rich_help_panel=DICOM_PANEL,
        help="Leave out volumes with missing or doubled slices, which are an error otherwise.",
    ),
]

Axes = Annotated[
    str | None,
    typer.Option(
        "--axes",
        metavar="LETTERS",
        show_default=False,
        rich_help_panel=SCAN_PANEL,
        help="Of an array of Zarr or HDF5: which axis is which, like bzyx (b for the volumes, _ "
        "for an axis of length 1). By default by their names, or xyzb.",
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
KeptBvals = Annotated[
    str | None,
    typer.Option(
        "--bvals",
        metavar="LIST",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Use these b-values only, like 0,50,100,800: of each the nearest, within 3 %.",
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        "--select",
        metavar="CONDITION",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="Use volumes only that meet a condition on b (s/mm²) and the other variables, "
        "like \"echo_time == 75 and b <= 400\" or \"gradient in ('bipolar', 'none')\".",
    ),
]
AverageOption = Annotated[
    Average,
    typer.Option(
        "--average",
        metavar="HOW",
        rich_help_panel=VOLUME_PANEL,
        help="Mean of the volumes of a b-value: geometric, arithmetic, auto (geometric across "
        "directions, arithmetic across repeats) or none (every volume on its own).",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        metavar="B",
        show_default=False,
        rich_help_panel=VOLUME_PANEL,
        help="b-values with gaps up to this form one shell. By default less than 1 s/mm², or "
        "2 % about their middle.",
    ),
]


@dataclass(frozen=True)
class ScanOptions:
    """The options of every command that reads scans."""

    bval: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|LIST",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="b-values: a file, or numbers like 0,10,20. By default the file next to the "
            "scan: dwi.bval for dwi.nii.gz.",
        ),
    ] = None
    bvec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Directions. By default the .bvec file next to the scan, if there is one.",
        ),
    ] = None
    variables: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="What else differs from volume to volume (echo_time, diffusion_time, ...): a TSV "
            "or CSV file with a header and one row per volume. By default dwi_volumes.tsv next to "
            "dwi.nii.gz, and lists in its JSON sidecar.",
        ),
    ] = None
    te: EchoTimes = None
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[:REGIONS]|auto",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="Fit only voxels where this image is above 0, placed by position; looked for "
            "next to each scan, then in the working directory. FILE:liver,spleen takes regions of "
            "a label image by name or number. auto, auto:body or auto:brain finds the tissue. By "
            "default all voxels.",
        ),
    ] = None
    b_unit: UnitOfB = BUnit.s_mm2
    stack: Annotated[
        bool,
        typer.Option(
            "--stack",
            rich_help_panel=SCAN_PANEL,
            help="The SCANs are the 3-D volumes of one scan, in the order of the b-values, or the "
            "DICOM files of one.",
        ),
    ] = False
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            rich_help_panel=SCAN_PANEL,
            help="Refuse a scan whose volumes and b-values cannot both be right (exit code 2), "
            "where a warning is given otherwise.",
        ),
    ] = False
    series: SeriesOption = None
    images: ImagesOption = Images.auto
    drop_incomplete: DropIncomplete = False
    axes: Axes = None
    bmin: Bmin = None
    bmax: Bmax = None
    bvals: KeptBvals = None
    volumes: Annotated[
        str | None,
        typer.Option(
            metavar="LIST|FILE",
            show_default=False,
            rich_help_panel=VOLUME_PANEL,
            help="Use these volumes only, counted from 0, like 0-8,10 or 0-40:2 (every second "
            "one), or a file of numbers.",
        ),
    ] = None
    select: Select = None
    average: AverageOption = Average.auto
    averages: Annotated[
        str | None,
        typer.Option(
            metavar="N|LIST|COLUMN",
            show_default=False,
            rich_help_panel=VOLUME_PANEL,
            help="Number of magnitude images whose mean each volume of the file is, like 6: one "
            "for all, one for each volume that is used (or each b-value), or a column of the "
            "table of volumes. By default the column averages, or 1.",
        ),
    ] = None
    tolerance: Tolerance = None
