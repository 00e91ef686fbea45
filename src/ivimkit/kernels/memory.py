"""Memory of kernels: lengths of whole vectors, and flat scratch viewed as a matrix."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import cgutils as _cgutils
from numba.core import imputils as _imputils
from numba.core import types
from numba.extending import intrinsic
from numba.np import arrayobj as _arrayobj
from numpy.typing import NDArray

from ivimkit.kernels.device import inlined

__all__ = ["VECTOR", "aligned", "in_single", "matrix", "padded", "padded_in_kernel", "spot"]

VECTOR = 8
"""Numbers in a vector, and in a cache line."""

# numba has no type hints.
_config: Any = numba.config
cgutils: Any = _cgutils
imputils: Any = _imputils
arrayobj: Any = _arrayobj


def padded(n: int) -> int:
    """Return the next multiple of `VECTOR`."""
    return (n + VECTOR - 1) // VECTOR * VECTOR


padded_in_kernel = inlined(padded)
"""The same, compiled."""


def aligned(size: int) -> NDArray[np.float64]:
    """Return zeros aligned to a cache line, so that vectors do not straddle two lines.

    Parameters
    ----------
    size : int
        Number of zeros.

    Returns
    -------
    ndarray, shape (size,)
    """
    line = VECTOR * np.dtype(np.float64).itemsize
    memory = np.zeros(size + VECTOR)
    first = -memory.ctypes.data % line // memory.itemsize
    return memory[first : first + size]


def _matrix(context: Any, flat: Any, rows: Any, columns: Any) -> Any:
    if not isinstance(flat, types.Array) or flat.ndim != 1 or flat.layout != "C":
        return None
    result = types.Array(flat.dtype, 2, "C")

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = arrayobj.make_array(flat)(context, builder, value=arguments[0])
        n_rows, n_columns = (
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(arguments[1:], signature.args[1:], strict=True)
        )
        view = arrayobj.make_array(result)(context, builder)
        size = context.get_constant(
            types.intp, context.get_abi_sizeof(context.get_data_type(flat.dtype))
        )
        arrayobj.populate_array(
            view,
            data=array.data,
            shape=cgutils.pack_array(builder, [n_rows, n_columns]),
            strides=cgutils.pack_array(builder, [builder.mul(n_columns, size), size]),
            itemsize=size,
            meminfo=array.meminfo,
            parent=array.parent,
        )
        # Where references are counted, it counts as one more reference to the array.
        return imputils.impl_ret_borrowed(context, builder, result, view._getvalue())

    return result(flat, rows, columns), build


def _reshaped(flat: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    return flat[: rows * columns].reshape(rows, columns)


@inlined
def spot(first: int, k: int) -> np.uint64:
    """Return first + k, not below 0, as an index.

    A signed one that the compiler cannot prove not to be negative is counted from the end where it
    is: it then loads the numbers of a vector one by one.
    """
    return np.uint64(first + k)


# `reshape` of numba calls a library that a GPU kernel would have to link; this is plain
# arithmetic.
matrix: Any = _reshaped if _config.DISABLE_JIT else intrinsic(_matrix)
"""``matrix(flat, rows, columns)``: the first numbers of contiguous scratch, viewed as a matrix."""


def _single(context: Any, flat: Any) -> Any:
    if not isinstance(flat, types.Array) or flat.ndim != 1 or flat.layout != "C":
        return None
    result = types.Array(types.float32, 1, "C")

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = arrayobj.make_array(flat)(context, builder, value=arguments[0])
        (length,) = cgutils.unpack_tuple(builder, array.shape, 1)
        view = arrayobj.make_array(result)(context, builder)
        itemsize = context.get_constant(types.intp, 4)
        ratio = context.get_abi_sizeof(context.get_data_type(flat.dtype)) // 4
        pointer = context.get_data_type(types.float32).as_pointer()
        arrayobj.populate_array(
            view,
            data=builder.bitcast(array.data, pointer),
            shape=cgutils.pack_array(
                builder, [builder.mul(length, context.get_constant(types.intp, ratio))]
            ),
            strides=cgutils.pack_array(builder, [itemsize]),
            itemsize=itemsize,
            meminfo=array.meminfo,
            parent=array.parent,
        )
        return imputils.impl_ret_borrowed(context, builder, result, view._getvalue())

    return result(flat), build


def _viewed(flat: NDArray[Any]) -> NDArray[np.float32]:
    return flat.view(np.float32)


in_single: Any = _viewed if _config.DISABLE_JIT else intrinsic(_single)
"""``in_single(flat)``: contiguous scratch, viewed as twice as many numbers of single precision."""
