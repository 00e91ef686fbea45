"""Compile a driver and all that it calls as one piece of machine code.

numba optimises a function and turns it into machine code each time another one calls it: first
alone, then as a part of its caller, then of the caller's caller. What runs in the end is the copy
in the driver, so that all but the last round are lost time: a third of what a large driver takes
to compile. And the process that compiles runs the copies that came first, which may round
otherwise than the driver that the next process loads from the cache.

So a function that is called by compiled code only becomes machine code as a part of its driver,
never alone. It can be left to the driver to optimise it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite.binding import Linkage  # type: ignore[import-untyped]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.sigutils import normalize_signature

__all__ = ["defer"]

# numba has no type hints. These names are not public: without one of them nothing is deferred.
_Library: Any = JITCodeLibrary
_arguments_of: Any = normalize_signature
_USED = ("finalize", "_optimize_final_module", "_finalize_final_module", "get_pointer_to_function")


class _Environments:
    """A code generator for code that is not there yet: it has no place for an environment."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, *_: Any) -> None:
        """Set nothing: kernels raise no exceptions, which is what an environment is for."""


class _Deferred(_Library):  # type: ignore[misc]
    """The code of a function, which becomes machine code if it is called from Python."""

    optimised = True
    linked = False
    emitted = False

    @property
    def codegen(self) -> Any:
        return self._codegen if self.emitted else _Environments(self._codegen)

    def finalize(self) -> None:
        """End what can be added; link and optimise what is added if callers shall find it so."""
        self._raise_if_finalized()
        if self.optimised:
            self._link()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return the address of a function, for which it has to become machine code."""
        self._ensure_finalized()
        if not self.emitted:
            try:
                here = not self._final_module.get_function(name).is_declaration
            except NameError:
                here = False
            if not here:
                return 0
            self._emit()
        return int(super().get_pointer_to_function(name))

    def _emit(self) -> None:
        """Make the machine code, which calls what it contains and nothing that came before."""
        # What is linked into callers and stored stays as it is.
        self._get_module_for_linking()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = "internal"
        self._final_module.verify()
        self._finalize_final_module()

    def _get_module_for_linking(self) -> Any:
        """Return the code for a caller of another kind, which looks no further than this."""
        if not self.linked:
            self._link()
        return super()._get_module_for_linking()

    def _link(self) -> None:
        """Add the code of all functions called, directly or not, and optimise the whole."""
        for library in self._called():
            if hasattr(library, "_reload_init"):  # Since numba 0.62.
                self._reload_init.update(library._reload_init)
            self._final_module.link_in(_module_of(library), preserve=True)
        self._optimize_final_module()
        self.linked = True
        self._shared_module = None

    def _called(self) -> dict[Any, None]:
        found: dict[Any, None] = {}
        waiting = list(reversed(self._linking_libraries))
        while waiting:
            library = waiting.pop()
            if library not in found:
                found[library] = None
                if not getattr(library, "linked", True):
                    waiting.extend(reversed(library._linking_libraries))
        return found

    def _finalize_final_module(self) -> None:
        super()._finalize_final_module()
        self.emitted = True


def _module_of(library: Any) -> Any:
    """Return the code of a function, without what it calls if that is not linked yet."""
    return _Library._get_module_for_linking(library)


class _Unoptimised(_Deferred):
    optimised = False


def defer(dispatcher: Any, *, optimised: bool = True) -> None:
    """Make the code of a compiled function a part of its callers.

    Where it is called from Python, it is compiled for that as well.

    Parameters
    ----------
    dispatcher : numba dispatcher
        The function, not compiled yet.
    optimised : bool
        Whether callers get its code optimised, or optimise it with theirs.
    """
    # The simulator of a GPU compiles nothing.
    if not hasattr(dispatcher, "compile") or not all(hasattr(_Library, name) for name in _USED):
        return
    compile_now: Callable[..., Any] = dispatcher.compile
    find_template: Callable[..., Any] = dispatcher.get_call_template
    add_callable: Callable[..., Any] = dispatcher.add_overload
    kind = _Deferred if optimised else _Unoptimised
    options = dispatcher.targetoptions
    options["no_cpython_wrapper"] = False
    # Argument types that only compiled code has called, which needs nothing to unpack arguments.
    embedded: set[tuple[Any, ...]] = set()
    by_code = False

    def get_call_template(args: Any, kws: Any) -> Any:
        nonlocal by_code
        with global_compiler_lock:
            before, by_code = by_code, True
            try:
                return find_template(args, kws)
            finally:
                by_code = before

    def compile_deferred(signature: Any) -> Any:
        args = tuple(_arguments_of(signature)[0])
        codegen = cpu_target.target_context.codegen()
        with global_compiler_lock:
            if not by_code and args in embedded:
                embedded.discard(args)
                del dispatcher.overloads[args]
            before = codegen._library_class, options["no_cpython_wrapper"]
            codegen._library_class, options["no_cpython_wrapper"] = kind, by_code
            try:
                return compile_now(signature)
            finally:
                codegen._library_class, options["no_cpython_wrapper"] = before

    def add_overload(result: Any) -> None:
        if by_code:
            args = tuple(result.signature.args)
            embedded.add(args)
            dispatcher.overloads[args] = result
        else:
            add_callable(result)

    dispatcher.optimised_alone = optimised
    dispatcher.get_call_template = get_call_template
    dispatcher.compile = compile_deferred
    dispatcher.add_overload = add_overload
