"""How far the tissue of a scan moves: the motion part of ``ivimkit check``."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from ivimkit.cli.screen.terminal import plain_table
from ivimkit.errors import InputError
from ivimkit.rounding import rounded
from ivimkit.scan.dwi import DWI
from ivimkit.steps import MotionEstimate, estimate_motion

__all__ = ["MotionFinding", "motion_finding", "motion_table"]

_ERROR = 0.2
"""About the error of an estimate, mm and degrees: it gives the decimals that are shown."""

_ADVICE = "Align the volumes before the fit: ivimkit preprocess, or ivimkit fit --preprocess auto"


@dataclass(frozen=True)
class MotionFinding:
    """What is known of the motion.

    Parameters
    ----------
    mark, style, text : str
        As `ivimkit check` shows its checks.
    motion : MotionEstimate, optional
        What was estimated.
    """

    mark: str
    style: str
    text: str
    motion: MotionEstimate | None = None


def motion_finding(dwi: DWI) -> MotionFinding | None:
    """Return what is known of the motion; None for a scan that has no images.

    Parameters
    ----------
    dwi : DWI
        The scan.
    """
    try:
        motion = estimate_motion(dwi, quick=True)
    except InputError as error:
        if len(dwi.shape) not in (2, 3):
            return None
        return MotionFinding("", "", str(error))
    flags = f". No movement was found for {motion.flags}" if motion.flags else ""
    if motion.is_relevant or motion.flagged:
        return MotionFinding("warning", "yellow", f"{motion}{flags}. {_ADVICE}", motion)
    return MotionFinding(
        "ok", "green", f"{motion}, which is no more than the error of this estimate", motion
    )


def motion_table(dwi: DWI, motion: MotionEstimate) -> Table:
    """Return a table of the motion by volume.

    Parameters
    ----------
    dwi : DWI
        The scan.
    motion : MotionEstimate
        Of this scan.
    """
    table = plain_table("volume", "b (s/mm²)", "shift (mm)", "rotation (°)", left=0)
    table.add_column("")
    notes = {**dict.fromkeys(motion.reference, "reference"), **dict(motion.flagged)}
    for volume, b in enumerate(dwi.acquisition.bvals):
        shift, turn = motion.shift_mm[volume], motion.rotation_deg[volume]
        table.add_row(
            str(dwi.volumes[volume]),
            f"{b:g}",
            rounded(shift, _ERROR),
            rounded(turn, _ERROR),
            notes.get(volume, ""),
        )
    return table
