"""Outliers: slices of volumes that lost signal, and values that do not belong, are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit import models
from ivimkit.errors import AcquisitionError, InputError, OptionError, ShapeError
from ivimkit.extend.preprocessing_step import (
    Decision,
    Outcome,
    Progress,
    Step,
    Workpiece,
    check_yes_or_no,
)
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.identifiability import require_identifiable, unknown_to
from ivimkit.fitting.screen import ScreenRules, obstacle, screened
from ivimkit.fitting.screening import Screening
from ivimkit.rounding import percent
from ivimkit.scan import masks
from ivimkit.scan.dwi import DWI

__all__ = ["STEP", "Outliers"]

_MAX_LISTED = 8
_UNKNOWN_NOISE = np.full(1, np.nan)


@final
@dataclass(frozen=True)
class Outliers(Step):
    """Slices of volumes that lost signal, and values that do not belong, are left out.

    Each slice is compared, volume by volume, with a fit of the model that values which lie apart
    hardly move. A volume whose ratio to the fit is unlike that of the other volumes of the slice
    gets the weight 0 there. Values are never replaced.

    Parameters
    ----------
    limit : float
        A volume is left out of a slice if its signal is off by more than this many standard
        deviations, and by at least 10 % (5 % if its setting was repeated).
    keep : int
        Number of b-values that every slice keeps at least; where more would have to leave, it is
        not known which volumes belong.
    values : bool
        Whether single values that lie more than four standard deviations apart are left out, too.
    model : str
        The model of the signal.

    References
    ----------
    .. [1] Chang et al. 2005 (RESTORE), doi:10.1002/mrm.20426

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(64, 48, 2))
    >>> signal = made.dwi.signal.copy()
    >>> signal[:, :, 1, 9] *= 0.6
    >>> done = ik.preprocess(made.dwi.with_signal(signal), "outliers")
    >>> done.dwi.value_weights[:, :, 1, 9].max(), done.dwi.value_weights[:, :, 0].min()
    (np.uint8(0), np.uint8(1))
    """

    name: ClassVar[str] = "outliers"
    title: ClassVar[str] = "Drop-outs and outliers"
    stage: ClassVar[str] = "outliers"
    references: ClassVar[tuple[str, ...]] = (
        "Chang LC, Jones DK, Pierpaoli C. RESTORE: robust estimation of tensors by outlier "
        "rejection. Magn Reson Med 2005;53:1088-1095. doi:10.1002/mrm.20426",
    )

    limit: float = 5.0
    keep: int = 7
    values: bool = False
    model: str = "biexp"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.limit) and self.limit > 0.0):
            raise OptionError(
                f"limit is {self.limit!r}; expected a number of standard deviations > 0, like 5"
            )
        if isinstance(self.keep, bool) or int(self.keep) != self.keep or self.keep < 0:
            raise OptionError(f"keep is {self.keep!r}; expected a number of b-values >= 0, like 7")
        check_yes_or_no("values", self.values)
        models.get(self.model)

    def check(self, dwi: DWI) -> None:
        """Refuse a scan that the model cannot be fitted to, or that differs in more than it."""
        found = _obstacle(dwi, self._model)
        if found:
            raise InputError(
                f"step outliers: {found}; expected a scan whose volumes can be compared with a "
                "fit. Leave out the step, or choose another model (outliers:model=NAME)"
            )

    def decide(self, dwi: DWI) -> Decision:
        """Take the step if the scan can be judged."""
        found = _obstacle(dwi, self._model)
        return Decision(not found, found or "its volumes can be compared with a fit")

    def tell(self, dwi: DWI) -> str:
        """Return which volumes lost signal, in which slices, or why it cannot be known."""
        found = _obstacle(dwi, self._model)
        if found:
            return f"not looked for, as {found}"
        dwi = dwi.for_variables(self._model.variables)
        return _listed(self._judged(dwi)[1])

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Judge the volumes of each slice; values that do not belong get the weight 0."""
        dwi = work.dwi.for_variables(self._model.variables)
        judged, screening = self._judged(dwi)
        progress(1.0)
        weights = _weights(dwi, judged, screening)
        made = work.dwi if weights is None else work.dwi.with_value_weights(weights)
        return Outcome(work.with_dwi(made), _summary(screening), screening.numbers)

    def _judged(self, dwi: DWI) -> tuple[DWI, Screening]:
        rules = ScreenRules(self.limit, self.keep, self.values)
        return screened(_in_body(dwi), self._model, _UNKNOWN_NOISE, rules=rules)

    @property
    def _model(self) -> SignalModel:
        return models.get(self.model)


