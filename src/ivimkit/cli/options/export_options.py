"""DicomOutput, ExportOptions: what of a result is written as DICOM, and how."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_maps, complete_region
from ivimkit.cli.options.scan_options import SeriesOption
from ivimkit.cli.options.shared_options import DICOM_PANEL, OUTPUT_PANEL, REGION_PANEL

__all__ = ["DicomOutput", "ExportOptions"]


@dataclass(frozen=True)
class DicomOutput:
    """The kinds of output, the maps, the patient and the identifiers."""

    kinds: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="LIST",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Kinds of output, some of mr,pm,seg,sr,sc. By default mr,pm,sc, and with "
            "--labels seg,sr. sr brings seg along, which it refers to.",
        ),
    ] = None
    maps: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            autocompletion=complete_maps,
            help="Maps to write, like D,f,D_sd. By default those that figures show.",
        ),
    ] = None
    anonymous: Annotated[
        bool,
        typer.Option(
            "--anonymous",
            rich_help_panel=OUTPUT_PANEL,
            help="Leave out name, number, birth date, sex, age and size of the patient, and the "
            "number, description, accession number and physician of the study. UIDs and dates "
            "stay.",
        ),
    ] = False
    first_series: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Number of the first series. By default 100 times that of the scan, plus 1.",
        ),
    ] = None
    uid_root: Annotated[
        str | None,
        typer.Option(
            metavar="UID",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Root of the UIDs of your organisation. By default 2.25.",
        ),
    ] = None


@dataclass(frozen=True)
class ExportOptions(DicomOutput):
    """The options of an export: those of the output come first."""

    lesion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            autocompletion=complete_region,
            help="Region that the picture shows close up, on image and maps. By default it shows "
            "the maps.",
        ),
    ] = None
    template: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            show_default=False,
            rich_help_panel=DICOM_PANEL,
            help="DICOM images that the scan was converted from, if it was fitted from NIfTI. The "
            "report then has no 95 % limits.",
        ),
    ] = None
    series: SeriesOption = None
