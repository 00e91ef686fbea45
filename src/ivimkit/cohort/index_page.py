"""The index page of the output: the state of each scan, with links to the reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ivimkit.cohort.dataset_files import GROUP_PAGE, INDEX
from ivimkit.cohort.ledger import DONE, FAILED, RUNNING, UNSUITABLE, Entry, Ledger
from ivimkit.cohort.prior_section import prior_section
from ivimkit.report import Report
from ivimkit.report.section_blocks import Block, Items, Links, Section, Text
from ivimkit.rounding import percent, thousands

__all__ = ["index_page", "write_index"]

_TITLES = {
    FAILED: "Failed",
    RUNNING: "Not finished",
    UNSUITABLE: "Not suitable for the model",
    DONE: "Done",
}


def write_index(out: Path) -> Path:
    """Write the page for what the ledger of a folder says, replacing an earlier one."""
    page = index_page(
        tuple(Ledger(out).entries()),
        has_group=(out / GROUP_PAGE).is_file(),
        prior=prior_section(out),
    )
    return page.write(out / INDEX, overwrite=True)


def index_page(
    entries: Sequence[Entry], *, has_group: bool = False, prior: Section | None = None
) -> Report:
    """Return the page; what failed comes first.

    Parameters
    ----------
    entries : sequence of Entry
        The scans.
    has_group : bool
        Whether there is a page of the group.
    prior : Section, optional
        The priors that the scans share.
    """
    counts = Counter(entry.state for entry in entries)
    parts = [f"{thousands(counts[state])} {title.lower()}" for state, title in _TITLES.items()]
    blocks: list[Block] = [Text(", ".join(parts) + ".", tone="lead")]
    if has_group:
        blocks.append(Links([(GROUP_PAGE, "The whole group", "")]))
    sections = [Section("Scans", "scans", blocks)]
    for state, title in _TITLES.items():
        own = [entry for entry in entries if entry.state == state]
        if own:
            sections.append(Section(title, state, [_listed(own)]))
    if prior is not None:
        sections.append(prior)
    return Report("ivimkit: maps of a cohort", f"{thousands(len(entries))} scans", sections)


def _listed(entries: Sequence[Entry]) -> Block:
    if entries[0].state == DONE:
        return Links([(_target(entry), entry.name, _about(entry)) for entry in entries])
    return Items([f"{one.name}: {one.sentence}" if one.sentence else one.name for one in entries])


def _target(entry: Entry) -> str:
    """Return what to open: the report, or the table of regions where there is no report."""
    pages = [name for name in entry.files if name.endswith(".html")]
    tables = [name for name in entry.files if name.endswith("_regions.tsv")]
    return (pages or tables or [""])[0]


def _about(entry: Entry) -> str:
    told = "".join(f" Warning: {sentence}." for sentence in entry.warnings)
    return f"{thousands(entry.n_voxels)} voxels, {percent(entry.share_ok)} without any flag.{told}"
