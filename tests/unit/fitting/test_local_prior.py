import dataclasses

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.fitting.local_prior import check_neighbours, neighbour_offsets
from ivimkit.scan.geometry import Geometry

B13 = np.array(ik.simulate.B13, dtype=float)


def fitted(dwi, rule="local", **options):
    return ik.fit(dwi, method=ik.methods.Bayes(prior=rule), **options)


@pytest.fixture(scope="module")
def scene():
    return ik.simulate.phantom(shape=(44, 33, 2), snr=20, seed=2, texture=ik.simulate.Texture())


@pytest.fixture(scope="module")
def small():
    """For what holds bit by bit, whatever the scan."""
    return ik.simulate.phantom(shape=(28, 18, 2), snr=20, seed=2, texture=ik.simulate.Texture())


RULE = ik.priors.Local(rounds=2)


@pytest.fixture(scope="module")
def small_result(small):
    return fitted(small.dwi, RULE, threads=2)


@pytest.fixture(scope="module")
def result(scene):
    return fitted(scene.dwi, threads=2)


# ---------------------------------------------------------------------------------- neighbours


def test_neighbours_are_found_by_their_distance_in_mm():
    thick = Geometry(np.diag([2.0, 2.0, 3.5, 1.0]))
    offsets, weights = neighbour_offsets((9, 9, 9), thick, reach=1.0)
    distance = np.sqrt(((offsets * [2.0, 2.0, 3.5]) ** 2).sum(axis=1))
    assert distance.max() <= 4.0
    # Twelve within two edges in the slice, and those straight above and below.
    assert len(offsets) == 14
    np.testing.assert_allclose(weights, np.exp(-0.5 * (distance / 2.0) ** 2), rtol=1e-12)


def test_the_order_and_the_direction_of_axes_do_not_matter():
    turned = np.zeros((4, 4))
    turned[0, 2], turned[1, 0], turned[2, 1], turned[3, 3] = -3.5, 2.0, -2.0, 1.0
    offsets, weights = neighbour_offsets((9, 9, 9), Geometry(turned), reach=1.0)
    others, same = neighbour_offsets((9, 9, 9), Geometry(np.diag([2, 2, 3.5, 1])), reach=1.0)
    assert {tuple(o) for o in offsets} == {tuple(o) for o in others}
    np.testing.assert_allclose(np.sort(weights), np.sort(same), rtol=1e-12)


def test_a_skewed_lattice_has_all_neighbours_within_reach():
    skewed = np.diag([2.0, 2.0, 2.0, 1.0])
    skewed[0, 1] = 1.9
    offsets, _ = neighbour_offsets((9, 9, 1), Geometry(skewed), reach=1.0)
    steps = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 2, [0]), axis=-1).reshape(-1, 3)
    distance = np.sqrt(((steps @ skewed[:3, :3].T) ** 2).sum(axis=1))
    width = np.sqrt(2.0 * np.hypot(2.0, 1.9))
    assert len(offsets) == ((distance <= 2 * width) & (distance > 0)).sum()


# ---------------------------------------------------------------------------------------- maps


def test_it_is_nearer_to_the_truth_and_keeps_the_lesion(scene, result):
    learned = fitted(scene.dwi, "learned")
    known = scene.dwi.mask & np.isfinite(scene.truth["D"])
    lesion, liver = scene.region("lesion"), scene.region("liver")
    for name, share in (("D", 0.9), ("f", 0.85)):
        truth = scene.truth[name]
        errors = [np.sqrt(np.mean((r.maps[name] - truth)[known] ** 2)) for r in (result, learned)]
        assert errors[0] < share * errors[1], name
        low, high = result.interval[name]
        inside = ((low <= truth) & (truth <= high))[known & (scene.truth["f"] > 0)]
        assert 0.93 < inside.mean() < 0.995, name

    def contrast(values):
        return values[lesion].mean() - values[liver].mean()

    kept = [contrast(r.maps["D"]) / contrast(scene.truth["D"]) for r in (result, learned)]
    assert kept[0] > max(kept[1], 0.6)


