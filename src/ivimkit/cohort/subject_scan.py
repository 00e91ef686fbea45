"""SubjectScan: one scan of a cohort, read and preprocessed, with its regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ivimkit import io
from ivimkit.cohort.recipe import Recipe
from ivimkit.cohort.subjects import Subject
from ivimkit.errors import AcquisitionError
from ivimkit.fitting.settings import FitSettings
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
    """

    dwi: DWI
    settings: FitSettings
    labels: Labels | None = None

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
        return cls(dwi, settings, labels)

    def learning_labels(self) -> NDArray[np.int32] | None:
        """Return the regions that the method learns separate priors for."""
        learns = self.settings.method.learns
        # Only within a mask: air would be one more region.
        if self.labels is None or not learns or bool(np.all(self.dwi.mask)):
            return None
        return np.asarray(self.labels)
