"""The figure of volumes and values that were left out."""

import numpy as np
from matplotlib.patches import Rectangle

from ivimkit.figures import screening_panels
from ivimkit.figures.alt_text import describe
from ivimkit.fitting.screening import Screening


def _screening():
    left_out = np.zeros((2, 4), dtype=bool)
    left_out[1, 2] = True
    shares = np.array([[0, 0.1, 0, 0], [0, 0, 1, 0.02]])
    return Screening(
        "",
        np.array([0, 1, 2, 5]),
        np.array([0, 50, 50, 800.0]),
        np.array([False, True, True, False]),
        np.array([[0, 2], [3, 3]]),
        np.array([[1, 1.01, 1, 1], [1, 1, 0.4, np.nan]]),
        left_out,
        shares,
        np.array([300, 100]),
        True,
        12.5,
    )


def test_rows_are_slices_and_whole_volumes_are_framed():
    figure = screening_panels(_screening())
    factors, grid, bar = figure.axes
    # The first slab has three slices.
    shown = grid.images[0].get_array()
    np.testing.assert_allclose(shown, 100 * _screening().shares[[0, 0, 0, 1]])
    assert grid.images[0].get_clim() == (0, 10)
    frames = [patch for patch in grid.patches if isinstance(patch, Rectangle)]
    assert [(one.get_xy(), one.get_height()) for one in frames] == [((1.5, 2.5), 1)]
    drawn = {line.get_label(): line.get_ydata() for line in factors.lines}
    np.testing.assert_array_equal(drawn["left out"], [0.4])
    assert np.nanmax(drawn["kept"]) == 1.01
    ticks = [label.get_text() for label in grid.get_xticklabels()]
    assert ticks == ["0 (b 0)", "1 (b 50)", "2 (b 50)", "5 (b 800)"]
    assert bar.get_ylabel() == "values left out (%)"
    assert "left out: 8.3 % of all values" in describe(figure)


def test_sentences_name_slices_and_numbers_of_the_file():
    screening = _screening()
    np.testing.assert_allclose(screening.share_left_out, (300 * 0.1 + 100 * 1.02) / 1600)
    assert screening.volumes_out.size == 0
    assert screening.volumes_partly_out.tolist() == [2]
    assert screening.sentences()[0] == (
        "Volume 2 (b = 50, signal × 0.40) was left out of some slices (volumes count from 0)."
    )
    assert screening.hidden_bvals.size == 0
