"""Inputs that accompany saved results on the command line: their scans and regions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from ivimkit import io
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import InputError, OptionError
from ivimkit.fitting.result import FitResult
from ivimkit.scan.labels import Labels

__all__ = ["check_names", "load_regions", "with_scan"]


def with_scan(
    result: FitResult,
    screen: Screen,
    missing: str,
    *,
    scan: Path | None = None,
    bval: Path | None = None,
    needed: bool = False,
) -> FitResult:
    """Return a result with its scan; if there is none, unchanged, with a warning.

    Parameters
    ----------
    result : FitResult
        The fit.
    screen : Screen
        Where to warn.
    missing : str
        What is missing without the scan, for the warning.
    scan, bval : Path, optional
        The scan and its b-values; by default the files that the result names.
    needed : bool
        Whether its absence is an error. A scan that was named is always needed.

    Returns
    -------
    FitResult

    Raises
    ------
    InputError
        If the scan is needed, and is missing or not the one that was fitted.
    """
    try:
        dwi = io.load_fitted_scan(result, scan, bval)
    except InputError as error:
        if needed or scan is not None:
            raise
        screen.warn(f"{missing}: {error}")
        return result
    return dataclasses.replace(result, dwi=dwi)


def check_names(labels: Sequence[Path] | None, names: Path | None) -> None:
    """Refuse names of regions without regions, before anything is read."""
    if names is not None and not labels:
        raise OptionError("--names is given without --labels; expected both. Name the labels")


def load_regions(
    result: FitResult, labels: Sequence[Path] | None, names: Path | None = None
) -> Labels | None:
    """Load the regions that were asked for, on the grid of a result; None for none."""
    return io.load_labels(list(labels), result, names) if labels else None
