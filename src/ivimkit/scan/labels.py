"""Labels: the regions of a scan and their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.letters import readable
from ivimkit.scan.blocks import boxes_of

__all__ = ["Labels", "numbers_in"]


@dataclass(frozen=True, init=False, eq=False)
class Labels:
    """Which region each voxel belongs to.

    Parameters
    ----------
    array : array_like of int, shape (...)
        Number of the region of each voxel; 0 is none. A mask works as well.
    names : mapping of int to str, optional
        Names of the regions; the numbers by default.

    Raises
    ------
    ShapeError
        If no voxel is in any region.
    OptionError
        If the array contains other than whole numbers, or two regions have the same name.

    Examples
    --------
    >>> import ivimkit as ik
    >>> labels = ik.Labels([[0, 1], [2, 2]], {1: "lesion", 2: "liver"})
    >>> list(labels), int(labels["liver"].sum())
    (['lesion', 'liver'], 2)
    """

    array: NDArray[np.int32] = field(repr=False)
    names: Mapping[int, str]

    def __init__(self, array: ArrayLike, names: Mapping[int, str] | None = None) -> None:
        numbers = _whole(np.asarray(array))
        present = numbers_in(numbers)
        if not present:
            raise ShapeError("there is no region; expected labels other than 0 in some voxels")
        # Names end up in tables, pages and pictures, where lone surrogates cannot be written.
        known = {number: readable((names or {}).get(number, str(number))) for number in present}
        twice = sorted({name for name in known.values() if list(known.values()).count(name) > 1})
        if twice:
            raise OptionError(
                f"several regions are named {twice[0]!r}; expected a name for each. Rename them"
            )
        numbers.setflags(write=False)
        object.__setattr__(self, "array", numbers)
        object.__setattr__(self, "names", known)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names.values())

    def __len__(self) -> int:
        return len(self.names)

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.int32]:
        """Let NumPy treat the labels as the array of their numbers."""
        return np.array(self.array, dtype=dtype, copy=copy)

    def __getitem__(self, name: str | int) -> NDArray[np.bool_]:
        """Return the voxels of a region, by name or number, shape of the array."""
        wanted = readable(name) if isinstance(name, str) else name
        for number, known in self.names.items():
            if wanted in (number, known):
                inside: NDArray[np.bool_] = self.array == number
                return inside
        there = ", ".join(self)
        raise OptionError(f"there is no region {name!r}; expected one of {there}")


def numbers_in(array: NDArray[Any]) -> list[int]:
    """Return the numbers of the regions in a label image, ascending; 0 is none."""
    found: set[int] = set()
    for box in boxes_of(array):
        part = array[box]
        # Numbers are sorted to be found, and most voxels of many images have none.
        found.update(np.unique(part[part != 0]).tolist())
    return sorted(int(number) for number in found)


def _whole(array: NDArray[np.generic]) -> NDArray[np.int32]:
    real = array.dtype.kind in "biuf"
    if not real or (array.dtype.kind == "f" and not bool(np.all(array == np.rint(array)))):
        raise OptionError(
            "the labels are not whole numbers; expected the number of a region in each voxel, "
            "0 for none. Round them"
        )
    # What cannot be changed need not be copied.
    return array.astype(np.int32, copy=bool(array.flags.writeable))
