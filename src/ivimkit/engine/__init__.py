"""The engine: the only package that manages threads and devices."""

from ivimkit.engine.place import AUTO_VOXELS, DEVICES, check_device, describe, gpus_for
from ivimkit.engine.run import curve, default_threads, evaluate, gradients, run
from ivimkit.engine.task import PRECISIONS, Progress, Task
from ivimkit.engine.waiting import say_learning

__all__ = [
    "AUTO_VOXELS",
    "DEVICES",
    "PRECISIONS",
    "Progress",
    "Task",
    "check_device",
    "curve",
    "default_threads",
    "describe",
    "evaluate",
    "gpus_for",
    "gradients",
    "run",
    "say_learning",
]
