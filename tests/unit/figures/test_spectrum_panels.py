import dataclasses

import numpy as np
import pytest

from ivimkit import fit, methods, simulate
from ivimkit.errors import OptionError
from ivimkit.figures import spectrum_panels, voxel_plot
from ivimkit.fitting.spectra import Range, Spectrum
from ivimkit.quality import example_spectra
from ivimkit.scan.labels import Labels

RATES = np.geomspace(1e-4, 0.3, 30)
WINDOWS = (Range("D", "D", 1e-4, 4e-3), Range("D_star", "D*", 4e-3, 0.3))


def spectrum(*, empty=False):
    amplitudes = np.zeros(30)
    amplitudes[[8, 9, 10, 24, 25]] = 20.0, 40.0, 20.0, 10.0, 10.0
    return Spectrum(RATES, amplitudes * (np.nan if empty else 1.0), WINDOWS)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_shares_windows_and_peaks_are_drawn():
    figure = spectrum_panels({"liver": spectrum(), "no fit": spectrum(empty=True)}, title="All")
    first, second = figure.axes
    assert first.get_xscale() == "log"
    line = first.lines[0]
    np.testing.assert_allclose(line.get_xdata(), 1e3 * RATES)
    np.testing.assert_allclose(line.get_ydata(), spectrum().amplitudes / 100.0)
    assert texts(first) == ["D", "D*", "80 %", "20 %"]
    assert [axes.get_title() for axes in figure.axes] == ["liver", "no fit"]
    assert texts(second) == ["D", "D*"]
    assert first.get_xlabel() == "rate (10⁻³ mm²/s)"
    with pytest.raises(OptionError, match="no spectrum to draw"):
        spectrum_panels({})


def test_a_voxel_and_the_examples_of_a_fit_have_their_spectra():
    made = simulate.phantom(shape=(16, 12, 1))
    result = fit(made.dwi, method=methods.NNLS(regularisation=0.1), threads=1)
    other = fit(made.dwi, threads=1)
    voxel = tuple(map(int, np.argwhere(made.labels == 1)[0]))
    figure = voxel_plot(made.dwi, {"nnls": result, "varpro": other}, voxel)
    drawn = [axes for axes in figure.axes if axes.get_ylabel() == "share of S0"]
    assert len(drawn) == 1
    np.testing.assert_allclose(drawn[0].lines[0].get_ydata(), result.spectrum(voxel).shares)
    assert "nnls, whole spectrum" in [line.get_label() for line in figure.axes[0].lines]
    alone = voxel_plot(made.dwi, other, voxel)
    assert not [axes for axes in alone.axes if axes.get_ylabel() == "share of S0"]

    found = example_spectra(result, Labels(made.labels, made.label_names))
    assert next(iter(found)).startswith("best fit (")
    assert "mean of liver" in found
    assert example_spectra(other) == {}
    assert example_spectra(dataclasses.replace(result, dwi=None)) == {}
