"""A real browser for tests of pages: Debian's chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ivimkit.viewer.warm_up import WarmUp

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-quic",
    # Without these the browser looks up hosts of its own, also where there is no network.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL 2 in software.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # Only WebGL: the rest of a page takes two to four times as long that way.
    "--disable-gpu-compositing",
    "--disable-gpu-rasterization",
)

# On a busy machine with two cores a page may need half a minute.
MAX_WAIT_MS = 90_000


@dataclass
class Visit:
    """A page that is open, and what it did: `errors` of the console, addresses it asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; playwright's own cannot be downloaded everywhere."""
    pytest.importorskip("playwright.sync_api", reason="playwright comes with the extra test")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    return found


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Any]:
    """A running browser.

    Not for the whole session: playwright's event loop stays current until it is stopped, and
    other tests of the process could not start one of their own.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="package", autouse=True)
def _nobody_warms_up() -> Iterator[None]:
    """Let viewers fit nothing in advance: by every method, it takes longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WarmUp, "begin", lambda _: None)
        yield


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Function that opens an address or a file in a fresh window and watches it.

    Further arguments are those of playwright's ``Browser.new_context``: ``viewport``,
    ``permissions``, ``offline``, ``color_scheme``, ``java_script_enabled``, ...
    """
    with _windows(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def visit_of_module(browser: Any) -> Iterator[Callable[..., Visit]]:
    """The same, of windows that stay open for all tests of a file."""
    with _windows(browser) as open_page:
        yield open_page


@contextmanager
def _windows(browser: Any) -> Iterator[Callable[..., Visit]]:
    contexts: list[Any] = []

    def open_page(address: str | Path, **options: Any) -> Visit:
        context = browser.new_context(**options)
        context.set_default_timeout(MAX_WAIT_MS)
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("console", lambda message: _note(seen, message))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        target = address.resolve().as_uri() if isinstance(address, Path) else address
        seen.page.goto(target)
        return seen

    yield open_page
    for context in contexts:
        context.close()


# The first page of a browser is told how fast the driver in software is.
SPEED = "GL Driver Message (OpenGL, Performance"


def _note(seen: Visit, message: Any) -> None:
    if message.type in ("error", "warning") and SPEED not in message.text:
        seen.errors.append(f"{message.type}: {message.text}")
