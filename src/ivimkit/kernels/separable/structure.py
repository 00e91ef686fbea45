"""Structure: the compartments of a model, and the compiled functions that follow from them.

The source of these functions is generated: loops over compartments and parameters are written out,
so that a pass over the measurements keeps its sums in registers and becomes vector instructions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from types import FunctionType
from typing import Any, cast

from numba import njit, typeof
from numba.core.errors import NumbaError

from ivimkit.kernels.device import device, finite, inlined
from ivimkit.kernels.separable.layout import (
    MAX_COMPARTMENTS,
    OTHER_ATOM,
    SAME_ATOM,
    SAME_RATE,
    STRIDE,
    Layout,
    Option,
    layout,
)

__all__ = ["LEAST_PIVOT", "LEAST_SHARE", "Part", "Structure", "why_not_compiled"]

_OPTION = Option()

# Steps of central differences, relative: for slopes, and for slopes of slopes.
_STEP = 6e-6
LEAST_PIVOT, LEAST_SHARE = 1e-10, 1e-14
"""A pivot below these shares of Gauss and Newton's matrix and of the whole: the parabola is not
convex."""
_WIDE_STEP = 1e-4
# Share of the end of its usual range that a parameter counts at least, for the size of a step.
_LEAST = 0.05


@dataclass(frozen=True)
class Part:
    """The atom of one compartment.

    Parameters
    ----------
    atom : callable
        ``atom(variable, ..., p) -> (value, slopes)``, or ``-> value`` where `slopes` is False.
        Compiled, or a plain function that numba can compile.
    n_shape : int
        Number of its shape parameters, the length of the tuple `p`.
    columns : tuple of int
        Rows of the acquisition variables that it takes, in the order of its arguments.
    second : callable or None
        Gives the upper triangle of the second derivatives; central differences do without.
    slopes : bool
        Whether the atom gives its slopes; central differences do without.
    candidates : callable or None
        ``candidates(lower, upper)`` gives the rows of shapes of which the dictionary is made; by
        default they fill the bounds.
    """

    atom: Callable[..., Any]
    n_shape: int
    columns: tuple[int, ...] = (0,)
    second: Callable[..., Any] | None = None
    slopes: bool = True
    candidates: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Structure:
    """A signal that is linear in the amplitudes of its compartments.

    Parameters
    ----------
    parts : tuple of Part
        One to four compartments; the last one is the reference, whose share is what the others
        leave. Shape parameters are numbered through all of them.
    logarithmic : tuple of bool
        Which shape parameters are searched by their logarithms; they are positive.
    typical : tuple of tuple of float
        Range in which every shape parameter usually is: the dictionary is denser there.
    least, most : tuple of float
        Where every shape parameter has a meaning; bounds lie inside.
    ascending : tuple of tuple of int
        Pairs of shape parameters, of two compartments each, the second of which is larger.
    """

    parts: tuple[Part, ...]
    logarithmic: tuple[bool, ...]
    typical: tuple[tuple[float, float], ...]
    least: tuple[float, ...]
    most: tuple[float, ...]
    ascending: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.parts) <= MAX_COMPARTMENTS:
            raise ValueError(f"{len(self.parts)} compartments; expected 1 to {MAX_COMPARTMENTS}")
        for name in ("logarithmic", "typical", "least", "most"):
            if len(getattr(self, name)) != self.m:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} values for {self.m} shape parameters"
                )

    @property
    def n(self) -> int:
        """Number of compartments."""
        return len(self.parts)

    @property
    def m(self) -> int:
        """Number of shape parameters."""
        return sum(part.n_shape for part in self.parts)

    @property
    def n_parameters(self) -> int:
        """Number of parameters: S0, then fraction and shapes by compartment."""
        return self.n + self.m

    @property
    def layout(self) -> Layout:
        """Where its numbers stand in the scratch of a fit."""
        return layout(self.n, self.m)

    def first(self, k: int) -> int:
        """Return the number of the first shape parameter of compartment `k`."""
        return sum(part.n_shape for part in self.parts[:k])

    @property
    def owners(self) -> tuple[int, ...]:
        """The compartment of every shape parameter."""
        return tuple(k for k, part in enumerate(self.parts) for _ in range(part.n_shape))

    def kinship(self, pair: tuple[int, int]) -> int:
        """Return how alike the compartments of an ordered pair are.

        Those of one rate each could change places.
        """
        first, second = (self.parts[self.owners[q]] for q in pair)
        if first != second:
            return OTHER_ATOM
        return SAME_RATE if first.n_shape == 1 else SAME_ATOM

    @property
    def kernel(self) -> Callable[..., Any]:
        """``kernel(x, j, p) -> (signal, slopes)`` of measurement j, all parameters in order."""
        return cast(Callable[..., Any], _functions(self)["kernel"])

    @property
    def functions(self) -> tuple[tuple[str, Any], ...]:
        """Names and compiled functions that the templates of the solver need."""
        names = ("sums", "assemble", "newton", "curve", "gains", "owner", "logarithmic")
        return (*((name, _functions(self)[name]) for name in names), ("AT", self.layout))


@functools.cache
def why_not_compiled(atom: Callable[..., Any], n_variables: int, n_shape: int) -> str | None:
    """Return why a plain atom cannot be compiled, in a sentence; None if it can.

    Compiling it alone takes a tenth of a second. In the loops that call it, the same fault would
    be found later, and told in terms of these loops.
    """
    # Where nothing is compiled, as in the simulator of a GPU, there is nothing to tell.
    if hasattr(atom, "py_func") or not hasattr(compiled := njit(atom), "compile"):
        return None
    try:
        arguments: Any = (*(0.0 for _ in range(n_variables)), (0.0,) * n_shape)
        compiled.compile(tuple(map(typeof, arguments)))
    except NumbaError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = [line for line in lines if not line.startswith("Failed in nopython mode")]
        where = next((line for line in told if line.startswith("File ")), "")
        return f"{told[0].rstrip('.')}; {where.rstrip(':')}" if where else told[0]
    return None


def _again(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function compiled as a part of the loops that call it."""
    plain: Any = getattr(function, "py_func", function)
    return cast(Callable[..., Any], inlined(plain))


