"""ReportOptions: the options that say what a report contains, and where it is written."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_region
from ivimkit.cli.options.plugin_names import complete, method_names
from ivimkit.cli.options.result_options import (
    GAP,
    REFERENCE,
    CountReliable,
    FittedBval,
    FittedModel,
    RegionFiles,
)
from ivimkit.cli.options.shared_options import (
    OUTPUT_PANEL,
    REGION_PANEL,
    SCAN_PANEL,
    Overwrite,
    ShownUnreliable,
    Unreliable,
    in_panel,
    out_option,
)

__all__ = ["ReportOptions"]


@dataclass(frozen=True)
class ReportOptions(RegionFiles):
    """The regions and the lesion, the files that go with the results, and the page."""

    lesion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            autocompletion=complete_region,
            help="Region to look at: its name or number, or the mask file's name without ending.",
        ),
    ] = None
    reference: Annotated[str | None, in_panel(REFERENCE, REGION_PANEL)] = None
    ring: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            show_default=False,
            rich_help_panel=REGION_PANEL,
            help="Compare with a ring of this width around the lesion, inside the fitted mask or "
            "--reference. By default 10, without --reference.",
        ),
    ] = None
    gap: Annotated[float, in_panel(GAP, REGION_PANEL)] = 5.0
    reliable: CountReliable = None
    also: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            autocompletion=complete(method_names),
            help="Show the maps by this other method side by side, if ivimkit fit was called with "
            "--also NAME.",
        ),
    ] = None
    scan: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=SCAN_PANEL,
            help="The scan, for images, curves and residuals. By default the file that was "
            "fitted, if it is still there and unchanged. Give it twice if the second result has "
            "another.",
        ),
    ] = None
    bval: FittedBval = None
    model: FittedModel = None
    out: Annotated[
        Path | None,
        out_option(
            "FILE",
            "The page. By default RESULT/report.html; of two results, comparison.html next "
            "to the first.",
        ),
    ] = None
    pdf: Annotated[
        bool,
        typer.Option(
            "--pdf",
            rich_help_panel=OUTPUT_PANEL,
            help="Also write a PDF file beside the page: A4, the summary on the first page. Needs "
            "Chromium, Chrome or Edge, or the extra pdf (WeasyPrint).",
        ),
    ] = False
    overwrite: Overwrite = False
    title: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
            help="Title of the page. By default the model.",
        ),
    ] = None
    unreliable: ShownUnreliable = Unreliable.fade
    show_names: Annotated[
        bool,
        typer.Option(
            "--show-names",
            rich_help_panel=OUTPUT_PANEL,
            help="Show names of files and folders and the command that was typed. By default they "
            "are left out: they may contain the name of a patient.",
        ),
    ] = False
    open_: Annotated[
        bool,
        typer.Option("--open", rich_help_panel=OUTPUT_PANEL, help="Open the page in a browser."),
    ] = False
