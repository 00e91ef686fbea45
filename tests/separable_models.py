"""Models of several compartments, protocols and signals, for the tests of the separable engine."""

from __future__ import annotations

import math

import numpy as np

from ivimkit.kernels.separable import atoms
from ivimkit.kernels.separable.dictionary import evaluate, plan
from ivimkit.kernels.separable.structure import Part, Structure
from ivimkit.kernels.separable.voxel_fit import voxel_function
from ivimkit.kernels.voxel import Voxel
from plain_kernels import plain

B21 = (0, 10, 20, 30, 40, 60, 80, 100, 120, 140, 160, 180, 200, *range(300, 1001, 100))
DECAY = Part(atoms.decay, 1, (0,), atoms.decay_bend)
KURTOSIS = Part(atoms.kurtosis, 2, (0,), atoms.kurtosis_bend)
# Plain, as its values are computed one by one, and would be compiled for that.
STRETCHED = Part(
    plain(atoms.stretched).__wrapped__, 2, (0,), plain(atoms.stretched_bend).__wrapped__
)
RELAXING = Part(atoms.relaxing, 2, (0, 1), atoms.relaxing_bend)
D_STAR, D, K, ALPHA = (5e-3, 0.1), (2e-4, 3e-3), (0.0, 2.0), (0.5, 1.0)


def _structure(parts, logarithmic, typical, ascending=()):
    m = len(typical)
    return Structure(parts, logarithmic, typical, (0.0,) * m, (math.inf,) * m, ascending)


MODELS = {
    "kurtosis": (
        _structure((DECAY, KURTOSIS), (True, False, False), (D_STAR, D, K), ((1, 0),)),
        (0, 0, 2e-3, 0, 0),
        (math.inf, 1, 0.2, 5e-3, 3),
    ),
    "triexp": (
        _structure(
            (DECAY, DECAY, DECAY),
            (True, True, False),
            ((0.03, 0.3), (4e-3, 0.02), D),
            ((2, 1), (1, 0)),
        ),
        (0, 0, 25e-3, 0, 3e-3, 0),
        (math.inf, 1, 0.5, 1, 25e-3, 3e-3),
    ),
    "stretched": (
        _structure((DECAY, STRETCHED), (True, True, False), (D_STAR, D, ALPHA), ((1, 0),)),
        (0, 0, 2e-3, 1e-4, 0.3),
        (math.inf, 1, 0.2, 5e-3, 1),
    ),
    "t2": (
        _structure(
            (RELAXING, RELAXING),
            (True, True, False, True),
            (D_STAR, (50, 300), D, (20, 150)),
            ((2, 0),),
        ),
        (0, 0, 2e-3, 30, 0, 15),
        (math.inf, 1, 0.2, 400, 5e-3, 300),
    ),
}
"""Structure, lower and upper bounds."""


def protocol(name):
    """Return variables (n_variables, n_rows) and weights, padded."""
    if name == "t2":
        x = np.array([np.tile([0.0, 20, 50, 100, 200, 400, 800], 3), np.repeat([50, 75, 100], 7)])
    elif name == "triexp":
        x = np.array([B21], dtype=float)
    else:
        x = np.array([[*B21, 1250, 1500, 2000]], dtype=float)
    padding = -x.shape[1] % 8
    weight = np.concatenate([np.ones(x.shape[1]), np.zeros(padding)])
    return np.pad(x, ((0, 0), (0, padding)), mode="edge"), weight


def truth(name, n, seed=0):
    """Return parameters of n voxels."""
    rng = np.random.default_rng([seed, len(name)])
    u = rng.uniform
    shapes = {
        "kurtosis": [[u(8e-3, 80e-3, n)], [u(0.7e-3, 2e-3, n), u(0.3, 1.5, n)]],
        "triexp": [[u(50e-3, 300e-3, n)], [u(5e-3, 15e-3, n)], [u(0.6e-3, 1.8e-3, n)]],
        "stretched": [[u(8e-3, 80e-3, n)], [u(0.7e-3, 2e-3, n), u(0.6, 1.0, n)]],
        "t2": [
            [u(8e-3, 80e-3, n), u(100, 250, n)],
            [u(0.7e-3, 2e-3, n), u(40, 100, n)],
        ],
    }[name]
    fractions = rng.dirichlet([2, 8] if len(shapes) == 2 else [1, 1.5, 8], n)
    columns = [np.full(n, 1000.0)]
    for k, own in enumerate(shapes):
        columns += [] if k == len(shapes) - 1 else [fractions[:, k]]
        columns += own
    return np.stack(columns, axis=1)


def signals(name, params):
    """Return the signals of rows of parameters by NumPy, shape (n, n_rows)."""
    structure, x = MODELS[name][0], protocol(name)[0]
    total = np.zeros((len(params), x.shape[1]))
    left = np.ones(len(params))
    position = 1
    for k, part in enumerate(structure.parts):
        fraction = left
        if k < structure.n - 1:
            fraction = params[:, position]
            left = left - fraction
            position += 1
        shapes = params[:, position : position + part.n_shape]
        total += fraction[:, None] * evaluate(part, x, shapes)
        position += part.n_shape
    return params[:, :1] * total


def noisy(name, n, snr=50.0, seed=0, only=slice(None)):
    """Return signals of `n` voxels with Gaussian noise, or of some of them."""
    weight = protocol(name)[1]
    clean = signals(name, truth(name, n, seed)[only])
    shape = n, weight.size
    noise = np.random.default_rng([seed, 7, len(name)]).normal(0, 1000 / snr, shape)[only]
    return (clean + noise) * (weight > 0)


def fit(name, rows, lower=None, upper=None):
    """Fit rows of signals in plain Python; return parameters with cost and passes, and status."""
    structure, low, high = MODELS[name]
    low = np.array(low if lower is None else lower, dtype=float)
    high = np.array(high if upper is None else upper, dtype=float)
    x, weight = protocol(name)
    options, table, n_scratch = plan(structure, np.array(MODELS[name][1], float),
                                     np.array(MODELS[name][2], float), x, weight)  # fmt: skip
    start = np.where(np.isfinite(high), np.sqrt(np.maximum(low, 1e-3 * high) * high), 1.0)
    out = np.zeros((len(rows), structure.n_parameters + 2))
    status = np.zeros(len(rows), dtype=np.int32)
    voxel, work = plain(voxel_function(structure)), np.zeros(n_scratch)
    for v, row in enumerate(rows):
        status[v] = voxel(
            Voxel(x, np.sqrt(weight), row, 0.0, low, high, start, options, table[None], work),
            out[v],
        )
    return out, status
