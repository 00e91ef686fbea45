"""Voxel answer: the data that the page shows for one voxel, or for a mean signal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import curve
from ivimkit.extend.derived_maps import describe as describe_map
from ivimkit.extend.derived_maps import is_about_another
from ivimkit.extend.signal_model import SignalModel
from ivimkit.figures.map_style import how_to_show
from ivimkit.fitting.decay_curves import fitted_x, mean_over_directions
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.spectra import Spectrum, spectrum_of
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.parameter import RATE_UNIT
from ivimkit.rounding import how_shown, limits, with_error
from ivimkit.scan.acquisition import Series
from ivimkit.scan.directions import distinct_directions, needs_directions
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import points
from ivimkit.status import WITHOUT_FIT, FitStatus, describe, explain
from ivimkit.viewer.shown_grid import is_large
from ivimkit.viewer.study import Study
from ivimkit.viewer.voxel_box import scan_inside

__all__ = ["describe_voxel", "fit_entry", "one_voxel", "values_of"]

_POINTS = 201


def describe_voxel(study: Study, voxel: Sequence[int]) -> dict[str, Any]:
    """Return signal, curves, residuals, estimates and status of one voxel.

    Parameters
    ----------
    study : Study
        The study.
    voxel : sequence of int
        x, y and z.

    Returns
    -------
    dict

    Raises
    ------
    OptionError
        If there is no such voxel.
    """
    index = study.index(voxel)
    scans = [result.dwi for result in study.results]
    alone = [None if scan is None else one_voxel(scan, index) for scan in scans]
    fits = []
    for number, (result, name) in enumerate(zip(study.results, study.names, strict=True)):
        values, code = result.at(index), int(result.status[index])
        entry = fit_entry(result, values, code, alone[number])
        if result.spectra is not None and alone[number] is None:
            entry["spectrum"] = _spectrum(result.spectrum(index))
        fits.append({"id": str(number), "name": name, **entry})
    world = study.geometry.affine @ [*voxel, 1.0]
    return {
        "voxel": list(voxel),
        "world": world[:3],
        "measured": None if alone[0] is None else measured(alone[0]),
        "averaged": None if alone[0] is None else averaged(alone[0]),
        "fits": fits,
    }


def one_voxel(dwi: DWI, index: tuple[int, ...]) -> DWI:
    """Return a scan of one voxel, averaged like the scan it comes from."""
    alone = dwi
    if is_large(dwi.shape):
        # All of it would be searched for missing values.
        alone = scan_inside(dwi, tuple(slice(i, i + 1) for i in index))
    weights = alone.weights_at(index if alone is dwi else (0,) * len(index))
    return DWI(
        np.asarray(dwi.stored[index])[np.newaxis],
        dwi.acquisition,
        average=dwi.average,
        volumes=dwi.volumes,
        weights=weights,
        averages=dwi.averages,
        history=dwi.history,
    )


def measured(alone: DWI) -> dict[str, Any]:
    """Return every volume of a scan of one voxel."""
    return {"b": alone.acquisition.bvals, "signal": np.asarray(alone.signal[0], np.float64)}


def averaged(alone: DWI) -> dict[str, Any]:
    """Return the signal of a scan of one voxel as it is fitted."""
    return {
        "b": alone.fit_bvals,
        "signal": values_of(alone),
        "series": [
            {"name": one.text, "members": one.members} for one in alone.fit_series if one.text
        ],
    }


def values_of(alone: DWI) -> NDArray[np.float64]:
    """Return the averaged signal of a scan of one voxel, shape (n_b,), a.u."""
    out = np.empty((1, len(alone.fit_bvals)))
    alone.voxels().read(0, 1, out)
    return np.asarray(out[0])


def fit_entry(
    result: FitResult, values: Mapping[str, float], code: int, alone: DWI | None
) -> dict[str, Any]:
    """Return the data that the page shows for one fit of one signal.

    Parameters
    ----------
    result : FitResult
        The fit.
    values : mapping of str to float
        Its maps at the voxel.
    code : int
        Its status at the voxel.
    alone : DWI or None
        The signal, as a scan of one voxel; without it there are no residuals.

    Returns
    -------
    dict
        ``curve`` with ``components``, ``residuals``, ``estimates``, ``status`` and, of method nnls
        and a signal, ``spectrum``.
    """
    params = [values[name] for name in result.model.names]
    highest = float(max(result.acquisition.bvals))
    # Finer where blood decays: steps of 4 s/mm² would show corners there.
    dense = highest * np.linspace(0.0, 1.0, _POINTS) ** 2
    series = result.acquisition.series
    directions = _directions(result)
    drawn = {
        "b": dense,
        "signal": _signal(result.model, params, dense, series[0], directions),
        "components": _components(result.model, params, dense, series[0], directions),
        "settings": _further_curves(result.model, params, dense, series, directions),
    }
    residuals, spectrum = None, None
    if alone is not None and isinstance(result.method, SpectralMethod) and not code & WITHOUT_FIT:
        weight = result.provenance.counts
        spectrum = _spectrum(
            spectrum_of(values_of(alone), alone.fit_bvals, weight, result.model, result.method)
        )
    if alone is not None:
        b = alone.fit_bvals
        residual = values_of(alone) - curve(
            result.model, params, fitted_x(result.model.variables, alone)
        )
        residuals = {"b": b, "residual": residual}
    return {
        "model": result.model.name,
        "method": result.method.name,
        "curve": drawn,
        "residuals": residuals,
        "estimates": _estimates(result, values),
        "status": _status(result, code),
        "spectrum": spectrum,
    }


def _spectrum(spectrum: Spectrum) -> dict[str, Any] | None:
    """Return the data of a spectrum that the page shows; None if there is no signal."""
    if not np.isfinite(spectrum.shares).all():
        return None
    unit, factor = how_shown(RATE_UNIT)
    return {
        "rates": factor * spectrum.rates,
        "shares": spectrum.shares,
        "unit": unit,
        "windows": [
            {"symbol": one.symbol, "low": factor * one.low, "high": factor * one.high}
            for one in spectrum.windows
        ],
        "peaks": [
            {"rate": factor * peak.rate, "fraction": peak.fraction} for peak in spectrum.peaks
        ],
    }


def _directions(result: FitResult) -> NDArray[np.float64] | None:
    """Return the directions of the scan, if the model depends on them."""
    if not needs_directions(result.model.variables):
        return None
    return distinct_directions(result.acquisition.direction_vectors())


def _signal(
    model: SignalModel,
    params: Sequence[float],
    b: NDArray[np.float64],
    series: Series,
    directions: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Return the fitted signal over b; NaN if another variable of the model has several values.

    Of a model of the direction it is the mean over the directions of the scan.
    """
    if directions is not None:
        return mean_over_directions(model, params, series, directions, b)
    if not series.determines(model.variables):
        return np.full(b.size, np.nan)
    return curve(model, params, points(model.variables, series.at(b)))