@functools.cache
def _functions(structure: Structure) -> dict[str, Any]:
    # The name of a module that exists: code that is kept on disk imports it when it is loaded.
    scope: dict[str, Any] = {"__name__": __name__}
    for k, part in enumerate(structure.parts):
        scope[f"atom{k}"] = _again(part.atom)
        if part.second is not None:
            scope[f"second{k}"] = _again(part.second)
        source = _differences(structure, k)
        if source:
            exec(compile(source, f"<differences of compartment {k}>", "exec"), scope)
            for name in (f"first{k}", f"second{k}"):
                if isinstance(scope.get(name), FunctionType):
                    scope[name] = inlined(scope[name])
    made = {}
    for name, write, kind in (
        ("sums", _sums, device),
        ("assemble", _assemble, device),
        ("newton", _newton, device),
        ("curve", _curve, device),
        ("gains", _gains, finite),
        ("owner", _owner, inlined),
        ("logarithmic", _logarithmic, inlined),
        ("kernel", _kernel, device),
    ):
        exec(compile(write(structure), f"<{name} of {structure.n} compartments>", "exec"), scope)
        made[name] = kind(scope.pop(name))
    return made


def _variables(part: Part) -> str:
    return ", ".join(f"v{c}" for c in range(len(part.columns)))


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _differences(structure: Structure, k: int) -> str:
    """Return the source of the derivatives that the atom of a compartment does not give.

    Where a step would leave the range in which the parameter has a meaning, the parabola through
    three points inside it is differentiated.
    """
    part, first = structure.parts[k], structure.first(k)
    n, head = part.n_shape, _variables(part)
    names = [f"p{i}" for i in range(n)]

    def centre(i: int, step: float) -> list[str]:
        least, most = structure.least[first + i], structure.most[first + i]
        size = max(map(abs, structure.typical[first + i]))
        lines = [f"    h = {step} * max(abs(p{i}), {_LEAST * size!r})"]
        inside = f"p{i}"
        if least > -float("inf"):
            inside = f"max({inside}, {least!r} + h)"
        if most < float("inf"):
            inside = f"min({inside}, {most!r} - h)"
        return [*lines, f"    c = {inside}"]

    def moved(i: int, to: str) -> str:
        return _tuple([to if r == i else f"p{r}" for r in range(n)])

    lines: list[str] = []
    if not part.slopes:
        lines += [f"def first{k}({head}, p):"]
        lines += [f"    p{i} = p[{i}]" for i in range(n)]
        for i in range(n):
            lines += centre(i, _STEP)
            lines += [f"    up = atom{k}({head}, {moved(i, 'c + h')})"]
            lines += [f"    here = atom{k}({head}, {moved(i, 'c')})"]
            lines += [f"    down = atom{k}({head}, {moved(i, 'c - h')})"]
            lines += [
                f"    s{i} = (up - down) / (2.0 * h)"
                f" + (p{i} - c) / (h * h) * (up - 2.0 * here + down)"
            ]
        lines += [f"    return atom{k}({head}, p), {_tuple([f's{i}' for i in range(n)])}"]
    if part.second is None:
        slopes = f"atom{k}" if part.slopes else f"first{k}"
        lines += [f"def second{k}({head}, p):"]
        lines += [f"    {name} = p[{i}]" for i, name in enumerate(names)]
        seconds = []
        for i in range(n):
            lines += centre(i, _WIDE_STEP)
            lines += [f"    up = {slopes}({head}, {moved(i, 'c + h')})[1]"]
            lines += [f"    down = {slopes}({head}, {moved(i, 'c - h')})[1]"]
            for r in range(i, n):
                lines += [f"    d{i}_{r} = (up[{r}] - down[{r}]) / (2.0 * h)"]
                seconds.append(f"d{i}_{r}")
        lines += [f"    return {_tuple(seconds)}"]
    return "\n".join(lines)


