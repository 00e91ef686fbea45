"""A prior for many scans: samples of them, in units of their noise, are one scan to learn from.

A prior is one density, and some thousand voxels tell it, from whichever scan. Signals that are
divided by the noise of their scan have the same noise, 1, whatever the gain of the scanner, and so
can be pooled. How the prior is then learned: `ivimkit.priors.learned.Learned`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import priors
from ivimkit.errors import OptionError
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior import ChoosingPrior
from ivimkit.extend.prior_table import COHORT, NEIGHBOURS, PriorTable
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.fit import with_measured_floor
from ivimkit.fitting.region_fits import regions_of
from ivimkit.fitting.settings import FitSettings, sigma_values
from ivimkit.fitting.training import (
    MIN_VOXELS,
    learned_method,
    least_squares,
    variance_distribution,
)
from ivimkit.fitting.training_sample import TrainingSample
from ivimkit.methods._posterior import FLOOR_AUTO, PosteriorMethod
from ivimkit.noise import NoiseEstimate
from ivimkit.rounding import several
from ivimkit.scan.directions import needs_directions
from ivimkit.scan.dwi import DWI
from ivimkit.scan.variables import B

__all__ = [
    "MAX_POOLED_VOXELS",
    "MAX_SIGNALS",
    "MIN_SCANS",
    "SHARED",
    "ScanSample",
    "check_poolable",
    "pooled_prior",
    "sampled_x",
    "scan_sample",
]

MAX_SIGNALS = 300
"""Signals of each region that a scan gives, at most."""

MAX_POOLED_VOXELS = 12_000
"""Voxels that a prior is learned from, at most: more make it no better."""

MIN_SCANS = 2
"""With a single scan there is nothing to share: it learns from more of its own voxels."""

SHARED = "shared"
"""Name of the prior that is learned from all scans of a cohort."""

_SEED = 0


@dataclass(frozen=True, eq=False)
class ScanSample:
    """What a scan gives to the prior of a cohort.

    Parameters
    ----------
    x : ndarray, shape (n_variables, n_b)
        The variables of the model, such as b, at each value of a signal.
    weight : ndarray, shape (n_b,)
        Weights of the values.
    floor : float
        Noise that raises the floor of magnitudes, in units of the noise of the scan; 0 if it is
        not known.
    is_noise_given : bool
        Whether the noise was given or measured; otherwise it is from the residuals of a fit.
    signals : mapping of str to ndarray, shape (n_voxels, n_b)
        Signals of each region, in units of the noise of the scan.
    """

    x: NDArray[np.float64]
    weight: NDArray[np.float64]
    floor: float
    is_noise_given: bool
    signals: Mapping[str, NDArray[np.float64]]


def check_poolable(settings: FitSettings) -> None:
    """Raise if a fit cannot have a prior that is learned from many scans.

    Raises
    ------
    OptionError
        For a method without a prior, or with another one, or a model of the gradient directions.

    Examples
    --------
    >>> from ivimkit.fitting.settings import FitSettings
    >>> check_poolable(FitSettings.of(method="bayes"))
    """
    method, model = settings.method, settings.model
    if not isinstance(method, PosteriorMethod):
        raise OptionError(
            f"prior {SHARED} is given with method {method.name}, which has no prior; expected "
            "method bayes (--method bayes)"
        )
    if not isinstance(method.rule, ChoosingPrior):
        known = method.options()["prior"]
        raise OptionError(
            f"prior {SHARED} is given with another prior of the method, {known!r}; expected one "
            "of them. Leave one out"
        )
    if needs_directions(model.variables):
        raise OptionError(
            f"prior {SHARED} is given with model {model.name}, whose signals depend on the "
            "gradient directions, which differ from scan to scan; expected a model of b and "
            "times. Leave it out: each scan then learns its own prior"
        )


def scan_sample(
    dwi: DWI,
    settings: FitSettings,
    *,
    sigma: float | NoiseEstimate | None = None,
    labels: ArrayLike | None = None,
    threads: int | None = None,
) -> ScanSample:
    """Draw signals of a scan, at most `MAX_SIGNALS` of each region, in units of its noise.

    Which voxels are drawn depends on their values only, not on their order.

    Parameters
    ----------
    dwi : DWI
        The scan, with its mask.
    settings : FitSettings
        How it is going to be fitted; `check_poolable` has accepted them.
    sigma : float or NoiseEstimate, optional
        Noise of one volume, a.u.; by default that of the residuals of a fit by least squares.
    labels : array_like of int, shape (...), optional
        Regions with priors of their own.
    threads : int, optional
        Number of threads.

    Raises
    ------
    OptionError
        If the scan was denoised: its voxels have been drawn towards each other.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.fitting.pooled_prior import scan_sample
    >>> dwi = ik.simulate.phantom(shape=(24, 16, 2)).dwi
    >>> sample = scan_sample(dwi, ik.fitting.settings.FitSettings.of(method="bayes"))
    >>> sample.signals["all"].shape
    (300, 13)
    """
    if dwi.history.noise == "changed":
        raise OptionError(
            "the scan was denoised, which has drawn its voxels towards each other: a prior that "
            "is learned from them would be too narrow; expected the scan as acquired"
        )
    model = settings.model
    dwi = dwi.for_variables(model.variables)
    method, _ = with_measured_floor(settings.method, dwi, sigma)
    assert isinstance(method, PosteriorMethod)
    sample = _one_kind_of_voxels(dwi, model, threads)
    scale, is_given = _noise_of(sample, method, sigma)
    signals = {}
    for name, positions in regions_of(sample.reader, labels).items():
        drawn = sample.take(positions).drawn(MAX_SIGNALS, seed=_SEED)
        _, good = drawn.fitted(least_squares())
        signals[name] = _values(drawn.take(np.flatnonzero(good)))[:, sample.weight > 0.0] / scale
    used = sample.weight > 0.0
    return ScanSample(
        sample.variables[:, used],
        sample.weight[used],
        method.floor_noise / scale,
        is_given,
        signals,
    )


def sampled_x(dwi: DWI, model: SignalModel) -> NDArray[np.float64]:
    """Return the variables of the model at each value of the signals that a scan would give.

    Parameters
    ----------
    dwi : DWI
        The scan.
    model : SignalModel
        The model.

    Returns
    -------
    ndarray, shape (n_variables, n_b)
    """
    sample = _one_kind_of_voxels(dwi.for_variables(model.variables), model, 1)
    return sample.variables[:, sample.weight > 0.0]


def pooled_prior(
    samples: Sequence[ScanSample],
    region: str,
    settings: FitSettings,
    *,
    about: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> PriorTable | ModelPrior:
    """Learn a prior from samples of many scans, as prior learned does from one.

    The bits depend on the samples and their order, not on the number of threads.

    Parameters
    ----------
    samples : sequence of ScanSample
        Those of the scans, with the same variables `x`; that of the first one counts.
    region : str
        The region; samples without it are left out.
    settings : FitSettings
        How the scans are going to be fitted.
    about : mapping, optional
        What is kept with the prior, ready for JSON.
    threads : int, optional
        Number of threads.

    Returns
    -------
    PriorTable or ModelPrior
        Of two decays, it is the share of the scan in prior local, for scans where voxels have
        neighbours; fits of others take it alone. Its `about` has the number of scans.

    Raises
    ------
    OptionError
        If there are too few voxels or scans.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.fitting.pooled_prior import pooled_prior, scan_sample
    >>> settings = ik.fitting.settings.FitSettings.of(method="bayes")
    >>> scans = [ik.simulate.phantom(shape=(24, 16, 1), seed=k).dwi for k in (1, 2)]
    >>> prior = pooled_prior([scan_sample(one, settings) for one in scans], "all", settings)
    >>> prior.rule, prior.about["cohort"]["scans"]
    ('local', 2)
    """
    method, model = settings.method, settings.model
    assert isinstance(method, PosteriorMethod)
    assert isinstance(method.rule, ChoosingPrior)
    own = [one for one in samples if region in one.signals and len(one.signals[region])]
    n_voxels = sum(len(one.signals[region]) for one in own)
    if n_voxels < MIN_VOXELS or len(own) < MIN_SCANS:
        raise OptionError(
            f"there are {several(n_voxels, 'voxel')} of {several(len(own), 'scan')} to learn a "
            f"prior from; expected at least {MIN_VOXELS} voxels of {MIN_SCANS} scans"
        )
    learning = replace(
        method,
        prior=priors.get("learned", n_voxels=MAX_POOLED_VOXELS, seed=_SEED),
        floor=_common_floor(own),
    )
    if not isinstance(method.variance, str):
        learning = replace(learning, variance=(method.variance[0], 1.0))
    found = learned_method(learning, _pooled(own, region, model, threads)).prior
    assert isinstance(found, PriorTable | ModelPrior)
    described = {"scans": len(own), **(about or {})}
    if isinstance(found, ModelPrior):
        return replace(found, about={**found.about, COHORT: described})
    near = method.rule.local
    return replace(
        found,
        rule=near.name,
        about={**found.about, NEIGHBOURS: near.options(), COHORT: described},
    )


def _one_kind_of_voxels(dwi: DWI, model: SignalModel, threads: int | None) -> TrainingSample:
    """Return the voxels of a scan with the same weights as most others: nearly always all."""
    if dwi.weights_of_values is not None:
        dwi = dwi.without_unused()
    unknown = np.full(1, np.nan)
    return TrainingSample.of(dwi, dwi.voxels(), model, unknown, threads).of_one_pattern()


def _noise_of(
    sample: TrainingSample, method: PosteriorMethod, sigma: float | NoiseEstimate | None
) -> tuple[float, bool]:
    """Return the noise of one volume, a.u., and whether it was given."""
    if sigma is not None:
        return float(sigma_values(sigma)), True
    if not isinstance(method.variance, str) and method.variance[1] > 0.0:
        return math.sqrt(method.variance[1]), False
    degrees = int(np.count_nonzero(sample.weight)) - sample.model.n_free
    values, good = sample.drawn(MAX_SIGNALS, seed=_SEED).fitted(least_squares())
    square = values[good, len(sample.model.parameters)]
    square = square[square > 0.0]
    if degrees < 1 or not square.size:
        # Noise that nothing tells is integrated out, so that any unit will do.
        return 1.0, False
    if square.size < MIN_VOXELS:
        return math.sqrt(float(square.mean()) / degrees), False
    return math.sqrt(variance_distribution(square, degrees)[1]), False


def _values(sample: TrainingSample) -> NDArray[np.float64]:
    rows = np.empty((sample.n_voxels, sample.reader.n_columns))
    sample.reader.read(0, sample.n_voxels, rows)
    return rows


def _common_floor(samples: Sequence[ScanSample]) -> float | str:
    """Return the noise of the floor in units of the noise: that of a typical scan."""
    known = [one.floor for one in samples if one.floor > 0.0]
    return float(np.median(known)) if known else FLOOR_AUTO


def _pooled(
    samples: Sequence[ScanSample], region: str, model: SignalModel, threads: int | None
) -> TrainingSample:
    """Return the signals of all samples as those of one scan."""
    most = -(-MAX_POOLED_VOXELS // len(samples))
    rows = [_spread(one.signals[region], most) for one in samples]
    x = samples[0].x
    names = list(model.variables)
    own = names.index(B.name)
    further = {name: x[k] for k, name in enumerate(names) if k != own}
    weights = [one.weight for one in samples]
    alike = all(np.array_equal(weights[0], other) for other in weights)
    dwi = DWI(
        np.concatenate(rows),
        x[own],
        variables=further or None,
        average="none",
        weights=weights[0] if alike else None,
        value_weights=None
        if alike
        else np.concatenate(
            [np.tile(w, (len(part), 1)) for w, part in zip(weights, rows, strict=True)]
        ),
    )
    is_given = all(one.is_noise_given for one in samples)
    noise = np.full(1, 1.0 if is_given else np.nan)
    return TrainingSample.of(dwi, dwi.voxels(), model, noise, threads)


def _spread(rows: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Return rows spread evenly over all, at most as many as that."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.intp)]
