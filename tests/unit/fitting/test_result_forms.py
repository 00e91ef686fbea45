"""A result as text, as an image, as a data set of xarray and as a table of pandas."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.fitting.result_forms import cf_unit
from ivimkit.io import save_map
from ivimkit.scan.nifti_image import as_float32
from ivimkit.status import FitStatus
from made_results import biexp_maps, made_result

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2, 0.1, -40], [0, -0.1, 5, 7], [0, 0, 0, 1]])
SHAPE = (3, 4, 2)


@pytest.fixture
def result():
    status = np.zeros(SHAPE, dtype=np.int32)
    status[0] = FitStatus.OUTSIDE_MASK
    maps = biexp_maps(SHAPE)
    for values in maps.values():
        values[0] = np.nan
    maps["D_sd"] = 0.1 * maps["D"]
    made = made_result(maps, status=status)
    return replace(made, geometry=ik.Geometry(AFFINE, sform_code=1))


def test_a_result_is_a_mapping_of_its_maps(result):
    assert dict(result).keys() == set(result) == set(result.maps)
    assert result["D"] is result.maps["D"] or np.array_equal(
        result["D"], result.maps["D"], equal_nan=True
    )
    assert "D" in result
    assert result.maps.get("K") is None
    assert result.sd.get("f", 7.0) == 7.0
    assert "K" not in result
    with pytest.raises(OptionError, match="no map 'K'; there are S0, f"):
        result["K"]


def test_the_text_of_a_result_has_its_numbers(result):
    first, counts, *lines = repr(result).splitlines()
    assert first.startswith("FitResult: bi-exponential IVIM by")
    assert counts.strip() == "3 × 4 × 2 voxels, 16 of 16 fitted"
    (of_D,) = (line for line in lines if line.split()[0] == "D")
    assert f"{1e3 * np.nanmedian(result['D']):.2f}" in of_D
    assert of_D.endswith("10⁻³ mm²/s")


def test_the_text_of_mean_signals_has_a_row_per_region():
    made = ik.simulate.phantom(shape=(32, 24, 1))
    fit = ik.fit(made.dwi, method="segmented")
    means = ik.quality.roi_fit(fit, ik.Labels(made.labels, made.label_names))
    (row,) = (line for line in repr(means).splitlines() if line.strip().startswith("liver "))
    assert f"{1e3 * means['D'][0]:.2f}"[:4] in row
    assert "±" in row


def test_an_image_in_memory_is_the_one_that_is_saved(result, tmp_path):
    image = result.image("D")
    save_map(result["D"], tmp_path / "D.nii", result.geometry)
    saved = nib.load(tmp_path / "D.nii")
    np.testing.assert_array_equal(image.affine, saved.affine)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), np.asanyarray(saved.dataobj))
    np.testing.assert_allclose(image.affine, AFFINE, rtol=1e-6)
    assert image.header.get_data_dtype() == np.float32
    assert image.header["descrip"].item().startswith(b"ivimkit D mm")
    assert result.to_nifti("status").header.get_data_dtype() == np.int32
    assert result.to_nifti("D").to_bytes() == image.to_bytes()
    with pytest.raises(OptionError, match="no map 'K'"):
        result.image("K")


def test_an_image_of_what_the_data_determine(result):
    result.status[1, 0, 0] = FitStatus.PERFUSION_NOT_DETECTED
    shown = result.image("D_star", reliable=True).get_fdata()
    np.testing.assert_array_equal(shown, as_float32(result.reliable("D_star")))
    assert np.isnan(shown[1, 0, 0])
    assert not np.isnan(result.image("D_star").get_fdata()[1, 0, 0])


@pytest.mark.parametrize("form", ["netcdf", "zarr"])
def test_a_data_set_survives_a_file_and_says_what_it_is(result, tmp_path, form):
    xr = pytest.importorskip("xarray")
    if form == "zarr":
        pytest.importorskip("zarr")
        result.to_xarray().to_zarr(tmp_path / "maps.zarr", consolidated=False)
        again = xr.open_zarr(tmp_path / "maps.zarr", consolidated=False).load()
    else:
        result.to_xarray().to_netcdf(tmp_path / "maps.nc", engine="scipy")
        again = xr.load_dataset(tmp_path / "maps.nc", engine="scipy")
    for name in result:
        np.testing.assert_array_equal(again[name], result[name])
    np.testing.assert_array_equal(again["status"], result.status)
    assert again["D"].attrs["units"] == "mm2 s-1"
    assert again["f"].attrs["units"] == again["S0"].attrs["units"] == "1"
    assert again["D"].attrs["ancillary_variables"] == "D_sd status"
    flags = dict(
        zip(
            again["status"].attrs["flag_meanings"].split(),
            np.asarray(again["status"].attrs["flag_masks"]).tolist(),
            strict=True,
        )
    )
    assert flags["OUTSIDE_MASK"] == int(FitStatus.OUTSIDE_MASK)
    np.testing.assert_allclose(again["z"], [0.0, np.hypot(5.0, 0.1)])
    np.testing.assert_allclose(np.reshape(again.attrs["affine"], (4, 4)), AFFINE)


@pytest.mark.parametrize(
    ("unit", "expected"), [("1/s", "s-1"), ("um^2/ms", "um2 ms-1"), ("mm/s^2", "mm s-2")]
)
def test_units_of_models_of_users_are_written_as_cf_does(unit, expected):
    assert cf_unit(unit) == expected


def test_a_table_has_a_row_per_voxel_of_the_mask_with_its_region(result):
    labels = np.zeros(SHAPE, dtype=int)
    labels[1] = 4
    table = result.to_dataframe(ik.Labels(labels, {4: "liver"}))
    assert len(table) == 16
    assert table.index.names == ["x", "y", "z"]
    assert table.loc[(2, 3, 1), "D"] == result["D"][2, 3, 1]
    assert (table["region"] == "liver").sum() == 8
    assert table["region"].isna().sum() == 8
    assert table.attrs["units"]["D"] == "mm^2/s"
    with pytest.raises(ShapeError, match=r"expected \(3, 4, 2\)"):
        result.to_dataframe(labels[1])


def test_a_single_voxel_has_all_forms():
    one = made_result(biexp_maps(()))
    assert len(one.to_dataframe()) == 1
    assert "one voxel" in repr(one)
    pytest.importorskip("xarray")
    assert one.to_xarray()["D"].shape == ()
