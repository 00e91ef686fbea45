"""Inspection: which scans a study has, found by a child process.

What a peer sends is untrusted, and reading the headers of thousands of files takes memory: a child
process can neither take the node with it nor make it grow.
"""

from __future__ import annotations

import msgspec

__all__ = ["FoundScan", "Inspection"]


class FoundScan(msgspec.Struct, frozen=True, kw_only=True):
    """A scan of a study.

    Parameters
    ----------
    series : tuple of str
        Series Instance UIDs.
    numbers : tuple of int
        Series Numbers.
    b_values : tuple of float
        Its different b-values, s/mm².
    description, protocol, body_part, manufacturer, station : str
        Header values.
    incomplete : str
        Which volumes lack slices; empty if none does.
    """

    series: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    b_values: tuple[float, ...] = ()
    description: str = ""
    protocol: str = ""
    body_part: str = ""
    manufacturer: str = ""
    station: str = ""
    incomplete: str = ""


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a study has.

    Parameters
    ----------
    scans : tuple of FoundScan
        The scans that can be fitted, or could with more images.
    reason : str
        Why there is none.
    patient : str
        Name and number of the patient, for logs that may have them.
    """

    scans: tuple[FoundScan, ...] = ()
    reason: str = ""
    patient: str = ""
