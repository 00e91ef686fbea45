"""The files that make the output a BIDS derivative: description, README, what to ignore."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ivimkit.cohort.bids_dataset import DESCRIPTION
from ivimkit.cohort.derivative_names import IGNORED
from ivimkit.io.json_text import to_json
from ivimkit.writing import told_as_input

__all__ = ["GROUP_PAGE", "INDEX", "write_dataset_files"]

INDEX = "index.html"
"""Name of the page of all scans."""

GROUP_PAGE = "group.html"
"""Name of the page of the group."""

BIDS_VERSION = "1.10.0"

_README = """\
Maps of diffusion and perfusion (IVIM) by ivimkit {version}

sub-*/[ses-*/]dwi/*_dwimap.nii.gz   maps with sidecars; names as in BEP 16 of BIDS, a draft
sub-*/[ses-*/]dwi/*_regions.tsv     each map in each region of a scan
sub-*/figures, sub-*.html           figures and report of each scan
sub-*/log                           settings, provenance and learned priors of each fit
priors                              priors that scans share (--prior shared), and their origin
index.html                          the state of all scans
group_*                             tables and page of the cohort (ivimkit bids ... group)
.ivimkit                            what has been done; a run that was interrupted goes on from it
"""


def write_dataset_files(out: Path, datasets: Mapping[str, Path]) -> None:
    """Write them, if they are not there with this content.

    Parameters
    ----------
    out : Path
        The output folder.
    datasets : mapping of str to Path
        The data sets that the maps are made from, by name.

    Raises
    ------
    InputError
        If nothing can be written there.
    """
    described: dict[str, Any] = {
        "Name": "ivimkit: maps of diffusion and perfusion",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "ivimkit", "Version": version("ivimkit")}],
        "SourceDatasets": [{"URL": root.as_uri()} for root in datasets.values()],
        "DatasetLinks": {name: root.as_uri() for name, root in datasets.items()},
    }
    contents = {
        DESCRIPTION: to_json(described, indent=2) + "\n",
        ".bidsignore": "\n".join(IGNORED) + "\n",
        "README": _README.format(version=version("ivimkit")),
    }
    with told_as_input(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            _write_if_new(out / name, text)


def _write_if_new(path: Path, text: str) -> None:
    """Write a file by renaming; runs of several parts write the same."""
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
