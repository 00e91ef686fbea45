"""The pages whose pictures come from their own code, their parts, and notebooks made from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["NOTEBOOKS", "PART", "notebook", "pages", "parts"]

DOCS = Path(__file__).parent
NOTEBOOKS = DOCS / "notebooks"
PART = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?P<output>\n```text\n.*?^```\n)?"
    r"|^!\[(?P<alt>[^\]]*)\]\((?P<image>[^)]+)\)\n",
    re.M | re.S,
)
"""A block of Python with what it prints, or a picture on a line of its own."""


def pages() -> list[Path]:
    """Return the pages whose pictures come from their code."""
    others = (DOCS / "gallery.md", DOCS / "how-to-read-the-report.md")
    return [*sorted(NOTEBOOKS.glob("*.md")), *others]


def parts(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the text, the code and the pictures of a page, each with its kind."""
    text, end = page.read_text(encoding="utf-8"), 0
    for found in PART.finditer(text):
        yield "text", text[end : found.start()]
        yield ("code", found["code"]) if found["code"] else ("image", found["image"])
        end = found.end()
    yield "text", text[end:]


def notebook(page: Path) -> str:
    """Return a page as a notebook: its text and its code, without pictures and outputs."""
    cells = []
    for kind, content in parts(page):
        content = content.strip("\n")
        if kind == "image" or not content:
            continue
        cell: dict[str, Any] = {
            "cell_type": "markdown" if kind == "text" else "code",
            "id": f"cell-{len(cells)}",
            "metadata": {},
            "source": content.splitlines(keepends=True),
        }
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
