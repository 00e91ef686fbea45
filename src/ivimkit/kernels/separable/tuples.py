"""Which tuples of atoms a fit begins from: the half of the search that a dictionary does.

Every tuple of atoms of the dictionary, one of each compartment, explains a share of the signal. A
tuple that none of its neighbours beats is a summit; the best tuple of an atom that lies far from
the others may hide a basin between its neighbours.

These are templates: the functions and the layout of a model are put in. What all tuples explain
stands in the scratch behind the products of the signal with all atoms, a row for each tuple of all
compartments but the last; behind the rows stands the greatest value of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.kernels.device import inlined
from ivimkit.kernels.separable.amplitudes import find_corners, solve_amplitudes
from ivimkit.kernels.separable.descent import APART
from ivimkit.kernels.separable.layout import MAX_STARTS, Option, layout

__all__ = [
    "NEIGHBOURS",
    "entering_atom",
    "explain",
    "far_tuples",
    "highest_tuple",
    "place_atom",
    "place_tuple",
    "project",
    "put_in_order",
    "summits",
]

# Templates' constants.
AT = layout(1, 1)
_OPTION = Option()

NEIGHBOURS = 6
"""Neighbours of every atom in the dictionary."""

# How many atoms of a compartment, the furthest from each other, are far ones; it is divided by the
# number of compartments besides the reference, so that there are about as many for every model.
_FAR = 3.0


def sums(*_: Any) -> float:
    """Stand for the pass over the measurements of a model."""
    raise AssertionError("a template: the functions of a structure are put in")


def curve(*_: Any) -> float:
    """Stand for the signal of a model in one measurement."""
    raise AssertionError("a template: the functions of a structure are put in")


def gains(*_: Any) -> None:
    """Stand for the function that computes what all tuples explain."""
    raise AssertionError("a template: the functions of a structure are put in")


@inlined
def _add_products(
    s0: float, s1: float, s2: float, s3: float,
    r0: NDArray[np.float64], r1: NDArray[np.float64],
    r2: NDArray[np.float64], r3: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:  # fmt: skip
    for k in range(out.size):
        out[k] += (s0 * r0[k] + s1 * r1[k]) + (s2 * r2[k] + s3 * r3[k])


def project(
    x: NDArray[np.float64],
    signal: NDArray[np.float64],
    less: bool,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write the products of the signal, or of what a fit leaves of it, with all atoms."""
    n_atoms = int(options[_OPTION.atoms])
    out = work[AT.size : AT.size + n_atoms]
    for k in range(n_atoms):
        out[k] = 0.0
    n = signal.size
    for j in range(0, n, 4):
        # Behind the last measurement the first ones are read, which then count nothing.
        j1, j2, j3 = (j + 1) % n, (j + 2) % n, (j + 3) % n
        s0, s1, s2, s3 = signal[j], signal[j1], signal[j2], signal[j3]
        if less:
            s0 -= curve(x, j, work, AT.other, AT.other_a)
            s1 -= curve(x, j1, work, AT.other, AT.other_a)
            s2 -= curve(x, j2, work, AT.other, AT.other_a)
            s3 -= curve(x, j3, work, AT.other, AT.other_a)
        _add_products(
            s0, s1 if j + 1 < n else 0.0, s2 if j + 2 < n else 0.0, s3 if j + 3 < n else 0.0,
            table[j * n_atoms : (j + 1) * n_atoms],
            table[j1 * n_atoms : (j1 + 1) * n_atoms],
            table[j2 * n_atoms : (j2 + 1) * n_atoms],
            table[j3 * n_atoms : (j3 + 1) * n_atoms],
            out,
        )  # fmt: skip


