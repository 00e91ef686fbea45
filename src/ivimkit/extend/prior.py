"""Prior: a rule that makes a `PriorTable`, from the literature or from the scan's own voxels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.mixture import Mixture
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.plugin import Plugin
from ivimkit.extend.prior_table import PriorTable, parameter_names
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.two_decays.fitted_decays import INSTANT_RATE

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "MIN_PERFUSION_RATE",
    "ChoosingPrior",
    "Likelihoods",
    "ModelPosteriors",
    "NearPrior",
    "Prior",
    "VoxelLattices",
    "broad",
    "even_knots",
]


# Standard deviations of ln D and ln D*, and median of D*, of the broad density, mm^2/s.
_BROAD_SD_LOG_D = 0.7
_BROAD_SD_LOG_D_STAR = 0.65
_BROAD_D_STAR = 0.025
MIN_PERFUSION_RATE = 6e-3
"""Least D* of a prior that learns, mm^2/s: twice the diffusion of free water in the body."""


class VoxelLattices(ABC):
    """Likelihoods of some voxels, each on a lattice where its posterior is.

    Attributes
    ----------
    free : tuple of bool
        Which of ln D, ln D* and logit f vary.
    n_voxels : int
        Number of voxels.
    """

    free: tuple[bool, bool, bool]
    n_voxels: int

    @property
    @abstractmethod
    def means(self) -> NDArray[np.float64]:
        """Means of ln D, ln D* and logit f of the posteriors so far, shape (n_voxels, 3)."""

    @abstractmethod
    def expect(self, mixture: Mixture) -> tuple[NDArray[np.float64], float]:
        """Return what a step of expectation-maximisation needs.

        Parameters
        ----------
        mixture : Mixture
            The prior; the posteriors become those under it.

        Returns
        -------
        tuple
            Sums, over the voxels, of their shares in each component times 1, eta, and the upper
            triangle of eta eta', shape (n_components, 10); and the mean logarithm of the voxels'
            likelihoods, up to a constant.
        """

    @abstractmethod
    def follow(self) -> None:
        """Lay the lattices where the posteriors are now."""


class Likelihoods(ABC):
    """Likelihoods of the parameters of some voxels of a scan, without a prior.

    A prior takes those that it needs: they are computed when they are asked for.

    Attributes
    ----------
    frame : PriorTable
        Model and knots; its density is not used.
    median : float
        Median of the least-squares estimates of the slow rate, mm^2/s.
    n_voxels : int
        Number of voxels.
    """

    frame: PriorTable
    median: float
    n_voxels: int

    @property
    @abstractmethod
    def matrix(self) -> csr_matrix:
        """Return the likelihoods at the knots, shape (n_voxels, n_knots).

        Integral of a voxel's likelihood times the linear function of each knot, divided by the
        integral of that function; each row up to a constant factor.
        """

    @property
    @abstractmethod
    def lattices(self) -> VoxelLattices:
        """Return the likelihoods on lattices of the voxels' own, finer than the knots."""


class ModelPosteriors(ABC):
    """Posteriors of some voxels of a scan for a model of any compartments, by samples.

    Attributes
    ----------
    n_voxels : int
        Number of voxels.
    """

    n_voxels: int

    @abstractmethod
    def draw(self, prior: ModelPrior) -> NDArray[np.float64]:
        """Return samples of the coordinates under a prior, shape (n_voxels, n, n_coordinates)."""


