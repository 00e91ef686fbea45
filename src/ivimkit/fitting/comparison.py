"""compare(): several models fitted to one scan, and the evidence for each of them per voxel."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import methods
from ivimkit.engine import Progress, evaluate
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    NoiseError,
    OptionError,
    ScanWarning,
    ShapeError,
)
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.compared_models import asked_models, diffusion_of, supported_models
from ivimkit.fitting.decay_curves import fitted_x
from ivimkit.fitting.fit import as_dwi, fit, fit_with, warn_of_scan
from ivimkit.fitting.result import FitResult, VoxelMaps
from ivimkit.fitting.settings import FitSettings, ScanReading, sigma_values
from ivimkit.fitting.training import MIN_VOXELS, variance_distribution
from ivimkit.noise import NoiseEstimate, for_fit
from ivimkit.rounding import percent, several
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.whole_scan import check_whole
from ivimkit.status import FAILED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CRITERIA", "REFERENCES", "Comparison", "compare", "compare_with", "regions_of"]

CRITERIA = ("aicc", "bic", "f_test", "evidence")
"""Criteria by which models can be compared."""

REFERENCES = {
    "aicc": (
        "Hurvich CM, Tsai CL. Regression and time series model selection in small samples. "
        "Biometrika 1989;76:297-307. doi:10.1093/biomet/76.2.297",
        "Burnham KP, Anderson DR. Model selection and multimodel inference: a practical "
        "information-theoretic approach. Springer 2002. doi:10.1007/b97636",
    ),
    "bic": (
        "Schwarz G. Estimating the dimension of a model. Ann Stat 1978;6:461-464. "
        "doi:10.1214/aos/1176344136",
    ),
    "f_test": ("Seber GAF, Wild CJ. Nonlinear regression. Wiley 1989. doi:10.1002/0471725315",),
    "evidence": (
        "Kass RE, Raftery AE. Bayes factors. J Am Stat Assoc 1995;90:773-795. "
        "doi:10.1080/01621459.1995.10476572",
    ),
}
"""Sources of the criteria."""

# Residuals below this share of the signal are rounding, which must not favour any model.
_MIN_NOISE_SHARE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The result of `ivimkit.compare`.

    Parameters
    ----------
    results : mapping of str to FitResult
        The fit of every model, by its name.
    criterion : {"aicc", "bic", "f_test", "evidence"}
        The criterion of the comparison.
    scores : mapping of str to ndarray, shape (...)
        AICc or BIC (the lowest is the best; only differences are meaningful), the p-value of the
        F-test by which the model was accepted or not (NaN for the simplest one), or the logarithm
        of the evidence (the highest is the best).
    weights : mapping of str to ndarray, shape (...)
        Weight of evidence for each model, 0 to 1, with the sum 1: Akaike weights, weights by BIC,
        posterior probabilities, or 1 for the choice of the F-test. NaN where `chosen` is -1.
    chosen : ndarray of int, shape (...)
        Position, in `names`, of the model with the highest weight; -1 outside the mask, and where
        a fit failed.
    left_out : mapping of str to str
        Models that the scan does not support, or the criterion cannot compare, and why.
    alpha : float
        Level of the F-test.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(24, 18, 1))
    >>> comparison = ik.compare(made.dwi)
    >>> comparison.names
    ('monoexp', 'sivim', 'biexp')
    >>> comparison.averaged["D"].shape
    (24, 18, 1)
    """

    results: Mapping[str, FitResult]
    criterion: str
    scores: Mapping[str, NDArray[np.float64]]
    weights: Mapping[str, NDArray[np.float64]]
    chosen: NDArray[np.int32]
    left_out: Mapping[str, str]
    alpha: float

    def __repr__(self) -> str:
        """Return in how many voxels each model was chosen."""
        fair = self.chosen[self.chosen >= 0]
        shares = np.bincount(fair, minlength=len(self.names)) / max(1, fair.size)
        return "\n  ".join(
            [
                f"Comparison of {len(self.names)} models by {self.criterion}, "
                f"{several(fair.size, 'voxel')}",
                *(
                    f"{name}: chosen in {percent(share)}"
                    for name, share in zip(self.names, shares.tolist(), strict=True)
                ),
                *(f"{name}: left out, {why}" for name, why in self.left_out.items()),
            ]
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The models that were compared, in the order given."""
        return tuple(self.results)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape."""
        return self.chosen.shape

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Voxels that were to be fitted, shape (...)."""
        return self._first.mask

    @property
    def geometry(self) -> Geometry:
        """Position and size of the voxels."""
        return self._first.geometry

    @property
    def references(self) -> tuple[str, ...]:
        """Sources of the criterion."""
        return REFERENCES[self.criterion]

    @property
    def averaged(self) -> Mapping[str, NDArray[np.float64]]:
        """D (mm^2/s) and f of all models, averaged with their weights, shape (...).

        In a model without perfusion f is 0, and the D of ``monoexp`` is its ADC. NaN where
        `chosen` is -1.
        """
        fair = self.chosen >= 0
        found = {name: np.zeros(np.count_nonzero(fair)) for name in ("D", "f")}
        for name, result in self.results.items():
            weight = self.weights[name][fair]
            for quantity, sources in _sources(result.model).items():
                for source in sources:
                    found[quantity] += weight * result.maps[source][fair]
        return VoxelMaps(found, np.flatnonzero(fair.ravel()), self.shape, "C")

    def table(
        self, labels: ArrayLike | None = None, label_names: Mapping[int, str] | None = None
    ) -> pd.DataFrame:
        """Summarise the choice in each region.

        Parameters
        ----------
        labels : array_like of int, shape (...), optional
            Region of each voxel; 0 is none. By default one row, ``"all"``, for the mask.
        label_names : mapping of int to str, optional
            Names of the regions; the numbers by default.

        Returns
        -------
        pandas.DataFrame
            One row per region: ``n`` (voxels with a choice), ``missing`` (voxels without) and, for
            each model, ``share_<model>`` (share of the voxels with a choice in which it was
            chosen) and ``weight_<model>`` (its mean weight in them).

        Raises
        ------
        ShapeError
            If the labels have another shape than the maps, or there is no region.

        Examples
        --------
        >>> import ivimkit as ik
        >>> made = ik.simulate.phantom(shape=(24, 18, 1))
        >>> table = ik.compare(made.dwi).table(made.labels, made.label_names)
        >>> bool(table.loc["liver", "share_biexp"] > 0.5)
        True
        """
        # Imported here: it takes a fifth of a second, and most comparisons do not need a table.
        import pandas as pd

        regions = {"all": self.mask}
        if labels is not None:
            regions = regions_of(labels, self.shape, label_names)
        weights = {name: self.weights[name] for name in self.names}
        rows = {}
        for region, inside in regions.items():
            chosen = self.chosen[inside]
            fair = chosen >= 0
            n = int(np.count_nonzero(fair))
            row: dict[str, float] = {"n": n, "missing": chosen.size - n}
            for index, name in enumerate(self.names):
                row[f"share_{name}"] = float((chosen[fair] == index).mean()) if n else np.nan
            for name, weight in weights.items():
                row[f"weight_{name}"] = float(weight[inside][fair].mean()) if n else np.nan
            rows[region] = row
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index.name = "region"
        return table.astype({"n": int, "missing": int})

    @property
    def _first(self) -> FitResult:
        return next(iter(self.results.values()))


def regions_of(
    labels: ArrayLike, shape: tuple[int, ...], names: Mapping[int, str] | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Return the voxels of every region, by name.

    Parameters
    ----------
    labels : array_like of int, shape (...)
        Region of each voxel; 0 is none.
    shape : tuple of int
        Shape of the maps.
    names : mapping of int to str, optional
        Names of the regions; the numbers by default.

    Returns
    -------
    dict of str to ndarray of bool, shape (...)

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.
    """
    array = np.asarray(labels)
    if array.shape != shape:
        raise ShapeError(
            f"the labels have shape {array.shape}; expected {shape}, that of the maps. Resample "
            "them to the scan"
        )
    found = [int(label) for label in np.unique(array) if label]
    if not found:
        raise ShapeError("there is no region; expected labels other than 0 in some voxels")
    return {(names or {}).get(label, str(label)): array == label for label in found}


def compare(
    data: DWI | ArrayLike,
    bvals: ArrayLike | None = None,
    *,
    models: str | Sequence[str | SignalModel] = ("monoexp", "sivim", "biexp"),
    criterion: str = "aicc",
    method: str | FitMethod | None = None,
    alpha: float = 0.05,
    mask: ArrayLike | None = None,
    sigma: ArrayLike | NoiseEstimate | str | None = None,
    weights: ArrayLike | None = None,
    threads: int | None = None,
    progress: Progress | Literal[False] | None = None,
) -> Comparison:
    """Fit several models to every voxel and choose the one that the data support.

    More parameters always fit better. Every criterion tests whether they fit better than noise
    alone explains:

    - ``"aicc"`` estimates which model predicts a repetition of the scan best. With n fitted
      values (distinct b-values; repeats are weights), the minimum sum of squares C and k
      parameters, including the noise, it is n ln(C / n) + 2 k + 2 k (k + 1) / (n - k - 1). With
      sigma given it is C / sigma^2 + 2 k, k without the noise: the third term corrects for an
      estimated noise and is not needed.
    - ``"bic"`` has k ln n instead of the other terms. With up to about 20 values and unknown noise
      it detects perfusion in tissue without any more often than ``"aicc"``.
    - ``"f_test"`` goes from the simplest to the richest model, and accepts the next one if its sum
      of squares is lower than that of the one accepted so far by more than noise explains, at the
      level `alpha`; with sigma it is a chi-squared test. The models must be nested. f = 0 is at
      the end of its range, where the distribution of the test is not exactly F: it is mostly
      conservative, and only approximate where D* is not determined either. Bounds can also break
      the nesting (``sivim`` is ``biexp`` with an infinite D*), which can only keep the simpler
      model.
    - ``"evidence"`` is the probability of the data under each model, over all values of its
      parameters, by method ``bayes``; the weights are the probabilities of the models if all were
      equally probable before. The prior is part of the model: it is flat inside the bounds unless
      `method` has another one, and wider bounds make a model less probable.

    Parameters
    ----------
    data : DWI or array_like, shape (..., n_volumes)
        The scan; an array needs `bvals`. `ivimkit.compare` also takes files and images, see
        `ivimkit.fit`.
    bvals : array_like, shape (n_volumes,), optional
        b-values in s/mm^2, for an array.
    models : sequence of str or SignalModel, or "all"
        Two or more models or their names; or all that are registered. One that the scan does not
        support, for want of b-values or of a variable, is left out, with a warning; of all, so
        are those that the criterion cannot compare. If a model depends on the directions of the
        gradients, all models are fitted to the values of single directions, so that all describe
        the same data. For ``"evidence"``, the slow rates (D, ADC) of models given by name
        have the same bounds, the narrowest of them (0 to 0.005 mm^2/s), and with them the same
        prior; an object keeps its bounds.
    criterion : {"aicc", "bic", "f_test", "evidence"}
        The criterion.
    method : str or FitMethod, optional
        The method: one that minimises the sum of squares, by default ``"varpro"``; for
        ``"evidence"`` a `methods.Bayes`, by default (and for ``"bayes"``) ``Bayes(prior="flat")``.
        Its ``variance="scan"`` is learned once, from the model with the most parameters, so that
        all models have the same noise.
    alpha : float
        Level of the F-test, 0 to 1; not used by the other criteria.
    mask : array_like, shape (...), optional
        Voxels to fit, where > 0; replaces the mask of the scan.
    sigma : float, array_like of shape (...), NoiseEstimate or str, optional
        Noise (standard deviation) of one volume, a.u., or what to estimate it from, see
        `ivimkit.fit`. By default it is estimated from the residuals of each voxel.
    weights : array_like, optional
        Weight of each volume, shape (n_volumes,), or of each distinct b-value, see
        `ivimkit.fit`.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    progress : callable or False, optional
        Called as ``progress(done, total)`` with numbers of voxels, each counted once per model. By
        default a notebook shows the progress if it takes more than 2 s; False shows nothing.

    Returns
    -------
    Comparison
        Chosen model, weights, scores and fits.

    Raises
    ------
    OptionError
        For an unknown model, criterion or method, a method that does not fit the criterion, or
        models that are not nested.
    AcquisitionError
        If the b-values are sufficient for fewer than two of the models.
    ShapeError
        If arrays do not fit each other.

    Warns
    -----
    AcquisitionWarning
        If a model is left out, or the acquisition can be fitted, but not well.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> b = np.array([0, 10, 20, 40, 80, 110, 200, 400, 800])
    >>> one = ik.simulate.signals("monoexp", [1000, 1e-3], b)
    >>> two = ik.simulate.signals("biexp", [1000, 0.2, 0.03, 1e-3], b)
    >>> comparison = ik.compare([one, two], b)
    >>> [comparison.names[index] for index in comparison.chosen]
    ['monoexp', 'biexp']

    References
    ----------
    Burnham KP, Anderson DR. Springer 2002. doi:10.1007/b97636
    Hurvich CM, Tsai CL. Biometrika 1989;76:297-307. doi:10.1093/biomet/76.2.297
    Schwarz G. Ann Stat 1978;6:461-464. doi:10.1214/aos/1176344136
    Kass RE, Raftery AE. J Am Stat Assoc 1995;90:773-795. doi:10.1080/01621459.1995.10476572
    """
    dwi = as_dwi(data, bvals, mask, weights)
    if isinstance(sigma, str):
        sigma = for_fit(dwi, sigma)
    return compare_with(
        dwi,
        models,
        criterion=criterion,
        method=method,
        alpha=alpha,
        sigma=sigma,
        threads=threads,
        progress=progress or None,
    )


def compare_with(
    dwi: DWI,
    models: str | Sequence[str | SignalModel],
    *,
    criterion: str = "aicc",
    method: str | FitMethod | None = None,
    alpha: float = 0.05,
    sigma: ArrayLike | NoiseEstimate | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    reading: ScanReading | None = None,
    call: str = "ivimkit.compare",
) -> Comparison:
    """Compare models in a scan: `compare`, with what the fits record about the call.

    Parameters
    ----------
    dwi : DWI
        The scan, with its mask and weights.
    models, criterion, method, alpha, sigma, threads, progress
        See `compare`.
    reading : ScanReading, optional
        How the command line read the scan.
    call : str
        The command line or the call.
    """
    if criterion not in CRITERIA:
        raise OptionError(f"criterion is {criterion!r}; expected one of {', '.join(CRITERIA)}")
    if dwi.history.noise == "changed":
        raise NoiseError(
            "the scan was denoised, and the criteria compare models by residuals, which do not "
            "show what denoising left; expected the scan as acquired. Compare the models in it, "
            "and fit the denoised scan with the one that is better"
        )
    if not 0.0 < alpha < 1.0:
        raise OptionError(f"alpha is {alpha!r}; expected a level between 0 and 1, like 0.05")
    wanted, every = asked_models(models, criterion), isinstance(models, str)
    the_method = _method(method, criterion, wanted)
    found = supported_models(
        wanted,
        the_method,
        dwi,
        criterion,
        is_noise_known=sigma is not None,
        is_choice_free=every,
    )
    dwi, used, left_out = found.dwi, found.models, found.left_out
    _check_room(dwi, len(used))
    messages = [f"model {name} is left out: {reason}" for name, reason in left_out.items()]
    warn_of_scan(dwi, stacklevel=5)
    settings = FitSettings.of(used[0], the_method, reading=reading, call=call)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ScanWarning)
        results = _fits(dwi, used, settings.for_scan(dwi, sigma=sigma), sigma, threads, progress)
    # All fits give the same advice about the b-values.
    for category, text in dict.fromkeys((w.category, str(w.message)) for w in caught):
        warnings.warn(text, category, stacklevel=4)
    for text in messages:
        warnings.warn(text, AcquisitionWarning, stacklevel=4)
    return _judge(results, criterion, alpha, sigma, left_out)