def _values(structure: Structure, shape: Callable[[int], str], *, second: bool) -> list[str]:
    """Return lines that evaluate all atoms in measurement j at the shapes of the given names."""
    lines = []
    for k, part in enumerate(structure.parts):
        first = structure.first(k)
        head = ", ".join(f"x[{c}, j]" for c in part.columns)
        p = _tuple([shape(first + i) for i in range(part.n_shape)])
        called = f"atom{k}" if part.slopes else f"first{k}"
        lines.append(f"        v{k}, s{k} = {called}({head}, {p})")
        if second and part.n_shape:
            lines.append(f"        h{k} = second{k}({head}, {p})")
    return lines


def _pairs(part: Part) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(range(part.n_shape), 2))


def _sums(structure: Structure) -> str:
    """Return the source of a pass over the measurements.

    It writes the Gram matrix of the weighted atoms and slopes, their products with the residual at
    the amplitudes `a`, and those of the second derivatives; it returns the cost.
    """
    n, m, at = structure.n, structure.m, structure.layout
    p = n + m
    lines = ["def sums(x, root_weight, signal, work):"]
    lines += [f"    t{q} = work[{at.to + q}]" for q in range(m)]
    lines += [f"    a{k} = work[{at.a + k}]" for k in range(n)]
    lines += [f"    g{i}_{k} = 0.0" for i in range(p) for k in range(i, p)]
    lines += [f"    q{i} = 0.0" for i in range(p)]
    bends = [
        (k, first + i, first + r, number)
        for k, part in enumerate(structure.parts)
        for first in [structure.first(k)]
        for number, (i, r) in enumerate(_pairs(part))
    ]
    lines += [f"    b{i}_{r} = 0.0" for _, i, r, _ in bends]
    lines += ["    cost = 0.0", "    for j in range(signal.size):", "        w = root_weight[j]"]
    lines += _values(structure, lambda q: f"t{q}", second=True)
    lines += [f"        c{k} = w * v{k}" for k in range(n)]
    for q, k in enumerate(structure.owners):
        lines += [f"        c{n + q} = w * s{k}[{q - structure.first(k)}]"]
    lines += ["        r = w * signal[j]" + "".join(f" - a{k} * c{k}" for k in range(n))]
    lines += ["        wr = w * r", "        cost += r * r"]
    for i in range(p):
        lines += [f"        q{i} += c{i} * r"]
        lines += [f"        g{i}_{k} += c{i} * c{k}" for k in range(i, p)]
    lines += [f"        b{i}_{r} += wr * h{k}[{number}]" for k, i, r, number in bends]
    for i in range(p):
        lines += [f"    work[{at.dots + i}] = q{i}"]
        lines += [f"    work[{at.gram + i * p + k}] = g{i}_{k}" for k in range(i, p)]
        lines += [f"    work[{at.gram + k * p + i}] = g{i}_{k}" for k in range(i + 1, p)]
    lines += [f"    work[{at.bend + i * m + r}] = b{i}_{r}" for _, i, r, _ in bends]
    return "\n".join([*lines, "    return cost"])


