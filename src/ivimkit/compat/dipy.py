"""The names, options and results of ``dipy.reconst.ivim``, fitted by ivimkit.

Change one import, ``from ivimkit.compat.dipy import IvimModel``; DIPY itself is not needed.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import methods, models
from ivimkit.any_scan import fit
from ivimkit.compat.bounds import bounded_model
from ivimkit.engine import evaluate
from ivimkit.errors import AcquisitionError, IvimkitWarning, OptionError, ShapeError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.result import FitResult
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI
from ivimkit.scan.thresholds import check_threshold, require_two
from ivimkit.status import FitStatus

__all__ = [
    "BOUNDS",
    "IvimFit",
    "IvimModel",
    "IvimModelTRR",
    "IvimModelVP",
    "ivim_model_selector",
    "ivim_prediction",
]

BOUNDS = ([0.0, 0.0, 0.0, 0.0], [np.inf, 0.2, 1.0, 1.0])
"""DIPY 1.12's default bounds of S0, f, D*, D; ivimkit's are used unless these are passed."""

_NAMES = ("S0", "f", "D_star", "D")
# Number of voxels whose logarithms are taken at a time.
_CHUNK = 1 << 16
_NOTHING_TO_SET = (
    "ivimkit takes every voxel to a least-squares minimum to within rounding, so there is no "
    "tolerance, step or scale to set and no iteration limit. Leave it out"
)
_OTHER_ENGINE = "ivimkit fits all voxels in compiled threads; n_jobs is their number. Leave it out"


class Gradients(Protocol):
    """Anything with b-values, such as DIPY's ``GradientTable``."""

    @property
    def bvals(self) -> Any:
        """b-values in s/mm^2, shape (n_b,)."""


def ivim_prediction(params: ArrayLike, gtab: Gradients) -> NDArray[np.float64]:
    """Return the signal of the IVIM model.

    Parameters
    ----------
    params : array_like, shape (..., 4)
        S0 (a.u.), f, D* and D (mm^2/s). DIPY accepts one voxel, this function any number.
    gtab : Gradients
        b-values as ``.bvals``, in s/mm^2, shape (n_b,).

    Returns
    -------
    ndarray, shape (..., n_b)
        Signal, a.u.; NaN where parameters are.

    Raises
    ------
    OptionError
        If `gtab` has no ``.bvals``, or `params` does not have four parameters.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from ivimkit.compat.dipy import ivim_prediction
    >>> gtab = SimpleNamespace(bvals=[0.0, 1000.0])
    >>> ivim_prediction([1000, 0.0, 0.01, 1e-3], gtab).round(1)
    array([1000. ,  367.9])
    """
    return evaluate(models.get("biexp"), params, _bvals(gtab))


def ivim_model_selector(
    gtab: Gradients, *, fit_method: str = "trr", **kwargs: Any
) -> IvimModelTRR | IvimModelVP:
    """Return the model of a fit method; ``IvimModel`` is another name of this function.

    Parameters
    ----------
    gtab : Gradients
        b-values as ``.bvals``, in s/mm^2; a ``GradientTable`` of DIPY or anything else with them.
    fit_method : {"trr", "varpro"}
        Two straight lines, then bounded least squares; or variable projection, which finds the
        global optimum. Upper or lower case.
    **kwargs
        Options of `IvimModelTRR` or `IvimModelVP`.

    Returns
    -------
    IvimModelTRR or IvimModelVP

    Raises
    ------
    OptionError
        For an unknown method; DIPY warns and takes ``"trr"``.
    AcquisitionError
        For b-values that the method cannot be used with.

    Warns
    -----
    IvimkitWarning
        If `bounds` are missing; the message says which are used. DIPY issues such a warning too,
        and a filter for its text also catches this one.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from types import SimpleNamespace
    >>> from ivimkit.compat.dipy import IvimModel, ivim_prediction
    >>> gtab = SimpleNamespace(bvals=ik.simulate.B21)
    >>> data = ivim_prediction([1000, 0.1, 0.01, 1e-3], gtab)
    >>> model = IvimModel(gtab, fit_method="VarPro", bounds=([0, 0, 0], [0.5, 1, 1]))
    >>> model.fit(data).model_params.round(4)
    array([1.e+03, 1.e-01, 1.e-02, 1.e-03])
    """
    model: IvimModelTRR | IvimModelVP
    if fit_method.lower() == "trr":
        model = IvimModelTRR(gtab, **kwargs)
    elif fit_method.lower() == "varpro":
        model = IvimModelVP(gtab, **kwargs)
    else:
        raise OptionError(f"fit_method is {fit_method!r}; expected 'trr' or 'varpro'")
    if "bounds" not in kwargs:
        warnings.warn(_said_of_bounds(model.signal_model), IvimkitWarning, stacklevel=2)
    return model


