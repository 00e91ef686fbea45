"""estimate(): the noise of a scan from the available source."""

from __future__ import annotations

from functools import partial

from numpy.typing import ArrayLike

from ivimkit.errors import NoiseError, OptionError
from ivimkit.noise.background import from_background, level_of_air
from ivimkit.noise.given import given
from ivimkit.noise.mppca import from_mppca
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.noise.repeats import from_repeats
from ivimkit.scan.dwi import DWI

__all__ = ["FIT_SOURCES", "SOURCES", "estimate", "for_fit"]

SOURCES = ("auto", "repeats", "background", "mppca")
"""Sources in the scan itself."""

FIT_SOURCES = ("auto", "repeats", "air", "mppca", "residuals")
"""What a fit can take the noise from."""


def estimate(dwi: DWI, source: str | NoiseEstimate | ArrayLike = "auto") -> NoiseEstimate:
    """Estimate the noise of a scan, or check a given one.

    Parameters
    ----------
    dwi : DWI
        The scan.
    source : {"auto", "repeats", "background", "mppca"}, NoiseEstimate, float or array_like
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
            return _air(dwi)
        if source == "mppca":
            return from_mppca(dwi)
        raise OptionError(
            f"the source of the noise is {source!r}; expected one of {', '.join(SOURCES)}, a "
            "number, a map, or what noise.from_residuals returned"
        )
    noise = source if isinstance(source, NoiseEstimate) else given(source)
    noise.check(dwi)
    return noise


def for_fit(dwi: DWI, source: str) -> NoiseEstimate | None:
    """Estimate the noise for a fit, from a source in the scan.

    Parameters
    ----------
    dwi : DWI
        The scan.
    source : {"auto", "repeats", "air", "mppca", "residuals"}
        ``"repeats"``: see `from_repeats`; ``"air"``: see `from_background`; ``"mppca"``: see
        `from_mppca`; ``"residuals"``: those of each voxel, as if no noise was given; ``"auto"``:
        repeats, air or residuals, the first that the scan has.

    Returns
    -------
    NoiseEstimate or None
        None for the residuals. Without a map of each voxel, which a fit does not use.

    Raises
    ------
    NoiseError
        If the scan does not have this source.
    OptionError
        If the source is unknown.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 2), bvals=[0, 10, 40, 200, 400, 800])
    >>> ik.noise.for_fit(made.dwi, "auto").source
    'background'
    """
    if source not in FIT_SOURCES:
        raise OptionError(
            f"sigma is {source!r}; expected one of {', '.join(FIT_SOURCES)}, a number or a map"
        )
    if source == "repeats":
        return from_repeats(dwi, each_voxel=False)
    if source == "air":
        return _air(dwi)
    if source == "mppca":
        return from_mppca(dwi)
    if source == "auto":
        for measure in (partial(from_repeats, each_voxel=False), _air):
            try:
                return measure(dwi)
            except NoiseError:
                continue
    return None


def _air(dwi: DWI) -> NoiseEstimate:
    """Return the noise of one image from the air, whether volumes are single images or means."""
    single = dwi.averages is None and dwi.history.noise == "raw"
    return from_background(dwi) if single else level_of_air(dwi)
