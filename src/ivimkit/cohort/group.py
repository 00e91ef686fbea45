"""group: tables and page of a cohort, from what has been written of its scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ivimkit.cohort.dataset_files import GROUP_PAGE
from ivimkit.cohort.group_tables import (
    data_dictionary,
    find_outliers,
    long_table,
    repeated_sessions,
    wide_table,
    with_participants,
)
from ivimkit.cohort.ledger import DONE, Entry, Ledger
from ivimkit.cohort.region_table import write_region_table
from ivimkit.errors import InputError
from ivimkit.io.json_text import write_json
from ivimkit.io.result_folder import check_free
from ivimkit.writing import Files, full_path, write_files

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NO_PARQUET", "group"]

NO_PARQUET = (
    "no Parquet file was written, as pyarrow is not installed; the same table is in "
    "group_regions.tsv. To get it: pip install 'ivimkit[parquet]'"
)
_LONG, _WIDE, _REPEATED = "group_regions.tsv", "group_wide.tsv", "group_repeatability.tsv"
_DICTIONARY, _PARQUET = "group_regions.json", "group_regions.parquet"
_OPTIONAL = (_REPEATED, _PARQUET)


def group(out: Path, *, participants: Path | None = None, overwrite: bool = False) -> list[Path]:
    """Write tables and page of a cohort.

    Parameters
    ----------
    out : Path
        The output folder of the level participant.
    participants : Path, optional
        ``participants.tsv`` of the data set, whose columns are added.
    overwrite : bool
        Whether earlier tables may be replaced.

    Returns
    -------
    list of Path
        The files: a long table with its data dictionary, a wide one, the repeatability where
        subjects have several sessions, Parquet where pyarrow is installed, and the pages.

    Raises
    ------
    InputError
        If there are no tables of scans, they are of several versions or options, or files exist
        and may not be replaced.
    """
    # Imported here: they load matplotlib.
    from ivimkit.cohort.group_page import group_page
    from ivimkit.cohort.index_page import write_index
    from ivimkit.cohort.prior_section import prior_section

    home = full_path(out)
    entries = tuple(Ledger(home).entries())
    _refuse_mixture(entries)
    names = (_LONG, _DICTIONARY, _WIDE, GROUP_PAGE, *_OPTIONAL)
    check_free(home, names, overwrite=overwrite)
    table = long_table(home)
    repeated = repeated_sessions(table)
    page = group_page(table, find_outliers(table), entries, repeated, prior_section(home))
    whole, wide = (with_participants(one, participants) for one in (table, wide_table(table)))
    writers: dict[str, Callable[[Path], object]] = {
        _LONG: partial(write_region_table, table=whole),
        _DICTIONARY: partial(write_json, content=data_dictionary(whole)),
        _WIDE: partial(write_region_table, table=wide),
        GROUP_PAGE: lambda path: path.write_text(page.html, encoding="utf-8"),
    }
    if repeated is not None:
        writers[_REPEATED] = partial(write_region_table, table=repeated[1].reset_index())
    if find_spec("pyarrow") is not None:
        writers[_PARQUET] = partial(_write_parquet, table=whole)

    def write(stage: Path) -> None:
        for name, write_one in writers.items():
            write_one(stage / name)

    outdated = [name for name in _OPTIONAL if name not in writers]
    write_files(home, Files(list(writers), write, outdated))
    return [*(home / name for name in writers), write_index(home)]


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    table.to_parquet(path, index=False)


def _refuse_mixture(entries: tuple[Entry, ...]) -> None:
    """Refuse scans that were fitted by several versions or options: they cannot be compared."""
    kinds = Counter((one.version, one.options) for one in entries if one.state == DONE)
    if len(kinds) > 1:
        versions = sorted({version for version, _ in kinds})
        counts = " and ".join(str(number) for number in kinds.values())
        what = (
            f"versions {', '.join(versions)} of ivimkit" if len(versions) > 1 else "other options"
        )
        raise InputError(
            f"groups of {counts} scans were fitted by {what}; expected one version and one set of "
            "options, or they cannot be compared. Fit all by the same, with --overwrite"
        )
