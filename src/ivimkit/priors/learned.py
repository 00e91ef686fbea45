"""Learned prior: the distribution of the parameters over the voxels of the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ivimkit.errors import OptionError
from ivimkit.extend.prior import Likelihoods, Prior, broad
from ivimkit.extend.prior_table import PriorTable, with_floor
from ivimkit.extend.signal_model import SignalModel

# Fraction of the mass that keeps the starting density, and fraction that is uniform within the
# bounds, for voxels unlike those learned from.
_START_SHARE = 0.002
_UNIFORM_SHARE = 0.001
# With this many voxels, holding out one fifth is enough; with fewer, each fifth in turn.
_MIN_VOXELS_ONE_FOLD = 3000
_FOLDS = 5
# Stop after several steps without this gain per voxel in the held-out likelihood.
_MIN_GAIN = 1e-4
_PATIENCE = 3


@final
@dataclass(frozen=True)
class Learned(Prior):
    """A density of arbitrary shape, estimated from the voxels by expectation-maximisation.

    This is empirical Bayes: the prior that maximises the joint likelihood of the signals of all
    voxels (Kiefer and Wolfowitz), a density linear between knots, found by repeated averaging of
    the posteriors of the voxels (Laird). Unchecked it would end as a few spikes; it starts broad
    and stops when the likelihood of held-out voxels no longer increases.

    Where two explanations fit a signal equally well (little blood in tissue, or nearly all of the
    signal from a compartment only a little faster than the rest) the likelihood cannot decide, and
    the starting density does: it is broad in ln D and ln D*, falls with f as (1-f)^3 and is zero
    where D* is below 0.006 mm^2/s, twice the diffusion of free water in the body.

    Parameters
    ----------
    n_voxels : int
        Maximum number of voxels to learn from, drawn at random.
    seed : int
        Seed of the draw and of the held-out voxels.
    max_steps : int
        Maximum number of steps.

    Raises
    ------
    OptionError
        If a number is out of range.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(32, 24, 1)).dwi
    >>> result = ik.fit(dwi, method=ik.methods.Bayes(prior=ik.priors.Learned(seed=1)))
    >>> result.priors["all"].rule
    'learned'

    References
    ----------
    Kiefer J, Wolfowitz J. Ann Math Stat 1956;27:887. doi:10.1214/aoms/1177728066
    Laird N. J Am Stat Assoc 1978;73:805. doi:10.1080/01621459.1978.10480103
    """

    name: ClassVar[str] = "learned"
    title: ClassVar[str] = "learned from the voxels of the scan"
    trains: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = (
        "Kiefer J, Wolfowitz J. Consistency of the maximum likelihood estimator in the presence "
        "of infinitely many incidental parameters. Ann Math Stat 1956;27:887-906. "
        "doi:10.1214/aoms/1177728066",
        "Laird N. Nonparametric maximum likelihood estimation of a mixing distribution. "
        "J Am Stat Assoc 1978;73:805-811. doi:10.1080/01621459.1978.10480103",
    )

    n_voxels: int = 12000
    seed: int = 0
    max_steps: int = 300

    def __post_init__(self) -> None:
        for name in ("n_voxels", "max_steps"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)!r}; expected a number >= 1")

    def tabulate(self, model: SignalModel, likelihoods: Likelihoods | None = None) -> PriorTable:
        """Return the density that explains the voxels best without over-fitting them."""
        if likelihoods is None:
            raise OptionError("prior learned needs a scan to learn from; use it in ivimkit.fit")
        matrix = likelihoods.matrix
        volumes = likelihoods.frame.volumes().ravel()
        start = broad(likelihoods).ravel() * volumes
        start /= start.sum()
        # A voxel that lies where the starting density is zero is an outlier and is ignored.
        matrix = matrix[matrix @ start > 0.0]
        steps, gain = self._steps(matrix, start)
        mass = start
        for _ in range(steps):
            mass, _ = _step(matrix, mass)
        frame = likelihoods.frame
        about = {
            "voxels": likelihoods.n_voxels,
            "steps": steps,
            "held_out_gain_per_voxel": round(gain, 6),
        }
        mass = (1.0 - _START_SHARE) * mass + _START_SHARE * start
        density = (mass / volumes).reshape([axis.size for axis in frame.knots])
        table = replace(frame, rule=self.name, density=density, about=about)
        return with_floor(table, _UNIFORM_SHARE)

    def _steps(self, matrix: csr_matrix, start: NDArray[np.float64]) -> tuple[int, float]:
        """Return the number of steps that explains held-out voxels best, and its gain."""
        n = matrix.shape[0]
        order = np.random.default_rng(self.seed).permutation(n)
        folds = np.array_split(order, _FOLDS)[: 1 if n > _MIN_VOXELS_ONE_FOLD else _FOLDS]
        parts = []
        for fold in folds:
            inside = np.ones(n, dtype=bool)
            inside[fold] = False
            parts.append((matrix[inside], matrix[fold]))
        masses = [start for _ in parts]
        held_out = sum(fold.size for fold in folds)
        best, best_step, first = -np.inf, 0, 0.0
        for step in range(self.max_steps + 1):
            score = 0.0
            for mass, (_, test) in zip(masses, parts, strict=True):
                with np.errstate(divide="ignore"):
                    score += float(np.log(test @ mass).sum()) / held_out
            first = score if step == 0 else first
            if score > best + _MIN_GAIN:
                best, best_step = score, step
            if step - best_step >= _PATIENCE:
                break
            masses = [
                _step(train, mass)[0] for mass, (train, _) in zip(masses, parts, strict=True)
            ]
        return best_step, best - first


def _step(
    matrix: csr_matrix, mass: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mass after one step, and the likelihood of every voxel before it."""
    likelihood = matrix @ mass
    mean = matrix.T @ (1.0 / likelihood)
    return mass * mean / matrix.shape[0], likelihood


PRIOR = Learned
