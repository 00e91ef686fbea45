"""Check: how much of a scan without a mask is air."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.checks.finding import ScanFinding
from ivimkit.scan.dwi import DWI

__all__ = ["air_finding"]

_DARK = 0.1
_MIN_AIR_SHARE = 0.2
# Fewer voxels, or voxels in a row, are not an image.
_MIN_VOXELS, _MIN_AXES = 512, 2


def air_finding(dwi: DWI, brightness: NDArray[np.float64]) -> ScanFinding | None:
    """Report if much of a scan without a mask contains no signal.

    Parameters
    ----------
    dwi : DWI
        The scan.
    brightness : ndarray, shape (n,)
        Brightness of a sample of its voxels, as a fraction of the bright end.
    """
    axes = sum(length > 1 for length in dwi.shape)
    if axes < _MIN_AXES or len(brightness) < _MIN_VOXELS or not dwi.mask.all():
        return None
    share = float(np.mean(brightness < _DARK))
    if share <= _MIN_AIR_SHARE:
        return None
    return ScanFinding(
        "air",
        (),
        f"there is no mask, and about {share:.0%} of the voxels have hardly any signal (air): "
        "they are fitted like the others, and their maps are noise or empty",
        "Give a mask of the tissue, or have one made (--mask auto, or ivimkit.masks.auto(dwi))",
    )