def _method(
    method: str | FitMethod | None,
    criterion: str,
    models: Sequence[SignalModel],
) -> FitMethod:
    """Return the method, which must compute what the criterion compares."""
    if criterion == "evidence":
        options = {"prior": "flat"} if method in (None, "bayes") else {}
        found = methods.get("bayes" if method is None else method, **options)
        if any("ln_evidence" not in found.extras(model) for model in models):
            raise OptionError(
                f"criterion evidence needs a method that integrates, and {found.name} does not; "
                "expected bayes, or an object like methods.Bayes(prior='organ')"
            )
        return found
    found = methods.get("varpro" if method is None else method)
    if not found.least_squares:
        raise OptionError(
            f"criterion {criterion} compares least sums of squares, and method {found.name} with "
            "these options does not look for the least one; expected varpro, or criterion "
            "evidence with method bayes"
        )
    return found


def _check_room(dwi: DWI, n_models: int) -> None:
    """Refuse a scan whose comparison does not fit into memory, before it is fitted."""
    # Scores and weights of the voxels; the choice, and a weight and a status map of each model.
    voxels, every = dwi.n_voxels, math.prod(dwi.shape)
    needed = 32.0 * n_models * voxels + (12.0 + 4.0 * n_models) * every
    check_whole(needed, f"a comparison of {n_models} models, which looks at the whole scan,")