def _assemble(structure: Structure) -> str:
    """Return the source of slopes and second derivatives of half the cost by all shapes.

    With the residual r at the amplitudes y, the atom phi of compartment k and its derivatives:
    the slope is -y <phi', r>; by the amplitude of l and the shape q of k the second derivative is
    y <phi_l, phi'> - [k = l] <phi', r>; by two shapes it is y y <phi', phi'> - y <phi'', r>. A
    shape in its logarithm has its slope times theta, and its slope is added to the curvature.
    With `newton` 0 all that has the residual is left out: Gauss and Newton's matrix remains.
    """
    n, m, at = structure.n, structure.m, structure.layout
    p = n + m
    own = structure.owners

    def gram(i: int, k: int) -> str:
        return f"work[{at.gram + min(i, k) * p + max(i, k)}]"

    lines = ["def assemble(work, newton):"]
    for k in range(n):
        lines += [f"    y{k} = work[{at.fresh + k}]", f"    d{k} = y{k} - work[{at.a + k}]"]
    for q in range(m):
        lines += [
            f"    u{q} = work[{at.dots + n + q}]"
            + "".join(f" - {gram(k, n + q)} * d{k}" for k in range(n))
        ]
        lines += [f"    s{q} = " + (f"work[{at.to + q}]" if structure.logarithmic[q] else "1.0")]
        lines += [f"    work[{at.scale + q}] = s{q}", f"    z{q} = y{own[q]} * s{q}"]
        lines += [f"    e{q} = -z{q} * u{q}", f"    work[{at.slope + q}] = e{q}"]
        for k in range(n):
            less = f" - newton * u{q} * s{q}" if k == own[q] else ""
            lines += [f"    work[{at.cross + k * m + q}] = {gram(k, n + q)} * z{q}{less}"]
    for q in range(m):
        for r in range(q, m):
            lines += [f"    h = {gram(n + q, n + r)} * z{q} * z{r}"]
            if q == r:
                lines += [f"    work[{at.norm + q}] = h"]
            if own[q] == own[r]:
                lines += [f"    h -= newton * work[{at.bend + q * m + r}] * z{q} * s{r}"]
            if q == r and structure.logarithmic[q]:
                lines += [f"    h += newton * e{q}"]
            lines += [f"    work[{at.hess + q * m + r}] = h"]
            if q != r:
                lines += [f"    work[{at.hess + r * m + q}] = h"]
    return "\n".join(lines)


