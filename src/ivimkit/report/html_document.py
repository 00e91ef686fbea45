"""Report: sections that become one HTML file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path

from ivimkit.letters import readable
from ivimkit.report.assembler import assemble
from ivimkit.report.section_blocks import Section
from ivimkit.writing import check_file, write_file

__all__ = ["Report"]


@dataclass(frozen=True, eq=False)
class Report:
    """A report on one result, or on two.

    Parameters
    ----------
    title, subtitle : str
        The heading.
    sections : sequence of Section
        The sections.

    Attributes
    ----------
    html : str
        The page: one self-contained file.

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
            The file; its folder is created if it does not exist.
        overwrite : bool
            Whether a file of this name may be replaced.

        Returns
        -------
        Path
            Full path of the file. It appears complete or not at all.

        Raises
        ------
        OutputExistsError
            If the file exists and overwriting was not requested.
        InputError
            If it cannot be written.
        """
        target = check_file(path, overwrite=overwrite)
        page = readable(self.html).encode("utf-8")
        write_file(target, lambda place: _write_bytes(place, page))
        return target

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame that contains its style."""
        return (
            f'<iframe title="{escape(self.title, quote=True)}" width="100%" height="800" '
            'sandbox="allow-scripts allow-modals allow-popups" allow="clipboard-write *" '
            f'srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