def _highest_signal(
    result: FitResult, used: NDArray[np.bool_], voxels: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the fitted signal of some voxels at the lowest b-value that was used, a.u."""
    assert result.dwi is not None
    x = fitted_x(result.model.variables, result.dwi)[..., used]
    first = int(np.argmin(np.asarray(result.provenance.bvals)[used]))
    params = np.stack([result.maps[name][voxels] for name in result.model.names], axis=-1)
    return evaluate(result.model, params, x[..., first : first + 1])[..., 0]


def _fits(
    dwi: DWI,
    models: Sequence[SignalModel],
    settings: FitSettings,
    sigma: ArrayLike | NoiseEstimate | None,
    threads: int | None,
    progress: Progress | None,
) -> dict[str, FitResult]:
    """Fit all models, with the same noise."""
    method = settings.method
    richest = max(models, key=lambda model: model.n_free)
    if method.options().get("variance") == "scan" and sigma is None:
        noise: Any = {"variance": _variance(dwi, richest, threads)}
        method = replace(method, **noise)
    total, results = len(models) * dwi.n_voxels, {}
    screening = None
    if method.screens:
        # Once, by the model that describes most: models are compared on the same values.
        first = replace(settings, model=richest, method=method)
        of_richest = fit_with(dwi, first, sigma=sigma, threads=threads)
        assert of_richest.dwi is not None
        dwi, screening = of_richest.dwi, of_richest.screening
    for number, model in enumerate(models):

        def report(done: int, _: int, before: int = number * dwi.n_voxels) -> None:
            if progress is not None:
                progress(before + done, total)

        own = fit_with(
            dwi,
            replace(settings, model=model, method=method.without_screen()),
            sigma=sigma,
            threads=threads,
            progress=report,
        )
        told = replace(own.settings, method=method) if method.screens else own.settings
        results[model.name] = replace(own, settings=told, screening=screening)
    return results


def _variance(dwi: DWI, model: SignalModel, threads: int | None) -> str | tuple[float, float]:
    """Return the distribution of the noise variances, from the residuals of a model."""
    degrees = int(np.count_nonzero(dwi.fit_counts)) - model.n_free
    if degrees < 1 or dwi.n_voxels < MIN_VOXELS:
        return "voxel"
    cost = fit(dwi, model=model, method="varpro", threads=threads).maps["cost"]
    found = cost[cost > 0.0]
    return "voxel" if found.size < MIN_VOXELS else variance_distribution(found, degrees)


def _judge(
    results: Mapping[str, FitResult],
    criterion: str,
    alpha: float,
    sigma: ArrayLike | NoiseEstimate | None,
    left_out: Mapping[str, str],
) -> Comparison:
    """Score all models in all voxels in which each of them has a fit."""
    from scipy.special import softmax  # Slow to load, and few fits need it.

    fits = list(results.values())
    _require_same_data(fits)
    inside = fits[0].mask
    fair = inside & (np.bitwise_or.reduce([r.status for r in fits]) & int(FAILED) == 0)
    if criterion == "evidence":
        scores = np.stack([r.maps["ln_evidence"][fair] for r in fits])
        weights = softmax(scores, axis=0)
    else:
        counts = np.asarray(fits[0].provenance.counts)
        n: Any = int(np.count_nonzero(counts))
        free = np.array([r.model.n_free for r in fits])
        if fits[0].provenance.value_weights is not None:
            # Where values were left out, there are fewer; too few compare nothing.
            own = fits[0].value_counts()
            fair &= own > free.max() + 2
            n = own[fair].astype(np.float64)
        cost = np.stack([r.maps["cost"][fair] for r in fits])
        variance = None
        if sigma is None:
            lowest = _highest_signal(fits[0], counts > 0.0, fair)
            cost = np.maximum(cost, counts.sum() * (_MIN_NOISE_SHARE * lowest) ** 2)
        else:
            variance = np.broadcast_to(sigma_values(sigma), fair.shape)[fair] ** 2
        if criterion == "f_test":
            scores, weights = _tested(cost, n, free, variance, alpha)
        else:
            scores = _information(cost, n, free, variance, criterion)
            weights = softmax(-0.5 * scores, axis=0)
    chosen = np.full(inside.shape, -1, dtype=np.int32)
    chosen[fair] = weights.argmax(axis=0)
    index = np.flatnonzero(fair.ravel())

    def maps(rows: NDArray[np.float64]) -> VoxelMaps:
        return VoxelMaps(dict(zip(results, rows, strict=True)), index, inside.shape, "C")

    return Comparison(
        results=results,
        criterion=criterion,
        scores=maps(scores),
        weights=maps(weights),
        chosen=chosen,
        left_out=left_out,
        alpha=alpha,
    )


def _require_same_data(fits: Sequence[FitResult]) -> None:
    """Refuse fits of different values: a criterion compares descriptions of the same data."""
    first, *others = fits
    for other in others:
        one, two = first.provenance, other.provenance
        if list(one.bvals) != list(two.bvals) or list(one.counts) != list(two.counts):
            raise AcquisitionError(
                f"models {first.model.name} and {other.model.name} were fitted to different "
                f"values, {len(one.bvals)} and {len(two.bvals)} per voxel; expected the same, as "
                "a criterion compares descriptions of the same data. Fit all models to the same "
                "averages"
            )


def _information(
    cost: NDArray[np.float64],
    n: Any,
    free: NDArray[Any],
    variance: NDArray[np.float64] | None,
    criterion: str,
) -> NDArray[np.float64]:
    """Return AICc or BIC, shape (n_models, n_voxels), of n values, in all voxels or in each."""
    misfit = n * np.log(cost / n) if variance is None else cost / variance
    k = (free + (variance is None)).astype(np.float64)[:, np.newaxis]
    penalty = k * np.log(n) if criterion == "bic" else 2.0 * k
    if criterion == "aicc" and variance is None:
        penalty = penalty + 2.0 * k * (k + 1.0) / (n - k - 1.0)
    return np.asarray(misfit + penalty)


def _tested(
    cost: NDArray[np.float64],
    n: Any,
    free: NDArray[Any],
    variance: NDArray[np.float64] | None,
    alpha: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return p-values and a weight of 1 for the model taken, shape (n_models, n_voxels)."""
    from scipy.special import chdtrc, fdtrc  # Slow to load, and few fits need it.

    order = np.argsort(free, kind="stable")
    p_values = np.full(cost.shape, np.nan)
    taken = np.full(cost.shape[1], order[0])
    least = cost[order[0]]
    for index in order[1:]:
        more = free[index] - free[taken]
        gain = np.maximum(least - cost[index], 0.0)
        if variance is None:
            left = n - free[index]
            p_values[index] = fdtrc(more, left, gain / more / (cost[index] / left))
        else:
            p_values[index] = chdtrc(more, gain / variance)
        better = p_values[index] < alpha
        taken = np.where(better, index, taken)
        least = np.where(better, cost[index], least)
    weights = (np.arange(len(free))[:, np.newaxis] == taken).astype(np.float64)
    return p_values, weights


def _sources(model: SignalModel) -> dict[str, tuple[str, ...]]:
    """Return the map of a model that is D, and the maps whose sum is f."""
    diffusion = diffusion_of(model)
    # Without a diffusion of tissue, the ADC, which every fit has.
    return {"D": ("ADC" if diffusion is None else diffusion.name,), "f": model.fractions}
