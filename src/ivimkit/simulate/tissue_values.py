"""tissues_of_model: the tissues of a phantom with the parameters of any model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.signal_model import SignalModel
from ivimkit.parameter import Parameter
from ivimkit.simulate.tissue import Tissue

__all__ = ["TISSUE_MODEL", "tissues_of_model"]

TISSUE_MODEL = "biexp"
"""The model of which the tissues have the parameters, with sources."""

# Fractions that were chosen leave at least this share of S0 to the reference compartment.
_MIN_REMAINDER = 0.1
_DIGITS = 3


def tissues_of_model(tissues: Sequence[Tissue], model: SignalModel) -> tuple[Tissue, ...]:
    """Return tissues with a value of every parameter of a model.

    A parameter of the model that a tissue has (S0, f, D* and D, and others of some tissues) keeps
    its value, if it is within the bounds of the model. Values of the others are spread over their
    typical range, so that no two tissues are the same. A tissue without perfusion has no blood in
    any model.

    Parameters
    ----------
    tissues : sequence of Tissue
        Tissues with the parameters of the bi-exponential model.
    model : SignalModel
        The model.

    Returns
    -------
    tuple of Tissue
        Without the parameters of compartments that a tissue does not have.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(16, 12, 1), model="kurtosis", snr=None)
    >>> liver = made.tissues[0]
    >>> liver.value("f") == ik.organs.get("liver").means["f"], 0.0 < liver.value("K") < 2.0
    (True, True)
    """
    found = []
    for tissue, spread in zip(tissues, _spread(len(tissues), len(model.parameters)), strict=True):
        values: dict[str, float] = {}
        chosen: list[str] = []
        absent = _absent(model, tissue)
        for parameter, position in zip(model.parameters, spread, strict=True):
            name = parameter.name
            if name in absent:
                continue
            value = _known(tissue, parameter)
            if value is None or not parameter.lower <= value <= parameter.upper:
                value = _typical(parameter, float(position))
                chosen.append(name)
            values[name] = value
        _leave_remainder(model, values, chosen)
        _put_in_order(model, values, chosen)
        values |= {
            c.fraction.name: 0.0 for c in model.compartments if c.fraction and _all(c) <= absent
        }
        ordered = {name: values[name] for name in model.names if name in values}
        found.append(Tissue(tissue.name, ordered, _source(tissue, model, chosen)))
    return tuple(found)


def _known(tissue: Tissue, parameter: Parameter) -> float | None:
    """Return the value that a tissue has for a parameter, or for one that is like it."""
    own = models.get(TISSUE_MODEL)
    for name in (parameter.name, parameter.like):
        if name in tissue.values:
            same = name in own.names and own[name].unit == parameter.unit
            return tissue.values[name] if same else None
    return tissue.further.get(parameter.name)


def _all(compartment: Compartment) -> set[str]:
    own = (compartment.fraction, *compartment.parameters)
    return {parameter.name for parameter in own if parameter is not None}


def _absent(model: SignalModel, tissue: Tissue) -> set[str]:
    """Return the parameters of blood, if a tissue has no perfusion."""
    if tissue.values.get("f") != 0.0:
        return set()
    found: set[str] = set()
    for compartment in model.compartments:
        if compartment.fraction is None or model[compartment.fraction.name].lower > 0.0:
            continue
        blood = any(parameter.role == "perfusion" for parameter in compartment.parameters)
        if blood or compartment.signal == "perfusion" or compartment.fraction.name == "f":
            found |= _all(compartment)
    return found


def _spread(n_tissues: int, n_parameters: int) -> NDArray[np.float64]:
    """Return positions in (0, 1) that fill the space evenly, shape (n_tissues, n_parameters).

    Row k is frac(1/2 + k (1/g, 1/g^2, ...)) with the root g of x^(d+1) = x + 1, the golden ratio
    for d = 1: the additive recurrence that is furthest from any short period in d dimensions.
    """
    g = 2.0
    for _ in range(64):
        g = (1.0 + g) ** (1.0 / (n_parameters + 1))
    steps = g ** -np.arange(1.0, n_parameters + 1)
    return np.asarray((0.5 + np.outer(np.arange(n_tissues), steps)) % 1.0)


def _typical(parameter: Parameter, position: float) -> float:
    """Return a value from the typical range of a parameter, inside its bounds."""
    low, high = (min(max(v, parameter.lower), parameter.upper) for v in parameter.usual)
    if parameter.scale == "log" and low > 0.0:
        value = low * (high / low) ** position
    else:
        value = low + (high - low) * position
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)


def _leave_remainder(model: SignalModel, values: dict[str, float], chosen: list[str]) -> None:
    """Scale fractions that were chosen so that all of them leave something to the reference."""
    names = [name for name in model.fractions if name in values]
    free = [name for name in names if name in chosen]
    given = sum(values[name] for name in names if name not in free)
    total = sum(values[name] for name in free)
    left = max(1.0 - _MIN_REMAINDER - given, 0.0)
    if free and total > left:
        for name in free:
            values[name] *= left / total


def _put_in_order(model: SignalModel, values: dict[str, float], chosen: list[str]) -> None:
    """Exchange two values where the larger one of a pair would be the smaller one."""
    for _ in model.ascending:
        for low, high in model.ascending:
            if low in values and high in values and values[low] > values[high]:
                values[low], values[high] = values[high], values[low]
                chosen += [name for name in (low, high) if name not in chosen]


def _source(tissue: Tissue, model: SignalModel, chosen: Sequence[str]) -> str:
    source = tissue.source
    if any(parameter.role == "orientation" for parameter in model.parameters):
        source = f"{source}; anisotropy: chosen"
    if not chosen:
        return source
    names = ", ".join(name for name in model.names if name in chosen)
    return f"{source}; {names}: chosen from the typical range of model {model.name}"
