"""Goal: what a design minimises, and the constraints that it keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.noise.noise_kinds import check_noise_kind

__all__ = [
    "CRITERIA",
    "LOW_B",
    "MIN_LOW_B_VALUES",
    "Goal",
    "geometric_mean",
    "has_blood",
    "low_of",
]

CRITERIA = ("bayes", "crlb", "relative")
"""Names of the criteria."""

LOW_B = 100.0
"""Up to this b-value, in s/mm^2, b-values are low: blood still has signal."""

MIN_LOW_B_VALUES = 3
"""Number of low b-values, b = 0 among them, of a design for a model with a rate of blood, unless
fewer than twice as many distinct ones are asked for."""

_MIN_DISTINCT = 6
_NOISES = ("rician", "gaussian")
_MAX_STARTS = 1000


@dataclass(frozen=True)
class Goal:
    """The criterion of a design.

    The expected error of a parameter is the root of the mean variance over the tissues of a
    population: the diagonal of ``(I + P)^-1``, with the Fisher information I of a protocol and
    the precision P of the prior (``"bayes"``), or without P (``"crlb"``). A design minimises the
    weighted geometric mean of the expected errors, so that a reduction of any error by 10 % counts
    the same, whatever its unit and size.

    Parameters
    ----------
    criterion : {"bayes", "crlb", "relative"}
        ``"bayes"``: the prior is known to the fit, as to method bayes. Parameters that the data
        cannot determine do not dominate. ``"crlb"``: the Cramér-Rao bound of fits without prior.
        ``"relative"``: the same bound, but what is minimised is the weighted sum of standard
        deviations divided by the value in each tissue, as in the literature.
    weights : mapping of str to float
        Weight of the error of each parameter of the model; 1 for those not named. 0 leaves it out.
    min_distinct : int, optional
        Number of distinct b-values at least. By default 6 for a model with a rate of blood,
        and otherwise as many as it has parameters. Without this constraint designs have no more
        than that: residuals then cannot show that the model is wrong, and fits often fail.
    noise : {"rician", "gaussian"}
        Noise of each volume: of a magnitude, or of real data.
    starts : int
        Number of starts of the exchange.

    Raises
    ------
    OptionError
        If a value is out of range.

    Examples
    --------
    >>> from ivimkit.planning import Goal
    >>> Goal(weights={"D_star": 0.5}).criterion
    'bayes'
    """

    criterion: str = "bayes"
    weights: Mapping[str, float] = field(default_factory=dict)
    min_distinct: int | None = None
    noise: str = "rician"
    starts: int = 12

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise OptionError(
                f"the criterion is {self.criterion!r}; expected one of {', '.join(CRITERIA)}"
            )
        check_noise_kind(self.noise, known=_NOISES)
        for name, weight in self.weights.items():
            if not (math.isfinite(weight) and weight >= 0.0):
                raise OptionError(
                    f"the weight of {name} is {weight!r}; expected a number >= 0 (--weights)"
                )
        if self.min_distinct is not None and self.min_distinct < 1:
            raise OptionError(
                f"min_distinct is {self.min_distinct!r}; expected a whole number >= 1 "
                "(--min-distinct)"
            )
        if not 1 <= self.starts <= _MAX_STARTS:
            raise OptionError(
                f"starts is {self.starts!r}; expected a whole number from 1 to {_MAX_STARTS}"
            )

    def weights_of(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """Return the weight of each estimated parameter; they add up to 1.

        Raises
        ------
        OptionError
            If a weight is that of another parameter, or all are 0.
        """
        unknown = [name for name in self.weights if name not in names]
        if unknown:
            raise OptionError(
                f"there is a weight of {unknown[0]!r}; expected weights of {', '.join(names)}, "
                "the parameters that are estimated (--weights)"
            )
        found = np.array([self.weights.get(name, 1.0) for name in names], dtype=np.float64)
        if not found.any():
            raise OptionError("all weights are 0; expected one above 0 (--weights)")
        return np.asarray(found / found.sum())

    def distinct_of(self, model: SignalModel) -> int:
        """Return the number of distinct b-values that a design has at least."""
        if self.min_distinct is not None:
            return self.min_distinct
        return max(_MIN_DISTINCT if has_blood(model) else 0, model.n_free)


def has_blood(model: SignalModel) -> bool:
    """Return whether a model has a parameter of the motion of blood."""
    return any(parameter.role == "perfusion" for parameter in model.parameters)


def low_of(model: SignalModel, min_distinct: int) -> int:
    """Return the number of low b-values that a design has at least: up to half of all."""
    if not has_blood(model):
        return 1
    return max(1, min(MIN_LOW_B_VALUES, min_distinct // 2))


def geometric_mean(
    errors: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weighted geometric mean over the last axis; weights add up to 1."""
    return np.asarray(np.exp(np.log(errors) @ weights))
