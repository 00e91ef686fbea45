"""write_map_store: maps and status of a result as a Zarr store, written part by part."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ivimkit.errors import OptionError
from ivimkit.fitting.map_names import StoredMaps
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.result_forms import STATUS
from ivimkit.io.map_chunks import Box, chunk_boxes, chunk_of
from ivimkit.scan.nifti_image import as_float32, nifti_image

__all__ = ["HEADER", "require_zarr", "write_map_store"]

HEADER = "nifti_header"
"""Attribute of a store: the NIfTI header of its maps, in base64."""


def require_zarr() -> None:
    """Raise OptionError if zarr, which maps are written and read with, is not installed."""
    if find_spec("zarr") is None:
        raise OptionError(
            "maps as Zarr need zarr, which is not installed; expected the extra zarr. Install it "
            "with pip install 'ivimkit[zarr]'"
        )


def write_map_store(result: FitResult, path: Path) -> None:
    """Write maps and status of a result to a new store, a part of all maps at a time.

    Their description is that of `FitResult.to_xarray`, their types are those of NIfTI files:
    float32, and that of the status.

    Parameters
    ----------
    result : FitResult
        The result.
    path : Path
        The store, which does not exist.

    Raises
    ------
    OptionError
        If zarr is not installed.
    """
    require_zarr()
    import zarr

    form = result.dataset_form()
    group = zarr.create_group(
        str(path),
        zarr_format=3,
        attributes={**form.attributes, HEADER: _header_of(result)},
    )
    for axis, where, about in form.coordinates.values():
        _made(group, axis, where.shape, where.dtype, about, (axis,))[...] = where
    arrays = {
        name: _made(group, name, result.shape, _type_of(name, result), about, form.axes)
        for name, about in form.variables.items()
    }
    for box in chunk_boxes(result.shape):
        for name, values in _part(result, box).items():
            arrays[name][box] = values
    with warnings.catch_warnings():
        # Not in the specification yet, but without it xarray warns.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(str(path))


def _part(result: FitResult, box: Box) -> dict[str, NDArray[Any]]:
    """Return all maps and the status inside a box, as they are stored."""
    maps = result.maps
    if isinstance(maps, StoredMaps):
        part: dict[str, NDArray[Any]] = maps.within(box)
    else:
        part = {name: maps[name][box] for name in maps}
    stored = {name: as_float32(np.asarray(values)) for name, values in part.items()}
    return {**stored, STATUS: np.asarray(result.status[box])}


def _type_of(name: str, result: FitResult) -> DTypeLike:
    return result.status.dtype if name == STATUS else np.float32


def _made(
    group: Any,
    name: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    about: Mapping[str, Any],
    axes: Sequence[str],
) -> Any:
    from zarr.codecs import BloscCodec, Crc32cCodec

    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunk_of(shape),
        dimension_names=axes,
        attributes={key: _plain(value) for key, value in about.items()},
        compressors=[BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"), Crc32cCodec()],
        # So that a chunk that is not there was lost.
        config={"write_empty_chunks": True},
    )


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _header_of(result: FitResult) -> str:
    whole = np.broadcast_to(np.float32(0.0), result.shape)
    header: bytes = nifti_image(whole, result.geometry).header.binaryblock
    return base64.b64encode(header).decode("ascii")
