"""Inner products of the atoms of a model with each other and the signal, for a block of points.

The source is generated, as in `ivimkit.kernels.separable.structure`; here the loop inside is over
the points, so that it becomes vector instructions whatever the number of measurements.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from ivimkit.kernels.device import device, inlined
from ivimkit.kernels.separable.posterior.point_rows import LANES, BlockRow
from ivimkit.kernels.separable.structure import Structure

__all__ = ["products_of"]

_ROW = BlockRow()


@functools.cache
def products_of(structure: Structure) -> Callable[..., Any]:
    """Return ``products(x, root_weight, signal, shapes, shares, block)`` of a model.

    With the weights, it writes the rows `g_rest`, `g_both`, `g_first`, `p_rest` and `p_first` of
    the block: of the first atom and of the mean of the others by their shares. A single atom is
    the rest.
    """
    scope: dict[str, Any] = {"__name__": __name__}
    for k, part in enumerate(structure.parts):
        plain: Any = getattr(part.atom, "py_func", part.atom)
        scope[f"atom{k}"] = inlined(plain)
    name = f"<products of {structure.n} compartments>"
    exec(compile(_source(structure), name, "exec"), scope)
    return cast(Callable[..., Any], device(scope.pop("products")))


def _source(structure: Structure) -> str:
    n = structure.n
    columns = sorted({c for part in structure.parts for c in part.columns})
    lines = ["def products(x, root_weight, signal, shapes, shares, block):"]
    lines += [f"    for l in range({5 * LANES}):", "        block[l] = 0.0"]
    lines += ["    for j in range(signal.size):"]
    lines += ["        w = root_weight[j] * root_weight[j]", "        if w > 0.0:"]
    lines += ["            y = w * signal[j]"]
    lines += [f"            x{c} = x[{c}, j]" for c in columns]
    lines += [f"            for l in range({LANES}):"]
    for k, part in enumerate(structure.parts):
        first = structure.first(k)
        head = ", ".join(f"x{c}" for c in part.columns)
        shapes = ", ".join(f"shapes[{(first + i) * LANES} + l]" for i in range(part.n_shape))
        value = "[0]" if part.slopes else ""
        lines += [
            f"                v{k} = atom{k}({head}, ({shapes}{',' if part.n_shape == 1 else ''}))"
            + value
        ]
    last = "v0" if n == 1 else "v1"
    if n > 2:
        last = " + ".join(f"shares[{(k - 1) * LANES} + l] * v{k}" for k in range(1, n))
    lines += [f"                a = {last}"]
    sums = {_ROW.g_rest: "w * a * a", _ROW.p_rest: "y * a"}
    if n > 1:
        sums |= {_ROW.g_both: "w * a * v0", _ROW.g_first: "w * v0 * v0", _ROW.p_first: "y * v0"}
    lines += [f"                block[{row * LANES} + l] += {what}" for row, what in sums.items()]
    return "\n".join(lines)
