"""The steps that were asked for: read from words, and their order checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ivimkit import steps as available
from ivimkit.errors import OptionError
from ivimkit.extend.option_values import options_of, typed
from ivimkit.extend.preprocessing_step import STAGES, Step
from ivimkit.scan.history import History

__all__ = ["AUTO", "StepsGiven", "check_order", "steps_of"]

AUTO = "auto"
"""The word that lets the scan decide."""

StepsGiven = str | Step | Sequence[str | Step]
"""What a caller may give as steps."""


def steps_of(given: StepsGiven) -> tuple[Step, ...] | None:
    """Return the steps that were asked for.

    Parameters
    ----------
    given : str, Step or sequence of these
        Names with commas, each with options or without: ``"align:transform=affine,outliers"``.

    Returns
    -------
    tuple of Step, or None
        None for ``"auto"``.

    Raises
    ------
    OptionError
        For an unknown step or option, a wrong value, a step that is given twice, or none at all.

    Examples
    --------
    >>> from ivimkit.preprocessing.step_list import steps_of
    >>> steps_of("mask:kind=body")[0].kind
    'body'
    """
    if isinstance(given, str) and given.strip() == AUTO:
        return None
    words = given.split(",") if isinstance(given, str) else given
    parts = [words] if isinstance(words, Step) else list(words)
    found = tuple(part if isinstance(part, Step) else _read(part) for part in parts)
    if not found:
        raise OptionError(
            f"there are no steps; expected {AUTO}, or some of {', '.join(available.names())}"
        )
    for number, step in enumerate(found):
        if step.name in [other.name for other in found[:number]]:
            raise OptionError(f"step {step.name} is given twice; expected it once. Leave one out")
    check_order(found)
    return found


def check_order(steps: Sequence[Step], history: History | None = None) -> None:
    """Check that no step comes too late.

    Parameters
    ----------
    steps : sequence of Step
        The steps to apply.
    history : History, optional
        What was done to the scan before.

    Raises
    ------
    OptionError
        If a step comes after one of a later stage, or the scan was resampled before; the message
        says why that is wrong, and the right order.
    """
    order = list(STAGES)
    there = available.names()
    done = [available.get(name) for name in (history.names if history else ()) if name in there]
    passed = [*done, *steps]
    for number, step in enumerate(passed):
        for earlier in passed[:number]:
            if order.index(earlier.stage) <= order.index(step.stage):
                continue
            right = sorted(steps, key=lambda one: order.index(one.stage))
            way = (
                f"The scan has had step {earlier.name} already: begin with the scan as acquired"
                if earlier in done
                else f"Give {','.join(one.name for one in right)}"
            )
            raise OptionError(
                f"step {step.name} comes after {earlier.name}; expected it before, as "
                f"{STAGES[step.stage]}. {way}"
            )
    for step in steps:
        if step.name in [one.name for one in done]:
            raise OptionError(
                f"the scan has had step {step.name} already; expected it once. Leave it out, or "
                "begin with the scan as acquired"
            )


def _read(text: str) -> Step:
    """Read one step, like ``align:transform=affine``."""
    name, *assignments = (part.strip() for part in text.split(":"))
    if not name:
        raise OptionError(
            f"the list of steps has an empty entry; expected some of "
            f"{', '.join(available.names())}, with commas"
        )
    if name.casefold() == AUTO:
        raise OptionError(
            f"{name} is not a step; expected {AUTO} alone, or some of "
            f"{', '.join(available.names())}"
        )
    usual = available.get(name).options()

    def read(option: str, value: str) -> Any:
        return typed(f"option {option} of step {name}", value, usual[option])

    example = _example(name, usual)
    options = options_of(f"step {name}", assignments, usual, read, example=example)
    return available.get(name, **options)


def _example(name: str, usual: dict[str, Any]) -> str:
    return next((f"{name}:{option}={value}" for option, value in usual.items()), name)