def _obstacle(dwi: DWI, model: SignalModel) -> str:
    """Return why a scan cannot be judged, in words; empty if it can."""
    try:
        apart = dwi.for_variables(model.variables)
        require_identifiable(model, apart.fit_acquisition)
    except (AcquisitionError, OptionError) as error:
        return str(error)
    return obstacle(apart, model) or (unknown_to(model, apart.fit_acquisition) or "")


def _in_body(dwi: DWI) -> DWI:
    """Return a scan with a mask of the tissue, if it has none: air belongs to no volume."""
    if not dwi.mask.all():
        return dwi
    try:
        return masks.masked(dwi, "body")
    except ShapeError:
        return dwi


def _weights(dwi: DWI, judged: DWI, screening: Screening) -> NDArray[Any] | None:
    """Return the weights of all values of the scan, also outside the mask; None if all are 1."""
    if not screening.left_out.any() and judged.value_weights is None:
        return None
    kept = np.ones((*dwi.shape, len(dwi.volumes)), dtype=np.uint8)
    for slab, volume in np.argwhere(screening.left_out):
        low, high = screening.slabs[slab]
        where = kept[..., volume] if len(dwi.shape) < 3 else kept[:, :, low : high + 1, volume]
        where[...] = 0
    single = judged.value_weights
    if screening.judges_values and single is not None:
        kept[single == 0] = 0
    return kept if dwi.value_weights is None else kept * dwi.value_weights


def _summary(screening: Screening) -> str:
    """Return what was left out, in a sentence without a full stop."""
    if not screening.is_judged:
        return f"nothing was left out: {screening.reason}"
    n = int(screening.left_out.sum())
    if not n and not screening.share_left_out:
        return "all volumes belong in all slices"
    slices = int((np.ptp(screening.slabs, axis=1) + 1) @ screening.left_out.sum(axis=1))
    volumes = int(screening.left_out.any(axis=0).sum())
    return (
        f"{slices} {'slice' if slices == 1 else 'slices'} of {volumes} "
        f"{'volume' if volumes == 1 else 'volumes'} left out "
        f"({percent(screening.share_left_out)} of all values)"
    )


def _listed(screening: Screening) -> str:
    """Return a list of what was found: volume, slices and the share of the signal that is left."""
    if not screening.left_out.any():
        return "none found"
    named = []
    for k in np.flatnonzero(screening.left_out.any(axis=0)):
        slabs = screening.left_out[:, k]
        where = _slices(screening.slabs[slabs])
        left = screening.factor_of(int(screening.volumes[k]))
        named.append(f"volume {screening.volumes[k]} in {where} (signal × {left:.2f})")
    more = len(named) - _MAX_LISTED
    end = f" and {more} more volumes" if more > 0 else ""
    return f"{', '.join(named[:_MAX_LISTED])}{end} (volumes and slices count from 0)"


def _slices(slabs: NDArray[np.intp]) -> str:
    """Return the slices of slabs in words, like ``slices 3 and 7-9``."""
    runs: list[list[int]] = []
    for low, high in slabs.tolist():
        if runs and runs[-1][1] + 1 == low:
            runs[-1][1] = high
        else:
            runs.append([low, high])
    words = [str(low) if low == high else f"{low}-{high}" for low, high in runs]
    one = len(runs) == 1 and runs[0][0] == runs[0][1]
    listed = ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]
    return f"{'slice' if one else 'slices'} {listed}"


STEP = Outliers
