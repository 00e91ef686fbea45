"""Mask: the voxels of tissue, found in the corrected scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from ivimkit.errors import OptionError
from ivimkit.extend.preprocessing_step import Outcome, Progress, Step, Workpiece
from ivimkit.rounding import thousands
from ivimkit.scan import masks

__all__ = ["STEP", "Mask"]


@final
@dataclass(frozen=True)
class Mask(Step):
    """The voxels of tissue, found in the corrected scan.

    Parameters
    ----------
    kind : {"auto", "body", "brain"}
        What to look for, see `ivimkit.masks`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> dwi = ik.simulate.phantom(shape=(48, 36, 2)).dwi.with_mask(None)
    >>> made = ik.preprocess(dwi, ik.steps.Mask("body"))
    >>> made.dwi.n_voxels < dwi.n_voxels
    True
    """

    name: ClassVar[str] = "mask"
    title: ClassVar[str] = "Mask of the tissue"
    stage: ClassVar[str] = "mask"

    kind: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in masks.KINDS:
            raise OptionError(
                f"kind of mask is {self.kind!r}; expected one of {', '.join(masks.KINDS)}"
            )

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Find the tissue; it replaces a mask that the scan has."""
        found = masks.masked(work.dwi.with_mask(None), self.kind)
        progress(1.0)
        inside, n = found.n_voxels, found.mask.size
        return Outcome(
            work.with_dwi(found),
            f"{thousands(inside)} of {thousands(n)} voxels are tissue ({found.mask_origin})",
            {"voxels": inside},
        )


STEP = Mask
