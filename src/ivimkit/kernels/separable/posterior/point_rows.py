"""Where the numbers of a posterior stand: rows of points, rows of a block of them, options.

A block is so many points as a loop over them becomes vector instructions. The rows of all points
have a place for each point of all stages.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from ivimkit.kernels.device import inlined
from ivimkit.kernels.noise_floor import N_FLOOR
from ivimkit.kernels.separable.layout import Option
from ivimkit.kernels.two_decays.lattice.lattice_options import N_VALUES

__all__ = [
    "FIRST_POINTS",
    "LANES",
    "MAX_PRIOR_COMPONENTS",
    "MAX_STAGES",
    "MORE_POINTS",
    "N_BINS",
    "N_COMPONENTS",
    "N_DRAWS",
    "N_KNOTS",
    "N_NODES",
    "N_POINTS",
    "N_SAMPLES",
    "BlockRow",
    "PointRows",
    "PosteriorOption",
    "component_size",
    "point_rows",
]

LANES = 32
"""Points of a block."""
FIRST_POINTS, MORE_POINTS = 384, 640
"""Points of the first stage, and of each further one; multiples of a block."""
MAX_STAGES = 7
"""Stages at most: the first, the second, and more where the accuracy is not enough."""
N_POINTS = FIRST_POINTS + (MAX_STAGES - 1) * MORE_POINTS
"""Points of all stages."""
N_NODES = 6
"""Nodes of the integral over a fraction."""
N_DRAWS = 3
"""Fractions that are drawn at each point."""
N_COMPONENTS = 4
"""Components of a proposal: three that follow the posterior and one as wide as the bounds."""
N_BINS = 128
"""Bins of the histogram from which quantiles are read."""
N_KNOTS = 257
"""Knots of the tables of the prior's distribution functions."""
MAX_PRIOR_COMPONENTS = 6
"""Gaussians of a prior at most."""
N_SAMPLES = 64
"""Samples of the posterior that are written for learning."""


class BlockRow(NamedTuple):
    """Rows of the scratch of a block, LANES numbers each."""

    g_rest: int = 0  # squared norm of the atoms that share what the first one leaves
    g_both: int = 1  # their product with the first atom
    g_first: int = 2  # squared norm of the first atom
    p_rest: int = 3  # products with the signal
    p_first: int = 4
    factor: int = 5  # density of the coordinates, from the volume of the parameters
    low: int = 6  # range of the first fraction
    high: int = 7
    valid: int = 8  # 1 where the order of the shapes is kept
    shift: int = 9  # of the nodes, as a share of their distance
    draw: int = 10  # which share of the mass is below the fraction that is drawn
    size: int = 11  # norm of the data in the plane of the two atoms
    along: int = 12  # the two components of the data in that plane
    across: int = 13
    length: int = 14  # norm of the rest, its component along the first atom, height of the first
    lean: int = 15
    height: int = 16
    gain: int = 17  # best gain in the range
    start: int = 18  # first tangent of the range of nodes, and its step
    step: int = 19
    total: int = 20  # sums over the nodes
    s: int = 21
    ss: int = 22
    s0: int = 23
    s0_square: int = 24
    inverse: int = 25
    gains: int = 26
    log_target: int = 27
    tangent: int = 28
    weight: int = 29
    fraction: int = 30
    below: int = 31
    density: int = 32
    edge: int = 33  # e of a node, and its inverse
    inverse_edge: int = 34
    ratio: int = 35  # by how much the power of a likelihood falls with the gain
    per_edge: int = 36
    drawn: int = 37  # N_DRAWS rows
    nodes: int = 37 + N_DRAWS  # N_NODES rows
    prior_level: int = 37 + N_DRAWS + N_NODES  # MAX_PRIOR_COMPONENTS rows each
    prior_shift: int = 37 + N_DRAWS + N_NODES + MAX_PRIOR_COMPONENTS
    rows: int = 37 + N_DRAWS + N_NODES + 2 * MAX_PRIOR_COMPONENTS


