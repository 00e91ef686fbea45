"""Completion in the shell of what depends on other words: maps, regions, options of a method.

Completion looks and reads, but never fails: without an answer there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

__all__ = [
    "complete_choice",
    "complete_command",
    "complete_list",
    "complete_maps",
    "complete_method_option",
    "complete_parameter",
    "complete_region",
    "complete_step",
]

_USUAL_MAPS = ("S0", "f", "D_star", "D", "ADC", "fD_star", "rmse", "r2")
_MAX_REGIONS = 200

Completion = Callable[[str], list[str]]
CompletionFor = Callable[[typer.Context, str], list[str]]


def complete_choice(*choices: str) -> Completion:
    """Return a function that completes one of some words."""

    def matching(incomplete: str) -> list[str]:
        return [word for word in choices if word.startswith(incomplete)]

    return matching


def complete_list(names: Callable[[], Iterable[str]]) -> Completion:
    """Return a function that completes the last word of a list with commas."""

    def matching(incomplete: str) -> list[str]:
        return _in_list(names(), incomplete)

    return matching


def complete_maps(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a list of maps: those of the result that is named, or the usual ones."""
    return _in_list(_maps(ctx) or _USUAL_MAPS, incomplete)


def complete_region(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a region: of --names, or of the files of --labels."""
    found: list[str] = []
    with suppress(Exception):
        found = list(_regions(ctx))
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)][:_MAX_REGIONS]


def complete_method_option(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete NAME=VALUE of an option of the method, its value if there are choices."""
    from ivimkit import methods
    from ivimkit.defaults import USUAL_METHOD

    found: dict[str, tuple[str, ...]] = {}
    with suppress(Exception):
        method = methods.get(ctx.params.get("method") or USUAL_METHOD)
        for field in fields(method):
            words = field.metadata.get("choices", ())
            if isinstance(getattr(method, field.name), bool):
                words = ("yes", "no")
            found[f"{field.name}="] = tuple(words)
    known = {
        name: words for name, words in found.items() if name.startswith(incomplete[: len(name)])
    }
    if len(known) == 1:
        # Most shells put a space behind a single word: rather its values, if they are known.
        ((name, words),) = known.items()
        values = [f"{name}{word}" for word in words] or [name]
        return [word for word in values if word.startswith(incomplete) and word != incomplete]
    return [name for name in known if name.startswith(incomplete)]


def complete_parameter(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete NAME= of a parameter of the model."""
    from ivimkit import models

    with suppress(Exception):
        model = models.get(ctx.params.get("model") or "biexp")
        return [f"{name}=" for name in model.names if name.startswith(incomplete)]
    return []


def complete_command(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a command that takes settings."""
    from ivimkit.cli.options.settings_file import commands_of

    names = commands_of(ctx.find_root().command)
    return [name for name in names if name.startswith(incomplete)]


def complete_step(incomplete: str) -> list[str]:
    """Complete a list of the steps before a fit, or auto."""
    from ivimkit.cli.options.plugin_names import step_names

    return _in_list(("auto", *step_names()), incomplete)


def _in_list(names: Iterable[str], incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    given = set(before.split(","))
    return [
        f"{before}{comma}{name}" for name in names if name.startswith(last) and name not in given
    ]


def _maps(ctx: typer.Context) -> list[str]:
    """Return the maps of the first result on the command line; without loading it."""
    given = [ctx.params.get(name) for name in ("result", "results", "scans")]
    named = [path for one in given if one for path in (one if _is_list(one) else [one])]
    # An option without its value, which is being completed, leaves arguments unread.
    for path in [*named, *ctx.args]:
        with suppress(OSError, ValueError, TypeError):
            record = json.loads((Path(path) / "fit.json").read_text(encoding="utf-8"))
            return [str(name) for name in record["maps"]]
    return []


def _regions(ctx: typer.Context) -> Iterator[str]:
    names = ctx.params.get("names")
    labels: Any = ctx.params.get("labels") or ()
    if names:
        from ivimkit.io.label_names import load_label_names

        yield from load_label_names(names).values()
        return
    files = [Path(file) for file in (labels if _is_list(labels) else [labels])]
    for file in files:
        from ivimkit.io.image_stem import stem_of_name
        from ivimkit.io.names_of_labels import names_of_labels

        own: dict[int, str] = {}
        with suppress(Exception):
            own = dict(names_of_labels(file))
        if own:
            yield from own.values()
        elif len(files) > 1:
            yield stem_of_name(file.name)
        else:
            yield from _numbers(file) or [stem_of_name(file.name)]


def _numbers(file: Path) -> list[str]:
    """Return the numbers in a label image; nothing for a mask, which has one."""
    import numpy as np

    from ivimkit import io

    numbers: list[str] = []
    with suppress(Exception):
        numbers = [f"{number:g}" for number in np.unique(io.load_map(file)) if number > 0]
    return numbers if len(numbers) > 1 else []


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