IvimModel = ivim_model_selector


class _Model(ABC):
    """Base class of both models: b-values, bounds, fit and prediction."""

    def __init__(self, gtab: Gradients, signal_model: SignalModel) -> None:
        self.gtab = gtab
        self.bvals = _bvals(gtab)
        self.signal_model = signal_model
        self._acquisition = Acquisition(self.bvals, tolerance=0.0)

    def fit(self, data: ArrayLike, mask: ArrayLike | None = None, **options: Any) -> IvimFit:
        """Fit every voxel.

        Every volume is used separately, as in DIPY: b-values are neither grouped nor averaged.

        Parameters
        ----------
        data : array_like, shape (..., n_b)
            Signal, a.u.; one voxel or any number of axes.
        mask : array_like, shape (...), optional
            Voxels to fit, where > 0; all by default.
        **options
            ``n_jobs`` is the number of threads. ``engine``, ``vox_per_chunk``, ``verbose`` and
            ``bounds_de``, which DIPY's `fit` takes, have no effect, and a warning says so.

        Returns
        -------
        IvimFit
            NaN outside the mask and in voxels that cannot be fitted; ``IvimFit.status`` says why.
            DIPY gives 0 outside the mask and the straight-line estimates where ``"trr"`` fails,
            and stops with an error at a voxel of zeros in ``"varpro"``.

        Raises
        ------
        ShapeError
            If the shapes of data, b-values and mask do not match.
        OptionError
            For an unknown option.

        Warns
        -----
        IvimkitWarning
            If an option has no effect.
        AcquisitionWarning
            If the b-values can be fitted, but not well.
        """
        threads = options.pop("n_jobs", None)
        defaults = {"engine": "serial", "vox_per_chunk": None, "verbose": False, "bounds_de": None}
        unknown = sorted(set(options) - set(defaults))
        if unknown:
            raise OptionError(
                f"fit has no option {', '.join(unknown)}; expected mask, n_jobs or one of "
                f"{', '.join(defaults)}"
            )
        _warn_of_no_effect({**defaults, **options}, defaults, _OTHER_ENGINE, stacklevel=3)
        signal = np.asarray(data)
        inside = None if mask is None or signal.ndim == 1 else _checked_mask(mask, signal.shape)
        if inside is not None and not inside.any():
            shape = signal.shape[:-1]
            status = np.full(shape, int(FitStatus.OUTSIDE_MASK), dtype=np.int32)
            return IvimFit(self, np.full((*shape, len(_NAMES)), np.nan), status=status)
        dwi = DWI(signal, self._acquisition, mask=inside, average="none")
        # DIPY's -1 is "all cores".
        return self._fitted(dwi, None if threads in (None, -1) else threads)

    def predict(
        self, ivim_params: ArrayLike, gtab: Gradients, *, S0: float = 1.0
    ) -> NDArray[np.float64]:
        """Return the signal of given parameters, see `ivim_prediction`.

        Parameters
        ----------
        ivim_params : array_like, shape (..., 4)
            S0 (a.u.), f, D* and D (mm^2/s).
        gtab : Gradients
            b-values as ``.bvals``, in s/mm^2.
        S0 : float
            Has no effect, here as in DIPY: S0 is one of the parameters. A value other than 1
            causes a warning.

        Returns
        -------
        ndarray, shape (..., n_b)
        """
        return _predicted(ivim_params, gtab, S0)

    @abstractmethod
    def _method(self) -> FitMethod:
        """Return the method of the fit."""

    def _fitted(self, dwi: DWI, threads: int | None) -> IvimFit:
        result = fit(dwi, model=self.signal_model, method=self._method(), threads=threads)
        return IvimFit(self, result.params, status=result.status, result=result)


