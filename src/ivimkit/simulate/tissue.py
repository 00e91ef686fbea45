"""Tissue: the properties of one tissue of a phantom."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REFERENCE_S0", "Tissue"]

REFERENCE_S0 = 1000.0
"""S0, a.u., that the signal-to-noise ratio of a phantom refers to: that of its first tissue."""


@dataclass(frozen=True)
class Tissue:
    """One tissue of a phantom.

    Parameters
    ----------
    name : str
        Name to display.
    S0 : float
        Signal at b = 0 in a homogeneous receive field, a.u.
    f : float
        Perfusion fraction.
    D_star : float
        Pseudo-diffusion coefficient, mm^2/s; NaN where f = 0.
    D : float
        Diffusion coefficient, mm^2/s.
    source : str
        Source of f, D_star and D; S0 is chosen to resemble T2-weighted EPI.
    """

    name: str
    S0: float
    f: float
    D_star: float
    D: float
    source: str
