"""How far the values of a scan lie from a fit, before and after steps."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, IvimkitWarning
from ivimkit.fitting.fit import fit
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.models import get as model_of
from ivimkit.scan import masks
from ivimkit.scan.dwi import DWI

__all__ = ["residual_percent", "tissue_of"]

_MODEL, _METHOD = "biexp", "segmented"
"""A segmented fit is fast, and single volumes hardly change it."""


def tissue_of(dwi: DWI) -> NDArray[np.bool_]:
    """Return the mask of a scan, or the tissue that is found in it if it has none."""
    if not dwi.mask.all():
        return dwi.mask
    try:
        return masks.auto(dwi)
    except InputError:
        return dwi.mask


def residual_percent(dwi: DWI) -> float | None:
    """Return the median residual of a quick bi-exponential fit, % of S0.

    Parameters
    ----------
    dwi : DWI
        The scan, with a mask of the tissue.

    Returns
    -------
    float or None
        None if the scan cannot be fitted.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.preprocessing.residuals import residual_percent
    >>> bool(1 < residual_percent(ik.simulate.phantom(shape=(32, 24, 2)).dwi) < 3)
    True
    """
    try:
        require_identifiable(model_of(_MODEL), dwi.acquisition)
        with warnings.catch_warnings():
            # They are about the fit of the user, which follows.
            warnings.simplefilter("ignore", IvimkitWarning)
            result = fit(dwi, model=_MODEL, method=_METHOD)
    except InputError:
        return None
    shares = (result.maps["rmse"] / result.maps["S0"])[result.mask]
    shares = shares[np.isfinite(shares)]
    return 100.0 * float(np.median(shares)) if shares.size else None
