"""FitOptions: the options that say what is fitted, and how."""

# No postponed annotations, which are made anew for each command: an option is one object.

from dataclasses import dataclass
from typing import Annotated

import typer

from ivimkit.cli.options.completion import complete_choice, complete_parameter
from ivimkit.cli.options.plugin_names import (
    complete,
    method_names,
    model_names,
    organ_names,
    prior_names,
    uncertainty_names,
)
from ivimkit.cli.options.shared_options import MODEL_PANEL, SIGMA, MethodOptions, in_panel
from ivimkit.defaults import USUAL_METHOD

__all__ = ["BAYES_PANEL", "TRUST_PANEL", "Also", "FitOptions", "ModelOptions", "Organ"]

BAYES_PANEL = "Method bayes"
TRUST_PANEL = "The noise, and how sure the numbers are"

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


ModelName = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE",
        rich_help_panel=MODEL_PANEL,
        autocompletion=complete(model_names),
        help=f"Signal model: {', '.join(model_names())}, or a Python file that defines one.",
    ),
]


Also = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
        autocompletion=complete(method_names),
        help="Fit by this method, too, with its usual options, into DIR/also_NAME; "
        "ivimkit report DIR --also NAME shows both.",
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """The options of the model and of the method."""

    model: ModelName = "biexp"
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete(method_names),
            help=f"Fit method: {', '.join(method_names())}.",
        ),
    ] = USUAL_METHOD
    option: MethodOptions = None


@dataclass(frozen=True)
class FitOptions(ModelOptions):
    """All options of a fit: those of the model and the method come first."""

    b_split: Annotated[
        float | None,
        typer.Option(
            metavar="B",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="Threshold of segmented and loglinear: perfusion is assumed to be gone from this "
            "b-value on. Short for --option b_split=B.",
        ),
    ] = None
    organ: Organ = None
    bounds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW:HIGH",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete_parameter,
            help="Bounds of a parameter, like D=0:5e-3 (mm²/s) or f=0:0.5. Repeatable.",
        ),
    ] = None
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE|FILE",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete_parameter,
            help="Fix a parameter, like D_star=0.02, or to a map, placed by position and looked "
            "for next to each scan: D=D.nii.gz. Repeatable.",
        ),
    ] = None
    start: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            autocompletion=complete_parameter,
            help="Starting value, for methods that use one (trr), like D_star=0.03. Repeatable.",
        ),
    ] = None
    adc_bvalues: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
            help="b-values of the ADC map, like 0,400,800. By default all.",
        ),
    ] = None
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            show_default=False,
            rich_help_panel=BAYES_PANEL,
            autocompletion=complete(prior_names),
            help=f"Prior: {', '.join(prior_names())}, or the prior.npz of an "
            "earlier result. By default auto: local if voxels have neighbours, else learned, or "
            "for too few voxels organ or flat. organ is that of --organ.",
        ),
    ] = None
    estimate: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            rich_help_panel=BAYES_PANEL,
            autocompletion=complete_choice("mean", "median", "mode"),
            help="Posterior estimate that the maps show: mean (the default), median or mode.",
        ),
    ] = None
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            rich_help_panel=BAYES_PANEL,
            help="Label image: each region learns a separate prior, so that a lesion is not "
            "drawn towards the tissue around it. Looked for next to each scan. Needs --mask.",
        ),
    ] = None
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            show_default=False,
            rich_help_panel=TRUST_PANEL,
            autocompletion=complete_choice("gaussian", "rician", "chi"),
            help="Noise distribution: rician (magnitudes), gaussian; for varpro also chi. "
            "By default gaussian for varpro and rician for bayes.",
        ),
    ] = None
    coils: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            show_default=False,
            rich_help_panel=TRUST_PANEL,
            help="Number of coils combined as root of the sum of squares, for --noise chi.",
        ),
    ] = None
    robust: Annotated[
        bool,
        typer.Option(
            "--robust",
            rich_help_panel=TRUST_PANEL,
            help="First look for volumes and single values that do not belong, such as dropouts, "
            "and leave them out (methods varpro and bayes). Short for --option robust=yes.",
        ),
    ] = False
    uncertainty: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:OPTION=VALUE]",
            show_default=False,
            rich_help_panel=TRUST_PANEL,
            autocompletion=complete(uncertainty_names),
            help="Also write standard deviations and 95 % limits of the maps (D_sd, D_lo, "
            f"D_hi), found by: {', '.join(uncertainty_names())}. With options, like "
            "bootstrap:n=500 or profile:parameters=D+f.",
        ),
    ] = None
    sigma: Annotated[str | None, in_panel(SIGMA, TRUST_PANEL)] = None
