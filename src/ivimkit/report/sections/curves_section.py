"""Curves: measured and fitted signal of example voxels and of the means of regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ivimkit.figures.example_panels import example_panels
from ivimkit.figures.picture import Picture
from ivimkit.figures.region_curves import RegionCurve, region_curves
from ivimkit.figures.spectrum_panels import spectrum_panels
from ivimkit.fitting.decay_curves import decay_curves
from ivimkit.fitting.result import FitResult
from ivimkit.quality.example_spectra import example_spectra
from ivimkit.quality.example_voxels import example_voxels
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Pictures, Section, Text
from ivimkit.scan.labels import Labels

__all__ = ["curves"]


def curves(subject: Subject) -> Section | None:
    """Return the section of the curves; None if no result has its scan.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    found = {side.name: _of_one(subject, side) for side in subject.sides}
    if not any(found.values()):
        return None
    return Section("Curves", "curves", subject.each(lambda side: found[side.name]))


def _of_one(subject: Subject, side: Side) -> list[Block]:
    result = side.result
    if result.dwi is None:
        return []
    voxels = example_voxels(result, subject.labels)
    pictures = []
    if voxels:
        caption = "Signal, fit and residuals of single voxels; positions are counted from 0."
        pictures.append(Picture(example_panels(result, voxels), caption))
    if subject.labels is not None and side.name in subject.means:
        means = _means(subject.labels, subject.means[side.name])
        caption = "Mean signal of each region, and the fit of this mean."
        if means:
            pictures.append(Picture(region_curves(means), caption))
    spectra = example_spectra(result, subject.labels)
    if spectra:
        caption = (
            "Spectra of decay rates: the share of S0 of each rate, and of each peak; the windows "
            "of the compartments are shaded."
        )
        pictures.append(Picture(spectrum_panels(spectra), caption))
    if not pictures:
        return []
    return [*_why_no_curve(result), Pictures(pictures)]


def _why_no_curve(result: FitResult) -> list[Block]:
    if result.model.has_equation:
        return []
    text = (
        f"There are no fitted curves: the result does not hold the equation of model "
        f"{result.model.name}, which is not one of ivimkit's."
    )
    return [Text(text, "note")]


def _means(labels: Labels, fits: FitResult) -> Sequence[RegionCurve]:
    """Return the mean signal of every region that has a fitted voxel, with its fit."""
    scan = fits.scan()
    numbers = fits.provenance.region_voxels
    found = []
    for position, name in enumerate(labels):
        signal = np.asarray(scan.signal[position], dtype=np.float64)
        if not np.isfinite(signal).all():
            continue
        params = fits.params[position]
        found.append(
            RegionCurve(
                name=name,
                bvals=scan.fit_bvals,
                mean=signal,
                sd=np.full(signal.shape, np.nan),
                predict=None,
                n=numbers[name],
                curves=decay_curves(fits.model, params, fits.scan()),
            )
        )
    return found
