"""Body parts of the OSIPI collection, with its initial guesses."""

from __future__ import annotations

from collections.abc import Mapping

from ivimkit.errors import OptionError

__all__ = ["BODY_PARTS", "body_part_of"]

# Means of healthy tissue in the collection: f, Dp (D*) and D in mm^2/s.
_MEANS = {
    "brain": (0.0764, 0.01088, 0.83e-3),
    "kidney": (0.1888, 0.04053, 1.89e-3),
    "liver": (0.2305, 0.07002, 1.09e-3),
    "muscle": (0.1034, 0.03088, 1.47e-3),
    "breast_benign": (0.07, 0.05233, 1.43e-3),
    "breast_malignant": (0.1131, 0.03776, 0.97e-3),
    "pancreas_benign": (0.2003, 0.02539, 1.41e-3),
    "pancreas_malignant": (0.1239, 0.02216, 1.40e-3),
    "generic": (0.1, 0.01, 1e-3),
}

BODY_PARTS: Mapping[str, Mapping[str, float]] = {
    name: {"S0": 1.0, "f": f, "Dp": fast, "D": slow} for name, (f, fast, slow) in _MEANS.items()
}
"""The collection's initial guess for each body part, D and Dp in mm^2/s."""


def body_part_of(name: str) -> str:
    """Return the name of a body part as the collection spells it.

    Parameters
    ----------
    name : str
        In upper or lower case, with blanks or hyphens for underscores.

    Raises
    ------
    OptionError
        If the collection has no such body part; the message lists those available.

    Examples
    --------
    >>> from ivimkit.compat.body_parts import body_part_of
    >>> body_part_of("Breast benign")
    'breast_benign'
    """
    key = name.lower().replace(" ", "_").replace("-", "_")
    if key not in BODY_PARTS:
        raise OptionError(f"unknown body part {name!r}; expected one of {', '.join(BODY_PARTS)}")
    return key
