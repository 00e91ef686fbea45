"""Checks: the traffic lights with their reasons, those of two results in one table."""

from __future__ import annotations

from ivimkit.quality.region_checks import named
from ivimkit.report.report_subject import Subject
from ivimkit.report.section_blocks import Block, Lamps, LampsOfTwo, Section, Text

__all__ = ["about_checks", "checks"]


def checks(subject: Subject) -> Section:
    """Return the section of the traffic-light checks.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    names = [side.name for side in subject.sides]
    if len(names) == 1:
        block: Block = Lamps(subject.lights[names[0]])
    else:
        first, second = ({light.name: light for light in subject.lights[name]} for name in names)
        pairs = [(first.get(name), second.get(name)) for name in dict.fromkeys([*first, *second])]
        block = LampsOfTwo((names[0], names[1]), pairs)
    about = f"{about_checks(subject)} Scan and acquisition are judged as a whole."
    return Section("Checks", "checks", [block, Text(about, "note")])


def about_checks(subject: Subject) -> str:
    """Say of which voxels the checks speak.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    judged = subject.judged
    if judged is None:
        return "Voxels are counted in the whole mask."
    apart = ", each on its own: the worst counts" if len(judged) > 1 else ""
    return f"Voxels are counted in {named(judged)}{apart}."
