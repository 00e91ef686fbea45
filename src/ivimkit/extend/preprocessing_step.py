"""Step: one thing that can be done to a scan before the fit, such as alignment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import InputError, OptionError
from ivimkit.extend.plugin import Plugin
from ivimkit.scan.dwi import DWI
from ivimkit.scan.history import NoiseState

__all__ = ["STAGES", "Decision", "Outcome", "Progress", "Step", "Workpiece"]

STAGES: dict[str, str] = {
    "denoise": "noise must still be as acquired, which every other step changes",
    "gibbs": "ringing must be removed from voxels as they were acquired, not interpolated",
    "drift": "volumes must have one scale before they are compared with each other",
    "align": "volumes must be aligned before values that do not fit are searched for",
    "follow": "smooth movements must be added to alignment before values that do not fit are "
    "searched for",
    "outliers": "values that do not belong must be left out before volumes are averaged",
    "mask": "tissue is found in the corrected volumes",
    "average": "a mean cannot be undone, so it comes last",
}
"""The stages of preprocessing in their order, and why a stage must not come later."""

Progress = Callable[[float], None]
"""Called with the share of a step that is done, from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Workpiece:
    """A scan between two steps.

    Parameters
    ----------
    dwi : DWI
        The scan as the steps so far left it.
    unmoved : DWI, optional
        The scan before it was first resampled: a second step that moves volumes resamples these,
        with both movements at once, as each interpolation blurs.
    transforms : ndarray, shape (n_volumes, 4, 4) or (n_volumes, z, 4, 4), optional
        Where each voxel of `dwi` was read in `unmoved`: from positions in mm to positions in mm;
        or of each slice.
    displacements : ndarray, shape (n_volumes, x, y, z, 3), optional
        Where each voxel of `dwi` was read in `unmoved`, relative to its position, mm: instead of
        `transforms` where the tissue moved smoothly, not as one.
    estimate : object, optional
        What `Step.decide` found out about `dwi` for the step that is applied next.
    """

    dwi: DWI
    unmoved: DWI | None = None
    transforms: NDArray[np.float64] | None = None
    displacements: NDArray[np.float32] | None = None
    estimate: object = None

    def with_dwi(self, dwi: DWI) -> Workpiece:
        """Return the workpiece with another scan on the same voxels."""
        return replace(self, dwi=dwi)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step did.

    Parameters
    ----------
    work : Workpiece
        The scan after it.
    summary : str
        What it did, in one sentence without a full stop.
    numbers : mapping
        What it found, ready for JSON: see `ivimkit.scan.history.StepRecord`.
    noise : {"raw", "interpolated", "changed"}
        What it left of the noise.
    """

    work: Workpiece
    summary: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    noise: NoiseState = "raw"


@dataclass(frozen=True)
class Decision:
    """Whether ``auto`` takes a step for a scan, and why.

    Parameters
    ----------
    taken : bool
        Whether.
    reason : str
        Why, in words that follow "as", like ``"the mean shift is 1.2 mm"``.
    is_judged : bool
        False if it could not be found out whether the scan needs it.
    estimate : object, optional
        What was found out, so that `Step.apply` need not do so again: `Workpiece.estimate`.
    """

    taken: bool
    reason: str
    estimate: object = field(default=None, repr=False, compare=False)
    is_judged: bool = True


@dataclass(frozen=True)
class Step(Plugin, ABC):
    """Base of all steps: a frozen set of options.

    A concrete step is a final frozen dataclass in a separate file in ``steps/``.

    Attributes
    ----------
    name : str
        Short name used in calls and files.
    title : str
        What it does, in texts and tables.
    stage : str
        When it is applied: one of `STAGES`.
    libraries : mapping of str to str
        The modules of the extra ``preprocess`` that it needs, with the names of their packages.
    references : tuple of str
        Sources, each with its DOI.
    """

    noun: ClassVar[str] = "step"
    title: ClassVar[str]
    stage: ClassVar[str]
    libraries: ClassVar[Mapping[str, str]] = {}
    references: ClassVar[tuple[str, ...]] = ()

    def check(self, dwi: DWI) -> None:
        """Check that the step can be applied, before any long work starts.

        Parameters
        ----------
        dwi : DWI
            The scan before the first step.

        Raises
        ------
        InputError
            If the scan is not suitable.
        """

    def decide(self, dwi: DWI) -> Decision:
        """Return whether ``auto`` takes the step; only when asked for, unless a step says else.

        Parameters
        ----------
        dwi : DWI
            The scan after the steps before this one.
        """
        return Decision(taken=False, reason="it is done only when asked for")

    def tell(self, dwi: DWI) -> str | None:
        """Return what ``ivimkit check`` says of the scan, a sentence without a full stop.

        Parameters
        ----------
        dwi : DWI
            The scan.

        Returns
        -------
        str or None
            None for steps that do not look for anything.
        """
        return None

    @abstractmethod
    def apply(self, work: Workpiece, progress: Progress) -> Outcome:
        """Apply the step.

        Parameters
        ----------
        work : Workpiece
            The scan after the steps before this one.
        progress : callable
            Called with the share that is done.

        Returns
        -------
        Outcome
        """

    @classmethod
    def require_libraries(cls) -> None:
        """Check that what the step needs is installed.

        Raises
        ------
        InputError
            If it is not; the message names the extra.
        """
        for module, package in cls.libraries.items():
            if find_spec(module) is None:
                raise InputError(
                    f"step {cls.name}: {package} is not installed; expected the extra preprocess. "
                    "Install it with pip install 'ivimkit[preprocess]'"
                )

    def cited(self) -> tuple[str, ...]:
        """Return the sources of what was done: `references`, unless an option chooses others."""
        return self.references

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that do the work."""
        return {package: version(package) for package in self.libraries.values()}


def check_yes_or_no(option: str, value: object) -> None:
    """Raise OptionError if the value of an option is neither True nor False."""
    if not isinstance(value, bool):
        raise OptionError(f"{option} is {value!r}; expected yes or no (True or False)")
