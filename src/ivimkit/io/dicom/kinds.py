"""Kind: what the images of a scanner are, by the words of their Image Type and description."""

from __future__ import annotations

import re
from enum import StrEnum

from pydicom import Dataset

from ivimkit.io.dicom.element import first, text

__all__ = ["MEASURED", "Kind", "has_unit_of_a_map", "kind_of", "says_derived"]

# DICOM PS3.3, C.8.13.3.1.1 (value 4 of Image Type) and what vendors write: Siemens TENSOR_B0 and
# CALC_BVALUE (a high b computed from others), Philips and GE the rest.
_DERIVED = frozenset(
    [
        *("ADC", "ADC_UNSPECIFIED", "EADC", "EXP", "FA", "COLFA", "RA", "VR", "MD", "AXD", "RD"),
        *("TENSOR", "TENSOR_B0", "TTEST", "DIFFUSION_ANISO", "FRACTIONAL_ANISOTROPY"),
    ]
)
_COMPUTED = frozenset(["CALC_BVALUE", "COMPUTED_DIFFUSION", "SYNTHETIC_BVALUE"])
_TRACE = frozenset(["TRACEW", "TRACE", "ISOTROPIC"])
_PHASE = frozenset(["P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY"])
_MAGNITUDE = frozenset(["M", "MAGNITUDE"])
_COMPLEX = frozenset(["PHASE", "REAL", "IMAGINARY"])
# `\b` would not find ADC in ep2d_diff_ADC.
_NAMED_DERIVED = re.compile(
    r"(?<![A-Z])(E?ADC(?![A-Z])|(COL)?FA(?![A-Z0-9])|MD(?![A-Z0-9]))"
    r"|APPARENT DIFF|EXPONENTIAL|FRACT\w*[ _]ANIS|TENSOR_B0",
)
_OF_DIFFUSION = re.compile(r"MM.?2/S|UM.?2/S")


class Kind(StrEnum):
    """What an image shows.

    Attributes
    ----------
    DWI
        A measured image: without diffusion weighting, of one direction, or of none that is known.
    TRACE
        The mean of the directions of a b-value.
    DERIVED
        A map: ADC, FA and so on.
    COMPUTED
        A b-value that was computed from others, not measured.
    PHASE
        Phase, real or imaginary part.
    """

    DWI = "dwi"
    TRACE = "trace"
    DERIVED = "derived"
    COMPUTED = "computed"
    PHASE = "phase"


MEASURED = (Kind.DWI, Kind.TRACE)
"""Kinds of images that can be fitted."""


def kind_of(image_type: tuple[str, ...], header: Dataset) -> Kind:
    """Return what an image is, by the standard; a vendor may know better.

    Parameters
    ----------
    image_type : tuple of str
        Image Type, or the Frame Type of a frame, in upper case.
    header : Dataset
        The header, or the functional groups of a frame.

    Returns
    -------
    Kind

    Examples
    --------
    >>> from pydicom import Dataset
    >>> from ivimkit.io.dicom.kinds import kind_of
    >>> kind_of(("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"), Dataset())
    <Kind.TRACE: 'trace'>
    """
    found = set(image_type)
    if found & _COMPUTED:
        return Kind.COMPUTED
    mapped = first(header, "RealWorldValueMappingSequence")
    if found & _DERIVED or has_unit_of_a_map(header, mapped):
        return Kind.DERIVED
    component = text(header, "ComplexImageComponent").upper()
    if component in _COMPLEX or (found & _PHASE and not found & _MAGNITUDE):
        return Kind.PHASE
    if found & _TRACE:
        return Kind.TRACE
    if "DERIVED" in found and says_derived(text(header, "SeriesDescription")):
        return Kind.DERIVED
    return Kind.DWI


def says_derived(description: str) -> bool:
    """Whether the description of a series is that of a map.

    Examples
    --------
    >>> from ivimkit.io.dicom.kinds import says_derived
    >>> says_derived("ep2d_diff_b50_800_ADC"), says_derived("ep2d_diff_b50_800_TRACEW")
    (True, False)
    """
    return bool(_NAMED_DERIVED.search(description.upper()))


def has_unit_of_a_map(rescaled: Dataset, mapped: Dataset) -> bool:
    """Whether the unit of the values is that of a diffusion coefficient.

    Parameters
    ----------
    rescaled : Dataset
        What contains Rescale Type and Units.
    mapped : Dataset
        Item of the Real World Value Mapping.
    """
    code = text(first(mapped, "MeasurementUnitsCodeSequence"), "CodeValue")
    units = (text(rescaled, "RescaleType"), text(rescaled, "Units"), code)
    return any(_OF_DIFFUSION.fullmatch(unit.upper()) for unit in units)
