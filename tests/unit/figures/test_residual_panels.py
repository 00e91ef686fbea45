import numpy as np
import pytest
from matplotlib.colors import to_rgba

import ivimkit as ik
from ivimkit.figures import Picture, residual_panels
from ivimkit.scan.dwi import DWI
from made_results import biexp_maps, made_result

B = [0, 0, 10, 20, 50, 100, 200, 400, 800]


def found(shape=(6, 5, 4), at_400=30.0, **options):
    result = made_result(biexp_maps(shape))
    clean = ik.simulate.signals("biexp", result.params, B)
    noisy = clean + np.random.default_rng(0).normal(0, 2.0, clean.shape)
    signal = noisy + np.where(np.array(B) == 400, at_400, 0.0)
    return ik.quality.residuals(result, DWI(signal, B), **options)


@pytest.fixture(scope="module")
def values():
    return found()


@pytest.fixture(scope="module")
def figure(values):
    return residual_panels(values)


def test_bars_are_the_means_and_large_ones_stand_out(values, figure):
    bars = figure.axes[0].containers[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], values.mean)
    colours = {to_rgba(bar.get_facecolor()) for bar in bars}
    large = bars[6].get_facecolor()
    assert abs(values.mean[6]) > 1
    assert len(colours) == 2
    assert [bar.get_facecolor() == large for bar in bars].count(True) == 1


def test_bars_are_never_on_a_range_below_one_percent():
    assert residual_panels(found(at_400=0.0)).axes[0].get_ylim() == (-1.0, 1.0)


def test_scatter_and_noise_are_drawn_with_the_averages(values, figure):
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
    np.testing.assert_array_equal(lines["voxel to voxel"], values.sd)
    np.testing.assert_allclose(lines["noise"], values.noise / np.sqrt(values.counts))


def test_unknown_noise_is_not_drawn(values):
    unknown = ik.quality.Residuals(**{**vars(values), "noise": float("nan")})
    labels = [line.get_label() for line in residual_panels(unknown).axes[1].lines]
    assert labels == ["voxel to voxel"]


def test_slices_are_drawn_around_zero(values, figure):
    axes = figure.axes[2]
    image = axes.images[0]
    np.testing.assert_allclose(np.ma.filled(image.get_array(), np.nan), values.by_slice)
    low, high = image.get_clim()
    assert low == -high
    assert high >= 1
    assert image.get_cmap().name == "RdBu_r"
    assert image.colorbar.ax.get_ylabel() == "mean residual (% of S0)"


def test_b_values_are_written_once_below(figure):
    labels = [[text.get_text() for text in axes.get_xticklabels()] for axes in figure.axes[:3]]
    assert labels[2] == ["0", "10", "20", "50", "100", "200", "400", "800"]
    assert not any(labels[0] + labels[1])
    assert figure.axes[2].get_xlabel() == "b (s/mm²)"


def test_many_b_values_are_not_written_on_top_of_each_other(values):
    many = {name: np.tile(getattr(values, name), 20) for name in ("bvals", "mean", "sd", "counts")}
    many["names"] = values.names * 20
    many["by_slice"] = np.tile(values.by_slice, (1, 20))
    tiled = ik.quality.Residuals(**{**vars(values), **many})
    axes = residual_panels(tiled, findings=()).axes[2]
    assert 10 < len(axes.get_xticks()) < 40


def test_one_slice_has_no_map_of_slices():
    figure = residual_panels(found((6, 5, 1)))
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "mean residual\n(% of S0)",
        "sd\n(% of S0)",
    ]
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()][-1] == "800"


@pytest.mark.parametrize(
    ("most", "title"), [(1000, "120 voxels"), (40, "40 of 120 fitted voxels")]
)
def test_title_says_how_many_voxels(most, title):
    assert (
        residual_panels(found(most=most)).get_suptitle() == f"residuals, measured − fit: {title}"
    )
    assert residual_panels(found(), title="x").get_suptitle() == "x"


@pytest.mark.drawn
def test_can_be_encoded(figure):
    assert Picture(figure).encoded(dpi=30).media_type == "image/png"
