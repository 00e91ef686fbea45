"""Ringing: an image from a limited part of k-space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError

__all__ = ["Ringing"]

_MIN_ACQUIRED = 0.25
_MIN_PARTIAL_FOURIER = 0.55


@dataclass(frozen=True)
class Ringing:
    """Gibbs ringing: the image is the Fourier transform of a limited part of k-space.

    Without it, a voxel is the mean of the tissue in it. Noise is added to the image afterwards; it
    is not made smoother by the zeros.

    Parameters
    ----------
    acquired : float
        Share of the lines of the image, along both axes of a slice, that were acquired; the others
        are filled with zeros.
    partial_fourier : float
        Share of the acquired lines along the second axis (back to front), the phase encoding, that
        were really measured; the last ones are filled with zeros.

    Raises
    ------
    OptionError
        If a share is out of range.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> ringing = simulate.Artefacts(ringing=simulate.Ringing(acquired=0.75))
    >>> made = simulate.phantom(shape=(32, 24, 1), snr=None, artefacts=ringing)
    >>> made.dwi.shape
    (32, 24, 1)
    """

    acquired: float = 1.0
    partial_fourier: float = 1.0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("acquired", self.acquired, _MIN_ACQUIRED),
            ("partial_fourier", self.partial_fourier, _MIN_PARTIAL_FOURIER),
        ):
            if not least <= value <= 1.0:
                raise OptionError(f"{name} is {value!r}; expected a share from {least:g} to 1")

    def image(self, fine: NDArray[np.float32], parts: int) -> NDArray[np.float32]:
        """Return the image of a slice from its sample points.

        Parameters
        ----------
        fine : ndarray, shape (x * parts, y * parts)
            Signal at the sample points.
        parts : int
            Sample points per voxel edge.

        Returns
        -------
        ndarray, shape (x, y)
            Magnitude.
        """
        spectrum = np.fft.fft2(fine.astype(np.float64))
        for axis in (0, 1):
            spectrum = self._cut(spectrum, axis, parts)
        # The transform sums the sample points; a voxel is their mean.
        return np.asarray(np.abs(np.fft.ifft2(spectrum)) / parts**2, dtype=np.float32)

    def _cut(
        self, spectrum: NDArray[np.complex128], axis: int, parts: int
    ) -> NDArray[np.complex128]:
        """Keep the lines of the image along an axis, those that were acquired."""
        n_fine = spectrum.shape[axis]
        n = n_fine // parts
        line = np.fft.fftfreq(n, 1.0 / n).astype(int)
        kept = np.take(spectrum, line % n_fine, axis=axis)
        first = -(round(self.acquired * n) // 2)
        last = first + round(self.acquired * n)
        if axis == 1:
            last = first + round(self.partial_fourier * (last - first))
        # The first sample point is not the middle of the first voxel, but half of what the voxel
        # has more than a sample point before it.
        shift = np.exp(1j * np.pi * line * (parts - 1) / n_fine)
        factor = np.where((line >= first) & (line < last), shift, 0.0)
        return np.asarray(kept * (factor[:, None] if axis == 0 else factor[None, :]))
