"""NoiseEstimate: the noise of one volume, with its source and assumptions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.rounding import rounded
from ivimkit.scan.dwi import DWI

__all__ = ["ORIGINS", "NoiseEstimate", "snr_map"]


@dataclass(frozen=True, eq=False)
class NoiseEstimate:
    """The standard deviation of the noise of one volume.

    It refers to each of the two channels: it is that of the magnitude where the signal is well
    above it, and the sigma of the Rician distribution everywhere.

    Parameters
    ----------
    sigma : float
        One value for all voxels, a.u.
    map : ndarray, shape (...), or None
        Value of each voxel, a.u., NaN where it is not known; None if there is no such map.
    degrees : float
        Degrees of freedom of `sigma`, with voxels taken as independent; infinite if it was given.
    degrees_map : ndarray, shape (...), or None
        Degrees of freedom of each value of `map`, 0 where there is none.
    source : {"repeats", "residuals", "background", "images", "mppca", "lowest", "given"}
        Its source.
    assumes : str
        Its assumptions, in one or more sentences.
    n_voxels : int
        Number of voxels behind `sigma`; 0 if it was given.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), bvals=[0, 0, 0, 50, 400, 800], snr=50)
    >>> noise = ik.noise.estimate(made.dwi)
    >>> noise.source, bool(abs(noise.sigma - made.sigma) < 3 * noise.standard_error)
    ('repeats', True)
    """

    sigma: float
    map: NDArray[np.float64] | None = field(repr=False)
    degrees: float
    degrees_map: NDArray[np.float64] | None = field(repr=False)
    source: str
    assumes: str
    n_voxels: int

    def __str__(self) -> str:
        return f"sigma {rounded(self.sigma)} a.u. {ORIGINS[self.source]}"

    @property
    def standard_error(self) -> float:
        """Standard error of `sigma`, a.u.; 0 if it was given.

        Correlated noise of neighbours, as after interpolation or filtering, makes it larger than
        this.
        """
        return self.sigma / math.sqrt(2.0 * self.degrees)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the noise to be used in all voxels, or in each if it was given as a map.

        A measured map has too few degrees of freedom per voxel: the pooled value is used instead.
        """
        local = self.map is not None and self.source == "given"
        return np.array(self.map if local else self.sigma, dtype=dtype)

    def check(self, dwi: DWI) -> None:
        """Raise unless the map belongs to a scan.

        Parameters
        ----------
        dwi : DWI
            The scan.

        Raises
        ------
        ShapeError
            If the map has another shape than the voxels of the scan.
        """
        if self.map is not None and self.map.shape != dwi.shape:
            raise ShapeError(
                f"the noise map has shape {self.map.shape}; expected {dwi.shape}, that of the "
                "scan without its last axis. Resample it to the scan, or give one number"
            )

    def snr(self, signal: ArrayLike, *, local: bool | None = None) -> NDArray[np.float64]:
        """Divide a signal by the noise.

        Parameters
        ----------
        signal : array_like, shape (...) or (..., n)
            Signal of one volume, or of several on the last axis, a.u. Any shape if `sigma` is
            used.
        local : bool, optional
            Whether to use the value of each voxel, `map`, instead of `sigma`. By default only a
            given map is used; others have few degrees of freedom and would add their own scatter.

        Returns
        -------
        ndarray, shape of the signal
            NaN where the noise is not known.

        Raises
        ------
        OptionError
            If there is no map and `local` asks for it.
        ShapeError
            If the shapes of signal and map do not match.

        Examples
        --------
        >>> import ivimkit as ik
        >>> ik.noise.given(20).snr([1000, 500]).tolist()
        [50.0, 25.0]
        """
        values = np.asarray(signal, dtype=np.float64)
        use_map = self.source == "given" and self.map is not None if local is None else local
        if not use_map:
            return np.asarray(values / self.sigma)
        if self.map is None:
            raise OptionError(
                f"the noise of each voxel was requested and the source, {self.source}, gives one "
                "number only; expected a map. Use local=False"
            )
        if values.shape == self.map.shape:
            return np.asarray(values / self.map)
        if values.shape[:-1] == self.map.shape:
            return np.asarray(values / self.map[..., None])
        raise ShapeError(
            f"the signal has shape {values.shape} and the noise map {self.map.shape}; expected "
            "the shape of the map, with or without one more axis. Use local=False for one "
            "sigma for all"
        )


ORIGINS = {
    "repeats": "from repeated volumes",
    "residuals": "from the residuals of a fit",
    "background": "from the background",
    "images": "from differences between neighbouring voxels at high b",
    "mppca": "from principal components of patches (MPPCA)",
    "lowest": "from the lowest signals, which allow no more",
    "given": "as given",
}
"""Sources of the noise, in words."""


def snr_map(dwi: DWI, noise: NoiseEstimate, *, local: bool | None = None) -> NDArray[np.float64]:
    """Map the signal-to-noise ratio of one volume at the lowest b-value.

    Parameters
    ----------
    dwi : DWI
        The scan.
    noise : NoiseEstimate
        Its noise.
    local : bool, optional
        See `NoiseEstimate.snr`.

    Returns
    -------
    ndarray, shape (...)
        Mean of the volumes of the lowest b-value, divided by the noise of one of them; NaN
        outside the mask and where the noise is not known.

    Raises
    ------
    ShapeError
        If the noise map does not belong to the scan.
    OptionError
        If there is no map and `local` asks for it.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), snr=50)
    >>> ratio = ik.noise.snr_map(made.dwi, ik.noise.given(made.sigma))
    >>> bool(30 < ratio[made.region("liver")].mean() < 70)
    True
    """
    noise.check(dwi)
    lowest = dwi.with_average("arithmetic").mean_image(dwi.acquisition.shells[0].b)
    return np.where(dwi.mask, noise.snr(lowest, local=local), np.nan)
