"""ivimkit simulate: a digital phantom with its true maps."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ivimkit.cli.options.artefact_options import ArtefactOptions
from ivimkit.cli.options.fit_options import ModelName
from ivimkit.cli.options.protocol_options import ProtocolOptions
from ivimkit.cli.options.shared_options import (
    SCAN_PANEL,
    Overwrite,
    ScreenOptions,
    Seed,
    out_option,
)

__all__ = ["Kind", "Noise", "simulate"]

_DEFAULT_MODEL = "biexp"
TEXTURE_PANEL = "Texture and lesions"

# As in cli/options: the tests compare these with those of ivimkit.simulate.


class Kind(StrEnum):
    """Choices of the phantom."""

    abdomen = "abdomen"
    brain = "brain"


class Noise(StrEnum):
    """Choices of --noise."""

    rician = "rician"
    gaussian = "gaussian"
    none = "none"


Shape = Annotated[
    str,
    typer.Option(
        metavar="X,Y,Z", rich_help_panel=SCAN_PANEL, help="Matrix; values and places stay."
    ),
]
Snr = Annotated[
    float,
    typer.Option(
        metavar="N",
        rich_help_panel=SCAN_PANEL,
        help="S0 of the first tissue (liver, grey matter) by the noise of one volume.",
    ),
]
Texture = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=SD,...",
        rich_help_panel=TEXTURE_PANEL,
        help="Variation inside tissues: standard deviation of ln NAME; or the word default.",
    ),
]
TextureSmooth = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        rich_help_panel=TEXTURE_PANEL,
        help="Smooth share of its variance, 0 to 1; by default 0.5.",
    ),
]
TextureFwhm = Annotated[
    float | None,
    typer.Option(metavar="MM", rich_help_panel=TEXTURE_PANEL, help="Its size; by default 15 mm."),
]
Lesions = Annotated[
    str | None,
    typer.Option(
        metavar="MM,MM,...",
        rich_help_panel=TEXTURE_PANEL,
        help="Radii of small lesions in liver or white matter, one for each.",
    ),
]


def simulate(
    *,
    kind: Annotated[Kind, typer.Argument(help="What to simulate.")] = Kind.abdomen,
    shape: Shape = "128,96,10",
    model: ModelName = _DEFAULT_MODEL,
    protocol: ProtocolOptions,
    snr: Snr = 40.0,
    noise: Annotated[
        Noise,
        typer.Option(
            metavar="KIND",
            rich_help_panel=SCAN_PANEL,
            help="rician, gaussian, or none for the signal without noise.",
        ),
    ] = Noise.rician,
    averages: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            rich_help_panel=SCAN_PANEL,
            help="Noisy acquisitions behind each volume.",
        ),
    ] = 1,
    seed: Seed = 0,
    texture: Texture = None,
    texture_smooth: TextureSmooth = None,
    texture_fwhm: TextureFwhm = None,
    lesions: Lesions = None,
    artefacts: ArtefactOptions,
    out: Annotated[
        Path | None,
        out_option("DIR", "Where to. By default phantom_abdomen or phantom_brain."),
    ] = None,
    overwrite: Overwrite = False,
    screen: ScreenOptions,
) -> None:
    """Simulate a scan whose true maps are known.

    Writes dwi.nii.gz with dwi.bval, mask.nii.gz, labels.nii.gz (tissues), the
    true maps true_S0, true_f, true_D_star and true_D, or those of --model
    (NaN where tissues mix), and phantom.json: all settings, and the values of
    each tissue with sources. Directions and other variables of the volumes
    become dwi.bvec and dwi_volumes.tsv. For a scan with motion, drift, drop-outs
    or ringing, phantom.json also says what happened to each volume;
    body.nii.gz is everything inside the skin, and true_displacement.nii.gz
    how far breathing moved each voxel.

    [bold]Examples[/bold]

      ivimkit simulate abdomen --out phantom
      ivimkit simulate brain --snr 20 --shape 96,112,12 --bvals 0,10,50,200,800

      ivimkit simulate --model ./mine.py --variables protocol.tsv
      ivimkit simulate --texture default --lesions 4,4,8
      ivimkit simulate --motion rigid:5 --drift 5 --dropouts 13
    """
    # Here and not above: --help must not wait for numpy.
    from ivimkit.cli.jobs.simulate_files import PhantomFiles
    from ivimkit.cli.options.artefact_input import ArtefactInput
    from ivimkit.cli.options.protocol_input import ProtocolInput
    from ivimkit.cli.screen.terminal import Screen

    files = PhantomFiles(
        kind=kind.value,
        shape=shape,
        model=model,
        protocol=ProtocolInput(**vars(protocol)),
        snr=snr,
        noise=noise.value,
        averages=averages,
        seed=seed,
        texture=texture,
        texture_smooth=texture_smooth,
        texture_fwhm=texture_fwhm,
        lesions=lesions,
        artefacts=ArtefactInput(**vars(artefacts)),
    )
    folder = out or Path(f"phantom_{kind.value}")
    files.write(folder, overwrite=overwrite)
    Screen(**vars(screen)).show(
        f"{kind.value} phantom in {folder}; fit it with",
        f"ivimkit fit {folder / 'dwi.nii.gz'} --mask {folder / 'mask.nii.gz'}"
        + ("" if model == _DEFAULT_MODEL else f" --model {model}"),
    )
