"""load_labels: masks and label images on the grid of the scan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ivimkit as ik
from ivimkit.errors import GeometryWarning, OptionError, RegionWarning, ShapeError
from ivimkit.io import save_map
from made_results import biexp_maps, made_result

nib = pytest.importorskip("nibabel")

SHAPE = (12, 10, 6)
AFFINE = np.array([[-2.0, 0.1, 0, 90], [0.1, 2.0, 0, -120], [0, 0, 4.0, -60], [0, 0, 0, 1]])


@pytest.fixture
def like():
    return made_result(biexp_maps(SHAPE), affine=AFFINE)


@pytest.fixture
def write(tmp_path):
    def _write(name, array, affine=AFFINE, dtype=np.uint8, codes=2):
        image = nib.Nifti1Image(np.asarray(array, dtype), None)
        image.header.set_sform(affine, codes)
        image.header.set_qform(affine, codes)
        path = tmp_path / name
        nib.save(image, path)
        return path

    return _write


def regions(**boxes):
    """Return an array with numbers 1, 2, ... in boxes."""
    array = np.zeros(SHAPE, np.uint8)
    for number, box in enumerate(boxes.values(), start=1):
        array[box] = number
    return array


LEFT, RIGHT = np.s_[1:4, 2:7, 1:4], np.s_[7:11, 2:7, 1:5]


class TestNames:
    array = regions(lesion=LEFT, liver=RIGHT)

    def test_numbers_without_names(self, like, write):
        labels = ik.load_labels(write("labels.nii.gz", self.array), like)
        assert labels.names == {1: "1", 2: "2"}
        np.testing.assert_array_equal(labels.array, self.array)

    def test_names_as_mapping_and_file(self, like, write, tmp_path):
        path = write("labels.nii.gz", self.array)
        (tmp_path / "names.csv").write_text("1,lesion\n2,liver\n7,spleen\n")
        for names in ({1: "lesion", 2: "liver", 7: "spleen"}, tmp_path / "names.csv"):
            assert list(ik.load_labels(path, like, names)) == ["lesion", "liver"]

    def test_some_names(self, like, write):
        labels = ik.load_labels(write("labels.nii.gz", self.array), like, {2: "liver"})
        assert list(labels) == ["1", "liver"]

    def test_names_of_other_regions(self, like, write):
        path = write("labels.nii.gz", self.array)
        with pytest.raises(OptionError, match=r"names are of regions 5, 6; expected some of 1, 2"):
            ik.load_labels(path, like, {5: "lesion", 6: "liver"})

    @pytest.mark.parametrize("value", [1, 7, 255])
    def test_a_mask_is_called_like_its_file(self, like, write, value):
        labels = ik.load_labels(write("left lobe.nii", value * (self.array == 1)), like)
        assert labels.names == {value: "left lobe"}

    def test_the_grid_may_be_that_of_a_scan(self, write):
        dwi = ik.DWI(np.ones((*SHAPE, 3)), [0, 100, 800], AFFINE)
        assert len(ik.load_labels(write("labels.nii", self.array), dwi)) == 2


class TestSeveralMasks:
    def test_each_is_a_region(self, like, write):
        files = [
            write(f"{n}.nii.gz", 5 * regions(one=box)) for n, box in (("b", LEFT), ("a", RIGHT))
        ]
        labels = ik.load_labels(files, like)
        assert labels.names == {1: "b", 2: "a"}
        np.testing.assert_array_equal(labels.array, regions(b=LEFT, a=RIGHT))

    def test_the_first_has_the_voxels_that_they_share(self, like, write):
        organ = regions(liver=np.s_[1:9, 1:9, 1:5])
        files = [write("lesion.nii", regions(lesion=LEFT)), write("liver.nii", organ)]
        with pytest.warns(RegionWarning, match="the masks overlap: 45 voxels of liver lie in"):
            labels = ik.load_labels(files, like)
        np.testing.assert_array_equal(labels["lesion"], regions(lesion=LEFT) > 0)
        assert labels["liver"].sum() == organ.sum() - 45

    def test_a_lesion_behind_its_organ_would_be_lost(self, like, write):
        organ = regions(liver=np.s_[1:9, 1:9, 1:5])
        files = [write("liver.nii", organ), write("lesion.nii", regions(lesion=LEFT))]
        with pytest.raises(ShapeError, match=r"all voxels of .*lesion.nii belong to masks named"):
            ik.load_labels(files, like)

    def test_same_names(self, like, write, tmp_path):
        (tmp_path / "other").mkdir()
        files = [write("roi.nii", regions(a=LEFT)), write("other/roi.nii", regions(a=RIGHT))]
        with pytest.raises(OptionError, match="several masks are called roi"):
            ik.load_labels(files, like)

    def test_a_label_image_among_them(self, like, write):
        files = [write("a.nii", regions(a=LEFT, b=RIGHT)), write("b.nii", regions(b=RIGHT))]
        with pytest.raises(OptionError, match=r"a.nii has the numbers 1, 2; expected masks"):
            ik.load_labels(files, like)

    def test_names_beside_masks(self, like, write):
        files = [write("a.nii", regions(a=LEFT)), write("b.nii", regions(b=RIGHT))]
        with pytest.raises(OptionError, match="names were given with 2 masks"):
            ik.load_labels(files, like, {1: "lesion"})

    def test_none(self, like):
        with pytest.raises(OptionError, match="the list of labels is empty"):
            ik.load_labels([], like)


class TestContent:
    def test_floats_that_are_whole(self, like, write):
        path = write("labels.nii", regions(a=LEFT), dtype=np.float64)
        assert ik.load_labels(path, like).array.dtype == np.int32

    @pytest.mark.parametrize("value", [1.6857, 0.00392, 0.5])
    def test_one_value_beside_0_is_a_mask(self, like, write, value):
        """Public masks are scaled; --mask takes them, and so do labels, and say so."""
        inside = regions(a=LEFT) > 0
        path = write("prostate.nii", np.where(inside, value, 0.0), dtype=np.float32)
        with pytest.warns(
            RegionWarning, match=r"is not the number of a region; .* treated as a mask"
        ):
            labels = ik.load_labels(path, like)
        assert list(labels) == ["prostate"]
        np.testing.assert_array_equal(labels["prostate"], inside)

    def test_two_values_beside_0_are_refused(self, like, write):
        values = regions(a=LEFT) * 1.6857
        values.flat[-1] = 0.3
        path = write("labels.nii", values, dtype=np.float32)
        with pytest.raises(OptionError, match="contains other than whole numbers"):
            ik.load_labels(path, like)

    @pytest.mark.parametrize("value", [0.4, np.inf])
    def test_floats_that_are_not(self, like, write, value):
        path = write("labels.nii", np.full(SHAPE, value), dtype=np.float32)
        with pytest.raises(OptionError, match="contains other than whole numbers"):
            ik.load_labels(path, like)

    def test_a_background_that_is_not_a_number(self, like, write):
        array = np.where(regions(a=LEFT) > 0, 1.0, np.nan)
        path = write("labels.nii", array, dtype=np.float32)
        with pytest.raises(OptionError, match=r"contains NaN .* in 675 voxels; .* Set them to 0"):
            ik.load_labels(path, like)

    def test_negative_numbers(self, like, write):
        path = write("labels.nii", -1 * regions(a=LEFT).astype(int), dtype=np.int16)
        with pytest.raises(OptionError, match="contains numbers from -1 to 0; expected 0 to"):
            ik.load_labels(path, like)

    def test_empty(self, like, write):
        with pytest.raises(ShapeError, match=r"labels.nii is empty"):
            ik.load_labels(write("labels.nii", np.zeros(SHAPE)), like)

    def test_four_axes(self, like, write):
        labels = ik.load_labels(write("labels.nii", regions(a=LEFT)[..., None]), like)
        assert labels.array.shape == SHAPE
        with pytest.raises(
            ShapeError,
            match=r"has 2 volumes, shape \(12, 10, 6, 2\); expected labels of one volume",
        ):
            ik.load_labels(write("labels.nii", np.ones((*SHAPE, 2))), like)

    def test_maps_with_more_axes(self, write):
        like = made_result(biexp_maps((2, 2, 2, 2)))
        with pytest.raises(ShapeError, match="the maps have 4 axes"):
            ik.load_labels(write("labels.nii", np.ones((2, 2, 2))), like)


class TestGeometry:
    array = regions(lesion=LEFT, liver=RIGHT)

    def test_rounding_of_a_header_is_no_difference(self, like, write):
        moved = AFFINE + 1e-4
        np.testing.assert_array_equal(
            ik.load_labels(write("labels.nii", self.array, moved), like).array, self.array
        )

    def test_same_shape_but_shifted_by_voxels(self, like, write):
        moved = AFFINE.copy()
        moved[:3, 3] += AFFINE[:3, :3] @ (1, 0, 0)
        path = write("labels.nii", self.array, moved)
        with pytest.warns(GeometryWarning, match=r"another geometry .*\(voxels are up to 2 mm"):
            labels = ik.load_labels(path, like)
        np.testing.assert_array_equal(labels.array[1:], self.array[:-1])

    def test_flipped_axes_are_turned_back(self, like, write):
        flip = np.diag([-1.0, 1, 1, 1])
        flip[0, 3] = SHAPE[0] - 1
        path = write("labels.nii", self.array[::-1], AFFINE @ flip)
        with pytest.warns(GeometryWarning, match="those of the scan in another order"):
            labels = ik.load_labels(path, like)
        np.testing.assert_array_equal(labels.array, self.array)

    def test_a_region_of_the_highest_number_takes_no_room(self, like, write):
        """Room for all numbers below it would be 16 GiB."""
        moved = AFFINE.copy()
        moved[0, 3] += 0.7
        path = write("labels.nii", (2**31 - 1) * (self.array == 1).astype(int), moved, np.int32)
        with pytest.warns(GeometryWarning, match="resampled to the scan, nearest neighbour"):
            assert ik.load_labels(path, like).names == {2**31 - 1: "labels"}

    def test_finer_voxels(self, like, write):
        """Three times finer: every voxel of the scan has the centre of one of them."""
        fine = self.array.repeat(3, 0).repeat(3, 1).repeat(3, 2)
        third = np.diag([1 / 3, 1 / 3, 1 / 3, 1.0])
        third[:3, 3] = -1 / 3
        path = write("labels.nii", fine, AFFINE @ third)
        with pytest.warns(GeometryWarning, match=r"shape \(36, 30, 18\) against \(12, 10, 6\)"):
            labels = ik.load_labels(path, like)
        np.testing.assert_array_equal(labels.array, self.array)

    def test_coarser_voxels_reach_to_their_borders(self, write):
        like = made_result(biexp_maps((6, 6, 6)), affine=np.eye(4))
        coarse = np.diag([3.0, 3, 3, 1])
        coarse[:3, 3] = 1
        path = write("labels.nii", np.ones((2, 2, 2)), coarse)
        with pytest.warns(GeometryWarning):
            assert ik.load_labels(path, like).array.all()

    def test_a_change_of_volume_is_told(self, like, write):
        moved = AFFINE.copy()
        moved[2, 3] += 4 * 3
        path = write("labels.nii", self.array, moved)
        with pytest.warns(GeometryWarning, match=r"region 2 changes from 1.28 to 0.642 ml"):
            ik.load_labels(path, like)

    def test_no_overlap(self, like, write):
        moved = AFFINE.copy()
        moved[0, 3] += 1000
        path = write("labels.nii", self.array, moved)
        with pytest.raises(ShapeError, match=r"do not overlap.*save it with the scan's header"):
            ik.load_labels(path, like)
        other = write("other.nii", self.array[:-1], moved)
        with pytest.raises(ShapeError, match=r"do not overlap.*belong together\.$"):
            ik.load_labels(other, like)

    def test_a_region_outside_is_left_out(self, like, write):
        moved = AFFINE.copy()
        moved[:3, 3] += AFFINE[:3, :3] @ (6, 0, 0)
        path = write("labels.nii", self.array, moved)
        with (
            pytest.warns(GeometryWarning),
            pytest.warns(RegionWarning, match=r"regions 2 of .* have no voxel on the scan"),
        ):
            labels = ik.load_labels(path, like)
        assert labels.names == {1: "1"}

    def test_without_a_position_the_shape_decides(self, like, write):
        path = write("labels.nii", self.array, np.eye(4), codes=0)
        with pytest.warns(GeometryWarning, match="does not say where it is"):
            labels = ik.load_labels(path, like)
        np.testing.assert_array_equal(labels.array, self.array)
        small = write("small.nii", self.array[:-1], np.eye(4), codes=0)
        with pytest.raises(ShapeError, match=r"small.nii does not say where it is"):
            ik.load_labels(small, like)

    def test_a_scan_without_a_position(self, write):
        dwi = ik.DWI(np.ones((*SHAPE, 3)), [0, 100, 800], geometry=ik.Geometry(sform_code=0))
        assert len(ik.load_labels(write("labels.nii", self.array), dwi)) == 2
        with pytest.raises(ShapeError, match="and the scan does not say where it is"):
            ik.load_labels(write("small.nii", self.array[:-1]), dwi)

    @pytest.mark.parametrize("shape", [(12,), (12, 10)])
    def test_maps_with_fewer_axes(self, write, shape):
        like = made_result(biexp_maps(shape), affine=AFFINE)
        array = np.ones(shape, np.uint8)
        array[0] = 2
        labels = ik.load_labels(write("labels.nii", array), like)
        np.testing.assert_array_equal(labels.array, array)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_what_is_saved_on_the_grid_comes_back(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 4, (5, 4, 3)).astype(np.uint8)
    array[0, 0, 0] = 1
    array[1, 0, 0] = 2
    affine = np.eye(4)
    affine[:3] += rng.normal(scale=0.2, size=(3, 4))
    dwi = ik.DWI(np.ones((5, 4, 3, 2)), [0, 800], affine)
    path = tmp_path_factory.mktemp("labels") / "labels.nii.gz"
    save_map(array, path, dwi.geometry)
    np.testing.assert_array_equal(ik.load_labels(path, dwi).array, array)
