"""What of the noise can still be measured in a scan after steps that changed it."""

from __future__ import annotations

import math

from ivimkit.errors import NoiseError
from ivimkit.noise.noise_estimate import NoiseEstimate
from ivimkit.scan.history import History

__all__ = ["before_denoising", "require_measurable"]


def require_measurable(history: History, source: str, *, also_interpolated: bool = True) -> None:
    """Raise if a source would take what steps left of the noise for that of the scanner.

    Parameters
    ----------
    history : History
        What was done to the scan.
    source : str
        The source, in words that follow "the noise cannot be taken from".
    also_interpolated : bool
        Whether interpolated noise can be used.

    Raises
    ------
    NoiseError
        If it cannot be measured.

    Examples
    --------
    >>> from ivimkit.noise.measurable import require_measurable
    >>> from ivimkit.scan.history import NO_HISTORY
    >>> require_measurable(NO_HISTORY, "repeats")
    """
    if history.noise == "raw" or (history.noise == "interpolated" and also_interpolated):
        return
    what = "denoised" if history.noise == "changed" else "interpolated"
    raise NoiseError(
        f"the scan was {what} ({', '.join(history.names)}), so its noise cannot be taken from "
        f"{source}; expected noise as acquired. Take it from the scan before these steps"
    )


def before_denoising(history: History) -> NoiseEstimate | None:
    """Return the noise of one volume before a scan was denoised; None if it is not known.

    Parameters
    ----------
    history : History
        What was done to the scan.
    """
    record = history.step("denoise")
    sigma = None if record is None else record.numbers.get("sigma")
    if not isinstance(sigma, int | float) or not 0.0 < sigma < math.inf:
        return None
    return NoiseEstimate(
        sigma=float(sigma),
        map=None,
        degrees=math.inf,
        degrees_map=None,
        source="mppca",
        assumes="It is the noise before denoising; what is left is less, and differs between "
        "tissues.",
        n_voxels=0,
    )
