"""Distributions of a cohort: one panel per map, outliers apart."""

import numpy as np
import pandas as pd

from ivimkit.figures import cohort_panels


def test_every_scan_is_a_point_and_outliers_are_diamonds():
    table = pd.DataFrame(
        {
            "region": ["liver", "liver", "liver", "spleen"] * 2,
            "map": ["D"] * 4 + ["mine"] * 4,
            "median": [1e-3, 1.1e-3, 5e-3, np.nan, 1.0, 2.0, 3.0, 4.0],
        }
    )
    figure = cohort_panels(table, table[2:3], maps=["D", "mine"])
    first, second = figure.axes
    points, diamonds = (
        sum(len(line.get_xdata()) for line in first.lines if line.get_marker() == mark)
        for mark in ("o", "D")
    )
    assert (points, diamonds) == (2, 1)
    assert [text.get_text() for text in second.get_xticklabels()] == ["liver", "spleen"]
    assert max(line.get_ydata().max() for line in first.lines if len(line.get_ydata())) == 5.0
