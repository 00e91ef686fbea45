"""Texts of users and files in figures: drawn as they are, whatever they hold."""

import io
from dataclasses import replace
from functools import partial
from inspect import isfunction, signature

import numpy as np
import pandas as pd
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.text import Text

import ivimkit as ik
from ivimkit import quality, report
from ivimkit.figures.plain_text import PlainFigure, plain, plain_keys
from ivimkit.scan.dwi import DWI
from made_results import BVALS, biexp_maps, made_result

HOSTILE = (
    "$x_1$",
    "$$",
    "$\\frac{1}{$",
    "5 $ and \\alpha",
    "\\$",
    "left\nkidney\r\n\t2",
    "long " * 400,
    "x" * 5000,
    "",
    "   ",
    "_lesion",
    "כבד",
    "الكبد\u202e",
    "liver 🫁",
    "肝臓",
    "nul\x00 bell\x07",
    "l\udce9sion",
    "<b>&amp;",
    "%s {x} {0}",
)
SHAPE = (6, 5, 2)


@pytest.fixture(scope="module")
def result():
    made = made_result(biexp_maps(SHAPE), status=np.arange(60).reshape(SHAPE) % 3 * 32)
    signal = ik.simulate.signals("biexp", made.params, BVALS)
    return replace(made, dwi=DWI(signal, BVALS))


@pytest.fixture(scope="module")
def drawings(result):
    """Every figure function, as calls with names and a title.

    Those with a row, a bar or an entry in a legend for each name have all of them, those with a
    panel for each the worst ones.
    """
    dwi, names = result.dwi, list(HOSTILE)
    worst = [names[place] for place in (2, 7, 13)]
    labels = np.arange(60).reshape(SHAPE) % (len(names) + 1)
    named = dict(enumerate(names, start=1))
    bvals, decay = np.array(BVALS, float), np.exp(-np.array(BVALS) / 900)
    values = pd.DataFrame({"subject": list("aabb"), "session": [1, 2] * 2, "map": "D"})
    values["value"] = [1e-3, 1.2e-3, 2e-3, 1.9e-3]
    regions = [values.assign(region=name) for name in worst]
    repeats = pd.concat(regions, ignore_index=True)
    table = ik.priors.get("organ", organ="liver").tabulate(ik.models.get("biexp"))
    compared = ik.compare(ik.simulate.phantom(shape=(12, 10, 1)).dwi, models=("monoexp", "sivim"))
    mean = partial(report.RegionCurve, bvals=bvals, mean=decay, sd=0.1 * decay, predict=None, n=9)
    repeated = ik.simulate.phantom(shape=(16, 12, 1), bvals=np.repeat(ik.simulate.B13, 3)).dwi
    screening = ik.fit(repeated, method=ik.methods.VarPro(robust=True)).screening
    plan = ik.design(organ="liver", snr=40, n=6)
    moved = {
        "shift_mm": [0.0, 2.0],
        "shift_after_mm": [0.0, 0.1],
        "flagged": [{"volume": 1, "why": names[1]}],
    }
    history = ik.scan.history.History((ik.scan.history.StepRecord(names[0], "", numbers=moved),))
    # Parquet texts, which pandas prefers where it can, do not hold every name of a file.
    cohort = pd.DataFrame(
        {"region": pd.Series(names, dtype=object), "map": "D", "unit": "mm^2/s", "median": 1e-3}
    )
    method = ik.methods.NNLS(regularisation=0.1)
    spectrum = ik.fit(dwi.signal[0, 0, 0], BVALS, method=method).spectrum(())
    return {
        "agreement_panels": [
            partial(
                report.agreement_panels,
                quality.difference(result, result, tuple(worst[:2])),
                maps=["D"],
            )
        ],
        "bland_altman": [
            partial(report.bland_altman, quality.pairs(repeats), quality.repeatability(repeats))
        ],
        "cohort_panels": [partial(report.cohort_panels, cohort, cohort[:1], maps=["D"])],
        "compare_methods": [
            partial(report.compare_methods, dict.fromkeys(names, result), maps=["D"])
        ],
        "comparison_panels": [partial(report.comparison_panels, compared)],
        "design_panels": [partial(report.design_panels, plan, {names[9]: BVALS})],
        "difference_panels": [
            partial(report.difference_panels, quality.difference(result, result, pair), maps=["D"])
            for pair in (tuple(worst[:2]), (worst[2], names[8]))
        ],
        "example_panels": [
            partial(report.example_panels, result, dict.fromkeys(worst, (1, 1, 0)))
        ],
        "histograms": [
            partial(report.histograms, result, labels=labels, label_names=named, maps=["D"])
        ],
        "image_mosaic": [partial(report.image_mosaic, dwi, 800)],
        "lesion_panels": [partial(report.lesion_panels, result, labels == 1)],
        "map_panels": [partial(report.map_panels, result, maps=["D"])],
        "mosaic": [partial(report.mosaic, result, "D")],
        "motion_panels": [partial(report.motion_panels, history)],
        "prior_panels": [partial(report.prior_panels, table)],
        "region_curves": [partial(report.region_curves, [mean(name) for name in worst])],
        "residual_panels": [partial(report.residual_panels, quality.residuals(result))],
        "screening_panels": [partial(report.screening_panels, screening)],
        "spectrum_panels": [partial(report.spectrum_panels, dict.fromkeys(worst, spectrum))],
        "status_panels": [partial(report.status_panels, result)],
        "uncertainty_panels": [
            partial(
                report.uncertainty_panels,
                replace(result, maps={**result.maps, "D_sd": 0.1 * result.maps["D"]}),
            )
        ],
        "voxel_plot": [partial(report.voxel_plot, dwi, dict.fromkeys(worst, result), (1, 1, 0))],
    }


