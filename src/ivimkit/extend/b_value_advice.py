"""Advice about b-values: reasons why those of a scan are a poor choice for a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.coverage import CoverageRange
from ivimkit.scan.directions import distinct_directions, needs_directions
from ivimkit.scan.variables import B, groups_of

__all__ = ["coverage_needed", "n_distinct_settings", "sentences", "settings_of"]

# Blood with a rate of 0.02 mm^2/s has lost two thirds of its signal at 50 s/mm^2, and all but
# 0.2 % of it at 300.
_MAX_LOW_B = 50.0
_MIN_HIGH_B = 300.0
# At lower b-values blood and tissue lose about as much signal.
_MIN_DIRECTIONAL_B = 200.0
# Each rate of blood takes a share, a rate and room for the noise.
_LOW_B, _MIN_LOW_B_PER_RATE = 60.0, 3
# Twice as many b-values as parameters: half of the degrees of freedom remain for the noise.
_MIN_B_PER_PARAMETER = 2


class Advised(Protocol):
    """The attributes of a model that advice needs: `ivimkit.extend.signal_model.SignalModel`."""

    @property
    def name(self) -> str: ...
    @property
    def variables(self) -> tuple[str, ...]: ...
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    @property
    def compartments(self) -> Sequence[Any]: ...
    @property
    def special_cases(self) -> Mapping[str, Any]: ...
    @property
    def n_free(self) -> int: ...
    @property
    def b_needed(self) -> float: ...
    @property
    def b_valid(self) -> float: ...
    @property
    def directions_needed(self) -> int: ...
    def two_decays(self) -> Any: ...


def n_distinct_settings(model: Advised, acquisition: Acquisition) -> int:
    """Return the number of settings that give different signals of a model.

    Settings that differ only in what the model does not know are one: for a model of b alone, it
    is the number of b-values.
    """
    if model.variables == (B.name,):
        return acquisition.n_distinct
    if needs_directions(model.variables):
        acquisition = acquisition.with_directions_apart()
    b = acquisition.distinct_bvals
    numbers = []
    for name, row in zip(model.variables, acquisition.shell_x(model.variables), strict=True):
        nearest = np.argmin(np.abs(row[:, None] - b), axis=1)
        numbers.append(nearest if name == B.name else groups_of(name, row))
    return int(np.unique(np.array(numbers), axis=1).shape[1])


def settings_of(model: Advised) -> str:
    """Return what the distinct values of a scan are to a model: b-values, or settings."""
    if model.variables == (B.name,):
        return "b-values"
    return f"settings of {_listed(model.variables)}"


def sentences(model: Advised, acquisition: Acquisition) -> Iterator[str]:
    """Yield reasons why the b-values are a poor choice, a sentence each.

    Parameters
    ----------
    model : SignalModel
        The model.
    acquisition : Acquisition
        The b-values.
    """
    b = acquisition.distinct_bvals
    blood = _symbols(model, "perfusion")
    shares = _symbols(model, "fraction")
    simpler = next(iter(model.special_cases), "")
    use = f"use model {simpler}" if simpler else "use a simpler model"
    what = "a bi-exponential" if model.two_decays() else f"model {model.name}"
    n_par = model.n_free
    unknown = needs_directions(model.variables) and not acquisition.has_directions
    n = n_distinct_settings(model, acquisition) if blood and not unknown else 0
    if blood and not unknown and n < _MIN_B_PER_PARAMETER * n_par:
        yield (
            f"{n} distinct {settings_of(model)}; expected {_MIN_B_PER_PARAMETER * n_par} or more "
            f"for {what} ({n_par} is the minimum). Expect large errors of "
            f"{_listed([*shares, *blood])}, or {use}"
        )
    if model.directions_needed and not unknown:
        yield from _about_directions(model, acquisition)
    if acquisition.bvals.min() > 0:
        yield (
            f"the lowest b-value is {acquisition.bvals.min():g} s/mm^2; expected b = 0. "
            "S0 is extrapolated by the model"
        )
    # The lowest b-value is treated as b = 0, whatever it is.
    if blood and not np.any((b > b.min()) & (b <= _MAX_LOW_B)):
        lowest = "0" if b.min() == 0 else f"the lowest one, {b.min():g},"
        verb = "is" if len(blood) == 1 else "are"
        yield (
            f"no b-value above {lowest} and up to {_MAX_LOW_B:g} s/mm^2; expected some, as the "
            f"perfusion signal vanishes soon after. {_listed(blood)} {verb} hardly identifiable: "
            f"{use}"
        )
    low = int(np.count_nonzero((b > b.min()) & (b <= _LOW_B)))
    if len(blood) > 1 and 0 < low < _MIN_LOW_B_PER_RATE * len(blood):
        yield (
            f"{low} b-values above the lowest one and up to {_LOW_B:g} s/mm^2; expected "
            f"{_MIN_LOW_B_PER_RATE * len(blood)} or more for {len(blood)} compartments of blood, "
            f"whose signals vanish there. {_listed(blood)} are hardly identifiable: {use}"
        )
    if shares and not np.any(b >= _MIN_HIGH_B):
        diffusion = _listed(_symbols(model, "diffusion")[-1:]) or "The diffusion of tissue"
        yield (
            f"the highest b-value is {b.max():g} s/mm^2; expected some of {_MIN_HIGH_B:g} or "
            f"more, where only tissue signal is left. {diffusion} still contains perfusion"
        )
    if b.max() > model.b_valid:
        yield (
            f"the highest b-value is {b.max():g} s/mm^2; expected up to {model.b_valid:g} for "
            f"{what}, as the kurtosis of tissue is not modelled. Leave out the highest "
            "(--bmax 1000)"
        )
    if b.max() < model.b_needed:
        form = _listed(_symbols(model, "shape")) or f"model {model.name}"
        yield (
            f"the highest b-value is {b.max():g} s/mm^2; expected some of {model.b_needed:g} or "
            f"more, where {form} shows. {form} is hardly identifiable: {use}"
        )


def _about_directions(model: Advised, acquisition: Acquisition) -> Iterator[str]:
    """Say if there are too few directions where tissue can be told from blood."""
    there = acquisition.bvals >= _MIN_DIRECTIONAL_B
    n = len(distinct_directions(acquisition.direction_vectors()[there]))
    if n < model.directions_needed:
        yield (
            f"{n} directions at b-values of {_MIN_DIRECTIONAL_B:g} s/mm^2 or more; expected at "
            f"least {model.directions_needed} there, as the direction of tissue hardly shows "
            "below. Its anisotropy is hardly identifiable: use model biexp"
        )


def coverage_needed(model: Advised, acquisition: Acquisition) -> tuple[CoverageRange, ...]:
    """Return the ranges of b-values that a model needs, of `Acquisition.coverage`.

    Parameters
    ----------
    model : SignalModel
        The model; without a rate of blood, b = 0 and the range of tissue are enough.
    acquisition : Acquisition
        The b-values.
    """
    ranges = acquisition.coverage()
    if model.compartments and not _symbols(model, "perfusion"):
        return ranges[0], ranges[-1]
    return ranges


def _symbols(model: Advised, role: str) -> list[str]:
    return [parameter.symbol for parameter in model.parameters if parameter.role == role]


def _listed(words: Sequence[str]) -> str:
    *first, last = words or ("",)
    return f"{', '.join(first)} and {last}" if first else last
