"""Conditions on the variables of volumes, such as ``diffusion_time == 70 and b <= 400``.

They are parsed into Python's syntax tree; a few kinds of nodes are accepted, and nothing is ever
executed.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.scan.variables import B, Columns, variable_of

__all__ = ["check_selection", "listed_columns", "volumes_where"]

_MAX_LETTERS = 2000
_MAX_SHOWN = 12
# b-values this near to the named one are meant, s/mm^2; if there are none, those within this share
# of it, as in a shell.
_SAME_B, _SHARE_OF_B = 0.5, 0.02
_GRAMMAR = (
    "expected columns compared with values (==, !=, <, <=, >, >=, in (...)), joined by and, or, "
    "not and parentheses, with texts in quotes, like \"b <= 400 and gradient == 'bipolar'\""
)
_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}


def volumes_where(where: str, columns: Columns) -> NDArray[np.bool_]:
    """Return which volumes meet a condition.

    Parameters
    ----------
    where : str
        The condition.
    columns : mapping of str to ndarray, shape (n_volumes,)
        The variables, including b.

    Returns
    -------
    ndarray of bool, shape (n_volumes,)

    Raises
    ------
    OptionError
        If it cannot be understood, or names a column or a text that does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> columns = {"b": np.array([0.0, 50.0, 800.0]), "echo_time": np.array([75.0, 75.0, 90.0])}
    >>> volumes_where("b in (0, 50) and not echo_time > 80", columns).tolist()
    [True, True, False]
    """
    try:
        return _Condition(where, columns).of(_parsed(where))
    except RecursionError:
        raise OptionError(f"the selection {where[:60]!r} is nested too deeply") from None


def check_selection(where: str) -> None:
    """Raise OptionError if a condition cannot be read, whatever the columns of the scan are."""
    _parsed(where)


def _parsed(where: str) -> ast.expr:
    if not str(where).strip():
        raise OptionError(f"the selection is {where!r}; {_GRAMMAR}")
    if len(where) > _MAX_LETTERS:
        raise OptionError(
            f"the selection has {len(where)} letters; expected up to {_MAX_LETTERS}. Shorten it"
        )
    try:
        with warnings.catch_warnings():
            # Python warns of invalid escapes in texts.
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(where.strip(), mode="eval").body
    except SyntaxError as error:
        hint = ". Equality is written ==" if _single_equals(where) else ""
        raise OptionError(
            f"the selection {where!r} cannot be read ({error.msg}); {_GRAMMAR}{hint}"
        ) from None
    except (RecursionError, MemoryError, ValueError, OverflowError):
        raise OptionError(f"the selection {where[:60]!r} cannot be read; {_GRAMMAR}") from None


def listed_columns(columns: Columns) -> str:
    """List the columns with their values, for messages."""
    return "; ".join(f"{name}: {_values(values)}" for name, values in columns.items())


def _values(values: NDArray[Any]) -> str:
    shown = [repr(v) if isinstance(v, str) else f"{v:g}" for v in np.unique(values).tolist()]
    shown = list(dict.fromkeys(shown))
    if len(shown) > _MAX_SHOWN:
        shown = [*shown[: _MAX_SHOWN - 1], "...", shown[-1]]
    return ", ".join(shown)


def _single_equals(where: str) -> bool:
    left = where
    for operator in ("==", "!=", "<=", ">="):
        left = left.replace(operator, "")
    return "=" in left


class _Condition:
    """One condition, evaluated node by node."""

    def __init__(self, where: str, columns: Columns) -> None:
        self.where = where
        self.columns = columns

    def of(self, node: ast.expr) -> NDArray[np.bool_]:
        """Return which volumes meet a part of the condition."""
        if isinstance(node, ast.BoolOp):
            parts = [self.of(part) for part in node.values]
            join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return np.asarray(join.reduce(parts), dtype=bool)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.of(node.operand)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
            return np.asarray(
                np.logical_and.reduce([self._compared(*pair) for pair in pairs]), dtype=bool
            )
        raise self._error(node)

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> NDArray[np.bool_]:
        if isinstance(left, ast.Name) and isinstance(right, ast.Name):
            if left.id in self.columns and right.id in self.columns:
                raise self._error(right)
            # A text without quotes: say so.
            self._column(left)
            self._column(right)
        if isinstance(right, ast.Name) and type(op) in _SWAPPED:
            return self._compared(right, _SWAPPED[type(op)](), left)
        if not isinstance(left, ast.Name):
            raise self._error(left)
        name, values = left.id, self._column(left)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List) or not right.elts:
                raise self._error(right)
            wanted = [self._value(element, name, values) for element in right.elts]
            found = np.logical_or.reduce([_equal(name, values, value) for value in wanted])
            return np.asarray(~found if isinstance(op, ast.NotIn) else found, dtype=bool)
        value = self._value(right, name, values)
        equal = _equal(name, values, value)
        if isinstance(op, ast.Eq):
            return equal
        if isinstance(op, ast.NotEq):
            return ~equal
        if isinstance(value, str):
            raise OptionError(
                f"the selection {self.where!r} asks which {name} is before or after {value!r}; "
                "texts have no order: compare them by ==, != or in (...)"
            )
        if isinstance(op, ast.Lt):
            return (values < value) & ~equal
        if isinstance(op, ast.LtE):
            return (values < value) | equal
        if isinstance(op, ast.Gt):
            return (values > value) & ~equal
        if isinstance(op, ast.GtE):
            return (values > value) | equal
        raise self._error(right)

    def _column(self, node: ast.Name) -> NDArray[Any]:
        if node.id not in self.columns:
            texts = [n for n, v in self.columns.items() if v.dtype.kind == "U" and node.id in v]
            hint = f". If the text is meant, put it in quotes: '{node.id}'" if texts else ""
            raise OptionError(
                f"the selection {self.where!r} names a column {node.id}, which does not exist; "
                f"expected one of {listed_columns(self.columns)}{hint}"
            )
        return self.columns[node.id]

    def _value(self, node: ast.expr, name: str, values: NDArray[Any]) -> float | str:
        value = _constant(node)
        if isinstance(value, ast.expr):
            raise self._error(value)
        texts = values.dtype.kind == "U"
        if isinstance(value, str) != texts:
            kind = "texts" if texts else "numbers"
            raise OptionError(
                f"the selection {self.where!r} compares {name} with {value!r}, and its values are "
                f"{kind}: {_values(values)}. Compare it with one of them"
            )
        if texts and value not in values:
            raise OptionError(
                f"the selection {self.where!r} names {value!r}, and no volume has that {name}; "
                f"expected one of {_values(values)}"
            )
        return value

    def _error(self, node: ast.AST) -> OptionError:
        part = ast.get_source_segment(self.where.strip(), node) or self.where
        return OptionError(
            f"the selection {self.where!r} cannot be understood at {part[:60]!r}; {_GRAMMAR}"
        )


def _constant(node: ast.expr) -> float | str | ast.expr:
    """Return a literal number or text; the node itself if it is something else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _constant(node.operand)
        if isinstance(inner, float):
            return -inner if isinstance(node.op, ast.USub) else inner
        return node
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return node.value
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return float(node.value)
    return node


def _equal(name: str, values: NDArray[Any], value: float | str) -> NDArray[np.bool_]:
    if isinstance(value, str):
        return np.asarray(values == value)
    if name != B.name:
        return variable_of(name).same_as(values, value)
    apart = np.abs(values - value)
    exact = apart <= _SAME_B
    return np.asarray(exact if exact.any() else apart <= _SHARE_OF_B * abs(value))
