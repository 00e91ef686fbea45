"""A result in a notebook: its maps in a picture, its counts in a line."""

import base64
import io
import re
import runpy
import sys
import types

import numpy as np
import pytest
from matplotlib.image import imread

import ivimkit
from ivimkit.report.notebook import result_html
from ivimkit.status import FitStatus
from made_results import biexp_maps, made_result


def test_a_volume_shows_its_maps():
    status = np.zeros((12, 10, 3), int)
    status[0, 0, 0] = FitStatus.NON_FINITE
    html = result_html(made_result(biexp_maps((12, 10, 3)), status=status))
    alt = re.search(r'alt="([^"]*)"', html)[1]
    assert all(f"Image: {name}" in alt for name in ("ADC", "D", "f", "D*"))
    assert "slice 1" in alt
    data = re.search(r'src="data:image/png;base64,([^"]+)"', html)[1]
    assert imread(io.BytesIO(base64.b64decode(data))).ndim == 3
    assert len(html) < 100_000
    assert "359 of 360 voxels fitted; signal not finite: 1" in html


@pytest.mark.parametrize("shape", [(), (5,), (2, 2, 2, 2)])
def test_what_is_no_image_has_words_only(shape):
    html = result_html(made_result(biexp_maps(shape)))
    assert "<img" not in html
    assert "bi-exponential IVIM by variable projection" in html


def test_an_empty_mask_has_words_only():
    status = np.full((4, 4), int(FitStatus.OUTSIDE_MASK))
    html = result_html(made_result(biexp_maps((4, 4)), status=status))
    assert "<img" not in html
    assert "0 of 0 voxels fitted" in html


def test_ipython_draws_results_through_the_public_package(monkeypatch):
    drawn = {}

    class Formatter:
        def for_type_by_name(self, module, name, function):
            drawn[module, name] = function

    shell = types.SimpleNamespace(
        display_formatter=types.SimpleNamespace(formatters={"text/html": Formatter()})
    )
    # The first figure of a process asks for the version.
    stand_in = types.SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0))
    monkeypatch.setitem(sys.modules, "IPython", stand_in)
    runpy.run_path(ivimkit.__file__, init_globals={"__name__": "ivimkit"})
    result = made_result(biexp_maps((12, 10, 3)))
    draw = drawn[type(result).__module__, type(result).__qualname__]
    assert draw(result) == result_html(result)