def _further_curves(
    model: SignalModel,
    params: Sequence[float],
    b: NDArray[np.float64],
    series: Sequence[Series],
    directions: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    """Return one curve per series of settings; none if one curve is that of all."""
    if len(series) == 1 or tuple(model.variables) == ("b",):
        return []
    return [
        {"name": one.text, "signal": _signal(model, params, b, one, directions)} for one in series
    ]


def _components(
    model: SignalModel,
    params: Sequence[float],
    b: NDArray[np.float64],
    series: Series,
    directions: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    """Return what each compartment adds to the signal; nothing of a model with one of them."""
    # Of the model itself, with all of the signal in one compartment: the reference first.
    alone = reversed(model.components(params).items())
    return [
        {"name": name, "signal": _signal(model, own, b, series, directions)} for name, own in alone
    ]


def _estimates(result: FitResult, values: Mapping[str, float]) -> list[dict[str, Any]]:
    parameters = result.model.quantities
    estimates = [name for name in values if not is_about_another(name, values)]
    further = result.model.further_maps
    first = dict.fromkeys((*result.model.names, "ADC", *further, "rmse", "r2"))
    order = [name for name in first if name in estimates]
    noted = result.model.parameter_maps
    rows = []
    for name in [*order, *(name for name in estimates if name not in order)]:
        shown = how_to_show(name, parameters, [])
        sd = values.get(f"{name}_sd", math.nan)
        rows.append(
            {
                "name": name,
                "symbol": shown.symbol,
                "noted": name in noted,
                "value": values[name],
                "sd": sd,
                "lo": values.get(f"{name}_lo", math.nan),
                "hi": values.get(f"{name}_hi", math.nan),
                "limits": limits(
                    describe_map(name, parameters),
                    values.get(f"{name}_lo", math.nan),
                    values.get(f"{name}_hi", math.nan),
                ),
                "bits": values.get(f"{name}_bits", math.nan),
                "text": with_error(values[name] * shown.factor, sd * shown.factor),
                "factor": shown.factor,
                "unit_shown": shown.unit,
            }
        )
    return rows


def _status(result: FitResult, code: int) -> dict[str, Any]:
    flags = {flag: name for flag, (name, _, _) in explain(result.model).items()}
    names = [name for flag, name in flags.items() if flag & code]
    return {
        "code": code,
        "names": names or [flags[int(FitStatus.OK)]],
        "sentence": describe(code, result.model),
    }