def _newton(structure: Structure) -> str:
    """Return the source of the step to the minimum of the damped parabola.

    Shapes whose state is not 0 keep the steps they have. Returns whether the parabola is convex.
    """
    m, at = structure.m, structure.layout
    lines = ["def newton(damping, work):", "    least = 1.0"]
    for q in range(m):
        lines += [
            f"    n{q} = work[{at.norm + q}]",
            f"    i{q} = 1.0 if work[{at.state + q}] == 0.0 else 0.0",
            f"    d{q} = (1.0 - i{q}) * work[{at.step + q}]",
        ]
    for q in range(m):
        for r in range(q):
            lines += [f"    h{q}_{r} = work[{at.hess + q * m + r}]"]
        lines += [f"    h{q}_{q} = work[{at.hess + q * m + q}] + damping * n{q}"]
    for q in range(m):
        terms = "".join(f" - h{max(q, r)}_{min(q, r)} * d{r}" for r in range(m) if r != q)
        lines += [f"    y{q} = i{q} * (-work[{at.slope + q}]{terms})"]
    for q in range(m):
        # L D L^T, in place: what is below the diagonal becomes L.
        for r in range(q):
            less = "".join(f" - w{q}_{s} * l{r}_{s}" for s in range(r))
            lines += [f"    w{q}_{r} = i{q} * i{r} * h{q}_{r}{less}"]
            lines += [f"    l{q}_{r} = w{q}_{r} * v{r}"]
        less = "".join(f" - w{q}_{s} * l{q}_{s}" for s in range(q))
        lines += [
            f"    p{q} = h{q}_{q}{less}",
            f"    c{q} = p{q} - max({LEAST_PIVOT!r} * n{q}, {LEAST_SHARE!r} * h{q}_{q})",
            f"    least = c{q} if i{q} != 0.0 and not c{q} > 0.0 else least",
            f"    v{q} = 1.0 / p{q} if i{q} != 0.0 else 1.0",
        ]
        lines += [f"    y{q} = y{q}" + "".join(f" - l{q}_{r} * y{r}" for r in range(q))]
    for q in reversed(range(m)):
        lines += [
            f"    y{q} = y{q} * v{q}" + "".join(f" - l{r}_{q} * y{r}" for r in range(q + 1, m))
        ]
    for q in range(m):
        lines += [f"    work[{at.aim + q}] = y{q} if i{q} != 0.0 else d{q}"]
    return "\n".join([*lines, "    return least > 0.0"])


def _curve(structure: Structure) -> str:
    """Return the source of the signal in one measurement at the shapes and amplitudes given."""
    lines = ["def curve(x, j, work, shapes, amplitudes):"]
    values = _values(structure, lambda q: f"work[shapes + {q}]", second=False)
    lines += [line[4:] for line in values]
    terms = [f"work[amplitudes + {k}] * v{k}" for k in range(structure.n)]
    return "\n".join([*lines, f"    return {' + '.join(terms)}"])


