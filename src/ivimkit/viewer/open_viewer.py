"""view(): a page in the browser that shows results voxel by voxel."""

from __future__ import annotations

import html
import os
import platform
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ivimkit.fitting.result import FitResult
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels
from ivimkit.viewer.browser import Opening
from ivimkit.viewer.page_files import page_files
from ivimkit.viewer.routes import Routes, application
from ivimkit.viewer.security import Guard, new_token
from ivimkit.viewer.server import HOST, Server, bind
from ivimkit.viewer.study import Study
from ivimkit.viewer.warm_up import WarmUp

__all__ = ["Viewer", "view"]

_HEIGHT = 760
# Python handles Ctrl-C between two of these.
_TICK = 0.2


@dataclass(frozen=True, eq=False)
class Viewer:
    """A page that is being served; returned by `view`.

    Serving ends with `close`, at the end of a ``with`` block, or with the process. In a notebook,
    a viewer at the end of a cell shows the page in a frame.

    Parameters
    ----------
    url : str
        Address of the page, with a token without which the server gives no access.
    """

    url: str
    _server: Server = field(repr=False)
    _warming: WarmUp = field(repr=False)
    _opening: Opening | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        """Whether the page is still served."""
        return self._server.running

    def wait(self, each_time: Callable[[], None] | None = None) -> None:
        """Wait until the viewer is closed from elsewhere, or for Ctrl-C; for the end of a script.

        Parameters
        ----------
        each_time : callable, optional
            Called several times a second; an exception ends the waiting, and the viewer.
        """
        try:
            while self._server.running:
                if each_time is not None:
                    each_time()
                self._server.wait(_TICK)
        finally:
            self.close()

    def close(self) -> None:
        """Stop serving the page and release the port."""
        self._warming.end()
        self._server.stop()
        if self._opening is not None:
            self._opening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks."""
        return (
            f'<iframe src="{html.escape(self.url)}" title="ivimkit viewer" '
            f'width="100%" height="{_HEIGHT}" style="border: 0" '
            'allow="fullscreen; clipboard-write"></iframe>'
        )


def view(
    *results: FitResult,
    dwi: DWI | None = None,
    labels: Labels | None = None,
    names: Sequence[str] | None = None,
    port: int = 0,
    open_browser: bool | None = None,
) -> Viewer:
    """Show results in the browser: maps, and the signal and fits of every voxel.

    The page is served on this machine only, to anyone who knows its address, by a thread of this
    process, so the call returns at once. A script calls `Viewer.wait` at its end. The page is part
    of ivimkit and loads nothing from elsewhere.

    Parameters
    ----------
    *results : FitResult
        One or more results on one grid: methods, models or time points.
    dwi : DWI, optional
        The scan, for images and curves; by default that of each result, or the source file
        recorded in the result, if it still exists and is unchanged.
    labels : Labels, optional
        Regions to show.
    names : sequence of str, optional
        Names of the results; by default their methods.
    port : int
        Port of the server; 0 for any free port.
    open_browser : bool, optional
        Whether to open the page in the browser; by default in scripts and on the command line, if
        there is a display, and not in notebooks, where the value of the cell shows the page.

    Returns
    -------
    Viewer

    Raises
    ------
    OptionError
        If there is no result, the names do not match, or the port is taken.
    ShapeError
        If results, scan and labels are not on one grid.
    PageMissingError
        If the page was not built when ivimkit was installed.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(12, 10, 1))
    >>> with ik.view(ik.fit(made.dwi), open_browser=False) as viewer:
    ...     viewer.url.startswith("http://127.0.0.1:")
    True
    """
    files = page_files()
    study = Study.of(results, names, dwi=dwi, labels=labels)
    warming = WarmUp(study)
    routes = Routes(study, files, warming.begin)
    listening = bind(port)
    taken, token = listening.getsockname()[1], new_token()
    server = Server(Guard(application(routes), token, taken), listening)
    server.start()
    # While the browser starts.
    threading.Thread(target=routes.prepare, name="ivimkit viewer scene", daemon=True).start()
    url = f"http://{HOST}:{taken}/{token}/"
    opens = _has_browser() if open_browser is None else open_browser
    return Viewer(url, server, warming, Opening(url) if opens else None)


def _has_browser() -> bool:
    """Return whether a browser would open in a separate window on a display."""
    if "ipykernel" in sys.modules:
        return False
    if platform.system() == "Linux":
        # Without a display, webbrowser would start one in the terminal.
        return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return True
