"""How much of a scan without a mask is air."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ivimkit.scan.checks.finding import ScanFinding
from ivimkit.scan.dwi import DWI

__all__ = ["air_finding"]

_DARK = 0.1
_LEAST_SHARE = 0.2
# Fewer voxels, or voxels in a row, are no picture.
_LEAST_VOXELS, _LEAST_AXES = 512, 2


def air_finding(dwi: DWI, brightness: NDArray[np.float64]) -> ScanFinding | None:
    """Find that much of a scan without a mask holds no signal.

    Parameters
    ----------
    dwi : DWI
        The scan.
    brightness : ndarray, shape (n,)
        Of a sample of its voxels, as a share of that at the bright end.
    """
    axes = sum(length > 1 for length in dwi.shape)
    if axes < _LEAST_AXES or len(brightness) < _LEAST_VOXELS or not dwi.mask.all():
        return None
    share = float(np.mean(brightness < _DARK))
    if share <= _LEAST_SHARE:
        return None
    return ScanFinding(
        "air",
        (),
        f"there is no mask, and about {share:.0%} of the voxels hold no signal to speak of (air): "
        "they are fitted like the others, and their maps are noise or empty",
        "Give a mask of the tissue, or have one made (--mask auto, or ivimkit.masks.auto(dwi))",
    )
