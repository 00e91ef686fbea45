"""Advice about flow weighting: what a scan needs so that the speed of blood can be estimated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.variables import C

__all__ = ["speed_from_one_weighting"]

# c by the root of b of a compensated volume is at most this share of that of the others.
_COMPENSATED = 0.5


def speed_from_one_weighting(acquisition: Acquisition) -> Iterator[str]:
    """Yield a sentence if all volumes are weighted by flow in the same way.

    Parameters
    ----------
    acquisition : Acquisition
        The volumes, with c or the timing of their gradients.

    Notes
    -----
    At one ratio of c to the root of b, blood that flows is one more decay of b: its share and its
    speed trade against each other, and against D.
    """
    weighted = acquisition.bvals > 0.0
    ratio = acquisition.numbers_of(C.name)[weighted] / np.sqrt(acquisition.bvals[weighted])
    if ratio.size == 0:
        return
    if ratio.max() == 0.0:
        yield (
            "all volumes are flow-compensated; expected some that are not, at the same b-values. "
            "v is hardly identifiable"
        )
    elif ratio.min() > _COMPENSATED * ratio.max():
        yield (
            "no volume with b > 0 is flow-compensated; expected some with c near 0, at the same "
            "b-values. f, v and D can hardly be separated: the errors of f and D are correlated "
            "by -1.00"
        )
