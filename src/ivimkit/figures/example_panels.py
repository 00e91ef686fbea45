"""Example panels: small curves of a few voxels side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ivimkit.errors import OptionError
from ivimkit.figures.decay_axes import Decay, decay_panels
from ivimkit.figures.map_style import how_to_show
from ivimkit.figures.voxel_plot import averages_of, checked_voxel
from ivimkit.fitting.decay_curves import decay_curves
from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI

__all__ = ["example_panels"]


def example_panels(
    result: FitResult,
    voxels: Mapping[str, tuple[int, ...]],
    *,
    dwi: DWI | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the signal of some voxels, the fit and its residuals.

    Parameters
    ----------
    result : FitResult
        The fit.
    voxels : mapping of str to tuple of int
        Index of each voxel, by name, e.g. from `ivimkit.quality.example_voxels`.
    dwi : DWI, optional
        The scan; by default that of the result.
    title : str, optional
        Title of the page; none by default.

    Returns
    -------
    matplotlib.figure.Figure
        Per voxel the averaged signal on a logarithmic axis with the estimates, above the
        residuals.

    Raises
    ------
    OptionError
        If there is no scan, no voxel is given, or there is no such voxel.
    ShapeError
        If the scan does not belong to the result.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> result = ik.fit(made.dwi)
    >>> figure = ik.report.example_panels(result, {"liver": (8, 12, 0)})
    >>> figure.axes[0].get_title()
    'liver (8, 12, 0)'
    """
    scan = result.scan(dwi)
    if not voxels:
        raise OptionError("there is no voxel to draw; expected at least one, by name")
    indices = {name: checked_voxel(voxel, result.shape) for name, voxel in voxels.items()}
    names = list(dict.fromkeys([*result.model.names, *_noted(result)]))
    # Each look-up of a map spreads it over the volume: look up once.
    maps = {name: result.maps[name] for name in names if name in result.maps}
    values = {
        label: {name: float(stored[index]) for name, stored in maps.items()}
        for label, index in indices.items()
    }
    decays = [
        Decay(
            name=f"{label} ({', '.join(map(str, index))})",
            bvals=scan.fit_bvals,
            signal=averages_of(scan, index),
            predict=None,
            curves=decay_curves(
                result.model, [values[label][name] for name in result.model.names], scan
            ),
            note=_note(result, values[label]),
        )
        for label, index in indices.items()
    ]
    return decay_panels(decays, title or "")


def _noted(result: FitResult) -> tuple[str, ...]:
    """Return the maps whose values are written next to a decay, the ADC last."""
    adc, *others = result.model.parameter_maps
    return (*others, adc)


def _note(result: FitResult, values: Mapping[str, float]) -> str:
    lines = []
    for name in _noted(result):
        if name in values and np.isfinite(values[name]):
            shown = how_to_show(name, result.model.quantities, [])
            unit = f"·{shown.unit}" if shown.unit else ""
            lines.append(f"{shown.symbol} = {shown.text(values[name])}{unit}")
    return "\n".join(lines)
