"""Spectrum: the rates of a voxel and their amplitudes, its windows and its peaks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.engine import Task, run
from ivimkit.engine.task import Reader
from ivimkit.errors import OptionError
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.kernels.spectrum.plan import bins_of
from ivimkit.kernels.spectrum.windows import LEAST_PEAK
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.methods._spectrum_writing import with_spectrum
from ivimkit.scan.dwi import DWI
from ivimkit.status import FAILED

__all__ = ["Peak", "Range", "Spectrum", "amplitudes_of", "require_spectra", "spectrum_of"]


@dataclass(frozen=True)
class Peak:
    """A peak of a spectrum.

    Parameters
    ----------
    rate : float
        Logarithmic mean of its rates, mm^2/s.
    width : float
        Standard deviation of the logarithms of its rates.
    fraction : float
        Its share of the spectrum.
    low, high : float
        The rates of its first and its last bin, mm^2/s.
    """

    rate: float
    width: float
    fraction: float
    low: float
    high: float


@dataclass(frozen=True)
class Range:
    """A window of a spectrum: the rates of one compartment.

    Parameters
    ----------
    name : str
        The rate whose window it is, e.g. ``"D_star"``.
    symbol : str
        Its symbol in figures.
    low, high : float
        Its ends, mm^2/s.
    """

    name: str
    symbol: str
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The spectrum of decay rates of one signal.

    Parameters
    ----------
    rates : ndarray, shape (n_bins,)
        Rates of the bins, ascending, mm^2/s.
    amplitudes : ndarray, shape (n_bins,)
        Signal at b = 0 of each of them, >= 0, a.u.; NaN if the signal could not be fitted.
    windows : tuple of Range
        The windows, from the slowest to the fastest.

    Examples
    --------
    >>> import ivimkit as ik
    >>> b = [0, 10, 20, 40, 60, 100, 150, 200, 400, 600, 800]
    >>> signal = ik.simulate.signals("biexp", [100, 0.2, 0.03, 1e-3], b)
    >>> result = ik.fit(signal, b, method=ik.methods.NNLS(regularisation=0.05))
    >>> spectrum = result.spectrum(())
    >>> len(spectrum.rates), [one.name for one in spectrum.windows]
    (60, ['D', 'D_star'])
    >>> bool(abs(spectrum.signal([0])[0] - 100) < 1)
    True
    """

    rates: NDArray[np.float64]
    amplitudes: NDArray[np.float64]
    windows: tuple[Range, ...] = field(repr=False)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of S0 of each bin, shape (n_bins,); NaN if there is no signal."""
        total = float(self.amplitudes.sum())
        return self.amplitudes / total if total > 0.0 else np.full(self.rates.shape, np.nan)

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """The peaks, from the slowest to the fastest.

        A peak is a run of amplitudes above 0; where they fall and rise again, the lowest one is
        the last of the slower peak. Peaks of less than 1 % of the spectrum are left out.
        """
        shares, logs = self.shares, np.log(self.rates)
        found = []
        for run_ in _runs(shares):
            own = shares[run_]
            fraction = float(own.sum())
            if fraction < LEAST_PEAK:
                continue
            mean = float((own * logs[run_]).sum() / fraction)
            spread = float((own * (logs[run_] - mean) ** 2).sum() / fraction)
            low, high = self.rates[run_.start], self.rates[run_.stop - 1]
            found.append(
                Peak(math.exp(mean), math.sqrt(spread), fraction, float(low), float(high))
            )
        return tuple(found)

    def signal(self, bvals: ArrayLike) -> NDArray[np.float64]:
        """Return the signal of the spectrum.

        Parameters
        ----------
        bvals : array_like, shape (n_b,)
            b-values in s/mm^2.

        Returns
        -------
        ndarray, shape (n_b,)
            Signal, a.u.
        """
        b = np.asarray(bvals, dtype=np.float64)
        decays = np.exp(-np.multiply.outer(b, self.rates))
        return np.asarray(decays @ self.amplitudes)


def _runs(shares: NDArray[np.float64]) -> Iterator[slice]:
    """Yield the bins of each peak, see `ivimkit.kernels.spectrum.windows.count_peaks`."""
    first, before, falls = 0, 0.0, False
    for i, value in enumerate([*shares.tolist(), 0.0]):
        if not value > 0.0 or (falls and value > before):
            if before > 0.0:
                yield slice(first, i)
            first, falls = i, False
        elif value < before:
            falls = True
        elif before == 0.0:
            first = i
        before = value


def require_spectra(method: FitMethod) -> SpectralMethod:
    """Return the method, if it has spectra.

    Raises
    ------
    OptionError
        If it has none.
    """
    if not isinstance(method, SpectralMethod):
        raise OptionError(
            f"method {method.name} has no spectrum; expected a result of method nnls. Fit with "
            "method nnls"
        )
    return method


def amplitudes_of(
    reader: Reader,
    b: NDArray[np.float64],
    weight: NDArray[np.float64],
    model: SignalModel,
    method: SpectralMethod,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Return the amplitudes of the bins of all voxels of a reader.

    Parameters
    ----------
    reader : Reader
        Provides the signals.
    b, weight : ndarray, shape (n_b,)
        b-values in s/mm^2, and weights.
    model : SignalModel
        A sum of decays, whose rates have the windows.
    method : SpectralMethod
        With its weight as a number.
    threads : int, optional
        Number of threads; all cores by default.

    Returns
    -------
    ndarray, shape (n_voxels, n_bins)
        a.u.; NaN in voxels that could not be fitted.
    """
    n_bins = method.bins_of(model, b[weight > 0.0]).rates.size
    task = Task(model, with_spectrum(method, n_bins), weight)
    values, status, _ = run(reader, b[np.newaxis], [task], threads=threads, device="cpu")[0]
    found = values[:, -n_bins:]
    found[(status & int(FAILED)) != 0] = np.nan
    return found


def spectrum_of(
    signal: ArrayLike,
    b: ArrayLike,
    weight: ArrayLike,
    model: SignalModel,
    method: SpectralMethod,
    *,
    amplitudes: NDArray[np.floating] | None = None,
) -> Spectrum:
    """Return the spectrum of one signal.

    Parameters
    ----------
    signal : array_like, shape (n_b,)
        Signal, a.u.
    b, weight : array_like, shape (n_b,)
        b-values in s/mm^2, and weights.
    model : SignalModel
        A sum of decays, whose rates have the windows.
    method : SpectralMethod
        With its weight as a number.
    amplitudes : ndarray, shape (n_bins,), optional
        Those of the bins, where they are known; `signal` is not used then.
    """
    bvals, weights = np.asarray(b, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    used = bvals[weights > 0.0]
    windows = method.windows_of(model, used)
    if amplitudes is None:
        alone = DWI(np.asarray(signal, dtype=np.float64)[np.newaxis], bvals, average="none")
        amplitudes = amplitudes_of(alone.voxels(), bvals, weights, model, method, threads=1)[0]
    ranges = tuple(
        Range(model.names[one.rate], model.parameters[one.rate].symbol, one.low, one.high)
        for one in windows
    )
    rates = bins_of(windows, method.bins).rates
    return Spectrum(rates, np.asarray(amplitudes, dtype=np.float64), ranges)
