"""Processes without the seconds that their imports take: forks of a server.

A server has imported what it was told to, and nothing else runs in it: a fork is what a process is
after its imports, with output, signals and an end of its own. This file is also its program.
"""

from __future__ import annotations

import atexit
import functools
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["start_process"]

_NUMBER = struct.Struct("i")
_POLL_S = 0.005


def start_process(
    code: str, words: Sequence[Any] = (), *, imports: Sequence[str], **options: Any
) -> subprocess.Popen[str]:
    """Start a process like that of ``python -c code words...`` with tests on its path.

    Parameters
    ----------
    code : str
        The program.
    words : sequence
        What follows it in `sys.argv`.
    imports : sequence of str
        Modules that it has imported; processes of the same ones share a server.
    **options
        Of `subprocess.Popen`: pipes, cwd, env.

    Returns
    -------
    subprocess.Popen
        With pipes of text.
    """
    words = [str(word) for word in words]
    if hasattr(os, "fork"):
        return _Fork(code, words, tuple(imports), **options)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{code}"
    return subprocess.Popen([sys.executable, "-c", code, *words], text=True, **options)


class _Fork(subprocess.Popen[str]):
    def __init__(
        self, code: str, words: list[str], imports: tuple[str, ...], **options: Any
    ) -> None:
        self._code, self._imports = code, imports
        super().__init__(words, text=True, **options)

    def _execute_child(self, args: list[str], *rest: Any) -> None:
        _, _, _, _, cwd, env, _, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = (
            rest[:15]
        )
        self._connection, far = socket.socketpair()
        ends = [
            number if end == -1 else end
            for number, end in enumerate((p2cread, c2pwrite, errwrite))
        ]
        request = {
            "code": self._code,
            "words": args,
            "cwd": os.fspath(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        with far:
            _send(_server(self._imports), json.dumps(request).encode(), [far.fileno(), *ends])
        self.pid = self._number()
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite
        )

    def _number(self) -> int:
        answer = self._connection.recv(_NUMBER.size, socket.MSG_WAITALL)
        assert answer, "the server of forks has ended"
        return int(_NUMBER.unpack(answer)[0])

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None:
            self._connection.setblocking(False)
            try:
                status = self._number()
            except BlockingIOError:
                return None
            finally:
                self._connection.setblocking(True)
            self._end(status)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        end = math.inf if timeout is None else time.monotonic() + timeout
        while self._internal_poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            time.sleep(_POLL_S)
        return int(self.returncode)

    def _end(self, status: int) -> None:
        self.returncode = os.waitstatus_to_exitcode(status)
        self._connection.close()


@functools.cache
def _server(imports: tuple[str, ...]) -> socket.socket:
    near, far = socket.socketpair()
    with far:
        words = [sys.executable, __file__, str(far.fileno()), *imports]
        process = subprocess.Popen(words, pass_fds=[far.fileno()])

    def end() -> None:
        near.close()
        process.wait()

    atexit.register(end)
    return near


def _send(to: socket.socket, message: bytes, files: list[int]) -> None:
    socket.send_fds(to, [_NUMBER.pack(len(message))], files)
    to.sendall(message)


def _serve(requests: socket.socket) -> Callable[[], None]:
    """Return, in each fork, what it is to run; and in the server never."""
    while True:
        start, files, _, _ = socket.recv_fds(requests, _NUMBER.size, 4)
        if not start:
            sys.exit()
        request = json.loads(requests.recv(_NUMBER.unpack(start)[0], socket.MSG_WAITALL))
        keeper = os.fork()
        if not keeper:
            requests.close()
            return _kept(request, files)
        for file in files:
            os.close(file)
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _kept(request: dict[str, Any], files: list[int]) -> Callable[[], None]:
    """Fork once more; wait for the fork, and tell how it ended."""
    connection = socket.socket(fileno=files[0])
    process = os.fork()
    if process:
        for file in files[1:]:
            os.close(file)
        connection.sendall(_NUMBER.pack(process))
        status = os.waitpid(process, 0)[1]
        connection.sendall(_NUMBER.pack(status))
        os._exit(0)
    connection.close()
    for number, file in enumerate(files[1:]):
        os.dup2(file, number)
    for file in files[1:]:
        os.close(file)
    # Those of the server know what its own files could do.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(request["cwd"])  # noqa: TID251 - that of this process alone.
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["-c", *request["words"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return lambda: exec(request["code"], {"__name__": "__main__"})


if __name__ == "__main__":
    # Ctrl-C is for the tests: they end the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in sys.argv[2:]:
        import_module(module)
    _serve(socket.socket(fileno=int(sys.argv[1])))()