def place_tuple(
    o: int,
    i: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write the shapes of a tuple, moved inside the bounds and into their order, to `AT.to`."""
    rest = o
    for k in range(AT.n - 1, -1, -1):
        place = _OPTION.first + 4 * k
        index = i
        if k < AT.n - 1:
            count = int(options[place + 1])
            index = rest % count
            rest = rest // count
        place_atom(k, index, options, table, work)
    put_in_order(options, work)


def place_atom(
    k: int,
    index: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write the shapes of an atom of compartment k, inside the bounds, to `AT.to`."""
    place = _OPTION.first + 4 * k
    first_shape = int(options[place + 2])
    atom = int(options[_OPTION.parameters]) + int(options[place]) + index
    for r in range(int(options[place + 3])):
        q = first_shape + r
        value = table[atom + r * int(options[_OPTION.atoms])]
        work[AT.to + q] = min(max(value, work[AT.low + q]), work[AT.high + q])


def put_in_order(options: NDArray[np.float64], work: NDArray[np.float64]) -> None:
    """Move larger shapes above their partners, and partners below them where that is too much."""
    for number in range(int(options[_OPTION.pairs]) - 1, -1, -1):
        k = int(options[_OPTION.pair + 3 * number])
        i = int(options[_OPTION.pair + 3 * number + 1])
        above = max(work[AT.to + i], APART * work[AT.to + k])
        work[AT.to + i] = min(above, work[AT.high + i])
        work[AT.to + k] = max(min(work[AT.to + k], work[AT.to + i] / APART), work[AT.low + k])


def explain(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    plain: bool,
    energy: float,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write what every tuple explains, behind the products with the atoms."""
    if not plain:
        corners = find_corners(0, work)
        _explain_exactly(x, root_weight, signal, energy, corners, options, table, work)
        return
    project(x, signal, False, options, table, work)
    n_atoms, n_outer = int(options[_OPTION.atoms]), int(options[_OPTION.outer])
    width = int(options[_OPTION.width])
    rows = AT.size + n_atoms
    tops = rows + n_outer * width
    gains(
        work[AT.size : rows],
        options,
        table,
        n_outer,
        width,
        work[rows:tops],
        work[tops : tops + n_outer],
    )


def _explain_exactly(
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    signal: NDArray[np.float64],
    energy: float,
    corners: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None:
    """Write what every tuple explains where bounds or given shapes are the voxel's own."""
    n_outer, width = int(options[_OPTION.outer]), int(options[_OPTION.width])
    out = AT.size + int(options[_OPTION.atoms])
    for k in range(AT.n):
        work[AT.a + k] = 0.0
    for o in range(n_outer):
        top = 0.0
        for i in range(width):
            gain = 0.0
            if i < int(options[_OPTION.inner]):
                place_tuple(o, i, options, table, work)
                cost = sums(x, root_weight, signal, work)
                gain = energy - cost - solve_amplitudes(corners, False, work)
            work[out + o * width + i] = gain
            top = max(top, gain)
        work[out + n_outer * width + o] = top


def _best_in_row(o: int, options: NDArray[np.float64], work: NDArray[np.float64]) -> int:
    """Return the atom of the last compartment with which a tuple explains most."""
    row = AT.size + int(options[_OPTION.atoms]) + o * int(options[_OPTION.width])
    best = 0
    for i in range(int(options[_OPTION.inner])):
        if work[row + i] > work[row + best]:
            best = i
    return best


def highest_tuple(options: NDArray[np.float64], work: NDArray[np.float64]) -> tuple[int, int]:
    """Return the tuple that explains most."""
    n_outer, width = int(options[_OPTION.outer]), int(options[_OPTION.width])
    rows = AT.size + int(options[_OPTION.atoms])
    tops = rows + n_outer * width
    outer = 0
    for o in range(n_outer):
        if work[tops + o] > work[tops + outer]:
            outer = o
    return outer, _best_in_row(outer, options, work)


def _is_summit(
    o: int,
    i: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> bool:
    """Return whether no neighbour in one compartment explains more than a tuple."""
    n_atoms, width = int(options[_OPTION.atoms]), int(options[_OPTION.width])
    neighbours = int(options[_OPTION.neighbours])
    here_at = AT.size + n_atoms + o * width + i
    here = work[here_at]
    # One step to the next atom of a compartment is so many numbers further.
    step, rest, index = 1, o, i
    for k in range(AT.n - 1, -1, -1):
        place = _OPTION.first + 4 * k
        if k < AT.n - 1:
            count = int(options[place + 1])
            index = rest % count
            rest = rest // count
        near = neighbours + int(options[place]) + index
        for r in range(NEIGHBOURS):
            other = int(table[near + r * n_atoms])
            if other >= 0 and work[here_at + (other - index) * step] > here:
                return False
        step = width if k == AT.n - 1 else step * count
    return True


def _insert(gain: float, o: int, i: int, found: int, work: NDArray[np.float64]) -> int:
    """Put a tuple into the list of starts, the one that explains most first."""
    at = found if found < MAX_STARTS else MAX_STARTS - 1
    while at > 0 and gain > work[AT.starts + 3 * (at - 1)]:
        for c in range(3):
            work[AT.starts + 3 * at + c] = work[AT.starts + 3 * (at - 1) + c]
        at -= 1
    work[AT.starts + 3 * at] = gain
    work[AT.starts + 3 * at + 1] = o
    work[AT.starts + 3 * at + 2] = i
    return min(found + 1, MAX_STARTS)


def summits(
    enough: float,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> int:
    """List the summits that explain enough, the highest first; return their number."""
    found = 0
    n_outer, width = int(options[_OPTION.outer]), int(options[_OPTION.width])
    rows = AT.size + int(options[_OPTION.atoms])
    tops = rows + n_outer * width
    for o in range(n_outer):
        if not work[tops + o] > enough:
            continue
        for i in range(int(options[_OPTION.inner])):
            here = work[rows + o * width + i]
            if not here > enough:
                continue
            if found == MAX_STARTS and not here > work[AT.starts + 3 * (found - 1)]:
                continue
            if not _is_summit(o, i, options, table, work):
                continue
            found = _insert(here, o, i, found, work)
    return found


def far_tuples(
    enough: float,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> int:
    """List the best tuples of a few atoms each, that may hide a basin between their neighbours.

    The atoms are those of which the dictionary of a compartment was made first: the one in the
    middle, and those the furthest from it and from each other, mostly on bounds.
    """
    found = 0
    n_outer, width = int(options[_OPTION.outer]), int(options[_OPTION.width])
    rows = AT.size + int(options[_OPTION.atoms])
    tops = rows + n_outer * width
    stride = 1
    for k in range(AT.n - 2, -1, -1):
        first = int(options[_OPTION.ranks]) + int(options[_OPTION.first + 4 * k])
        count = int(options[_OPTION.first + 4 * k + 1])
        for c in range(count):
            if table[first + c] * (AT.n - 1) >= _FAR:
                continue
            best, outer = enough, -1
            for block in range(c * stride, n_outer, count * stride):
                for o in range(block, block + stride):
                    if work[tops + o] > best:
                        best, outer = work[tops + o], o
            if outer >= 0:
                found = _insert(best, outer, _best_in_row(outer, options, work), found, work)
        stride *= count
    return found


def entering_atom(
    k: int,
    options: NDArray[np.float64],
    table: NDArray[np.float64],
    work: NDArray[np.float64],
) -> tuple[int, float]:
    """Return the atom of compartment k that lowers the cost most, and its slope squared."""
    place = _OPTION.first + 4 * k
    first, count = int(options[place]), int(options[place + 1])
    norms = int(options[_OPTION.norms]) + first
    entering, steepest = -1, 0.0
    for i in range(count):
        slope = work[AT.size + first + i] * table[norms + i]
        if slope > steepest:
            entering, steepest = i, slope
    return entering, steepest * steepest
