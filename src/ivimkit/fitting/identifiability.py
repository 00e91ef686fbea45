"""require_identifiable: refuse a fit whose parameters the settings of a scan cannot determine."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import gradients
from ivimkit.errors import AcquisitionError
from ivimkit.extend.b_value_advice import n_distinct_settings
from ivimkit.extend.signal_model import SignalModel
from ivimkit.parameter import Parameter
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.directions import determine_a_tensor, distinct_directions, needs_directions
from ivimkit.scan.shell_clusters import ABSOLUTE
from ivimkit.scan.variables import B, groups_of, variable_of

__all__ = ["require_identifiable", "unknown_to"]

_N_DRAWS = 32
_SEED = 0
# Singular values of columns of length 1 below this share of the largest are rounding errors.
_MIN_SINGULAR_VALUE = 1e-10
# Component of a direction in the null space above which the parameter takes part in it.
_MIN_COMPONENT = 1e-3


def require_identifiable(
    model: SignalModel, acquisition: Acquisition, *, weighted: bool = False
) -> None:
    """Refuse to fit parameters that the settings of a scan cannot determine.

    There have to be as many distinct settings as free parameters, and the derivatives of the
    signal by the free parameters have to be independent at typical values.

    Parameters
    ----------
    model : SignalModel
        The model.
    acquisition : Acquisition
        The volumes used; directions are separated if the model depends on them.
    weighted : bool
        Whether volumes have weights, for the message.

    Raises
    ------
    AcquisitionError
        If a variable of the model is not known, the settings are too few, or parameters cannot
        be distinguished; the message names them, and what is missing.

    Notes
    -----
    For one or two decays of b the number of b-values is enough: exp(-bD), b exp(-bD) and the same
    of D* are a Chebyshev system, so their matrix at as many different b has full rank. A
    numerical rank would only add rounding errors.
    """
    if needs_directions(model.variables):
        acquisition = acquisition.with_directions_apart()
    for name in model.variables:
        acquisition.numbers_of(name)
    if model.directions_needed:
        _require_directions(model, acquisition)
    distinct, needed = n_distinct_settings(model, acquisition), max(model.n_free, 2)
    if distinct < needed:
        raise AcquisitionError(_too_few(model, acquisition, distinct, needed, weighted))
    if model.two_decays() is None:
        _require_rank(model, acquisition.shell_x(model.variables))


def _require_directions(model: SignalModel, acquisition: Acquisition) -> None:
    """Refuse a scan in which volumes have no direction, or too few different ones."""
    vectors = acquisition.direction_vectors()
    without = np.flatnonzero((acquisition.bvals >= ABSOLUTE) & ~vectors.any(axis=1))
    needed = model.directions_needed
    if without.size:
        first = int(without[0])
        raise AcquisitionError(
            f"{without.size} volumes with b > 0 have no gradient direction (volume {first}, "
            f"b = {acquisition.bvals[first]:g} s/mm^2), on which the signal of model {model.name} "
            "depends; expected one for each of them. Leave them out (--volumes), or use a model "
            "of b alone, like biexp"
        )
    found = distinct_directions(vectors)
    if len(found) < needed:
        raise AcquisitionError(
            f"{len(found)} different gradient directions; expected at least {needed} for model "
            f"{model.name}. Use a scan with more, or a model of b alone, like biexp"
        )
    if not determine_a_tensor(found):
        raise AcquisitionError(
            f"the {len(found)} gradient directions lie on a cone or in a plane, and do not "
            f"determine the tensor of model {model.name}; expected directions all around. Use "
            "another scan, or a model of b alone, like biexp"
        )


def unknown_to(model: SignalModel, acquisition: Acquisition) -> str | None:
    """Name the variables that differ between the volumes of a scan and are not in a model.

    Returns
    -------
    str or None
        A sentence; None if all of them are in the model.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.fitting.identifiability import unknown_to
    >>> scan = ik.Acquisition([0, 800, 0, 800], variables={"echo_time": [60, 60, 90, 90]})
    >>> unknown_to(ik.models.get("monoexp"), scan)[:47]
    'the volumes differ in echo_time (60, 90 ms) and'
    """
    used = acquisition.varying_for(model.variables)
    left_out = [name for name in acquisition.varying if name not in used]
    if not left_out:
        return None
    listed = _joined([f"{name} ({_values(acquisition, name)})" for name in left_out])
    name = left_out[0]
    first = acquisition.variables[name][0]
    value = f"'{first}'" if isinstance(first, str) else f"{first:g}"
    return (
        f"the volumes differ in {listed} and model {model.name} does not depend on it; expected "
        f"one value. Its effect on the signal is attributed to b. Select volumes, like "
        f'--select "{name} == {value}", or use a model that depends on it'
    )


def _values(acquisition: Acquisition, name: str) -> str:
    values = acquisition.variables[name]
    if values.dtype.kind == "U":
        return ", ".join(np.unique(values).tolist())
    numbers = groups_of(name, values)
    means = [values[numbers == k].mean() for k in np.unique(numbers)]
    unit = variable_of(name).unit
    return f"{', '.join(f'{mean:g}' for mean in means)}{' ' + unit if unit else ''}"


def _too_few(
    model: SignalModel, acquisition: Acquisition, distinct: int, needed: int, weighted: bool
) -> str:
    with_weight = " with a weight" if weighted else ""
    if model.variables == (B.name,):
        listed = ", ".join(f"{b:g}" for b in acquisition.distinct_bvals)
        what = f"{distinct} distinct b-values{with_weight} ({listed})"
    else:
        what = f"{distinct} distinct settings of {', '.join(model.variables)}{with_weight}"
    return (
        f"{what}; expected at least {needed} for the {needed} free parameters of {model.name}. "
        "Use a model with fewer parameters (sivim 3, monoexp 2) or fix one of them"
    )


def _require_rank(model: SignalModel, x: NDArray[np.float64]) -> None:
    """Raise AcquisitionError if free parameters cannot be distinguished at any of the draws."""
    free = [
        k
        for k, parameter in enumerate(model.parameters)
        if not parameter.fixed and parameter.name not in model.fixed_maps
    ]
    draws = _draws(model)
    slopes = _scaled(model, draws, x)[..., free]
    values = np.linalg.svd(slopes, compute_uv=False)
    best = int(np.argmax(values[:, -1] / values[:, 0]))
    unknown = values[best] <= _MIN_SINGULAR_VALUE * values[best, 0]
    if not unknown.any():
        return
    _, _, right = np.linalg.svd(slopes[best])
    # As many rows as columns: there are at least as many settings as parameters.
    share = np.sqrt((right[unknown] ** 2).sum(axis=0))
    mixed = [k for k, part in enumerate(share) if part > _MIN_COMPONENT]
    names = [model.names[free[k]] for k in mixed]
    reason = _missing_variable(model, draws[best : best + 1], x, free)
    count = int(np.count_nonzero(unknown))
    unit = None if reason is None else variable_of(model.variables[reason]).unit
    culprits = _culprits(slopes[best], mixed, count, [model.parameters[k] for k in free], unit)
    cannot = _joined([model.names[free[k]] for k in culprits])
    example = model.names[free[culprits[0]]]
    if reason is None:
        why = f"{cannot} of {model.name} cannot be determined from these settings: the signal " + (
            f"stays the same if {_joined(names)} change together"
            if len(names) > 1
            else "does not depend on it"
        )
        raise AcquisitionError(
            f"{why}; expected settings that determine {cannot}. Fix {example} "
            f"(--fix {example}=...), or use a model without it"
        )
    variable = variable_of(model.variables[reason])
    own = np.unique(x[reason])
    words = variable.name.replace("_", " ")
    listed = f"{', '.join(f'{v:g}' for v in own)}{' ' + variable.unit if variable.unit else ''}"
    number = "one" if len(own) == 1 else str(len(own))
    raise AcquisitionError(
        f"{number} {words}{'' if len(own) == 1 else 's'} ({listed}) cannot give {cannot} of "
        f"{model.name}; expected several. Use a scan with other values of {variable.name}, or fix "
        f"{cannot} (--fix {example}=...)"
    )


def _draws(model: SignalModel) -> NDArray[np.float64]:
    """Return random parameters within the typical ranges, shape (n_draws, n_par)."""
    generator = np.random.default_rng(_SEED)
    ranges = np.array([_typical(parameter) for parameter in model.parameters])
    share = generator.random((_N_DRAWS, len(ranges)))
    return np.asarray(ranges[:, 0] + share * (ranges[:, 1] - ranges[:, 0]))


def _typical(parameter: Parameter) -> tuple[float, float]:
    if parameter.fixed:
        return parameter.lower, parameter.lower
    low, high = (min(max(v, parameter.lower), parameter.upper) for v in parameter.usual)
    return low, high


def _scaled(
    model: SignalModel, draws: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return derivatives with columns of length 1, shape (n_draws, n_settings, n_par).

    A column of zeros, of a parameter without effect on the signal, stays.
    """
    slopes = gradients(model, draws, x[0] if len(x) == 1 else x)
    length = np.sqrt((slopes**2).sum(axis=1, keepdims=True))
    return np.asarray(slopes / np.where(length > 0.0, length, 1.0))


