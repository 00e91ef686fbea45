"""Magnitudes of models of several compartments, and the maxima of their likelihood by SciPy.

Run as a program it writes the reference of the tests, which takes minutes.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import ive

from ivimkit.kernels.separable.dictionary import evaluate, plan
from ivimkit.kernels.separable.magnitude import magnitude_function, magnitude_plan
from ivimkit.kernels.voxel import Voxel
from plain_kernels import plain
from separable_models import B21, DECAY, MODELS, protocol, signals, truth
from separable_models import _structure as structure_of

REFERENCE = Path(__file__).parent / "unit" / "kernels" / "separable" / "magnitudes.npz"
N = 6
SIGMA = {"kurtosis": 80.0, "triexp": 50.0}
COILS = {"kurtosis": 1, "triexp": 4}

BIEXP = structure_of((DECAY, DECAY), (True, False), ((5e-3, 0.1), (2e-4, 3e-3)), ((1, 0),))
BIEXP_BOUNDS = (0, 0, 2e-3, 0), (math.inf, 1, 0.2, 5e-3)


def setting(name):
    """Return structure, bounds, variables and weights; biexp is here a model like any other."""
    if name == "biexp":
        x = np.array([[*B21, 0, 0, 0]], dtype=float)
        return (
            BIEXP,
            *(np.array(b, float) for b in BIEXP_BOUNDS),
            x,
            np.repeat([1.0, 0.0], [21, 3]),
        )
    structure, low, high = MODELS[name]
    return structure, np.array(low, float), np.array(high, float), *protocol(name)


def magnitudes(clean, sigma, coils, seed):
    """Return roots of sums of squares of channels, one of which has the signal."""
    noise = sigma * np.random.default_rng(seed).standard_normal((2 * coils, *clean.shape))
    return np.sqrt((clean + noise[0]) ** 2 + (noise[1:] ** 2).sum(axis=0))


def minus_log_likelihood(name, params, row, sigma, coils, *, known):
    """Without terms of the data alone; with the divisor of `varpro` if the noise is not known."""
    structure, *_, x, weight = setting(name)
    line, left, position = np.zeros(x.shape[1]), 1.0, 1
    for k, part in enumerate(structure.parts):
        share = left
        if k < structure.n - 1:
            share = params[position]
            left -= share
            position += 1
        line += share * evaluate(part, x, params[None, position : position + part.n_shape])[0]
        position += part.n_shape
    line, row = params[0] * line[weight > 0], row[weight > 0]
    argument = np.maximum(row * line, 1e-9 * sigma**2) / sigma**2
    log_bessel = np.log(ive(coils - 1, argument)) - (coils - 1) * np.log(argument)
    value = np.sum((row - line) ** 2 / (2 * sigma**2) - log_bessel)
    return value if known else value + (2 * coils * row.size - len(params)) * math.log(sigma)


def best_of_scipy(name, row, true, sigma, coils, known, starts=12):
    """Return the lowest value from the truth and from random starts, inside bounds, in order."""
    structure, low, high, *_ = setting(name)
    high = np.where(np.isfinite(high), high, 5000.0)
    shares = np.array([1 + sum(p.n_shape + 1 for p in structure.parts[:k])
                       for k in range(structure.n - 1)])  # fmt: skip
    shapes = np.setdiff1d(np.arange(1, len(low)), shares)

    def decoded(z):
        params, left = z[: len(low)] * high, 1.0
        for s in shares:
            params[s] = z[s] * left
            left -= params[s]
        return params

    def value(z):
        params = decoded(z)
        wrong = sum(max(1.02 * params[shapes[a]] - params[shapes[b]], 0.0) / high[shapes[b]]
                    for a, b in structure.ascending)  # fmt: skip
        noise = sigma if known else math.exp(z[-1])
        found = minus_log_likelihood(name, params, row, noise, coils, known=known)
        return found + 1e6 * wrong

    rng = np.random.default_rng(5)
    begin = true / high
    left = 1.0
    for s in shares:
        begin[s] = true[s] / left
        left -= true[s]
    least = np.maximum(low, 1e-3 * high) / high
    points = [begin] + [np.exp(rng.uniform(np.log(least), 0.0)) for _ in range(starts)]
    limits = list(zip(low / high, np.ones(len(low)), strict=True))
    if not known:
        points = [[*p, math.log(sigma) + rng.normal(0, 0.2)] for p in points]
        limits.append((math.log(sigma) - 5, math.log(sigma) + 3))
    for p in points[1:]:
        p[0] = rng.uniform(0.5, 1.5) * row.max() / high[0]
    options = {"ftol": 1e-14, "gtol": 1e-8, "maxfun": 20_000}
    return min(
        minimize(value, p, method="L-BFGS-B", bounds=limits, options=options).fun for p in points
    )


def fit(name, rows, sigma, coils):
    """Fit rows of magnitudes in plain Python.

    Return parameters, cost, passes and sigma, and status.
    """
    structure, low, high, x, weight = setting(name)
    options, table, scratch = plan(structure, low, high, x, weight)
    options, scratch = magnitude_plan(structure, options, scratch, x.shape[1], coils)
    start = np.where(np.isfinite(high), np.sqrt(np.maximum(low, 1e-3 * high) * high), 1.0)
    out = np.zeros((len(rows), structure.n_parameters + 3))
    status = np.zeros(len(rows), dtype=np.int32)
    voxel, work = plain(magnitude_function(structure)), np.zeros(scratch)
    for v, row in enumerate(rows):
        status[v] = voxel(
            Voxel(x, np.sqrt(weight), row, sigma, low, high, start, options, table[None], work),
            out[v],
        )
    return out, status


def write_reference():
    """Write magnitudes and the lowest values that SciPy finds, with known noise and without."""
    found = {}
    for name, sigma in SIGMA.items():
        true = truth(name, N, seed=3)
        rows = magnitudes(signals(name, true), sigma, COILS[name], seed=4)
        found[f"{name}.rows"] = rows * (protocol(name)[1] > 0)
        for known in (True, False):
            found[f"{name}.{'known' if known else 'estimated'}"] = [
                best_of_scipy(name, row, t, sigma, COILS[name], known)
                for row, t in zip(found[f"{name}.rows"], true, strict=True)
            ]
    np.savez(REFERENCE, **found)


if __name__ == "__main__":
    write_reference()
