"""MapLook: how a figure shows maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.figures.map_style import Shown, how_to_show
from ivimkit.figures.orientation import Cut, planes_of
from ivimkit.figures.panel_grid import Column
from ivimkit.figures.reliability import Doubt, check_choice, stored_map
from ivimkit.figures.shown_maps import MapSource, shown_part, values_in
from ivimkit.parameter import Parameter

__all__ = ["MapLook"]


@dataclass(frozen=True)
class MapLook:
    """What is the same for all maps of a figure.

    Parameters
    ----------
    parameters : sequence of Parameter
        What the maps can be of.
    limits : mapping of str to tuple of float, optional
        Display range of each map, in the stored unit; by default that of its parameter.
    unreliable : {"fade", "hide", "show"}
        What to do with voxels whose value the data do not determine.

    Raises
    ------
    OptionError
        If `unreliable` is something else.
    """

    parameters: Sequence[Parameter]
    limits: Mapping[str, tuple[float, float]] | None = None
    unreliable: str = "fade"

    def __post_init__(self) -> None:
        """Check the choice."""
        check_choice(self.unreliable)

    def style(self, name: str, *sources: MapSource) -> Shown:
        """Return the style of a map, the same for all fits that it is drawn of."""
        values = [partial(values_in, source, name) for source in sources]
        return how_to_show(name, self.parameters, values, self.limits)

    def drawn(self, stored: NDArray[Any], doubtful: Doubt) -> tuple[NDArray[Any], Doubt]:
        """Return a map as it is drawn, and how its voxels are."""
        return stored_map(stored, doubtful, self.unreliable)

    def column(self, name: str, sources: Sequence[MapSource], cut: Cut) -> Column:
        """Show one map of several fits in one slice, or of one fit in several slices.

        Parameters
        ----------
        name : str
            Name of the map; of a source without it the place stays empty.
        sources : sequence of FitResult or of mapping of str to ndarray
            The fits, or plain maps.
        cut : Cut
            The slices.
        """
        there = [source for source in sources if name in source]
        shown = self.style(name, *there)
        shape = shown_part(there[0], name, cut)[0].shape
        empty = np.full(shape, np.nan), np.zeros(shape, dtype=np.uint8)
        drawn = [
            self.drawn(*(shown_part(source, name, cut) if name in source else empty))
            for source in sources
        ]
        return Column(
            shown.symbol,
            [plane for values, _ in drawn for plane in planes_of(values)],
            shown,
            [plane for _, faded in drawn for plane in planes_of(faded)],
        )
