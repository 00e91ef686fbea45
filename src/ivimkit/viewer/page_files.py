"""Page files: the files of the built page."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ivimkit.errors import PageMissingError

__all__ = ["INDEX", "page_files"]

INDEX = "index.html"


def folder() -> Path:
    """Return the folder of the page, if it was built."""
    return Path(str(files("ivimkit.viewer") / "static"))


def page_files() -> dict[str, Path]:
    """Return the files of the page by their addresses.

    Only these are served: an address is looked up here, and never converted to a path.

    Returns
    -------
    dict of str to Path
        E.g. ``"assets/index.js"``.

    Raises
    ------
    PageMissingError
        If the page was not built.
    """
    home = folder()
    if not (home / INDEX).is_file():
        raise PageMissingError(
            "the page of the viewer is missing: it is built when ivimkit is installed, from "
            "packages of registry.npmjs.org, which could not be reached; install ivimkit again "
            "with a connection: pip install --force-reinstall --no-deps --no-cache-dir ivimkit "
            "(in a checkout: pip install -e .)"
        )
    paths = sorted(path for path in home.rglob("*") if path.is_file())
    return {path.relative_to(home).as_posix(): path for path in paths}
