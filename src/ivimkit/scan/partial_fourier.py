"""How much of k-space a scan has, as its sidecar or its DICOM headers say it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PARTIAL_OPTIONS", "KSpace", "as_number", "is_full"]

# Rounded by what converts, a full acquisition may be 0.999.
_MIN_FULL_SHARE = 0.995
_SOURCE = "PartialFourierSource"
_WORDS = re.compile(r"[A-Z0-9]+")
PARTIAL_OPTIONS = ("PFP", "PFF")
"""Scan Options (0018,0022): partial Fourier in the phase and in the frequency direction."""


@dataclass(frozen=True)
class KSpace:
    """What is known about the share of k-space that was acquired.

    Parameters
    ----------
    share : float
        From 0 to 1; NaN if it is not known.
    is_partial : bool or None
        Whether it is less than all; None if that is not known.
    source : str
        What says so, for messages.
    """

    share: float
    is_partial: bool | None
    source: str = ""

    @classmethod
    def of(cls, sidecar: Mapping[str, Any]) -> KSpace:
        """Read a sidecar, by the keys of BIDS and of dcm2niix; whatever is less than all decides.

        Examples
        --------
        >>> from ivimkit.scan.partial_fourier import KSpace
        >>> KSpace.of({"PartialFourier": 0.75})
        KSpace(share=0.75, is_partial=True, source='PartialFourier is 0.75 in its JSON sidecar')
        >>> KSpace.of({"PartialFourierEnabled": "NO"}).is_partial
        False
        """
        share = as_number(sidecar.get("PartialFourier"))
        known = 0.0 < share <= 1.0
        enabled = str(sidecar.get("PartialFourierEnabled", "")).strip().upper()
        options = _WORDS.findall(str(sidecar.get("ScanOptions", "")).upper())
        percent = as_number(sidecar.get("PercentSampling"))
        partial = {
            "PartialFourier": known and not is_full(share),
            "PartialFourierEnabled": enabled in ("YES", "TRUE"),
            "ScanOptions": any(one in options for one in PARTIAL_OPTIONS),
            "PercentSampling": percent > 0.0 and not is_full(percent / 100.0),
        }
        full = {
            "PartialFourier": known,
            "PartialFourierEnabled": enabled in ("NO", "FALSE"),
        }
        key = next((name for name, told in partial.items() if told), None)
        if key is not None:
            least = share if key == "PartialFourier" else math.nan
            return cls(least, True, _said(sidecar, key))
        key = next((name for name, told in full.items() if told), None)
        if key is not None:
            return cls(share if known else 1.0, False, _said(sidecar, key))
        return cls(math.nan, None)


def is_full(share: float) -> bool:
    """Return whether a share of k-space is all of it, up to rounding."""
    return share >= _MIN_FULL_SHARE


def as_number(value: object) -> float:
    """Return a number; NaN for anything else."""
    if isinstance(value, bool):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _said(sidecar: Mapping[str, Any], key: str) -> str:
    element = sidecar.get(_SOURCE)
    if isinstance(element, str) and element:
        return f"{key} is {sidecar[key]}, from {element} in its DICOM headers"
    return f"{key} is {sidecar[key]} in its JSON sidecar"
