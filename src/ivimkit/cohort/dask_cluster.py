"""The workers of a Dask cluster, wherever it runs, as an executor of scans.

The cluster is made by others (dask-jobqueue, dask-kubernetes, Coiled, `dask scheduler` and `dask
worker`); all that is needed here is the address of its scheduler.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from shlex import quote
from typing import Any

from ivimkit.cohort.dask_upkeep import light_upkeep
from ivimkit.cohort.one_subject import fit_subject, warm_up
from ivimkit.cohort.task import Outcome, Task
from ivimkit.errors import InputError, OptionError
from ivimkit.portable_bits import VARIABLES
from ivimkit.rounding import several

__all__ = ["DaskWorkers", "dask_workers", "fit_by_worker"]

_ANSWER_S = 10
"""Time after which a scheduler or workers that do not answer are given up, seconds."""

_PORTABLE_BITS = "ivimkit-portable-bits"
"""Name of what sets them in workers."""

_log = logging.getLogger("distributed.client")

_one_scan = threading.Lock()
"""A worker of several threads fits one scan after the other, each by several threads."""


@dataclass(frozen=True)
class DaskWorkers:
    """The workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
        The connection to their scheduler.
    n_workers : int
        Number of workers when the run begins.
    threads : int
        Number of threads of the smallest one.
    died : type of Exception
        What is raised for a scan whose worker died.
    """

    client: Any
    n_workers: int
    threads: int
    died: type[Exception]

    @property
    def dashboard(self) -> str:
        """Address of the page that shows the progress."""
        return str(self.client.dashboard_link)

    def executor(self) -> Executor:
        """Return what fits scans on them."""
        made: Executor = self.client.get_executor(pure=False)
        return made

    def warm_up(self, task: Task) -> None:
        """Compile what the fits need, once on each machine."""
        places, submit = _one_per_machine(self.client), self.client.submit
        begun = [submit(warm_up, task, workers=[one], pure=False) for one in places]
        # Whatever goes wrong is told when the scan is fitted.
        self.client.gather(begun, errors="skip")


@contextmanager
def dask_workers(address: str, *, portable_bits: bool = False) -> Iterator[DaskWorkers]:
    """Connect to a Dask cluster during a block.

    Parameters
    ----------
    address : str
        Address of its scheduler, such as ``"tcp://10.0.0.1:8786"``.
    portable_bits : bool
        Whether its workers shall compute portable bits, also those that come later, see
        `ivimkit.use_portable_bits`.

    Yields
    ------
    DaskWorkers

    Raises
    ------
    OptionError
        If Dask is not installed, or it is not an address.
    InputError
        If no scheduler or no worker answers, or the workers have another version of ivimkit, or
        have already compiled for their own processors.
    """
    try:
        import distributed
    except ImportError:
        raise OptionError(
            "--dask needs Dask, which is not installed. Install it: pip install 'ivimkit[cluster]'"
        ) from None
    # Half of Dask has no types.
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout=_ANSWER_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise InputError(
            f"no scheduler of Dask answers at {address} ({error}); expected one. Start it (dask "
            "scheduler), and look at the address that it prints"
        ) from None
    except (ValueError, TypeError) as error:
        raise OptionError(
            f"--dask is {address!r} ({error}); expected the address of a scheduler, like "
            "tcp://10.0.0.1:8786"
        ) from None
    # What has happened to the cluster is told in our words, not in tracebacks of its parts.
    own_level = _log.level
    _log.setLevel(logging.CRITICAL)
    try:
        threads = _threads_of_workers(client, address)
        _check_versions(client)
        if portable_bits:
            _make_portable(client)
        _tell_of_the_first_death(client)
        with light_upkeep(client):
            yield DaskWorkers(client, len(threads), min(threads), distributed.KilledWorker)
    finally:
        client.close()
        _log.setLevel(own_level)


def fit_by_worker(task: Task) -> Outcome:
    """Fit a scan on a worker, which has the same files at the same paths."""
    if not task.out.is_dir():
        raise InputError(
            f"a worker does not see {task.out}; expected folders that all machines have at the "
            "same path. Write to a file system that they share"
        )
    with _one_scan:
        return fit_subject(task)


def _threads_of_workers(client: Any, address: str) -> list[int]:
    try:
        client.wait_for_workers(1, timeout=_ANSWER_S)
    except TimeoutError:
        raise InputError(
            f"the scheduler at {address} has no workers; expected one or more. Start them (dask "
            "worker --nthreads 1), or wait until the cluster has"
        ) from None
    return list(client.nthreads().values())


def _check_versions(client: Any) -> None:
    own = version("ivimkit")

    # Functions in functions travel as code: a worker may not have this module.
    def there() -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("ivimkit")
        except PackageNotFoundError:
            return "not installed"

    others = sorted({str(one) for one in client.run(there).values()} - {own})
    if others:
        raise InputError(
            f"there are workers with ivimkit {', '.join(others)}; expected {own}, as here. "
            "Install the same version for all"
        )


def _make_portable(client: Any) -> None:
    """Set what portable bits need in the workers, before they load numba, and in later ones."""
    from distributed.diagnostics.plugin import WorkerPlugin

    # Workers get this class as code: by its name they would load ivimkit, and numba, first.
    class PortableBits(WorkerPlugin):
        name = _PORTABLE_BITS

        def __init__(self, variables: dict[str, str]) -> None:
            self.variables = variables

        def setup(self, worker: Any) -> None:
            import os
            import sys

            self.own = {name: os.environ.get(name) for name in self.variables}
            if "numba" not in sys.modules:
                os.environ.update(self.variables)

        def teardown(self, worker: Any) -> None:
            import os

            for name, text in self.own.items():
                if text is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = text

    def is_set(dask_scheduler: Any) -> bool:
        return _PORTABLE_BITS in dask_scheduler.worker_plugins

    def is_portable() -> bool:
        from ivimkit.portable_bits import has_portable_bits

        return has_portable_bits()

    was_set = client.run_on_scheduler(is_set)
    client.register_plugin(PortableBits(dict(VARIABLES)))
    n_others = sum(not one for one in client.run(is_portable).values())
    if n_others:
        # A call that is refused leaves the cluster as it was: later workers are not portable.
        if not was_set:
            client.unregister_worker_plugin(_PORTABLE_BITS)
        raise InputError(
            f"{several(n_others, 'worker')} of the cluster cannot compute portable bits, having "
            "loaded numba or numpy for their own processors; expected none. Start them anew, on "
            f"processors with more than AVX2 with {_settings()}"
        )


def _settings() -> str:
    return " ".join(f"{name}={quote(text)}" for name, text in VARIABLES.items())


def _tell_of_the_first_death(client: Any) -> None:
    """Let a scan that needs too much memory not end one worker after the other."""

    def tell(dask_scheduler: Any) -> None:
        dask_scheduler.allowed_failures = 0

    client.run_on_scheduler(tell)


def _one_per_machine(client: Any) -> list[str]:
    """Return the address of a worker of each machine."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return list({one["host"]: address for address, one in workers.items()}.values())
