"""SubjectScan: one scan of a cohort, read and preprocessed, with its regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ivimkit import io
from ivimkit.cohort.recipe import Recipe
from ivimkit.cohort.subjects import Subject
from ivimkit.errors import AcquisitionError
from ivimkit.fitting.settings import FitSettings
from ivimkit.io.scan_sidecar import read_scan_sidecar
from ivimkit.preprocessing.preprocess import preprocess
from ivimkit.scan.dwi import DWI
from ivimkit.scan.labels import Labels

__all__ = ["SubjectScan", "UnsuitableScanError"]


class UnsuitableScanError(Exception):
    """Why a scan was not made for the model; which is not an error."""


@dataclass(frozen=True, eq=False)
class SubjectScan:
    """A scan before its fit.

    Parameters
    ----------
    dwi : DWI
        The scan.
    settings : FitSettings
        How it is fitted.
    labels : Labels, optional
        Its regions.
    facts : mapping of str to object
        What its sidecar says, which may be one in a folder above.
    """

    dwi: DWI
    settings: FitSettings
    labels: Labels | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, subject: Subject, recipe: Recipe) -> SubjectScan:
        """Load and preprocess.

        Raises
        ------
        UnsuitableScanError
            If the scan has too few b-values for the model.
        InputError
            If the scan cannot be used.
        """
        dwi = recipe.load(subject)
        if recipe.steps is not None:
            dwi = preprocess(dwi, recipe.steps).dwi
        settings = recipe.settings_of(subject, dwi)
        model, method = settings.model, settings.method
        try:
            method.check(model, dwi.for_variables(model.variables).fit_acquisition)
        except AcquisitionError as error:
            raise UnsuitableScanError(str(error)) from None
        labels = None if subject.labels is None else io.load_labels(subject.labels, dwi)
        inherited = read_scan_sidecar(subject.sidecar).facts
        return cls(dwi, settings, labels, {**inherited, **dwi.sidecar})

    def learning_labels(self) -> NDArray[np.int32] | None:
        """Return the regions that the method learns separate priors for."""
        learns = self.settings.method.learns
        # Only within a mask: air would be one more region.
        if self.labels is None or not learns or bool(np.all(self.dwi.mask)):
            return None
        return np.asarray(self.labels)
