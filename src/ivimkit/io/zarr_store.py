"""Zarr stores, also OME-Zarr: the array of a scan, its axes and voxels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ivimkit.addresses import public
from ivimkit.errors import FileFormatError, InputError
from ivimkit.io.checksum import sha256
from ivimkit.io.remote_copies import address_of
from ivimkit.io.remote_files import file_system, reached, storage_options
from ivimkit.io.stored_array import INSIDE, StoredArray, chosen_array
from ivimkit.io.untrusted_files import untrusted

__all__ = ["is_zarr", "of_zarr", "open_zarr", "zarr_digest"]

_METADATA = ("zarr.json", ".zgroup", ".zarray")
_MM = {
    "angstrom": 1e-7,
    "nanometer": 1e-6,
    "micrometer": 1e-3,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "meter": 1000.0,
}
# Of anatomical orientation (OME-Zarr RFC 4): the end that an axis points to.
_ENDS = {
    "right": "R",
    "left": "L",
    "anterior": "A",
    "posterior": "P",
    "superior": "S",
    "inferior": "I",
}


def is_zarr(path: Path) -> bool:
    """Return whether a path is a Zarr store, by its name or what is in it."""
    if path.name.lower().endswith(".zarr"):
        return True
    try:
        return path.is_dir() and any((path / name).is_file() for name in _METADATA)
    except OSError:
        return False


def open_zarr(path: Path, inside: str = "") -> StoredArray:
    """Open the array of a scan in a store.

    Parameters
    ----------
    path : Path
        A folder, or the path that stands for an address.
    inside : str
        Path of the array, or of its group, in the store.

    Returns
    -------
    StoredArray

    Raises
    ------
    FileFormatError
        If there is no store or no such array, or it is not clear which.
    InputError
        If zarr is not installed.
    """
    address = address_of(path)
    name = str(path) if address is None else public(address)
    _require_zarr(name)
    import zarr

    if address is None:
        if not path.is_dir():
            raise FileFormatError(
                f"there is no folder {path}; expected a Zarr store. Check the path"
            )
        with untrusted(lambda why: _not_zarr(name, why)):
            root = zarr.open(store=str(path), mode="r")
            found = of_zarr(root, name, inside)
        stored = _bytes_of(path / str(found.array.path))
    else:
        # Asked for here, as zarr takes whatever cannot be reached for something that is missing.
        with reached(address):
            file_system(address)
            store = zarr.storage.FsspecStore.from_url(
                address.rstrip("/"), storage_options=storage_options(address), read_only=True
            )
            _check_reached(address)
        with untrusted(lambda why: _not_zarr(name, why)):
            found = of_zarr(zarr.open(store=store, mode="r"), name, inside)
        stored = None
    return replace(found, bytes_stored=stored)


def of_zarr(node: Any, name: str, inside: str = "") -> StoredArray:
    """Return the array of a scan that a group of zarr contains, or an array of zarr itself.

    Raises
    ------
    FileFormatError
        If there is no such array, or it is not clear which.
    """
    if inside:
        name = f"{name}{INSIDE}{inside}"
        if not _is_group(node) or inside not in node:
            raise FileFormatError(
                f"there is no {name}; expected an array of the store. Check the path in it"
            )
        group, node = _parent(node, inside), node[inside]
    else:
        group = None
    if not _is_group(node):
        return _described(name, node, group, ())
    images = _multiscales(node)
    if images:
        return _of_image(name, node, images)
    arrays = dict(node.members(max_depth=None))
    path = chosen_array(name, {key: one for key, one in arrays.items() if not _is_group(one)})
    return _described(f"{name}{INSIDE}{path}", node[path], _parent(node, path), ())


def zarr_digest(path: Path) -> str:
    """Return a SHA-256 of a store: of the names and contents of its files.

    Of a store at an address: of names, sizes and checksums in the listing; where the server
    cannot list, of the metadata alone.
    """
    address = address_of(path)
    parts: list[Any]
    if address is None:
        files = sorted(one for one in path.rglob("*") if one.is_file())
        parts = [[one.relative_to(path).as_posix(), sha256(one)] for one in files]
    else:
        with reached(address):
            system, inner = file_system(address.rstrip("/"))
            parts = _listing(system, inner)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _listing(system: Any, inner: str) -> list[Any]:
    if "http" not in system.protocol:
        found = system.find(inner, detail=True)
        return [
            [key.removeprefix(inner), one.get("size"), str(one.get("ETag") or one.get("etag"))]
            for key, one in sorted(found.items())
        ]
    names = ("zarr.json", ".zgroup", ".zattrs", ".zarray", ".zmetadata")
    contents = []
    for name in names:
        try:
            contents.append([name, hashlib.sha256(system.cat_file(f"{inner}/{name}")).hexdigest()])
        except FileNotFoundError:
            continue
    return contents


def _check_reached(address: str) -> None:
    """Raise why there is no metadata of Zarr at an address, if there is none."""
    system, inner = file_system(address.rstrip("/"))
    for name in _METADATA[:-1]:
        with suppress(FileNotFoundError):
            system.cat_file(f"{inner}/{name}")
            return
    system.cat_file(f"{inner}/{_METADATA[-1]}")


def _of_image(name: str, group: Any, images: Sequence[Mapping[str, Any]]) -> StoredArray:
    """Return the image of OME-Zarr in its full resolution."""
    if len(images) > 1:
        raise FileFormatError(
            f"{name} has {len(images)} images (multiscales); expected one. Name the array of one, "
            f"like {name}{INSIDE}0"
        )
    path = str(images[0]["datasets"][0]["path"])
    return _described(name, group[path], group, images)


def _described(
    name: str, array: Any, group: Any, images: Sequence[Mapping[str, Any]]
) -> StoredArray:
    attributes = {} if group is None else dict(group.attrs)
    attributes |= dict(array.attrs)
    axes = getattr(array.metadata, "dimension_names", None) or attributes.get("_ARRAY_DIMENSIONS")
    steps: dict[str, float] = {}
    starts: dict[str, float] = {}
    ways: dict[str, str] = {}
    for image in images:
        listed = image["axes"]
        axes = [axis["name"] for axis in listed]
        scale, shift = _transformations(image, len(axes))
        for axis, step, start in zip(listed, scale, shift, strict=True):
            if axis["name"].lower() in ("x", "y", "z"):
                factor = _factor(name, axis)
                steps[axis["name"].lower()] = step * factor
                starts[axis["name"].lower()] = start * factor
                end = str(dict(axis.get("orientation") or {}).get("value", "")).rpartition("-")[2]
                if end in _ENDS:
                    ways[axis["name"].lower()] = _ENDS[end]
    names = None if axes is None else tuple(str(axis).lower() for axis in axes)
    if names is not None and len(names) != len(array.shape):
        raise FileFormatError(
            f"{name} names {len(names)} axes and its array has shape {array.shape}; expected a "
            "name for each axis. Save it again"
        )
    columns = {} if group is None or images else _columns(group)
    return StoredArray(name, array, attributes, names, steps, starts, ways, columns)


def _columns(group: Any) -> dict[str, Any]:
    """Return the arrays with one axis in a group: b-values among them."""
    found = {key: one for key, one in group.members() if not _is_group(one)}
    return {key: one for key, one in found.items() if len(one.shape) == 1}


def _transformations(image: Mapping[str, Any], n: int) -> tuple[list[float], list[float]]:
    """Return scale and translation of the first resolution, in its unit."""
    scale, shift = [1.0] * n, [0.0] * n
    own = image["datasets"][0].get("coordinateTransformations") or ()
    for one in (*own, *(image.get("coordinateTransformations") or ())):
        factors = [float(value) for value in one.get("scale", [1.0] * n)]
        steps = [float(value) for value in one.get("translation", [0.0] * n)]
        scale = [a * b for a, b in zip(scale, factors, strict=True)]
        shift = [a * b + c for a, b, c in zip(shift, factors, steps, strict=True)]
    return scale, shift


def _factor(name: str, axis: Mapping[str, Any]) -> float:
    unit = axis.get("unit", "millimeter")
    if unit not in _MM:
        raise FileFormatError(
            f"{name} has axis {axis['name']} in {unit!r:.40}; expected one of {', '.join(_MM)}. "
            "Correct the unit"
        )
    return _MM[unit]


def _multiscales(group: Any) -> Sequence[Mapping[str, Any]]:
    """Return the images of OME-Zarr 0.5, or of 0.4 and earlier."""
    attributes = dict(group.attrs)
    own = attributes.get("ome", attributes)
    found = own.get("multiscales") if isinstance(own, Mapping) else None
    return found or ()


def _parent(node: Any, path: str) -> Any:
    home = path.rpartition("/")[0]
    return node[home] if home else node


def _is_group(node: Any) -> bool:
    return not hasattr(node, "shape")


def _bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _not_zarr(name: str, why: str) -> FileFormatError:
    return FileFormatError(
        f"{name} is not a Zarr store, or damaged ({why}); expected one with an array. Save it "
        "again"
    )


def _require_zarr(name: str) -> None:
    if find_spec("zarr") is None:
        raise InputError(
            f"{name} is a Zarr store and zarr is not installed; expected the extra zarr. Install "
            "it with pip install 'ivimkit[zarr]'"
        )
