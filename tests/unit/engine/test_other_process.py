"""Another process compiles a driver, which this one finds in the cache."""

import functools
import io
from importlib import import_module

import numba
import numpy as np
import pytest

import ivimkit as ik
from drivers import doubled
from ivimkit.engine import Task, compile_aside, compile_loop_aside, other_process
from ivimkit.engine.bind import bind
from ivimkit.engine.other_process import _Pickler, _Unpickler
from ivimkit.kernels.device import device


@pytest.fixture(autouse=True)
def _compiled_aside(monkeypatch):
    """Let other processes compile, which other tests do not."""
    for place in ("run", "chunks"):
        monkeypatch.setattr(import_module(f"ivimkit.engine.{place}"), "begin", other_process.begin)


def test_a_driver_comes_from_the_other_process_where_there_are_two_threads(tmp_path, monkeypatch):
    bound = []

    def bind_anew(*parts, **options):
        bound.append(bind.__wrapped__(*parts, **options))
        return bound[-1]

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(import_module("ivimkit.engine.run"), "bind", functools.cache(bind_anew))
    b = np.array([0.0, 500.0, 1000.0])
    model, method = ik.models.get("monoexp"), ik.methods.get("loglinear")
    task = Task(model, method, np.ones(3))
    compile_aside(task, b[np.newaxis], threads=1)
    assert not other_process._running
    compile_aside(task, b[np.newaxis], threads=2)
    assert len(other_process._running) == 1
    result = ik.fit(1000.0 * np.exp(-b * 1e-3), b, model=model, method=method, threads=1)
    assert result.maps["ADC"] == pytest.approx(1e-3, rel=1e-9)
    (driver,) = bound
    assert sum(driver.stats.cache_hits.values()) == 1
    assert sum(driver.stats.cache_misses.values()) == 0


@pytest.mark.parametrize("name", ["biexp", "kurtosis"])
def test_a_model_arrives_with_the_same_code(name):
    model = ik.models.get(name)
    message = io.BytesIO()
    _Pickler(message).dump(model)
    message.seek(0)
    arrived = _Unpickler(message).load()
    # Factories of kernels keep them by the structure, and its functions are part of their hash.
    assert arrived.structure == model.structure
    assert arrived.two_decays() == model.two_decays()


def test_what_the_other_process_could_not_load_is_compiled_here(monkeypatch):
    monkeypatch.setattr(other_process.subprocess, "Popen", None)
    here = device(lambda x: x)
    other_process.begin("driver", here)
    other_process.begin("driver", print, lambda: None)
    assert not other_process._running


def test_a_process_that_fails_is_not_waited_for_twice():
    other_process.begin("driver", int, "no number")
    other_process.wait_for("driver")
    other_process.wait_for("driver")
    assert not other_process._running


def test_nothing_is_sent_where_the_code_is_there(monkeypatch):
    b = np.array([[0.0, 500.0, 1000.0]])
    task = Task(ik.models.get("monoexp"), ik.methods.get("loglinear"), np.ones(3))
    ik.fit(np.exp(-b[0] * 1e-3), b[0], model="monoexp", method="loglinear", threads=1)
    monkeypatch.setattr(other_process.subprocess, "Popen", None)
    compile_aside(task, b, threads=2)
    assert not other_process._running


def test_a_loop_comes_from_the_other_process(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    values = np.ones(3)
    compile_loop_aside(doubled, 0, 0, values, threads=1)
    assert not other_process._running
    compile_loop_aside(doubled, 0, 0, values, threads=2)
    loop = bind(doubled)
    loop(1, 3, values)
    assert values.tolist() == [1.0, 2.0, 2.0]
    assert sum(loop.stats.cache_hits.values()) == 1