class IvimModelTRR(_Model):
    """Two straight lines through ln S for S0 and D, then bounded least squares.

    With ``two_stage=False`` the fit is DIPY's: unweighted lines, f and D* fitted with S0 and D
    from the lines. With ``two_stage=True`` it is method ``trr`` of ivimkit, a local least-squares
    minimum of all four parameters; where SciPy cannot start, DIPY warns and returns the
    straight-line estimates.

    Parameters
    ----------
    gtab : Gradients
        b-values as ``.bvals``, in s/mm^2, with a b = 0 and a ``b0_threshold`` of 0, if any.
    split_b_D : float
        Lowest b-value of the line for D, in s/mm^2, inclusive.
    split_b_S0 : float
        Highest b-value of the line for S0, in s/mm^2, inclusive.
    bounds : tuple of two sequences of four floats, optional
        Lower and upper bounds of S0, f, D*, D; ivimkit's by default, see `BOUNDS` for DIPY's. An
        upper bound of D above 0.1 mm^2/s (30 times free water) means no bound.
    two_stage : bool
        Whether all four parameters are fitted at the end.
    tol, gtol, ftol, eps : float
        Have no effect: ivimkit finds the minimum to within rounding. A value other than DIPY's
        default causes a warning.
    x_scale : sequence of four floats
        Has no effect, likewise.
    maxiter : int
        Has no effect, likewise.

    Raises
    ------
    AcquisitionError
        If there is no b = 0, a ``b0_threshold`` above 0, or too few b-values for a line.
    OptionError
        For impossible bounds or thresholds.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from types import SimpleNamespace
    >>> from ivimkit.compat.dipy import BOUNDS, IvimModelTRR
    >>> phantom = ik.simulate.phantom("brain", shape=(24, 27, 1), bvals=ik.simulate.B21)
    >>> gtab = SimpleNamespace(bvals=phantom.dwi.acquisition.bvals)
    >>> fitted = IvimModelTRR(gtab, bounds=BOUNDS).fit(phantom.dwi.signal, mask=phantom.dwi.mask)
    >>> fitted.shape, fitted.D.shape, float(fitted.perfusion_fraction[12, 13, 0]) <= 0.2
    ((24, 27, 1), (24, 27, 1), True)

    References
    ----------
    Garyfallidis E et al. Front Neuroinform 2014;8:8. doi:10.3389/fninf.2014.00008
    """

    def __init__(
        self,
        gtab: Gradients,
        *,
        split_b_D: float = 400.0,
        split_b_S0: float = 200.0,
        bounds: Any = None,
        two_stage: bool = True,
        tol: float = 1e-15,
        x_scale: Any = (1000.0, 0.1, 0.001, 0.0001),
        gtol: float = 1e-15,
        ftol: float = 1e-15,
        eps: float = 1e-15,
        maxiter: int = 1000,
    ) -> None:
        super().__init__(gtab, _bounded(bounds, 4))
        _require_b0(gtab)
        check_threshold("split_b_D", split_b_D)
        check_threshold("split_b_S0", split_b_S0)
        require_two(self._acquisition, "split_b_D", lower=split_b_D)
        require_two(self._acquisition, "split_b_S0", upper=split_b_S0)
        self.split_b_D = split_b_D
        self.split_b_S0 = split_b_S0
        self.two_stage = two_stage
        self.bounds = _pair_of(self.signal_model, _NAMES)
        self.tol = tol
        self.x_scale = x_scale
        self.options = {"gtol": gtol, "ftol": ftol, "eps": eps, "maxiter": maxiter}
        given = {"tol": tol, "x_scale": x_scale, **self.options}
        default = {
            "tol": 1e-15,
            "x_scale": (1000.0, 0.1, 0.001, 0.0001),
            "gtol": 1e-15,
            "ftol": 1e-15,
            "eps": 1e-15,
            "maxiter": 1000,
        }
        _warn_of_no_effect(given, default, _NOTHING_TO_SET, stacklevel=3)

    def estimate_linear_fit(
        self, data: ArrayLike, split_b: float, *, less_than: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit an unweighted straight line to ln S on one side of a b-value.

        Parameters
        ----------
        data : array_like, shape (..., n_b)
            Signal, a.u.; values that are not positive are left out.
        split_b : float
            The b-value, in s/mm^2, inclusive.
        less_than : bool
            Whether the line is for b <= `split_b`, or for b >= `split_b`.

        Returns
        -------
        S0 : ndarray, shape (...)
            The signal at b = 0 on the line, a.u.; NaN with fewer than two b-values.
        D : ndarray, shape (...)
            The slope, in mm^2/s; it may be negative.
        """
        side = {"upper": split_b} if less_than else {"lower": split_b}
        require_two(self._acquisition, "split_b", **side)
        used = self.bvals <= split_b if less_than else self.bvals >= split_b
        return _lines(np.asarray(data), self.bvals, used)

    def estimate_f_D_star(
        self, params_f_D_star: ArrayLike, data: ArrayLike, S0: ArrayLike, D: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit f and D* for given S0 and D.

        Parameters
        ----------
        params_f_D_star : array_like
            DIPY's starting values; no effect, because the minimum found is the global one.
        data : array_like, shape (..., n_b)
            Signal, a.u.
        S0, D : float or array_like, shape (...)
            Fixed values, in a.u. and mm^2/s; voxels where they are not finite are NaN.

        Returns
        -------
        f, D_star : ndarray, shape (...)
            Inside the model's bounds, D* in mm^2/s.
        """
        dwi = DWI(np.asarray(data), self._acquisition, average="none")
        result = self._with_given(dwi, np.asarray(S0, float), np.asarray(D, float), None)
        return result.maps["f"], result.maps["D_star"]

    def _method(self) -> FitMethod:
        return methods.get(
            "trr",
            split_b_D=float(self.split_b_D),
            split_b_S0=float(self.split_b_S0),
            two_stage=True,
        )

    def _fitted(self, dwi: DWI, threads: int | None) -> IvimFit:
        if self.two_stage:
            return super()._fitted(dwi, threads)
        _, D = self.estimate_linear_fit(dwi.signal, self.split_b_D, less_than=False)
        S0, _ = self.estimate_linear_fit(dwi.signal, self.split_b_S0, less_than=True)
        S0_bounds, D_bounds = (self.signal_model[name] for name in ("S0", "D"))
        S0 = np.clip(S0, S0_bounds.lower, S0_bounds.upper)
        D = np.clip(D, D_bounds.lower, D_bounds.upper)
        usable = dwi.mask & np.isfinite(S0) & np.isfinite(D)
        params = np.full((*dwi.shape, len(_NAMES)), np.nan)
        status = np.where(dwi.mask, int(FitStatus.TOO_FEW_BVALUES), int(FitStatus.OUTSIDE_MASK))
        if not usable.any():
            return IvimFit(self, params, status=status.astype(np.int32))
        result = self._with_given(dwi.with_mask(usable), S0, D, threads)
        status = np.where(usable, result.status, status).astype(np.int32)
        return IvimFit(self, result.params, status=status, result=result)

    def _with_given(
        self,
        dwi: DWI,
        S0: NDArray[np.float64],
        D: NDArray[np.float64],
        threads: int | None,
    ) -> FitResult:
        """Fit f and D* with S0 and D of each voxel."""
        model = self.signal_model.with_fixed(
            S0=np.broadcast_to(S0, dwi.shape), D=np.broadcast_to(D, dwi.shape)
        )
        return fit(dwi, model=model, method="varpro", threads=threads)


class IvimModelVP(_Model):
    """Variable projection: the global least-squares optimum inside the bounds.

    DIPY's version searches D* from 0.005 to 0.01 and D from 1e-4 to 1e-3 mm^2/s at random and
    refines from there; this is method ``varpro`` of ivimkit, deterministic and confined to
    `bounds`. A missing b = 0 is not an error, here as in DIPY.

    Parameters
    ----------
    gtab : Gradients
        b-values as ``.bvals``, in s/mm^2.
    bounds : tuple of two sequences of three floats, optional
        Lower and upper bounds of f, D*, D, or of four: S0, f, D*, D; ivimkit's by default, see
        `BOUNDS` for DIPY's. An upper bound of D above 0.1 mm^2/s means no bound.
    maxiter : int
        Has no effect. A value other than DIPY's default causes a warning.
    xtol : float
        Has no effect, likewise.

    Raises
    ------
    OptionError
        For impossible bounds.

    References
    ----------
    Farooq H et al. Sci Rep 2016;6:38927. doi:10.1038/srep38927
    """

    def __init__(
        self, gtab: Gradients, *, bounds: Any = None, maxiter: int = 10, xtol: float = 1e-8
    ) -> None:
        super().__init__(gtab, _bounded(bounds, 3))
        self.bounds = _pair_of(self.signal_model, _NAMES[1:])
        self.maxiter = maxiter
        self.xtol = xtol
        given = {"maxiter": maxiter, "xtol": xtol}
        _warn_of_no_effect(given, {"maxiter": 10, "xtol": 1e-8}, _NOTHING_TO_SET, stacklevel=3)

    def _method(self) -> FitMethod:
        return methods.get("varpro")


class IvimFit:
    """The parameters of a fit, under DIPY's names.

    Parameters
    ----------
    model : IvimModelTRR or IvimModelVP
        The model.
    model_params : array_like, shape (..., 4)
        S0 (a.u.), f, D* and D (mm^2/s).
    status : array_like of int, shape (...), optional
        Why a voxel has no value, or what qualifies it, see `ivimkit.status`.
    result : FitResult, optional
        The whole result of ivimkit, with all its maps.

    Attributes
    ----------
    model, model_params, status, result
        As given. A part of a fit (``fit[i, j]``) has the status of that part and no result.
    """

    def __init__(
        self,
        model: Any,
        model_params: ArrayLike,
        *,
        status: ArrayLike | None = None,
        result: FitResult | None = None,
    ) -> None:
        self.model = model
        self.model_params = np.asarray(model_params, dtype=np.float64)
        self.status = None if status is None else np.asarray(status, dtype=np.int32)
        self.result = result

    def __getitem__(self, index: Any) -> IvimFit:
        params = self.model_params
        if params.ndim <= 1:
            # One voxel: DIPY indexes its parameters.
            if isinstance(index, tuple):
                raise IndexError("the fit is of one voxel; expected the number of a parameter")
            return IvimFit(self.model, params[index], status=self.status)
        where = index if isinstance(index, tuple) else (index,)
        if not any(part is Ellipsis for part in where):
            where = (*where, Ellipsis)
        status = None if self.status is None else self.status[where]
        return IvimFit(self.model, params[(*where, slice(None))], status=status)

    @property
    def S0_predicted(self) -> NDArray[np.float64]:
        """S0, a.u., shape (...)."""
        return self._parameter(0)

    @property
    def perfusion_fraction(self) -> NDArray[np.float64]:
        """f, shape (...)."""
        return self._parameter(1)

    @property
    def D_star(self) -> NDArray[np.float64]:
        """D*, the whole decay rate of the blood, in mm^2/s, shape (...)."""
        return self._parameter(2)

    @property
    def D(self) -> NDArray[np.float64]:
        """D in mm^2/s, shape (...)."""
        return self._parameter(3)

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape."""
        return self.model_params.shape[:-1]

    def predict(self, gtab: Gradients, *, S0: float = 1.0) -> NDArray[np.float64]:
        """Return the fitted signal.

        Parameters
        ----------
        gtab : Gradients
            b-values as ``.bvals``, in s/mm^2.
        S0 : float
            Has no effect, here as in DIPY. A value other than 1 causes a warning.

        Returns
        -------
        ndarray, shape (..., n_b)
            Signal, a.u.; NaN where a voxel has no fit.
        """
        return _predicted(self.model_params, gtab, S0)

    def _parameter(self, index: int) -> NDArray[np.float64]:
        return np.asarray(self.model_params[..., index])


def _bvals(gtab: Gradients) -> NDArray[np.float64]:
    if not hasattr(gtab, "bvals"):
        raise OptionError(
            f"gtab is of type {type(gtab).__name__}, without b-values; expected an object with "
            "them in .bvals, such as DIPY's GradientTable or types.SimpleNamespace(bvals=...)"
        )
    return np.asarray(gtab.bvals, dtype=np.float64)


def _require_b0(gtab: Gradients) -> None:
    """Raise DIPY's errors for a table without b = 0, and for one that treats others as b = 0."""
    threshold = float(getattr(gtab, "b0_threshold", 0.0))
    lowest = float(_bvals(gtab).min())
    if lowest > threshold:
        raise AcquisitionError(
            f"No measured signal at bvalue == 0. The lowest is {lowest:g}, and fit_method 'trr' "
            "expects one with b = 0, as in DIPY. Use fit_method='varpro' or ivimkit.fit, which "
            "extrapolate S0"
        )
    if threshold > 0.0:
        raise AcquisitionError(
            "The IVIM model requires a measurement at b==0. As of version 0.15, DIPY's "
            f"gradient_table has b0_threshold=50 by default, and this one has {threshold:g}; "
            "expected 0. Pass b0_threshold=0 to gradient_table"
        )


def _bounded(bounds: Any, fewest: int) -> SignalModel:
    """Return the model with bounds in DIPY's order, for all four parameters or without S0."""
    if bounds is None:
        return models.get("biexp")
    names = " or ".join(", ".join(_NAMES[4 - n :]) for n in range(fewest, 5))
    try:
        lower, upper = (np.asarray(side, dtype=np.float64) for side in bounds)
    except (TypeError, ValueError):
        raise OptionError(
            f"bounds are {bounds!r}; expected (lower, upper), each with {names}"
        ) from None
    n = lower.size
    if lower.shape != (n,) or upper.shape != (n,) or not fewest <= n <= 4:
        raise OptionError(
            f"bounds have {lower.size} lower and {upper.size} upper values; expected as many for "
            f"{names}"
        )
    given = dict(
        zip(_NAMES[4 - n :], zip(lower.tolist(), upper.tolist(), strict=True), strict=True)
    )
    return bounded_model({"S0": (0.0, np.inf), **given})


def _pair_of(model: SignalModel, names: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Return the bounds in DIPY's format."""
    return [model[name].lower for name in names], [model[name].upper for name in names]


def _said_of_bounds(model: SignalModel) -> str:
    listed = ", ".join(
        f"{p.symbol} {p.lower:g} to {p.upper:g}" for p in model.parameters if p.name != "S0"
    )
    # DIPY's words come first, so that a filter for its warning also catches this one.
    return (
        "Bounds for this fit have been set from experiments and literature survey: "
        f"{listed} (rates in mm^2/s), those of ivimkit; in DIPY, f ends at 0.2. To choose, pass "
        "bounds=(lower, upper); DIPY's are ivimkit.compat.dipy.BOUNDS"
    )


def _warn_of_no_effect(
    given: dict[str, Any], default: dict[str, Any], why: str, *, stacklevel: int
) -> None:
    """Warn of changed options that have no effect."""
    changed = [
        f"{name}={value!r}"
        for name, value in given.items()
        if not np.array_equal(np.asarray(value), np.asarray(default[name]))
    ]
    if changed:
        warnings.warn(
            f"{', '.join(changed)} {'has' if len(changed) == 1 else 'have'} no effect: {why}",
            IvimkitWarning,
            stacklevel=stacklevel,
        )


def _checked_mask(mask: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    array = np.asarray(mask)
    if array.shape != shape[:-1]:
        raise ShapeError(
            f"mask and data shape do not match: the mask has shape {array.shape}; expected "
            f"{shape[:-1]}, that of the data without its last axis"
        )
    return np.asarray(array > 0)


def _predicted(params: ArrayLike, gtab: Gradients, S0: float) -> NDArray[np.float64]:
    why = "the signal is that of the fitted S0. Leave it out"
    _warn_of_no_effect({"S0": S0}, {"S0": 1.0}, why, stacklevel=4)
    return ivim_prediction(params, gtab)


def _lines(
    signal: NDArray[Any], bvals: NDArray[np.float64], used: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intercept exp(ln S) and slope of the line through ln S of every voxel."""
    rows = signal.reshape(-1, signal.shape[-1])
    b = bvals[used]
    amplitude, rate = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for start in range(0, len(rows), _CHUNK):
        part = np.asarray(rows[start : start + _CHUNK][:, used], dtype=np.float64)
        valid = (part > 0.0) & np.isfinite(part)
        y = np.log(np.where(valid, part, 1.0))
        n = valid.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_b, mean_y = valid @ b / n, y.sum(axis=1) / n
            centred = np.where(valid, b - mean_b[:, None], 0.0)
            slope = -(centred * y).sum(axis=1) / (centred**2).sum(axis=1)
            height = np.exp(mean_y + slope * mean_b)
        # Two equal b-values would give 0 / 0, and rounding errors instead of 0.
        fitted = np.ptp(np.where(valid, b, mean_b[:, None]), axis=1) > 0.0
        stop = start + len(part)
        rate[start:stop] = np.where(fitted, slope, np.nan)
        amplitude[start:stop] = np.where(fitted, height, np.nan)
    return amplitude.reshape(signal.shape[:-1]), rate.reshape(signal.shape[:-1])
