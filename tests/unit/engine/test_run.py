"""run and evaluate: shapes, threads, devices, and that a stop really stops."""

import os
import threading
import time

import numpy as np
import pytest

from ivimkit import methods, models
from ivimkit.engine import Task, default_threads, evaluate, gradients, run
from ivimkit.errors import OptionError, ShapeError
from plugins import LARGE
from tolerances import CLOSED_FORM, DERIVATIVE

B = np.array([0.0, 10, 20, 50, 100, 200, 400, 800])
BIEXP = models.get("biexp")


class Reader:
    """Signals made on the fly; remembers which chunks were read, and by which thread."""

    def __init__(self, n):
        self.index = np.arange(n)
        self.chunks = []
        self.threads = set()

    def read(self, start, stop, out):
        self.chunks.append((start, stop))
        self.threads.add(threading.get_ident())
        assert out.flags.c_contiguous
        assert out.shape[0] == stop - start
        rates = 1e-3 + 1e-7 * np.arange(start, stop)[:, None]
        out[:, : B.size] = 1000 * np.exp(-rates * B)


def task(model="monoexp", method="loglinear"):
    return Task(models.get(model), methods.get(method), np.ones(B.size))


def test_every_voxel_is_read_once_and_lands_in_its_row():
    reader = Reader(10_000)
    [(values, status, spread)] = run(reader, B[np.newaxis], [task()], threads=2)
    starts, stops = zip(*sorted(reader.chunks), strict=True)
    assert starts == (0, *stops[:-1])
    assert stops[-1] == 10_000
    np.testing.assert_allclose(values[:, 1], 1e-3 + 1e-7 * np.arange(10_000), rtol=CLOSED_FORM)
    assert values.shape == (10_000, 4)
    assert status.tolist() == [0] * 10_000
    assert spread.shape == (10_000,)


def test_several_tasks_share_one_pass_over_the_data():
    reader = Reader(5000)
    both = run(reader, B[np.newaxis], [task(), task("biexp", "segmented")], threads=1)
    alone = Reader(5000)
    run(alone, B[np.newaxis], [task()], threads=1)
    assert sorted(reader.chunks) == sorted(alone.chunks)
    for single, one in zip((task(), task("biexp", "segmented")), both, strict=True):
        for first, second in zip(run(Reader(5000), B[np.newaxis], [single])[0], one, strict=True):
            np.testing.assert_array_equal(first, second)


def test_one_thread_is_one_thread():
    reader = Reader(20_000)
    run(reader, B[np.newaxis], [task()], threads=1)
    assert set(reader.threads) == {threading.get_ident()}


def test_default_is_the_cores_this_process_may_use():
    assert 1 <= default_threads() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("threads", [0, -3, 0.5])
def test_threads_that_cannot_be(threads):
    with pytest.raises(OptionError, match=f"threads is {threads!r}; expected a whole number >= 1"):
        run(Reader(3), B[np.newaxis], [task()], threads=threads)


def test_unknown_device():
    for device in ("gpu9", "cuda:", "cuda:-1", "cuda:0,"):
        with pytest.raises(OptionError, match=f"device is {device!r}; expected one of auto, cpu"):
            run(Reader(3), B[np.newaxis], [task()], device=device)
    for device in ("auto", "cpu"):
        run(Reader(3), B[np.newaxis], [task()], device=device)


def test_unknown_precision():
    with pytest.raises(OptionError, match="precision is 'half'; expected one of float64, float32"):
        run(Reader(3), B[np.newaxis], [task()], precision="half")


def test_an_exception_stops_the_other_chunks():
    class Failing(Reader):
        def read(self, start, stop, out):
            super().read(start, stop, out)
            # Long enough for the first failure to be noticed before many chunks have begun.
            time.sleep(0.005)
            if start > 10_000:
                raise RuntimeError("the disk is gone")

    reader = Failing(4096 * 500)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        run(reader, B[np.newaxis], [task()], threads=2)
    assert len(reader.chunks) < 100


def test_an_exception_in_progress_stops_too():
    def progress(done, total):
        raise KeyboardInterrupt

    reader = Reader(4096 * 200)
    with pytest.raises(KeyboardInterrupt):
        run(reader, B[np.newaxis], [task()], threads=2, progress=progress)
    assert len(reader.chunks) < 150


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0)])
def test_evaluate_keeps_the_shape(shape):
    params = np.full((*shape, 4), [1000, 0.2, 0.02, 1e-3])
    signals = evaluate(BIEXP, params, B)
    assert signals.shape == (*shape, B.size)
    expected = 200 * np.exp(-0.02 * B) + 800 * np.exp(-1e-3 * B)
    np.testing.assert_allclose(signals, np.broadcast_to(expected, signals.shape), rtol=CLOSED_FORM)


def test_evaluate_takes_lists_single_b_values_and_any_memory_order():
    assert evaluate(BIEXP, [1000, 0.2, 0.02, 1e-3], 0).tolist() == [1000.0]
    params = np.asfortranarray(np.random.default_rng(0).random((5, 4, 4)))
    np.testing.assert_array_equal(
        evaluate(BIEXP, params, B), evaluate(BIEXP, np.ascontiguousarray(params), B)
    )


@pytest.mark.parametrize("params", [1.0, [1.0, 2.0], np.ones((4, 3))])
def test_evaluate_needs_the_models_parameters(params):
    with pytest.raises(OptionError, match="expected the 4 parameters S0, f, D_star, D of model"):
        evaluate(BIEXP, params, B)


@pytest.mark.parametrize("shape", [(), (1,), (4, 3), (0,)])
@pytest.mark.parametrize("name", models.names())
def test_gradients_are_the_slopes_of_evaluate(name, shape):
    model = models.get(name)
    x = np.array([B, *(np.linspace(0.5, 1.5, B.size) for _ in model.variables[1:])])
    centre = np.array([1000.0, *(p.start for p in model.parameters[1:])])
    params = centre * np.random.default_rng(0).uniform(0.8, 1.2, (*shape, centre.size))
    slopes = gradients(model, params, x)
    assert slopes.shape == (*shape, B.size, centre.size)
    for k, value in enumerate(centre):
        size = value or 1.0  # An element of an orientation starts at 0.
        step = np.zeros(centre.size)
        step[k] = 1e-3 * size

        def slope(h, step=step):
            both = (evaluate(model, params + sign * h * step, x) for sign in (1.0, -1.0))
            return np.subtract(*both) / (2.0 * h * step.max())

        exact = (4.0 * slope(0.5) - slope(1.0)) / 3.0
        np.testing.assert_allclose(slopes[..., k], exact, rtol=0, atol=DERIVATIVE * LARGE / size)


def test_every_variable_needs_a_row():
    with pytest.raises(ShapeError, match="x has 1 rows; expected one for each of b, c"):
        evaluate(models.get("ballistic"), [1000.0, 0.1, 2.0, 1e-3], B)


def test_gradients_need_the_models_parameters():
    with pytest.raises(OptionError, match="expected the 4 parameters S0, f, D_star, D"):
        gradients(BIEXP, [1.0, 2.0], B)
