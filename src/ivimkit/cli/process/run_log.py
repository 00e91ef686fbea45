"""RunLog: the file of --log, to which every record of a run is added whole."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ivimkit.errors import InputError

__all__ = ["RunLog", "begin_log", "end_log", "is_logged", "log", "start_log", "versions"]

_LIBRARIES = ("ivimkit", "numpy", "scipy", "numba", "nibabel", "pandas", "matplotlib")
_LIBRARY = logging.getLogger("ivimkit")
# What the screen shows is not for those who show the log of the library.
_RUN = logging.getLogger("ivimkit.cli.run")


class RunLog(logging.Handler):
    """Adds records to a file, each with one call of the system.

    So the lines of several processes do not mix, whichever of them writes. Until the work begins
    records are held back: a call that is refused before leaves no file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        If it is a folder or a device, or cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        # Here and not above: it loads numpy, which --help must not wait for.
        from ivimkit.writing import check_replaceable, full_path

        self.path = full_path(path)
        is_there = check_replaceable(self.path)
        place = self.path if is_there else self.path.parent
        if not is_there and not place.is_dir():
            raise InputError(
                f"there is no folder {place} for the log (--log); expected one. Make it, or "
                "choose another"
            )
        if not os.access(place, os.W_OK):
            raise InputError(
                f"cannot write to the log {path} (--log); expected the right to. Choose another"
            )
        self._held: list[str] | None = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or hold it back."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        text = self.format(record).rstrip().replace("\n", "\n    ")
        line = f"{when} [{record.process}] {record.levelname.lower()}: {text}\n"
        if self._held is None:
            self._write(line)
        else:
            self._held.append(line)

    def begin(self) -> None:
        """Write what was held back, and everything from now on."""
        held, self._held = self._held, None
        if held:
            self._write("".join(held))

    def _write(self, text: str) -> None:
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, text.encode("utf-8", "backslashreplace"))
            finally:
                os.close(file)
        except OSError as error:
            # A full disk must not end the work; it is said once.
            _detach(self)
            if sys.stderr is not None:
                with suppress(OSError):
                    sys.stderr.write(f"warning: the log {self.path} ends: {error.strerror}\n")


def start_log(path: Path) -> None:
    """Keep a log of what follows; nothing is written before `begin_log`.

    Raises
    ------
    InputError
        If the file cannot be written to.
    """
    handler = RunLog(path)
    _LIBRARY.addHandler(handler)
    _RUN.addHandler(handler)
    _RUN.propagate = False
    _RUN.setLevel(logging.DEBUG)


def log(level: int, text: str, error: BaseException | None = None) -> None:
    """Add a record to the log, if one is kept.

    Parameters
    ----------
    level : int
        As in `logging`.
    text : str
        What to say.
    error : exception, optional
        Its traceback is added.
    """
    if is_logged() and text.strip():
        _RUN.log(level, text, exc_info=error)


def is_logged() -> bool:
    """Return whether a log is kept."""
    return bool(_kept())


def begin_log() -> None:
    """Write the log from here on: the call was right, and its work begins."""
    for handler in _kept():
        handler.begin()


def end_log(*, refused: bool) -> None:
    """Close the log.

    Parameters
    ----------
    refused : bool
        Whether the call was wrong: if no work had begun, no file is left.
    """
    for handler in _kept():
        if not refused:
            handler.begin()
        _detach(handler)


def versions() -> str:
    """Return versions of ivimkit, Python, and the libraries that results depend on."""
    found = []
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{found[0]}; Python {python} on {sys.platform}; {', '.join(found[1:])}"


def _kept() -> list[RunLog]:
    return [handler for handler in _RUN.handlers if isinstance(handler, RunLog)]


def _detach(handler: RunLog) -> None:
    _LIBRARY.removeHandler(handler)
    _RUN.removeHandler(handler)
    handler.close()
