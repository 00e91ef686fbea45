"""Texture: how the parameters of a tissue vary from voxel to voxel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError
from ivimkit.extend.signal_model import SignalModel
from ivimkit.simulate.anatomy import Grid

__all__ = ["TEXTURE_SPREAD", "Texture", "textured"]

TEXTURE_SPREAD: Mapping[str, float] = {"S0": 0.08, "f": 0.20, "D_star": 0.30, "D": 0.10}
"""Standard deviations of the logarithms of parameters inside a tissue, by default."""

# Full width at half maximum of a Gaussian, in standard deviations.
_FWHM = math.sqrt(8.0 * math.log(2.0))
# Fractions together leave at least this share of S0 to the reference compartment, unless the
# tissue itself leaves less.
_MIN_REMAINDER = 0.05
# Distinguishes the random numbers of textures from those of the noise of the same seed.
_STREAM = 7_001


@dataclass(frozen=True)
class Texture:
    """How much the parameters of a tissue vary: partly smoothly, partly voxel by voxel.

    A phantom of constant tissues flatters every method that smooths; real tissue is not constant.

    Parameters
    ----------
    spread : mapping of str to float
        Standard deviation of the logarithm of each parameter inside a tissue; others do not vary.
    smooth : float
        Share of the variance, 0 to 1, that varies smoothly; the rest differs from voxel to voxel.
    fwhm : float
        Full width at half maximum of the Gaussian that smooths, mm.

    Raises
    ------
    OptionError
        If a number is out of range.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> smooth = simulate.Texture({"D": 0.1}, smooth=1.0)
    >>> made = simulate.phantom(shape=(32, 24, 1), texture=smooth)
    >>> bool(made.truth["D"][made.region("liver")].std() > 0)
    True
    """

    spread: Mapping[str, float] = field(default_factory=lambda: dict(TEXTURE_SPREAD))
    smooth: float = 0.5
    fwhm: float = 15.0

    def __post_init__(self) -> None:
        for name, value in self.spread.items():
            if not 0.0 <= value < math.inf:
                raise OptionError(f"the texture of {name} is {value!r}; expected a number >= 0")
        if not 0.0 <= self.smooth <= 1.0:
            raise OptionError(f"the smooth share of a texture is {self.smooth!r}; expected 0 to 1")
        if not 0.0 < self.fwhm < math.inf:
            raise OptionError(f"the fwhm of a texture is {self.fwhm!r} mm; expected a number > 0")

    def check(self, model: SignalModel) -> None:
        """Raise if a parameter is not one of the model's; the message lists those."""
        for name in self.spread:
            if name not in model.names:
                raise OptionError(
                    f"the texture varies {name}, which model {model.name} does not have; expected "
                    f"some of {', '.join(model.names)}"
                )

    def factors(self, grid: Grid, seed: int) -> dict[str, NDArray[np.float64]]:
        """Return the factor on each parameter in every voxel, shape (x, y, z).

        Parameters
        ----------
        grid : Grid
            The voxels.
        seed : int
            The same seed gives the same texture. That of a parameter does not depend on what else
            varies.
        """
        found = {}
        for name, spread in self.spread.items():
            stream = int.from_bytes(name.encode(), "little") % 2**32
            random = np.random.default_rng([seed, _STREAM, stream])
            slow = _unit(_smoothed(random.standard_normal(grid.shape), grid, self.fwhm))
            fast = random.standard_normal(grid.shape)
            mixed = math.sqrt(self.smooth) * slow + math.sqrt(1.0 - self.smooth) * fast
            found[name] = np.exp(spread * mixed)
        return found


def _smoothed(values: NDArray[np.float64], grid: Grid, fwhm: float) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter  # Slow to load, and few phantoms need it.

    widths = [fwhm / _FWHM / size for size in grid.voxel_size]
    smoothed: NDArray[np.float64] = gaussian_filter(values, widths, mode="reflect")
    return smoothed


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values scaled to the mean square 1; smoothing has made them smaller."""
    return values / max(float(np.sqrt(np.mean(values**2))), np.finfo(float).tiny)


def textured(
    model: SignalModel, values: Mapping[str, float], factors: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Return the parameters of a tissue in voxels, varied and kept possible.

    Parameters
    ----------
    model : SignalModel
        The model: its bounds hold.
    values : mapping of str to float
        Parameters of the tissue.
    factors : mapping of str to ndarray, shape (...)
        Factors of the parameters that vary.

    Returns
    -------
    dict of str to ndarray, shape (...)
        Only those of the tissue's parameters that vary.
    """
    found = {}
    for name, factor in factors.items():
        if name in values:
            parameter = model[name]
            found[name] = np.clip(values[name] * factor, parameter.lower, parameter.upper)
    fractions = [name for name in model.fractions if name in values]
    most = max(1.0 - _MIN_REMAINDER, sum(values[name] for name in fractions))
    total = sum(found.get(name, np.float64(values[name])) for name in fractions)
    too_much = np.maximum(np.asarray(total) / most, 1.0)
    for name in fractions:
        if name in found:
            found[name] = found[name] / too_much
    return found
