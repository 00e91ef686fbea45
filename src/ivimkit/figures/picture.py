"""Picture: a figure with its caption and alt text, and as the bytes of an image."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ivimkit.figures.alt_text import describe

__all__ = ["Encoded", "Picture"]

_DPI = 130.0
_CSS_PIXELS = 96.0
"""Pixels per inch."""

_MAX_SVG_BYTES = 120_000
"""Maximum size of an SVG, bytes; beyond that a PNG is better."""

_MAX_AXES = 8
"""Maximum number of axes of an SVG; with more the file would be too large anyway."""

_LEVEL = 6
"""Compression level: 9 takes twice the time and saves 2 %."""

_MAX_COLOURS = 1 << 12
_PALETTE = 256
_MAX_COLOUR_CHANGE = 16.0
"""Maximum change of a colour for a palette, of 255 levels: a few steps of a colour bar. The
colours of maps are the frequent ones and do not change."""

_EDGE_LENGTH = 0.06
"""Length in inches, half the width of a colour bar: colours with fewer pixels than that are edges
of letters on a map, which do not matter."""

_PLACES = np.array([1 << 16, 1 << 8, 1])

# For the edges of letters, whose greys would otherwise be lost to the colours of a map.
_GREYS = np.repeat(np.linspace(0, 255, 32, dtype=np.int64)[:, np.newaxis], 3, axis=1)

# Clips, markers and images have ids with a random suffix.
_IDS = re.compile(r'(\bid="|url\(#|href="#)([\w.-]*?)([0-9a-f]{10})(?=["\)])')


@dataclass(frozen=True)
class Encoded:
    """A picture as bytes.

    Parameters
    ----------
    data : bytes
        The content of the file.
    media_type : {"image/png", "image/svg+xml"}
        Its format.
    width, height : float
        Size on a page, CSS pixels, 96 per inch.
    """

    data: bytes = field(repr=False)
    media_type: str
    width: float
    height: float

    @property
    def uri(self) -> str:
        """The picture as a data URI, for a self-contained page."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its caption and alternative text.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    caption : str
        Text below it.
    alt : str
        Alternative text; by default derived from the figure.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> picture = ik.report.Picture(ik.report.histograms(ik.fit(made.dwi)), "All voxels.")
    >>> picture.encoded().media_type, picture.alt[:14]
    ('image/svg+xml', 'voxels (%) ove')
    """

    figure: Figure = field(repr=False)
    caption: str = ""
    alt: str = ""

    def __post_init__(self) -> None:
        if not self.alt:
            object.__setattr__(self, "alt", describe(self.figure))

    def png(self, *, dpi: float | None = None) -> bytes:
        """Return the picture as a PNG file, without metadata.

        Parameters
        ----------
        dpi : float, optional
            Pixels per inch; by default 130, or those of the figure if it has more.

        Returns
        -------
        bytes
            With a palette if 256 colours are enough, for a third of the size; some shades at the
            edges of letters and lines may then differ by a few levels.
        """
        target, dpi = io.BytesIO(), self._dpi(dpi)
        small = _few_colours(self._image(dpi), _EDGE_LENGTH * dpi)
        small.save(target, format="png", compress_level=_LEVEL)
        return target.getvalue()

    def pixels(self, *, dpi: float | None = None) -> NDArray[np.uint8]:
        """Return the picture as red, green and blue.

        Parameters
        ----------
        dpi : float, optional
            Pixels per inch, like those of `png`.

        Returns
        -------
        ndarray of uint8, shape (rows, columns, 3)
        """
        return np.asarray(self._image(self._dpi(dpi)), dtype=np.uint8)

    def _dpi(self, asked: float | None) -> float:
        return max(_DPI, float(self.figure.dpi)) if asked is None else asked

    def _image(self, dpi: float) -> Image.Image:
        raw = io.BytesIO()
        # Pillow compresses later, once the number of colours is known.
        self.figure.savefig(raw, format="png", dpi=dpi, pil_kwargs={"compress_level": 0})
        with Image.open(raw) as image:
            return image.convert("RGB")

    def svg(self) -> bytes:
        """Return the picture as an SVG file, without metadata, the same bytes each time.

        Its ids are unique only within the file: show it as an image, not inline.

        Returns
        -------
        bytes
        """
        target = io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(target, format="svg", metadata=nothing)
        return _numbered(target.getvalue().decode("utf-8")).encode("utf-8")

    def encoded(self, *, dpi: float | None = None, vector: bool | None = None) -> Encoded:
        """Return the picture in the better of the two formats.

        Parameters
        ----------
        dpi : float, optional
            Pixels per inch, for PNG, like those of `png`.
        vector : bool, optional
            Whether to use SVG; by default for figures without images and meshes, unless the file
            gets large.

        Returns
        -------
        Encoded
        """
        width, height = (float(inches * _CSS_PIXELS) for inches in self.figure.get_size_inches())
        images = any(_has_pixels(axes) for axes in self.figure.axes)
        small = not images and len(self.figure.axes) <= _MAX_AXES
        if vector or (vector is None and small):
            data = self.svg()
            if vector or len(data) <= _MAX_SVG_BYTES:
                return Encoded(data, "image/svg+xml", width, height)
        return Encoded(self.png(dpi=dpi), "image/png", width, height)


def _has_pixels(axes: Axes) -> bool:
    """Return whether axes show an image or a mesh, each cell of which would be a path in SVG."""
    return bool(axes.images) or any(isinstance(one, QuadMesh) for one in axes.collections)


def _few_colours(image: Image.Image, rare: float) -> Image.Image:
    """Return the image with a palette, or unchanged if that would change colours of maps."""
    counted = image.getcolors(_MAX_COLOURS)
    if counted is None:
        return image
    counts = np.array([count for count, _ in counted])
    colours = np.array([colour for _, colour in counted], dtype=np.int64)
    # Greys last: they are replaced by those of the palette.
    order = np.lexsort((counts, np.ptp(colours, axis=1) > 0))[::-1]
    palette = colours
    if len(counted) > _PALETTE:
        palette = np.concatenate([_GREYS, colours[order[: _PALETTE - len(_GREYS)]]])
    distance = ((colours[:, np.newaxis] - palette) ** 2).sum(axis=2)
    if ((distance.min(axis=1) > _MAX_COLOUR_CHANGE**2) & (counts >= rare)).any():
        return image
    # A table of all colours: looking up 2 million pixels takes a hundredth of a second.
    table = np.zeros(1 << 24, dtype=np.uint8)
    table[colours @ _PLACES] = distance.argmin(axis=1)
    small = Image.fromarray(table[np.asarray(image, dtype=np.int32) @ _PLACES])
    small.putpalette(palette.astype(np.uint8).tobytes())
    return small


def _numbered(svg: str) -> str:
    """Return the SVG with numbers instead of random ids."""
    numbers: dict[str, int] = {}

    def one(match: re.Match[str]) -> str:
        number = numbers.setdefault(match[3], len(numbers) + 1)
        return f"{match[1]}{match[2]}_{number}"

    return _IDS.sub(one, svg)
