"""Browser: the page opened on the screen of its user, and of nobody else."""

from __future__ import annotations

import html
import os
import tempfile
import threading
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Opening"]

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={url}">
<title>ivimkit viewer</title>
<p>If nothing happens, open <a href="{url}">the viewer</a>.</p>
</html>
"""


@dataclass(frozen=True, eq=False)
class Opening:
    """A browser that was told where to go.

    The address holds the token, and what a program is called with can be read by every user of
    the machine. So the browser is given a file that only its own user can read, and that leads to
    the page.

    Parameters
    ----------
    url : str
        Where to go.
    """

    url: str = field(repr=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Its own folder is for its user alone, too.
        folder = tempfile.TemporaryDirectory(prefix="ivimkit-view-", ignore_cleanup_errors=True)
        object.__setattr__(self, "_folder", folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(self.file, flags, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            target.write(_PAGE.format(url=html.escape(self.url)))
        # A browser may stay in front until it is closed; nobody waits for it.
        threading.Thread(
            target=webbrowser.open, args=(self.file.as_uri(),), name="browser", daemon=True
        ).start()

    @property
    def file(self) -> Path:
        """The file that leads to the page."""
        return Path(self._folder.name) / "open.html"

    def close(self) -> None:
        """Remove the file, once the page is no longer served."""
        self._folder.cleanup()
