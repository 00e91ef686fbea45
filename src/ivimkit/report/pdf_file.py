"""PDF files of pages: printed by a browser without a window, else by WeasyPrint."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ivimkit.errors import InputError, OptionError

__all__ = ["check_printer", "find_browser", "is_printed_page", "print_page"]

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "msedge",
    "microsoft-edge",
)
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--no-pdf-header-footer",
    # A page of ivimkit loads nothing, and its browser has nothing to look up either.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
)

_BUTTON = re.compile(r"<button\b[^>]*?(class=\"zoom\")[^>]*>(.*?)</button>", re.DOTALL)

_DIVIDED = ("s/mm²", "mm²/s")
_MARK = b"\n% a page of ivimkit\n"
"""A comment behind the end of a PDF file, by which it is known from files of others."""

MAX_PRINT_SECONDS = 300.0
"""Time after which a browser that prints a page has failed."""


def check_printer() -> None:
    """Refuse to print where there is neither a browser nor WeasyPrint.

    Raises
    ------
    OptionError
        If there is none; the message names the extra.
    """
    if find_browser() is None and find_spec("weasyprint") is None:
        raise OptionError(
            "a PDF is asked for, and there is nothing to print with; expected Chromium, Chrome or "
            "Edge on the PATH, or WeasyPrint. Install it with pip install 'ivimkit[pdf]'"
        )


def find_browser() -> Path | None:
    """Return the program of a browser that prints without a window; None if there is none."""
    named = next(filter(None, map(shutil.which, _NAMES)), None)
    if named is not None:
        return Path(named)
    return next((place for place in map(Path, _PLACES) if place.is_file()), None)


def print_page(page: Path, target: Path) -> None:
    """Print a page to a PDF file: by a browser, or by WeasyPrint if there is none or it fails.

    Parameters
    ----------
    page : Path
        The HTML file.
    target : Path
        The PDF file to write.

    Raises
    ------
    InputError
        If neither prints it.
    """
    _print(page, target)
    with target.open("ab") as file:
        file.write(_MARK)


def is_printed_page(path: Path) -> bool:
    """Return whether a file is a page that `print_page` has printed."""
    if not path.is_file() or path.stat().st_size < len(_MARK):
        return False
    with path.open("rb") as file:
        file.seek(-len(_MARK), os.SEEK_END)
        return file.read() == _MARK


def _print(page: Path, target: Path) -> None:
    browser = find_browser()
    why = "" if browser is None else _by_browser(browser, page, target)
    if browser is not None and not why:
        return
    if find_spec("weasyprint") is None:
        check_printer()
        raise InputError(
            f"{browser} did not print the page ({why}); expected a PDF file. Open the page and "
            "print it there, or install WeasyPrint: pip install 'ivimkit[pdf]'"
        )
    _by_weasyprint(page, target)


def _by_browser(browser: Path, page: Path, target: Path) -> str:
    """Print a page; return why it did not work, or nothing."""
    # Chromium does not start as root inside its sandbox. The page runs only its own script.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            str(browser),
            *_FLAGS,
            *(["--no-sandbox"] if root else []),
            f"--user-data-dir={profile}",
            f"--print-to-pdf={target}",
            page.as_uri(),
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                timeout=MAX_PRINT_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            target.unlink(missing_ok=True)
            return str(error)
    if done.returncode == 0 and target.is_file() and target.read_bytes()[:5] == b"%PDF-":
        return ""
    target.unlink(missing_ok=True)
    said = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
    return said[-1] if said else f"exit status {done.returncode}"


def _by_weasyprint(page: Path, target: Path) -> None:
    try:
        import weasyprint  # type: ignore[import-untyped]
    except OSError as error:
        raise InputError(
            f"WeasyPrint does not find a library that it needs ({error}); expected Pango. Install "
            "it from your system's packages, or a browser such as Chromium"
        ) from error
    # It would list each rule of the style sheet that is for screens only.
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    # It lays buttons out as a form field, beside what they contain.
    text = _BUTTON.sub(r"<div \1>\2</div>", page.read_text(encoding="utf-8"))
    # It breaks lines behind a stroke, as browsers do not.
    for unit in _DIVIDED:
        text = text.replace(unit, unit.replace("/", "/\u2060"))
    weasyprint.HTML(string=text).write_pdf(str(target))
