"""Anatomy: the tissues of a phantom, their positions, and the voxel fractions they fill."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ivimkit.simulate.sample_points import Plane, SamplePoints
from ivimkit.simulate.tissue import Tissue

__all__ = ["Anatomy", "Ellipsoid", "Grid", "paint", "tissue_fractions"]


_ROOM = 1.0001
"""How much larger than an ellipsoid its bounding box is in u and v."""


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

    @cached_property
    def rotation(self) -> tuple[np.float64, np.float64]:
        """Cosine and sine of its rotation."""
        angle = np.deg2rad(self.turned)
        return np.cos(angle), np.sin(angle)

    @cached_property
    def reach(self) -> tuple[float, float, float]:
        """Half edges of a box around it, in mm, with room for rounding in u and v."""
        (a, b, c), (cosine, sine) = self.radii, self.rotation
        box = math.hypot(a * cosine, b * sine), math.hypot(a * sine, b * cosine)
        return _ROOM * box[0], _ROOM * box[1], c


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
    allowed = np.full(256, over is None)
    allowed[list(over or ())] = True
    for body in bodies:
        # Only the bounding box of the ellipsoid: most are small.
        window = points.window(body.center, body.reach)
        if window is None:
            continue
        u, v, w = points.at(window)
        du, dv = u - body.center[0], v - body.center[1]
        cosine, sine = body.rotation
        along, across = cosine * du, cosine * dv
        if body.turned:
            along, across = along + sine * dv, across - sine * du
        inside = (along / body.radii[0]) ** 2 + (across / body.radii[1]) ** 2 <= (
            1.0 - ((w - body.center[2]) / body.radii[2]) ** 2
        )
        under = labels[window]
        np.copyto(under, label, where=inside & allowed[under])


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
    # A bin for each tissue and voxel; those of label 0 come first.
    n_bins = (len(anatomy.tissues) + 1) * nu * nv
    voxel = np.arange(nu).repeat(parts)[:, None] * nv + np.arange(nv).repeat(parts)
    counts = np.zeros(n_bins, dtype=np.intp)
    for w in heights:
        labels = anatomy.label_at(Plane(u, v, float(w)))
        counts += np.bincount((labels.astype(np.intp) * (nu * nv) + voxel).ravel(), None, n_bins)
    filled = counts[nu * nv :].reshape(-1, nu, nv)
    return filled.astype(np.float32) / np.float32(parts**3)
