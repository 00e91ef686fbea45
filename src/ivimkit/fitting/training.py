"""Learning from the voxels of a scan before it is fitted: the prior and the noise variance."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import methods
from ivimkit.engine import Task, compile_aside
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import Batch, VoxelPlan
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior import Likelihoods, Prior, VoxelLattices, broad, even_knots
from ivimkit.extend.prior_table import PriorTable, with_floor
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.fitting.model_training import learned_model_prior
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.fitting.voxel_lattices import ScanLattices
from ivimkit.methods._posterior import (
    PosteriorMethod,
    fit_voxel,
    posterior_batch,
    posterior_options,
    with_room,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["MIN_VOXELS", "learned_method", "least_squares", "variance_distribution"]

MIN_VOXELS = 50
"""With fewer voxels, neither a prior nor a distribution of noise variances can be learned."""

# Number of voxels whose likelihoods are in memory as full tables at the same time.
_MAX_TABLES = 512
# Likelihood at a knot, as a share of the largest one of the voxel, below which it is set to 0.
_MIN_RELATIVE_LIKELIHOOD = 1e-7
# Share of the mass that is uniform in the prior that places the first lattices.
_UNIFORM_SHARE = 0.01
# Numbers of knots of slow rate, fast rate and fraction.
_N_KNOTS = (20, 30, 16)
# The knots are dense between these quantiles of the least-squares estimates.
_INNER_QUANTILES = (0.005, 0.995)
# Variance of the log-variances below which all voxels have the same noise: degrees of freedom
# then.
_MIN_LOG_VARIANCE_SPREAD = 0.02
_MAX_DEGREES = 1e6
# Log-variances beyond these quantiles are clipped: outliers are not noise.
_OUTER_QUANTILES = (0.005, 0.995)


@final
@dataclass(frozen=True)
class _Likelihood(TwoDecayMethod):
    """Integrals of the likelihood with the function of each knot of a table, as extra maps."""

    name: ClassVar[str] = "likelihood"
    title: ClassVar[str] = "likelihood at the knots of a prior"
    full_fit: ClassVar[bool] = False
    voxel = staticmethod(fit_voxel)
    references: ClassVar[tuple[str, ...]] = ()

    frame: PriorTable
    variance: tuple[float, float]
    noise: str
    floor: float

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        return tuple(map(str, range(self.frame.volumes().size)))

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> dict[int, ArrayLike]:
        return posterior_options(
            self.frame, self.variance, b.size, self.noise, floor=self.floor, basis=True
        )

    def batch(self, model: SignalModel, plan: VoxelPlan, n_rows: int) -> Batch | None:
        return posterior_batch(model, plan, n_rows)

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        return with_room(super().plan(model, x, weight), x.shape[1])


def learned_method(method: PosteriorMethod, voxels: TrainingSample) -> PosteriorMethod:
    """Return the method with what it learns: its prior as a table, its noise variance as numbers.

    Parameters
    ----------
    method : PosteriorMethod
        The method as the user gave it.
    voxels : TrainingSample
        The voxels to learn from.

    Returns
    -------
    PosteriorMethod

    Raises
    ------
    OptionError
        If there are too few voxels to learn a prior from.
    """
    rule = method.rule
    learns = rule is not None and rule.trains
    unknown = bool(np.isnan(voxels.sigma).any())
    wants_variance = unknown and method.variance == "scan"
    variance = (0.0, 0.0) if isinstance(method.variance, str) else method.variance
    if not learns:
        if wants_variance and voxels.n_voxels >= MIN_VOXELS:
            sample = voxels.drawn(8000, seed=0)
            _compile_posterior(method, voxels)
            variance = _variance(sample, *sample.fitted(least_squares()))
        return method.with_table(_given(method, voxels.model), variance)
    assert rule is not None
    if voxels.n_voxels < MIN_VOXELS:
        raise OptionError(
            f"prior {rule.name} learns from the scan, which has {voxels.n_voxels} voxels to fit; "
            f"expected at least {MIN_VOXELS}. Use prior flat or organ, or a prior that was "
            "learned from a larger scan"
        )
    sample = voxels.drawn(getattr(rule, "n_voxels", 8000), seed=getattr(rule, "seed", 0))
    _compile_posterior(method, voxels)
    estimates, good = sample.fitted(least_squares())
    if wants_variance:
        variance = _variance(sample, estimates, good)
    learned = sample.take(np.flatnonzero(good))
    noise = method.noise, method.floor_noise
    if learned.n_voxels < MIN_VOXELS:
        raise OptionError(
            f"prior {rule.name} learns from the scan, and {learned.n_voxels} of its voxels could "
            f"be fitted; expected at least {MIN_VOXELS}. Look at the mask and the status of a fit "
            "by varpro"
        )
    if voxels.model.two_decays() is None:
        prior = learned_model_prior(rule, learned, variance, noise)
        return method.with_table(prior, variance)
    table = _learn(rule, learned, estimates[good], variance, noise)
    return method.with_table(table, variance)


def _compile_posterior(method: PosteriorMethod, voxels: TrainingSample) -> None:
    """Begin to compile the posterior: least squares, which come first, are compiled meanwhile."""
    prior = _given(replace(method, prior="flat"), voxels.model)
    task = Task(voxels.model, method.with_table(prior, (0.0, 0.0)), voxels.weight, voxels.sigma)
    compile_aside(task, voxels.variables, threads=voxels.threads)


def _given(method: PosteriorMethod, model: SignalModel) -> PriorTable | ModelPrior:
    """Return a prior that needs no scan."""
    if isinstance(method.prior, PriorTable | ModelPrior):
        return method.prior
    rule = method.rule
    assert rule is not None
    return rule.tabulate(model) if model.two_decays() is not None else rule.for_model(model)


def variance_distribution(square: NDArray[np.float64], degrees: float) -> tuple[float, float]:
    """Return degrees of freedom and scale of the distribution of noise variances.

    Each sum is the voxel's variance times chi-squared, and the variances themselves are scaled
    inverse chi-squared; both parameters follow from mean and variance of the logarithms (Smyth
    2004, doi:10.2202/1544-6115.1027), with the outermost half per cent of either tail clipped.

    Parameters
    ----------
    square : ndarray, shape (n_voxels,)
        Residual sums of squares, > 0.
    degrees : float
        Their degrees of freedom.

    Returns
    -------
    tuple of float
        Degrees of freedom and scale.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.fitting.training import variance_distribution
    >>> sums = 4.0 * np.random.default_rng(0).chisquare(10, 20000)
    >>> degrees, scale = variance_distribution(sums, 10)
    >>> degrees > 100, bool(abs(scale / 4 - 1) < 0.02)
    (True, True)
    """
    from scipy.special import digamma, polygamma  # Slow to load, and few fits need it.

    logs = np.log(square / degrees)
    logs = np.clip(logs, *np.quantile(logs, _OUTER_QUANTILES))
    # With nu degrees of freedom and the scale s, ln of a scaled inverse chi-squared variance has
    # the mean ln s + ln(nu/2) - digamma(nu/2) and the variance trigamma(nu/2); a chi-squared sum
    # over its n degrees of freedom adds digamma(n/2) - ln(n/2) to the mean and trigamma(n/2) to
    # the variance.
    level = float(logs.mean() - digamma(0.5 * degrees) + np.log(0.5 * degrees))
    excess = float(logs.var() - polygamma(1, 0.5 * degrees))
    if excess <= _MIN_LOG_VARIANCE_SPREAD:
        return _MAX_DEGREES, float(np.exp(level))
    half = _inverse_trigamma(excess)
    return 2.0 * half, float(np.exp(level + digamma(half) - np.log(half)))


def _inverse_trigamma(value: float) -> float:
    from scipy.special import polygamma

    # Newton on 1 / trigamma, which is nearly linear in x (Smyth 2004, appendix).
    x = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = polygamma(1, x)
        step = trigamma * (1.0 - trigamma / value) / polygamma(2, x)
        x += step
        if abs(step) < 1e-10 * x:
            break
    return float(x)


def least_squares() -> TwoDecayMethod:
    """Return the method that finds the best fit of each voxel."""
    method = methods.get("varpro")
    assert isinstance(method, TwoDecayMethod)
    return method


def _variance(
    sample: TrainingSample, values: NDArray[np.float64], good: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the distribution of noise variances; Jeffreys' prior if it cannot be estimated."""
    counts = sample.used_counts
    # Where they differ from voxel to voxel, the most frequent one.
    used = int(np.bincount(counts).argmax())
    degrees = used - sample.model.n_free
    if degrees < 1:
        return 0.0, 0.0
    square = values[good & (counts == used), len(sample.model.parameters)]
    square = square[square > 0.0]
    return variance_distribution(square, degrees) if square.size >= MIN_VOXELS else (0.0, 0.0)


