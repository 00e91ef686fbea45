"""A quick fit between two steps: what it predicts, and how far the values lie from it."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, IvimkitWarning
from ivimkit.fitting.fit import fit
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.fitting.result import FitResult
from ivimkit.models import get as model_of
from ivimkit.scan import masks
from ivimkit.scan.dwi import DWI

__all__ = ["MODEL", "check_fitted", "quick_fit", "residual_percent", "tissue_of"]

MODEL = "biexp"
_METHOD = "segmented"
"""A segmented fit is fast, and single volumes hardly change it."""


def tissue_of(dwi: DWI) -> NDArray[np.bool_]:
    """Return the mask of a scan, or the tissue that is found in it if it has none.

    All voxels, if no tissue can be told from air, as in a list of voxels.
    """
    if not dwi.mask.all():
        return dwi.mask
    try:
        return masks.auto(dwi)
    except InputError:
        return dwi.mask


def check_fitted(dwi: DWI) -> None:
    """Raise AcquisitionError if a scan has too few b-values for the fit."""
    require_identifiable(model_of(MODEL), dwi.acquisition)


def quick_fit(dwi: DWI) -> FitResult:
    """Fit a scan, without warnings: they are about the fit of the user, which follows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IvimkitWarning)
        return fit(dwi, model=MODEL, method=_METHOD)


def residual_percent(result: FitResult) -> float:
    """Return the median of the residuals over the mask, % of S0; NaN if no voxel has a fit."""
    shares = (result.maps["rmse"] / result.maps["S0"])[result.mask]
    fitted = shares[np.isfinite(shares)]
    return 100.0 * float(np.median(fitted)) if fitted.size else math.nan
