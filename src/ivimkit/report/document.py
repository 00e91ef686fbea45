"""Report: sections that become one HTML file."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path

from ivimkit.errors import InputError, OutputExistsError
from ivimkit.report.assembler import assemble
from ivimkit.report.section import Section

__all__ = ["Report", "check_target"]


@dataclass(frozen=True, eq=False)
class Report:
    """A report on one result, or on two.

    Parameters
    ----------
    title, subtitle : str
        What stands above.
    sections : sequence of Section
        What it shows.

    Attributes
    ----------
    html : str
        The page: one file, with everything it needs inside.

    Examples
    --------
    >>> import tempfile, ivimkit as ik
    >>> from pathlib import Path
    >>> made = ik.simulate.phantom(shape=(32, 24, 1))
    >>> report = ik.report.build(ik.fit(made.dwi))
    >>> path = report.write(Path(tempfile.mkdtemp()) / "report.html")
    >>> path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    True
    """

    title: str
    subtitle: str
    sections: Sequence[Section] = field(repr=False)

    @cached_property
    def html(self) -> str:
        """The page."""
        return assemble(self.sections, title=self.title, subtitle=self.subtitle)

    def write(
        self, path: str | os.PathLike[str] = "report.html", *, overwrite: bool = False
    ) -> Path:
        """Write the page.

        Parameters
        ----------
        path : path
            The file; its folder is made if it is not there.
        overwrite : bool
            Whether a file of this name may be replaced.

        Returns
        -------
        Path
            Full path of the file. It appears complete or not at all.

        Raises
        ------
        OutputExistsError
            If there is such a file and overwriting was not asked for.
        InputError
            If it cannot be written.
        """
        target = check_target(path, overwrite=overwrite)
        page = self.html
        stage = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:8]}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            stage.write_text(page, encoding="utf-8", newline="\n")
            stage.replace(target)
        except OSError as error:
            raise InputError(
                f"cannot write {target}: {error.strerror or error}; expected a folder with "
                "enough space and the right to write. Choose another one"
            ) from error
        finally:
            # After a success there is nothing left; after an error there may not even be a folder.
            with suppress(OSError):
                stage.unlink()
        return target

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame: its style must not reach out of it."""
        return (
            f'<iframe title="{escape(self.title, quote=True)}" width="100%" height="800" '
            'sandbox="allow-scripts allow-modals allow-popups" allow="clipboard-write *" '
            f'srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the full path of a file to be written, or refuse it before any work.

    Parameters
    ----------
    path : path
        The file.
    overwrite : bool
        Whether a file of this name may be replaced.

    Raises
    ------
    OutputExistsError
        If it is a folder, or there is such a file and overwriting was not asked for.
    """
    target = Path(path).expanduser().resolve()
    if target.is_dir():
        raise OutputExistsError(f"{target} is a folder; expected a file, like report.html")
    if target.exists() and not overwrite:
        raise OutputExistsError(
            f"{target} is there already; expected a new file. Choose another name, or ask to "
            "overwrite it (--overwrite, overwrite=True)"
        )
    return target
