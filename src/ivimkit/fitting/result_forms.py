"""The maps of a result as a data set of xarray, and as a table of pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.settings import FitSettings
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.labels import Labels
from ivimkit.status import explain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["AXES", "STATUS", "DatasetForm", "dataset_of", "form_of", "frame_of"]

AXES = ("x", "y", "z")
"""Names of the axes of an image."""

_CF_VERSION = "CF-1.11"
STATUS = "status"
"""Name of the status among the maps."""


@dataclass(frozen=True)
class DatasetForm:
    """Maps and status as the CF conventions describe them [1]_, without their values.

    Parameters
    ----------
    axes : tuple of str
        Names of the axes of the maps.
    variables : mapping of str to mapping
        Attributes of each map, and of the status.
    coordinates : mapping of str to tuple
        Where the voxels are along an axis: its name, positions in mm, and attributes.
    attributes : mapping of str to object
        Attributes of the whole: texts, numbers, or lists of them.

    References
    ----------
    .. [1] NetCDF Climate and Forecast (CF) Metadata Conventions, version 1.11.
       https://cfconventions.org
    """

    axes: tuple[str, ...]
    variables: Mapping[str, Mapping[str, Any]]
    coordinates: Mapping[str, tuple[str, NDArray[np.float64], Mapping[str, Any]]]
    attributes: Mapping[str, Any]


def form_of(
    names: Sequence[str],
    status: NDArray[np.int32],
    settings: FitSettings,
    geometry: Geometry,
    *,
    versions: Mapping[str, str],
    bvals: Sequence[float],
) -> DatasetForm:
    """Describe maps and status as the CF conventions do.

    Parameters
    ----------
    names : sequence of str
        The maps.
    status : ndarray of int, shape (...)
        The status map.
    settings : FitSettings
        How the fit was made.
    geometry : Geometry
        Where the voxels are.
    versions : mapping of str to str
        Versions of ivimkit and of the packages that computed.
    bvals : sequence of float
        b-values that were fitted, s/mm^2.

    Returns
    -------
    DatasetForm
    """
    model, method = settings.model, settings.method
    axes = axis_names(status.shape)
    flags = {flag: about for flag, about in explain(model).items() if flag}
    about_status = {
        "long_name": "status of the fit",
        "flag_masks": np.array(list(flags), dtype=status.dtype),
        "flag_meanings": " ".join(name for name, *_ in flags.values()),
    }
    return DatasetForm(
        axes,
        {**{name: _attributes_of(name, names, model) for name in names}, STATUS: about_status},
        _coordinates(axes, status.shape, geometry),
        {
            "Conventions": _CF_VERSION,
            "title": f"{model.title} by {method.title}",
            "source": f"ivimkit {versions.get('ivimkit', '')}".strip(),
            "equation": model.equation,
            "references": "; ".join((*model.references, *method.references)),
            "b_values": [float(b) for b in bvals],
            # xarray has no place for the position of an image; programs find it here.
            "affine": geometry.affine.ravel().tolist(),
        },
    )


def dataset_of(
    maps: Mapping[str, NDArray[np.float64]], status: NDArray[np.int32], form: DatasetForm
) -> xr.Dataset:
    """Return maps and status as a data set.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (...)
        The maps.
    status : ndarray of int, shape (...)
        The status map.
    form : DatasetForm
        Their description.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    OptionError
        If xarray is not installed.
    """
    try:
        import xarray as xr
    except ImportError:
        raise OptionError(
            "a data set needs xarray, which is not installed. Install it: "
            "pip install 'ivimkit[xarray]'"
        ) from None
    return xr.Dataset(
        {
            name: (form.axes, status if name == STATUS else maps[name], about)
            for name, about in form.variables.items()
        },
        coords=dict(form.coordinates),
        attrs=form.attributes,
    )


def axis_names(shape: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the axes of maps.

    Examples
    --------
    >>> from ivimkit.fitting.result_forms import axis_names
    >>> axis_names((8, 8, 2)), axis_names((5,)), axis_names(())
    (('x', 'y', 'z'), ('voxel',), ())
    """
    if len(shape) in (2, 3):
        return AXES[: len(shape)]
    return ("voxel",) if len(shape) == 1 else tuple(f"axis_{k}" for k in range(len(shape)))


def _coordinates(axes: Sequence[str], shape: Sequence[int], geometry: Geometry) -> dict[str, Any]:
    """Return where the voxels are along the axes of an image, mm from the first one."""
    if not axes or axes[0] != AXES[0]:
        return {}
    return {
        axis: (
            axis,
            edge * np.arange(n),
            {"units": "mm", "long_name": f"distance from the first voxel along axis {axis}"},
        )
        for axis, n, edge in zip(axes, shape, geometry.voxel_size, strict=False)
    }


def _attributes_of(name: str, names: Sequence[str], model: SignalModel) -> dict[str, Any]:
    about = describe(name, model.quantities)
    further = [name + ending for ending in ("_sd", "_lo", "_hi") if name + ending in names]
    return {
        "long_name": about.description,
        "units": cf_unit(about.unit),
        "ancillary_variables": " ".join([*further, STATUS]),
    }


def cf_unit(unit: str) -> str:
    """Return a unit as the CF conventions write it; a magnitude signal has none.

    Examples
    --------
    >>> from ivimkit.fitting.result_forms import cf_unit
    >>> cf_unit("mm^2/s"), cf_unit("")
    ('mm2 s-1', '1')
    """
    if not unit or unit.startswith("a.u."):
        return "1"
    over, *under = unit.split("/")
    factors = [] if over == "1" else [over.replace("^", "")]
    for one in under:
        base, _, power = one.partition("^")
        factors.append(f"{base}-{power or 1}")
    return " ".join(factors)


def frame_of(
    maps: Mapping[str, NDArray[np.float64]],
    status: NDArray[np.int32],
    mask: NDArray[np.bool_],
    model: SignalModel,
    labels: Labels | None,
) -> pd.DataFrame:
    """Return a table with one row per voxel of the mask, see `ivimkit.FitResult.to_dataframe`."""
    import pandas as pd

    axes = axis_names(status.shape)
    columns: dict[str, Any] = {}
    if labels is not None:
        numbers = labels.array[mask]
        columns["region"] = pd.Categorical([labels.names.get(int(n)) for n in numbers])
    for name in maps:
        columns[name] = np.atleast_1d(maps[name][mask])
    columns[STATUS] = np.atleast_1d(status[mask])
    table = pd.DataFrame(columns)
    if axes:
        table.index = pd.MultiIndex.from_arrays(np.nonzero(mask), names=axes)
    table.attrs["units"] = {name: describe(name, model.quantities).unit for name in maps}
    return table
