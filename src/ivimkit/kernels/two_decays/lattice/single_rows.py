"""The rows of the part of a lattice's scratch that is in single precision."""

from __future__ import annotations

from ivimkit.kernels.two_decays.lattice.scratch_rows import MAX_NODES, ROW

__all__ = [
    "BASE",
    "COLUMN",
    "CUT",
    "DOT",
    "DOT_SLOPE",
    "DROP_SUM",
    "FAST_AREA",
    "FAST_REACHED",
    "FAST_SQUARES",
    "FAST_SUMS",
    "HIGH",
    "INVERSE_SUM",
    "KNOT_PART",
    "LEAST",
    "LINE_SUM",
    "LOW",
    "MASS",
    "NORM",
    "NORM_CURVE",
    "NORM_SLOPE",
    "N_NODE_SUMS",
    "OFFSET",
    "PAIR_MASS",
    "PRIOR_VALUE",
    "REACH",
    "REACH_INNER",
    "REACH_OUTER",
    "S0_SQUARES",
    "S0_SUMS",
    "SLOPE",
    "SLOW_REACHED",
    "SLOW_SUMS",
    "VALUE",
]

# Rows of the nodes of the fraction: offset from the centre, part of the way between two knots of
# the prior, prior, posterior.
OFFSET, KNOT_PART, PRIOR_VALUE, VALUE = (n * ROW for n in range(4))
# Rows of sums of the posterior w, for each node of the fraction: over the fast rates, and over all
# pairs w, d w and d^2 w with the distance d of the fast rate from a centre, the same of the slow
# rate, e w and e^2 w with the distance e of S0, w / q, and w times the drop of the logarithm.
LINE_SUM, MASS, FAST_SUMS, FAST_SQUARES, SLOW_SUMS = (n * ROW for n in range(4, 9))
S0_SUMS, S0_SQUARES, INVERSE_SUM, DROP_SUM = (n * ROW for n in range(9, 13))
N_NODE_SUMS = 9
# Rows of a coarse lattice: largest gain of each slow and each fast rate; gains of a row; which
# nodes have two neighbours, which count.
SLOW_REACHED, FAST_REACHED, REACH, REACH_INNER, REACH_OUTER = (n * ROW for n in range(4, 9))
# Lengths of the steps of the fast rates, before sums are made.
FAST_AREA = 4 * ROW
# Numbers of the pairs of rates, see `pairs`: a slow rate in each row.
_PAIR = MAX_NODES * ROW
BASE, SLOPE, CUT, NORM, NORM_SLOPE, NORM_CURVE, DOT, DOT_SLOPE, LEAST, LOW, HIGH, PAIR_MASS = (
    13 * ROW + n * _PAIR for n in range(12)
)
COLUMN = 13 * ROW + 12 * _PAIR
"""The prior of a pair at all knots of the fraction, as many as there are."""
