"""Labels of a large scan for the page: as it shows them, and whole."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import io
from ivimkit.scan.labels import numbers_in
from ivimkit.viewer.study import Study
from ivimkit.viewer.study_images import given_labels, shown_labels, smallest
from ivimkit.viewer.user_mask import placed_mask

__all__ = ["MAX_LABEL", "LoadedLabels", "zipped"]

MAX_LABEL = 255
"""Highest number of a region that can be drawn."""

# Labels are long runs of one number: more effort saves little.
_LEVEL = 1
_NO_NAMES: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class LoadedLabels:
    """Labels to measure and to draw into.

    Parameters
    ----------
    image : bytes
        A ``.nii`` file in the shape that is shown, followed by a ``.nii.gz`` file of the whole
        grid, which the page sends back with a drawing.
    numbers : tuple of int
        The regions. In the first image, some may be hidden by others.
    note : str
        How they were placed; empty if they are on the grid of the scan.
    names : mapping of int to str
        Names of the regions that a mask has in its header, if any.
    """

    image: bytes = field(repr=False)
    numbers: tuple[int, ...]
    note: str = ""
    names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def given(cls, study: Study) -> LoadedLabels:
        """Return those of the study.

        Raises
        ------
        OptionError
            If there are none.
        """
        return cls._of(study, given_labels(study).array)

    @classmethod
    def of_mask(cls, study: Study, mask: bytes) -> LoadedLabels:
        """Return those of a mask, see `ivimkit.viewer.user_mask.placed_mask`."""
        placed = placed_mask(study, mask)
        return cls._of(study, placed.labels, placed.note, placed.names)

    @classmethod
    def _of(
        cls,
        study: Study,
        labels: NDArray[np.integer[Any]],
        note: str = "",
        names: Mapping[int, str] = _NO_NAMES,
    ) -> LoadedLabels:
        whole, geometry = smallest(labels), study.geometry
        shown = io.image_bytes(shown_labels(study, whole), study.shown.geometry(geometry))
        numbers = tuple(numbers_in(whole))
        # They go into a header: of those that cannot be drawn, one is enough to say so.
        strange = tuple(n for n in numbers if not 0 < n <= MAX_LABEL)[:1]
        image = shown + zipped(io.image_bytes(whole, geometry))
        return cls(image, strange or numbers, note, names)


def zipped(image: bytes) -> bytes:
    """Return an image of labels as a ``.nii.gz`` file."""
    return gzip.compress(image, _LEVEL, mtime=0)
