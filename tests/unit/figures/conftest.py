"""Fixtures of the figure tests: a result made by hand, and the scan that it is the fit of.

Tests of what a picture looks like are marked `drawn`. All others make lean axes, which draw the
same: those that only see that something can be drawn ask for `pixels`.
"""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import ivimkit as ik
from ivimkit.scan.dwi import DWI
from made_results import biexp_maps, made_result


@pytest.fixture
def pixels():
    """A function that draws a figure, and returns its pixels."""

    def of(figure):
        figure.dpi = 30
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())

    return of


@pytest.fixture(scope="module")
def affine():
    """Columns run to the patient's left, voxels are 2 x 2 x 5 mm."""
    return np.diag([-2.0, 2.0, 5.0, 1.0])


@pytest.fixture
def result(request, affine):
    """A result of the shape that the module of the test gives as SHAPE."""
    return made_result(biexp_maps(request.module.SHAPE), affine=affine)


@pytest.fixture(scope="module")
def dwi(request, affine):
    """Its signals without noise, at the b-values that the module gives as B."""
    b, made = request.module.B, made_result(biexp_maps(request.module.SHAPE))
    return DWI(ik.simulate.signals("biexp", made.params, b), b, affine)
