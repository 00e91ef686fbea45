"""The profile of the dictionary for a group of voxels, one in each SIMD lane.

The formulas are those of `ivimkit.kernels.two_decays.profile`, with loops over lanes inside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import finite, inlined, pasted
from ivimkit.kernels.memory import padded_in_kernel
from ivimkit.kernels.two_decays.atoms import FIRST_TERM, MOMENTS
from ivimkit.kernels.two_decays.fitted_decays import Box
from ivimkit.kernels.two_decays.lane_arrays import Chunk, Lanes
from ivimkit.kernels.two_decays.lanes import LANES, SCRATCH
from ivimkit.kernels.two_decays.profile import Place

__all__ = [
    "N_GROUPS",
    "find_gains",
    "find_group_profile",
    "first_row",
    "memory_rows",
    "place_in_memory",
    "project_group",
]

# The gains of a group are kept until the last of its voxels is done: in the worst case every lane
# has a voxel of another group, and one more group is being filled.
N_GROUPS = LANES + 1


def memory_rows(n_b: int, n1: int, n2: int, n_columns: int) -> int:
    """Return how many rows of `LANES` numbers the search needs as scratch.

    Parameters
    ----------
    n_b : int
        Number of b-values, padded.
    n1, n2 : int
        Number of slow and of fast rates in the dictionary.
    n_columns : int
        Columns of its table.

    Returns
    -------
    int
    """
    return 2 * n_b + n_columns + n1 + 1 + N_GROUPS * (n1 + 1) * n2


@inlined
def _first_gains(chunk: Chunk) -> int:
    """Return the row behind the signals in lanes and of the group, inner products and tops."""
    first: int = 2 * chunk.b.size + chunk.table.shape[1] + chunk.n_slow + 1
    return first


@inlined
def first_row(group: int, chunk: Chunk) -> int:
    """Return the row of memory in which the gains of a group begin."""
    return _first_gains(chunk) + group * (chunk.n_slow + 1) * chunk.n_fast


@pasted
def project_group(chunk: Chunk, lanes: Lanes) -> None:
    """Write the inner products of a group's signals with all decays behind the signals.

    Four b-values by four decays at a time: each number that is loaded is used four times.
    """
    table, memory, state = chunk.table, lanes.memory, lanes.state
    n_b = chunk.b.size
    first = int(table[MOMENTS, 2]) - n_b
    for c in range(0, table.shape[1], 4):
        for k in range(4 * LANES):
            state[SCRATCH + k] = 0.0
        for j in range(0, n_b, 4):
            row = first + j
            a0, a1, a2, a3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            row += 1
            b0, b1, b2, b3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            row += 1
            c0, c1, c2, c3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            row += 1
            d0, d1, d2, d3 = table[row, c], table[row, c + 1], table[row, c + 2], table[row, c + 3]
            for k in range(LANES):
                s0 = memory[n_b + j, k]
                s1 = memory[n_b + j + 1, k]
                s2 = memory[n_b + j + 2, k]
                s3 = memory[n_b + j + 3, k]
                state[SCRATCH + k] += (s0 * a0 + s1 * b0) + (s2 * c0 + s3 * d0)
                state[SCRATCH + LANES + k] += (s0 * a1 + s1 * b1) + (s2 * c1 + s3 * d1)
                state[SCRATCH + 2 * LANES + k] += (s0 * a2 + s1 * b2) + (s2 * c2 + s3 * d2)
                state[SCRATCH + 3 * LANES + k] += (s0 * a3 + s1 * b3) + (s2 * c3 + s3 * d3)
        for k in range(LANES):
            memory[2 * n_b + c, k] = state[SCRATCH + k]
            memory[2 * n_b + c + 1, k] = state[SCRATCH + LANES + k]
            memory[2 * n_b + c + 2, k] = state[SCRATCH + 2 * LANES + k]
            memory[2 * n_b + c + 3, k] = state[SCRATCH + 3 * LANES + k]


@finite
def find_gains(chunk: Chunk, box: Box, first: int, memory: NDArray[np.float64]) -> None:
    """Write what each pair of decays explains to the rows from `first` on.

    This and `_find_profile` are `ivimkit.kernels.two_decays.profile.find_profile`.
    """
    table, n1, n2 = chunk.table, chunk.n_slow, chunk.n_fast
    f_low, f_high = box.f_low, box.f_high
    dots = 2 * chunk.b.size
    n1_padded = padded_in_kernel(n1)
    for i in range(n1):
        row = FIRST_TERM + i
        for j in range(n2):
            inverse_high, inverse_cross = table[row, j], table[row + n1, j]
            inverse_low = table[row + 2 * n1, j]
            single_low, single_high = table[row + 3 * n1, j], table[row + 4 * n1, j]
            for k in range(LANES):
                p1 = memory[dots + i, k]
                p2 = memory[dots + n1_padded + j, k]
                low = (1.0 - f_low) * p1 + f_low * p2
                high = (1.0 - f_high) * p1 + f_high * p2
                x = inverse_high * low - inverse_cross * high
                y = inverse_low * high - inverse_cross * low
                both = x * low + y * high
                low = low if low > 0.0 else 0.0
                high = high if high > 0.0 else 0.0
                one_low = low * low * single_low
                one_high = high * high * single_high
                one = one_low if one_low > one_high else one_high
                least = x if x < y else y
                memory[first + i * n2 + j, k] = both if least > 0.0 else one


@finite
def find_group_profile(chunk: Chunk, first: int, memory: NDArray[np.float64]) -> None:
    """Write what each fast decay explains with the best slow rate behind the gains.

    The best one so far has a row for each slow rate, from `tops` on: where the same place is read
    and written, the compiler writes with a mask, and the next read waits for it.
    """
    n1, n2 = chunk.n_slow, chunk.n_fast
    tops = _first_gains(chunk) - (n1 + 1)
    for j in range(n2):
        for k in range(LANES):
            memory[tops, k] = 0.0
        for i in range(n1):
            here = first + i * n2 + j
            if 0 < i < n1 - 1:
                for k in range(LANES):
                    gain = memory[here, k]
                    left = gain - memory[here - n2, k]
                    right = gain - memory[here + n2, k]
                    lean = left - right if left > right else right - left
                    summit = gain + 0.125 * lean * lean / (left + right)
                    gain = summit if lean < 2.0 * (left + right) else gain
                    top = memory[tops + i, k]
                    memory[tops + i + 1, k] = gain if gain > top else top
            else:
                for k in range(LANES):
                    gain = memory[here, k]
                    top = memory[tops + i, k]
                    memory[tops + i + 1, k] = gain if gain > top else top
        for k in range(LANES):
            memory[first + n1 * n2 + j, k] = memory[tops + n1, k]


@inlined
def place_in_memory(group: int, column: int, chunk: Chunk) -> Place:
    """Return where the gains of a voxel are."""
    n1, n2 = chunk.n_slow, chunk.n_fast
    first = first_row(group, chunk)
    return first, n2, 1, first + n1 * n2, column, 0
