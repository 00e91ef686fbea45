"""Repeatability: published examples, pingouin's numbers, and what must hold always."""

import numpy as np
import pandas as pd
import pytest

import ivimkit as ik
from ivimkit import quality
from ivimkit.errors import OptionError, RegionWarning, ShapeError
from ivimkit.quality.repeat_values import numbered
from made_results import biexp_maps, made_result
from tolerances import CLOSED_FORM

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Table 2 of Shrout and Fleiss 1979: six targets, four judges; ICC(3,1) is 0.71."""

PAIRS = np.reshape(
    [1.02, 1.10, 0.85, 0.80, 1.40, 1.33, 1.15, 1.21, 0.95, 1.01, 1.25, 1.20, 1.60, 1.72], (-1, 2)
)

# fmt: off
PEFR = np.array([
    (494, 490), (395, 397), (516, 512), (434, 401), (476, 470), (557, 611), (413, 415),
    (442, 431), (650, 638), (433, 429), (417, 420), (656, 633), (267, 275), (478, 492),
    (178, 165), (423, 372), (427, 421),
], float)
# fmt: on
"""Bland and Altman 1986: peak expiratory flow, l/min, 17 subjects measured twice with the
Wright meter; its coefficient of repeatability is given as 30.6 (2 standard deviations of the
differences), the standard deviation within subjects is 15.3 in their 1999 paper."""


def values_of(matrix, *, region="liver", name="D"):
    """Return the long table of a matrix of subjects and scans."""
    rows = [
        {"subject": f"s{i}", "session": k, "region": region, "map": name, "value": value}
        for i, row in enumerate(matrix)
        for k, value in enumerate(row, start=1)
        if np.isfinite(value)
    ]
    return pd.DataFrame(rows)


def only_row(matrix):
    return quality.repeatability(values_of(matrix)).loc[("liver", "D")]


class TestPublished:
    def test_icc_of_shrout_and_fleiss(self):
        """0.71 in the paper; pingouin 0.7 gives 0.714840714841 [0.34, 0.95]."""
        row = only_row(SHROUT_FLEISS)
        assert row["icc"] == pytest.approx(0.714840714841)
        assert (round(row["icc_lo"], 2), round(row["icc_hi"], 2)) == (0.34, 0.95)

    def test_icc_of_pairs(self):
        """pingouin 0.7: ICC(C,1) = 0.961931640013 [0.8, 0.99]."""
        row = only_row(PAIRS)
        assert row["icc"] == pytest.approx(0.961931640013)
        assert (round(row["icc_lo"], 2), round(row["icc_hi"], 2)) == (0.8, 0.99)

    def test_repeatability_of_the_wright_peak_flow_meter(self):
        row = only_row(PEFR)
        assert row["within_sd"] == pytest.approx(15.3, abs=0.05)
        assert row["rc"] == pytest.approx(2.77 * 15.3, abs=0.2)

    def test_limits_of_agreement_of_bland_and_altman(self):
        """Wright meter against mini meter, first measurements: bias -2.1, limits -79.7 and 75.5
        with 2 standard deviations of 38.8; the interval of the bias is -22.0 to 17.8."""
        mini = [
            512,
            430,
            520,
            428,
            500,
            600,
            364,
            380,
            658,
            445,
            432,
            626,
            260,
            477,
            259,
            350,
            451,
        ]
        row = only_row(np.column_stack([mini, PEFR[:, 0]]))
        sd = (row["upper_limit"] - row["bias"]) / 1.959964
        assert row["bias"] == pytest.approx(-2.1, abs=0.05)
        assert sd == pytest.approx(38.8, abs=0.05)
        assert row["bias_lo"] == pytest.approx(-22.0, abs=0.1)
        assert row["bias_hi"] == pytest.approx(17.8, abs=0.1)


def test_every_number_by_hand():
    """Differences 0.2, -0.1 and 0.1; the variance within a pair is half the squared one."""
    row = only_row([[1.0, 1.2], [2.0, 1.9], [1.4, 1.5]])
    within = np.sqrt((0.04 + 0.01 + 0.01) / 2 / 3)
    assert (row["subjects"], row["scans"]) == (3, 6)
    assert row["mean"] == pytest.approx(1.5)
    assert row["within_sd"] == pytest.approx(within)
    assert row["within_cv"] == pytest.approx(
        np.sqrt((0.02 / 1.1**2 + 0.005 / 1.95**2 + 0.005 / 1.45**2) / 3)
    )
    assert row["rc"] == pytest.approx(1.959964 * np.sqrt(2) * within)
    assert row["rc_relative"] / row["within_cv"] == pytest.approx(row["rc"] / row["within_sd"])
    # chi-squared with 3 degrees of freedom: 0.2158 and 9.348
    assert row["rc_lo"] == pytest.approx(row["rc"] * np.sqrt(3 / 9.348), rel=1e-3)
    assert row["rc_hi"] == pytest.approx(row["rc"] * np.sqrt(3 / 0.2158), rel=1e-3)
    sd = np.std([0.2, -0.1, 0.1], ddof=1)
    assert row["bias"] == pytest.approx(0.2 / 3)
    assert row["lower_limit"] == pytest.approx(0.2 / 3 - 1.959964 * sd)
    half = 4.302653 * sd * np.sqrt(1 / 3 + 1.959964**2 / 4)
    assert row["upper_limit_hi"] - row["upper_limit"] == pytest.approx(half)
    assert row["lower_limit"] - row["lower_limit_lo"] == pytest.approx(half)


def rows(matrices):
    """Return one row for each matrix: they are the regions of one table, which is quicker."""
    parts = [values_of(one, region=f"r{k}") for k, one in enumerate(matrices)]
    return quality.repeatability(pd.concat(parts, ignore_index=True)).droplevel("map")


def test_the_interval_of_the_rc_covers_the_truth_19_times_of_20():
    rng = np.random.default_rng(0)
    true = 1.959964 * np.sqrt(2) * 0.1
    found = rows(rng.normal(rng.normal(1, 0.3, (8, 1)), 0.1, (8, 2)) for _ in range(120))
    inside = ((found["rc_lo"] < true) & (true < found["rc_hi"])).sum()
    assert 0.9 < inside / 120 < 0.99


def test_one_subject_has_no_correlation_and_no_limits():
    row = only_row([[1.0, 1.2, 1.1]])
    assert (row["subjects"], row["scans"]) == (1, 3)
    assert row["within_sd"] == pytest.approx(0.1)
    assert row["bias"] == pytest.approx(0.2)
    assert np.isnan(row[["icc", "icc_lo", "lower_limit", "upper_limit_hi"]].to_numpy(float)).all()


def test_scans_that_are_equal():
    row = only_row([[1.0, 1.0], [2.0, 2.0]])
    assert (row["within_sd"], row["rc"], row["icc"], row["icc_lo"]) == (0.0, 0.0, 1.0, 1.0)
    assert np.isnan(only_row([[1.0, 1.0], [1.0, 1.0]])["icc"])


def test_subjects_with_different_numbers_of_scans():
    matrix = [[1.0, 1.2, np.nan], [2.0, 1.9, 2.1], [1.4, 1.5, 1.3]]
    row = only_row(matrix)
    assert (row["subjects"], row["scans"]) == (3, 8)
    assert row["within_sd"] == pytest.approx(np.sqrt((0.02 + 0.02 + 0.02) / 5))
    assert row["icc"] == pytest.approx(only_row(matrix[1:])["icc"])


def test_a_subject_with_one_scan_is_left_out_and_said_to_be():
    with pytest.warns(RegionWarning, match="subjects s1 have one value only"):
        row = only_row([[1.0, 1.2], [2.0, np.nan]])
    assert row["subjects"] == 1


def test_no_subject_with_two_scans():
    with pytest.raises(OptionError, match="no subject has two scans"):
        only_row([[1.0], [2.0]])


@pytest.fixture(scope="module")
def matrices():
    """Five subjects with two scans each, 25 times."""
    rng = np.random.default_rng(7)
    return [rng.normal(rng.normal(5, 1, (5, 1)), 0.3, (5, 2)) for _ in range(25)]


@pytest.fixture(scope="module")
def of_matrices(matrices):
    return rows(matrices)


def test_order_of_subjects_and_of_rows_does_not_matter(matrices, of_matrices):
    rng = np.random.default_rng(8)
    other = rows(matrix[rng.permutation(5)] for matrix in matrices)
    kept = [name for name in other.columns if name != "unit"]
    np.testing.assert_allclose(
        of_matrices[kept].to_numpy(float), other[kept].to_numpy(float), rtol=1e-8, atol=CLOSED_FORM
    )


def test_units_do_not_matter(matrices, of_matrices):
    factors = 10.0 ** np.linspace(-4, 4, len(matrices))
    other = rows(factor * matrix for factor, matrix in zip(factors, matrices, strict=True))
    for name in ("icc", "icc_lo", "within_cv", "rc_relative"):
        np.testing.assert_allclose(other[name], of_matrices[name], rtol=1e-6, err_msg=name)
    for name in ("within_sd", "rc", "bias", "upper_limit"):
        np.testing.assert_allclose(
            other[name] / factors, of_matrices[name], rtol=1e-6, atol=1e-9, err_msg=name
        )


def test_exchanging_the_scans_turns_the_bias_round(matrices, of_matrices):
    other = rows(matrix[:, ::-1] for matrix in matrices)
    turned = of_matrices.assign(bias=-of_matrices["bias"], upper_limit=-of_matrices["lower_limit"])
    for name in ("bias", "upper_limit", "rc", "icc"):
        np.testing.assert_allclose(other[name], turned[name], rtol=1e-6, err_msg=name)


class TestTables:
    def test_sessions_are_numbered_within_each_subject(self):
        values = values_of(PAIRS[:2]).assign(session=["2024-05", "2023-01", "b", "a"])
        assert numbered(values).to_numpy().tolist() == PAIRS[:2].tolist()

    def test_regions_and_maps_keep_their_order(self):
        parts = [
            values_of(PAIRS, region=region, name=name)
            for region in ("liver", "lesion")
            for name in ("f", "ADC")
        ]
        table = quality.repeatability(pd.concat(parts))
        expected = [("liver", "f"), ("liver", "ADC"), ("lesion", "f"), ("lesion", "ADC")]
        assert list(table.index) == expected
        chosen = quality.repeatability(pd.concat(parts), maps=["ADC"])
        assert list(chosen.index) == expected[1::2]

    def test_the_table_of_roi_has_no_value_but_a_statistic(self):
        values = values_of(PAIRS).rename(columns={"value": "median"}).assign(mean=1.0, unit="mm")
        assert quality.repeatability(values).loc[("liver", "D"), "within_sd"] > 0
        by_mean = quality.repeatability(values, statistic="mean").loc[("liver", "D")]
        assert by_mean["within_sd"] == 0
        assert by_mean["unit"] == "mm"

    @pytest.mark.parametrize("column", ["subject", "session", "region", "map", "value"])
    def test_columns_that_are_missing(self, column):
        with pytest.raises(OptionError, match="the table has no column"):
            quality.repeatability(values_of(PAIRS).drop(columns=column))

    def test_words_for_numbers(self):
        with pytest.raises(OptionError, match="the column value holds other than numbers"):
            quality.repeatability(values_of(PAIRS).astype({"value": str}))

    def test_a_value_that_is_there_twice(self):
        values = pd.concat([values_of(PAIRS)] * 2)
        with pytest.raises(
            OptionError, match=r"s0 has two values of D in region liver of session 1"
        ):
            quality.repeatability(values)

    def test_unknown_map_and_labels_beside_a_table(self):
        with pytest.raises(OptionError, match=r"no map 'f'; expected some of D"):
            quality.repeatability(values_of(PAIRS), maps=["f"])
        with pytest.raises(OptionError, match="labels were given beside a table"):
            quality.repeatability(values_of(PAIRS), [1])

    def test_pairs(self):
        table = quality.pairs(values_of(PAIRS))
        np.testing.assert_allclose(table["difference"], PAIRS[:, 1] - PAIRS[:, 0])
        np.testing.assert_allclose(table["mean"], PAIRS.mean(axis=1))
        assert table.index.names == ["region", "map", "subject"]


class TestResults:
    def results(self, *factors):
        maps = biexp_maps((2, 3))
        return [made_result({name: f * m for name, m in maps.items()}) for f in factors]

    scans = property(lambda self: {"a": self.results(1.0, 1.1), "b": self.results(2.0, 2.1)})
    regions = ik.Labels([[1, 1, 1], [2, 2, 0]], {1: "liver", 2: "lesion"})

    def test_values_of_regions(self):
        values = quality.repeat_values(self.scans, self.regions, maps=["D"], statistic="mean")
        assert list(values.columns) == ["subject", "session", "region", "map", "unit", "value"]
        chosen = values[(values["subject"] == "b") & (values["session"] == 2)]
        D = self.results(2.1)[0].maps["D"]
        np.testing.assert_allclose(chosen["value"], [D[0].mean(), D[1, :2].mean()])
        table = quality.repeatability(self.scans, self.regions, maps=["D"], statistic="mean")
        pd.testing.assert_frame_equal(table, quality.repeatability(values))

    def test_without_labels_the_mask_is_one_region(self):
        values = quality.repeat_values(self.scans)
        assert set(values["region"]) == {"all"}
        assert list(values["map"].unique()) == ["ADC", "D", "f", "D_star", "fD_star"]

    def test_each_scan_may_have_its_own_labels(self):
        other = ik.Labels([[0, 1, 1], [2, 2, 2]], {1: "liver", 2: "lesion"})
        own = {"a": [self.regions, other], "b": [self.regions, other]}
        values = quality.repeat_values(self.scans, own, maps=["D"])
        D = self.results(1.1)[0].maps["D"]
        second = values[(values["subject"] == "a") & (values["session"] == 2)]
        np.testing.assert_allclose(second["value"], [np.median(D[0, 1:]), np.median(D[1])])

    def test_statistics_differ(self):
        found = {
            name: quality.repeat_values(self.scans, maps=["fD_star"], statistic=name)["value"][0]
            for name in ("mean", "median", "p5", "q25", "q75", "p95")
        }
        assert len(set(found.values())) == 6

    def test_the_fit_of_the_mean_signal_may_stand_for_a_region(self):
        made = [ik.simulate.phantom(shape=(12, 10, 1), seed=seed) for seed in (1, 2)]
        results = [ik.fit(one.dwi) for one in made]
        values = quality.repeat_values(
            {"a": results}, made[0].labels, maps=["D"], statistic="roi_fit"
        )
        expected = [quality.roi_fit(one, made[0].labels).maps["D"][0] for one in results]
        assert values[values["region"] == "1"]["value"].tolist() == expected

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"statistic": "mode"}, "statistic is 'mode'; expected one of mean, median"),
            ({"labels": {"a": [regions, regions]}}, "subject b has 2 scans and 0 sets of labels"),
            ({"maps": ["T2"]}, "the result has no map 'T2'"),
        ],
    )
    def test_errors(self, given, message):
        with pytest.raises(OptionError, match=message):
            quality.repeat_values(self.scans, **given)

    def test_no_scan_and_no_voxel(self):
        with pytest.raises(OptionError, match="there is no scan"):
            quality.repeat_values({"a": []})
        outside = made_result({"D": [1.0]}, status=[1])
        with pytest.raises(ShapeError, match="the result has no fitted voxel"):
            quality.repeat_values({"a": [outside]})
