"""Another Python process that compiles, while this one compiles something else.

numba compiles one function at a time in a process. What another one compiles is then in the cache
on disk, where this process finds it. `multiprocessing` would run the user's script once more there
if it has no ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import atexit
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import numba

__all__ = ["begin", "wait_for"]

_COMMAND = "from ivimkit.engine.other_process import _main; _main()"
# numba has no type hints.
_config: Any = numba.config
# By the name of the driver that is compiled there.
_running: dict[str, subprocess.Popen[bytes]] = {}


class _Pickler(pickle.Pickler):
    """Writes compiled functions as their names, as a copy is another function for a model."""

    def persistent_id(self, value: Any) -> tuple[str, str] | None:
        function = getattr(value, "py_func", None)
        if function is None:
            return None
        module, name = function.__module__, function.__name__
        # The user's script is not loaded by the other process.
        if module == "__main__" or getattr(sys.modules.get(module), name, None) is not value:
            raise pickle.PicklingError(f"{name} is not a function of a module")
        return module, name


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, place: tuple[str, str]) -> Any:
        module, name = place
        return getattr(import_module(module), name)


def begin(driver: str, function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in another process, which compiles a driver by that.

    Nothing happens if that is not possible: then this process compiles the driver when it is
    needed, and so it does if the other one fails.

    Parameters
    ----------
    driver : str
        Name of the driver.
    function : callable
        A function of a module.
    *arguments
        Its arguments, which are pickled.
    """
    # Where Python is a part of another program, there is no interpreter to start.
    if driver in _running or not sys.executable or getattr(sys, "frozen", False):
        return
    message = io.BytesIO()
    try:
        _Pickler(message).dump((function, arguments))
    except Exception:  # noqa: BLE001 - a model of the user's may contain anything.
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if _config.CACHE_DIR:
        environment["NUMBA_CACHE_DIR"] = _config.CACHE_DIR
    with suppress(OSError):
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _running[driver] = process
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(message.getbuffer())


def wait_for(driver: str) -> None:
    """Wait until the process that compiles a driver has ended, if there is one."""
    process = _running.pop(driver, None)
    if process is not None:
        process.wait()


def _main() -> None:
    """Do what `begin` wants: this is the other process."""
    function, arguments = _Unpickler(sys.stdin.buffer).load()
    function(*arguments)


@atexit.register
def _end_all() -> None:
    """End processes whose work nobody waits for any more."""
    for process in _running.values():
        process.terminate()
        process.wait()
    _running.clear()
