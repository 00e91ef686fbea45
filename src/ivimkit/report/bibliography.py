"""BibTeX entries of the literature, by DOI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from ivimkit.errors import OptionError

__all__ = ["bibtex", "doi_of", "entries", "is_known", "note_entry", "software_entry"]

_ENTRY = re.compile(r"^@\w+\{.*?^\}", flags=re.M | re.S)
_DOI_FIELD = re.compile(r"^\s*doi\s*=\s*\{(.+)\},?$", flags=re.M)
_DOI = re.compile(r"doi:(\S+)")


@cache
def entries() -> dict[str, str]:
    """Return the BibTeX entry of each DOI, in lower case, because DOIs are case-insensitive."""
    text = (files("ivimkit.report") / "bibliography.bib").read_text(encoding="utf-8")
    found = {}
    for entry in _ENTRY.findall(text):
        (doi,) = _DOI_FIELD.findall(entry)
        found[doi.lower()] = entry
    return found


def doi_of(reference: str) -> str:
    """Return the DOI that a reference ends with.

    Raises
    ------
    OptionError
        If there is none.
    """
    found = _DOI.search(reference)
    if found is None:
        raise OptionError(
            f"the reference {reference!r} has no DOI; expected one at its end, like "
            "doi:10.1000/xyz. Add it to the reference"
        )
    return found[1].rstrip(".,")


def bibtex(cited: Sequence[str]) -> str:
    """Return the BibTeX entries of references.

    Parameters
    ----------
    cited : sequence of str
        References, each with its DOI.

    Returns
    -------
    str
        Entries with an empty line between them.

    Raises
    ------
    OptionError
        If a DOI is not in the bibliography.
    """
    known, found = entries(), {}
    for reference in cited:
        doi = doi_of(reference).lower()
        if doi not in known:
            raise OptionError(
                f"doi:{doi} is not in the bibliography; expected an entry for every reference. "
                "Add it to report/bibliography.bib"
            )
        found[doi] = known[doi]
    return "\n\n".join(found.values())


def is_known(reference: str) -> bool:
    """Return whether the bibliography has an entry for a reference."""
    found = _DOI.search(reference)
    return found is not None and found[1].rstrip(".,").lower() in entries()


def note_entry(reference: str, number: int) -> str:
    """Return a BibTeX entry for a reference of a model that is not one of ivimkit's.

    Parameters
    ----------
    reference : str
        The reference as it is written.
    number : int
        Tells the entries of one text apart.

    Examples
    --------
    >>> from ivimkit.report.bibliography import note_entry
    >>> print(note_entry("Me. My model. 2026.", 1))
    @misc{reference1,
      note = {Me. My model. 2026.}
    }
    """
    # Braces and backslashes would end the field, or start a command.
    text = re.sub(r"[{}\\]", "", " ".join(reference.split()))
    return f"@misc{{reference{number},\n  note = {{{text}}}\n}}"


def software_entry(version: str) -> str:
    """Return the BibTeX entry of ivimkit itself.

    Parameters
    ----------
    version : str
        The version that produced the result.
    """
    return "\n".join(
        [
            "@software{ivimkit,",
            "  author  = {{The ivimkit developers}},",
            "  title   = {ivimkit: intravoxel incoherent motion maps from multi-b diffusion"
            " {MRI}},",
            f"  version = {{{version}}}",
            "}",
        ]
    )
