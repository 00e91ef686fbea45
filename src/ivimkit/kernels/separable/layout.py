"""Where the numbers of a separable fit stand: in its scratch, its options and its table.

All scratch is one flat array of doubles. Its first part has a size that the model decides, so that
the positions are constants of the compiled code; the dictionary, whose size the protocol decides,
has its share behind it. Nothing grows with the number of measurements.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_ATOMS",
    "MAX_COMPARTMENTS",
    "MAX_GENERATORS",
    "MAX_STARTS",
    "OTHER_ATOM",
    "SAME_ATOM",
    "SAME_RATE",
    "STRIDE",
    "Layout",
    "Option",
    "Problem",
    "layout",
]

MAX_COMPARTMENTS = 4
"""Most compartments that a model may have."""

MAX_GENERATORS = 20
"""Most corners of the fractions that bounds allow: 8 at bounds, 12 with a share of 0 left."""

MAX_STARTS = 12
"""Most descents that begin from the dictionary."""

OTHER_ATOM, SAME_RATE, SAME_ATOM = 0, 1, 2
"""How alike the compartments of an ordered pair are: not, one rate each, or with more shapes."""

MAX_ATOMS = 256
"""Most atoms of a compartment in the dictionary."""

STRIDE = MAX_ATOMS + 8
"""Numbers between rows of the terms of tuples. A power of 2 would crowd one part of the cache."""


class Layout(NamedTuple):
    """Number of compartments and of shape parameters, and where the parts of the scratch begin."""

    n: int
    m: int
    gram: int  # (n + m)^2: inner products of atoms and slopes
    dots: int  # n + m: their products with the residual
    bend: int  # m^2: products of the residual with second derivatives
    at: int  # m: shape parameters accepted so far
    to: int  # m: where to look next
    a: int  # n: amplitudes that the residual of the next pass is for
    fresh: int  # n: best amplitudes for the shapes of the pass
    scale: int  # m: theta for a step in ln theta, 1 otherwise
    slope: int  # m: slopes of half the cost
    hess: int  # m^2: its second derivatives, amplitudes eliminated
    norm: int  # m: diagonal of Gauss and Newton's matrix
    cross: int  # n x m: derivatives by amplitudes and shapes
    response: int  # n x m: how the amplitudes follow a change of the shapes
    face: int  # n x n: directions in which amplitudes are free, rows
    factor: int  # n x n: Cholesky factor of their Gram matrix
    small: int  # n: products of the atoms with the signal
    kept: int  # n: amplitudes of the shapes accepted
    matrix: int  # m^2: of a step
    step: int  # m: a step
    state: int  # m: whether a shape is free, fixed or tied in a step
    right: int  # m: right-hand side of a step
    jump: int  # m: what a tied shape moves by itself
    aim: int  # m: where a step would end without the bounds it has not met yet
    low: int  # m: bounds of the shapes
    high: int  # m
    bounds: int  # 2 + 2 (n - 1): of S0 and the fractions
    corners: int  # MAX_GENERATORS x n: fractions of the corners
    gram_corners: int  # MAX_GENERATORS^2
    dot_corners: int  # MAX_GENERATORS
    share: int  # MAX_GENERATORS: amplitude of every corner
    passive: int  # MAX_GENERATORS
    trial: int  # 2 MAX_GENERATORS
    cholesky: int  # MAX_GENERATORS^2
    best: int  # m: shapes of the best fit
    best_a: int  # n
    best_hess: int  # m^2: second derivatives of half the cost there
    best_slope: int  # m: and its slopes
    best_scale: int  # m: theta where it is searched by its logarithm, 1 otherwise
    other: int  # m: shapes of the fit with a compartment left out
    other_a: int  # n
    seen: int  # n: squared amplitudes over their variances
    normal: int  # (n + m)^2: a normal matrix
    starts: int  # MAX_STARTS x 3: gain, outer and inner number of tuples to begin from
    size: int  # all of this


@functools.cache
def layout(n: int, m: int) -> Layout:
    """Return the layout of a model.

    Parameters
    ----------
    n, m : int
        Number of compartments and of shape parameters.

    Returns
    -------
    Layout
    """
    p = n + m
    g = MAX_GENERATORS
    sizes = (
        p * p, p, m * m, m, m, n, n, m, m, m * m, m, n * m, n * m, n * n, n * n,
        n, n, m * m, m, m, m, m, m, m, m, 2 * n, g * n, g * g, g, g, g, 2 * g, g * g,
        m, n, m * m, m, m, m, n, n, p * p, 3 * MAX_STARTS,
    )  # fmt: skip
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    # The part of the dictionary begins where a vector does.
    starts[-1] = -(-starts[-1] // 8) * 8
    return Layout(n, m, *starts)


class Option(NamedTuple):
    """Positions in the options array."""

    degrees: int = 0
    atoms: int = 1  # columns of the table of atoms, padded
    outer: int = 2  # number of tuples of all compartments but the last
    inner: int = 3  # atoms of the last compartment
    width: int = 4  # the same, padded
    parameters: int = 5  # where in the table the shapes of the atoms begin
    norms: int = 6
    neighbours: int = 7
    tuples: int = 8
    plain: int = 9  # whether the fractions may be anything from 0 to 1, and S0 from 0 on
    pairs: int = 10  # number of ordered pairs
    first: int = (
        11  # first atom, number of atoms, first shape and number of shapes, by compartment
    )
    pair: int = 27  # smaller and larger shape, how alike their compartments are: 8 x 3
    ranks: int = 51  # where in the table the order begins in which atoms were chosen
    usual: int = 52  # where in the table the middle of the usual values of every shape stands
    hope: int = 53  # what a descent hopes for, in promises of its next step
    size: int = 54


class Problem(NamedTuple):
    """What a separable fit is asked in one voxel.

    Attributes
    ----------
    x : ndarray, shape (n_variables, n_rows)
        Acquisition variables.
    root_weight, signal : ndarray, shape (n_rows,)
        Square roots of the weights, signal.
    plain : bool
        Whether all amplitudes >= 0 are allowed.
    options, table, work : ndarray
        Of `ivimkit.kernels.separable.dictionary.plan`; bounds stand in the scratch.
    """

    x: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    signal: NDArray[np.float64]
    plain: bool
    options: NDArray[np.float64]
    table: NDArray[np.float64]
    work: NDArray[np.float64]
