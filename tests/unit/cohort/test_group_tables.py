"""Outliers and participants of the tables of a group."""

import pandas as pd
import pytest

from ivimkit.cohort.group_tables import find_outliers, with_participants
from ivimkit.errors import InputError


def table(*medians, region="liver"):
    names = [f"sub-{k}" for k in range(len(medians))]
    return pd.DataFrame(
        {
            "participant_id": names,
            "region": region,
            "map": "D",
            "unit": "mm^2/s",
            "median": medians,
        }
    )


def test_the_furthest_value_comes_first():
    values = (1.0, 1.1, 0.9, 1.05, 0.95, 2.0, 9.0)
    found = find_outliers(table(*values))
    assert found["median"].tolist() == [9.0, 2.0]
    # Median 1.05, median absolute deviation 0.1.
    assert found["score"].iloc[1] == pytest.approx(0.95 / 0.14826)


def test_few_or_equal_values_have_no_outliers():
    assert find_outliers(table(1.0, 1.0, 1.1, 9.0)).empty
    assert find_outliers(table(1.0, 1.0, 1.0, 1.0, 1.0, 9.0)).empty


def test_regions_are_judged_apart():
    whole = pd.concat([table(1, 1.1, 0.9, 1, 1.2), table(5, 5.1, 4.9, 5, 5.2, region="spleen")])
    assert find_outliers(whole.reset_index(drop=True)).empty


def test_participants_in_two_rows_are_an_error(tmp_path):
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tage\nsub-0\t1\nsub-0\t2\n")
    with pytest.raises(InputError, match="has sub-0 in two rows"):
        with_participants(table(1.0), path)
