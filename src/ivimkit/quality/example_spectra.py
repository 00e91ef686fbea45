"""Example spectra: those of example voxels and of the mean signals of regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ivimkit.fitting.spectra import Spectrum
from ivimkit.methods._spectral import SpectralMethod
from ivimkit.quality.example_voxels import example_voxels
from ivimkit.quality.table_rows import labels_like
from ivimkit.scan.labels import Labels

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult

__all__ = ["example_spectra"]


def example_spectra(result: FitResult, labels: Labels | None = None) -> dict[str, Spectrum]:
    """Return the spectra of the voxels of best, median and worst fit, and those of regions.

    Parameters
    ----------
    result : FitResult
        A fit by method nnls, with its scan.
    labels : Labels, optional
        Regions, each of which adds the spectrum of its mean signal.

    Returns
    -------
    dict of str to Spectrum
        By name; empty for a fit by another method, without its scan or without a fitted voxel.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(24, 24, 1))
    >>> result = ik.fit(made.dwi, method=ik.methods.NNLS(regularisation=0.1))
    >>> [name.partition(" (")[0] for name in ik.quality.example_spectra(result)]
    ['best fit', 'median fit', 'worst fit']
    """
    if result.dwi is None or not isinstance(result.method, SpectralMethod):
        return {}
    usable = result.fitted_voxels()
    found = {
        f"{name} ({', '.join(map(str, index))})": result.spectrum(index)
        for name, index in example_voxels(result).items()
    }
    regions = {} if labels is None else {name: labels[name] for name in labels}
    for name, region in regions.items():
        inside = labels_like(region, result) & usable
        if inside.any():
            found[f"mean of {name}"] = result.spectrum(inside)
    return found