def _missing_variable(
    model: SignalModel, draw: NDArray[np.float64], x: NDArray[np.float64], free: Sequence[int]
) -> int | None:
    """Return the variable with which, at further values, all parameters would be determined."""
    order = sorted(range(len(x)), key=lambda row: len(np.unique(x[row])))
    for row in order:
        further = [x]
        for factor in (1.5, 2.25, 3.0):
            changed = x.copy()
            changed[row] = np.where(x[row] == 0.0, factor - 1.0, factor * x[row])
            further.append(changed)
        slopes = _scaled(model, draw, np.hstack(further))[0][:, free]
        values = np.linalg.svd(slopes, compute_uv=False)
        if values[-1] > _MIN_SINGULAR_VALUE * values[0]:
            return row
    return None


def _culprits(
    slopes: NDArray[np.float64],
    mixed: Sequence[int],
    count: int,
    parameters: Sequence[Parameter],
    unit: str | None,
) -> tuple[int, ...]:
    """Return the smallest set of parameters that, when fixed, lets the others be determined.

    Parameters in the unit of the missing variable come first, such as T2 for an echo time, and S0
    last, as every model needs it.
    """

    def order(k: int) -> tuple[bool, bool]:
        return parameters[k].name == "S0", parameters[k].unit != unit

    ordered = sorted(mixed, key=order)
    for chosen in combinations(ordered, min(count, len(ordered))):
        left = np.delete(slopes, chosen, axis=1)
        values = np.linalg.svd(left, compute_uv=False)
        if not values.size or values[-1] > _MIN_SINGULAR_VALUE * values[0]:
            return chosen
    return tuple(ordered)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
