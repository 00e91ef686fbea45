"""MapLook: how a figure shows maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ivimkit.figures.map_style import Shown, how_to_show
from ivimkit.figures.orientation import Cut
from ivimkit.figures.panel_grid import Column
from ivimkit.figures.reliability import Doubt, check_choice, stored_map
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

    def style(self, name: str, *stored: NDArray[Any]) -> Shown:
        """Return the style of a map, the same for all fits that it is drawn of."""
        return how_to_show(name, self.parameters, stored, self.limits)

    def drawn(self, stored: NDArray[Any], doubtful: Doubt) -> tuple[NDArray[Any], Doubt]:
        """Return a map as it is drawn, and how its voxels are."""
        return stored_map(stored, doubtful, self.unreliable)

    def column(self, name: str, maps: Sequence[tuple[NDArray[Any], Doubt]], cut: Cut) -> Column:
        """Show one map of several fits in one slice, or of one fit in several slices.

        Parameters
        ----------
        name : str
            Name of the map.
        maps : sequence of (ndarray, ndarray of int)
            The map of each fit, and what `doubtful_voxels` returns for it.
        cut : Cut
            The slices.
        """
        shown = self.style(name, *(stored for stored, _ in maps))
        drawn = [self.drawn(stored, doubtful) for stored, doubtful in maps]
        return Column(
            shown.symbol,
            [plane for values, _ in drawn for plane in cut.planes(values)],
            shown,
            [plane for _, faded in drawn for plane in cut.planes(faded)],
        )
