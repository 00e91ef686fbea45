"""Figures of a result as PNG files, in the folder figures/ of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ivimkit import quality, report
from ivimkit.fitting.result import FitResult
from ivimkit.io.result_names import FIGURES
from ivimkit.organs import OrganPreset
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels
from ivimkit.writing import Files, write_folder

__all__ = [
    "FIGURES",
    "draw_result",
    "draw_screening",
    "draw_spectra",
    "draw_trust",
    "figures_to_save",
    "write_figures",
]


class Drawing(Protocol):
    """Anything that can be saved as a picture: a matplotlib figure."""

    def savefig(self, fname: Any, *, dpi: Any, pil_kwargs: dict[str, Any]) -> None:
        """Save the picture."""
        ...


def draw_result(
    result: FitResult, dwi: DWI | None, organ: OrganPreset | None, *, unreliable: str = "fade"
) -> dict[str, Drawing]:
    """Draw the figures that every fit gets.

    Parameters
    ----------
    result : FitResult
        The fit.
    dwi : DWI, optional
        The scan, for the images next to the maps.
    organ : OrganPreset, optional
        Whose display ranges to use.
    unreliable : {"fade", "hide", "show"}
        How voxels that are not reliable are shown.

    Returns
    -------
    dict of str to figure
        By file name.
    """
    limits = None if organ is None else organ.display
    return {
        "maps.png": report.map_panels(result, dwi, limits=limits, unreliable=unreliable),
        "status.png": report.status_panels(result),
        "histograms.png": report.histograms(result, limits=limits, unreliable=unreliable),
        **_draw_methods(result, limits, unreliable),
        **draw_trust(result),
        **draw_spectra(result, dwi),
        **draw_screening(result),
    }


def _draw_methods(
    result: FitResult, limits: Mapping[str, tuple[float, float]] | None, unreliable: str
) -> dict[str, Drawing]:
    """Draw the maps by both methods on the same scales, if the fit has two."""
    if result.also is None:
        return {}
    both = {one.method.name: one for one in (result, result.also)}
    return {"methods.png": report.compare_methods(both, limits=limits, unreliable=unreliable)}


def draw_spectra(
    result: FitResult, dwi: DWI | None, labels: Labels | None = None
) -> dict[str, Drawing]:
    """Draw the spectra of example voxels and of the mean signals of regions, of method nnls.

    Parameters
    ----------
    result : FitResult
        The fit.
    dwi : DWI, optional
        The scan, without which there are no spectra.
    labels : Labels, optional
        The regions.

    Returns
    -------
    dict of str to figure
        By file name; empty for other methods.
    """
    spectra = quality.example_spectra(replace(result, dwi=dwi), labels)
    return {"spectra.png": report.spectrum_panels(spectra)} if spectra else {}


def draw_trust(
    result: FitResult,
    *,
    slices: Sequence[int] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Drawing]:
    """Draw the uncertainty and the prior, if the fit has them.

    Parameters
    ----------
    result : FitResult
        The fit.
    slices : sequence of int, optional
        Slices to show.
    limits : mapping of str to tuple of float, optional
        Ranges of maps.

    Returns
    -------
    dict of str to figure
        By file name; empty for a fit without uncertainty.
    """
    found: dict[str, Drawing] = {}
    if any(name != "S0" and name in result.sd for name in result.model.names):
        found["uncertainty.png"] = report.uncertainty_panels(result, slices=slices, limits=limits)
    for region, table in result.priors.items():
        name = "prior.png" if region == "all" else f"prior_{region}.png"
        if table.varies:
            found[name] = report.prior_panels(table)
    return found


def draw_screening(result: FitResult) -> dict[str, Drawing]:
    """Draw which volumes and values were left out, if the fit looked for them.

    Parameters
    ----------
    result : FitResult
        The fit.

    Returns
    -------
    dict of str to figure
        By file name; empty for a fit without screen, or a scan that could not be judged.
    """
    found = result.screening
    if found is None or not found.is_judged:
        return {}
    return {"screening.png": report.screening_panels(found)}


def write_figures(
    folder: Path,
    figures: Mapping[str, Drawing],
    *,
    dpi: float | None = None,
) -> list[Path]:
    """Write figures into a folder: all or none.

    Parameters
    ----------
    folder : Path
        Output folder; created if needed. Figures of the same names are replaced.
    figures : mapping of str to figure
        By file name.
    dpi : float, optional
        Resolution; by default that of the figure.

    Returns
    -------
    list of Path
        The files.
    """
    write: Callable[[Path], None] = partial(_save_all, figures, dpi)
    write_folder(folder, list(figures), write)
    return [folder / name for name in figures]


def figures_to_save(figures: Mapping[str, Drawing]) -> Files:
    """Return figures as files that are saved together with their result.

    Parameters
    ----------
    figures : mapping of str to figure
        By file name.
    """

    def write(folder: Path) -> None:
        _save_all(figures, None, folder / FIGURES)

    return Files([f"{FIGURES}/{name}" for name in figures], write)


def _save_all(figures: Mapping[str, Drawing], dpi: float | None, folder: Path) -> None:
    # Level 1 takes two fifths of the time of the usual 6, for files that are 9 % larger.
    quick = {"compress_level": 1}
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi="figure" if dpi is None else dpi, pil_kwargs=quick)
