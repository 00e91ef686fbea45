"""The posterior of a voxel by plain sums over fine grids, and by quadrature of scipy.

What they give for the voxels of the tests stands in a file beside those, as it takes a minute; for
any other voxel it is computed. Run as a program it writes that file anew:
`python posterior_grids.py`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate
from scipy.interpolate import RegularGridInterpolator
from scipy.special import rel_entr

FOLDER = Path(__file__).parent / "unit" / "kernels" / "two_decays" / "lattice"
REFERENCE = FOLDER / "posteriors.json"

# Bounds of D, D*, f in which the reference lies, and in which voxels are drawn.
NARROW = ((0.5e-3, 8e-3, 0.03), (2.5e-3, 80e-3, 0.4))
WIDE = ((0.0, 2e-3, 0.0), (5e-3, 0.2, 1.0))
NAMES = ("D", "D_star", "f")
SHARES = (0.025, 0.975, 0.25, 0.75, 0.5)

# How far below its top the logarithm of the likelihood is still looked at, zoom after zoom.
_KEPT = (400.0, 60.0, 20.0, 14.0, 14.0, None)
# The fast rate is above the slow one by this factor.
_APART = 1.02


@functools.cache
def known():
    """Return what has been computed before, by a checksum of the arguments."""
    return json.loads(REFERENCE.read_text("utf-8")) if REFERENCE.is_file() else {}


def _text(value):
    """Return a text of an argument, with ten digits of each number of an array."""
    if isinstance(value, dict):
        return ",".join(f"{key}={_text(one)}" for key, one in sorted(value.items()))
    if isinstance(value, np.ndarray):
        return " ".join(f"{one:.9e}" for one in value)
    return " ".join(map(_text, value)) if isinstance(value, tuple) else repr(value)


def remembered(function):
    """Look up what a function gave for the same arguments; priors are not told apart."""

    @functools.wraps(function)
    def look_up(*args, **options):
        if options.get("prior") is not None:
            return function(*args, **options)
        text = f"{function.__name__} {_text(args)} {_text(options)}"
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        if key not in known():
            known()[key] = function(*args, **options)
        return known()[key]

    return look_up


@remembered
def by_grid(
    signal,
    b,
    lower,
    upper,
    *,
    sigma=None,
    degrees=0.0,
    scale=0.0,
    times=1.0,
    prior=None,
    instant=False,
    n=64,
):
    """Return the posterior of D, D* and f between bounds, S0 uniform on a line.

    Without sigma the noise variance is scaled inverse chi-squared; no degrees are Jeffreys' prior.
    Equal bounds fix a parameter; `instant` is a fast pool that is seen at b = 0 alone; `times` are
    weights; without a prior's table D, D* and f are uniform. Every free parameter gets mean,
    standard deviation and quantiles.
    """
    power, known = 0.5 * (degrees + b.size - 1), sigma is not None
    first, last = np.array(lower, dtype=float), np.array(upper, dtype=float)
    low, high, free = first.copy(), last.copy(), first < last
    size = np.where(free, n, 1)
    norm = (times * signal**2).sum() + degrees * scale
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
        if known:
            log = (gain - top) / (2 * sigma**2)
        else:
            log = -power * np.log1p((top - gain) / (norm - top))
        if kept is not None:
            inside = np.argwhere(log > -kept)
            low = np.where(free, np.maximum(low + (inside.min(0) - 1) * step, first), low)
            high = np.where(free, np.minimum(high - (size - inside.max(0) - 2) * step, last), high)
    weight = np.exp(log) / np.sqrt(q) * (gain > 0)
    if prior is None:
        weight /= np.prod((last - first)[free])
    else:
        points = np.meshgrid(d, np.log(d_star), f, indexing="ij")
        weight *= RegularGridInterpolator(prior.axes(), prior.density)(np.stack(points, -1))
        weight /= d_star[None, :, None]
    total = weight.sum()
    weight /= total
    axes = (d[:, None, None], d_star[None, :, None], f[None, None, :])

    def mean(values):
        return float((weight * values).sum())

    found = {}
    for k in np.flatnonzero(free):
        mass = weight.sum(axis=tuple(i for i in range(3) if i != k))
        centre = mean(axes[k])
        edges = np.linspace(low[k], high[k], n + 1)
        quantiles = np.interp(SHARES, np.cumsum([0, *mass]), edges)
        found[NAMES[k]] = (centre, math.sqrt(mean((axes[k] - centre) ** 2)), *quantiles)
        found[f"{NAMES[k]}_mode"] = float(axes[k].ravel()[mass.argmax()])
        even = np.full(n, 1 / (last[k] - first[k]))
        if prior is not None:
            even = np.interp((d, np.log(d_star), f)[k], prior.axes()[k], prior.marginals()[k])
            even /= d_star if k == 1 else 1
        found[f"{NAMES[k]}_bits"] = rel_entr(mass, even * step[k]).sum() / math.log(2)
    flow = axes[1] * axes[2]
    found["flow"] = mean(flow), math.sqrt(mean((flow - mean(flow)) ** 2))
    for i, k in ((2, 1), (2, 0), (1, 0)):
        if free[i] and free[k]:
            (m1, s1), (m2, s2) = found[NAMES[i]][:2], found[NAMES[k]][:2]
            found[f"corr_{NAMES[i]}_{NAMES[k]}"] = mean((axes[i] - m1) * (axes[k] - m2)) / s1 / s2
    variance = sigma**2 if known else mean(norm - gain) / (2 * power - 2)
    s0 = mean(c / q)
    found["S0"] = s0, math.sqrt(mean((c / q - s0) ** 2) + variance * mean(1 / q))
    found["sigma"] = math.sqrt(variance)
    found["ln_evidence"] = math.log(total * np.prod(step[free]))
    found["ln_evidence"] -= (
        0.5 * (norm - top) / sigma**2 if known else power * math.log(norm - top)
    )
    return found


@remembered
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
        found[name] = (mean, sd, *np.interp(SHARES, np.cumsum([0, *mass]), edge))
    return found


@remembered
def by_line(signal, b, low, high, sigma):
    """Return mean, standard deviation and logarithm of the evidence of one decay, by scipy."""
    norm = (signal**2).sum()

    def gain(rate):
        decay = np.exp(-b * rate)
        return (signal @ decay) ** 2 / (decay @ decay), math.sqrt(decay @ decay)

    top = max(gain(rate)[0] for rate in np.linspace(low, high, 4001))

    def density(rate, moment=0, centre=0.0):
        here, root = gain(rate)
        if sigma is None:
            value = ((norm - here) / (norm - top)) ** (-0.5 * (b.size - 1))
        else:
            value = math.exp((here - top) / (2 * sigma**2))
        return value / root * (rate - centre) ** moment

    peak = max(np.linspace(low, high, 4001), key=lambda rate: gain(rate)[0])

    def over(*args):
        points = [
            peak + step for step in (-3e-4, -1e-4, 0, 1e-4, 3e-4) if low < peak + step < high
        ]
        return integrate.quad(density, low, high, args, points=points, limit=200)[0]

    total = over()
    mean = over(1) / total
    evidence = math.log(total / (high - low))
    if sigma is None:
        evidence -= 0.5 * (b.size - 1) * math.log(norm - top)
    else:
        evidence -= 0.5 * (norm - top) / sigma**2
    return mean, math.sqrt(over(2, mean) / total), evidence


def write_reference():
    """Run the tests with nothing known, and keep what they asked for."""
    known().clear()
    code = pytest.main(["-q", "-p", "no:cacheprovider", str(FOLDER / "test_posterior.py")])
    if code == 0:
        found = json.loads(
            json.dumps(known()), parse_float=lambda text: float(f"{float(text):.9g}")
        )
        lines = (f"{json.dumps(key)}: {json.dumps(one)}" for key, one in sorted(found.items()))
        REFERENCE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    return code


if __name__ == "__main__":
    import posterior_grids

    sys.exit(posterior_grids.write_reference())
