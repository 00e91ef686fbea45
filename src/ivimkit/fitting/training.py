"""What a method learns from a scan before it is fitted: the prior and the noise variance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import methods
from ivimkit.engine import Task, run
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import VoxelPlan
from ivimkit.extend.prior import Likelihoods, Prior, even_knots
from ivimkit.extend.prior_table import PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.extend.two_decay_method import TwoDecayMethod
from ivimkit.methods._posterior import PosteriorMethod, fit_voxel, posterior_options, with_room
from ivimkit.scan.voxel_reader import VoxelReader
from ivimkit.status import FAILED

__all__ = ["LEAST_VOXELS", "Scan", "settle", "variance_distribution"]

LEAST_VOXELS = 50
"""Fewer voxels tell neither a prior nor a distribution of variances."""

# Voxels whose likelihoods are in memory as full tables at a time.
_BATCH = 512
# Shares of a row of likelihoods below which there is nothing.
_NOTHING = 1e-7
# Voxels that are read at a time.
_ROWS = 4096
# Numbers whose multiples, modulo 1, never come back.
_UNLIKE = (np.sqrt(2.0), np.sqrt(3.0))
_SIZES = (20, 30, 16)
# The knots are dense between these quantiles of the least-squares estimates.
_INNER = (0.005, 0.995)
# A spread of the log-variances below which all voxels have the same noise.
_SAME = 0.02
_SURE = 1e6
# Log-variances beyond these quantiles are pulled in: outliers are no noise.
_TAILS = (0.005, 0.995)


@dataclass(frozen=True, eq=False)
class Scan:
    """The voxels to learn from.

    Parameters
    ----------
    reader : VoxelReader
        Gives the signals.
    b : ndarray, shape (n_b,)
        b-values of the reader's columns in s/mm^2.
    weight : ndarray, shape (n_b,)
        Weights of the b-values.
    model : SignalModel
        The model, its fixed maps with one value per voxel of the reader.
    sigma : ndarray, shape (1,) or (n_voxels,)
        Noise of one volume; NaN if it is not known.
    threads : int, optional
        Number of threads.
    """

    reader: VoxelReader
    b: NDArray[np.float64]
    weight: NDArray[np.float64]
    model: SignalModel
    sigma: NDArray[np.float64]
    threads: int | None = None

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return len(self.reader.index)

    def take(self, positions: NDArray[np.intp]) -> Scan:
        """Return the scan with some of its voxels."""
        maps = {name: values[positions] for name, values in self.model.fixed_maps.items()}
        return replace(
            self,
            reader=self.reader.take(positions),
            model=replace(self.model, fixed_maps=maps),
            sigma=self.sigma if self.sigma.size == 1 else self.sigma[positions],
        )

    def fitted(self, method: TwoDecayMethod) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the values of a fit and which voxels it fitted."""
        task = Task(self.model, method, self.weight, self.sigma)
        values, status, _ = run(
            self.reader, self.b[np.newaxis], [task], threads=self.threads, device="cpu"
        )[0]
        return values, (status & int(FAILED)) == 0


