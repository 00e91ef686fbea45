"""Functions whose code is a part of their callers'."""

import math

import numba
import pytest

from ivimkit.engine.bind import bind
from ivimkit.kernels.device import device, general


def libraries(function):
    """Return the code that was made of a function."""
    return [result.library for result in function.overloads.values()]


@pytest.fixture(autouse=True)
def _no_code_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))


@pytest.fixture(params=[device, general], ids=["device", "general"])
def functions(request):
    """A function that calls another, which calls a third."""
    kind = request.param

    @kind
    def third(x):
        return math.sin(x)

    @kind
    def second(x):
        return third(x) + third(2.0 * x)

    return second, third


def template(x):
    return 2.0 * kernel(x)  # noqa: F821 - bind puts it in.


EXPECTED = 2 * (math.sin(0.5) + math.sin(1.0))


def test_only_the_driver_becomes_machine_code(functions):
    driver = bind.__wrapped__(template, ("kernel", functions[0]))
    assert driver(0.5) == pytest.approx(EXPECTED, rel=1e-15)
    assert [library.emitted for function in functions for library in libraries(function)] == [
        False, False,
    ]  # fmt: skip
    assert all(library.emitted for library in libraries(driver))


def test_a_function_that_was_embedded_can_still_be_called(functions):
    bind.__wrapped__(template, ("kernel", functions[0]))(0.5)
    assert [2 * f(0.5) for f in functions] == pytest.approx(
        [EXPECTED, 2 * math.sin(0.5)], rel=1e-15
    )
    # The other way round as well: called from Python first.
    assert bind.__wrapped__(template, ("kernel", functions[0]))(0.5) == 2 * functions[0](0.5)


def test_the_code_of_somebody_else_can_call_it(functions):
    second = functions[0]
    assert numba.njit(lambda x: 2.0 * second(x))(0.5) == pytest.approx(EXPECTED, rel=1e-15)


def test_compiling_changes_no_option(functions):
    before = [dict(function.targetoptions) for function in functions]
    bind.__wrapped__(template, ("kernel", functions[0]))(0.5)
    assert [dict(function.targetoptions) for function in functions] == before


def test_an_error_of_the_compiler_leaves_numba_as_it_was(functions):
    @device
    def wrong(x):
        return x.nothing

    codegen = numba.core.registry.cpu_target.target_context.codegen()
    before = codegen._library_class
    with pytest.raises(numba.core.errors.TypingError):
        bind.__wrapped__(template, ("kernel", wrong))(0.5)
    assert codegen._library_class is before
