"""roi_table and roi_status: what they say of each region."""

import numpy as np
import pandas as pd
import pytest

import ivimkit as ik
from ivimkit import quality
from ivimkit.errors import OptionError, ShapeError
from ivimkit.status import FitStatus
from made_results import biexp_maps, made_result

EXTENT = ("volume_ml", "diameter_mm")
FITTED = ("roi_fit", "roi_fit_sd", "roi_fit_lo", "roi_fit_hi")


@pytest.fixture(scope="module")
def fitted():
    made = ik.simulate.phantom(shape=(32, 24, 2), seed=3)
    return ik.fit(made.dwi), ik.Labels(made.labels, made.label_names)


class TestTable:
    def test_names_come_with_the_labels(self):
        result = made_result({"D": [1e-3, 2e-3, 3e-3]})
        labels = ik.Labels([1, 2, 0], {1: "liver", 2: "lesion"})
        assert list(quality.roi_table(result, labels).index) == [("liver", "D"), ("lesion", "D")]
        renamed = quality.roi_table(result, labels, {2: "cyst"})
        assert list(renamed.index) == [("liver", "D"), ("cyst", "D")]

    @pytest.mark.parametrize("shape", [(), (6,), (3, 2), (3, 2, 2)])
    def test_any_number_of_axes(self, shape):
        result = made_result(biexp_maps(shape), affine=np.diag([2.0, 3.0, 5.0, 1.0]))
        table = quality.roi_table(result, np.ones(shape, int), maps=["D"])
        row = table.loc[("1", "D")]
        assert row["n"] == np.prod(shape)
        np.testing.assert_allclose(row["mean"], result.maps["D"].mean())
        np.testing.assert_allclose(row["volume_ml"], 0.03 * np.prod(shape))
        assert row["diameter_mm"] > 0

    def test_entropy_of_a_map_without_a_range_has_that_of_all_regions(self):
        """rmse has no display range: the bins are those of both regions together."""
        result = made_result({"rmse": np.r_[np.linspace(0, 1, 64), np.linspace(10, 20, 64)]})
        table = quality.roi_table(result, np.repeat([1, 2], 64))
        assert table.loc[("1", "rmse"), "entropy"] < 2.1 < table.loc[("2", "rmse"), "entropy"]

    def test_without_the_scan_there_is_no_fit_of_the_mean(self, fitted):
        result, labels = fitted
        assert set(FITTED) <= set(quality.roi_table(result, labels, maps=["D"]).columns)
        without = quality.roi_table(result, labels, maps=["D"], mean_fit=False)
        assert not set(FITTED) & set(without.columns)
        bare = made_result({"D": [1e-3]})
        assert not set(FITTED) & set(quality.roi_table(bare, [1]).columns)
        with pytest.raises(OptionError, match="does not include its scan"):
            quality.roi_table(bare, [1], mean_fit=True)

    def test_the_fit_of_the_mean_is_that_of_roi_fit(self, fitted):
        result, labels = fitted
        table, means = quality.roi_table(result, labels), quality.roi_fit(result, labels)
        for position, region in enumerate(labels):
            for name in ("D", "f", "D_star", "fD_star", "ADC"):
                row = table.loc[(region, name)]
                low, high = means.interval[name]
                expected = (
                    means.maps[name][position],
                    means.sd[name][position],
                    low[position],
                    high[position],
                )
                np.testing.assert_array_equal([row[key] for key in FITTED], expected)
        assert np.isnan(table.loc[("liver", "rmse"), "roi_fit_sd"])

    def test_fits_that_are_there_already_are_not_made_again(self, fitted, monkeypatch):
        result, labels = fitted
        means, expected = quality.roi_fit(result, labels), quality.roi_table(result, labels)
        monkeypatch.delattr("ivimkit.quality.region_tables.roi_fit")
        found = quality.roi_table(result, labels, mean_fit=means)
        pd.testing.assert_frame_equal(found, expected)
        fewer = np.where(labels.array > 2, 0, labels.array)
        message = r"mean_fit has shape \(8,\) and there are 2 regions; expected the fits that"
        with pytest.raises(ShapeError, match=message):
            quality.roi_table(result, fewer, mean_fit=means)

    def test_the_order_of_voxels_does_not_matter(self):
        rng = np.random.default_rng(0)
        values, labels = rng.random(60), rng.integers(0, 3, 60)
        order = rng.permutation(60)
        one = quality.roi_table(made_result({"D": values}), labels)
        other = quality.roi_table(made_result({"D": values[order]}), labels[order])
        kept = [name for name in one.columns if name not in ("unit", *EXTENT)]
        np.testing.assert_allclose(
            one[kept].to_numpy(float), other[kept].to_numpy(float), rtol=1e-10
        )


class TestStatus:
    def test_counts(self):
        bound = 1 << 11
        status = [0, 0, int(FitStatus.NO_SIGNAL), int(FitStatus.OUTSIDE_MASK), 32 | bound, 32]
        result = made_result({"D": np.ones(6)}, status=status, affine=np.diag([10.0, 10, 10, 1]))
        table = quality.roi_status(result, [1, 1, 1, 1, 2, 2], {1: "liver"})
        assert list(table.columns[:4]) == ["voxels", *EXTENT, "OK"]
        assert list(table.index) == ["liver", "2"]
        liver, other = table.loc["liver"], table.loc["2"]
        assert (liver["voxels"], liver["volume_ml"]) == (4, pytest.approx(4.0))
        assert (liver["OK"], liver["NO_SIGNAL"], liver["OUTSIDE_MASK"]) == (2, 1, 1)
        assert (other["OK"], other["PERFUSION_NOT_DETECTED"]) == (0, 2)
        assert (other["S0_AT_LOWER_BOUND"], liver["S0_AT_LOWER_BOUND"]) == (1, 0)

    def test_another_shape(self):
        with pytest.raises(ShapeError, match=r"the region has shape \(2,\); expected \(1,\)"):
            quality.roi_status(made_result({"D": [1.0]}), [1, 1])
