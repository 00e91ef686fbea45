"""bind: compiled code is found again on disk and is never that of another source.

What concerns several processes runs in some, on a copy of the package with a cache of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib import import_module
from pathlib import Path

import numba
import numpy as np
import pytest

import ivimkit
from ivimkit.engine.bind import bind, tagged
from ivimkit.engine.code_cache import MendingCache
from ivimkit.engine.cpu import evaluate_chunk
from ivimkit.kernels.device import device
from ivimkit.kernels.separable.structure import Part, Structure
from ivimkit.kernels.templates import with_kernels

# A model, and a kernel with a constant of another module.
EVALUATE = """
import json
import numpy as np
from ivimkit import models
from ivimkit.engine import evaluate
from ivimkit.engine.bind import bind
from ivimkit.engine.cpu import evaluate_chunk
from ivimkit.kernels.device import device
from ivimkit.status import BOUND_SHIFT

@device
def shifted(x, j, p):
    return p[0] * (1 << BOUND_SHIFT), (0.0,)

model = models.get("monoexp")
{edit}
signal = evaluate(model, [1000.0, 1e-3], [0.0, 1000.0])
out = np.empty((1, 1))
own = bind(evaluate_chunk, ("signal_kernel", shifted))
own(np.zeros((1, 1)), np.ones((1, 1)), out)
drivers = bind(evaluate_chunk, ("signal_kernel", model.kernel)), own
hits = [sum(driver.stats.cache_hits.values()) for driver in drivers]
print(json.dumps([signal.tolist(), out[0, 0], hits]))
"""

ATOMS = "kernels/separable/atoms.py"
DECAY, TWICE = "return value, (-b * value,)", "return 2.0 * value, (-b * value,)"
EXACT = [1000.0, 1000.0 * np.exp(-1.0)]


@pytest.fixture
def package(tmp_path):
    """A copy of the package that a test may edit."""
    source = Path(ivimkit.__file__).parent
    copy = tmp_path / "site" / "ivimkit"
    # With what Python has compiled, and without what numba has.
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.nbi", "*.nbc"))
    return copy


@pytest.fixture
def run(package, tmp_path):
    """Return a function that runs code with the copy and returns what it printed as JSON."""

    def _run(code):
        variables = {
            **os.environ,
            "PYTHONPATH": str(package.parent),
            "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return _run


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has changed: adapt this test"
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_a_second_process_finds_the_code_and_an_edit_is_never_overlooked(run, package, tmp_path):
    atoms = package / ATOMS
    while_it_runs = (
        f"from pathlib import Path; file = Path({str(atoms)!r}); text = file.read_text()\n"
        f"file.write_text(text.replace({DECAY!r}, {TWICE!r}))"
    )
    assert atoms.read_text("utf-8").count(DECAY) == 1, "atoms.py has changed: adapt this test"
    signal, power, hits = run(EVALUATE.format(edit=while_it_runs))
    assert signal == pytest.approx(EXACT), "the program had the old source"
    assert (power, hits) == (1 << 11, [0, 0])
    assert list((tmp_path / "cache").rglob("*.nbc")), "nothing was kept"
    # The atom of the model was edited while the program ran: what was kept is not of its source.
    twice = [2 * x for x in EXACT]
    signal, power, hits = run(EVALUATE.format(edit=""))
    assert signal == pytest.approx(twice), "the next one has the new source"
    assert (power, hits) == (1 << 11, [0, 1]), "the code of the other kernel is found"
    # An edit in a file that the atom imports, and one of a constant of another module.
    edit(package / "kernels" / "exponential.py", "p * r + 0.5000", "p * r + 0.2500")
    edit(package / "status.py", "BOUND_SHIFT = 11", "BOUND_SHIFT = 13")
    signal, power, hits = run(EVALUATE.format(edit=""))
    assert signal != pytest.approx(twice, rel=1e-4)
    assert (power, hits) == (1 << 13, [0, 0])


def test_no_writable_cache_folder_is_no_error(tmp_path, monkeypatch):
    # Root may write everywhere, so the folders are made impossible: they lie below a file.
    blocked, source = tmp_path / "file", tmp_path / "loop_without_a_folder.py"
    source.write_text("def doubled(values):\n    values[0] *= 2.0\n")
    for file in (blocked, tmp_path / "__pycache__"):
        file.write_text("not a folder")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(blocked / "below"))
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(blocked / "below"))
    monkeypatch.syspath_prepend(tmp_path)
    values = np.ones(1)
    loop = bind(import_module(source.stem).doubled)
    loop(values)
    assert values[0] == 2.0
    assert not isinstance(loop._cache, MendingCache)
    assert not list(tmp_path.rglob("*.nb?"))


def doubling():
    def _signal(x, j, p):
        return 2.0 * p[0] + x[0, j], (2.0,)

    return device(_signal)


def tripling():
    def _signal(x, j, p):
        return 3.0 * p[0] + x[0, j], (3.0,)

    return device(_signal)


def test_kernels_of_the_same_name_are_different_code():
    for kernel, factor in ((doubling(), 2.0), (tripling(), 3.0)):
        out = np.empty((1, 1))
        driver = bind(evaluate_chunk, ("signal_kernel", kernel))
        driver(np.array([[1.0]]), np.array([[10.0]]), out)
        assert out[0, 0] == 10.0 * factor + 1.0


def test_the_same_kernel_is_bound_once():
    same = doubling()
    first = bind(evaluate_chunk, ("signal_kernel", same))
    assert bind(evaluate_chunk, ("signal_kernel", same)) is first
    assert bind(evaluate_chunk, ("signal_kernel", tripling())) is not first


def test_the_template_is_not_changed():
    before = dict(evaluate_chunk.__globals__)
    bind(evaluate_chunk, ("signal_kernel", doubling()))
    assert evaluate_chunk.__globals__ == before
    assert evaluate_chunk.__qualname__ == "evaluate_chunk"


def signal_kernel(*_):
    raise AssertionError("a template")


def _inner(x, j, p):
    return signal_kernel(x, j, p)[0]


def _outer(x, j, p):
    return _inner(x, j, p) + 100.0, (0.0,)


def test_kernels_reach_the_templates_that_a_template_calls():
    for kernel, factor in ((doubling(), 2.0), (tripling(), 3.0)):
        out = np.empty((1, 1))
        outer = with_kernels(_outer, ("signal_kernel", kernel))
        bind(evaluate_chunk, ("signal_kernel", outer))(np.array([[1.0]]), np.array([[10.0]]), out)
        assert out[0, 0] == 10.0 * factor + 101.0
    assert _outer.__globals__["_inner"] is _inner


def test_the_order_of_the_fields_of_a_named_tuple_is_part_of_the_code():
    def driver():
        return Pair(1.0, 2.0)  # noqa: F821 - put in below.

    names = set()
    for fields in (("a", "b"), ("b", "a")):
        names.add(tagged(driver, ("Pair", namedtuple("Pair", fields))).__qualname__)
    assert len(names) == 2


def test_the_values_of_an_array_that_a_kernel_reads_are_part_of_the_code():
    def driver():
        return weights  # noqa: F821 - put in below.

    large = np.zeros(2000)
    changed = large.copy()
    changed[1000] = 1.0  # Where the text of an array has dots.
    arrays = (large, changed, large.astype(np.float32), large.reshape(2, 1000))
    names = [tagged(driver, ("weights", array)).__qualname__ for array in arrays]
    assert len(set(names)) == len(names)
    assert tagged(driver, ("weights", large.copy())).__qualname__ == names[0]


def test_a_table_that_the_atom_of_a_compartment_reads_is_part_of_its_kernel():
    names = set()
    for height in (1.0, 2.0):
        steps = np.array([0.0, height])

        def atom(b, p):
            return steps[1] * p[0], (steps[1],)  # noqa: B023 - the array of this turn.

        structure = Structure((Part(atom, 1),), (False,), ((0, 1),), (0,), (1,))
        names.add(tagged(evaluate_chunk, ("signal_kernel", structure.kernel)).__qualname__)
    assert len(names) == 2
