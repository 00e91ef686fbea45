"""Portable bits: results that are the same to the last bit on all x86-64 processors with AVX2.

Compiled code uses all that a processor can do, and so do numpy and BLAS: the last bits of a result
are those of one kind of processor. Told in time, they leave out what only some processors can do.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from typing import Any

from ivimkit.errors import OptionError

__all__ = ["PORTABLE_TARGET", "VARIABLES", "cpu_target", "has_portable_bits", "use_portable_bits"]

PORTABLE_TARGET = "x86-64-v3"
"""Processors since 2013 (Intel) and 2015 (AMD), as compilers call them."""

_FEATURES = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt")
_WIDE = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
"""All names that versions of numpy have had for more than AVX2; it passes over unknown ones."""

VARIABLES = {
    "NUMBA_CPU_NAME": PORTABLE_TARGET,
    "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in _FEATURES),
    "NPY_DISABLE_CPU_FEATURES": _WIDE,
    "OPENBLAS_CORETYPE": "Haswell",
}
"""What must be in the environment before numpy and numba are imported; processes inherit it."""

_OF_NUMBA = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")

_LATE = (
    "portable bits are asked for too late: {name} has been loaded for this processor; expected "
    "nothing loaded before. Call ivimkit.use_portable_bits() at the top of the script, before "
    "other imports, or set the environment variables that the documentation lists"
)


def use_portable_bits() -> None:
    """Let this process, and those that it starts, compute the same bits on all x86-64 processors.

    Code is compiled for processors with AVX2 (Intel since 2013, AMD since 2015), and numpy and
    OpenBLAS are kept from instructions beyond that. It must be called before numpy and numba are
    imported; a second call does nothing.

    Raises
    ------
    OptionError
        If it is too late, the processor is of another kind or too old, or the environment asks
        numba for another processor.

    Examples
    --------
    >>> import ivimkit as ik
    >>> ik.use_portable_bits()  # doctest: +SKIP
    """
    if has_portable_bits():
        return
    _check_processor()
    _check_environment()
    for name in ("numba", "numpy"):
        if name in sys.modules and (name == "numba" or _is_wide()):
            raise OptionError(_LATE.format(name=name))
    os.environ.update(VARIABLES)


def has_portable_bits() -> bool:
    """Return whether this process computes portable bits."""
    if any(os.environ.get(name) != VARIABLES[name] for name in _OF_NUMBA):
        return False
    if "numba" in sys.modules:
        # The environment may have changed since.
        config: Any = import_module("numba").config
        if [VARIABLES[name] for name in _OF_NUMBA] != [config.CPU_NAME, config.CPU_FEATURES]:
            return False
    return "numpy" not in sys.modules or not _is_wide()


def cpu_target() -> str:
    """Return the processor that code is compiled for, such as ``"znver3"``."""
    given = os.environ.get("NUMBA_CPU_NAME")
    # Imported here: it takes a tenth of a second. It has no types.
    return given or str(import_module("llvmlite.binding").get_host_cpu_name())


def _check_processor() -> None:
    kind = platform.machine().lower()
    if kind not in ("x86_64", "amd64"):
        raise OptionError(
            f"portable bits are asked for on a processor of the kind {kind}; expected x86-64, for "
            "which they are defined. Leave it out, and use machines of one kind"
        )
    own = import_module("llvmlite.binding").get_host_cpu_features()
    missing = [name for name in _FEATURES if not own.get(name)]
    if missing:
        raise OptionError(
            f"this processor does not have {', '.join(missing)}; expected AVX2 and what came with "
            "it (Intel since 2013, AMD since 2015) for portable bits. Leave it out, or use "
            "another machine"
        )


def _check_environment() -> None:
    for name in _OF_NUMBA:
        given = os.environ.get(name)
        if given not in (None, "", VARIABLES[name]):
            raise OptionError(
                f"the environment variable {name} is {given!r}, and portable bits are asked for; "
                f"expected {VARIABLES[name]!r}, which they set. Unset it"
            )


def _is_wide() -> bool:
    """Return whether numpy, which has been loaded, uses more than AVX2."""
    shown: Any = import_module("numpy").show_config(mode="dicts")
    found = shown.get("SIMD Extensions", {}).get("found", ())
    return any(name in _WIDE.split() for name in found)
