"""Alt text: a description of a figure, derived from what was drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from ivimkit.rounding import rounded

__all__ = ["describe"]

_SIDES = {
    "R": "right side",
    "L": "left side",
    "A": "front",
    "P": "back",
    "S": "upper end",
    "I": "lower end",
}


def describe(figure: Figure) -> str:
    """Describe a figure for those who cannot see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Any figure of `ivimkit.report`.

    Returns
    -------
    str
        Title; for images their content, range and median, and the marks drawn; for curves the axes
        and the range of each; tables and legends in full.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.figures.alt_text import describe
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> text = describe(ik.report.map_panels(ik.fit(made.dwi), maps=["D"]))
    >>> text.partition(", median")[0].partition(". ")[2]
    'Image: D, shown from 0 to 2.5 10⁻³ mm²/s'
    """
    bars = {bar.ax for bar in (image.colorbar for image in _images(figure)) if bar is not None}
    axes = [one for one in figure.axes if one not in bars]
    pages = [one for one in axes if one.images and not one.get_xlabel()]
    rows = [_one_line(one.get_ylabel()) for one in pages if one.get_ylabel()]
    parts = [_one_line(figure.get_suptitle()), f"Rows: {', '.join(rows)}" if rows else ""]
    parts += [group.sentence() for group in _groups(axes)]
    parts.append(_sides(axes))
    for one in axes:
        parts += [*_plot(one), *_tables(one), *_sentences(one)]
    heading = _one_line(figure.get_suptitle())
    notes = [_one_line(text.get_text()) for text in figure.texts]
    parts += [note for note in notes if note and note != heading]
    parts.append(_listed("Legend", [t for legend in figure.legends for t in legend.get_texts()]))
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


@dataclass
class _Group:
    """A column of images that share a title."""

    title: str
    images: list[AxesImage] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        what = ", ".join(part for part in (self.title, *self._ranges(), *self._marked()) if part)
        return f"{'Image' if len(self.images) == 1 else 'Images'}: {what}"

    def _ranges(self) -> Iterator[str]:
        if isinstance(self.images[0].norm, BoundaryNorm):
            return
        if len({image.get_clim() for image in self.images}) == 1:
            yield _range(self.images)
            return
        # Rows of different maps, each with its own scale.
        for row, image in zip(self.rows, self.images, strict=True):
            yield f"{row} {_range([image])}"

    def _marked(self) -> Iterator[str]:
        if self.marks:
            yield f"marked: {', '.join(dict.fromkeys(self.marks))}"


def _range(images: list[AxesImage]) -> str:
    """Describe the range on which images are shown, and their median."""
    low, high = images[0].get_clim()
    label = next((_bar_label(one) for one in images if one.colorbar is not None), "")
    shown = f"shown from {low:g} to {high:g} {_unit(label)}".rstrip()
    values = np.concatenate([_finite(image.get_array()) for image in images])
    middle = f"median {_number(float(np.median(values)))}" if values.size else "without any value"
    return f"{shown}, {middle}"


def _images(figure: Figure) -> list[AxesImage]:
    return [image for axes in figure.axes for image in _maps(axes)]


def _maps(axes: Axes) -> list[AxesImage]:
    """Return the images of numbers; images of colours only fade parts of them."""
    return [image for image in axes.images if np.asarray(image.get_array()).ndim == 2]


def _is_chart(axes: Axes) -> bool:
    """Return whether an image is a density in a plot, not a picture."""
    return bool(axes.images and axes.get_xlabel() and axes.images[0].colorbar is None)


def _groups(axes: list[Axes]) -> list[_Group]:
    """Join each image to the titled one above it."""
    pictures = [one for one in axes if one.images and not _is_chart(one)]
    names = {_place(one)[1]: _one_line(one.get_ylabel()) for one in pictures if one.get_ylabel()}
    groups: dict[float, _Group] = {}
    found: list[_Group] = []
    for one in pictures:
        column, row = _place(one)
        title = _one_line(one.get_title())
        if title or column not in groups:
            groups[column] = _Group(title)
            found.append(groups[column])
        groups[column].images += _maps(one)
        groups[column].rows += [names.get(row, "")] * len(_maps(one))
        groups[column].marks += _labels_of_marks(one)
    return found


def _place(axes: Axes) -> tuple[float, float]:
    """Return the lower left corner of axes, rounded so that aligned axes agree."""
    corner = axes.get_position()
    return round(corner.x0, 4), round(corner.y0, 4)


def _labels_of_marks(axes: Axes) -> list[str]:
    drawn = [*axes.lines, *axes.patches, *axes.collections]
    labels = [str(artist.get_label()) for artist in drawn]
    return [label for label in labels if label and not label.startswith("_")]


def _sides(axes: list[Axes]) -> str:
    """Describe the sides of the patient, if images have the letters of both."""
    for one in axes:
        letters = [text.get_text() for text in one.texts if text.get_text() in _SIDES]
        if one.images and len(letters) == 2:
            left, right = (_SIDES[letter] for letter in letters)
            return f"On the left the {left} of the patient, on the right the {right}"
    return ""


def _plot(axes: Axes) -> Iterator[str]:
    if (axes.images and not _is_chart(axes)) or not axes.axison:
        return
    notes = [_one_line(text.get_text()) for text in axes.texts if text.get_text()]
    series = [*_curves(axes), *_entries(axes), *notes]
    if not series:
        return
    scale = "logarithmic " if axes.get_yscale() == "log" else ""
    upright, across = _one_line(axes.get_ylabel()), _one_line(axes.get_xlabel())
    title = f"{_one_line(axes.get_title())}: " if axes.get_title() else ""
    low, high = axes.get_xlim()
    over = f" over {across} from {_number(low)} to {_number(high)}" if across else ""
    yield "; ".join([f"{title}{scale}{upright or 'plot'}{over}", *series])


def _curves(axes: Axes) -> Iterator[str]:
    for line in axes.lines:
        label, values = str(line.get_label()), _finite(line.get_ydata())
        if label.startswith("_") or not values.size:
            continue
        yield f"{label} {_span(values)}"
    for bars in axes.containers:
        if isinstance(bars, BarContainer):
            yield _bars(axes, bars)


def _bars(axes: Axes, bars: BarContainer) -> str:
    """Describe the lowest and highest bars, and their positions."""
    # Not from the labels, which are hidden if another plot below has the same ones.
    ticks = [float(tick) for tick in axes.get_xticks()]
    names = dict(zip(ticks, axes.xaxis.get_major_formatter().format_ticks(ticks), strict=True))
    ends = [end(bars.patches, key=lambda bar: bar.get_height()) for end in (min, max)]
    said = []
    for bar in ends:
        name = names.get(bar.get_x() + bar.get_width() / 2)
        said.append(f"{_number(bar.get_height())}{f' at {name}' if name else ''}")
    return f"{bars.get_label()} from {said[0]} to {said[1]}"


def _entries(axes: Axes) -> list[str]:
    """Return the labels of everything other than curves, such as histograms with their medians."""
    handles, labels = axes.get_legend_handles_labels()
    pairs = zip(handles, labels, strict=True)
    return [label for handle, label in pairs if not isinstance(handle, Line2D | BarContainer)]


def _tables(axes: Axes) -> Iterator[str]:
    for table in axes.tables:
        cells = {
            at: cell.get_text().get_text().replace("\n", " ")
            for at, cell in table.get_celld().items()
        }
        n_rows, n_columns = (max(axis) + 1 for axis in zip(*cells, strict=True))
        for row in range(1, n_rows):
            numbers = [f"{cells[0, k]} {cells[row, k]}" for k in range(1, n_columns)]
            yield f"{cells[row, 0]}: {', '.join(numbers)}"


def _sentences(axes: Axes) -> Iterator[str]:
    if not axes.axison:
        yield from (_one_line(text.get_text()) for text in axes.texts)


def _listed(what: str, texts: list[Text]) -> str:
    return f"{what}: {'; '.join(text.get_text() for text in texts)}" if texts else ""


def _bar_label(image: AxesImage) -> str:
    bar = image.colorbar
    return "" if bar is None else bar.ax.get_xlabel() or bar.ax.get_ylabel()


def _unit(label: str) -> str:
    """Return the text in the last brackets of a label."""
    return label.rpartition("(")[2].rstrip(")") if label.endswith(")") else ""


def _finite(values: object) -> NDArray[np.float64]:
    numbers = np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
    return numbers[np.isfinite(numbers)]


def _span(values: NDArray[np.float64]) -> str:
    low, high = _number(float(values.min())), _number(float(values.max()))
    return low if low == high else f"{low} to {high}"


def _number(value: float) -> str:
    return rounded(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
