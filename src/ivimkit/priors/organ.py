"""Organ prior: literature values of an organ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit import organs
from ivimkit.errors import OptionError
from ivimkit.extend.organ_distributions import organ_distributions
from ivimkit.extend.prior import Likelihoods, Prior, even_knots
from ivimkit.extend.prior_table import PriorTable, with_floor
from ivimkit.extend.signal_model import SignalModel

# Numbers of knots of slow rate, fast rate and fraction.
_N_KNOTS = (65, 33, 49)
# Fraction of the mass that is uniform: diseased tissue lies outside the healthy range.
_UNIFORM_SHARE = 0.02


@final
@dataclass(frozen=True)
class Organ(Prior):
    """Log-normal in D and D*, beta in f, around the literature means of an organ.

    The means are those of `ivimkit.organs`, with their sources. The coefficients of variation
    (D 0.25, D* 0.7, f 0.5) are wider than those between healthy subjects, because voxels and
    diseases vary more; `width` scales them. One fiftieth of the mass is uniform within the bounds,
    so that a voxel unlike the organ is not forced to resemble it.

    Parameters
    ----------
    organ : str
        One of `ivimkit.organs.names`.
    width : float
        Factor on the coefficients of variation.

    Raises
    ------
    OptionError
        For an unknown organ or a width that is not above 0.

    Examples
    --------
    >>> import ivimkit as ik
    >>> table = ik.priors.Organ("liver").tabulate(ik.models.get("biexp"))
    >>> bool(0.9e-3 < table.mean()["D"] < 1.3e-3)
    True
    """

    name: ClassVar[str] = "organ"
    title: ClassVar[str] = "literature values of an organ"
    trains: ClassVar[bool] = False
    references: ClassVar[tuple[str, ...]] = ()

    organ: str = "liver"
    width: float = 1.0

    def __post_init__(self) -> None:
        organs.get(self.organ)
        if not self.width > 0.0:
            raise OptionError(f"width is {self.width!r}; expected a number > 0")

    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the density around the means of the organ, inside the bounds of the model."""
        frame = even_knots(model, _N_KNOTS)
        slow, fast, fraction = frame.knots
        own = organ_distributions(self.organ, self.width)
        one = _density(slow, own["D"])
        # With respect to the logarithm, a log-normal density gains a factor of its argument.
        two = fast * _density(fast, own["D_star"])
        three = _density(fraction, own["f"])
        density = one[:, None, None] * two[None, :, None] * three[None, None, :]
        if not density.any():
            raise OptionError(
                f"the bounds of model {model.name} exclude the values of {self.organ}; widen "
                "the bounds or choose another organ"
            )
        about = {"organ": self.organ, "references": list(organs.get(self.organ).references)}
        table = replace(frame, rule=self.name, density=density, about=about)
        return with_floor(table, _UNIFORM_SHARE)


def _density(values: NDArray[np.float64], distribution: Any) -> NDArray[np.float64]:
    if values.size < 2:
        return np.ones(values.size)
    density: NDArray[np.float64] = distribution.pdf(values)
    return density


PRIOR = Organ
