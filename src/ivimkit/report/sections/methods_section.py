"""Methods: a paragraph for a paper, its references, and their BibTeX."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from ivimkit.report.bibliography import bibtex, is_known, note_entry, software_entry
from ivimkit.report.methods_text import (
    Citations,
    agreement_text,
    comparison_text,
    methods_text,
)
from ivimkit.report.report_subject import Subject
from ivimkit.report.section_blocks import Block, Code, Items, Section, Title

__all__ = ["methods"]


def methods(subject: Subject) -> Section:
    """Return the section of the methods paragraph, with one list of references.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    citations = Citations()
    paragraphs: list[Block] = []
    for side in subject.sides:
        text = methods_text(side.result, citations)
        if subject.lesion is not None:
            reliable = subject.reliable_only is not False
            text = f"{text} {comparison_text(citations, reliable_only=reliable)}"
        label = f"Methods paragraph of {side.name}" if side.name else "Methods paragraph"
        paragraphs.append(Code(text, label, prose=True))
    if len(subject.sides) > 1:
        label = "Methods paragraph of the comparison"
        paragraphs.append(Code(agreement_text(citations), label, prose=True))
    versions = [side.result.provenance.versions.get("ivimkit") for side in subject.sides]
    software = software_entry(next((v for v in versions if v), version("ivimkit")))
    return Section(
        "Methods for a paper",
        "methods",
        [
            *paragraphs,
            Title("References"),
            Items(citations.listed, numbered=True),
            Code("\n\n".join([*_entries(citations.listed), software]), "BibTeX", folded=True),
        ],
    )


def _entries(listed: Sequence[str]) -> list[str]:
    """Return the BibTeX entries, those of references of a user's model as notes."""
    known = bibtex([reference for reference in listed if is_known(reference)])
    others = [
        note_entry(reference, number)
        for number, reference in enumerate(listed, start=1)
        if not is_known(reference)
    ]
    return [known, *others]
