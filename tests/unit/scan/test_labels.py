"""Labels: regions, their names, and NumPy."""

import numpy as np
import pytest

from ivimkit.errors import OptionError, ShapeError
from ivimkit.scan.labels import Labels


def test_names_are_in_the_order_of_the_numbers():
    labels = Labels([[3, 0], [1, 3]], {3: "liver"})
    assert list(labels) == ["1", "liver"]
    assert labels.names == {1: "1", 3: "liver"}
    np.testing.assert_array_equal(labels["liver"], [[True, False], [False, True]])
    np.testing.assert_array_equal(labels[3], labels["liver"])
    assert len(labels) == 2


def test_numpy_takes_the_numbers():
    labels = Labels([True, False, True])
    np.testing.assert_array_equal(np.asarray(labels), [1, 0, 1])
    assert np.asarray(labels, dtype=float).dtype == float
    copied = np.array(labels)
    copied[0] = 5
    assert labels.array[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        labels.array[0] = 5


@pytest.mark.parametrize("array", [[0, 0], np.zeros((2, 2), bool)])
def test_no_region(array):
    with pytest.raises(ShapeError, match="there is no region"):
        Labels(array)


@pytest.mark.parametrize("array", [[0.5, 1.0], [np.nan, 1.0], ["a", "b"], [1j, 0]])
def test_other_than_whole_numbers(array):
    with pytest.raises(OptionError, match="not whole numbers"):
        Labels(array)


def test_two_regions_of_one_name():
    with pytest.raises(OptionError, match="several regions are named 'liver'"):
        Labels([1, 2], {1: "liver", 2: "liver"})


def test_unknown_region():
    with pytest.raises(OptionError, match="no region 'spleen'; expected one of liver"):
        _ = Labels([1], {1: "liver"})["spleen"]
