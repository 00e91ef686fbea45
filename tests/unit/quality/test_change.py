"""Change against the repeatability coefficient."""

import numpy as np
import pandas as pd
import pytest

from ivimkit import quality
from ivimkit.errors import OptionError
from made_results import biexp_maps, made_result


def values_of(subjects, region="lesion", name="D"):
    rows = [
        {"subject": subject, "session": k, "region": region, "map": name, "value": value}
        for subject, values in subjects.items()
        for k, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


REPEAT = quality.repeatability(values_of({"x": [1.0, 1.1], "y": [2.0, 1.9], "z": [3.0, 3.1]}))
RC = float(REPEAT.loc[("lesion", "D"), "rc"])


def test_a_change_is_significant_beyond_the_coefficient():
    scans = {"a": [1.0, 1.0 + 1.01 * RC], "b": [1.0, 1.0 - 0.99 * RC], "c": [2.0, 2.0 - 1.01 * RC]}
    table = quality.change(values_of(scans), REPEAT)
    assert table.index.names == ["subject", "scan", "region", "map"]
    assert table["significant"].tolist() == [True, False, True]
    row = table.loc[("a", 2, "lesion", "D")]
    np.testing.assert_allclose(row["difference"], 1.01 * RC)
    np.testing.assert_allclose([row["lo"], row["hi"]], [0.01 * RC, 2.01 * RC])
    assert row["ratio"] == pytest.approx(1 + 1.01 * RC)
    # The interval of the true change leaves out 0 exactly where the change is significant.
    assert ((table["lo"] > 0) | (table["hi"] < 0)).tolist() == table["significant"].tolist()


def test_unchanged_subjects_have_one_false_alarm_in_twenty():
    rng = np.random.default_rng(0)
    known = quality.repeatability(values_of({str(i): rng.normal(1, 0.1, 2) for i in range(2000)}))
    others = values_of({str(i): rng.normal(1, 0.1, 2) for i in range(2000)})
    assert 0.04 < quality.change(others, known)["significant"].mean() < 0.06


def test_each_later_scan_against_the_first():
    table = quality.change(values_of({"a": [1.0, 1.1, 1.4, 0.2]}), REPEAT)
    assert table.index.get_level_values("scan").tolist() == [2, 3, 4]
    np.testing.assert_allclose(table["difference"], [0.1, 0.4, -0.8])


def test_relative():
    share = float(REPEAT.loc[("lesion", "D"), "rc_relative"])
    scans = values_of({"a": [10.0, 10.0 * (1 + 0.9 * share)]})
    assert not quality.change(scans, REPEAT, relative=True)["significant"].item()
    assert quality.change(scans, REPEAT)["significant"].item()
    np.testing.assert_allclose(quality.change(scans, REPEAT, relative=True)["rc"], 10 * share)


def test_the_repeatability_of_another_region():
    scans = values_of({"a": [1.0, 2.0]}, region="metastasis")
    with pytest.raises(OptionError, match=r"of D in region metastasis is not known; .* lesion D"):
        quality.change(scans, REPEAT)
    assert quality.change(scans, REPEAT, region="lesion")["rc"].item() == RC


def test_maps_of_both_or_those_asked_for():
    both = pd.concat([values_of({"a": [1.0, 2.0]}), values_of({"a": [1.0, 2.0]}, name="f")])
    assert quality.change(both, REPEAT).index.unique("map").tolist() == ["D"]
    with pytest.raises(OptionError, match="the repeatability of f in region lesion"):
        quality.change(both, REPEAT, maps=["f"])


def test_results_with_labels():
    maps = biexp_maps((2, 3))
    scans = {
        "a": [made_result(maps), made_result({name: 2 * values for name, values in maps.items()})]
    }
    labels = np.ones((2, 3), int)
    table = quality.change(scans, REPEAT, labels, region="lesion")
    row = table.loc[("a", 2, "1", "D")]
    assert row["before"] == np.median(maps["D"])
    assert (row["ratio"], row["unit"]) == (2.0, "mm^2/s")


@pytest.mark.parametrize("wrong", [REPEAT.reset_index(), REPEAT.drop(columns="rc_relative")])
def test_a_table_of_something_else(wrong):
    with pytest.raises(OptionError, match="is not a table of repeatability"):
        quality.change(values_of({"a": [1.0, 2.0]}), wrong)