class _ScanLikelihoods(Likelihoods):
    """Likelihoods of the voxels of a sample, computed when a prior asks for them."""

    def __init__(
        self,
        sample: TrainingSample,
        estimates: NDArray[np.float64],
        variance: tuple[float, float],
        noise: tuple[str, float],
    ) -> None:
        self._sample, self._variance, self._noise = sample, variance, noise
        self.frame = _frame(sample.model, estimates)
        slow = sample.model.index(str(self.frame.names[0]))
        self.median = max(float(np.median(estimates[:, slow])), 1e-6)
        self.n_voxels = sample.n_voxels

    @functools.cached_property
    def matrix(self) -> csr_matrix:
        from scipy.sparse import csr_matrix, vstack  # Slow to load, and few fits need it.

        method = _Likelihood(self.frame, self._variance, *self._noise)
        scale = 1.0 / self.frame.volumes().ravel()
        first = len(self._sample.model.parameters) + 2
        rows = []
        for start in range(0, self.n_voxels, _MAX_TABLES):
            part = self._sample.take(np.arange(start, min(start + _MAX_TABLES, self.n_voxels)))
            values, fine = part.fitted(method)
            table = values[fine, first:]
            table[table < _MIN_RELATIVE_LIKELIHOOD * table.max(axis=1, keepdims=True)] = 0.0
            rows.append(csr_matrix((table * scale).astype(np.float32)))
        stacked: csr_matrix = vstack(rows, format="csr")
        return stacked

    @functools.cached_property
    def lattices(self) -> VoxelLattices:
        density = broad(self.frame, self.median)
        start = with_floor(replace(self.frame, rule="broad", density=density), _UNIFORM_SHARE)
        return ScanLattices(self._sample, start, self._variance, *self._noise)


