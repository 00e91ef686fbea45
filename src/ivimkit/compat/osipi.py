"""Algorithms in the format of the OSIPI TF2.4 IVIM-MRI code collection, fitted by ivimkit.

Same constructor, attributes and result keys as the wrappers in its ``src/standardized``; the
collection itself is not needed.
"""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit import methods
from ivimkit.any_scan import fit
from ivimkit.compat.body_parts import BODY_PARTS, body_part_of
from ivimkit.compat.bounds import bounded_model, check_rate
from ivimkit.errors import AcquisitionError, IvimkitWarning, OptionError, ShapeError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import DWI

__all__ = [
    "BOUNDS",
    "INITIAL_GUESS",
    "THRESHOLDS",
    "OsipiSegmented",
    "OsipiTRR",
    "OsipiVarPro",
]

BOUNDS: Mapping[str, tuple[float, float]] = {
    "S0": (0.7, 1.3),
    "f": (0.0, 1.0),
    "Dp": (0.005, 0.2),
    "D": (0.0, 0.005),
}
"""The collection's default bounds; S0 in units of the signal at the lowest b."""

INITIAL_GUESS: Mapping[str, float] = BODY_PARTS["generic"]
"""The collection's default initial guess."""

THRESHOLDS = (200.0,)
"""The collection's default threshold, in s/mm^2."""

# With a body part the collection's bounds of S0 are wider; all others are the same.
_BODY_PART_BOUNDS = {**BOUNDS, "S0": (0.5, 1.5)}
_KEYS = ("S0", "f", "Dp", "D")
_OURS = {"S0": "S0", "f": "f", "Dp": "D_star", "D": "D"}
# S0 is about 1, because signals are divided by the value at the lowest b-value.
_HIGHEST_S0 = 10.0


