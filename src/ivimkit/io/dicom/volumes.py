"""Frames to volumes: which slices belong together, in which order, and what is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ivimkit.io.dicom.frame import Frame, Order
from ivimkit.io.dicom.kinds import MEASURED, Kind, says_derived
from ivimkit.io.dicom.placement import Grid, clusters_of, grid_of
from ivimkit.io.dicom.vendor import Vector

__all__ = ["IncompleteVolume", "Stack", "Volume", "stacks_of"]

_UNWEIGHTED = 1e-6
# Orientations and spacings that differ by less are those of one grid: headers are rounded.
_SAME = 1e-4
# Slices closer than this, in mm, are at one position.
_SAME_PLACE_MM = 0.02
_MAX_NAMED = 5
_Cell = tuple[float | None, Vector | None, float, int]


@dataclass(frozen=True, eq=False)
class Volume:
    """One complete volume.

    Parameters
    ----------
    frames : tuple of Frame
        Its slices, ascending along the normal.
    kind : Kind
        What it shows.
    b : float or None
        b-value, s/mm^2; None if there is none.
    direction : Vector or None
        Direction of the gradient (LPS).
    echo_time : float
        In ms.
    """

    frames: tuple[Frame, ...] = field(repr=False)
    kind: Kind
    b: float | None
    direction: Vector | None
    echo_time: float

    @property
    def series(self) -> str:
        """UID of its series."""
        return self.frames[0].instance.series

    @property
    def order(self) -> tuple[int, Order]:
        """Sorts volumes as they were acquired."""
        return self.frames[0].instance.series_number, min(frame.order for frame in self.frames)

    @property
    def is_unweighted(self) -> bool:
        """Whether it has b = 0."""
        return self.b is not None and self.b <= _UNWEIGHTED


@dataclass(frozen=True, eq=False)
class IncompleteVolume:
    """A volume with missing or doubled slices.

    Parameters
    ----------
    b : float or None
        b-value, s/mm^2.
    direction : Vector or None
        Direction of the gradient (LPS).
    series : str
        UID of its series.
    series_number : int
        Number of its series.
    n_found, n_expected : int
        Number of slices it has, and that of complete volumes.
    missing, doubled : tuple of (int, float)
        Slices, from 1, and their positions along the normal, mm.
    """

    b: float | None
    direction: Vector | None
    series: str
    series_number: int
    n_found: int
    n_expected: int
    missing: tuple[tuple[int, float], ...]
    doubled: tuple[tuple[int, float], ...]

    def __str__(self) -> str:
        b = "no b-value" if self.b is None else f"b = {self.b:g}"
        towards = (
            "" if self.direction is None else " ({:.2g} {:.2g} {:.2g})".format(*self.direction)
        )
        parts = [
            f"{word} slice{'s' * (len(slices) > 1)} {_named(slices)}"
            for word, slices in (("without", self.missing), ("with two of", self.doubled))
            if slices
        ]
        what = " and ".join(parts) or "with another number of repeats in some slices"
        return f"{b}{towards} in series {self.series_number} {what}"


def _named(slices: Sequence[tuple[int, float]]) -> str:
    names = [f"{number} ({place:.4g} mm)" for number, place in slices[:_MAX_NAMED]]
    return ", ".join(names) + (" and more" if len(slices) > _MAX_NAMED else "")


@dataclass(frozen=True, eq=False)
class Stack:
    """The volumes of one series, of one kind and on one grid.

    Parameters
    ----------
    kind : Kind
        What they show.
    grid : Grid
        Where their voxels are.
    volumes : tuple of Volume
        Complete ones, as they were acquired.
    incomplete : tuple of IncompleteVolume
        The others.
    first : Frame
        One of the slices.
    n_images : int
        Number of slices of all volumes.
    """

    kind: Kind
    grid: Grid
    volumes: tuple[Volume, ...]
    incomplete: tuple[IncompleteVolume, ...]
    first: Frame
    n_images: int

    @property
    def bvals(self) -> tuple[float, ...]:
        """The b-values of its volumes, complete or not, each once, ascending."""
        found = [volume.b for volume in self.volumes] + [one.b for one in self.incomplete]
        return tuple(sorted({b for b in found if b is not None}))


def stacks_of(frames: Iterable[Frame]) -> list[Stack]:
    """Group slices into volumes.

    Parameters
    ----------
    frames : iterable of Frame
        All slices, in any order.

    Returns
    -------
    list of Stack
        In order of series and acquisition.
    """
    series: dict[tuple[str, str], list[Frame]] = defaultdict(list)
    for frame in frames:
        series[(frame.instance.study, frame.instance.series)].append(frame)
    found: list[Stack] = []
    for own in series.values():
        kinds: dict[Kind, list[Frame]] = defaultdict(list)
        for frame in _with_kinds_of_series(own):
            kinds[frame.kind].append(frame)
        for kind, members in kinds.items():
            found += [_stack(kind, grouped) for grouped in _by_grid(members)]
    return sorted(found, key=lambda stack: _order_of(stack.first))


def _order_of(frame: Frame) -> tuple[int, str, str, Order]:
    instance = frame.instance
    return instance.series_number, instance.series, frame.kind.value, frame.order


def _with_kinds_of_series(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames of a series with what only the series as a whole can tell of their kind.

    An image without weighting belongs to the directions, whatever it says, if there are any, and
    otherwise to their means. A weighted image without direction is a mean if others with the same
    b-value have one. An image of a single b-value that is called ADC is a map. Without any b-value
    all are of one kind.
    """
    measured = [f for f in frames if f.kind in MEASURED]
    without_b = all(f.b is None for f in measured)
    weighted = [f for f in measured if (f.b or 0.0) > _UNWEIGHTED]
    directed = {f.b for f in weighted if f.kind is Kind.DWI and f.direction is not None}
    is_map = len({f.b for f in measured}) < 2 and any(
        says_derived(str(f.instance.header.get("SeriesDescription", ""))) for f in measured[:1]
    )
    unweighted = _kind_of_unweighted(weighted)
    found = []
    for frame in frames:
        kind = frame.kind
        if kind in MEASURED and is_map:
            kind = Kind.DERIVED
        elif kind is Kind.TRACE and without_b:
            kind = Kind.DWI
        elif kind is Kind.DWI and frame.direction is None and frame.b in directed:
            kind = Kind.TRACE
        elif kind in MEASURED and frame.b is not None and frame.b <= _UNWEIGHTED:
            kind = unweighted or kind
        found.append(frame if kind is frame.kind else replace(frame, kind=kind))
    return found


