from functools import partial

import numpy as np
import pytest

from ivimkit import simulate
from ivimkit.errors import OptionError
from ivimkit.figures import RegionCurve, region_curves

B = np.array([0.0, 10, 50, 200, 400, 800])
PARAMS = [1000, 0.2, 0.03, 1e-3]


def curve(name="liver", *, sd=20.0, predict=True, mean=None):
    fitted = partial(simulate.signals, "biexp", PARAMS)
    signal = fitted(B) + np.array([5.0, -5, 3, -3, 2, -2]) if mean is None else mean
    return RegionCurve(name, B, signal, np.full(6, sd), fitted if predict else None, 1234)


def line(axes, label):
    return next(found for found in axes.lines if found.get_label() == label)


def test_signal_fit_and_residuals():
    one = curve()
    above, below = region_curves([one]).axes
    assert above.get_yscale() == "log"
    np.testing.assert_array_equal(line(above, "measured").get_ydata(), one.mean)
    fit = line(above, "fit")
    np.testing.assert_allclose(fit.get_ydata(), simulate.signals("biexp", PARAMS, fit.get_xdata()))
    np.testing.assert_allclose(
        line(below, "measured - fit").get_ydata(), [5.0, -5, 3, -3, 2, -2], atol=1e-9
    )
    assert above.get_title() == "liver"
    assert above.texts[0].get_text() == "n = 1\u202f234"
    assert below.get_xlabel() == "b (s/mm²)"
    assert above.get_xlim() == below.get_xlim()


def test_bars_are_standard_deviations():
    one = curve(sd=20.0)
    above, _ = region_curves([one]).axes
    (segments,) = [bars.get_segments() for bars in above.collections]
    np.testing.assert_allclose([np.ptp(segment[:, 1]) for segment in segments], 40.0)


def test_bars_do_not_reach_zero(pixels):
    one = curve(sd=2000.0)
    figure = region_curves([one])
    (segments,) = [bars.get_segments() for bars in figure.axes[0].collections]
    assert all(segment[:, 1].min() > 0 for segment in segments)
    pixels(figure)


def test_unknown_scatter_has_no_bars():
    above, _ = region_curves([curve(sd=np.nan)]).axes
    assert not above.collections


def test_without_a_fit_there_is_the_signal(pixels):
    figure = region_curves([curve(predict=False, sd=np.nan)])
    above, below = figure.axes
    assert [found.get_label() for found in above.lines] == ["measured"]
    assert len(below.lines) == 1
    pixels(figure)


@pytest.mark.parametrize("signal", [0.0, -3.0, np.nan])
def test_signals_that_have_no_logarithm(signal, pixels):
    one = curve(mean=np.full(6, signal), predict=False)
    pixels(region_curves([one]))


def test_regions_are_in_rows_of_three():
    figure = region_curves([curve(str(k)) for k in range(5)], title="regions")
    boxes = [axes.get_position() for axes in figure.axes[::2]]
    assert len({round(box.y0, 6) for box in boxes}) == 2
    assert len({round(box.x0, 6) for box in boxes}) == 3
    assert figure.get_suptitle() == "regions"


def test_no_region():
    with pytest.raises(OptionError, match="no region to draw"):
        region_curves([])
