"""The only place that knows threads and devices."""

from ivimkit.engine.run import DEVICES, Progress, Task, default_threads, evaluate, gradients, run

__all__ = ["DEVICES", "Progress", "Task", "default_threads", "evaluate", "gradients", "run"]
