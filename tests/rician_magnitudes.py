"""Magnitudes of biexp, and the maxima of their likelihood by SciPy.

The reference is the likelihood itself, written with scipy's Bessel functions and maximised by
scipy from the truth and from random starts. Run as a program, which takes a minute or two, it
writes the file that the tests read.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import ive

import ivimkit as ik

REFERENCE = Path(__file__).parent / "unit" / "methods" / "rician_magnitudes.npz"
CASES = [(5, 1), (10, 1), (20, 1), (10, 4)]
"""Signal to noise at b = 0, and coils."""

B21 = np.array(ik.simulate.B21, float)
N = 16

# Lower and upper bounds of S0 / 1000, f, ln D*, 1000 D.
LOWER = np.array([0.0, 0.0, math.log(2e-3), 0.0])
UPPER = np.array([5.0, 1.0, math.log(0.2), 5.0])


def tissue(n, seed):
    return np.random.default_rng(seed).uniform(
        [1000, 0.03, 8e-3, 0.5e-3], [1000, 0.4, 80e-3, 2.5e-3], (n, 4)
    )


def magnitudes(truth, sigma, seed, coils=1, bvals=B21):
    """Root of the sum of squares of `coils` channels, one of which has the signal."""
    clean = ik.simulate.signals("biexp", truth, bvals)
    noise = sigma * np.random.default_rng(seed).standard_normal((2 * coils, *clean.shape))
    return np.sqrt((clean + noise[0]) ** 2 + (noise[1:] ** 2).sum(axis=0))


def minus_log_likelihood(scaled, signal, sigma, coils):
    """Without terms of the data alone; the noise is the fifth parameter if sigma is None.

    Its divisor is then that of `varpro`: 2 L N less the number of other parameters.
    """
    s0, f, d_star, d = 1000 * scaled[0], scaled[1], math.exp(scaled[2]), 1e-3 * scaled[3]
    known = sigma is not None
    sigma = sigma if known else math.exp(scaled[4])
    model = s0 * (f * np.exp(-B21 * d_star) + (1 - f) * np.exp(-B21 * d))
    x = np.maximum(signal * model, 1e-9 * sigma**2) / sigma**2
    log_bessel = np.log(ive(coils - 1, x)) - (coils - 1) * np.log(x)
    value = np.sum((signal - model) ** 2 / (2 * sigma**2) - log_bessel)
    return value if known else value + (2 * coils * B21.size - 4) * math.log(sigma)


def best_of_scipy(signal, truth, sigma, known, coils, seed):
    """Lowest value from the truth, and from random starts as well."""
    rng = np.random.default_rng(seed)
    near = np.array([truth[0] / 1000, truth[1], math.log(truth[2]), 1e3 * truth[3]])
    starts = [near, *(rng.uniform([0.5, 0, LOWER[2], 0.0], [1.5, 1, UPPER[2], 4]) for _ in "12")]
    bounds = list(zip(LOWER, UPPER, strict=True))
    if not known:
        starts = [[*start, math.log(sigma) + rng.normal(0, 0.2)] for start in starts]
        bounds.append((math.log(sigma) - 5, math.log(sigma) + 3))
    found = [
        minimize(
            minus_log_likelihood,
            start,
            (signal, sigma if known else None, coils),
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-14, "gtol": 1e-8, "maxfun": 10_000},
        ).fun
        for start in starts
    ]
    return found[0], min(found)


def name_of(snr, coils, known):
    """Return the name of the lowest values of a case in the file."""
    return f"{snr}-{coils}.{'known' if known else 'estimated'}"


def write_reference():
    """Write the magnitudes of each case and the lowest values, with known noise and without."""
    found = {}
    for snr, coils in CASES:
        sigma, truth = 1000 / snr, tissue(N, seed=snr)
        rows = magnitudes(truth, sigma, seed=snr + 1, coils=coils)
        found[f"{snr}-{coils}.rows"] = rows
        for known in (True, False):
            found[name_of(snr, coils, known)] = [
                min(best_of_scipy(row, true, sigma, known, coils, seed=v))
                for v, (row, true) in enumerate(zip(rows, truth, strict=True))
            ]
    np.savez(REFERENCE, **found)


if __name__ == "__main__":
    write_reference()
