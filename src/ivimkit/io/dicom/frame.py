"""Instance and Frame: an image object of DICOM, and one slice in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from ivimkit.io.dicom.files import DicomFile
from ivimkit.io.dicom.k_space import Facts
from ivimkit.io.dicom.kinds import Kind
from ivimkit.io.dicom.vendor import Vector, Vendor

__all__ = ["Frame", "Instance", "Order", "PixelLayout"]

Order = tuple[int, ...]


@dataclass(frozen=True)
class PixelLayout:
    """How the pixels of an image object are stored.

    Parameters
    ----------
    at : int
        Where Pixel Data begins in the file; -1 if it is compressed, or has to be parsed otherwise.
    shape : tuple of int
        Frames, rows, columns.
    dtype : str
        Type of the stored values, like ``int16``.
    n_bits : int
        Bits stored.
    padding : float
        Value of pixels outside of the image; 0 if there is none.
    """

    at: int
    shape: tuple[int, int, int]
    dtype: str
    n_bits: int
    padding: float


@dataclass(frozen=True, eq=False)
class Instance:
    """An image object: one file, with one or many slices.

    Parameters
    ----------
    file : DicomFile
        Where it is.
    header : Dataset
        Elements of the first instance of its series, without pixels, private ones and functional
        groups: patient, study, equipment, frame of reference.
    vendor : Vendor
        Its manufacturer.
    sop_class, sop_instance : str
        UIDs of its class and of itself.
    study, series : str
        UIDs of its study and series.
    frame_of_reference : str
        UID; empty if it has none.
    series_number, number : int
        Numbers of series and instance; 0 if not given.
    acquisition : tuple of int
        Acquisition Number and Temporal Position Identifier, which tell repeats apart; 0 if they
        are not given.
    layout : PixelLayout
        How its pixels are stored.
    lossy : bool
        Whether it was compressed with loss.
    k_space : mapping
        What the first instance of its series says about k-space, see `k_space_facts`.
    """

    file: DicomFile
    header: Dataset = field(repr=False)
    vendor: Vendor
    sop_class: str
    sop_instance: str
    study: str
    series: str
    frame_of_reference: str
    series_number: int
    number: int
    acquisition: tuple[int, int]
    layout: PixelLayout
    lossy: bool
    k_space: Facts


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice of one volume.

    Parameters
    ----------
    instance : Instance
        The object that contains it.
    number : int
        Its number in the object, from 1, as DICOM counts frames; 0 for an object of one frame,
        which the slices of a mosaic share.
    tile : int or None
        Its number in a mosaic, from 0; None if the frame is one slice.
    kind : Kind
        What it shows.
    b : float or None
        b-value in s/mm^2, as written; None if there is none.
    b_from : str
        Element that the b-value is from.
    direction : Vector or None
        Direction of the gradient in the axes of the patient (LPS), of length 1.
    position : ndarray, shape (3,)
        Centre of the first voxel (LPS), mm.
    axes : ndarray, shape (2, 3)
        Directions along a row and along a column of the image (LPS).
    spacing : tuple of float
        Between rows and between columns, mm.
    thickness : float
        Of the slice, mm; 0 if not given.
    shape : tuple of int
        Rows and columns.
    echo_time : float
        In ms; 0 if not given.
    slope, intercept : float
        From stored values to values.
    scale : float
        From values to those that compare between series; 1 except for Philips.
    group : int
        Keeps volumes apart whose b-value and direction are the same.
    order : tuple of int
        Sorts frames as they were acquired.
    """

    instance: Instance
    number: int
    tile: int | None
    kind: Kind
    b: float | None
    b_from: str
    direction: Vector | None
    position: NDArray[np.float64]
    axes: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float
    shape: tuple[int, int]
    echo_time: float
    slope: float
    intercept: float
    scale: float
    group: int
    order: Order

    @property
    def normal(self) -> NDArray[np.float64]:
        """Direction across the slice (LPS), so that rows, columns and it are right-handed."""
        return np.cross(self.axes[0], self.axes[1])

    @property
    def place(self) -> float:
        """Position along the normal, mm."""
        return float(self.normal @ self.position)
