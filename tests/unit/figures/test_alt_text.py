import numpy as np
from matplotlib.figure import Figure

import ivimkit as ik
from ivimkit import report
from ivimkit.figures.alt_text import describe
from ivimkit.scan.dwi import DWI
from made_results import biexp_maps, made_result

SHAPE = (8, 6, 3)
B = [0, 0, 10, 20, 50, 100, 200, 400, 800]


def test_images_with_range_unit_and_median(result):
    text = describe(report.map_panels(result, slices=1, maps=["D", "f"], crop=False))
    median = 1e3 * np.median(result.maps["D"][:, :, 1])
    assert text == (
        f"{result.model.title}, {result.method.title}, slice 1. "
        f"Image: D, shown from 0 to 2.5 10⁻³ mm²/s, median {median:#.3g}. "
        f"Image: f, shown from 0 to 0.4, median {np.median(result.maps['f'][:, :, 1]):#.3g}. "
        "On the left the right side of the patient, on the right the left side."
    )


def test_rows_of_one_scale_are_one_sentence(result):
    text = describe(report.map_panels(result, slices=[0, 2], maps=["D", "f"]))
    assert "Rows: slice 0, slice 2." in text
    assert text.count("Images: D, shown from 0 to 2.5") == 1


def test_rows_with_scales_of_their_own(result, affine):
    other = made_result({**biexp_maps(SHAPE), "f": 0.1 * np.ones(SHAPE)}, affine=affine)
    found = ik.quality.difference(result, other)
    text = describe(report.difference_panels(found, maps=["D", "f"]))
    assert "Images: B, D shown from 0 to 2.5 10⁻³ mm²/s, median" in text
    assert "f shown from 0 to 0.4, median 0.100." in text


def test_a_map_without_a_value():
    empty = made_result({name: np.full(SHAPE, np.nan) for name in biexp_maps(SHAPE)})
    assert "D, shown from 0 to 2.5 10⁻³ mm²/s, without any value" in describe(
        report.map_panels(empty, maps=["D"])
    )


def test_legend_of_the_status(result):
    text = describe(report.status_panels(result, slices=1))
    assert text == (
        "Image: slice 1. On the left the right side of the patient, on the right the left side. "
        "Legend: OK: 144."
    )


def test_curves_and_table_of_a_voxel(result, dwi):
    text = describe(report.voxel_plot(dwi, result, (1, 2, 0)))
    assert text.startswith("voxel 1, 2, 0. signal (a.u.) over b (s/mm²) from")
    assert "logarithmic signal (a.u.)" in text
    assert "varpro: S0 (a.u.) " in text
    assert text.endswith("varpro: Fitted.")


def test_histograms_have_their_medians(result):
    text = describe(report.histograms(result, maps=["D"]))
    assert f"all voxels: {1e3 * np.median(result.maps['D']):#.3g} (n = 144)" in text


def test_bars_say_where_the_ends_are(result, dwi, affine):
    shift = np.where(np.array(B) == 400, 30.0, 0.0)
    scan = DWI(dwi.signal + shift, B, affine)
    text = describe(report.residual_panels(ik.quality.residuals(result, scan)))
    assert "at 400" in text
    assert "mean residual from " in text


def test_densities_are_plots(result, affine):
    maps = biexp_maps(SHAPE)
    noise = np.random.default_rng(0).normal(0, 1e-4, SHAPE)
    other = made_result({**maps, "D": maps["D"] + noise}, affine=affine)
    text = describe(report.agreement_panels(ik.quality.difference(result, other), maps=["D"]))
    assert text.startswith("D (n = 144): B − A (10⁻³ mm²/s) over mean of A and B")
    assert "mean difference " in text
    assert "Image" not in text


def test_marks_are_named(result):
    lesion = np.zeros(SHAPE, bool)
    lesion[3:5, 2:4, 1] = True
    figure = report.lesion_panels(result, lesion, reference=~lesion, marks="both")
    assert "marked: lesion (arrowheads), reference (contour), lesion (contour)" in describe(figure)


def test_an_empty_figure_has_no_words():
    assert describe(Figure()) == ""


def test_values_that_are_not_finite_are_left_out():
    figure = Figure()
    axes = figure.add_subplot(xlabel="x", ylabel="y", xlim=(0, 2))
    axes.plot([0, 1, 2], [np.nan, 2.0, np.inf], label="curve")
    assert describe(figure) == "y over x from 0 to 2.00; curve 2.00."
