"""PriorTable: the prior density of the parameters of a model, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.rounding import several

__all__ = ["COHORT", "NEIGHBOURS", "PriorTable", "hat_integrals", "learned_from", "wrong_model"]

Axis = NDArray[np.float64]

NEIGHBOURS = "neighbours"
"""In `PriorTable.about`: how the voxels around each voxel add to its prior."""

COHORT = "cohort"
"""In `PriorTable.about`: the cohort it was learned from, see `ivimkit.fitting.pooled_prior`."""

# Deviation of the integral from 1 that is rounding.
_MAX_ROUNDING = 1e-12


def hat_integrals(knots: Axis) -> Axis:
    """Return the integrals of the piecewise linear functions that are 1 at one knot each."""
    if knots.size < 2:
        return np.ones(knots.size)
    steps = np.concatenate([[0.0], np.diff(knots), [0.0]])
    half: Axis = 0.5 * (steps[1:] + steps[:-1])
    return half


def learned_from(about: Mapping[str, Any]) -> str:
    r"""Say what a prior was learned from; empty if from nothing.

    Parameters
    ----------
    about : mapping
        `PriorTable.about`.

    Examples
    --------
    >>> learned_from({"voxels": 12000, "cohort": {"scans": 40}})
    '12\u202f000 voxels of 40 scans'
    """
    voxels, scans = about.get("voxels"), about.get(COHORT, {}).get("scans")
    if not voxels:
        return ""
    of_scans = f" of {several(scans, 'scan')}" if scans else ""
    return f"{several(voxels, 'voxel')}{of_scans}"


def wrong_model(made_for: str, model: SignalModel) -> OptionError:
    """Return the error of a prior that was made for another model."""
    return OptionError(
        f"the prior was made for model {made_for}; expected one for model {model.name}. "
        "Learn a prior with this model, or fit the other one"
    )


@dataclass(frozen=True, eq=False)
class PriorTable:
    """A density over D, D* and f, given at knots and linear between them.

    Parameters
    ----------
    model : str
        Name of the model.
    rule : str
        Name of the prior that made it, see `ivimkit.priors`.
    names : tuple of str or None
        Parameters of the model for the slow rate, the fast rate and the fraction; None for a
        parameter that the model does not have.
    knots : tuple of ndarray
        Ascending values of each, mm^2/s, mm^2/s and fraction; a single one for a parameter that
        is fixed or not in the model.
    density : ndarray, shape (n_slow, n_fast, n_fraction)
        Density at the knots with respect to the slow rate, the logarithm of the fast rate and
        the fraction. It is scaled to an integral of 1. Empty for a prior that is flat in all
        three (and in the fast rate itself).
    about : mapping of str to object
        How it was made: numbers and words, ready for JSON.

    Raises
    ------
    ShapeError
        If density and knots do not fit each other.
    OptionError
        If the density is negative, not finite or zero everywhere.

    Examples
    --------
    >>> import ivimkit as ik
    >>> table = ik.priors.get("flat").tabulate(ik.models.get("biexp"))
    >>> table.mean()["D"]
    0.0025
    """

    model: str
    rule: str
    names: tuple[str | None, str | None, str | None]
    knots: tuple[Axis, Axis, Axis]
    density: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0, 0)))
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(axis.size for axis in self.knots)
        if self.flat:
            return
        if self.density.shape != shape:
            raise ShapeError(f"the density has shape {self.density.shape}; expected {shape}")
        if not (np.isfinite(self.density).all() and (self.density >= 0.0).all()):
            raise OptionError("the density of a prior must be finite and >= 0")
        total = float((self.density * self.volumes()).sum())
        if not total > 0.0:
            raise OptionError("the density of a prior is zero everywhere; expected some mass")
        # A density that is scaled already stays bit-identical, so that a prior from a file gives
        # the same maps again.
        if abs(total - 1.0) > _MAX_ROUNDING:
            object.__setattr__(self, "density", self.density / total)

    @property
    def flat(self) -> bool:
        """Whether the density is the same everywhere between the ends of the knots."""
        return self.density.size == 0

    @property
    def varies(self) -> bool:
        """Whether a parameter has more than one value."""
        return any(axis.size > 1 for axis in self.knots)

    def axes(self) -> tuple[Axis, Axis, Axis]:
        """Return the knots in the variables of the density: the fast rate by its logarithm."""
        slow, fast, fraction = self.knots
        return slow, np.log(fast), fraction

    def volumes(self) -> NDArray[np.float64]:
        """Return the integral of the function of each knot, shape (n_slow, n_fast, n_fraction)."""
        one, two, three = map(hat_integrals, self.axes())
        return one[:, None, None] * two[None, :, None] * three[None, None, :]

    def marginals(self) -> tuple[Axis, Axis, Axis]:
        """Return the density of each parameter alone at its knots (the fast one: ln)."""
        if self.flat:
            slow, fast, fraction = self.knots
            return _even(slow), fast / _span(fast), _even(fraction)
        one, two, three = map(hat_integrals, self.axes())
        return (
            np.einsum("ijk,j,k->i", self.density, two, three),
            np.einsum("ijk,i,k->j", self.density, one, three),
            np.einsum("ijk,i,j->k", self.density, one, two),
        )

    def mean(self) -> dict[str, float]:
        """Return the mean of every parameter."""
        found = {}
        for name, values, axis, density in zip(
            self.names, self.knots, self.axes(), self.marginals(), strict=True
        ):
            if name is not None:
                mass = density * hat_integrals(axis)
                found[name] = float(np.round((values * mass).sum() / mass.sum(), 12))
        return found

    def check(self, model: SignalModel) -> None:
        """Raise if the prior was made for another model.

        Raises
        ------
        OptionError
            With the names of both models.
        """
        if model.name != self.model:
            raise wrong_model(self.model, model)

    @property
    def near(self) -> bool:
        """Whether it is the share of the scan in a prior that also depends on the neighbours."""
        return NEIGHBOURS in self.about

    @property
    def chooses(self) -> bool:
        """Whether a fit decides by the scan if neighbours have a part, as with prior auto.

        It is so of a cohort: some of its scans may be images, others lists of voxels.
        """
        return self.near and COHORT in self.about

    def alone(self) -> PriorTable:
        """Return it as a prior of the scan alone, for voxels or means without neighbours."""
        if not self.near:
            return self
        about = {key: value for key, value in self.about.items() if key != NEIGHBOURS}
        return replace(self, rule="learned", about=about)

    def same_as(self, other: PriorTable) -> bool:
        """Return whether two tables contain the same numbers."""
        return (
            (self.model, self.rule, self.names) == (other.model, other.rule, other.names)
            and all(map(np.array_equal, self.knots, other.knots))
            and np.array_equal(self.density, other.density)
        )


def parameter_names(model: SignalModel) -> tuple[str | None, str | None, str | None]:
    """Return the names of slow rate, fast rate and fraction of a model of two decays."""
    decays = model.two_decays()
    assert decays is not None
    return decays.slow, decays.fast, decays.fraction


def with_floor(table: PriorTable, share: float) -> PriorTable:
    """Return the table with a share of its mass spread evenly between its ends."""
    volumes = table.volumes()
    even = 1.0 / volumes.sum()
    density = (1.0 - share) * table.density + share * even
    return PriorTable(table.model, table.rule, table.names, table.knots, density, table.about)


def _span(values: ArrayLike) -> float:
    span = float(np.ptp(np.asarray(values)))
    return span if span > 0.0 else float(np.max(np.asarray(values)))


def _even(values: Axis) -> Axis:
    return np.full(values.size, 1.0 / _span(values) if values.size > 1 else 1.0)