def _gains(structure: Structure) -> str:
    """Return the source of what every tuple of atoms explains of the signal.

    With the inverse Gram matrix of a tuple its amplitudes are a = G^-1 p and it explains a.p.
    Holding an amplitude at 0 costs a_k^2 over its diagonal element of G^-1: that is taken off
    for the one that is most negative, which is exact where no other becomes negative then.
    """
    n = structure.n
    last = n - 1
    lines = ["def gains(dots, options, table, n_outer, width, out, tops):"]
    lines += [f"    tuples = int(options[{_OPTION.tuples}])"]
    for k in range(n):
        place = _OPTION.first + 4 * k
        lines += [f"    first{k} = int(options[{place}])"]
        lines += [f"    count{k} = int(options[{place + 1}])"]
    lines += ["    for o in range(n_outer):", "        rest = o"]
    for k in reversed(range(last)):
        lines += [
            f"        p{k} = dots[first{k} + rest % count{k}]",
            f"        rest = rest // count{k}",
        ]
    inverse = list(combinations_with_replacement(range(n), 2))
    count = len(inverse) + n
    # Rows at constant distances: what is written is then compared with one address, not with all,
    # before the loop may run as vector instructions.
    lines += [
        f"        row = tuples + o * {count * STRIDE}",
        f"        terms = table[row : row + {count * STRIDE}]",
    ]
    inverse_at = {pair: f"terms[i + {r * STRIDE}]" for r, pair in enumerate(inverse)}
    lines += [f"        inner = dots[first{last} : first{last} + width]"]
    lines += ["        line = out[o * width : (o + 1) * width]"]
    lines += ["        for i in range(width):", f"            p{last} = inner[i]"]
    for k in range(n):
        terms = [f"{inverse_at[min(k, r), max(k, r)]} * p{r}" for r in range(n)]
        lines += [f"            a{k} = {' + '.join(terms)}"]
    lines += [f"            gain = {' + '.join(f'a{k} * p{k}' for k in range(n))}"]
    lines += ["            loss = 0.0"]
    for k in range(n):
        lines += [
            f"            m{k} = a{k} if a{k} < 0.0 else 0.0",
            f"            m{k} = m{k} * m{k} * terms[i + {(len(inverse) + k) * STRIDE}]",
            f"            loss = m{k} if m{k} > loss else loss",
        ]
    lines += ["            line[i] = gain - loss"]
    # A maximum that waits for itself in every step is no vector instruction: eight do not.
    lines += [f"        t{i} = 0.0" for i in range(4)]
    lines += ["        for i in range(0, width, 4):"]
    for i in range(4):
        lines += [f"            g = line[i + {i}]", f"            t{i} = g if g > t{i} else t{i}"]
    lines += [f"        tops[o] = max({', '.join(f't{i}' for i in range(4))})"]
    return "\n".join(lines)


def _owner(structure: Structure) -> str:
    """Return the source of the compartment of a shape."""
    lines = ["def owner(q):"]
    for k in range(structure.n - 1):
        lines += [f"    if q < {structure.first(k + 1)}:", f"        return {k}"]
    return "\n".join([*lines, f"    return {structure.n - 1}"])


def _logarithmic(structure: Structure) -> str:
    """Return the source of whether a shape is searched by its logarithm."""
    lines = ["def logarithmic(q):"]
    for q, chosen in enumerate(structure.logarithmic):
        lines += [f"    if q == {q}:", f"        return {chosen}"]
    return "\n".join([*lines, "    return False"])


def _kernel(structure: Structure) -> str:
    """Return the source of the signal and its slopes by all parameters, in their order."""
    n = structure.n
    lines = ["def kernel(x, j, p):", "    size = p[0]"]
    position, shapes, fractions = 1, {}, []
    for k, part in enumerate(structure.parts):
        if k < n - 1:
            lines += [f"    f{k} = p[{position}]"]
            fractions.append(f"f{k}")
            position += 1
        for i in range(part.n_shape):
            shapes[structure.first(k) + i] = f"p[{position}]"
            position += 1
    lines += [f"    f{n - 1} = " + " - ".join(["1.0", *fractions])]
    lines += [line[4:] for line in _values(structure, lambda q: shapes[q], second=False)]
    lines += ["    shape = " + " + ".join(f"f{k} * v{k}" for k in range(n))]
    slopes = ["shape"]
    for k, part in enumerate(structure.parts):
        if k < n - 1:
            slopes.append(f"size * (v{k} - v{n - 1})")
        slopes += [f"size * f{k} * s{k}[{i}]" for i in range(part.n_shape)]
    return "\n".join([*lines, f"    return size * shape, {_tuple(slopes)}"])
