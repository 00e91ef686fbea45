"""What a protocol fixes for all voxels: a dictionary of atoms, and of tuples of them.

For a given signal only its inner products with each atom are needed; a tuple of atoms, one of each
compartment, is then a problem in its amplitudes whose inverse Gram matrix stands here. The atoms
of a compartment are chosen from a fine grid of its shapes, each time the one that is furthest, in
angle, from all chosen before: that covers evenly whatever the protocol can tell apart. Where a
compartment has too many shapes for a grid, it declares the points to choose from itself. All
compartments are covered to the same angle.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from types import FunctionType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.kernels import exponential
from ivimkit.kernels.separable.descent import APART
from ivimkit.kernels.separable.layout import MAX_ATOMS, OTHER_ATOM, STRIDE, Option
from ivimkit.kernels.separable.structure import Part, Structure
from ivimkit.kernels.separable.tuples import NEIGHBOURS

__all__ = ["plan"]

_OPTION = Option()
_LANES = 4
# Most tuples, by the number of compartments, and most atoms of one.
_TUPLES = {1: 200, 2: 1200, 3: 1200, 4: 2000}
# Angles count less for compartments that are the smaller part of the signal, and outside the range
# in which shapes usually are.
_LESS = 0.5
_UNUSUAL = 0.3
_LEAST_ATOMS = 3
# Points of the fine grid, and the least of them, relative to the largest, of a logarithm.
_FINE = 1500
_SMALL = 1e-3
# Atoms that are further apart than so many times the radius of the cover are no neighbours.
_NEAR = 3.0
# How many times what its next step promises a descent hopes for: see `descent`. Where compartments
# are alike, most starts lead to a basin that is known already.
_HOPE_ALIKE, _HOPE_OTHER = 3.0, 8.0
# Distance of unit vectors that is rounding.
_ALIKE = 1e-7
# Condition of a normalised Gram matrix beyond which a tuple has fewer atoms than compartments.
_SINGULAR = 1e9


@dataclass(frozen=True)
class _Atoms:
    """Atoms of one compartment: shapes (n, n_shape), values (n, n_rows).

    `radius` is how far atoms are from the first so many chosen, `rank` which place each had.
    """

    shapes: NDArray[np.float64]
    values: NDArray[np.float64]
    radius: NDArray[np.float64]
    rank: NDArray[np.intp]


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as NumPy computes it, with arrays in place of numbers."""
    known: dict[Any, Any] = {exponential.exp: np.exp, exponential.log: np.log}
    if function in known:
        return cast(Callable[..., Any], known[function])
    plain: Any = getattr(function, "py_func", function)
    inside = {
        name: _plain(value)
        for name in plain.__code__.co_names
        if hasattr(value := plain.__globals__.get(name), "py_func")
        or isinstance(value, FunctionType)
    }
    return FunctionType(
        plain.__code__,
        {**plain.__globals__, **inside},
        plain.__name__,
        plain.__defaults__,
        plain.__closure__,
    )