@dataclass(frozen=True)
class Prior(Plugin, ABC):
    """Base of all priors: a frozen set of options.

    A concrete prior is a final frozen dataclass in a separate file in ``priors/``.

    Attributes
    ----------
    name : str
        Short name used in calls and files.
    title : str
        Name in texts and tables.
    trains : bool
        Whether it learns from the scan.
    near : bool
        Whether a voxel's prior also depends on the voxels around it.
    any_model : bool
        Whether it is also one of models that are not a sum of two decays.
    references : tuple of str
        Sources, each with its DOI.
    """

    noun: ClassVar[str] = "prior"
    title: ClassVar[str]
    trains: ClassVar[bool]
    near: ClassVar[bool] = False
    any_model: ClassVar[bool] = False
    references: ClassVar[tuple[str, ...]]

    @abstractmethod
    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the density for a model.

        Parameters
        ----------
        model : SignalModel
            The model; the prior is 0 outside its bounds.
        likelihoods : Likelihoods, optional
            Likelihoods of the voxels of the scan, for a prior that learns.

        Returns
        -------
        PriorTable
        """

    def for_model(
        self, model: SignalModel, posteriors: ModelPosteriors | None = None
    ) -> ModelPrior:
        """Return the density for a model that is not a sum of two decays.

        Parameters
        ----------
        model : SignalModel
            The model.
        posteriors : ModelPosteriors, optional
            Posteriors of the voxels of the scan, for a prior that learns.

        Returns
        -------
        ModelPrior

        Raises
        ------
        OptionError
            If there is none.
        """
        raise OptionError(
            f"prior {self.name} is one of D, D* and f; expected one that knows model {model.name}"
        )


@dataclass(frozen=True)
class NearPrior(Prior, ABC):
    """Base of priors that also depend on the voxels around each voxel.

    A table of its kind has its options in `PriorTable.about`, under
    `ivimkit.extend.prior_table.NEIGHBOURS`.

    Parameters
    ----------
    reach : float
        Standard deviation of the weight of a neighbour by its distance, in edges of a voxel.
    rounds : int
        How often the priors are learned anew.
    scan_share, broad_share : float
        Shares of the prior of the scan and of a broad density.
    """

    near: ClassVar[bool] = True

    reach: float = 1.0
    rounds: int = 6
    scan_share: float = 0.05
    broad_share: float = 0.05


@dataclass(frozen=True)
class ChoosingPrior(Prior, ABC):
    """Base of priors that a fit replaces by another one, by what the scan has.

    Parameters
    ----------
    organ : str, optional
        Organ of the prior for scans with too few voxels to learn from.
    n_voxels : int
        Maximum number of voxels to learn from.
    seed : int
        Seed of the draw.
    """

    trains: ClassVar[bool] = True
    any_model: ClassVar[bool] = True

    organ: str | None = None
    n_voxels: int = 3000
    seed: int = 0

    @property
    @abstractmethod
    def local(self) -> NearPrior:
        """The prior for voxels that have neighbours."""

    @property
    @abstractmethod
    def learned(self) -> Prior:
        """The prior for many voxels."""

    @property
    @abstractmethod
    def fixed(self) -> Prior:
        """The prior for too few voxels to learn from."""

    def fixed_for(self, model: SignalModel, organ: str | None) -> Prior:
        """Return the prior of a model for too few voxels to learn from.

        Parameters
        ----------
        model : SignalModel
            The model: organs have priors of two decays only.
        organ : str, optional
            Organ of the fit, if the prior names none.
        """
        named = self if self.organ is not None else replace(self, organ=organ)
        if model.two_decays() is None and not named.fixed.any_model:
            named = replace(named, organ=None)
        return named.fixed


def broad(frame: PriorTable, median: float) -> NDArray[np.float64]:
    """Return a broad density: the start of priors that learn.

    Log-normal in D around the median of the scan and in D* around 0.025 mm^2/s, falling with f,
    and zero where D* is below 0.006 mm^2/s, twice the diffusion of free water in the body: a
    slower decay need not be blood. Without this limit, tissue with little blood could not be
    distinguished from a large compartment that is a little faster than the rest.

    Parameters
    ----------
    frame : PriorTable
        The knots.
    median : float
        Median of D, mm^2/s.

    Returns
    -------
    ndarray, shape (n_slow, n_fast, n_fraction)
        Not normalised.
    """
    slow, fast, fraction = frame.knots
    least = np.maximum(slow, 1e-2 * median)
    one = np.exp(-0.5 * (np.log(least / median) / _BROAD_SD_LOG_D) ** 2) * median / least
    two = np.exp(-0.5 * (np.log(fast / _BROAD_D_STAR) / _BROAD_SD_LOG_D_STAR) ** 2)
    if np.count_nonzero(fast >= MIN_PERFUSION_RATE) > 1:
        two[fast < MIN_PERFUSION_RATE] = 0.0
    three = (1.0 - fraction) ** 3 + 1e-3
    if fast.size < 2:
        two = np.ones(1)
    density: NDArray[np.float64] = one[:, None, None] * two[None, :, None] * three[None, None, :]
    return density


def even_knots(model: SignalModel, sizes: tuple[int, int, int]) -> PriorTable:
    """Return a flat table with knots spread evenly between the bounds of a model.

    The fast rate is spread by its logarithm. A parameter that is fixed or not in the model has one
    knot.
    """
    slow, fast, fraction = parameter_names(model)
    assert slow is not None
    low, high = model[slow].lower, model[slow].upper
    first = np.linspace(low, high, sizes[0]) if low < high else np.array([low])
    second = np.array([INSTANT_RATE])
    if fast is not None:
        low, high = max(model[fast].lower, 1e-6), max(model[fast].upper, 1e-6)
        second = np.geomspace(low, high, sizes[1]) if low < high else np.array([low])
    third: NDArray[np.float64] = np.zeros(1)
    if fraction is not None:
        low, high = model[fraction].lower, model[fraction].upper
        third = np.linspace(low, high, sizes[2]) if low < high else np.array([low])
    return PriorTable(model.name, "flat", (slow, fast, fraction), (first, second, third))
