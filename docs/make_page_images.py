"""Draw the pictures of pages from the code above them, and write notebooks.

`python docs/make_page_images.py [PAGE ...]` runs the Python blocks of each page. Where a picture
follows a block, the last expression of the block is the figure, or a report of which the first
screen is taken; what a block prints is written below it. Pages in docs/notebooks also become
notebooks, without outputs: these are on the page, and a notebook without them is small and shows
what has changed when it is compared.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from make_viewer_image import BROWSERS
from matplotlib.figure import Figure
from page_parts import NOTEBOOKS, PART, notebook, pages, parts
from PIL import Image
from playwright.sync_api import sync_playwright

from ivimkit.report import Report

_DPI = 100
_SCREEN = (1000, 900)
_COLOURS = 128


def draw(page: Path) -> None:
    """Run the code of a page, save what its pictures show, and write what it prints."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    text, last = page.read_text(encoding="utf-8"), None
    outputs: list[str] = []
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for kind, content in parts(page):
            if kind == "code":
                printed = StringIO()
                with redirect_stdout(printed):
                    last = _run(content, namespace)
                outputs.append(printed.getvalue())
            elif kind == "image":
                shown = _picture_of(last, f"{page.name}: {content}")
                _save(shown, (page.parent / content).resolve())
    waiting = iter(outputs)
    page.write_text(PART.sub(lambda found: _with_output(found, waiting), text), encoding="utf-8")


def _with_output(found: re.Match[str], waiting: Iterator[str]) -> str:
    """Return a part of the page with what its code has printed."""
    if not found["code"]:
        return found[0]
    lines = [line.rstrip() for line in next(waiting).splitlines()]
    printed = "\n```text\n" + "\n".join(lines) + "\n```\n" if lines else ""
    return f"```python\n{found['code']}```\n{printed}"


def _run(code: str, namespace: dict[str, Any]) -> object:
    """Run a block, and return the value of its last line if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "page", "exec"), namespace)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "page", "eval"), namespace)


def _picture_of(shown: object, place: str) -> Image.Image:
    """Return a figure without margins, or the first screen of a report."""
    buffer = BytesIO()
    if isinstance(shown, Figure):
        shown.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
    elif isinstance(shown, Report):
        buffer.write(_first_screen(shown))
    else:
        raise SystemExit(f"{place}: the code above it ends without a figure or a report")
    return Image.open(buffer).convert("RGB")


def _first_screen(report: Report) -> bytes:
    """Return what a browser shows of a report before anybody scrolls."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise SystemExit(f"pictures of reports need a browser: {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report.write(Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _SCREEN[0], "height": _SCREEN[1]})
        page.goto((Path(folder) / "report.html").as_uri())
        shot = page.screenshot()
        browser.close()
    return shot


def _save(image: Image.Image, path: Path) -> None:
    """Save a small picture."""
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def main(names: list[str]) -> None:
    """Draw the pictures of the named pages, or of all."""
    known = {page.stem: page for page in pages()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"there is no page {unknown[0]}; there are {', '.join(known)}")
    for name in names or known:
        page = known[name]
        if page.parent == NOTEBOOKS:
            page.with_suffix(".ipynb").write_text(notebook(page), encoding="utf-8")
        draw(page)


if __name__ == "__main__":
    main(sys.argv[1:])
