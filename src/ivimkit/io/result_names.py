"""Names of what is in the folder of a result."""

from __future__ import annotations

import re
from pathlib import Path

from ivimkit.fitting.result import FitResult
from ivimkit.io.map_folder import files_of
from ivimkit.io.preprocessed_files import PREPROCESSED, SCAN_FILES

__all__ = [
    "ALL",
    "FIGURES",
    "RECORD",
    "REPORT",
    "SPECTRUM",
    "WEIGHTS",
    "also_folder",
    "also_in",
    "drawn_in",
    "prior_name",
]

FIGURES = "figures"
"""Name of the folder of figures in the folder of a result."""

REPORT = "report.html"
"""Name of the report in the folder of a result."""

REPORT_PDF = "report.pdf"
"""Name of its PDF file."""

RECORD = "fit.json"
"""Name of the record, which makes a folder a result."""

SPECTRUM = "spectrum"
WEIGHTS = "value_weights"
"""Names of images with a volume per bin, and per volume of the scan."""

ALL = "all"
"""The region of everything, in a fit without regions."""

_ALSO = "also_"
"""Start of the name of the folder, in that of a result, of the fit by another method."""

# The figures that ivimkit fit and plot draw into the folder of a result.
_PICTURE = re.compile(
    r"(maps|status|histograms|uncertainty|residuals|lesion|methods|spectra|screening|prior(_-?[\d.e+]+)?|voxel_\d+_\d+_\d+)"
    r"\.png"
)


def also_folder(home: Path, also: FitResult | str) -> Path:
    """Return the folder, in that of a result, of the fit by another method, or by its name."""
    return home / f"{_ALSO}{also if isinstance(also, str) else also.method.name}"


def also_in(home: Path) -> list[Path]:
    """Return the folders of fits by another method in that of a result, without links."""
    folders = sorted(home.glob(f"{_ALSO}*/"))
    return [one for one in folders if not one.is_symlink() and (one / RECORD).is_file()]


def prior_name(region: str) -> str:
    """Return the name of the file with the prior of a region."""
    return "prior.npz" if region == ALL else f"prior_{region}.npz"


def drawn_in(folder: Path) -> list[str]:
    """Return what belongs to the result in a folder without being in its record, if any.

    Figures, report, the fit by another method, and the scan after the steps before the fit.
    """
    if not (folder / RECORD).is_file():
        return []
    there = folder / FIGURES
    names = sorted(path.name for path in there.iterdir()) if there.is_dir() else []
    pictures = ["maps.png", *filter(_PICTURE.fullmatch, names)]
    inner = [
        f"{one.name}/{name}"
        for one in also_in(folder)
        for name in (*files_of(one, RECORD), *drawn_in(one))
    ]
    scan = [f"{PREPROCESSED}/{name}" for name in SCAN_FILES]
    return [
        REPORT,
        REPORT_PDF,
        *(f"{FIGURES}/{name}" for name in dict.fromkeys(pictures)),
        *inner,
        *scan,
    ]
