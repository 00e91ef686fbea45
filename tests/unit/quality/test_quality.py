import warnings

import numpy as np
import pytest

from ivimkit import quality, simulate
from ivimkit.errors import OptionError, ShapeError
from ivimkit.fitting.fit import fit
from made_results import biexp_maps, made_result

EXACT = 1e-12
"""Relative: means of a few numbers."""


@pytest.fixture(scope="module")
def fitted():
    made = simulate.phantom(shape=(64, 48, 4), seed=2)
    return made, fit(made.dwi, method="segmented")


class TestSummary:
    def test_median_and_quartiles(self):
        table = quality.summary_table(made_result({"D": [1e-3, 2e-3, 3e-3, np.nan]}))
        row = table.loc["D"]
        assert (row["unit"], row["n"]) == ("mm^2/s", 3)
        np.testing.assert_allclose(
            [row["q25"], row["median"], row["q75"]], [1.5e-3, 2e-3, 2.5e-3], rtol=EXACT
        )

    def test_all_maps_or_chosen_ones_in_order(self):
        result = made_result(biexp_maps((2, 3)))
        assert list(quality.summary_table(result).index) == list(result.maps)
        assert list(quality.summary_table(result, ["ADC", "D"]).index) == ["ADC", "D"]

    def test_a_map_without_values_has_no_median_and_does_not_warn(self):
        table = quality.summary_table(made_result({"D": np.full(3, np.nan)}))
        assert table.loc["D", "n"] == 0
        assert np.isnan(table.loc["D", "median"])

    def test_one_voxel(self):
        assert quality.summary_table(made_result({"D": 1e-3})).loc["D", "median"] == 1e-3

    def test_unknown_map(self):
        with pytest.raises(OptionError, match="no map 'T2'; expected one of D"):
            quality.summary_table(made_result({"D": [1e-3]}), ["T2"])


class TestRegions:
    labels = np.array([0, 1, 1, 2])
    result = made_result({"D": [9.0, 1.0, 3.0, np.nan]})

    def test_statistics(self):
        table = quality.roi_table(self.result, self.labels, {1: "tumour"})
        row = table.loc[("tumour", "D")]
        assert (row["n"], row["missing"], row["mean"], row["median"]) == (2, 0, 2.0, 2.0)
        np.testing.assert_allclose(row["sd"], np.sqrt(2), rtol=EXACT)

    def test_a_region_without_values_is_counted(self):
        row = quality.roi_table(self.result, self.labels).loc[("2", "D")]
        assert (row["n"], row["missing"]) == (0, 1)
        assert np.isnan(row["mean"])

    def test_order_is_region_then_map(self, fitted):
        made, result = fitted
        table = quality.roi_table(result, made.labels, made.label_names, maps=["D", "f"])
        assert list(table.index[:4]) == [
            ("liver", "D"),
            ("liver", "f"),
            ("lesion", "D"),
            ("lesion", "f"),
        ]

    def test_a_mask_works_as_well(self):
        table = quality.roi_table(self.result, self.labels == 1)
        assert table.loc[("1", "D"), "mean"] == 2.0

    def test_another_shape(self):
        with pytest.raises(ShapeError, match=r"shape \(3,\); expected \(4,\)"):
            quality.roi_table(self.result, [1, 2, 3])

    def test_no_region(self):
        with pytest.raises(ShapeError, match="there is no region"):
            quality.roi_table(self.result, np.zeros(4, int))


class TestLesion:
    def test_difference_ratio_separation(self):
        result = made_result({"ADC": [1.0, 3.0, 5.0, 7.0]})
        table = quality.compare_regions(result, [1, 1, 0, 0], [0, 0, 1, 1], maps=["ADC"])
        row = table.loc["ADC"]
        assert (row["lesion_mean"], row["reference_mean"]) == (2.0, 6.0)
        assert (row["lesion_n"], row["reference_n"]) == (2, 2)
        np.testing.assert_allclose(row["difference"], -4, rtol=EXACT)
        np.testing.assert_allclose(row["ratio"], 1 / 3, rtol=EXACT)
        np.testing.assert_allclose(row["separation"], -4 / np.sqrt(2), rtol=EXACT)

    def test_the_phantoms_lesion_shows_what_the_carcinoma_of_the_literature_shows(self, fitted):
        made, result = fitted
        size = made.dwi.geometry.voxel_size
        around = quality.ring(made.region("lesion"), size, within=made.region("liver"))
        table = quality.compare_regions(result, made.region("lesion"), around)
        assert list(table.index) == ["D", "ADC", "f"]
        assert 0.85 < table.loc["ADC", "ratio"] < 0.97
        assert table.loc["D", "ratio"] < 0.8
        assert abs(table.loc["D", "separation"]) > abs(table.loc["ADC", "separation"])

    def test_one_voxel_has_no_deviation_and_does_not_warn(self):
        result = made_result({"ADC": [1.0, 3.0]})
        row = quality.compare_regions(result, [1, 0], [0, 1], maps=["ADC"]).loc["ADC"]
        assert np.isnan(row["lesion_sd"])
        assert np.isnan(row["separation"])

    def test_region_without_values(self):
        result = made_result({"ADC": [1.0, np.nan]})
        with pytest.raises(ShapeError, match="the reference has no voxel with a value in map ADC"):
            quality.compare_regions(result, [1, 0], [0, 1], maps=["ADC"])
        with pytest.raises(ShapeError, match="the lesion has no voxel with a value"):
            quality.compare_regions(result, [0, 0], [1, 0], maps=["ADC"])


