"""Tissue: the properties of one tissue of a phantom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ivimkit.extend.diffusion_tensor import along_axis

__all__ = ["REFERENCE_S0", "Tissue", "ivim_tissue", "with_anisotropy"]

REFERENCE_S0 = 1000.0
"""S0, a.u., that the signal-to-noise ratio of a phantom refers to: that of its first tissue."""


@dataclass(frozen=True)
class Tissue:
    """One tissue of a phantom.

    Parameters
    ----------
    name : str
        For people.
    values : mapping of str to float
        Parameters of the phantom's model, by name and in its units; without those that the tissue
        does not have, such as D* where f = 0. S0 is that in a homogeneous receive field, a.u.
    source : str
        Where the values are from; S0 is made to look like T2-weighted EPI.
    further : mapping of str to float
        Values of parameters of other models, with the same sources.

    Examples
    --------
    >>> import ivimkit as ik
    >>> liver = ik.simulate.phantom(shape=(32, 24, 1)).tissues[0]
    >>> liver.name, liver.value("f") > 0.1, liver.value("K")
    ('liver', True, nan)
    """

    name: str
    values: Mapping[str, float]
    source: str
    further: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)

    def value(self, name: str) -> float:
        """Return a parameter of the tissue; NaN if it does not have it.

        Parameters
        ----------
        name : str
            Name of the parameter.
        """
        return self.values.get(name, math.nan)


def ivim_tissue(name: str, S0: float, f: float, D_star: float, D: float, source: str) -> Tissue:
    """Return a tissue with blood in capillaries, of the bi-exponential model.

    Parameters
    ----------
    name : str
        For people.
    S0 : float
        Signal at b = 0 in a homogeneous receive field, a.u.
    f : float
        Perfusion fraction.
    D_star : float
        Pseudo-diffusion coefficient, mm^2/s; NaN where f = 0.
    D : float
        Diffusion coefficient, mm^2/s.
    source : str
        Where f, D_star and D are from.
    """
    values = {"S0": S0, "f": f, "D_star": D_star, "D": D}
    known = {key: value for key, value in values.items() if math.isfinite(value)}
    return Tissue(name, known, source)


def with_anisotropy(tissue: Tissue, anisotropy: float, axis: tuple[float, float, float]) -> Tissue:
    """Return a tissue whose diffusion is faster along an axis, for models of the direction.

    Parameters
    ----------
    tissue : Tissue
        The tissue.
    anisotropy : float
        Fractional anisotropy, chosen like those of muscle or white matter; 0 for none.
    axis : tuple of float
        Direction, of any length.
    """
    names = ("C_yy", "C_zz", "C_yx", "C_zx", "C_zy")
    form = dict(zip(names, map(float, along_axis(anisotropy, axis)), strict=True))
    return replace(tissue, further={**tissue.further, **form})


def as_fluid(tissue: Tissue) -> Tissue:
    """Return a tissue of free water, in which diffusion is Gaussian, for models of its shape."""
    return replace(tissue, further={**tissue.further, "K": 0.0, "alpha": 1.0})
