"""The rows of the scratch array of a lattice."""

from __future__ import annotations

__all__ = [
    "CROSS_PRODUCT",
    "FAST_KNOT",
    "FAST_MARGINAL",
    "FAST_NORM",
    "FAST_PART",
    "FAST_PRODUCT",
    "FAST_RATE",
    "FAST_SQUARE",
    "FAST_STEP",
    "FAST_SUM",
    "FLOW_SQUARE",
    "FRACTION",
    "FRACTION_FAST",
    "FRACTION_KNOT",
    "FRACTION_MARGINAL",
    "FRACTION_PART",
    "FRACTION_SLOW",
    "FRACTION_SQUARE",
    "FRACTION_STEP",
    "FRACTION_SUM",
    "GAIN",
    "HIGH_FRACTION",
    "INVERSE_NORM",
    "LOGIT",
    "LOW_FRACTION",
    "MAX_NODES",
    "N_FRACTIONS",
    "N_SCRATCH_ROWS",
    "N_SUMS",
    "ROW_LENGTH",
    "S0_SQUARE",
    "S0_SUM",
    "SLOW_FAST",
    "SLOW_KNOT",
    "SLOW_MARGINAL",
    "SLOW_NORM",
    "SLOW_PART",
    "SLOW_PRODUCT",
    "SLOW_RATE",
    "SLOW_SQUARE",
    "SLOW_STEP",
    "SLOW_SUM",
    "SUMS",
    "TOTAL",
    "VALUE",
]

ROW_LENGTH = 32
"""Numbers per row of scratch."""
# Nodes of the fraction.
N_FRACTIONS = 24
MAX_NODES = 32
# Rows of scratch: rates, their products with the signal, norms, position among the knots of the
# prior (index and part of the way to the next), lengths of the steps; marginals.
SLOW_RATE, SLOW_PRODUCT, SLOW_NORM, SLOW_KNOT, SLOW_PART, SLOW_STEP = 0, 1, 2, 3, 4, 5
FAST_RATE, FAST_PRODUCT, FAST_NORM, FAST_KNOT, FAST_PART, FAST_STEP = 6, 7, 8, 9, 10, 11
FRACTION, FRACTION_KNOT, FRACTION_PART, FRACTION_STEP = 12, 13, 14, 15
SLOW_MARGINAL, FAST_MARGINAL, FRACTION_MARGINAL = 16, 17, 18
"""Rows of the marginals of slow rate, logarithm of the fast rate and fraction."""
VALUE = 19
SUMS = 20
"""Row of the sums that `integrate` returns; their columns:"""
(
    TOTAL, SLOW_SUM, SLOW_SQUARE, FRACTION_SUM, FRACTION_SQUARE, FAST_SUM, FAST_SQUARE,
    FRACTION_SLOW, FRACTION_FAST, SLOW_FAST, FLOW_SQUARE, S0_SUM, S0_SQUARE, INVERSE_NORM, GAIN,
) = range(15)  # fmt: skip
"""Sums of 1, r1, r1^2, f, f^2, r2, r2^2, f r1, f r2, r1 r2, (f r2)^2, S0, S0^2, 1/q, c^2/q."""
N_SUMS = 15
CROSS_PRODUCT = 21
LOW_FRACTION = CROSS_PRODUCT + MAX_NODES
HIGH_FRACTION = LOW_FRACTION + MAX_NODES
LOGIT = HIGH_FRACTION + MAX_NODES
"""Row of ln(f / (1 - f)) at the nodes, where it is needed."""
N_SCRATCH_ROWS = LOGIT + 1
"""Number of rows of scratch."""
