"""Positions of the numbers of a posterior in the options of its method.

Python writes them and kernels read them by these names.
"""

from __future__ import annotations

from ivimkit.kernels.noise_floor import N_FLOOR
from ivimkit.kernels.two_decays.option_positions import OWN

__all__ = [
    "ESTIMATE",
    "FLOOR_NOISE",
    "FLOOR_TABLE",
    "IS_FLAT",
    "LOG_DENSITY",
    "NOISE_DEGREES",
    "NOISE_SCALE",
    "N_FAST_KNOTS",
    "N_FRACTION_KNOTS",
    "N_SLOW_KNOTS",
    "N_VALUES",
    "POWER_CONSTANT",
    "PRIOR",
    "TAKES_FLOOR_OFF",
    "WRITES_BASIS",
    "WRITES_MOMENTS",
]

ESTIMATE = OWN
"""The estimate in the maps: 0 the mean, 1 the median, 2 the mode."""

NOISE_DEGREES, NOISE_SCALE = OWN + 1, OWN + 2
"""Degrees of freedom and scale of the distribution of the noise variance."""

N_VALUES = OWN + 3
"""Number of values with a weight."""

N_SLOW_KNOTS, N_FAST_KNOTS, N_FRACTION_KNOTS = OWN + 4, OWN + 5, OWN + 6
"""Numbers of knots of the prior."""

IS_FLAT, LOG_DENSITY = OWN + 7, OWN + 8
"""Whether the prior is flat, and the logarithm of its density then."""

POWER_CONSTANT = OWN + 9
"""Constant added to the evidence where the noise variance is integrated out."""

WRITES_BASIS, TAKES_FLOOR_OFF = OWN + 10, OWN + 11
"""Whether the integrals with the functions of the knots are written; whether the noise floor is
subtracted."""

WRITES_MOMENTS = OWN + 12
"""Whether the moments of the logarithms are written, instead of a summary."""

FLOOR_NOISE = OWN + 13
"""Noise of one volume that sizes the noise floor, a.u.; 0 for that of the voxel."""

FLOOR_TABLE = OWN + 14
"""`ivimkit.kernels.noise_floor.excess_table`."""

PRIOR = FLOOR_TABLE + N_FLOOR
"""The arrays of the prior: knots, marginals and density, as `read_prior` finds them."""