def evaluate(
    part: Part, x: NDArray[np.float64], shapes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the values of an atom, shape (n, n_rows), for rows of shapes."""
    variables = [x[c] for c in part.columns]
    function = _plain(part.atom)
    with np.errstate(all="ignore"):
        try:
            p: Any = tuple(shapes[:, i, None] for i in range(part.n_shape))
            value = function(*variables, p)
            value = value[0] if part.slopes else value
            values = np.broadcast_to(value, (len(shapes), x.shape[1]))
        except (TypeError, ValueError):
            # It asks for the size of a number: one at a time.
            called: Any = part.atom
            columns = list(zip(*(v.tolist() for v in variables), strict=True))
            rows = [[called(*column, tuple(row)) for column in columns] for row in shapes.tolist()]
            values = np.array([[r[0] if part.slopes else r for r in row] for row in rows])
    return np.array(values, dtype=np.float64)


def _axis(low: float, high: float, logarithmic: bool, n: int) -> NDArray[np.float64]:
    if low == high:
        return np.array([low])
    if not logarithmic:
        return np.linspace(low, high, n)
    return np.geomspace(max(low, _SMALL * high), high, n)


def _fine(bounds: list[tuple[float, float, bool]]) -> NDArray[np.float64]:
    """Return many points of a box: a grid, or in many dimensions a sequence that fills it."""
    free = sum(low < high for low, high, _ in bounds)
    if free <= 3:
        n = math.ceil(_FINE ** (1.0 / max(free, 1)))
        axes = [_axis(*bound, n) for bound in bounds]
        return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
    # Kronecker's sequence of the generalised golden ratio.
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (len(bounds) + 1))
    steps = (1.0 / ratio) ** np.arange(1, len(bounds) + 1)
    unit = (0.5 + np.outer(np.arange(2 * _FINE), steps)) % 1.0
    grid = [_axis(*bound, 1001) for bound in bounds]
    return np.stack(
        [np.interp(u, np.linspace(0, 1, len(a)), a) for u, a in zip(unit.T, grid, strict=True)],
        axis=1,
    )


def _declared(
    candidates: Callable[..., Any], bounds: list[tuple[float, float, bool]]
) -> NDArray[np.float64]:
    """Return the points that a compartment declares itself, moved inside the bounds."""
    low, high = np.array([bound[:2] for bound in bounds]).T
    points = np.asarray(candidates(low, high), dtype=np.float64)
    if points.ndim != 2 or points.shape[0] < 1 or points.shape[1] != len(bounds):
        raise OptionError(
            f"the candidates of a compartment have shape {points.shape}; expected (n, "
            f"{len(bounds)}), rows of its shape parameters"
        )
    return np.unique(np.clip(points, low, high), axis=0)


def _distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distances of unit vectors."""
    return np.asarray(np.sqrt(np.maximum(2.0 - 2.0 * (first @ second), 0.0)))


def _chosen(
    part: Part,
    bounds: list[tuple[float, float, bool]],
    x: NDArray[np.float64],
    root_weight: NDArray[np.float64],
    usual_low: NDArray[np.float64],
    usual_high: NDArray[np.float64],
) -> _Atoms:
    """Choose atoms of a compartment, the furthest from all others first."""
    if not part.n_shape:
        shapes = np.zeros((1, 0))
        return _Atoms(shapes, evaluate(part, x, shapes), np.zeros(1), np.arange(1))
    shapes = _fine(bounds) if part.candidates is None else _declared(part.candidates, bounds)
    values = evaluate(part, x, shapes)
    with np.errstate(all="ignore"):
        weighted = values * root_weight
        norm = np.linalg.norm(weighted, axis=1)
    good = np.isfinite(norm) & (norm > 1e-100) & (norm < 1e100)
    if not good.any():
        raise ValueError("an atom is 0, infinite or NaN wherever its bounds allow")
    shapes, values = shapes[good], values[good]
    unit = weighted[good] / norm[good, None]
    order: list[int] = []
    radius: list[float] = []
    # The middle of all first, then the furthest from what there is.
    nearest = np.full(len(unit), np.inf)
    usual = (shapes >= usual_low) & (shapes <= usual_high)
    # Minima are often on bounds: those are usual, too.
    for end in np.array([bound[:2] for bound in bounds]).T:
        usual |= np.isclose(shapes, end, rtol=1e-9, atol=0.0)
    usual = usual.all(axis=1)
    worth = np.where(usual, 1.0, _UNUSUAL)
    following = int(np.argmin(np.linalg.norm(unit - unit.mean(axis=0), axis=1)))
    while len(order) < min(MAX_ATOMS, len(unit)):
        order.append(following)
        nearest = np.minimum(nearest, _distance(unit, unit[following]))
        following = int(np.argmax(nearest * worth))
        radius.append(float(nearest[following] * worth[following]))
        if radius[-1] < _ALIKE:
            break
    return _Atoms(shapes[order], values[order], np.array(radius), np.arange(len(order)))


def _counts(atoms: list[_Atoms], most: int) -> list[int]:
    """Return how many atoms of each compartment cover all to the same angle."""
    angles = np.unique(np.concatenate([a.radius for a in atoms]))
    numbers = []
    for k, a in enumerate(atoms):
        scaled = np.sort(a.radius * (1.0 if k == len(atoms) - 1 else _LESS))
        beyond = scaled.size - np.searchsorted(scaled, angles, side="right")
        numbers.append(np.maximum(beyond, min(_LEAST_ATOMS, scaled.size)))
    few = np.flatnonzero(np.prod(numbers, axis=0) <= most)
    chosen = few[0] if few.size else -1
    return [int(own[chosen]) for own in numbers]


def plan(
    structure: Structure,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Compute what is the same for all voxels.

    Parameters
    ----------
    structure : Structure
        The model.
    lower, upper : ndarray, shape (n_parameters,)
        Bounds of S0, then fraction and shapes by compartment; equal ones fix a parameter.
    x : ndarray, shape (n_variables, n_rows)
        Acquisition variables.
    weight : ndarray, shape (n_rows,)
        Weights; zero for padding.

    Returns
    -------
    options : ndarray, shape (n_options,)
        Numbers that the compiled functions read by `Option`.
    table : ndarray, shape (n,)
        The dictionary.
    n_scratch : int
        Doubles of scratch that a fit needs; it does not depend on the number of rows.
    """
    arrays = (lower, upper, x, weight)
    return _planned(
        structure, x.shape[0], *(np.ascontiguousarray(a, np.float64).tobytes() for a in arrays)
    )


@functools.lru_cache(maxsize=64)
def _planned(
    structure: Structure,
    n_variables: int,
    lower_bytes: bytes,
    upper_bytes: bytes,
    x_bytes: bytes,
    weight_bytes: bytes,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    lower, upper = np.frombuffer(lower_bytes), np.frombuffer(upper_bytes)
    x, weight = np.frombuffer(x_bytes).reshape(n_variables, -1), np.frombuffer(weight_bytes)
    used = weight > 0.0
    bounds = _shape_bounds(structure, lower, upper)
    atoms = []
    for k, part in enumerate(structure.parts):
        first = structure.first(k)
        own = bounds[first : first + part.n_shape]
        usual = np.array(structure.typical[first : first + part.n_shape]).reshape(-1, 2)
        atoms.append(
            _chosen(part, own, x[:, used], np.sqrt(weight[used]), usual[:, 0], usual[:, 1])
        )
    counts = _counts(atoms, _TUPLES[structure.n])
    angle = max(a.radius[n - 1] for a, n in zip(atoms, counts, strict=True))
    kept = []
    for a, n in zip(atoms, counts, strict=True):
        shapes = a.shapes[:n]
        order = np.lexsort(shapes.T[::-1]) if shapes.shape[1] else np.arange(1)
        values = np.zeros((n, weight.size))
        values[:, used] = a.values[:n][order]
        kept.append(_Atoms(shapes[order], values, a.radius[:n], order))
    free = int((lower < upper).sum())
    options, table, scratch = _tabulated(structure, kept, angle, weight, int(used.sum()) - free)
    options[_OPTION.usual] = table.size
    middle = [sum(pair) / 2.0 for pair in structure.typical]
    return options, np.concatenate([table, middle]), scratch


def _shape_bounds(
    structure: Structure, lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> list[tuple[float, float, bool]]:
    positions: list[int] = []
    position = 1
    for k, part in enumerate(structure.parts):
        position += 1 if k < structure.n - 1 else 0
        positions += range(position, position + part.n_shape)
        position += part.n_shape
    return [
        (float(lower[i]), float(upper[i]), logarithmic)
        for i, logarithmic in zip(positions, structure.logarithmic, strict=True)
    ]


def _padded(n: int) -> int:
    return -(-n // _LANES) * _LANES


def _tabulated(
    structure: Structure,
    atoms: list[_Atoms],
    angle: float,
    weight: NDArray[np.float64],
    degrees: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    counts = [len(a.shapes) for a in atoms]
    firsts = np.concatenate([[0], np.cumsum([_padded(c) for c in counts])]).astype(int)
    n_atoms = int(firsts[-1])
    n_outer, width = math.prod(counts[:-1]), _padded(counts[-1])
    columns = np.zeros((weight.size, n_atoms))
    shapes = np.zeros((max([1, *(p.n_shape for p in structure.parts)]), n_atoms))
    norms = np.zeros((1, n_atoms))
    ranks = np.full((1, n_atoms), np.inf)
    neighbours = np.full((NEIGHBOURS, n_atoms), -1.0)
    for a, first in zip(atoms, firsts, strict=False):
        place = slice(first, first + len(a.shapes))
        columns[:, place] = (a.values * weight).T
        shapes[: a.shapes.shape[1], place] = a.shapes.T
        unit = a.values * np.sqrt(weight)
        norm = np.linalg.norm(unit, axis=1)
        norms[0, place] = 1.0 / norm
        ranks[0, place] = a.rank
        unit = unit / norm[:, None]
        distance = _distance(unit, unit.T)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, 1 : NEIGHBOURS + 1]
        near = np.take_along_axis(distance, nearest, axis=1) < _NEAR * angle
        neighbours[: nearest.shape[1], place] = np.where(near, nearest, -1.0).T
    tuples = _tuple_terms(structure, atoms, weight)
    sections = [columns, shapes, norms, neighbours, tuples, ranks]
    begins = np.concatenate([[0], np.cumsum([s.size for s in sections])])
    options = np.zeros(_OPTION.size)
    options[_OPTION.degrees] = degrees
    options[_OPTION.atoms], options[_OPTION.outer] = n_atoms, n_outer
    options[_OPTION.inner], options[_OPTION.width] = counts[-1], width
    options[[_OPTION.parameters, _OPTION.norms, _OPTION.neighbours, _OPTION.tuples]] = begins[1:5]
    options[_OPTION.ranks] = begins[5]
    options[_OPTION.pairs] = len(structure.ascending)
    alike = bool(structure.ascending) and all(
        structure.kinship(pair) != OTHER_ATOM for pair in structure.ascending
    )
    options[_OPTION.hope] = _HOPE_ALIKE if alike else _HOPE_OTHER
    for k, part in enumerate(structure.parts):
        begin = _OPTION.first + 4 * k
        options[begin : begin + 4] = firsts[k], counts[k], structure.first(k), part.n_shape
    for number, pair in enumerate(structure.ascending):
        begin = _OPTION.pair + 3 * number
        options[begin : begin + 3] = *pair, structure.kinship(pair)
    table = np.concatenate([s.ravel() for s in sections])
    scratch = structure.layout.size + n_atoms + n_outer * width + n_outer
    return options, table, scratch


def _tuple_terms(
    structure: Structure, atoms: list[_Atoms], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return inverse Gram matrices of all tuples, a row an element, and 1 over their diagonals."""
    n = structure.n
    counts = [len(a.shapes) for a in atoms]
    index = np.stack([i.ravel() for i in np.indices(counts)])
    units = [a.values * np.sqrt(weight) for a in atoms]
    norms = [np.linalg.norm(u, axis=1) for u in units]
    units = [u / norm[:, None] for u, norm in zip(units, norms, strict=True)]
    gram = np.ones((index.shape[1], n, n))
    for i in range(n):
        for k in range(i):
            gram[:, i, k] = gram[:, k, i] = (units[i] @ units[k].T)[index[i], index[k]]
    apart = np.ones(index.shape[1], dtype=bool)
    owners = structure.owners
    for slow, fast in structure.ascending:
        low, high = (
            atoms[owners[q]].shapes[index[owners[q]], q - structure.first(owners[q])]
            for q in (slow, fast)
        )
        apart &= high >= APART * low
    eigenvalues = np.linalg.eigvalsh(gram)
    good = apart & (eigenvalues[:, 0] * _SINGULAR > eigenvalues[:, -1])
    gram[~good] = np.eye(n)
    inverse = np.linalg.inv(gram)
    scale = np.stack([1.0 / norms[k][index[k]] for k in range(n)], axis=1)
    inverse *= scale[:, :, None] * scale[:, None, :]
    rows = [inverse[:, i, k] for i, k in combinations_with_replacement(range(n), 2)]
    rows += [1.0 / inverse[:, k, k] for k in range(n)]
    n_outer, inner = math.prod(counts[:-1]), counts[-1]
    terms = np.zeros((n_outer, len(rows), STRIDE))
    for number, row in enumerate(rows):
        terms[:, number, :inner] = np.where(good, row, 0.0).reshape(n_outer, inner)
    return terms
