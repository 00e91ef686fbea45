"""Signals and bounds for fits of several compartments, and the lowest costs that SciPy finds.

Run as a program it writes these costs, which takes minutes: `python separable_cases.py`.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from separable_models import MODELS, noisy, protocol, signals, truth

REFERENCE = Path(__file__).parent / "unit" / "kernels" / "separable" / "optima.npz"
SEARCHED = (
    *("stretched", "kurtosis-hidden", "t2-hidden", "kurtosis-given", "kurtosis-narrow"),
    "triexp-narrow",
)
"""Cases whose lowest costs are in the reference, of their first two voxels, or of the only one."""

N = 3


def _with(name, **changes):
    """Return bounds of a model, some of them others: position -> (lower, upper)."""
    low, high = (np.array(bounds, dtype=float) for bounds in MODELS[name][1:])
    for position, (least, most) in changes.items():
        low[int(position[1:])], high[int(position[1:])] = least, most
    return low, high


def _special():
    x, weight = protocol("kurtosis")
    b = x[0]
    rows = np.array([
        np.zeros(b.size),
        -100.0 * np.exp(-b * 1e-3),
        1000.0 * np.exp(-b * 1e-3),
        np.where(b == 0.0, 1000.0, 0.0),
        np.where(np.arange(b.size) % 2 == 0, 900.0, -900.0),
    ])  # fmt: skip
    return rows * (weight > 0)


# Minima that the dictionary does not show: compartments whose rates are nearly equal explain the
# signal almost as well, and the best tuple leads there.
HIDDEN = np.array([
    [1000.0, 0.0357, 0.0799, 1.953e-3, 0.9976],
    [1000.0, 0.0224, 0.0758, 1.928e-3, 0.8821],
])  # fmt: skip

# Made when they are needed: every process of pytest collects the tests.
CASES = {
    **{name: lambda name=name: (noisy(name, N), *_with(name)) for name in MODELS},
    **{
        f"{name}-exact": lambda name=name: (signals(name, truth(name, N)), *_with(name))
        for name in MODELS
    },
    # In bounds that the dictionary does not have, every tuple is tried: seconds for a voxel.
    "kurtosis-given": lambda: (
        noisy("kurtosis", N, only=[0]),
        *_with("kurtosis", p4=(0.7, 0.7)),
    ),
    "kurtosis-narrow": lambda: (
        noisy("kurtosis", N, only=[0]),
        *_with("kurtosis", p1=(0.05, 0.15), p0=(0, 950)),
    ),
    "triexp-narrow": lambda: (
        noisy("triexp", 2, only=[0]),
        *_with("triexp", p1=(0.1, 0.3), p3=(0.2, 0.4)),
    ),
    "stretched-hidden": lambda: (signals("stretched", HIDDEN), *_with("stretched")),
    "kurtosis-hidden": lambda: (
        noisy("kurtosis", 4000, seed=101, only=[2698, 3117]),
        *_with("kurtosis"),
    ),
    "t2-hidden": lambda: (noisy("t2", 4000, seed=101, only=[3198, 2320]), *_with("t2")),
    "kurtosis-special": lambda: (_special(), *_with("kurtosis")),
}


@functools.cache
def case(name):
    """Return the signals of a case, and its lower and upper bounds."""
    return CASES[name]()


def best_cost(name, row, low, high, starts=60):
    """Return the best cost of SciPy from random starts; amplitudes by S0 and fractions."""
    structure, weight = MODELS[name][0], protocol(name)[1]
    rng = np.random.default_rng(5)
    scale = np.abs(row).max()
    top = np.where(np.isfinite(high), high, 3 * scale)
    free = low < high

    def model(p):
        return signals(name, p[None])[0] * np.sqrt(weight)

    def away(z):
        p = np.array(low)
        p[free] = z
        left = 1.0 - sum(p[i] for i in fractions)
        return np.concatenate([(model(p) - row * np.sqrt(weight)) / scale, [1e3 * min(left, 0)]])

    fractions, position = [], 1
    for part in structure.parts[:-1]:
        fractions.append(position)
        position += 1 + part.n_shape
    costs = []
    for _ in range(starts):
        p = low + rng.uniform(0.02, 0.98, low.size) * (top - low)
        p[0] = min(max(scale, low[0]), high[0])
        fit = least_squares(
            away, p[free], bounds=(low[free], top[free]), x_scale=(top - low)[free],
            ftol=1e-12, xtol=1e-12, gtol=1e-12,
        )  # fmt: skip
        costs.append(2 * fit.cost * scale**2)
    return min(costs)


def write_reference():
    """Write the signals of the cases and the lowest costs from 60 random starts."""
    found = {}
    for name in SEARCHED:
        rows, low, high = case(name)
        found[f"{name}.rows"] = rows[:2]
        found[f"{name}.costs"] = [
            best_cost(name.split("-")[0], row, low, high) for row in rows[:2]
        ]
    np.savez(REFERENCE, **found)


if __name__ == "__main__":
    write_reference()
