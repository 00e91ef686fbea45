"""How much of k-space was acquired, as headers say it, by the keys of BIDS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydicom import Dataset

from ivimkit.io.dicom.element import PrivateTag, first, items, number, text, words
from ivimkit.scan.partial_fourier import PARTIAL_OPTIONS, KSpace, is_full

__all__ = ["PHILIPS_GROUPS", "AcquiredShare", "Facts", "k_space_facts", "of_all_series"]

Facts = Mapping[str, str | float]
"""Keys of BIDS and dcm2niix, and ``PartialFourierSource``: where the first of them is from."""

PHILIPS_GROUPS = tuple(
    PrivateTag(0x2005, element, "SQ", "Philips MR Imaging DD 005") for element in (0x140F, 0x140E)
)
"""Sequences of Philips with elements of enhanced objects, also in classic ones."""


class AcquiredShare(NamedTuple):
    """Share of the lines of k-space that were acquired, and the element that says so."""

    share: float
    source: str


def k_space_facts(header: Dataset, share: AcquiredShare | None) -> Facts:
    """Return what a header says about k-space.

    Parameters
    ----------
    header : Dataset
        Of a classic or an enhanced image.
    share : AcquiredShare, optional
        What its manufacturer says in other elements.

    Returns
    -------
    mapping of str to str or float
        Empty if it says nothing.
    """
    shared = first(header, "SharedFunctionalGroupsSequence")
    own = first(header, "PerFrameFunctionalGroupsSequence")
    modifiers = [first(groups, "MRModifierSequence") for groups in (shared, own)]
    others = [
        item
        for tag in PHILIPS_GROUPS
        for group in (header, shared, own)
        for item in items(group, tag)[:1]
    ]
    places = [*modifiers, header, *others]
    facts: dict[str, str | float] = {}
    if share is not None:
        facts |= {"PartialFourier": share.share, "PartialFourierSource": share.source}
    said = next((item for item in places if text(item, "PartialFourier")), None)
    if said is not None:
        facts["PartialFourierEnabled"] = text(said, "PartialFourier").upper()
        direction = text(said, "PartialFourierDirection").upper()
        facts |= {"PartialFourierDirection": direction} if direction else {}
        facts.setdefault("PartialFourierSource", "Partial Fourier (0018,9081)")
    options = [word for word in words(header, "ScanOptions") if word in PARTIAL_OPTIONS]
    if options:
        facts["ScanOptions"] = "\\".join(options)
        facts.setdefault("PartialFourierSource", "Scan Options (0018,0022)")
    geometries = [first(groups, "MRFOVGeometrySequence") for groups in (shared, own)]
    percents = [number(item, "PercentSampling") for item in (header, *geometries)]
    percent = next((one for one in percents if one), None)
    if percent is not None:
        facts["PercentSampling"] = percent
        if not is_full(percent / 100.0):
            facts.setdefault("PartialFourierSource", "Percent Sampling (0018,0093)")
    return facts


def of_all_series(facts: Iterable[Facts]) -> Facts:
    """Return the facts of a scan of several series: those of one with less than all of k-space.

    Where one of them says nothing, nothing is known, unless another was not acquired completely.
    """
    several = list(facts)
    partial = next((one for one in several if KSpace.of(one).is_partial), None)
    if partial is not None:
        return partial
    return several[0] if several and all(several) else {}
