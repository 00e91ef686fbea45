"""Picture: a figure with its caption and alt text, and as the bytes of an image."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ivimkit.figures.alt_text import describe

__all__ = ["Encoded", "Picture"]

_DPI = 130.0
_CSS_PIXELS = 96.0
"""Per inch."""

_LARGEST_SVG = 120_000
"""Bytes beyond which a picture of pixels is the better choice."""

_MOST_AXES = 8
"""Of an SVG: more of them would only be drawn to find that the file is too large."""

_LEVEL = 6
"""Of compression: 9 takes twice the time and saves 2 %."""

_MOST_COLOURS = 1 << 12
_PALETTE = 256
_FARTHEST = 16.0
"""By which a colour may change to have a palette, of 255 levels: a few steps of a colour bar. The
colours of maps are the frequent ones and stay."""

_RARE = 0.06
"""Inches: of a row of that many pixels, half the width of a colour bar, or fewer are edges of
letters on a map, whose colour nobody looks at."""

_PLACES = np.array([1 << 16, 1 << 8, 1])

# For the edges of letters, which would else lose theirs to the colours of a map.
_GREYS = np.repeat(np.linspace(0, 255, 32, dtype=np.int64)[:, np.newaxis], 3, axis=1)

# Clips, markers and images have ids with a random end.
_IDS = re.compile(r'(\bid="|url\(#|href="#)([\w.-]*?)([0-9a-f]{10})(?=["\)])')


@dataclass(frozen=True)
class Encoded:
    """A picture as bytes.

    Parameters
    ----------
    data : bytes
        The content of the file.
    media_type : {"image/png", "image/svg+xml"}
        What it is.
    width, height : float
        Size on a page, CSS pixels, 96 per inch.
    """

    data: bytes = field(repr=False)
    media_type: str
    width: float
    height: float

    @property
    def uri(self) -> str:
        """The picture as the address of an image in a page that needs no other file."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with the words around it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What is seen.
    caption : str
        What is written below it.
    alt : str
        For those who cannot see it; by default read from the figure.

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

    def png(self, *, dpi: float = _DPI) -> bytes:
        """Return the picture as a PNG file, without metadata.

        Parameters
        ----------
        dpi : float
            Pixels per inch.

        Returns
        -------
        bytes
            With a palette where 256 colours are enough, for a third of the size; some shades
            at the edges of letters and lines may then differ by a few levels.
        """
        raw, target = io.BytesIO(), io.BytesIO()
        # Pillow compresses below, once the number of colours is known.
        self.figure.savefig(raw, format="png", dpi=dpi, pil_kwargs={"compress_level": 0})
        with Image.open(raw) as image:
            pixels = image.convert("RGB")
        _few_colours(pixels, _RARE * dpi).save(target, format="png", compress_level=_LEVEL)
        return target.getvalue()

    def svg(self) -> bytes:
        """Return the picture as an SVG file, without metadata, the same bytes each time.

        Its ids are unique in the file alone: show it as an image, not inline.

        Returns
        -------
        bytes
        """
        target = io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.figure.savefig(target, format="svg", metadata=nothing)
        return _numbered(target.getvalue().decode("utf-8")).encode("utf-8")

    def encoded(self, *, dpi: float = _DPI, vector: bool | None = None) -> Encoded:
        """Return the picture in the better of both formats.

        Parameters
        ----------
        dpi : float
            Pixels per inch, if it becomes pixels.
        vector : bool, optional
            Whether to take SVG; by default for figures without images, unless it gets large.

        Returns
        -------
        Encoded
        """
        width, height = (float(inches * _CSS_PIXELS) for inches in self.figure.get_size_inches())
        images = any(axes.images for axes in self.figure.axes)
        small = not images and len(self.figure.axes) <= _MOST_AXES
        if vector or (vector is None and small):
            data = self.svg()
            if vector or len(data) <= _LARGEST_SVG:
                return Encoded(data, "image/svg+xml", width, height)
        return Encoded(self.png(dpi=dpi), "image/png", width, height)


def _few_colours(image: Image.Image, rare: float) -> Image.Image:
    """Return the image with a palette, or as it is if that would change colours of maps."""
    found = image.getcolors(_MOST_COLOURS)
    if found is None:
        return image
    counts = np.array([count for count, _ in found])
    colours = np.array([colour for _, colour in found], dtype=np.int64)
    # Greys last: those of the palette stand for them.
    order = np.lexsort((counts, np.ptp(colours, axis=1) > 0))[::-1]
    palette = colours
    if len(found) > _PALETTE:
        palette = np.concatenate([_GREYS, colours[order[: _PALETTE - len(_GREYS)]]])
    distance = ((colours[:, np.newaxis] - palette) ** 2).sum(axis=2)
    if ((distance.min(axis=1) > _FARTHEST**2) & (counts >= rare)).any():
        return image
    # A table of all colours: to look up 2 million pixels takes a hundredth of a second.
    table = np.zeros(1 << 24, dtype=np.uint8)
    table[colours @ _PLACES] = distance.argmin(axis=1)
    small = Image.fromarray(table[np.asarray(image, dtype=np.int32) @ _PLACES])
    small.putpalette(palette.astype(np.uint8).tobytes())
    return small


def _numbered(svg: str) -> str:
    """Return the SVG with numbers for random ids."""
    numbers: dict[str, int] = {}

    def one(match: re.Match[str]) -> str:
        number = numbers.setdefault(match[3], len(numbers) + 1)
        return f"{match[1]}{match[2]}_{number}"

    return _IDS.sub(one, svg)
