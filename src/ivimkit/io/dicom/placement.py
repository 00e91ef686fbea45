"""Where the voxels of a stack of slices are: its affine, and whether slices are equidistant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.io.dicom.frame import Frame
from ivimkit.scan.geometry import Geometry

__all__ = ["Grid", "clusters_of", "grid_of"]

# From LPS, the axes of DICOM, to RAS, those of NIfTI.
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MAX_SHARE_OFF = 0.01
_MIN_OFF_MM = 0.01
_SCANNER = 1


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxels of a stack of slices.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        From voxel index (column, row, slice) to position (RAS), mm.
    shape : tuple of int
        Columns, rows, slices.
    problem : str
        Why the slices do not form a volume; empty if they do.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    problem: str = ""

    @property
    def geometry(self) -> Geometry:
        """The same, as a scan has it."""
        return Geometry(self.affine, sform_code=_SCANNER, qform_code=0)

    def is_at(self, other: Grid) -> bool:
        """Whether another grid has the same voxels, within 1 % of one."""
        return self.shape == other.shape and self.geometry.is_at(other.geometry, self.shape)


def grid_of(slices: Sequence[Frame]) -> Grid:
    """Return the grid of the slices of a volume.

    Parameters
    ----------
    slices : sequence of Frame
        One per position, ascending along the normal.
    """
    first, last = slices[0], slices[-1]
    n = len(slices)
    lps = np.eye(4)
    lps[:3, 0] = first.axes[0] * first.spacing[1]
    lps[:3, 1] = first.axes[1] * first.spacing[0]
    lps[:3, 2] = (
        (last.position - first.position) / (n - 1)
        if n > 1
        else first.normal * (first.thickness or 1.0)
    )
    lps[:3, 3] = first.position
    rows, columns = first.shape
    return Grid(_TO_RAS @ lps, (columns, rows, n), _irregularity(slices, lps[:3, 2]))


def _irregularity(slices: Sequence[Frame], step: NDArray[np.float64]) -> str:
    """Say where slices are not equidistant."""
    positions = np.array([frame.position for frame in slices])
    off = positions - (positions[0] + np.arange(len(slices))[:, None] * step)
    allowed = max(_MAX_SHARE_OFF * float(np.sqrt((step**2).sum())), _MIN_OFF_MM)
    if np.sqrt((off**2).sum(axis=1)).max() <= allowed:
        return ""
    gaps = np.sqrt((np.diff(positions, axis=0) ** 2).sum(axis=1))
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    k = int(np.argmax(np.abs(gaps - usual)))
    guess = (
        f": {round(gaps[k] / usual) - 1} missing in every volume?" if gaps[k] > 1.5 * usual else ""
    )
    return (
        f"the slices are not equidistant: {gaps[k]:.4g} mm from slice {k + 1} to {k + 2}, and "
        f"{usual:.4g} mm elsewhere{guess}"
    )


def clusters_of(values: NDArray[np.float64], width: float) -> NDArray[np.intp]:
    """Return the number of the cluster of each value; neighbours closer than a width share one.

    Numbers are those of the clusters in ascending order. Rounding instead would separate values
    on both sides of a boundary.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.io.dicom.placement import clusters_of
    >>> clusters_of(np.array([3.0, 0.0049999, 0.0050001]), 0.01).tolist()
    [1, 0, 0]
    """
    order = np.argsort(values, kind="stable")
    numbers = np.empty(len(values), dtype=np.intp)
    numbers[order] = np.concatenate([[0], np.cumsum(np.diff(values[order]) > width)])
    return numbers