def figure_functions():
    returns = {name: getattr(report, name) for name in report.__all__}
    return [
        name
        for name, one in returns.items()
        if isfunction(one) and str(signature(one).return_annotation) == "Figure"
    ]


@pytest.mark.parametrize("name", figure_functions())
def test_every_figure_draws_every_name(drawings, name, pixels):
    assert drawings[name], "a new figure function is drawn here, too"
    for number, draw in enumerate(drawings[name]):
        titled = "title" in signature(draw.func).parameters
        figure = draw(title=HOSTILE[number]) if titled else draw()
        assert np.ptp(pixels(figure)[..., :3]) > 128
        width, height = figure.get_size_inches()
        # One over each subject or region: long names must not make a page of their length.
        assert width < 40
        assert height < 60


@pytest.mark.drawn
@pytest.mark.parametrize("title", HOSTILE[1:12:2])
def test_every_title(result, title):
    figure = report.mosaic(result, "D", title=title)
    figure.savefig(io.BytesIO(), format="svg", dpi=30)
    assert "".join(figure.get_suptitle().split())[:5] == "".join(plain(title).split())[:5]


@pytest.mark.drawn
def test_dollars_are_dollars(result):
    """A picture of $x_1$ is that of the same letters, not of an x with an index."""
    named = {"$x_1$": result, "varpro": result}
    figure = report.compare_methods(named, maps=["D"], title="$x_1$")
    figure.savefig(io.BytesIO(), dpi=30)
    texts = [text for text in figure.findobj(Text) if "x_1" in text.get_text()]
    assert len(texts) >= 2
    assert not any(text.get_parse_math() for text in texts)


def test_names_stay_different():
    assert list(plain_keys({"a": 1, "a\n": 2, "\ta": 3, "": 4})) == [
        "a",
        "a (2)",
        "a (3)",
        "(no name)",
    ]


def test_a_region_whose_name_begins_with_an_underscore_is_in_the_legend(result):
    labels = np.ones(SHAPE, int)
    figure = report.histograms(result, labels=labels, label_names={1: "_liver"}, maps=["f"])
    assert "_liver: " in figure.axes[0].get_legend().get_texts()[0].get_text()


def test_letters_no_font_has_are_marked():
    assert plain("liver 🫁") == "liver \ufffd"
    assert plain("Größe ≥ 5 µm, ДНК") == "Größe ≥ 5 µm, ДНК"


@pytest.mark.drawn
def test_powers_of_ten_along_an_axis_stay():
    figure = PlainFigure()
    axes = figure.add_subplot(xscale="log", xlim=(1, 1000))
    figure.savefig(io.BytesIO())
    assert any(label.get_parse_math() for label in axes.get_xticklabels())


@pytest.mark.drawn
def test_a_notebook_shows_a_figure(result):
    """By itself, and once: pyplot, whose figures an inline backend shows, does not know it."""
    figure = report.mosaic(result, "D")
    assert figure._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
    assert type(report.voxel_plot(result.dwi, result, (1, 1, 0))) is type(figure)
    assert not Gcf.figs
