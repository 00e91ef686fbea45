"""Anatomy: the tissues of a phantom, their positions, and the voxel fractions they fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.simulate.sample_points import Plane, SamplePoints
from ivimkit.simulate.tissue import Tissue

__all__ = ["Anatomy", "Ellipsoid", "Grid", "paint", "tissue_fractions"]


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, in mm: u to the patient's left, v to the front, w to the head.

    Parameters
    ----------
    center : tuple of float
        (u, v, w) in mm.
    radii : tuple of float
        Half axes in mm.
    turned : float
        Rotation about w, in degrees, from u towards v.
    """

    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    turned: float = 0.0


@dataclass(frozen=True)
class Anatomy:
    """The tissues of a phantom and their positions.

    Parameters
    ----------
    name : str
        Short name used in calls.
    tissues : tuple of Tissue
        Label 1 is the first; label 0 has no signal.
    field_of_view : tuple of float
        Extent in u and v that the image must cover, mm.
    slab : float
        Extent in w over which slices are spread, mm.
    slice_thickness : float
        Maximum slice thickness, mm; a few slices do not fill the slab.
    label_at : callable
        ``label_at(points)`` gives the labels (n_u, n_v) of the points of a plane, or of others.
    host : int
        Label of the tissue in which small lesions are placed.
    small_lesion : Tissue
        Values of a small lesion; its S0 is that of the host.
    breathing : callable, optional
        Where tissue goes in a breath of 1 mm, see `ivimkit.simulate.breathing`; None for an
        anatomy that does not breathe.
    """

    name: str
    tissues: tuple[Tissue, ...]
    field_of_view: tuple[float, float]
    slab: float
    slice_thickness: float
    label_at: Callable[[SamplePoints], NDArray[np.uint8]]
    host: int
    small_lesion: Tissue
    breathing: Callable[[NDArray[np.floating]], NDArray[np.floating]] | None = None

    def grid(self, shape: tuple[int, int, int]) -> Grid:
        """Place a matrix of voxels, square in the plane, on the anatomy."""
        edge = max(extent / n for extent, n in zip(self.field_of_view, shape[:2], strict=True))
        return Grid(shape, (edge, edge, min(self.slice_thickness, self.slab / shape[2])))


@dataclass(frozen=True)
class Grid:
    """A matrix of voxels centred on the anatomy.

    Parameters
    ----------
    shape : tuple of int
        Number of voxels in u, v, w.
    voxel_size : tuple of float
        Edges in mm.
    """

    shape: tuple[int, int, int]
    voxel_size: tuple[float, float, float]

    def axis(self, number: int, parts: int = 1) -> NDArray[np.float32]:
        """Return the centres of the voxels, or of `parts` per voxel, along an axis, in mm."""
        n, size = self.shape[number] * parts, self.voxel_size[number] / parts
        return ((np.arange(n) - (n - 1) / 2) * size).astype(np.float32)

    @property
    def affine(self) -> NDArray[np.float64]:
        """From voxel index to position in mm; x points to the patient's right, as in NIfTI.

        u points to the left, so that a plain display of the array is the radiological view.
        """
        affine = np.diag([-self.voxel_size[0], *self.voxel_size[1:], 1.0])
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(self.shape) - 1) / 2)
        return affine


def paint(
    labels: NDArray[np.uint8],
    points: SamplePoints,
    label: int,
    bodies: Sequence[Ellipsoid],
    *,
    over: Sequence[int] | None = None,
) -> None:
    """Write a label where points lie in some ellipsoids.

    Parameters
    ----------
    labels : ndarray of int, shape (n_u, n_v)
        Changed in place.
    points : Plane or Points
        The points, of the same shape.
    label : int
        The label to write.
    bodies : sequence of Ellipsoid
        The ellipsoids.
    over : sequence of int, optional
        Labels that may be painted over; all by default.
    """
    for body in bodies:
        # Only the bounding box of the ellipsoid: most are small.
        reach = max(body.radii[:2])
        window = points.window(body.center, (reach, reach, body.radii[2]))
        if window is None:
            continue
        u, v, w = points.at(window)
        du, dv = u - body.center[0], v - body.center[1]
        cosine, sine = np.cos(np.deg2rad(body.turned)), np.sin(np.deg2rad(body.turned))
        along = (cosine * du + sine * dv) / body.radii[0]
        across = (cosine * dv - sine * du) / body.radii[1]
        inside = along**2 + across**2 <= 1.0 - ((w - body.center[2]) / body.radii[2]) ** 2
        under = labels[window]
        if over is not None:
            inside &= np.isin(under, over)
        under[inside] = label


def tissue_fractions(
    anatomy: Anatomy, grid: Grid, k: int, *, parts: int = 3
) -> NDArray[np.float32]:
    """Compute the fraction of each voxel of a slice that each tissue fills.

    Parameters
    ----------
    anatomy : Anatomy
        The anatomy.
    grid : Grid
        The voxels.
    k : int
        Number of the slice.
    parts : int
        Sample points per voxel edge; 1 gives voxels of one tissue each.

    Returns
    -------
    ndarray, shape (n_tissues, n_u, n_v)
        Fractions; the remainder to 1 has no signal.
    """
    nu, nv, _ = grid.shape
    u, v = grid.axis(0, parts), grid.axis(1, parts)
    heights = grid.axis(2, parts)[k * parts : (k + 1) * parts]
    counts = np.zeros((len(anatomy.tissues), nu, nv), dtype=np.uint16)
    for w in heights:
        labels = anatomy.label_at(Plane(u, v, float(w)))
        for label in np.flatnonzero(np.bincount(labels.ravel())):
            if label:
                inside = (labels == label).reshape(nu, parts, nv, parts)
                counts[label - 1] += inside.sum(axis=(1, 3), dtype=np.uint16)
    return counts.astype(np.float32) / np.float32(parts**3)
