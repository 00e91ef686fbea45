"""Print the section of CHANGELOG.md of a version: ``python release/notes.py v0.1.0``.

The release workflow runs it before anything is built. A version without a section, without a line
in it, or with a date that is not one, is an error; so is an "Unreleased" section with lines, which
belong to the version.
"""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
_SECTION = re.compile(r"^## (.+)$", re.M)
_HEADING = re.compile(r"(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?) - (\d{4}-\d{2}-\d{2})")


def sections(text: str) -> dict[str, str]:
    """Return the text below each heading of the second level."""
    parts = _SECTION.split(text)[1:]
    return {
        heading.strip(): body.strip()
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }


def notes(text: str, tag: str) -> str:
    """Return what the changelog says of a tag.

    Raises
    ------
    ValueError
        If it is not ready for a release; the message says why.
    """
    version = tag.removeprefix("v")
    found = sections(text)
    if found.get("Unreleased"):
        raise ValueError(
            f"CHANGELOG.md has lines under 'Unreleased'; expected them under '## {version} - "
            "YYYY-MM-DD'"
        )
    for heading, body in found.items():
        parts = _HEADING.fullmatch(heading)
        if parts is None:
            if heading != "Unreleased":
                raise ValueError(
                    f"CHANGELOG.md has a section '{heading}'; expected '0.2.0 - date'"
                )
            continue
        datetime.date.fromisoformat(parts[2])
        if parts[1] == version:
            if "- " not in body:
                raise ValueError(f"the section of {version} in CHANGELOG.md is empty")
            return body
    raise ValueError(f"CHANGELOG.md has no section '## {version} - YYYY-MM-DD'")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python release/notes.py TAG")
    try:
        print(notes(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1]))
    except ValueError as error:
        sys.exit(str(error))
