"""Thermal noise: what of the spread of a scan is noise of its images, and what is motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ivimkit.errors import NoiseError
from ivimkit.noise.background import from_background, level_of_air
from ivimkit.noise.images import from_images
from ivimkit.noise.lowest_signals import largest_sigma
from ivimkit.noise.measurable import before_denoising
from ivimkit.noise.noise_estimate import ORIGINS, NoiseEstimate
from ivimkit.noise.repeats import calmest_repeats, from_repeats
from ivimkit.rounding import rounded
from ivimkit.scan.dwi import DWI

__all__ = ["RepeatScatter", "for_floor", "repeat_scatter", "thermal_noise"]

# Spread of repeats over the thermal noise from which motion or pulsation is said to be seen.
_MIN_RATIO = 1.3


def thermal_noise(dwi: DWI, *, coils: float = 1) -> NoiseEstimate | None:
    """Estimate the noise of the images alone, without what motion and pulsation add.

    The lower one of the noise of the air and that of repeated volumes, of those at high b if they
    differ less than others: motion, pulsation and anisotropy add to it, most where there is most
    signal. Without both it is that between neighbouring voxels. Of a denoised scan it is that
    before denoising.

    Parameters
    ----------
    dwi : DWI
        The scan.
    coils : float
        Number of coils that were combined as the root of the sum of squares.

    Returns
    -------
    NoiseEstimate or None
        None if the scan has none of these sources.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 2), bvals=[0, 10, 40, 200, 400, 800])
    >>> ik.noise.thermal_noise(made.dwi).source
    'background'
    """
    if dwi.history.noise == "changed":
        return before_denoising(dwi.history)
    air = level_of_air if coils == 1 else partial(from_background, coils=coils)
    repeats = partial(calmest_repeats, coils=coils)
    found = [one for source in (air, repeats) if (one := _of(source, dwi))]
    if found:
        return min(found, key=lambda one: one.sigma)
    return _of(from_images, dwi)


def for_floor(
    dwi: DWI, noise: NoiseEstimate | None = None, *, coils: float = 1
) -> NoiseEstimate | None:
    """Estimate the noise that raises the floor of magnitudes, from the scan and not from a fit.

    That of `thermal_noise`, or as much of it as `largest_sigma` allows.

    Parameters
    ----------
    dwi : DWI
        The scan.
    noise : NoiseEstimate, optional
        What the fit takes as noise; one that was given as it is stays.
    coils : float
        Number of coils that were combined as the root of the sum of squares.

    Returns
    -------
    NoiseEstimate or None
        None if the scan has no source.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 2), snr=20)
    >>> bool(abs(ik.noise.for_floor(made.dwi).sigma / made.sigma - 1) < 0.05)
    True
    """
    if noise is not None and noise.source == "given":
        return noise
    found = thermal_noise(dwi, coils=coils)
    if found is None or found.source == "mppca":
        return found
    most = largest_sigma(dwi)
    if found.sigma <= most:
        return found
    return replace(
        found,
        sigma=most,
        source="lowest",
        assumes="The darkest voxels in the mask show no more noise than this.",
    )


@dataclass(frozen=True)
class RepeatScatter:
    """The spread of repeated volumes, and how much of it is noise of the images.

    Parameters
    ----------
    repeats : NoiseEstimate
        The spread of repeats.
    thermal : NoiseEstimate
        The noise of the images.
    """

    repeats: NoiseEstimate
    thermal: NoiseEstimate

    @property
    def ratio(self) -> float:
        """Spread of the repeats over the noise of the images."""
        return self.repeats.sigma / self.thermal.sigma

    @property
    def moves(self) -> bool:
        """Whether the repeats differ by more than noise."""
        return self.ratio >= _MIN_RATIO

    def __str__(self) -> str:
        origin = f"sigma {rounded(self.thermal.sigma)} a.u. {ORIGINS[self.thermal.source]}"
        if self.thermal.source == "repeats":
            origin += " at high b"
        if self.moves:
            return (
                f"The repeats differ by {rounded(self.ratio, digits=2)} times the thermal noise "
                f"({origin}): motion or pulsation. It widens errors, but raises no noise floor."
            )
        return f"The repeats differ by thermal noise alone ({origin})."


def repeat_scatter(dwi: DWI) -> RepeatScatter | None:
    """Compare the spread of repeated volumes with the noise of the images.

    Parameters
    ----------
    dwi : DWI
        The scan.

    Returns
    -------
    RepeatScatter or None
        None without repeats.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(48, 36, 2), bvals=[0, 0, 0, 50, 50, 400, 400, 800])
    >>> ik.noise.repeat_scatter(made.dwi).moves
    False
    """
    repeats = _of(partial(from_repeats, each_voxel=False), dwi)
    thermal = None if repeats is None else thermal_noise(dwi)
    return None if repeats is None or thermal is None else RepeatScatter(repeats, thermal)


def _of(source: Callable[[DWI], NoiseEstimate], dwi: DWI) -> NoiseEstimate | None:
    try:
        return source(dwi)
    except NoiseError:
        return None
