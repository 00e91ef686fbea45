"""The priors that the scans of a cohort share, as a section of its pages."""

from __future__ import annotations

from pathlib import Path

from ivimkit.cohort.ledger import PRIORS
from ivimkit.cohort.shared_prior import Pool, read_pools
from ivimkit.figures.picture import Picture
from ivimkit.figures.prior_panels import prior_panels
from ivimkit.io.prior_files import load_prior
from ivimkit.report.section_blocks import Block, Items, Pictures, Section, Table, Text
from ivimkit.rounding import NONE, several, thousands

__all__ = ["prior_section"]

_MAX_DRAWN = 12
"""Priors that are drawn, at most: there is one for each label and protocol."""


def prior_section(out: Path) -> Section | None:
    """Return what the priors of a cohort are like, and what they were learned from.

    Parameters
    ----------
    out : Path
        The output folder.

    Returns
    -------
    Section or None
        None if its scans share none.
    """
    pools = read_pools(out)
    if not pools:
        return None
    learned = [pool for pool in pools if pool.is_learned]
    blocks: list[Block] = [
        Text(
            "Scans of one protocol share a prior, learned from samples of all of them. Where "
            "voxels have neighbours, it is a share of the prior of each voxel."
        ),
        Table(
            ("prior", "b-values", "scans", "voxels", f"file in {PRIORS}"),
            [_row(pool) for pool in pools],
            "Priors of the cohort",
            words=2,
            tail=1,
        ),
    ]
    if missing := [pool.summary for pool in pools if not pool.is_learned]:
        blocks.append(Items(missing))
    pictures = [_picture(out, pool) for pool in learned[:_MAX_DRAWN] if _file(out, pool).is_file()]
    if pictures:
        blocks.append(Pictures(pictures, small=len(pictures) > 1))
    if len(learned) > _MAX_DRAWN:
        blocks.append(Text(f"The first {_MAX_DRAWN} priors are drawn.", tone="note"))
    return Section("Priors that scans share", "priors", blocks)


def _row(pool: Pool) -> tuple[str, ...]:
    return (
        pool.title,
        pool.protocol.title,
        thousands(len(pool.scans)),
        thousands(pool.n_voxels) if pool.is_learned else NONE,
        pool.file if pool.is_learned else NONE,
    )


def _picture(out: Path, pool: Pool) -> Picture:
    caption = (
        f"Prior of {pool.title}, learned from {thousands(pool.n_voxels)} voxels of "
        f"{several(len(pool.scans), 'scan')}."
    )
    return Picture(prior_panels(load_prior(_file(out, pool)), title=pool.title), caption)


def _file(out: Path, pool: Pool) -> Path:
    return out / PRIORS / pool.file