@final
@dataclass(frozen=True)
class _Likelihood(TwoDecayMethod):
    """Integrals of the likelihood with the functions of the knots of a table, as extra maps."""

    name: ClassVar[str] = "likelihood"
    title: ClassVar[str] = "likelihood at the knots of a prior"
    full_fit: ClassVar[bool] = False
    voxel = staticmethod(fit_voxel)
    references: ClassVar[tuple[str, ...]] = ()

    frame: PriorTable
    variance: tuple[float, float]
    noise: str

    def extras(self, model: SignalModel) -> tuple[str, ...]:
        return tuple(map(str, range(self.frame.volumes().size)))

    def own_options(self, model: SignalModel, b: NDArray[np.float64]) -> dict[int, ArrayLike]:
        return posterior_options(self.frame, self.variance, b.size, self.noise, basis=True)

    def plan(
        self, model: SignalModel, x: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> VoxelPlan:
        return with_room(super().plan(model, x, weight), x.shape[1])


def settle(method: PosteriorMethod, scan: Scan) -> PosteriorMethod:
    """Return the method with its prior as a table and its noise variance as two numbers.

    Parameters
    ----------
    method : PosteriorMethod
        The method as the user gave it.
    scan : Scan
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
    unknown = bool(np.isnan(scan.sigma).any())
    wants_variance = unknown and method.variance == "scan"
    variance = (0.0, 0.0) if isinstance(method.variance, str) else method.variance
    if not learns:
        if wants_variance and scan.n_voxels >= LEAST_VOXELS:
            sample = _sample(scan, 8000, 0)
            variance = _variance(sample, *sample.fitted(_least_squares()))
        table = method.prior if isinstance(method.prior, PriorTable) else None
        if table is None:
            assert rule is not None
            table = rule.tabulate(scan.model)
        return method.with_table(table, variance)
    assert rule is not None
    if scan.n_voxels < LEAST_VOXELS:
        raise OptionError(
            f"prior {rule.name} learns from the scan, which has {scan.n_voxels} voxels to fit; "
            f"expected at least {LEAST_VOXELS}. Use prior flat or organ, or a prior that was "
            "learned from a larger scan"
        )
    sample = _sample(scan, getattr(rule, "n_voxels", 8000), getattr(rule, "seed", 0))
    estimates, good = sample.fitted(_least_squares())
    if wants_variance:
        variance = _variance(sample, estimates, good)
    learned = sample.take(np.flatnonzero(good))
    table = _learn(rule, learned, estimates[good], variance, method.noise)
    return method.with_table(table, variance)


def variance_distribution(square: NDArray[np.float64], degrees: float) -> tuple[float, float]:
    """Return degrees of freedom and scale of the noise variances behind sums of squares.

    Each sum is the voxel's variance times chi-squared, and the variances themselves are scaled
    inverse chi-squared; both parameters follow from mean and variance of the logarithms (Smyth
    2004, doi:10.2202/1544-6115.1027), with the outermost half per cent of either tail pulled in.

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
    logs = np.clip(logs, *np.quantile(logs, _TAILS))
    level = float(logs.mean() - digamma(0.5 * degrees) + np.log(0.5 * degrees))
    excess = float(logs.var() - polygamma(1, 0.5 * degrees))
    if excess <= _SAME:
        return _SURE, float(np.exp(level))
    half = _inverse_trigamma(excess)
    return 2.0 * half, float(np.exp(level + digamma(half) - np.log(half)))


def _inverse_trigamma(value: float) -> float:
    from scipy.special import polygamma

    x = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = polygamma(1, x)
        step = trigamma * (1.0 - trigamma / value) / polygamma(2, x)
        x += step
        if abs(step) < 1e-10 * x:
            break
    return float(x)


def _sample(scan: Scan, n: int, seed: int) -> Scan:
    """Return at most n voxels, drawn at random, in the order of what they hold."""
    order = _by_content(scan)
    if scan.n_voxels > n:
        chosen = np.random.default_rng(seed).choice(scan.n_voxels, n, replace=False)
        order = order[np.sort(chosen)]
    return scan.take(order)


def _by_content(scan: Scan) -> NDArray[np.intp]:
    """Return positions of the voxels in an order that depends on what they hold alone.

    Where a voxel lies in memory must not decide whether it is drawn, nor when it is added to a
    sum. The order is that of a weighted sum of all that is known of a voxel, so signals in
    another unit have the same; no two weights and no two sets of weights are alike, so voxels
    that tie hold the same.
    """
    beside = [*scan.model.fixed_maps.values(), *([] if scan.sigma.size == 1 else [scan.sigma])]
    n, n_columns = scan.n_voxels, scan.reader.n_columns
    steps = np.arange(1, 1 + n_columns + len(beside))
    weights = [1.0 + np.mod(step * steps, 1.0) for step in _UNLIKE]
    keys = np.zeros((len(weights), n))
    rows = np.empty((min(n, _ROWS), n_columns))
    for start in range(0, n, _ROWS):
        part = slice(start, min(start + _ROWS, n))
        scan.reader.read(part.start, part.stop, rows)
        held = [*rows[: part.stop - start].T, *(values[part] for values in beside)]
        # Column after column, not a product of matrices: the bits must not depend on the rows.
        for column, values in enumerate(held):
            numbers = np.nan_to_num(values, nan=-1.0, posinf=-2.0, neginf=-3.0)
            for key, weight in zip(keys, weights, strict=True):
                key[part] += weight[column] * numbers
    return np.lexsort(keys)


def _least_squares() -> TwoDecayMethod:
    method = methods.get("varpro")
    assert isinstance(method, TwoDecayMethod)
    return method


def _variance(
    scan: Scan, values: NDArray[np.float64], good: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the distribution of the noise variances; Jeffreys' prior if the scan tells none."""
    degrees = int(np.count_nonzero(scan.weight)) - scan.model.n_free
    if degrees < 1:
        return 0.0, 0.0
    square = values[good, len(scan.model.parameters)]
    square = square[square > 0.0]
    return variance_distribution(square, degrees) if square.size >= LEAST_VOXELS else (0.0, 0.0)


def _learn(
    rule: Prior,
    scan: Scan,
    estimates: NDArray[np.float64],
    variance: tuple[float, float],
    noise: str,
) -> PriorTable:
    """Return the table that a rule makes of the likelihoods of the voxels."""
    from scipy.sparse import csr_matrix, vstack  # Slow to load, and few fits need it.

    if scan.n_voxels < LEAST_VOXELS:
        raise OptionError(
            f"prior {rule.name} learns from the scan, and {scan.n_voxels} of its voxels could be "
            f"fitted; expected at least {LEAST_VOXELS}. Look at the mask and the status of a fit "
            "by varpro"
        )
    frame = _frame(scan.model, estimates)
    slow = scan.model.index(str(frame.names[0]))
    median = max(float(np.median(estimates[:, slow])), 1e-6)
    method = _Likelihood(frame, variance, noise)
    scale = 1.0 / frame.volumes().ravel()
    first = len(scan.model.parameters) + 2
    rows = []
    for start in range(0, scan.n_voxels, _BATCH):
        part = scan.take(np.arange(start, min(start + _BATCH, scan.n_voxels)))
        values, fine = part.fitted(method)
        table = values[fine, first:]
        table[table < _NOTHING * table.max(axis=1, keepdims=True)] = 0.0
        rows.append(csr_matrix((table * scale).astype(np.float32)))
    return rule.tabulate(scan.model, Likelihoods(frame, vstack(rows, format="csr"), median))


def _frame(model: SignalModel, estimates: NDArray[np.float64]) -> PriorTable:
    """Return knots that are dense where the least-squares estimates are."""
    even = even_knots(model, _SIZES)
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
    low, high = np.quantile(estimates[:, model.index(name)], _INNER)
    margin = 0.1 * (high - low)
    low, high = max(low - margin, knots[0]), min(high + margin, knots[-1])
    # Most knots inside, and some on each side that is left.
    inner = np.linspace(low, high, knots.size - 4)
    below = np.linspace(knots[0], low, 3)[:-1] if low > knots[0] else knots[:0]
    above = np.linspace(high, knots[-1], 3)[1:] if high < knots[-1] else knots[:0]
    return np.unique(np.concatenate([below, inner, above]))