def _learn(
    rule: Prior,
    sample: TrainingSample,
    estimates: NDArray[np.float64],
    variance: tuple[float, float],
    noise: tuple[str, float],
) -> PriorTable:
    """Return the prior that a rule learns from the likelihoods of the voxels."""
    return rule.tabulate(sample.model, _ScanLikelihoods(sample, estimates, variance, noise))


def _frame(model: SignalModel, estimates: NDArray[np.float64]) -> PriorTable:
    """Return knots that are dense where the least-squares estimates are."""
    even = even_knots(model, _N_KNOTS)
    slow, fast, fraction = even.knots
    return replace(
        even,
        knots=(
            _dense(slow, estimates, model, even.names[0]),
            fast,
            _dense(fraction, estimates, model, even.names[2]),
        ),
    )


def _dense(
    knots: NDArray[np.float64],
    estimates: NDArray[np.float64],
    model: SignalModel,
    name: str | None,
) -> NDArray[np.float64]:
    if knots.size < 2 or name is None:
        return knots
    low, high = np.quantile(estimates[:, model.index(name)], _INNER_QUANTILES)
    margin = 0.1 * (high - low)
    low, high = max(low - margin, knots[0]), min(high + margin, knots[-1])
    # Most knots inside, and two on each side that remains.
    inner = np.linspace(low, high, knots.size - 4)
    below = np.linspace(knots[0], low, 3)[:-1] if low > knots[0] else knots[:0]
    above = np.linspace(high, knots[-1], 3)[1:] if high < knots[-1] else knots[:0]
    return np.unique(np.concatenate([below, inner, above]))
