"""Noise of magnitude images: drawn first, then applied by a deterministic function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.noise.noise_kinds import check_noise_kind

__all__ = ["NOISE_KINDS", "add_noise", "apply_noise", "check_noise", "check_seed", "draw_noise"]

NOISE_KINDS = ("gaussian", "rician")


def add_noise(
    signal: ArrayLike,
    *,
    sigma: float | None = None,
    snr: float | None = None,
    kind: str = "rician",
    seed: int = 0,
) -> NDArray[np.float64]:
    """Add noise to a noise-free signal.

    Parameters
    ----------
    signal : array_like, shape (..., n_b)
        Noise-free signal, a.u.
    sigma : float, optional
        Standard deviation of the noise in each of the two channels, in the unit of the signal.
    snr : float, optional
        Instead of `sigma`: the mean over voxels of their highest signal, divided by sigma.
        Voxels without signal do not count.
    kind : {"rician", "gaussian"}
        ``"rician"`` is the magnitude of a signal with noise in both channels, as scanners store
        it; ``"gaussian"`` has noise in one channel only and can be negative.
    seed : int
        The same seed gives the same noise.

    Returns
    -------
    ndarray, shape (..., n_b)
        Noisy signal, a.u.

    Raises
    ------
    OptionError
        If not exactly one of `sigma` and `snr` is given, or one cannot be used.

    References
    ----------
    Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618

    Examples
    --------
    >>> from ivimkit import simulate
    >>> noisy = simulate.add_noise([[1000.0, 500.0]], snr=50, seed=1)
    >>> bool((noisy == simulate.add_noise([[1000.0, 500.0]], sigma=20, seed=1)).all())
    True
    """
    array = np.asarray(signal, dtype=np.float64)
    deviation = _deviation(array, sigma, snr)
    return apply_noise(array, draw_noise(array.shape, seed), sigma=deviation, kind=kind)


def draw_noise(
    shape: Sequence[int], seed: int | Sequence[int], *, dtype: type[Any] = np.float64
) -> NDArray[Any]:
    """Draw standard normal numbers for both channels.

    Parameters
    ----------
    shape : sequence of int
        Shape of the signal.
    seed : int or sequence of int
        Not negative. A sequence makes independent streams, e.g. one per slice.
    dtype : type
        ``numpy.float64`` or ``numpy.float32``.

    Returns
    -------
    ndarray, shape (2, *shape)

    Raises
    ------
    OptionError
        If the seed is not made of whole numbers >= 0.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> simulate.draw_noise((3,), seed=0).shape
    (2, 3)
    """
    check_seed(seed)
    generator = np.random.default_rng(seed)
    return generator.standard_normal((2, *shape), dtype=dtype)


def apply_noise(
    signal: NDArray[Any], draws: NDArray[Any], *, sigma: float, kind: str = "rician"
) -> NDArray[Any]:
    """Apply drawn noise to a signal; nothing is random here.

    Parameters
    ----------
    signal : ndarray, shape (...)
        Noise-free signal, a.u.
    draws : ndarray, shape (2, ...)
        From `draw_noise`.
    sigma : float
        Standard deviation, in the unit of the signal.
    kind : {"rician", "gaussian"}
        See `add_noise`.

    Returns
    -------
    ndarray, shape (...)
        Noisy signal, a.u.

    Raises
    ------
    OptionError
        If the kind is unknown or sigma is not a number >= 0.
    ShapeError
        If the shapes of signal and draws do not match.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit import simulate
    >>> draws = np.array([[0.0], [1.0]])
    >>> simulate.apply_noise(np.array([3.0]), draws, sigma=4.0)
    array([5.])
    """
    check_noise(kind)
    if not (np.isfinite(sigma) and sigma >= 0):
        raise OptionError(f"sigma is {sigma}; expected a number >= 0 in the unit of the signal")
    if draws.shape != (2, *signal.shape):
        raise ShapeError(
            f"the noise has shape {draws.shape}; expected (2, ...) with the signal's "
            f"shape {signal.shape}. Draw it with draw_noise(signal.shape, seed)"
        )
    scale = draws.dtype.type(sigma)
    first = signal + scale * draws[0]
    if kind == "gaussian":
        return np.asarray(first)
    return np.asarray(np.sqrt(first**2 + (scale * draws[1]) ** 2))


def check_noise(kind: str) -> None:
    """Refuse unknown kinds of noise.

    Parameters
    ----------
    kind : str
        The kind of noise requested.

    Raises
    ------
    OptionError
        If it is not one of `NOISE_KINDS`.
    """
    check_noise_kind(kind, known=NOISE_KINDS)


def check_seed(seed: int | Sequence[int]) -> None:
    """Refuse what is not a seed.

    Parameters
    ----------
    seed : int or sequence of int
        The seed.

    Raises
    ------
    OptionError
        If it is not made of whole numbers >= 0.
    """
    entropy: Sequence[object] = seed if isinstance(seed, Sequence) else [seed]
    if not all(isinstance(part, (int, np.integer)) and part >= 0 for part in entropy):
        raise OptionError(f"the seed is {seed!r}; expected a whole number >= 0")


def _deviation(signal: NDArray[np.float64], sigma: float | None, snr: float | None) -> float:
    if (sigma is None) == (snr is None):
        raise OptionError(f"sigma is {sigma} and snr is {snr}; expected exactly one of them")
    if sigma is not None:
        return sigma
    assert snr is not None
    highest = signal.max(axis=-1) if signal.ndim else signal
    inside = highest[highest > 0]
    if not snr > 0 or inside.size == 0:
        raise OptionError(
            f"snr is {snr} for {inside.size} voxels with signal; expected a number > 0 and "
            "some signal. Use sigma instead"
        )
    return float(inside.mean() / snr)
