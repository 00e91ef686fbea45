"""The maps of a result as a data set of xarray, and as a table of pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.derived_maps import describe
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.labels import Labels
from ivimkit.status import explain

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["AXES", "dataset_of", "frame_of"]

AXES = ("x", "y", "z")
"""Names of the axes of an image."""

_CF_VERSION = "CF-1.11"
_STATUS = "status"


def dataset_of(
    maps: Mapping[str, NDArray[np.float64]],
    status: NDArray[np.int32],
    model: SignalModel,
    geometry: Geometry,
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Return maps and status as a data set with the attributes of the CF conventions [1]_.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (...)
        The maps.
    status : ndarray of int, shape (...)
        The status map.
    model : SignalModel
        The fitted model.
    geometry : Geometry
        Where the voxels are.
    attributes : mapping of str to object
        Further attributes of the data set: texts, numbers or lists of numbers.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    OptionError
        If xarray is not installed.

    References
    ----------
    .. [1] NetCDF Climate and Forecast (CF) Metadata Conventions, version 1.11.
       https://cfconventions.org
    """
    try:
        import xarray as xr
    except ImportError:
        raise OptionError(
            "a data set needs xarray, which is not installed. Install it: "
            "pip install 'ivimkit[xarray]'"
        ) from None
    axes = axis_names(status.shape)
    names = list(maps)
    variables: dict[str, Any] = {
        name: (axes, maps[name], _attributes_of(name, names, model)) for name in names
    }
    flags = {flag: about for flag, about in explain(model).items() if flag}
    variables[_STATUS] = (
        axes,
        status,
        {
            "long_name": "status of the fit",
            "flag_masks": np.array(list(flags), dtype=status.dtype),
            "flag_meanings": " ".join(name for name, *_ in flags.values()),
        },
    )
    return xr.Dataset(
        variables,
        coords=_coordinates(axes, status.shape, geometry),
        attrs={
            "Conventions": _CF_VERSION,
            **attributes,
            # xarray has no place for the position of an image; programs find it here.
            "affine": geometry.affine.ravel().tolist(),
        },
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
        "ancillary_variables": " ".join([*further, _STATUS]),
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
    columns[_STATUS] = np.atleast_1d(status[mask])
    table = pd.DataFrame(columns)
    if axes:
        table.index = pd.MultiIndex.from_arrays(np.nonzero(mask), names=axes)
    table.attrs["units"] = {name: describe(name, model.quantities).unit for name in maps}
    return table