class PosteriorOption(NamedTuple):
    """Positions in the options, behind those of the fit.

    Degrees of freedom and scale of the noise variance, and the number of values, stand where
    `ivimkit.kernels.two_decays.lattice.variance` looks for them.
    """

    first: int = Option().size
    estimate: int = Option().size + N_VALUES + 1
    takes_floor_off: int = Option().size + N_VALUES + 2
    writes_samples: int = Option().size + N_VALUES + 3
    log_density: int = Option().size + N_VALUES + 4  # of a flat prior
    power_constant: int = Option().size + N_VALUES + 5
    n_free: int = Option().size + N_VALUES + 6  # coordinates
    free_fraction: int = Option().size + N_VALUES + 7  # whether the first fraction is integrated
    n_prior: int = Option().size + N_VALUES + 8  # Gaussians of the prior; 0 for a flat one
    t_constant: int = Option().size + N_VALUES + 9  # logarithm of the height of a proposal
    variates: int = Option().size + N_VALUES + 10  # where in the table each of these begins
    prior: int = Option().size + N_VALUES + 11
    marginals: int = Option().size + N_VALUES + 12
    n_products: int = Option().size + N_VALUES + 13
    products: int = Option().size + N_VALUES + 14  # pairs of positions of parameters: 8 x 2
    coordinates: int = Option().size + N_VALUES + 30  # numbers of shapes, or m + k for a share: 32
    scratch: int = Option().size + N_VALUES + 62  # length of the scratch of the fit
    floor_noise: int = Option().size + N_VALUES + 63  # of one volume; 0 if it is not known
    floor: int = Option().size + N_VALUES + 64
    size: int = Option().size + N_VALUES + 64 + N_FLOOR


class PointRows(NamedTuple):
    """Where the parts of the scratch of a posterior begin, for a model."""

    n: int
    m: int
    d: int  # coordinates at most: the shapes, and shares of all fractions but the first
    z: int  # d rows of all points: coordinates
    shape: int  # m rows: shapes
    share: int  # n - 1 rows: shares of the compartments in what the first one leaves
    log_target: int
    mix: int  # sum of the densities of all stages, each times its number of points
    weight: int
    s: int  # mean of the first fraction, given the point; mean of its square
    ss: int
    s0: int  # the same of S0
    s0_square: int
    inverse: int  # mean inverse of the squared norm
    gain: int
    use: int  # scratch rows
    value: int
    density: int  # N_COMPONENTS rows: densities of the components of the last stage
    drawn: int  # N_DRAWS rows: drawn fractions
    block: int
    block_shape: int
    block_share: int
    components: int  # MAX_STAGES proposals
    bins: int  # N_BINS
    box: int  # 3 d: lower end and width of the range of each coordinate, whether logarithmic
    mode: int  # d: where the density is highest
    matrix: int  # 4 d^2
    vector: int  # 8 d
    moments: int  # (n + m)^2 and more
    size: int


def _component_size(d: int) -> int:
    """Return how many numbers describe a component: share, height, mean, and two triangles."""
    return 2 + d + 2 * d * d


# For kernels; the layout below is plain Python, which would wait for the compiler at every import.
component_size = inlined(_component_size)


@functools.cache
def point_rows(n: int, m: int) -> PointRows:
    """Return the layout of a model with n compartments and m shape parameters."""
    d = m + max(n - 2, 0)
    p = n + m
    sizes = (
        d * N_POINTS, m * N_POINTS, max(n - 1, 1) * N_POINTS,
        *(11 * [N_POINTS]), N_COMPONENTS * N_POINTS, N_DRAWS * N_POINTS,
        BlockRow().rows * LANES, m * LANES, max(n - 1, 1) * LANES,
        MAX_STAGES * N_COMPONENTS * _component_size(d),
        N_BINS, 3 * d, d, 4 * d * d, 8 * d, p * p + 8 * p,
    )  # fmt: skip
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // 8) * 8)
    return PointRows(n, m, d, *starts)
