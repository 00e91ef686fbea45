"""Candidates: the settings, such as b-values, that the volumes of a design are chosen from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import organs
from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.separable.atoms import instant
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import DIRECTION, B, points
from ivimkit.simulate.protocol import protocol_of

__all__ = ["DEFAULT_B_MAX", "Candidates", "acquisition_for", "candidates_of", "counted_settings"]

DEFAULT_B_MAX = 800.0
"""Highest b-value of a design in s/mm^2, unless its model needs higher ones."""

_MIN_B_MAX = 100.0
# Steps as on the consoles of scanners: fine where blood loses its signal, coarse beyond.
_STEPS = ((0, 30, 5), (30, 80, 10), (80, 200, 20), (200, 1000, 50), (1000, 10_000, 100))
_USUAL_SPLIT = 200.0
_AXES = tuple(axis.name for axis in DIRECTION)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Settings of volumes: what a protocol may consist of, or does.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,)
        The variables of the model by name, b among them; with one component of directions, all.
    x : ndarray, shape (n,) or (n_variables, n)
        The same as the model takes them.
    """

    columns: Mapping[str, NDArray[np.float64]]
    x: NDArray[np.float64] = field(repr=False)

    @property
    def b(self) -> NDArray[np.float64]:
        """The b-value of each, in s/mm^2."""
        return self.columns[B.name]

    def __len__(self) -> int:
        return self.b.size


def candidates_of(
    model: SignalModel,
    given: ArrayLike | Acquisition | Mapping[str, Any] | None = None,
    *,
    b_max: float | None = None,
    organ: str | None = None,
) -> Candidates:
    """Return the candidates of a design: those given, or the usual steps of scanners.

    Parameters
    ----------
    model : SignalModel
        The model.
    given : array_like, Acquisition or mapping, optional
        b-values in s/mm^2, or a table with the variables of the model; needed for a model of more
        than b.
    b_max : float, optional
        Highest b-value in s/mm^2. By default that of `given`, or 800, or what the model needs.
    organ : str, optional
        Its threshold matters for a model whose blood has no signal at b > 0: between 0 and the
        threshold, the model does not describe tissue, and there are no candidates.

    Raises
    ------
    OptionError
        If the highest b-value is too low for the model, or variables are missing.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.planning import candidates_of
    >>> candidates_of(ik.models.get("biexp"), b_max=300).b[-4:].tolist()
    [180.0, 200.0, 250.0, 300.0]
    """
    if b_max is not None and not (math.isfinite(b_max) and b_max >= _MIN_B_MAX):
        raise OptionError(
            f"the highest b-value is {b_max!r}; expected a number >= {_MIN_B_MAX:g} s/mm^2, like "
            "800 (--bmax)"
        )
    if given is None:
        columns = _usual(model, b_max)
    else:
        columns = dict(counted_settings(model, given)[0].columns)
        if b_max is not None:
            kept = columns[B.name] <= b_max
            columns = {name: values[kept] for name, values in columns.items()}
    if any(compartment.atom is instant for compartment in model.compartments):
        split = _USUAL_SPLIT if organ not in organs.names() else organs.get(str(organ)).b_split
        kept = (columns[B.name] == 0.0) | (columns[B.name] >= split)
        columns = {name: values[kept] for name, values in columns.items()}
    _check(model, columns[B.name])
    return Candidates(columns, points(model.variables, columns))


def counted_settings(
    model: SignalModel, given: ArrayLike | Acquisition | Mapping[str, Any]
) -> tuple[Candidates, NDArray[np.float64]]:
    """Return the distinct settings of a protocol, ascending, and the number of volumes of each.

    Parameters
    ----------
    model : SignalModel
        The model.
    given : array_like, Acquisition or mapping
        b-values in s/mm^2, or a table with the variables of the model.

    Examples
    --------
    >>> import ivimkit as ik
    >>> settings, counts = counted_settings(ik.models.get("biexp"), [800, 0, 50, 800])
    >>> settings.b.tolist(), counts.tolist()
    ([0.0, 50.0, 800.0], [1.0, 1.0, 2.0])
    """
    acquisition = acquisition_for(model, given)
    # All three components of a direction belong together.
    axes = _AXES if any(axis in model.variables for axis in _AXES) else ()
    names = tuple(dict.fromkeys((*model.variables, *axes)))
    rows = np.stack([acquisition.numbers_of(name) for name in names])
    distinct, counts = np.unique(rows, axis=1, return_counts=True)
    columns = dict(zip(names, distinct, strict=True))
    return Candidates(columns, points(model.variables, columns)), counts.astype(np.float64)


def acquisition_for(
    model: SignalModel, given: ArrayLike | Acquisition | Mapping[str, Any]
) -> Acquisition:
    """Return a protocol as an acquisition, with directions apart if the model depends on them.

    Raises
    ------
    OptionError
        If it does not have all variables of the model.
    """
    acquisition = protocol_of(given)
    _require_variables(model, acquisition)
    if any(axis in model.variables for axis in _AXES):
        return acquisition.with_directions_apart()
    return acquisition


def _require_variables(model: SignalModel, acquisition: Acquisition) -> None:
    known = {B.name, *acquisition.variables}
    known |= set() if acquisition.bvecs is None else set(_AXES)
    missing = [name for name in model.variables if name not in known]
    if missing:
        raise OptionError(
            f"the signal of model {model.name} depends on {', '.join(model.variables)}, and "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; expected a "
            "table with a column of each. Give the settings to choose from (--candidates FILE)",
            python="Pass candidates= as a table",
        )


def _usual(model: SignalModel, b_max: float | None) -> dict[str, NDArray[np.float64]]:
    if model.variables != (B.name,):
        others = ", ".join(name for name in model.variables if name != B.name)
        raise OptionError(
            f"the signal of model {model.name} depends on b and {others}; expected the settings "
            "to choose from, a table with a column of each (--candidates FILE)",
            python="Pass candidates= as a table",
        )
    highest = max(DEFAULT_B_MAX, model.b_needed) if b_max is None else b_max
    steps = np.concatenate([np.arange(*step) for step in _STEPS]).astype(np.float64)
    return {B.name: np.append(steps[steps < highest], highest)}


def _check(model: SignalModel, b: NDArray[np.float64]) -> None:
    if b.size < 2:
        raise OptionError(
            f"there are {b.size} settings to choose from; expected more. Add candidates, or raise "
            "the highest b-value (--bmax)"
        )
    if b.min() > 0.0:
        raise OptionError(
            f"the lowest b-value to choose from is {b.min():g} s/mm^2; expected 0, without which "
            "S0 is not measured. Add it to the candidates"
        )
    if b.max() < model.b_needed:
        raise OptionError(
            f"the highest b-value is {b.max():g} s/mm^2; expected {model.b_needed:g} or more for "
            f"model {model.name}. Raise it (--bmax), or use a simpler model"
        )
