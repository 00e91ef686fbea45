"""Run a loop over voxels chunk by chunk, in threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ivimkit.engine.bind import bind
from ivimkit.engine.other_process import begin
from ivimkit.engine.run import checked_threads, in_threads
from ivimkit.engine.waiting import is_compiled, say_compiling
from ivimkit.kernels.memory import padded
from ivimkit.scan.voxel_reader import VoxelReader

__all__ = ["CHUNK", "compile_loop_aside", "in_chunks"]

CHUNK = 256
"""Voxels of a chunk: the same whatever the number of threads, as sums over a chunk may be kept."""


def in_chunks(
    loop: Callable[..., Any],
    n_voxels: int,
    *arguments: Any,
    reader: VoxelReader | None = None,
    used: NDArray[np.bool_] | None = None,
    threads: int | None = None,
    each: Callable[[int], tuple[Any, ...]] = lambda _: (),
) -> None:
    """Call ``loop(start, stop, [signals,] *arguments, *each(number))`` for chunks of voxels.

    Parameters
    ----------
    loop : callable
        Compiled by `ivimkit.engine.bind.bind`: it runs without the interpreter lock.
    n_voxels : int
        Number of voxels.
    *arguments
        Passed on.
    reader : VoxelReader, optional
        Gives the signals of the chunk, padded with zeros to whole vectors.
    used : ndarray of bool, optional
        Which of its columns have a weight; the others become 0, as they may be anything.
    threads : int, optional
        Number of threads.
    each : callable
        Returns further arguments for the number of a chunk.
    """

    def work(start: int) -> int:
        stop = min(start + CHUNK, n_voxels)
        signals: tuple[NDArray[np.float64], ...] = ()
        if reader is not None:
            signals = (np.zeros((stop - start, padded(reader.n_columns))),)
            reader.read(start, stop, signals[0])
            if used is not None:
                signals[0][:, : used.size][:, ~used] = 0.0
        loop(start, stop, *signals, *arguments, *each(start // CHUNK))
        return stop - start

    say_compiling([loop])
    # Compile in the calling thread, which Ctrl-C ends at once.
    empty: tuple[NDArray[np.float64], ...] = ()
    if reader is not None:
        empty = (np.zeros((0, padded(reader.n_columns))),)
    loop(0, 0, *empty, *arguments, *each(0))
    for _ in in_threads(work, range(0, n_voxels, CHUNK), checked_threads(threads)):
        pass


def compile_loop_aside(
    template: Callable[..., None], *arguments: Any, threads: int | None = None
) -> None:
    """Let another process compile a loop, as `ivimkit.engine.run.compile_aside` does a fit.

    Parameters
    ----------
    template : function
        The loop, which `ivimkit.engine.bind.bind` compiles.
    *arguments
        What the loop is called with: their types count.
    threads : int, optional
        Number of threads of the fit.
    """
    loop: Any = bind(template)
    if checked_threads(threads) > 1 and not is_compiled(loop):
        kinds = tuple(map(numba.typeof, arguments))
        begin(loop.py_func.__qualname__, _compile_loop, template, kinds)


def _compile_loop(template: Callable[..., None], kinds: tuple[Any, ...]) -> None:
    loop: Any = bind(template)
    loop.compile(kinds)
