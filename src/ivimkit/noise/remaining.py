"""RemainingNoise: the error that denoising left in the signals, and how it was measured.

A denoiser f makes f(y) of the signals y = s + e, with independent normal noise e of the variance
sigma^2. Its error f(y) - s is e - r with what it removed, r = y - f(y), so that in each voxel

    E[(f - s)(f - s)'] = E[r r'] - E[r e'] - E[e r'] + sigma^2 I.

Stein's lemma gives E[e_i r_j] = sigma^2 E[dr_j / dy_i] = sigma^2 (delta_ij - E[df_j / dy_i]), so

    E[(f - s)(f - s)'] = E[r r'] - sigma^2 I + sigma^2 (J + J'),   J_ij = E[df_j / dy_i].

The right side contains nothing unknown: J is measured by denoising once more with a random step
added to each value (Ramani et al. 2008). The result contains both errors of a denoiser: noise that
is left and signal that was removed with the noise. As it is a mean over voxels, it is taken over
voxels with similar signals. (J is that of a voxel on itself, volume by volume.) Magnitudes near
the noise vary less than by sigma^2: there the variance of a magnitude with this mean is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import NoiseError
from ivimkit.noise.repeats import variance_shares

__all__ = ["PROBE_STEP", "RemainingNoise"]

PROBE_STEP = 0.2
"""Step of the second pass, in units of the noise: small, but well above rounding."""

MAX_CLASSES = 8
"""Largest number of classes of similar voxels."""

MIN_VOXELS_PER_CLASS = 500
"""Voxels from which on there is one more class."""

_N_AXES = 3
# An axis is one of signals if they vary along it by this many times the variance of the error.
_MIN_SIGNAL_SHARE = 4.0
# Voxels with less signal than this at the first volume, in units of the noise, are air.
_MIN_SNR = 3.0
# The covariance of a class is drawn to that of all voxels as if this many of them belonged to it.
_PRIOR_VOXELS = 100.0
_SEED = 20_161
_DIGITS = 5


@dataclass(frozen=True, eq=False)
class RemainingNoise:
    """The error that denoising left in the signals: a covariance of the volumes.

    Parameters
    ----------
    sigma : float
        The noise of one volume before, a.u.
    least : float
        Least share of its variance that is left: what the mean of a patch has.
    centre : ndarray, shape (n_volumes,)
        Mean logarithm of the signals.
    axes : ndarray, shape (n_axes, n_volumes)
        Principal components of the logarithms, divided by their standard deviations.
    classes : ndarray, shape (n_classes, n_axes)
        Centres of classes of similar voxels along them.
    covariances : ndarray, shape (n_classes, n_volumes, n_volumes)
        Covariance of the error in each class, in units of sigma^2.

    Examples
    --------
    >>> import numpy as np
    >>> from ivimkit.noise.remaining import RemainingNoise
    >>> rng = np.random.default_rng(1)
    >>> e, probe = rng.normal(size=(2, 900, 4))
    >>> kept = np.diag([1.0, 0.5, 0.5, 0.0])  # a denoiser that is known
    >>> found = RemainingNoise.measured(e + 9, e @ kept + 9, probe, probe @ kept, sigma=1, least=0)
    >>> np.abs(found.covariances[0] - kept @ kept).max().round(1)
    np.float64(0.1)
    """

    sigma: float
    least: float
    centre: NDArray[np.float64] = field(repr=False)
    axes: NDArray[np.float64] = field(repr=False)
    classes: NDArray[np.float64] = field(repr=False)
    covariances: NDArray[np.float64] = field(repr=False)

    @classmethod
    def measured(
        cls,
        before: NDArray[np.float64],
        after: NDArray[np.float64],
        probe: NDArray[np.float64],
        response: NDArray[np.float64],
        *,
        sigma: float,
        least: float,
    ) -> Self:
        """Measure it, see the derivation above.

        Parameters
        ----------
        before, after : ndarray, shape (n_voxels, n_volumes)
            Signals before and after denoising, a.u.
        probe : ndarray, shape (n_voxels, n_volumes)
            Random numbers with the mean 0 and the variance 1.
        response : ndarray, shape (n_voxels, n_volumes)
            Change of `after` for a small step along `probe`, divided by the step.
        sigma : float
            The noise before, a.u.
        least : float
            Least share of its variance that is left.

        Raises
        ------
        NoiseError
            If there are no signals above the noise.
        """
        tissue = after[:, 0] > _MIN_SNR * sigma
        if np.count_nonzero(tissue) <= after.shape[1]:
            raise NoiseError(
                "hardly any voxel has a signal of three times its noise; expected tissue. Check "
                "scan and mask"
            )
        before, after, probe, response = (x[tissue] for x in (before, after, probe, response))
        removed = (before - after) / sigma
        variance = np.interp(after / sigma, *variance_shares(1))
        overall = _covariance(removed, probe, response, variance)
        logs = np.log(np.maximum(after, sigma))
        centre = logs.mean(axis=0)
        axes = _axes_of_signal(logs - centre, overall * np.outer(*[sigma / np.exp(centre)] * 2))
        places = (logs - centre) @ axes.T
        number, classes = _similar(places)
        found = []
        for one in range(len(classes)):
            own = number == one
            share = np.count_nonzero(own) / (np.count_nonzero(own) + _PRIOR_VOXELS)
            parts = (x[own] for x in (removed, probe, response, variance))
            mine = _covariance(*parts) if own.any() else overall
            found.append(share * mine + (1.0 - share) * overall)
        return cls(sigma, least, centre, axes, classes, np.array(found))

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return len(self.centre)

    def of_volumes(self, volumes: Sequence[int]) -> Self:
        """Return the error of some of the volumes, in this order."""
        index = list(volumes)
        # Coordinates on the axes are found from these volumes alone, by least squares.
        axes = np.linalg.pinv(np.linalg.pinv(self.axes)[index]) if len(index) else self.axes
        return type(self)(
            self.sigma,
            self.least,
            self.centre[index],
            axes,
            self.classes,
            self.covariances[:, index][:, :, index],
        )

    def class_of(self, signals: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the class of each voxel by its signals, shape (n_voxels, n_volumes)."""
        with np.errstate(invalid="ignore"):
            logs = np.log(np.maximum(np.where(np.isfinite(signals), signals, 0.0), self.sigma))
        places = (logs - self.centre) @ self.axes.T
        distance = ((places[:, None, :] - self.classes) ** 2).sum(axis=-1)
        return np.asarray(distance.argmin(axis=1))

    def effective_sigma(
        self,
        signals: NDArray[np.float64],
        functionals: NDArray[np.float64],
        means: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the independent noise that would give a linear estimate the same error.

        Parameters
        ----------
        signals : ndarray, shape (n_voxels, n_volumes)
            The denoised signals, a.u.
        functionals : ndarray, shape (n_voxels, n_values)
            The estimate: what each fitted value is multiplied by.
        means : ndarray, shape (n_values, n_volumes)
            The fitted values: means of volumes.
        weights : ndarray, shape (n_values,)
            Their weights: a value has the variance sigma^2 / weight, > 0.

        Returns
        -------
        ndarray, shape (n_voxels,)
            sigma of one volume, a.u.
        """
        number = self.class_of(signals)
        found = np.empty(len(signals))
        independent = (functionals**2 / weights).sum(axis=1)
        for one in range(len(self.classes)):
            own = number == one
            if own.any():
                matrix = means @ self.covariances[one] @ means.T
                g = functionals[own]
                found[own] = np.einsum("vi,ij,vj->v", g, matrix, g)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(independent > 0.0, found / independent, 1.0)
        return self.sigma * np.sqrt(np.maximum(share, self.least))

    @property
    def share(self) -> float:
        """Share of the variance of the noise that is left, mean over volumes and classes."""
        return float(np.trace(self.covariances, axis1=1, axis2=2).mean() / self.n_volumes)

    def to_numbers(self) -> dict[str, Any]:
        """Return it ready for JSON, with five digits."""
        lower = np.tril_indices(self.n_volumes)
        return {
            "sigma": _rounded(self.sigma),
            "least": _rounded(self.least),
            "centre": _rounded(self.centre),
            "axes": _rounded(self.axes),
            "classes": _rounded(self.classes),
            "covariances": _rounded(self.covariances[:, lower[0], lower[1]]),
        }

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, Any]) -> Self:
        """Return what `to_numbers` has written.

        Raises
        ------
        NoiseError
            If it is damaged.
        """
        try:
            centre, axes, classes, lower = (
                np.array(numbers[name], dtype=np.float64)
                for name in ("centre", "axes", "classes", "covariances")
            )
            n = len(centre)
            covariances = np.zeros((len(lower), n, n))
            rows, columns = np.tril_indices(n)
            covariances[:, rows, columns] = covariances[:, columns, rows] = lower
            sigma, least = float(numbers["sigma"]), float(numbers["least"])
            fine = axes.shape[1:] == (n,) and classes.shape == (len(lower), len(axes))
            if not (fine and sigma > 0.0 and all(np.isfinite(x).all() for x in (axes, lower))):
                raise ValueError
        except (KeyError, TypeError, ValueError, IndexError):
            raise NoiseError(
                "the history of the scan has damaged numbers of what denoising left of the noise; "
                "expected what ivimkit preprocess wrote. Preprocess the scan again"
            ) from None
        return cls(sigma, least, centre, axes, classes, covariances)


def _covariance(
    removed: NDArray[np.float64],
    probe: NDArray[np.float64],
    response: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the covariance of the error in units of sigma^2, see the derivation above."""
    n = len(removed)
    slope = (variance * probe).T @ response / n
    noise = np.diag(variance.mean(axis=0))
    found: NDArray[np.float64] = removed.T @ removed / n - noise + slope + slope.T
    return found


def _axes_of_signal(
    deviations: NDArray[np.float64], noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return principal components along which signals differ, divided by their deviations.

    Classes by what is noise would not have the errors that the derivation is about: their noise
    has been chosen.
    """
    _, values, vectors = np.linalg.svd(deviations, full_matrices=False)
    variance = values**2 / len(deviations)
    of_noise = np.einsum("ki,ij,kj->k", vectors, noise, vectors)
    is_signal = (variance > _MIN_SIGNAL_SHARE * of_noise) & (variance > 1e-12 * variance[0])
    # Up to the first axis of noise: of those behind, the error is only estimated.
    n = int(np.logical_and.accumulate(is_signal[:_N_AXES]).sum())
    return np.asarray(vectors[:n] / np.sqrt(variance[:n, None]))


def _similar(places: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return classes of similar voxels, and the class of each."""
    from scipy.cluster.vq import kmeans2  # Slow to load.

    n = int(np.clip(len(places) // MIN_VOXELS_PER_CLASS, 1, MAX_CLASSES))
    if n == 1 or not places.shape[1]:
        return np.zeros(len(places), dtype=np.intp), places.mean(axis=0, keepdims=True)
    centres, number = kmeans2(places, n, minit="++", rng=np.random.default_rng(_SEED))
    return np.asarray(number, dtype=np.intp), np.asarray(centres, dtype=np.float64)


def _rounded(values: Any) -> Any:
    if np.ndim(values):
        return [_rounded(value) for value in values]
    return float(f"{float(values):.{_DIGITS}g}")
