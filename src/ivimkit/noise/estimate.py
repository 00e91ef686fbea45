"""estimate(): the noise of a scan from the available source."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ivimkit.errors import OptionError
from ivimkit.noise.background import from_background
from ivimkit.noise.given import given
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.noise.repeats import from_repeats
from ivimkit.scan.dwi import DWI

__all__ = ["SOURCES", "estimate"]

SOURCES = ("auto", "repeats", "background")
"""Sources in the scan itself."""


def estimate(dwi: DWI, source: str | NoiseEstimate | ArrayLike = "auto") -> NoiseEstimate:
    """Estimate the noise of a scan, or check a given one.

    Parameters
    ----------
    dwi : DWI
        The scan.
    source : {"auto", "repeats", "background"}, NoiseEstimate, float or array_like
        ``"auto"`` takes repeated volumes, the only source in the scan itself that requires no
        knowledge of coils and reconstruction. An estimate, a number or a map is checked and
        returned as an estimate.

    Returns
    -------
    NoiseEstimate
        Its `source` and `assumes` describe what was used.

    Raises
    ------
    NoiseError
        If it cannot be estimated from the scan; it is never guessed.
    OptionError
        If the source is unknown, or the number is not > 0.
    ShapeError
        If a map does not belong to the scan.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), bvals=[0, 0, 0, 50, 400, 800])
    >>> ik.noise.estimate(made.dwi).source
    'repeats'
    >>> ik.noise.estimate(made.dwi, 25.0).source
    'given'
    """
    if isinstance(source, str):
        if source in ("auto", "repeats"):
            return from_repeats(dwi)
        if source == "background":
            return from_background(dwi)
        raise OptionError(
            f"the source of the noise is {source!r}; expected one of {', '.join(SOURCES)}, a "
            "number, a map, or what noise.from_residuals returned"
        )
    noise = source if isinstance(source, NoiseEstimate) else given(source)
    noise.check(dwi)
    return noise
