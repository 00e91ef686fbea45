"""Marks on images: arrowheads that point at a lesion, and contours of regions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

__all__ = ["Arrowhead", "draw_arrowheads", "draw_contour", "place_arrowheads"]

_LENGTH = 13.0
"""Size of an arrowhead, points; the next one is also in points."""

_CLEARANCE = 2.0
_POINTS = 72.0
"""Points per inch."""

_TURNS = 24
"""Number of rotations of the arrowheads around the lesion to try."""

# The tip is the origin; a radiological arrowhead has a notch and no shaft.
_SHAPE = Path([(0.0, 0.0), (1.0, 0.4), (0.78, 0.0), (1.0, -0.4), (0.0, 0.0)])


@dataclass(frozen=True)
class Arrowhead:
    """Position and direction of an arrowhead.

    Parameters
    ----------
    x, y : float
        Its tip, in columns and rows of the image.
    angle : float
        Direction from the tip to its base, away from the lesion, radians from the right.
    """

    x: float
    y: float
    angle: float


def place_arrowheads(
    inside: NDArray[np.bool_], *, aspect: float, inches: float, number: int = 3
) -> list[Arrowhead]:
    """Choose arrowheads that point at a lesion: evenly around it, where there is room.

    Parameters
    ----------
    inside : ndarray of bool, shape (rows, columns)
        The lesion in the image, rows from bottom to top. Of several parts the largest is used.
    aspect : float
        Height divided by width of a voxel.
    inches : float
        Width of the image on the page.
    number : int
        Number of arrowheads.

    Returns
    -------
    list of Arrowhead
        Fewer if the lesion fills the image, none if it is empty.
    """
    if not inside.any():
        return []
    part = _largest_part(inside)
    voxel = inches * _POINTS / inside.shape[1]
    best: list[Arrowhead] = []
    for turn in range(_TURNS):
        first = 2 * math.pi * (0.5 + turn) / (number * _TURNS)
        angles = [first + 2 * math.pi * k / number for k in range(number)]
        heads = [_pointing(part, angle, aspect, voxel) for angle in angles]
        fitting = [head for head in heads if _fits(head, inside.shape, aspect, voxel)]
        if len(fitting) > len(best):
            best = fitting
    return best


def draw_arrowheads(axes: Axes, heads: list[Arrowhead], label: str) -> None:
    """Draw white arrowheads; the first has the label.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The axes, with an image.
    heads : list of Arrowhead
        The arrowheads.
    label : str
        Name of the target.
    """
    for number, head in enumerate(heads):
        axes.plot(
            head.x,
            head.y,
            marker=MarkerStyle(_SHAPE, transform=Affine2D().rotate(head.angle)),
            markersize=2 * _LENGTH,
            markerfacecolor="white",
            markeredgecolor="black",
            markeredgewidth=0.6,
            linestyle="none",
            label=label if number == 0 else f"_{label}",
        )


def draw_contour(
    axes: Axes, inside: NDArray[np.bool_], label: str, *, colour: str, linestyle: str
) -> None:
    """Draw the outline of a region, if any of it is in the image.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The axes, with an image.
    inside : ndarray of bool, shape (rows, columns)
        The region, rows from bottom to top.
    label : str
        Its label.
    colour, linestyle : str
        Style of the line.
    """
    if not inside.any():
        return
    # Padded by an empty border, so that a region at the edge of the image is closed.
    padded = np.pad(inside, 1).astype(np.float64)
    rows, columns = (np.arange(-1, n + 1) for n in inside.shape)
    drawn = axes.contour(
        columns, rows, padded, levels=[0.5], colors=colour, linestyles=linestyle, linewidths=1.3
    )
    drawn.set(label=label, path_effects=[withStroke(linewidth=2.4, foreground="black")])


def _largest_part(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # Imported here: it takes a third of a second, and most figures have no lesion.
    from scipy import ndimage

    parts, n = ndimage.label(inside)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    return np.asarray(parts == 1 + int(sizes[1:].argmax()))


def _pointing(part: NDArray[np.bool_], angle: float, aspect: float, voxel: float) -> Arrowhead:
    """Return the arrowhead whose tip is just outside the part, seen from its middle."""
    rows, columns = np.nonzero(part)
    steps = np.arange(0.0, math.hypot(part.shape[1], part.shape[0] * aspect), 0.1)
    x = columns.mean() + steps * math.cos(angle)
    y = rows.mean() + steps * math.sin(angle) / aspect
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    known = (column >= 0) & (column < part.shape[1]) & (row >= 0) & (row < part.shape[0])
    there = np.flatnonzero(known)[part[row[known], column[known]]]
    edge = (steps[there[-1]] if there.size else 0.0) + _CLEARANCE / voxel
    return Arrowhead(
        x=float(columns.mean() + edge * math.cos(angle)),
        y=float(rows.mean() + edge * math.sin(angle) / aspect),
        angle=angle,
    )


def _fits(head: Arrowhead, shape: tuple[int, ...], aspect: float, voxel: float) -> bool:
    """Return whether the base of an arrowhead is in the image."""
    length = _LENGTH / voxel
    x = head.x + length * math.cos(head.angle)
    y = head.y + length * math.sin(head.angle) / aspect
    return 0 <= x <= shape[1] - 1 and 0 <= y <= shape[0] - 1
