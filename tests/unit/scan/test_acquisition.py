"""Acquisition: shells, selection, and every reason to refuse b-values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivimkit.errors import AcquisitionError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.gradient_checks import checked_shell_numbers

b_lists = st.lists(st.integers(0, 3000).map(float), min_size=2, max_size=40).filter(
    lambda b: len(set(b)) > 1 and max(b) >= 10
)


def shells(bvals, **options):
    return [(shell.b, shell.count) for shell in Acquisition(bvals, **options).shells]


@pytest.mark.parametrize(
    ("bvals", "message"),
    [
        (["a", "b"], r"b-values are \"\['a', 'b'\]\"; expected one number per volume"),
        ([[0, 1000], [0, 500]], r"shape \(2, 2\); expected \(n,\).*ravel"),
        ([], r"shape \(0,\); expected"),
        ([0, np.nan, 800], r"volume 1 is nan, which is not finite; expected numbers >= 0"),
        ([0, np.inf], r"volume 1 is inf, which is not finite"),
        ([0, 100, -5], r"volume 2 is -5, which is negative; expected"),
        ([0, 0.05, 0.8], r"highest b-value is 0.8; expected s/mm\^2.*--b-unit ms/um2"),
        ([0, 8e8], r"highest b-value is 8e\+08; expected s/mm\^2.*divide by 1e6"),
        ([0, 40000, 80000], r"80000; .*s/cm\^2, say so .--b-unit s/cm2.*by 100"),
        ([0, 1e9 + 50, 1e9 + 800], r"is 1000000800; .*offset of 1e9 of GE: subtract 1000000000"),
        ([1e9, 1e9 + 800], r"is 1000000800; .*offset of 1e9 of GE: subtract 1000000000"),
        ([0, 3e5 * 1e6], r"highest b-value is 3e\+11; .*Correct the b-values"),
        ([500, 500, 500], r"all 3 b-values are 500; expected at least two different"),
        ([0, 0], r"all 2 b-values are 0; expected"),
    ],
)
def test_bvals_that_cannot_be_right(bvals, message):
    with pytest.raises(AcquisitionError, match=message):
        Acquisition(bvals)


@pytest.mark.parametrize(
    ("bvecs", "message"),
    [
        ("abc", r"directions are 'abc'; expected numbers of shape \(3, 3\)"),
        (np.ones((3, 2)), r"shape \(3, 2\); expected \(3, 3\), one for each of the 3"),
        (np.full((3, 3), np.nan), "direction of volume 0 is not finite.*0 0 0"),
    ],
)
def test_directions_that_cannot_be_right(bvecs, message):
    with pytest.raises(AcquisitionError, match=message):
        Acquisition([0, 100, 800], bvecs)


def test_negative_tolerance():
    with pytest.raises(AcquisitionError, match="tolerance is -1; expected a number"):
        Acquisition([0, 100], tolerance=-1)


def test_shell_numbers_of_another_length():
    with pytest.raises(AcquisitionError, match=r"numbers have shape \(3,\); expected \(2,\)"):
        Acquisition([0, 100], shell_numbers=[0, 1, 2])


def test_near_values_are_one_shell():
    assert shells([0, 798, 802, 800, 0]) == [(0.0, 2), (800.0, 3)]


def test_high_b_values_within_two_percent_of_their_middle_are_one_shell():
    assert shells([0, 2000, 2018]) == [(0.0, 1), (2009.0, 2)]
    assert shells([0, 1960, 2040]) == [(0.0, 1), (2000.0, 2)]
    assert shells([0, 2000, 2100]) == [(0.0, 1), (2000.0, 1), (2100.0, 1)]


def test_a_ladder_of_close_values_stays_apart():
    ladder = [0, 2, 4, 8, 12, 16, 20]
    assert shells([*ladder, 500, 503]) == [*[(float(b), 1) for b in ladder], (501.5, 2)]


def test_steps_of_five_are_different_b_values():
    assert len(shells([0, 5, 20, 30, 35, 50, 500])) == 7


def test_repeats_within_a_ladder_are_one_shell():
    assert shells([0, 4, 4, 8, 0, 500]) == [(0.0, 2), (4.0, 2), (8.0, 1), (500.0, 1)]


def test_tolerance_can_be_chosen():
    assert shells([0, 500, 503], tolerance=0) == [(0.0, 1), (500.0, 1), (503.0, 1)]
    assert shells([0, 990, 1010], tolerance=20) == [(0.0, 1), (1000.0, 2)]


@given(b_lists, st.randoms())
def test_order_of_volumes_does_not_matter(bvals, random):
    shuffled = list(bvals)
    random.shuffle(shuffled)
    one, other = Acquisition(bvals), Acquisition(shuffled)
    np.testing.assert_allclose(one.shell_bvals, other.shell_bvals, rtol=1e-12)
    assert one.counts.tolist() == other.counts.tolist()


@given(b_lists)
def test_every_volume_is_in_one_shell_near_its_b(bvals):
    acquisition = Acquisition(bvals)
    members = [v for shell in acquisition.shells for v in shell.volumes]
    assert sorted(members) == list(range(len(bvals)))
    for shell in acquisition.shells:
        own = acquisition.bvals[list(shell.volumes)]
        assert np.ptp(own) <= max(1, 0.1 * own.max())


@given(b_lists, st.data())
def test_a_part_keeps_the_shells_of_the_whole(bvals, data):
    whole = Acquisition(bvals)
    kept = data.draw(st.sets(st.sampled_from(range(len(bvals))), min_size=2).map(sorted))
    try:
        part = whole.take(kept)
    except AcquisitionError:
        return
    for shell in part.shells:
        original = [kept[v] for v in shell.volumes]
        assert len({whole.shell_numbers[v] for v in original}) == 1
    assert part.n_shells == len({whole.shell_numbers[v] for v in kept})


def test_input_is_neither_shared_nor_writable():
    bvals = np.array([0.0, 100.0])
    acquisition = Acquisition(bvals)
    bvals[0] = 7
    assert acquisition.bvals[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        acquisition.bvals[0] = 1


def test_directions_are_counted_up_to_sign_and_length():
    bvecs = [[0, 0, 0], [1, 0, 0], [-2, 0, 0], [0, 1, 0], [0, 0, 1]]
    acquisition = Acquisition([0, 500, 500, 500, 0], bvecs)
    assert [shell.n_directions for shell in acquisition.shells] == [0, 2]
    assert acquisition.directions((1, 2, 3)) == ((1, 2), (3,))


def test_without_directions_all_volumes_are_one_group():
    acquisition = Acquisition([0, 500, 500])
    assert acquisition.shells[1].n_directions is None
    assert acquisition.directions((1, 2)) == ((1, 2),)


@pytest.mark.parametrize(
    ("condition", "volumes"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"bmin": 50}, [1, 2, 3, 4]),
        ({"bmax": 800}, [0, 1, 2, 3, 5]),
        ({"bmin": 50, "bmax": 800}, [1, 2, 3]),
        ({"bvals": [0, 800]}, [0, 2, 3, 5]),
        ({"bvals": [802]}, [2, 3]),
        ({"volumes": [5, 1]}, [1, 5]),
        ({"bmax": 800, "volumes": [0, 4]}, [0]),
    ],
)
def test_selection(condition, volumes):
    acquisition = Acquisition([0, 50, 800, 802, 2000, 0])
    assert acquisition.select(**condition).tolist() == volumes


def test_selection_with_exact_tolerance_is_exact():
    assert Acquisition([0, 1000, 1004], tolerance=0).select(bmax=1000).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"bvals": [60]}, "no b-value 60; expected some of 0, 50, 800"),
        ({"bvals": [0, 6]}, "no b-value 6;"),
        ({"volumes": [3]}, "no volume 3; expected 0 to 2"),
        ({"volumes": [-1]}, "no volume -1; expected 0 to 2"),
        ({"bmin": 900}, "no volume is left of b = 0, 50, 800.*b of at least 900; expected at"),
    ],
)
def test_selection_of_what_is_not_there(condition, message):
    with pytest.raises(AcquisitionError, match=message):
        Acquisition([0, 50, 800]).select(**condition)


def test_one_of_a_ladder_is_selected_alone():
    assert Acquisition([0, 2, 4, 8, 12, 500]).select(bvals=[4, 500]).tolist() == [2, 5]


GOOD = [0, 10, 20, 40, 80, 200, 400, 800]


def test_coverage_takes_a_shell_with_b_0_as_0():
    assert Acquisition([0, 3, 400]).coverage()[0].grade == "good"


def test_perfusion_left_includes_the_threshold():
    table = Acquisition([0, 100, 800]).perfusion_left(b_split=250)
    assert table.bvals.tolist() == [0, 100, 250, 800]
    assert table.D_star.tolist() == [10e-3, 20e-3, 50e-3]


def test_equality():
    one = Acquisition([0, 100, 800])
    assert one == Acquisition([0, 100, 800])
    assert one != Acquisition([0, 100, 900])
    assert one != Acquisition([0, 100, 800], np.eye(3))
    assert one != "acquisition"


@pytest.mark.parametrize("labels", [["a", "b"], [0, 2**70], [0.5, 1], [[0], [1, 2]], None])
def test_labels_of_shells_are_whole_numbers(labels):
    with pytest.raises(AcquisitionError, match=r"the shell numbers are .*expected a whole number"):
        checked_shell_numbers(labels, 2)


def test_numbers_that_no_float_holds():
    with pytest.raises(AcquisitionError, match="expected one number per volume"):
        Acquisition([0, 10**400])
    with pytest.raises(AcquisitionError, match=r"expected numbers of shape \(2, 3\)"):
        Acquisition([0, 100], bvecs=[[0, 0, 1], [0, 0, 10**400]])
