"""Geometry: position of the voxels of a scan, and how its file gave it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import ShapeError
from ivimkit.rounding import rounded

__all__ = ["MM", "Geometry"]

MM = {"unknown": 1.0, "mm": 1.0, "micron": 1e-3, "meter": 1e3}
"""Units of length, with their factor to mm; a missing unit is treated as mm."""

# Rounding in headers, as a share of a voxel; not a different position.
_ALLOWED_SHIFT = 0.01
# Edges of a voxel, of length 1 each, that span less than this lie in a plane.
_FLAT = 1e-4


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Geometry:
    """Affine, units and NIfTI codes of a scan.

    Parameters
    ----------
    affine : array_like, shape (4, 4), optional
        From voxel index to position in mm; by default the identity.
    voxel_units : {"mm", "micron", "meter", "unknown"}
        Unit of length of the file and of written maps; `affine` is always in mm.
    sform_code, qform_code : int
        NIfTI codes: 0 unknown, 1 scanner, 2 aligned, 3 Talairach, 4 MNI. The affine is that of the
        sform, or of the qform if the code of the sform is 0.
    header : bytes
        The NIfTI header of the file, so that maps can be written with the same geometry fields.
    other_affine : array_like, shape (4, 4), optional
        If the file has two forms that differ: the affine of the one that is not used, mm.

    Raises
    ------
    ShapeError
        If the affine is not a finite 4 x 4 matrix.

    Examples
    --------
    >>> from ivimkit.scan.geometry import Geometry
    >>> Geometry([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]]).voxel_size
    (2.0, 2.0, 5.0)
    """

    affine: NDArray[np.float64]
    voxel_units: str
    sform_code: int
    qform_code: int
    header: bytes = field(repr=False)
    other_affine: NDArray[np.float64] | None = field(repr=False)

    def __init__(
        self,
        affine: ArrayLike | None = None,
        *,
        voxel_units: str = "mm",
        sform_code: int = 2,
        qform_code: int = 0,
        header: bytes = b"",
        other_affine: ArrayLike | None = None,
    ) -> None:
        try:
            matrix = np.eye(4) if affine is None else np.array(affine, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ShapeError(
                "the affine is not an array of numbers; expected a finite (4, 4) matrix. Leave "
                "it out if the positions do not matter"
            ) from None
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ShapeError(
                f"the affine has shape {matrix.shape} and is "
                f"{'' if np.isfinite(matrix).all() else 'not '}finite; expected a finite (4, 4) "
                "matrix. Leave it out if the positions do not matter"
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "affine", matrix)
        object.__setattr__(self, "voxel_units", voxel_units)
        object.__setattr__(self, "sform_code", int(sform_code))
        object.__setattr__(self, "qform_code", int(qform_code))
        object.__setattr__(self, "header", header)
        other = None if other_affine is None else np.array(other_affine, dtype=np.float64)
        object.__setattr__(self, "other_affine", other)

    def __repr__(self) -> str:
        """Return the size of the voxels, and where the first one is."""
        first = ", ".join(rounded(float(x)) for x in self.affine[:3, 3])
        where = f"the first one at {first} mm" if self.placed else "without a position"
        return f"Geometry: voxels of {self.size_text}, {where}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Geometry):
            return NotImplemented
        return np.array_equal(self.affine, other.affine) and (
            (self.voxel_units, self.sform_code, self.qform_code)
            == (other.voxel_units, other.sform_code, other.qform_code)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel, mm."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(x), float(y), float(z)

    @property
    def size_text(self) -> str:
        """Edge lengths of a voxel in words, like ``"2 × 2 × 5 mm"``."""
        return f"{' × '.join(f'{edge:.3g}' for edge in self.voxel_size)} mm"

    @property
    def placed(self) -> bool:
        """Whether the positions of the voxels are known: one of the NIfTI codes is not 0.

        An affine that maps the volume to a plane gives no positions.
        """
        return (self.sform_code > 0 or self.qform_code > 0) and not self.singular

    @property
    def singular(self) -> bool:
        """Whether the affine does not span a volume: an edge is 0, or two are parallel."""
        edges = np.array(self.voxel_size)
        if not edges.all():
            return True
        return bool(abs(np.linalg.det(self.affine[:3, :3] / edges)) < _FLAT)

    @property
    def form(self) -> str:
        """The form of the file with the positions of the voxels: ``"sform"`` or ``"qform"``."""
        return "sform" if self.sform_code > 0 else "qform"

    @property
    def in_mm(self) -> Geometry:
        """The same positions, to be written in mm."""
        if self.voxel_units in ("mm", "unknown"):
            return self
        return Geometry(
            self.affine,
            sform_code=self.sform_code,
            qform_code=self.qform_code,
            other_affine=self.other_affine,
        )

    def shifts(self, other: Geometry, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return how far the corners of a volume lie from those in another geometry.

        No voxel is farther from its counterpart than the corners are.

        Parameters
        ----------
        other : Geometry
            The other geometry.
        shape : tuple of int
            Shape of the volume, up to three axes.

        Returns
        -------
        ndarray, shape (8, 3)
            In mm, along the axes of the patient.
        """
        ends = [(0, n - 1) for n in (*shape, 1, 1, 1)[:3]]
        corners = np.array(np.meshgrid(*ends)).reshape(3, -1)
        homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
        moved: NDArray[np.float64] = ((self.affine - other.affine) @ homogeneous)[:3].T
        return moved

    def is_at(self, other: Geometry, shape: tuple[int, ...]) -> bool:
        """Return whether the voxels of a volume have the same positions in another geometry.

        Parameters
        ----------
        other : Geometry
            The other geometry.
        shape : tuple of int
            Shape of the volume, up to three axes.

        Returns
        -------
        bool
            True if none differs by more than 1 % of a voxel of the other one, along any axis.

        Examples
        --------
        >>> import numpy as np
        >>> from ivimkit.scan.geometry import Geometry
        >>> Geometry().is_at(Geometry(np.diag([1.001, 1, 1, 1])), (8, 8, 4))
        True
        >>> Geometry().is_at(Geometry(np.diag([1.001, 1, 1, 1])), (64, 64, 4))
        False
        """
        apart = float(np.abs(self.shifts(other, shape)).max())
        return apart <= _ALLOWED_SHIFT * min(other.voxel_size)
