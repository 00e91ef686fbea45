from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.figures import comparison_panels


@pytest.fixture(scope="module")
def comparison():
    return ik.compare(ik.simulate.phantom(shape=(20, 16, 3)).dwi)


def colours_of(axes):
    (image,) = axes.images
    return image.cmap(image.norm(image.get_array()))


def test_legend_counts_the_voxels_of_the_volume(comparison):
    figure = comparison_panels(comparison, slices=1)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    counts = [int((comparison.chosen == index).sum()) for index in range(3)]
    assert texts == [
        f"{name}: {count} ({100 * count / sum(counts):.1f} %)"
        for name, count in zip(comparison.names, counts, strict=True)
    ]


def test_every_model_has_the_colour_of_the_legend(comparison):
    figure = comparison_panels(comparison, slices=1, crop=False)
    legend = [patch.get_facecolor() for patch in figure.legends[0].get_patches()]
    assert len(set(legend)) == 3
    shown = colours_of(figure.axes[0])
    # The phantom's first axis runs to the patient's left: rows are y, columns x, or mirrored.
    chosen = comparison.chosen[:, :, 1]
    for index, colour in enumerate([*legend, to_rgba("black")]):
        code = index if index < 3 else -1
        same = np.all(np.isclose(shown, colour), axis=-1)
        assert same.sum() == (chosen == code).sum()
        assert any(
            np.array_equal(same[::up, ::across], (chosen == code).T)
            for up in (1, -1)
            for across in (1, -1)
        )


def test_weights_share_one_scale(comparison):
    figure = comparison_panels(comparison, slices=[0, 2])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == ["model", "monoexp", "sivim", "biexp"]
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [
        "slice 0",
        "slice 2",
    ]
    weights = [axes for axes in figure.axes if axes.images and axes not in figure.axes[::4][:2]]
    assert {axes.images[0].get_clim() for axes in weights} == {(0.0, 1.0)}
    totals = sum(np.ma.filled(axes.images[0].get_array(), np.nan) for axes in figure.axes[1:4])
    np.testing.assert_allclose(totals[np.isfinite(totals)], 1.0)
    assert figure.axes[-1].get_xlabel() == "Akaike weight"


@pytest.mark.parametrize(
    ("criterion", "heading", "label"),
    [
        ("aicc", "monoexp, biexp by AICc", "Akaike weight"),
        ("bic", "monoexp, biexp by BIC", "weight by BIC"),
        ("f_test", "monoexp, biexp by F-test", "selected by the F-test"),
        ("evidence", "monoexp, biexp by evidence", "posterior probability"),
    ],
)
def test_words(criterion, heading, label):
    made = ik.simulate.phantom(shape=(12, 10, 1))
    comparison = ik.compare(
        made.dwi, models=("monoexp", "biexp"), criterion=criterion, sigma=made.sigma
    )
    figure = comparison_panels(comparison)
    assert figure.get_suptitle() == heading
    assert figure.axes[-1].get_xlabel() == label
    assert comparison_panels(comparison, title="mine").get_suptitle() == "mine"


def test_no_such_slice_and_no_image(comparison):
    with pytest.raises(OptionError, match="there is no slice 9"):
        comparison_panels(comparison, slices=9)
    flat = ik.compare(np.full((2, 8), 5.0) - np.arange(8), [0, 10, 20, 50, 100, 200, 400, 800])
    with pytest.raises(ShapeError, match=r"expected \(x, y\) or \(x, y, z\)"):
        comparison_panels(flat)


def test_of_many_models_the_highest_weights_are_drawn(comparison):
    result = comparison.results["biexp"]
    names = [f"model{k}" for k in range(9)]
    rank = {name: 1 + (5 * k) % 9 for k, name in enumerate(names)}
    weights = {name: np.full(comparison.shape, rank[name] / 45) for name in names}
    many = replace(
        comparison,
        results=dict.fromkeys(names, result),
        weights=weights,
        chosen=np.where(comparison.chosen >= 0, 8, -1).astype(np.int32),
    )
    figure = comparison_panels(many, slices=1)
    shown = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert shown == ["model", *(name for name in names if rank[name] > 3)]
    legend = [patch.get_facecolor() for patch in figure.legends[0].get_patches()]
    assert len(set(legend)) == 9
