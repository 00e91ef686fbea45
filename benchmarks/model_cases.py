"""What each registered model is measured with: a protocol that suits it, and true values.

A new model takes part by being registered. By default its protocol is that of
`ivimkit.testing.measurements`, b-values up to 2000 combined with three values of each other
variable, and its true values are drawn by `ivimkit.testing.draws` where they usually are. A line
in `PROTOCOLS` or `RANGES` replaces either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import ivimkit as ik
from benchmarks.data import B21
from ivimkit.testing import draws, measurements

__all__ = ["B_HIGH", "Case", "cases", "drawn"]

Array = NDArray[np.float64]

B_HIGH = np.array([*B21, 1250, 1500, 2000])
"""b21 and three b-values above 1000, s/mm^2."""

PROTOCOLS: dict[str, tuple[str, Mapping[str, Array]]] = {
    "monoexp": ("b21", {"b": B21}),
    "sivim": ("b21 without 10 to 180", {"b": B21[(B21 == 0) | (B21 >= 200)]}),
    "biexp": ("b21", {"b": B21}),
    "triexp": ("b21", {"b": B21}),
    "kurtosis": ("b21 + 3", {"b": B_HIGH}),
    "stretched": ("b21 + 3", {"b": B_HIGH}),
}
"""Name and settings of the protocol of a model."""

RANGES: dict[str, Mapping[str, tuple[float, float]]] = {
    "biexp": {"f": (0.05, 0.4), "D_star": (8e-3, 80e-3), "D": (0.5e-3, 2.5e-3)},
    "kurtosis": {
        "f": (0.05, 0.4),
        "D_star": (8e-3, 80e-3),
        "D": (0.7e-3, 2e-3),
        "K": (0.5, 1.5),
    },
}
"""Ranges of true values of a model, where those of `draws` are not wanted."""

_SEED = 2000


@dataclass(frozen=True)
class Case:
    """A registered model and its protocol.

    Parameters
    ----------
    model : SignalModel
        The model.
    protocol : str
        Name of the protocol, for tables.
    settings : mapping of str to ndarray, shape (n_values,)
        Its variables.
    """

    model: ik.SignalModel
    protocol: str
    settings: Mapping[str, Array] = field(repr=False)

    @property
    def acquisition(self) -> ik.Acquisition:
        """The settings as an acquisition, a volume for each."""
        axes = [name for name in ("gx", "gy", "gz") if name in self.settings]
        bvecs = np.stack([self.settings[name] for name in axes], axis=-1) if axes else None
        others = {k: v for k, v in self.settings.items() if k != "b" and k not in axes}
        return ik.Acquisition(self.settings["b"], bvecs, variables=others or None)


def cases() -> list[Case]:
    """Return one case per registered model, the simplest first."""
    found = [ik.models.get(name) for name in ik.models.names()]
    return [_case(model) for model in sorted(found, key=lambda model: model.n_free)]


def _case(model: ik.SignalModel) -> Case:
    if model.name in PROTOCOLS:
        return Case(model, *PROTOCOLS[model.name])
    settings = measurements(model)
    return Case(model, f"{len(settings['b'])} of {', '.join(model.variables)}", settings)


def drawn(model: ik.SignalModel, n: int) -> Array:
    """Return true parameters, shape (n, n_par), with S0 = 1000."""
    truth = draws(model, n, seed=_SEED)
    random = np.random.default_rng([_SEED, len(model.name)])
    for name, (low, high) in RANGES.get(model.name, {}).items():
        truth[:, model.index(name)] = random.uniform(low, high, n)
    truth[:, model.index("S0")] = 1000.0
    return truth
