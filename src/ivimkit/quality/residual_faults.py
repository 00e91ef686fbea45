"""Effects of faults of a scan on the residuals of a fit, and which of them are present."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.engine import evaluate, gradients
from ivimkit.fitting.decay_curves import with_b
from ivimkit.quality.fit_residuals import Residuals

__all__ = ["MIN_DRIFT_PERCENT", "MIN_SHIFT_PERCENT", "Faults", "relative_signal"]

MIN_SHIFT_PERCENT = 1.0
"""Distance of a b-value from the fit of the others at which it stands out, % of S0. A b-value with
that effect is wrong by 2 % at b = 1000 and by 10 % at b = 100."""

MIN_DRIFT_PERCENT = 3.0
"""The same of a drift from the first volume to the last, % of the signal."""

EXPLAINED = 0.7
"""Share of the mean residual, squared, that one fault must explain to be named."""

MIN_VOXELS = 50
"""Voxels of slices that are used."""

_MIN_DEGREES_OF_FREEDOM = 3
"""Minimum degrees of freedom: with fewer, any pattern looks like that of one b-value."""

_MIN_SHARE_LEFT = 0.05
"""Share of a fault, squared, that must remain in the residuals."""

_IN_ORDER = 0.7
"""Correlation of time and b above which drift and the shape of the decay are confounded."""

_MAX_FAULTS = 3
_MIN_SHOWING = 2 / 3
"""Share of slices and volumes that must show a wrong b-value."""


class Faults:
    """Faults as they appear after a fit, and those that match the residuals.

    Values are in % of S0, times the root of their weight.
    """

    def __init__(self, residuals: Residuals) -> None:
        self._of = residuals
        self._root = np.sqrt(residuals.weights)
        self._mean = residuals.mean * self._root
        self._operator = _projection(residuals)
        self.signal = relative_signal(residuals, residuals.x)
        self.drift = self._find_drift()
        """From the first volume to the last, % of the signal; 0 if none is detected."""

    def _find_drift(self) -> float:
        of = self._of
        if not self._enough() or self._in_order():
            return 0.0
        time = (of.volumes - of.volumes.min()) / np.ptp(of.volumes)
        pattern = (time - 0.5) * self.signal[of.shell]
        averages = np.bincount(of.shell, pattern) / np.bincount(of.shell)
        root = np.where(self._root > 0, self._root, 1.0)
        followed = averages - (self._operator @ (averages * self._root)) / root
        weight = (of.weights / of.counts)[of.shell]
        left = pattern - followed[of.shell]
        size, share = _match(left * np.sqrt(weight), of.by_volume * np.sqrt(weight))
        seen = (weight @ left**2) >= _MIN_SHARE_LEFT * (weight @ pattern**2)
        found = seen and share >= EXPLAINED and abs(size) >= MIN_DRIFT_PERCENT
        return size if found else 0.0

    def wrong(self) -> list[tuple[int, float]]:
        """Return number of the b-value and shift in % of S0, the clearest first."""
        found: list[tuple[int, float]] = []
        rest, patterns = self._mean, self._operator * self._root
        # An outlier at the lowest b is not due to its b-value, but to the model or the gain.
        seen = np.diagonal(self._operator) >= _MIN_SHARE_LEFT
        seen &= self._of.bvals > self._of.bvals.min()
        # Drift shifts the mean of every b-value according to its time.
        while self._enough() and not self.drift and len(found) < _MAX_FAULTS:
            matches = [_match(pattern, rest) for pattern in patterns.T]
            share = np.where(seen, [share for _, share in matches], 0.0)
            number = int(share.argmax())
            size = matches[number][0]
            if share[number] < EXPLAINED or abs(size) < MIN_SHIFT_PERCENT:
                break
            if min(self.slices_with(number, size)[0], self._volumes_with(number)) < _MIN_SHOWING:
                break
            found.append((number, size))
            rest = rest - size * patterns[:, number]
        return found

    def slices_with(self, number: int, size: float) -> tuple[float, str]:
        """Return the share of slices that show half the shift or more, in numbers and words."""
        large = self._of.n_by_slice >= min(MIN_VOXELS, self._of.n_by_slice.max())
        pattern = self._operator[:, number] * self._root[number]
        each = self._of.by_slice[large] * self._root @ pattern / (pattern @ pattern)
        there, total = int(np.count_nonzero(each / size >= 0.5)), int(large.sum())
        words = "all slices" if there == total else f"{there} of {total} slices"
        return there / total, words if total > 1 else ""

    def _volumes_with(self, number: int) -> float:
        """Return the share of the volumes of a b-value that show half its shift or more."""
        own = self._of.by_volume[self._of.shell == number]
        return float(np.mean(own / self._of.mean[number] >= 0.5))

    def _in_order(self) -> bool:
        """Return whether b rises (or falls) with time: drift then looks like another decay."""
        rank = np.unique(self._of.bvals[self._of.shell], return_inverse=True)[1]
        return bool(abs(np.corrcoef(self._of.volumes, rank)[0, 1]) >= _IN_ORDER)

    def _enough(self) -> bool:
        n_values = int(np.count_nonzero(self._of.weights))
        return n_values - self._of.model.n_free >= _MIN_DEGREES_OF_FREEDOM


def _projection(residuals: Residuals) -> NDArray[np.float64]:
    """Return the residuals that changes of the weighted signal leave, mean over voxels."""
    model = residuals.model
    free = [
        k
        for k, parameter in enumerate(model.parameters)
        if not parameter.fixed and parameter.name not in model.fixed_maps
    ]
    slopes = gradients(model, residuals.examples, residuals.x)[..., free]
    slopes = slopes * np.sqrt(residuals.weights)[:, np.newaxis]
    length = np.linalg.norm(slopes, axis=1, keepdims=True)
    basis, strength, _ = np.linalg.svd(
        slopes / np.where(length > 0, length, 1.0), full_matrices=False
    )
    basis = basis * (strength > 1e-6 * strength.max(axis=1, keepdims=True))[:, np.newaxis]
    followed: NDArray[np.float64] = np.mean(basis @ basis.transpose(0, 2, 1), axis=0)
    return np.eye(residuals.bvals.size) - followed


def relative_signal(residuals: Residuals, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean fitted signal at b-values, or settings, relative to the first at b = 0."""
    model = residuals.model
    unweighted = with_b(x[..., :1], model.variables, 0.0)
    both = np.concatenate([x, unweighted], axis=-1)
    signal = evaluate(model, residuals.examples, both).sum(axis=0)
    return np.asarray(signal[:-1] / signal[-1])


def _match(pattern: NDArray[np.float64], seen: NDArray[np.float64]) -> tuple[float, float]:
    """Return how much of a pattern there is, and the share of all squares that it explains."""
    power, total = float(pattern @ pattern), float(seen @ seen)
    if power <= 0 or total <= 0:
        return 0.0, 0.0
    product = float(pattern @ seen)
    return product / power, product**2 / (power * total)
