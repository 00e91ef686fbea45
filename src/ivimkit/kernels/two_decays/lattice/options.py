"""Where the numbers of a posterior stand among the options of its method."""

from __future__ import annotations

from ivimkit.kernels.noise_floor import N_FLOOR

__all__ = [
    "ARRAYS",
    "CONSTANT",
    "DEGREES",
    "ESTIMATE",
    "FLOOR_TABLE",
    "IS_FLAT",
    "N_KNOTS",
    "N_VALUES",
    "POWER_CONSTANT",
    "ROWS",
    "SCALE",
    "WRITES_BASIS",
]

# Own options, from EXTRA on; the arrays of the prior begin at _ARRAYS.
ROWS, ESTIMATE, DEGREES, SCALE, N_VALUES = 0, 1, 2, 3, 4
N_KNOTS, IS_FLAT, CONSTANT, POWER_CONSTANT, WRITES_BASIS, TAKES_FLOOR_OFF = 5, 8, 9, 10, 11, 12
FLOOR_TABLE = 13
ARRAYS = FLOOR_TABLE + N_FLOOR
