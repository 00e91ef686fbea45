"""Groups of options: dataclasses whose fields are options of the commands that take them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

__all__ = ["with_groups_spread"]


def with_groups_spread(command: Callable[..., None], *, around: Any = None) -> Callable[..., None]:
    """Return a command for typer: each group among its parameters becomes a row of options.

    Parameters
    ----------
    command : callable
        A command as typer knows it, except that some of its parameters are annotated with a
        group: a dataclass whose fields are annotated, and have defaults, like parameters of a
        command.
    around : dataclass, optional
        A further group, whose options are for what is around the command; it does not get them.

    Returns
    -------
    callable
        The same command with the fields of each group in its place. When called, it makes the
        groups and hands them to `command`.

    Raises
    ------
    ValueError
        If two parameters of the command have one name.

    Examples
    --------
    >>> from ivimkit.cli.options.shared_options import ScreenOptions
    >>> def greet(screen: ScreenOptions, name: str = "you") -> None:
    ...     print(name, screen)
    >>> command = with_groups_spread(greet)
    >>> list(inspect.signature(command).parameters)
    ['quiet', 'verbose', 'name']
    >>> command(quiet=True, verbose=False, name="all")
    all ScreenOptions(quiet=True, verbose=False)
    """
    groups: dict[str, Any] = {}
    names: dict[str, list[str]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if is_dataclass(parameter.annotation):
            own = _parameters(parameter.annotation)
            groups[parameter.name] = parameter.annotation
            names[parameter.name] = [option.name for option in own]
            parameters += own
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    outer = [] if around is None else _parameters(around)
    parameters += outer

    @functools.wraps(command)
    def run(**values: Any) -> None:
        for option in outer:
            del values[option.name]
        made = {
            name: group(**{option: values.pop(option) for option in names[name]})
            for name, group in groups.items()
        }
        command(**made, **values)

    # typer reads both: the first for defaults, help and order, the second for types.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameters(group: Any) -> list[inspect.Parameter]:
    """Return the fields of a group as parameters of a command."""
    annotations = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=annotations[field.name],
        )
        for field in fields(group)
    ]
