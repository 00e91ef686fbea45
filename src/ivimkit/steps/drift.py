"""Drift: the signal of all volumes is brought to that of the first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, NoiseError, OptionError
from ivimkit.extend.preprocessing_step import Decision, Outcome, Progress, Step, Workpiece
from ivimkit.rounding import percent
from ivimkit.scan.dwi import DWI
from ivimkit.scan.signal_drift import MAX_ORDER, measured_drift, usual_order, why_unseen

__all__ = ["STEP", "Drift"]


@final
@dataclass(frozen=True)
class Drift(Step):
    """The signal of all volumes is brought to that of the first one.

    Scanners lose a few percent of their signal during a session. Where images at b = 0 are spread
    over it, they show how much; a polynomial through them divides all volumes. The volumes must be
    in the order in which they were acquired.

    Parameters
    ----------
    order : {1, 2}, optional
        Of the polynomial: a linear drift, or a quadratic one. By default quadratic where there are
        four images or more, as one more than it needs checks the fit, and linear with three.

    References
    ----------
    .. [1] Vos et al. 2017, doi:10.1002/mrm.26124
    .. [2] Jalnefjord et al. 2024, doi:10.1007/s10334-024-01183-6

    Examples
    --------
    >>> import ivimkit as ik
    >>> falls = ik.simulate.Artefacts(drift=ik.simulate.Drift(5))
    >>> b = [0, 10, 50, 0, 100, 200, 0, 400, 800, 0]
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), bvals=b, artefacts=falls)
    >>> round(ik.preprocess(made.dwi, "drift").records[0].numbers["change"], 2)
    -0.05
    """

    name: ClassVar[str] = "drift"
    title: ClassVar[str] = "Signal drift"
    stage: ClassVar[str] = "drift"
    references: ClassVar[tuple[str, ...]] = (
        "Vos SB et al. The importance of correcting for signal drift in diffusion MRI. Magn Reson "
        "Med 2017;77:285-299. doi:10.1002/mrm.26124",
        "Jalnefjord O et al. Signal drift in diffusion MRI of the brain: effects on intravoxel "
        "incoherent motion parameter estimates. MAGMA 2024. doi:10.1007/s10334-024-01183-6",
    )

    order: int | None = None

    def __post_init__(self) -> None:
        known = (None, *range(1, MAX_ORDER + 1))
        if self.order not in known or isinstance(self.order, bool):
            raise OptionError(
                f"order is {self.order!r}; expected 1 for a linear drift, or 2 for a quadratic one"
            )
        if self.order is not None:
            # 2.0 from the command line.
            object.__setattr__(self, "order", int(self.order))

    def check(self, dwi: DWI) -> None:
        """Refuse a scan whose drift cannot be seen."""
        unseen = why_unseen(dwi, self._order(dwi))
        if unseen:
            raise InputError(
                f"step drift: {unseen}. Leave out the step; next time, spread images at b = 0 "
                "over the session"
            )

    def decide(self, dwi: DWI) -> Decision:
        """Take the step if there is a drift, and it is larger than its error."""
        unseen = why_unseen(dwi, self._order(dwi))
        if unseen:
            return Decision(taken=False, reason=unseen)
        try:
            found = measured_drift(dwi, self._order(dwi))
        except NoiseError as error:
            return Decision(taken=False, reason=str(error))
        size = f"the drift is {_signed(found.largest)} ± {percent(found.error)}"
        return Decision(found.is_seen, size)

    def tell(self, dwi: DWI) -> str:
        """Return the drift, or why it cannot be seen."""
        unseen = why_unseen(dwi, self._order(dwi))
        if unseen:
            return f"cannot be seen, as {unseen}"
        try:
            found = measured_drift(dwi, self._order(dwi))
        except NoiseError as error:
            return f"cannot be seen: {error}"
        images = f"as {found.images.size} images at b = 0 show"
        size = f"{_signed(found.largest)} ± {percent(found.error)} of the signal"
        return f"{size}, {images}" + ("" if found.is_seen else ": no more than its error")

    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Divide all volumes by the polynomial; missing values stay missing."""
        found = measured_drift(work.dwi, self._order(work.dwi))
        made = work.with_dwi(_corrected(work.dwi, found.factors))
        if work.unmoved is not None:
            made = Workpiece(made.dwi, _corrected(work.unmoved, found.factors), work.transforms)
        progress(1.0)
        return Outcome(
            made,
            f"the signal changed by {_signed(found.largest)} ± {percent(found.error)} during the "
            f"session, as {found.images.size} images at b = 0 show, and was corrected",
            {
                "order": found.order,
                "change": found.change,
                "largest": found.largest,
                "error": found.error,
                "factors": found.factors.tolist(),
                "images": found.images.tolist(),
                "levels": found.levels.tolist(),
            },
        )

    def _order(self, dwi: DWI) -> int:
        return usual_order(dwi) if self.order is None else self.order


def _corrected(dwi: DWI, factors: NDArray[np.float64]) -> DWI:
    """Return the scan with each volume divided by its factor, in the memory order of the scan."""
    signal = np.empty_like(dwi.signal, dtype=np.result_type(dwi.signal.dtype, np.float32))
    for volume, factor in enumerate(factors):
        np.divide(dwi.signal[..., volume], factor, out=signal[..., volume])
    return dwi.with_signal(signal)


def _signed(share: float) -> str:
    size = percent(abs(share))
    return size if size.startswith("<") else f"{'-' if share < 0.0 else '+'}{size}"


STEP = Drift
