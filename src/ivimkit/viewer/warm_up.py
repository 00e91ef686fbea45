"""Warm-up: kernels and libraries loaded before they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np

from ivimkit import methods
from ivimkit.errors import IvimkitError, IvimkitWarning
from ivimkit.status import FitStatus
from ivimkit.viewer.study import Study
from ivimkit.viewer.voxel_refit import refit_voxel

__all__ = ["WarmUp", "warm_up"]

# Loaded by region tables when the first region is drawn.
_LIBRARIES = ("pandas", "scipy.stats", "scipy.spatial")
# Long enough for the next images: during a compilation, everything else crawls.
_DELAY = 1.0


@dataclass(frozen=True, eq=False)
class WarmUp:
    """The warm-up of a study, once, shortly after its first image was shown.

    Parameters
    ----------
    study : Study
        The study.
    delay : float
        The delay, s.
    """

    study: Study
    delay: float = _DELAY
    _begun: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)

    def begin(self) -> None:
        """Start, unless already started."""
        if self._begun.acquire(blocking=False):
            name = "ivimkit viewer warm-up"
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def end(self) -> None:
        """Skip the remaining steps."""
        self._ended.set()

    def _run(self) -> None:
        if not self._ended.wait(self.delay):
            warm_up(self.study, self._ended.is_set)


def warm_up(study: Study, ended: Callable[[], bool] = lambda: False) -> None:
    """Fit one voxel by every method, those of the study first, and load what tables need.

    Parameters
    ----------
    study : Study
        The study; without a scan nothing is fitted.
    ended : callable
        Whether to stop; called before each step.
    """
    for number, result in enumerate(study.results):
        # Of a large scan, those that are shown.
        inside = (result.status[study.box()] & int(FitStatus.OUTSIDE_MASK)) == 0
        fitted = np.flatnonzero(inside)
        if result.dwi is None or not fitted.size:
            continue
        place = np.unravel_index(fitted[fitted.size // 2], inside.shape)
        steps = zip(place, study.shown.stride, strict=False)
        voxel = [*(int(i) * step for i, step in steps), 0, 0, 0][:3]
        fitted_by = result.method.name
        for name in [fitted_by, *(name for name in methods.names() if name != fitted_by)]:
            options = {"prior": "flat"} if name == "bayes" else {}
            request = {"voxel": voxel, "result": str(number), "method": name, "options": options}
            # A method that does not suit these b-values is also refused when it is requested.
            with suppress(IvimkitError, IvimkitWarning):
                if not ended():
                    refit_voxel(study, request)
    for name in _LIBRARIES:
        if not ended():
            import_module(name)
