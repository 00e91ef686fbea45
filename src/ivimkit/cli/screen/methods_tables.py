"""The catalogue of models, methods, estimators, steps and organs, for ``ivimkit methods``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ivimkit import methods, models, organs, steps
from ivimkit import uncertainty as estimators
from ivimkit.cli.answers.catalogue_answer import models_fitted_by
from ivimkit.cli.screen.terminal import plain_table
from ivimkit.errors import OptionError
from ivimkit.extend.plugin import Plugin
from ivimkit.parameter import RATE_UNIT
from ivimkit.rounding import how_shown

__all__ = ["catalogue"]


def catalogue() -> Iterator[RenderableType]:
    """Yield titles and tables of everything available."""
    yield Text("Models", style="bold")
    yield _models()
    yield Text("\nMethods, and the options they have with their defaults", style="bold")
    yield _methods()
    yield Text("\nUncertainty, and the options in Python", style="bold")
    yield _with_options(estimators)
    yield Text("\nSteps before a fit in their order, and their options", style="bold")
    yield _with_options(steps)
    yield Text(
        "\nOrgans: start of f, D* and D (10⁻³ mm²/s), threshold (s/mm²)",
        style="bold",
    )
    yield _organs()


def _models() -> Table:
    table = _words("name", "title", "signal")
    for name in models.names():
        try:
            model = models.get(name)
        except OptionError as error:
            # That of another package, which is broken: the others are listed all the same.
            table.add_row(name, "not available", str(error))
        else:
            table.add_row(name, model.title, model.equation)
    return table


def _methods() -> Table:
    table = _words("name", "title", "fits", "options")
    for name in methods.names():
        method = methods.get(name)
        table.add_row(name, method.title, ", ".join(models_fitted_by(method)), _options(method))
    return table


def _with_options(plugins: Any) -> Table:
    """Return a table of plug-ins and the options they have with their defaults."""
    table = _words("name", "title", "options")
    for name in plugins.names():
        plugin = plugins.get(name)
        table.add_row(name, plugin.title, _options(plugin))
    return table


def _options(plugin: Plugin) -> str:
    found = (f"{key}={_text(value)}" for key, value in plugin.options().items())
    return "\n".join(found) or "none"


def _organs() -> Table:
    table = plain_table("name", "tissue", "f", "D*", "D", "threshold", left=2)
    for name in organs.names():
        organ = organs.get(name)
        f, D_star, D = (organ.means[key] for key in ("f", "D_star", "D"))
        _, factor = how_shown(RATE_UNIT)
        numbers = (f"{f:g}", f"{factor * D_star:g}", f"{factor * D:g}", f"{organ.b_split:g}")
        table.add_row(name, organ.title, *numbers)
    return table


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _words(*columns: str) -> Table:
    table = plain_table(*columns, left=len(columns))
    for column in table.columns:
        column.no_wrap = column.header == "name"
    return table
