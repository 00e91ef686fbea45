"""with_template: a result of a converted scan gets the DICOM images that it was converted from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ivimkit.errors import OptionError, ShapeError
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom.context import DicomContext
from ivimkit.io.placing import Grid, Placement
from ivimkit.scan.dwi import DWI

__all__ = ["with_template"]

_WHOLE_VOXELS = ("same", "reordered")


def with_template(result: FitResult, template: DWI) -> FitResult:
    """Return a result with patient, study and images of a scan from DICOM, on its voxels.

    For results of NIfTI files that were converted from DICOM. Converters turn images around; the
    maps are turned back, without interpolation.

    Parameters
    ----------
    result : FitResult
        The fit.
    template : DWI
        The images as `ivimkit.load` has read them from DICOM. Its signal is not used.

    Returns
    -------
    FitResult
        Without its scan, whose voxels have another order.

    Raises
    ------
    OptionError
        If the template was not read from DICOM.
    ShapeError
        If the voxels of the result are not those of the images.

    Examples
    --------
    >>> import ivimkit as ik
    >>> result = ik.load_result("dwi_ivim")  # doctest: +SKIP
    >>> placed = ik.io.with_template(result, ik.load("study"))  # doctest: +SKIP
    >>> ik.io.save_dicom(placed, "for_pacs")  # doctest: +SKIP
    """
    context = template.source_context
    if not isinstance(context, DicomContext):
        raise OptionError(
            "the template says nothing of patient, study and images; expected a folder of DICOM "
            "files with valid UIDs. Name the folder that the scan was converted from"
        )
    shape = (*result.shape, *(1,) * (3 - len(result.shape)))
    grid = Grid.of(template)
    placement = Placement.of("the result", shape, result.geometry, grid)
    if placement.how not in _WHOLE_VOXELS or not placement.covers(shape):
        raise ShapeError(
            "the voxels of the result are not those of the DICOM images; expected the images "
            "that the scan was converted from, not resampled. Name their folder, or fit them"
        )

    def placed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return placement.values(values.reshape(shape))

    model = result.model
    fixed = {name: placed(values) for name, values in model.fixed_maps.items()}
    return replace(
        result,
        maps={name: placed(result.maps[name]) for name in result.maps},
        status=placement.numbers(result.status.reshape(shape)),
        settings=replace(result.settings, model=replace(model, fixed_maps=fixed)),
        geometry=template.geometry,
        source_context=context,
        dwi=None,
    )
