"""CatalogueAnswer: what ``ivimkit methods --json`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from ivimkit import methods, models, organs, priors, simulate, steps
from ivimkit import uncertainty as estimators
from ivimkit.cli.answers.json_answer import Answer
from ivimkit.errors import InputError, OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.parameter import RATE_UNIT
from ivimkit.scan.acquisition import Acquisition

__all__ = [
    "CatalogueAnswer",
    "ModelEntry",
    "OrganEntry",
    "ParameterEntry",
    "PluginEntry",
    "catalogue_answer",
    "models_fitted_by",
]


class ParameterEntry(msgspec.Struct):
    """A parameter; null is an open end of its range."""

    name: str
    symbol: str
    unit: str
    lower: float | None
    upper: float | None
    start: float


class ModelEntry(msgspec.Struct, kw_only=True):
    """A signal model; of one that is broken there is the error alone."""

    name: str
    error: str | None = None
    title: str = ""
    equation: str = ""
    parameters: list[ParameterEntry] = []


class PluginEntry(msgspec.Struct, kw_only=True):
    """A method, an estimator of uncertainty, a prior or a step, and its options with defaults.

    `models` are those that a method fits; null for anything else.
    """

    name: str
    title: str
    options: dict[str, Any]
    models: list[str] | None = None


class OrganEntry(msgspec.Struct):
    """An organ: the starts of a fit there, and its threshold."""

    name: str
    title: str
    f: float
    D_star: float
    D: float
    b_split: float


class CatalogueAnswer(Answer, kw_only=True):
    """What ``ivimkit methods --json`` prints: all that options can name."""

    format: Literal["ivimkit methods"] = "ivimkit methods"
    models: list[ModelEntry]
    methods: list[PluginEntry]
    uncertainty: list[PluginEntry]
    priors: list[PluginEntry]
    steps: list[PluginEntry]
    organs: list[OrganEntry]


def catalogue_answer() -> CatalogueAnswer:
    """Return everything available."""
    return CatalogueAnswer(
        units={"D": RATE_UNIT, "D_star": RATE_UNIT, "b_split": "s/mm^2"},
        models=list(_models()),
        methods=[
            PluginEntry(
                name=one.name,
                title=one.title,
                options=dict(one.options()),
                models=models_fitted_by(one),
            )
            for one in map(methods.get, methods.names())
        ],
        uncertainty=_plugins(estimators),
        priors=_plugins(priors),
        steps=_plugins(steps),
        organs=[
            OrganEntry(
                one.name,
                one.title,
                one.means["f"],
                one.means["D_star"],
                one.means["D"],
                one.b_split,
            )
            for one in map(organs.get, organs.names())
        ],
    )


def models_fitted_by(method: FitMethod) -> list[str]:
    """Return the models that a method fits, found by asking it."""
    usual = Acquisition(simulate.B21)
    found = []
    for name in models.names():
        try:
            method.check(models.get(name), usual)
        except InputError:
            continue
        found.append(name)
    return found


def _models() -> Iterator[ModelEntry]:
    for name in models.names():
        try:
            model = models.get(name)
        except OptionError as error:
            # That of another package, which is broken: the others are listed all the same.
            yield ModelEntry(name=name, error=str(error))
            continue
        parameters = [
            ParameterEntry(
                p.name, p.symbol, p.unit, float(p.lower), float(p.upper), float(p.start)
            )
            for p in model.parameters
        ]
        yield ModelEntry(
            name=name, title=model.title, equation=model.equation, parameters=parameters
        )


def _plugins(plugins: Any) -> list[PluginEntry]:
    found = map(plugins.get, plugins.names())
    return [
        PluginEntry(name=one.name, title=one.title, options=dict(one.options())) for one in found
    ]