def _kind_of_unweighted(weighted: Sequence[Frame]) -> Kind | None:
    kinds = {frame.kind for frame in weighted}
    return Kind.DWI if Kind.DWI in kinds else Kind.TRACE if kinds else None


def _by_grid(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Separate frames by orientation, matrix and size of pixels."""
    exact: dict[object, list[Frame]] = defaultdict(list)
    for frame in frames:
        exact[(frame.axes.tobytes(), frame.spacing, frame.shape)].append(frame)
    groups: list[list[Frame]] = []
    for own in exact.values():
        alike = next((group for group in groups if _are_parallel(group[0], own[0])), None)
        if alike is None:
            groups.append(own)
        else:
            alike.extend(own)
    return groups


def _are_parallel(one: Frame, other: Frame) -> bool:
    """Whether two slices have the same matrix and, except for rounding, pixels and orientation."""
    return (
        one.shape == other.shape
        and bool(np.abs(one.axes - other.axes).max() <= _SAME)
        and bool(np.allclose(one.spacing, other.spacing, rtol=_SAME, atol=0))
    )


def _stack(kind: Kind, frames: Sequence[Frame]) -> Stack:
    # Measured along one normal: the orientations of the slices differ in their last digits.
    normal = frames[0].normal
    places = np.array([normal @ frame.position for frame in frames])
    numbers = clusters_of(places, _SAME_PLACE_MM)
    one_each = [frames[k] for k in np.unique(numbers, return_index=True)[1]]
    cells: dict[_Cell, dict[int, list[Frame]]] = defaultdict(lambda: defaultdict(list))
    for frame, number in zip(frames, numbers.tolist(), strict=True):
        cells[_cell(frame, kind)][number].append(frame)
    centres = (np.bincount(numbers, weights=places) / np.bincount(numbers)).tolist()
    volumes: list[Volume] = []
    incomplete: list[IncompleteVolume] = []
    for found in cells.values():
        for one in _repeats(found, len(one_each)):
            if len(one) == len(one_each) and all(len(slices) == 1 for slices in one.values()):
                volumes.append(_volume(kind, [one[k][0] for k in range(len(one_each))]))
            else:
                incomplete.append(_incomplete(kind, one, centres))
    volumes.sort(key=lambda volume: volume.order)
    first = min(frames, key=lambda frame: frame.order)
    return Stack(kind, grid_of(one_each), tuple(volumes), tuple(incomplete), first, len(frames))


def _cell(frame: Frame, kind: Kind) -> _Cell:
    """Return what the slices of a volume have in common."""
    b = None if frame.b is None else round(frame.b, 4)
    return b, frame.direction if kind is Kind.DWI else None, round(frame.echo_time, 1), frame.group


def _repeats(cell: dict[int, list[Frame]], n_places: int) -> list[dict[int, list[Frame]]]:
    """Separate the repeats of a volume: slices in equal number at all positions.

    The k-th at each position, by instance number, form the k-th repeat. If some positions have
    fewer, the numbers of acquisitions tell which repeat lacks them.
    """
    counts = {len(slices) for slices in cell.values()}
    if len(counts) == 1 and len(cell) == n_places:
        in_order = {k: sorted(slices, key=lambda f: f.order) for k, slices in cell.items()}
        return [{k: [own[m]] for k, own in in_order.items()} for m in range(counts.pop())]
    apart: dict[tuple[int, int], dict[int, list[Frame]]] = defaultdict(lambda: defaultdict(list))
    for k, slices in cell.items():
        for frame in slices:
            apart[frame.instance.acquisition][k].append(frame)
    by_acquisition = list(apart.values())
    whole = [one for one in by_acquisition if len(one) == n_places]
    unique = all(len(slices) == 1 for one in by_acquisition for slices in one.values())
    return by_acquisition if whole and unique else [cell]


def _volume(kind: Kind, frames: Sequence[Frame]) -> Volume:
    one = frames[0]
    direction = one.direction if kind is Kind.DWI else None
    return Volume(tuple(frames), kind, one.b, direction, one.echo_time)


def _incomplete(
    kind: Kind, cell: dict[int, list[Frame]], places: Sequence[float]
) -> IncompleteVolume:
    counts = [len(cell.get(k, ())) for k in range(len(places))]
    usual = max(1, min(count for count in counts if count))
    one = next(iter(cell.values()))[0]
    return IncompleteVolume(
        b=one.b,
        direction=one.direction if kind is Kind.DWI else None,
        series=one.instance.series,
        series_number=one.instance.series_number,
        n_found=sum(counts),
        n_expected=len(places),
        missing=tuple((k + 1, places[k]) for k, count in enumerate(counts) if count == 0),
        doubled=tuple((k + 1, places[k]) for k, count in enumerate(counts) if count > usual),
    )
