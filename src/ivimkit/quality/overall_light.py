"""overall(): one traffic light for all checks of a result."""

from __future__ import annotations

from collections.abc import Sequence

from ivimkit.quality.traffic_light import WORST_FIRST, Light

__all__ = ["overall"]

_NAME = "overall"
_VERBS = {
    "red": ("is poor", "are poor"),
    "yellow": ("calls for caution", "call for caution"),
    "grey": ("could not be made", "could not be made"),
    "green": ("is good", "are good"),
}


def overall(lights: Sequence[Light]) -> Light:
    """Summarise checks as one light: the worst of them.

    Parameters
    ----------
    lights : sequence of Light
        The checks, such as those of `ivimkit.quality.lights`.

    Returns
    -------
    Light
        Red if any check is red, else yellow, else grey if any could not be made, and green only if
        all are. Its reason says how many checks have each colour, its advice that of the first
        check with its colour.

    Examples
    --------
    >>> from ivimkit.quality import Light, overall
    >>> found = overall([Light("a", "green", "..."), Light("b", "red", "...", "Look at b.")])
    >>> found.word, found.reason, found.advice
    ('poor', '1 of 2 checks is poor, 1 is good.', 'Look at b.')
    """
    by_colour = {
        colour: [light for light in lights if light.colour == colour] for colour in WORST_FIRST
    }
    there = [colour for colour in WORST_FIRST if by_colour[colour]]
    if not there:
        return Light(_NAME, "grey", "There are no checks.")
    if there == ["green"]:
        return Light(_NAME, "green", f"All {len(lights)} checks are good.")
    counted = [(len(by_colour[colour]), colour) for colour in there]
    parts = [
        f"{n}{f' of {len(lights)} checks' if not k else ''} {_VERBS[colour][n > 1]}"
        for k, (n, colour) in enumerate(counted)
    ]
    worst = by_colour[there[0]]
    advice = next((light.advice for light in worst if light.advice), "")
    return Light(_NAME, there[0], f"{', '.join(parts)}.", advice)
