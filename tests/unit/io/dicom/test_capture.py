"""The line below a secondary capture."""

import numpy as np
import pytest

from ivimkit.io.dicom.capture import _with_line


@pytest.mark.parametrize("columns", [400, 1400])
def test_the_line_is_whole_below_a_narrow_picture(columns):
    version = "0.1.0.dev957+g66c445f24.d20261130"
    picture = np.full((900, columns, 3), 255, np.uint8)
    made = _with_line(picture, f"ivimkit {version}. Research, not for diagnosis.")
    strip = made[900:]
    (inked,) = np.nonzero((strip != strip[-1, -1]).any(axis=(0, 2)))
    # As far from the right end as from the left one, or further.
    assert inked.max() < columns - 0.6 * inked.min()
    assert inked.max() - inked.min() > 0.5 * min(columns, 1400)
