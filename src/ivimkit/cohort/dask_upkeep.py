"""What processes of a Dask cluster do besides fits: less often, while a run goes on.

By default they look after themselves 50 times a second, sample what they do 100 times a second,
and give memory back to the system after every array. That is little for each process, but of a
core that fits scans it takes more than a tenth.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["light_upkeep"]

_NAME = "ivimkit-light-upkeep"
_INTERVALS_MS = {"tick": 1000.0, "profile": 1000.0}
"""Periodic work that nothing but messages and pictures depends on, and how often it is done."""

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""Numbers of the options of mallopt."""

_KEEP = {_MMAP_THRESHOLD: 1 << 25, _TRIM_THRESHOLD: 1 << 26}
"""Bytes at which glibc itself arrives, if it is not told otherwise as workers of Dask are."""

_GIVE_BACK = {_MMAP_THRESHOLD: 1 << 17, _TRIM_THRESHOLD: 1 << 16}
"""Bytes with which nannies start workers."""


@contextmanager
def light_upkeep(client: Any) -> Iterator[None]:
    """Let the processes of a cluster, and workers that come, do less besides during a block.

    Parameters
    ----------
    client : distributed.Client
        The connection to the scheduler.
    """
    before: dict[str, float] = {}
    worker, nanny, exchanged = _travelling()
    try:
        client.register_plugin(worker)
        client.register_plugin(nanny)
        before = client.run_on_scheduler(exchanged, intervals=_INTERVALS_MS)
        yield
    finally:
        # Of a cluster that has gone there is nothing to set back.
        with suppress(Exception):
            if client.status == "running":
                client.unregister_worker_plugin(_NAME)
                client.unregister_worker_plugin(_NAME, nanny=True)
                client.run_on_scheduler(exchanged, intervals=before)


def _travelling() -> tuple[Any, Any, Any]:
    """Return what workers, nannies and the scheduler get, as code.

    By its name they would load ivimkit, and numba, before they are told for which processor.
    """
    from distributed.diagnostics.plugin import NannyPlugin, WorkerPlugin

    def exchanged(dask_scheduler: Any, intervals: dict[str, float]) -> dict[str, float]:
        """Set intervals of a scheduler, worker or nanny; return those that were."""
        before = {}
        for key, interval in intervals.items():
            periodic = dask_scheduler.periodic_callbacks.get(key)
            if periodic is not None:
                before[key], periodic.callback_time = periodic.callback_time, interval
        return before

    def manage_memory(options: dict[int, int]) -> None:
        import ctypes
        import os

        # Only nannies tell so, and only glibc listens.
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None and "MALLOC_TRIM_THRESHOLD_" in os.environ:
            for option, size in options.items():
                set_option(option, size)

    class Light:
        name = _NAME
        # A second run that uses the cluster meanwhile changes nothing.
        idempotent = True
        intervals, keep, give_back = _INTERVALS_MS, _KEEP, _GIVE_BACK

    class LightNanny(Light, NannyPlugin):
        def setup(self, nanny: Any) -> None:
            self.before = exchanged(nanny, self.intervals)

        def teardown(self, nanny: Any) -> None:
            exchanged(nanny, self.before)

    class LightWorker(Light, WorkerPlugin):
        def setup(self, worker: Any) -> None:
            self.before = exchanged(worker, self.intervals)
            manage_memory(self.keep)

        def teardown(self, worker: Any) -> None:
            exchanged(worker, self.before)
            manage_memory(self.give_back)

    return LightWorker(), LightNanny(), exchanged
