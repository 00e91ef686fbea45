"""Browser: opens the page for its user, and nobody else."""

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
    """A browser that was sent to an address.

    The address contains the token, and every user of the machine can read the arguments of a
    program. So the browser is given a file that only its user can read, which redirects to the
    page.

    Parameters
    ----------
    url : str
        The address.
    """

    url: str = field(repr=False)
    _folder: tempfile.TemporaryDirectory[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Its folder is private to the user, too.
        folder = tempfile.TemporaryDirectory(prefix="ivimkit-view-", ignore_cleanup_errors=True)
        object.__setattr__(self, "_folder", folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(self.file, flags, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            target.write(_PAGE.format(url=html.escape(self.url)))
        # A browser may run in the foreground until it is closed; do not wait for it.
        threading.Thread(
            target=webbrowser.open, args=(self.file.as_uri(),), name="browser", daemon=True
        ).start()

    @property
    def file(self) -> Path:
        """The file that redirects to the page."""
        return Path(self._folder.name) / "open.html"

    def close(self) -> None:
        """Remove the file, once the page is no longer served."""
        self._folder.cleanup()
