"""Report: sections that become one HTML file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path

from ivimkit.errors import OptionError, OutputExistsError
from ivimkit.letters import readable
from ivimkit.report.assembler import assemble
from ivimkit.report.pdf_file import check_printer, is_printed_page, print_page
from ivimkit.report.section_blocks import Section
from ivimkit.writing import check_file, write_folder

__all__ = ["Report", "check_files", "printed_before"]


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
        self,
        path: str | os.PathLike[str] = "report.html",
        *,
        overwrite: bool = False,
        pdf: bool = False,
    ) -> Path:
        """Write the page, and a PDF file of it if asked for.

        Parameters
        ----------
        path : path
            The file; its folder is created if it does not exist.
        overwrite : bool
            Whether files of these names may be replaced. A PDF file of the page that was replaced
            is removed, unless a new one is written.
        pdf : bool
            Whether to write a PDF file beside it, with the same name and the ending ``.pdf``, in
            A4: printed by Chromium, Chrome or Edge if there is one, otherwise by WeasyPrint.

        Returns
        -------
        Path
            Full path of the page. It appears complete or not at all, together with the PDF file.

        Raises
        ------
        OutputExistsError
            If a file exists and overwriting was not requested; the PDF file of an earlier page,
            too, even if no new one is asked for.
        OptionError
            If a PDF file is asked for and there is nothing to print with.
        InputError
            If a file cannot be written, or the page not printed.
        """
        target, *printed = check_files(path, overwrite=overwrite, pdf=pdf)
        page = readable(self.html).encode("utf-8")

        def write(stage: Path) -> None:
            place = stage / target.name
            place.write_bytes(page)
            for file in printed:
                print_page(place, stage / file.name)

        outdated = [] if pdf else [file.name for file in printed_before(target)]
        names = [*(file.name for file in printed), target.name]
        write_folder(target.parent, names, write, outdated=outdated)
        return target

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame that contains its style."""
        return (
            f'<iframe title="{escape(self.title, quote=True)}" width="100%" height="800" '
            'sandbox="allow-scripts allow-modals allow-popups" allow="clipboard-write *" '
            f'srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )


def check_files(
    path: str | os.PathLike[str] = "report.html", *, overwrite: bool = False, pdf: bool = False
) -> tuple[Path, ...]:
    """Return the full paths of the files to be written, or reject them before any work.

    Parameters
    ----------
    path, overwrite, pdf
        Those of `Report.write`.

    Returns
    -------
    tuple of Path
        The page, and its PDF file if there is to be one.

    Raises
    ------
    OutputExistsError
        If a file exists and overwriting was not requested; the PDF file of an earlier page, too.
    OptionError
        If there is nothing to print with, or the page has the name of its PDF file.
    InputError
        If a path is not usable.
    """
    target = check_file(path, overwrite=overwrite)
    if not pdf:
        for file in printed_before(target):
            if not overwrite:
                raise OutputExistsError(
                    f"{file} was printed from an earlier page; expected none, as it would not "
                    "show what the new page does. Print it again (--pdf --overwrite), have it "
                    "removed (--overwrite), or choose another name",
                    python="Pass overwrite=True, with pdf=True to print it again",
                )
        return (target,)
    check_printer()
    printed = target.with_suffix(".pdf")
    if printed == target:
        raise OptionError(
            f"the page is to be {target.name}; expected another ending than that of the PDF file "
            "beside it. Call it .html"
        )
    return target, check_file(printed, overwrite=overwrite)


def printed_before(target: Path) -> list[Path]:
    """Return the PDF file of an earlier page of that name, if there is one."""
    printed = target.with_suffix(".pdf")
    return [printed] if printed != target and is_printed_page(printed) else []
