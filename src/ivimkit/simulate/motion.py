"""Motion: how the tissue of a phantom moves from volume to volume."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ivimkit.errors import OptionError

__all__ = ["MOTION_KINDS", "Motion"]

MOTION_KINDS = ("rigid", "affine", "breathing", "slices")
"""Ways to move."""

_MAX_MM = 50.0


@dataclass(frozen=True)
class Motion:
    """How the tissue moves from volume to volume; in the first volume it is at rest.

    Every volume has a displacement that does not depend on those of the others. Nothing is
    interpolated: the tissues are looked up where they are while the volume is measured.

    Parameters
    ----------
    kind : {"rigid", "affine", "breathing", "slices"}
        ``"rigid"``: the whole body is shifted and turned. ``"affine"``: it is also scaled and
        sheared, like by eddy currents. ``"breathing"``: organs go to the feet and the front of the
        body to the front, and the spine stays; only in the abdomen. ``"slices"``: every slice of
        every volume is shifted and turned in its plane, like in breath-holds that differ.
    mm : float
        Root mean square of the displacement, over the moving volumes and over the body; in
        ``"breathing"`` over the liver.

    Raises
    ------
    OptionError
        If there is no such kind, or the displacement is not a number from 0 to 50.

    Examples
    --------
    >>> from ivimkit import simulate
    >>> moving = simulate.Artefacts(motion=simulate.Motion("rigid", mm=5))
    >>> made = simulate.phantom(shape=(32, 24, 4), bvals=[0, 50, 800], artefacts=moving)
    >>> made.artefacts.transforms.shape
    (3, 4, 4)
    """

    kind: str = "rigid"
    mm: float = 5.0

    def __post_init__(self) -> None:
        if self.kind not in MOTION_KINDS:
            raise OptionError(
                f"there is no motion {self.kind!r}; expected one of {', '.join(MOTION_KINDS)}"
            )
        if not (math.isfinite(self.mm) and 0.0 <= self.mm <= _MAX_MM):
            raise OptionError(
                f"the displacement is {self.mm!r} mm; expected a number from 0 to {_MAX_MM:g}"
            )
