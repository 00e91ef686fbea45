"""The posterior against plain sums over fine grids and against quadrature by scipy."""

import math

import numpy as np
import pytest
from scipy import integrate

import ivimkit as ik

B21 = np.array(ik.simulate.B21, dtype=float)
B13 = np.array(ik.simulate.B13, dtype=float)

# Bounds of D, D*, f in which the reference lies, and in which voxels are drawn.
NARROW = ((0.5e-3, 8e-3, 0.03), (2.5e-3, 80e-3, 0.4))
WIDE = ((0.0, 2e-3, 0.0), (5e-3, 0.2, 1.0))
NAMES = ("D", "D_star", "f")

# How far below its top the logarithm of the likelihood is still looked at, zoom after zoom.
_KEPT = (400.0, 60.0, 20.0, 14.0, 14.0, None)
# The fast rate is above the slow one by this factor.
_APART = 1.02


def by_grid(signal, b, lower, upper, *, sigma=None, times=None, n=64, instant=False):
    """Return the posterior of D, D* and f, uniform between bounds, S0 uniform on a line.

    Without sigma the noise has Jeffreys' prior. Equal bounds fix a parameter; `instant` is a fast
    pool that is seen at b = 0 alone; `times` are weights. Every free parameter gets mean, standard
    deviation and the 2.5 and 97.5 % quantiles.
    """
    times = np.ones(b.size) if times is None else times
    first, last = np.array(lower, dtype=float), np.array(upper, dtype=float)
    low, high, free = first.copy(), last.copy(), first < last
    size = np.where(free, n, 1)
    norm = (times * signal**2).sum()
    for kept in _KEPT:
        step = (high - low) / size
        d, d_star, f = (low[k] + (np.arange(size[k]) + 0.5) * step[k] for k in range(3))
        one = np.exp(-np.outer(d, b))
        two = 1.0 * (b == 0.0)[None] if instant else np.exp(-np.outer(d_star, b))
        g11, g22 = (times * one**2).sum(1)[:, None, None], (times * two**2).sum(1)[None, :, None]
        g12 = ((times * one) @ two.T)[:, :, None]
        p1, p2 = (one @ (times * signal))[:, None, None], (two @ (times * signal))[None, :, None]
        c = (1 - f) * p1 + f * p2
        q = (1 - f) ** 2 * g11 + 2 * f * (1 - f) * g12 + f**2 * g22
        apart = instant | (d_star[None, :, None] > _APART * d[:, None, None])
        gain = np.where(apart & (c > 0), c * c / q, 0.0)
        top = gain.max()
        if sigma is None:
            log = -0.5 * (b.size - 1) * np.log1p((top - gain) / (norm - top))
        else:
            log = (gain - top) / (2 * sigma**2)
        if kept is not None:
            inside = np.argwhere(log > -kept)
            low = np.where(free, np.maximum(low + (inside.min(0) - 1) * step, first), low)
            high = np.where(free, np.minimum(high - (size - inside.max(0) - 2) * step, last), high)
    weight = np.exp(log) / np.sqrt(q) * (gain > 0)
    total = weight.sum()
    weight /= total
    axes = (d[:, None, None], d_star[None, :, None], f[None, None, :])

    def mean(values):
        return float((weight * values).sum())

    found = {}
    for k in np.flatnonzero(free):
        mass = weight.sum(axis=tuple(i for i in range(3) if i != k))
        centre = mean(axes[k])
        ends = np.interp((0.025, 0.975), np.cumsum([0, *mass]), np.linspace(low[k], high[k], n + 1))
        found[NAMES[k]] = (centre, math.sqrt(mean((axes[k] - centre) ** 2)), *ends)
    flow = axes[1] * axes[2]
    found["flow"] = mean(flow), math.sqrt(mean((flow - mean(flow)) ** 2))
    for i, k in ((2, 1), (2, 0), (1, 0)):
        if free[i] and free[k]:
            (m1, s1), (m2, s2) = found[NAMES[i]][:2], found[NAMES[k]][:2]
            found[f"corr_{NAMES[i]}_{NAMES[k]}"] = mean((axes[i] - m1) * (axes[k] - m2)) / s1 / s2
    variance = mean(norm - gain) / (b.size - 3) if sigma is None else sigma**2
    s0 = mean(c / q)
    found["S0"] = s0, math.sqrt(mean((c / q - s0) ** 2) + variance * mean(1 / q))
    found["sigma"] = math.sqrt(variance)
    evidence = math.log(total * np.prod((step / (last - first))[free]))
    if sigma is None:
        evidence -= 0.5 * (b.size - 1) * math.log(norm - top)
    else:
        evidence -= 0.5 * (norm - top) / sigma**2
    found["ln_evidence"] = evidence
    return found


def by_log_grid(signal, b, sigma, n=(400, 200, 400)):
    """Return what `by_grid` does for the free parameters in `WIDE`, on a grid even in ln D*.

    Without zooms: a second mode, where nearly all signal is of a pool little faster than the
    rest, is thin and far from the first.
    """
    (low, high), edges = WIDE, []
    for k in range(3):
        edges.append(np.linspace(low[k], high[k], n[k] + 1))
    edges[1] = np.geomspace(low[1], high[1], n[1] + 1)
    middle = [0.5 * (edge[1:] + edge[:-1]) for edge in edges]
    middle[1] = np.sqrt(edges[1][1:] * edges[1][:-1])
    d, d_star, f = middle
    one, two = np.exp(-np.outer(d, b)), np.exp(-np.outer(d_star, b))
    g11, g22, g12 = (one**2).sum(1), (two**2).sum(1), one @ two.T
    p1, p2 = one @ signal, two @ signal
    marginals = [np.zeros(size) for size in n]
    norm = (signal**2).sum()
    for i in range(n[0]):
        c = (1 - f) * p1[i] + f * p2[:, None]
        q = (1 - f) ** 2 * g11[i] + 2 * f * (1 - f) * g12[i][:, None] + f**2 * g22[:, None]
        weight = np.exp((c * c / q - norm) / (2 * sigma**2)) / np.sqrt(q) * (c > 0)
        weight *= (d_star * (d_star > _APART * d[i]))[:, None]
        marginals[0][i] = weight.sum()
        marginals[1] += weight.sum(1)
        marginals[2] += weight.sum(0)
    found = {}
    for name, values, edge, mass in zip(NAMES, middle, edges, marginals, strict=True):
        mass /= mass.sum()
        mean = (mass * values).sum()
        sd = math.sqrt((mass * (values - mean) ** 2).sum())
        found[name] = (mean, sd, *np.interp((0.025, 0.975), np.cumsum([0, *mass]), edge))
    return found