class TestRing:
    lesion = np.zeros((21, 21, 5), bool)
    lesion[9:12, 9:12, 2] = True

    def test_respects_gap_and_width_in_mm(self):
        shell = quality.ring(self.lesion, (2, 2, 4), gap=3, width=4)
        assert not (shell & self.lesion).any()
        # Along x, 2 mm a voxel: 11 is the last of the lesion, 13 to 14 lie 4 and 6 mm away.
        assert np.flatnonzero(shell[11:, 10, 2]).tolist() == [2, 3]
        # Along z, 4 mm a voxel.
        assert np.flatnonzero(shell[10, 10]).tolist() == [1, 3]

    def test_stays_within(self):
        half = np.zeros(self.lesion.shape, bool)
        half[10:] = True
        shell = quality.ring(self.lesion, (1, 1, 1), gap=1, width=3, within=half)
        assert shell.any()
        assert not shell[:10].any()

    def test_empty_lesion(self):
        with pytest.raises(ShapeError, match="the lesion is empty"):
            quality.ring(np.zeros((3, 3)), (1, 1))

    def test_voxel_size(self):
        with pytest.raises(ShapeError, match=r"voxel size is \(1, 1\); expected one edge"):
            quality.ring(self.lesion, (1, 1))

    @pytest.mark.parametrize("given", [{"gap": -1}, {"width": 0}, {"gap": np.nan}])
    def test_gap_and_width(self, given):
        with pytest.raises(OptionError, match="gap >= 0 and width > 0"):
            quality.ring(self.lesion, (1, 1, 1), **given)

    def test_within_of_another_shape(self):
        with pytest.raises(ShapeError, match=r"within has shape \(2, 2\)"):
            quality.ring(self.lesion, (1, 1, 1), within=np.ones((2, 2)))


TRUTH = {"D": [1.0, 2.0, np.nan, 4.0], "f": [0.0, 0.0, 0.0, 0.0]}


class TestErrors:
    result = made_result({"D": [1.1, 1.8, 3.0, np.nan], "f": [0.1, 0.0, 0.0, 0.0]})

    def table(self, **options):
        return quality.error_table(
            {"ours": self.result}, TRUTH, np.ones(4, int), {1: "liver"}, **options
        )

    def test_bias_rmse_and_relative_error(self):
        row = self.table(maps=["D"]).loc[("liver", "D", "ours")]
        assert (row["unit"], row["n"], row["missing"], row["truth"]) == ("mm^2/s", 2, 1, 1.5)
        np.testing.assert_allclose(row["bias"], -0.05, rtol=EXACT)
        np.testing.assert_allclose(row["rmse"], np.sqrt(0.025), rtol=EXACT)
        np.testing.assert_allclose(row["median_relative_error"], 0.1, rtol=EXACT)

    def test_relative_error_to_zero_is_not_a_number(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            row = self.table(maps=["f"]).loc[("liver", "f", "ours")]
        assert np.isnan(row["median_relative_error"])
        assert row["bias"] == 0.025

    def test_order_is_tissue_map_method(self, fitted):
        made, result = fitted
        table = quality.error_table(
            {"b": result, "a": result}, made.truth, made.labels, made.label_names
        )
        assert table.index.names == ["tissue", "map", "method"]
        assert list(table.index[:3]) == [
            ("liver", "S0", "b"),
            ("liver", "S0", "a"),
            ("liver", "f", "b"),
        ]
        assert len(table) == 8 * 4 * 2

    def test_noise_free_pure_voxels_have_no_error(self):
        made = simulate.phantom(shape=(48, 36, 1), snr=None)
        table = quality.error_table(
            {"varpro": fit(made.dwi)}, made.truth, made.labels, made.label_names
        )
        # Truth and signal are float32; the vessel's D is hardly in the signal.
        others = table.drop(index="vessel", level="tissue")
        assert (others["median_relative_error"].dropna() < 1e-3).all()

    def test_maps_a_fit_does_not_have_are_left_out(self):
        only = {"mono": made_result({"S0": [1.0], "ADC": [1e-3]}, model="monoexp")}
        table = quality.error_table(only, {"S0": [2.0], "D": [1e-3]}, [1], maps=["S0", "D"])
        assert list(table.index) == [("1", "S0", "mono")]

    def test_no_truth(self):
        with pytest.raises(OptionError, match="no truth for D_star; expected one of D, f"):
            self.table(maps=["D_star"])

    def test_another_shape(self):
        with pytest.raises(ShapeError, match=r"shape \(3,\); expected \(4,\)"):
            quality.error_table({"ours": self.result}, TRUTH, [1, 1, 1], maps=["D"])
