"""protocol_of, settings_of: the volumes of a simulated scan, and what a model needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.gradient_timing import sources
from ivimkit.scan.variables import DIRECTION, B

__all__ = ["Protocol", "protocol_of", "settings_of"]

Protocol = ArrayLike | Acquisition | Mapping[str, Any]
"""b-values in s/mm^2, an acquisition, or a table of the variables of the volumes."""

_AXES = tuple(axis.name for axis in DIRECTION)


def protocol_of(given: Protocol) -> Acquisition:
    """Return the acquisition that was given in one of several forms.

    Parameters
    ----------
    given : array_like, Acquisition or mapping of str to array_like
        b-values in s/mm^2; an acquisition; or a table (mapping or data frame) with ``b``, other
        variables of the volumes and, if known, the directions ``gx``, ``gy`` and ``gz``.

    Raises
    ------
    OptionError
        If a table has no b-values.
    AcquisitionError
        If the values are implausible, or do not match.

    Examples
    --------
    >>> protocol_of({"b": [0, 800], "echo_time": 60}).shell_names
    ('0', '800')
    """
    if isinstance(given, Acquisition):
        return given
    columns: Any = given
    if not hasattr(columns, "keys"):
        return Acquisition(columns)
    table: dict[str, Any] = {str(name): columns[name] for name in columns}
    if B.name not in table:
        raise OptionError(
            f"there is no b among {', '.join(table) or 'the columns'}; expected the b-value of "
            "every volume, and its other variables"
        )
    bvals = np.asarray(table.pop(B.name))
    return Acquisition(bvals, _directions(table, bvals.size), variables=table)


def _directions(table: dict[str, Any], n: int) -> NDArray[np.float64] | None:
    """Take the directions out of a table; None if there are none."""
    there = [name for name in _AXES if name in table]
    if not there:
        return None
    if len(there) < len(_AXES):
        raise AcquisitionError(
            f"the table has {' and '.join(there)} of the directions; expected gx, gy and gz, or "
            "none of them"
        )
    columns = [np.asarray(table.pop(name), dtype=np.float64) for name in _AXES]
    if any(column.shape not in ((), (n,)) for column in columns):
        raise AcquisitionError(
            f"gx, gy and gz have {', '.join(str(column.size) for column in columns)} values and "
            f"there are {n} volumes; expected one value per volume of each"
        )
    return np.stack([np.broadcast_to(column, n) for column in columns], axis=-1)


def settings_of(model: SignalModel, acquisition: Acquisition) -> dict[str, NDArray[np.float64]]:
    """Return the variables of a model at each volume, by name.

    Raises
    ------
    AcquisitionError
        If the acquisition does not have all of them; the message lists the missing ones.

    Examples
    --------
    >>> import ivimkit as ik
    >>> acquisition = ik.Acquisition([0, 800], variables={"echo_time": 60})
    >>> settings_of(ik.models.get("biexp"), acquisition)
    {'b': array([  0., 800.])}
    """
    known = {B.name, *acquisition.variables, *(_AXES if acquisition.bvecs is not None else ())}
    missing = [
        name for name in model.variables if name not in known and sources(name, known) == (name,)
    ]
    if missing:
        there = [name for name in (B.name, *acquisition.variables, *_AXES) if name in known]
        raise AcquisitionError(
            f"the signal of model {model.name} depends on {', '.join(model.variables)}, and the "
            f"protocol has {', '.join(there)}: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; expected one value per volume of "
            f"each. Give a table (--variables FILE){_shorter(missing)}",
            python='Pass a table as bvals, like {"b": [...], "echo_time": [...]}',
        )
    if any(name in _AXES for name in model.variables):
        acquisition = acquisition.with_directions_apart()
    return {name: acquisition.numbers_of(name) for name in model.variables}


def _shorter(missing: list[str]) -> str:
    """Name the options that give some of the missing variables without a table."""
    options = ["--te"] if "echo_time" in missing else []
    options += ["--bvec"] if any(name in _AXES for name in missing) else []
    return f", or {' and '.join(options)}" if options else ""