def test_it_says_what_it_is_made_of(scene, result):
    assert result.priors["all"].rule == "local"
    assert result.priors["all"].near
    inside = scene.dwi.mask
    weight, number = result.maps["local_weight"], result.maps["n_neighbours"]
    assert ((weight[inside] >= 0.0) & (weight[inside] <= 1.0)).all()
    assert np.median(weight[inside]) > 0.5
    full = number[inside].max()
    assert (number[inside] == full).mean() > 0.25
    assert number[inside].min() < full


def test_threads_change_no_bit_and_the_table_is_all_that_is_learned(small, small_result):
    result, alone = small_result, fitted(small.dwi, RULE, threads=1)
    settled = ik.methods.Bayes(prior=result.priors["all"])
    for again in (alone, ik.fit(small.dwi, method=settled, threads=2)):
        for name, values in result.maps.items():
            np.testing.assert_array_equal(again.maps[name], values, err_msg=name)


def test_a_part_with_a_halo_gives_the_same_bits(small, small_result):
    dwi = small.dwi
    method = ik.methods.Bayes(prior=small_result.priors["all"])
    whole = ik.fit(dwi, method=method, sigma=50.0)
    # Each round and the last posterior look two voxels further.
    first, halo = 16, 2 * (RULE.rounds + 1)
    part = ik.DWI(
        np.ascontiguousarray(dwi.signal[first - halo :]),
        dwi.acquisition,
        dwi.geometry.affine,
        dwi.mask[first - halo :],
    )
    found = ik.fit(part, method=method, sigma=50.0)
    for name in ("D", "f", "D_star", "D_hi", "local_weight"):
        np.testing.assert_array_equal(
            found.maps[name][halo:], whole.maps[name][first:], err_msg=name
        )


def test_holes_and_voxels_alone_have_estimates_too(scene):
    mask = scene.region("liver") & (np.indices(scene.labels.shape).sum(axis=0) % 2 == 0)
    mask[:, :, 1] = False
    mask[1, 1, 1] = True  # In air, with no neighbour.
    result = fitted(scene.dwi.with_mask(mask))
    assert result.maps["n_neighbours"][1, 1, 1] == 0.0
    assert result.maps["local_weight"][1, 1, 1] == 0.0
    for name in ("D", "f", "n_neighbours"):
        assert np.isfinite(result.maps[name][mask]).all(), name


@pytest.mark.parametrize("model", ["monoexp", "sivim"])
def test_models_with_fewer_parameters(small, model):
    result = fitted(small.dwi, model=model)
    assert np.isfinite(result.maps["local_weight"][small.dwi.mask]).all()
    name = "ADC" if model == "monoexp" else "D"
    assert (result.maps[f"{name}_sd"][small.dwi.mask] > 0).all()


# ------------------------------------------------------------------------------------- refusals


def test_a_list_of_voxels_has_no_neighbours():
    signals = np.ones((60, B13.size))
    with pytest.raises(OptionError, match=r"have the shape \(60,\); expected an image .* learned"):
        ik.fit(signals, B13, method=ik.methods.Bayes(prior="local"))


@pytest.mark.parametrize("told", [3, {"rounds": "many"}, {"reach": [1]}])
def test_a_prior_whose_file_says_nonsense_about_neighbours(scene, result, told):
    table = result.priors["all"]
    wrong = dataclasses.replace(table, about={**table.about, "neighbours": told})
    with pytest.raises(OptionError, match=r"how neighbours count|expected"):
        fitted(scene.dwi, wrong)


def test_a_prior_learned_with_other_fixed_parameters(scene, result):
    model = ik.models.get("biexp").with_fixed(D_star=0.05)
    with pytest.raises(OptionError, match="learned with other fixed parameters than model biexp"):
        fitted(scene.dwi, result.priors["all"], model=model)


def test_an_affine_that_gives_no_distances():
    flat = np.diag([2.0, 2.0, 0.0, 1.0])
    with pytest.raises(OptionError, match="the affine of the scan maps them to a plane"):
        check_neighbours((10, 8, 1), Geometry(flat))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reach": 0.2}, "reach is 0.2; expected 0.5 to 10 edges"),
        ({"rounds": 0}, "rounds is 0; expected a whole number, 1 to 100"),
        ({"scan_share": 0.0}, "scan_share is 0.0; expected a number above 0 and below 1"),
        ({"scan_share": 0.6, "broad_share": 0.5}, "are 1.1 together; expected less than 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(OptionError, match=message):
        ik.priors.Local(**options)
