"""flow_weighting: whether a scan has flow-compensated volumes, others, or both."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import C

__all__ = ["flow_weighting"]

# c by the root of b of a compensated volume is at most this share of that of the others.
_COMPENSATED = 0.5


def flow_weighting(acquisition: Acquisition) -> Literal["both", "compensated", "sensitive"]:
    """Return how the volumes of a scan with b > 0 are weighted by flow.

    Parameters
    ----------
    acquisition : Acquisition
        The volumes, with c or the timing of their gradients.

    Returns
    -------
    str
        ``compensated`` or ``sensitive`` if all of them are, otherwise ``both``.

    Examples
    --------
    >>> from ivimkit.scan.acquisition import Acquisition
    >>> flow_weighting(Acquisition([0, 50, 50], variables={"c": [0, 0, 1.1]}))
    'both'
    """
    weighted = acquisition.bvals > 0.0
    ratio = acquisition.numbers_of(C.name)[weighted] / np.sqrt(acquisition.bvals[weighted])
    if ratio.max() == 0.0:
        return "compensated"
    return "sensitive" if ratio.min() > _COMPENSATED * ratio.max() else "both"
