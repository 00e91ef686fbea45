"""model_table: shares of voxels, the mean signal of each region, and a verdict in words."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.quality import model_table, verdicts

B = np.array(ik.simulate.B21, dtype=float)
NAMES = ("monoexp", "sivim", "biexp")


def made(f, n, sigma, seed):
    truth = np.tile([1000.0, f, 0.03, 1.2e-3], (n, 1))
    clean = ik.simulate.signals("biexp", truth, B)
    return clean + np.random.default_rng(seed).normal(0.0, sigma, clean.shape)


@pytest.fixture(scope="module")
def scan():
    """Perfused voxels, faintly perfused ones in noise, and ones without; one region is empty."""
    parts = [made(0.25, 100, 15.0, 0), made(0.06, 400, 60.0, 1), made(0.0, 400, 60.0, 2)]
    labels = np.repeat([1, 2, 3, 4], [100, 400, 400, 1])
    signal = np.concatenate([*parts, np.full((1, B.size), np.nan)])
    return signal, ik.Labels(labels, {1: "bright", 2: "faint", 3: "none", 4: "broken"})


@pytest.fixture(scope="module")
def comparison(scan):
    return ik.compare(scan[0], B)


def test_the_mean_signal_is_compared_by_aicc(scan, comparison):
    signal, labels = scan
    table = model_table(comparison, labels)
    assert list(table.index) == ["bright", "faint", "none", "broken"]
    alone = ik.compare(signal[:100].mean(axis=0)[np.newaxis], B)
    for name in NAMES:
        weight = float(alone.weights[name][0])
        assert table.loc["bright", f"mean_weight_{name}"] == pytest.approx(weight, abs=1e-9)
        above = alone.scores[name][0] - min(alone.scores[other][0] for other in NAMES)
        assert table.loc["bright", f"mean_difference_{name}"] == pytest.approx(above, abs=1e-6)
        assert table.loc["bright", f"share_{name}"] == pytest.approx(
            (comparison.chosen[:100] == NAMES.index(name)).mean()
        )
    assert np.isnan(table.loc["broken", "mean_weight_biexp"])
    assert table.loc["broken", "mean_chosen"] == ""


def test_verdicts_name_what_voxels_and_mean_signal_say(scan, comparison):
    table = model_table(comparison, scan[1])
    bright, faint, none, broken = verdicts(table)
    assert bright.startswith("bright: Use biexp by the mean signal (AICc ")
    assert bright.endswith(" % of the voxels.")
    assert "for the region; monoexp in" in faint
    assert "the noise of a voxel hides what biexp adds" in faint
    assert none.startswith(
        ("none: Use monoexp", "none: Not decided: the mean signal supports mon")
    )
    assert broken == "broken: No voxel of the region has a fit of all models."


def test_without_labels_the_mask_is_the_region(comparison):
    table = model_table(comparison)
    assert list(table.index) == ["all"]
    assert table.loc["all", "n"] == 900
    named = model_table(comparison, np.repeat([1, 0], [100, 801]), {1: "one"})
    assert list(named.index) == ["one"]


def test_a_mean_signal_without_room_for_its_noise_is_not_judged():
    b = B[[0, 4, 10, 16, 20]]
    signal = ik.simulate.signals("biexp", [1000.0, 0.2, 0.03, 1.2e-3], b)[np.newaxis]
    with pytest.warns(ik.errors.AcquisitionWarning):
        comparison = ik.compare(signal, b, models=("sivim", "biexp"), sigma=10.0)
    table = model_table(comparison)
    assert table.loc["all", "mean_chosen"] == ""
    assert table.loc["all", "verdict"].endswith("the mean signal cannot be judged.")


def test_a_model_that_needs_more_b_values_is_not_called_worse():
    b = np.repeat(B[[0, 4, 8, 12, 16, 20]], 2)
    clean = ik.simulate.signals("biexp", [1000.0, 0.2, 0.03, 1.2e-3], b)
    signal = clean + np.random.default_rng(3).normal(0.0, 5.0, (50, b.size))
    with pytest.warns(ik.errors.AcquisitionWarning):
        table = model_table(ik.compare(signal, b, models=("monoexp", "sivim", "biexp")))
    verdict = table.loc["all", "verdict"]
    assert verdict.startswith("Of the models compared, ")
    assert verdict.endswith("Too few b-values to compare biexp.")
