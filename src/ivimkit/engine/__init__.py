"""The engine: the only package that manages threads and devices."""

from ivimkit.engine.chunks import CHUNK, compile_loop_aside, in_chunks
from ivimkit.engine.mixture_loops import expect_chunk, final_chunk, place_chunk, round_chunk
from ivimkit.engine.place import AUTO_VOXELS, DEVICES, check_device, describe, gpus_for
from ivimkit.engine.robust_loops import robust_chunk
from ivimkit.engine.run import (
    checked_threads,
    compile_aside,
    curve,
    default_threads,
    evaluate,
    gradients,
    in_threads,
    padded_acquisition,
    run,
)
from ivimkit.engine.task import PRECISIONS, Progress, Task
from ivimkit.engine.waiting import say_learning

__all__ = [
    "AUTO_VOXELS",
    "CHUNK",
    "DEVICES",
    "PRECISIONS",
    "Progress",
    "Task",
    "check_device",
    "checked_threads",
    "compile_aside",
    "compile_loop_aside",
    "curve",
    "default_threads",
    "describe",
    "evaluate",
    "expect_chunk",
    "final_chunk",
    "gpus_for",
    "gradients",
    "in_chunks",
    "in_threads",
    "padded_acquisition",
    "place_chunk",
    "robust_chunk",
    "round_chunk",
    "run",
    "say_learning",
]
