"""The command ``ivimkit``, and ``python -m ivimkit``: the command line.

Signals are handled before anything else is imported: until the command line takes over, nothing
has been done, and the process may end at once.
"""

import os
import signal
import sys

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    for number, usual in (
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
    ):
        # A shell may have told its background jobs to ignore Ctrl-C.
        if signal.getsignal(number) is usual:
            signal.signal(number, _leave)
    from ivimkit.cli import main as run

    run()


def _leave(number: int, frame: object) -> None:
    if sys.stderr is not None:
        os.write(2, b"interrupted: nothing is left half-written\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