# Not ABC: its slots forbid the assignment to __class__ that the collection uses.
class _Algorithm(metaclass=ABCMeta):
    """Base class of the algorithms: the collection's interface around one method of ivimkit."""

    id_author = "The ivimkit developers"
    id_algorithm_type: ClassVar[str]
    id_ref: ClassVar[str]
    id_return_parameters = "f, D*, D"
    id_units = "seconds per milli metre squared"

    required_bvalues = 4
    required_thresholds: ClassVar[list[int]]
    required_bounds = False
    required_bounds_optional = True
    required_initial_guess = False
    required_initial_guess_optional = True
    accepted_dimensions = 1

    supported_bounds = True
    supported_initial_guess: ClassVar[bool]
    supported_thresholds: ClassVar[bool]
    supported_dimensions = 1
    supported_priors = False

    deep_learning = False
    supervised = False
    stochastic = False
    result_keys: ClassVar[list[str]] = ["f", "Dp", "D"]

    def __init__(
        self,
        bvalues: ArrayLike | None = None,
        thresholds: ArrayLike | None = None,
        bounds: Mapping[str, Any] | str | None = None,
        initial_guess: Mapping[str, float] | str | None = None,
        *,
        body_part: str | None = None,
    ) -> None:
        self.bvalues = None if bvalues is None else Acquisition(bvalues, tolerance=0.0).bvals
        self.thresholds = None if thresholds is None else _checked_thresholds(thresholds)
        # A body part may also be given instead of the bounds or the guess, and then sets both.
        named = [name for name in (body_part, initial_guess, bounds) if isinstance(name, str)]
        part = body_part_of(named[0]) if named else None
        self.body_part = part
        self.bounds = _checked_bounds(bounds, part)
        self.initial_guess = _checked_guess(initial_guess, part)
        self.forced_default_bounds = bounds is None or isinstance(bounds, str)
        self.forced_default_initial_guess = not isinstance(initial_guess, Mapping)
        # The collection keeps both, because other algorithms convert the former to another format.
        self.osipi_bounds = self.bounds
        self.osipi_initial_guess = self.initial_guess
        self.use_bounds = dict.fromkeys(_KEYS, True)
        self.use_initial_guess = {
            key: self.supported_initial_guess and key == "Dp" for key in _KEYS
        }
        self._check_number_of_thresholds()
        self._method()

    def ivim_fit(self, signals: ArrayLike, bvalues: ArrayLike | None = None) -> dict[str, float]:
        """Fit one voxel.

        Parameters
        ----------
        signals : array_like, shape (n_b,)
            Signal, a.u.
        bvalues : array_like, shape (n_b,), optional
            b-values in s/mm^2; those of the constructor by default.

        Returns
        -------
        dict of str to float
            ``f``, ``Dp`` (D*) and ``D``, rates in mm^2/s; 0 if the voxel cannot be fitted, as in
            the collection.

        Raises
        ------
        ShapeError
            If there is more than one voxel, or signals and b-values do not match.
        AcquisitionError
            If there are no b-values, or they are in another unit or too few.
        """
        values = np.asarray(signals)
        if values.ndim != 1:
            raise ShapeError(
                f"the signals have shape {values.shape}; expected one voxel, (n_b,). Use "
                "ivim_fit_full_volume"
            )
        maps = self._maps(values, bvalues, threads=1)
        return {key: float(found) for key, found in maps.items()}

    def ivim_fit_full_volume(
        self, signals: ArrayLike, bvalues: ArrayLike | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Fit all voxels at once.

        Parameters
        ----------
        signals : array_like, shape (..., n_b)
            Signal, a.u.
        bvalues : array_like, shape (n_b,), optional
            b-values in s/mm^2; those of the constructor by default.

        Returns
        -------
        dict of str to ndarray, shape (...)
            ``f``, ``Dp`` (D*) and ``D``, rates in mm^2/s; 0 in voxels that cannot be fitted,
            such as those with NaN: the collection compares maps, and NaN is never equal to NaN.
            The status of `ivimkit.fit` says why a voxel has no value.

        Raises
        ------
        ShapeError
            If signals and b-values do not match.
        AcquisitionError
            If there are no b-values, or they are in another unit or too few.
        """
        return self._maps(np.asarray(signals), bvalues, threads=None)

    def osipi_fit(
        self, data: ArrayLike, bvalues: ArrayLike | None = None, njobs: int = -1
    ) -> dict[str, NDArray[np.float64]]:
        """Fit all voxels: the collection's entry point, without its loop over voxels.

        Parameters
        ----------
        data, bvalues
            As for `ivim_fit_full_volume`.
        njobs : int
            Number of threads; below 1 all cores. The result does not depend on it.

        Returns
        -------
        dict of str to ndarray, shape (...)
            As `ivim_fit_full_volume` returns it.
        """
        return self._maps(np.asarray(data), bvalues, threads=njobs if njobs > 0 else None)

    def osipi_fit_full_volume(
        self, data: ArrayLike, bvalues: ArrayLike | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Fit all voxels, as `ivim_fit_full_volume` does; an error is raised, not swallowed."""
        return self.ivim_fit_full_volume(data, bvalues)

    def cite(self) -> str:
        """Return the papers behind the algorithm, one per line; ``id_ref`` is the first of them.

        Returns
        -------
        str
        """
        return "\n".join(self._method().references)

    def _maps(
        self, signals: NDArray[Any], bvalues: ArrayLike | None, threads: int | None
    ) -> dict[str, NDArray[np.float64]]:
        b = self.bvalues if bvalues is None else bvalues
        if b is None:
            raise AcquisitionError(
                "there are no b-values; expected them in the constructor or with the signals"
            )
        acquisition = Acquisition(b, tolerance=0.0)
        # Through DWI first: it reports what is wrong with shapes and types.
        dwi = DWI(signals, acquisition, average="none")
        lowest = acquisition.bvals == acquisition.bvals.min()
        level = np.asarray(dwi.signal[..., lowest].mean(axis=-1, dtype=np.float64))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = dwi.signal / np.where(level > 0.0, level, np.nan)[..., None]
        model = _bounded(self.bounds).with_start(D_star=self.initial_guess["Dp"])
        dwi = DWI(share, acquisition, average="none")
        result = fit(dwi, model=model, method=self._method(), threads=threads)
        maps = {key: result.maps[_OURS[key]] for key in self.result_keys}
        return {key: np.where(np.isnan(values), 0.0, values) for key, values in maps.items()}

    def _check_number_of_thresholds(self) -> None:
        fewest, most = self.required_thresholds
        if self.thresholds is None:
            return
        n = len(self.thresholds)
        if most == 0:
            # The collection passes its default on to all algorithms, needed or not.
            if self.thresholds == list(THRESHOLDS):
                return
            warnings.warn(
                f"thresholds {self.thresholds} have no effect: this algorithm uses all b-values "
                "at once. Leave them out, or use OsipiSegmented",
                IvimkitWarning,
                stacklevel=3,
            )
        elif not fewest <= n <= most:
            raise OptionError(f"there are {n} thresholds; expected {fewest} to {most}")

    @abstractmethod
    def _method(self) -> FitMethod:
        """Return the method of the fit, with the thresholds that were given."""


class OsipiVarPro(_Algorithm):
    """Variable projection: the global least-squares optimum inside the bounds.

    The initial guess is checked but not used: the result does not depend on where a search starts.
    The attribute ``use_initial_guess`` says so to the collection.

    Parameters
    ----------
    bvalues : array_like, shape (n_b,), optional
        b-values in s/mm^2; may also come with the signals.
    thresholds : array_like, optional
        Have no effect; other values than the collection's default, `THRESHOLDS`, cause a warning.
    bounds : mapping or str, optional
        Lower and upper bound of ``S0``, ``f``, ``Dp`` (D*, mm^2/s) and ``D`` (mm^2/s). The
        defaults are the collection's, see `BOUNDS`, or those of the body part if one is given. S0
        is in units of the mean signal at the lowest b-value, by which signals are divided.
    initial_guess : mapping or str, optional
        The same four as numbers, see `INITIAL_GUESS`; or the name of one of the collection's body
        parts: brain, kidney, liver, muscle, breast_benign, breast_malignant, pancreas_benign,
        pancreas_malignant, generic. It then also sets the bounds, unless they are given.
    body_part : str, optional
        Its name, with the same effect as when given for the initial guess.

    Raises
    ------
    OptionError
        For unknown keys, impossible values, or rates in another unit than mm^2/s.
    AcquisitionError
        For b-values in another unit than s/mm^2.

    Warns
    -----
    IvimkitWarning
        If there are thresholds other than the collection's default.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.compat.osipi import OsipiVarPro
    >>> signals = ik.simulate.signals("biexp", [1, 0.2, 0.03, 1e-3], ik.simulate.B13)
    >>> fitted = OsipiVarPro(ik.simulate.B13, bounds={"f": [0, 0.5]}).ivim_fit(signals)
    >>> {key: round(value, 4) for key, value in fitted.items()}
    {'f': 0.2, 'Dp': 0.03, 'D': 0.001}
    """

    id_algorithm_type: ClassVar[str] = "Bi-exponential fit, variable projection"
    id_ref: ClassVar[str] = "https://doi.org/10.1088/0266-5611/19/2/201"
    required_thresholds: ClassVar[list[int]] = [0, 0]
    supported_initial_guess: ClassVar[bool] = False
    supported_thresholds: ClassVar[bool] = False

    def _method(self) -> FitMethod:
        return methods.get("varpro")


class OsipiTRR(_Algorithm):
    """Two straight lines, then bounded least squares from there.

    D* starts at the initial guess; D, f and S0 start at the lines.

    Parameters
    ----------
    bvalues, bounds, body_part
        As for `OsipiVarPro`.
    thresholds : array_like, optional
        Two b-values in s/mm^2, or one for both: the highest of the line for S0, and the lowest of
        the line for D; 200 and 400 by default, both inclusive.
    initial_guess : mapping or str, optional
        ``S0``, ``f``, ``Dp`` (D*, mm^2/s) and ``D`` (mm^2/s), or a body part; a D* outside its
        bounds is moved to the bound.

    Raises
    ------
    OptionError, AcquisitionError
        As for `OsipiVarPro`, and for thresholds out of order.

    Examples
    --------
    >>> from ivimkit.compat.osipi import OsipiTRR
    >>> OsipiTRR(thresholds=[200, 300]).use_initial_guess
    {'S0': False, 'f': False, 'Dp': True, 'D': False}
    """

    id_algorithm_type: ClassVar[str] = "Bi-exponential fit, linear start"
    id_ref: ClassVar[str] = "https://doi.org/10.3389/fninf.2014.00008"
    required_thresholds: ClassVar[list[int]] = [0, 2]
    supported_initial_guess: ClassVar[bool] = True
    supported_thresholds: ClassVar[bool] = True

    def _method(self) -> FitMethod:
        if self.thresholds is None:
            return methods.get("trr")
        low, high = self.thresholds[0], self.thresholds[-1]
        if low > high:
            raise OptionError(
                f"thresholds are {self.thresholds}; expected the one for S0 first, the lower one"
            )
        return methods.get("trr", split_b_S0=low, split_b_D=high)


class OsipiSegmented(_Algorithm):
    """Segmented fit: D from high b-values, f from the intercept, then D*.

    There is no iterative search: the initial guess is checked but not used.

    Parameters
    ----------
    bvalues, bounds, initial_guess, body_part
        As for `OsipiVarPro`.
    thresholds : array_like, optional
        The lowest b-value of the line for D, in s/mm^2, inclusive; 200 by default.

    Raises
    ------
    OptionError, AcquisitionError
        As for `OsipiVarPro`.

    Examples
    --------
    >>> from ivimkit.compat.osipi import OsipiSegmented
    >>> OsipiSegmented(thresholds=150).thresholds
    [150.0]
    """

    id_algorithm_type: ClassVar[str] = "Segmented bi-exponential fit"
    id_ref: ClassVar[str] = "https://doi.org/10.1148/radiol.2493080080"
    required_thresholds: ClassVar[list[int]] = [0, 1]
    supported_initial_guess: ClassVar[bool] = False
    supported_thresholds: ClassVar[bool] = True

    def _method(self) -> FitMethod:
        if self.thresholds is None:
            return methods.get("segmented")
        return methods.get("segmented", b_split=self.thresholds[0])


def _checked_thresholds(thresholds: ArrayLike) -> list[float]:
    try:
        values = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    except (TypeError, ValueError):
        raise OptionError(f"thresholds are {thresholds!r}; expected b-values in s/mm^2") from None
    if values.ndim != 1 or values.size == 0:
        raise OptionError(f"thresholds are {thresholds!r}; expected a list of b-values in s/mm^2")
    return [float(value) for value in values]


def _checked_bounds(
    bounds: Mapping[str, Any] | str | None, part: str | None
) -> dict[str, tuple[float, float]]:
    given = _checked_keys(bounds, "bounds", "[lower, upper]")
    used = dict(BOUNDS if part is None else _BODY_PART_BOUNDS)
    for key, pair in given.items():
        try:
            lower, upper = (float(value) for value in pair)
        except (TypeError, ValueError):
            raise OptionError(
                f"bounds of {key} are {pair!r}; expected two numbers, [lower, upper]"
            ) from None
        used[key] = (lower, upper)
    if used["S0"][0] > _HIGHEST_S0 or used["S0"][1] < 1.0 / _HIGHEST_S0:
        raise OptionError(
            f"bounds of S0 are {list(used['S0'])}; expected numbers around 1, because signals are "
            f"divided by the one at the lowest b-value: {list(BOUNDS['S0'])} is the default"
        )
    _bounded(used)
    return used


def _bounded(bounds: Mapping[str, tuple[float, float]]) -> SignalModel:
    return bounded_model({_OURS[key]: bounds[key] for key in _KEYS}, {"D_star": "Dp"})


def _checked_guess(guess: Mapping[str, float] | str | None, part: str | None) -> dict[str, float]:
    given = _checked_keys(guess, "initial_guess", "a number")
    used = dict(INITIAL_GUESS if part is None else BODY_PARTS[part])
    for key, value in given.items():
        try:
            used[key] = float(value)
        except (TypeError, ValueError):
            used[key] = float("nan")
        if not (np.isfinite(used[key]) and used[key] >= 0.0):
            raise OptionError(f"initial_guess of {key} is {value!r}; expected a number >= 0")
        if key in ("Dp", "D"):
            check_rate(_OURS[key], used[key], f"initial_guess of {key}")
    return used


def _checked_keys(given: Any, name: str, what: str) -> Mapping[str, Any]:
    if given is None or isinstance(given, str):
        return {}
    if not isinstance(given, Mapping):
        raise OptionError(
            f"{name} is of type {type(given).__name__}; expected a mapping of {', '.join(_KEYS)} "
            f"to {what}. Older versions of the collection had lists in the order D, f, Dp, S0"
        )
    unknown = sorted(set(given) - set(_KEYS))
    if unknown:
        raise OptionError(
            f"{name} has keys {', '.join(map(repr, unknown))}; expected some of {', '.join(_KEYS)}"
        )
    return given
