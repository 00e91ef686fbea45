"""DWI: what it accepts and refuses, selection, averaging."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivimkit.errors import AcquisitionError, InputError, OptionError, ShapeError
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.dwi import AVERAGES, DWI, Geometry
from ivimkit.scan.source import Source

BVALS = [0, 0, 100, 100, 100, 800]
ARRAY = np.random.default_rng(3).uniform(10, 1000, (4, 3, 2, 6))


def fitted(dwi):
    reader = dwi.voxels()
    out = np.empty((reader.n_voxels, reader.n_columns))
    reader.read(0, reader.n_voxels, out)
    return reader.scatter(out, np.nan)


def test_shapes():
    for shape in [(), (7,), (7, 3), (4, 3, 2), (2, 2, 2, 2)]:
        dwi = DWI(np.ones((*shape, 3)), [0, 100, 800])
        assert dwi.shape == dwi.mask.shape == shape
        assert dwi.n_voxels == np.prod(shape)
        assert fitted(dwi).shape == (*shape, 3)


@pytest.mark.parametrize(
    ("signal", "error", "message"),
    [
        (np.ones((2, 3), complex), InputError, "complex.*expected magnitudes. Take numpy.abs"),
        (np.array(["a", "b", "c"]), InputError, "type <U1; expected real numbers"),
        (np.ones((2, 3), bool), InputError, "type bool; expected real numbers"),
        (np.ma.masked_less(np.ones((2, 3)), 2), InputError, "masked array.*filled"),
        (np.float64(3), ShapeError, r"shape \(\); expected \(\.\.\., n_b\)"),
        (np.ones((0, 3)), ShapeError, r"shape \(0, 3\); expected.*at least one voxel"),
        (np.ones((2, 4)), ShapeError, r"shape \(2, 4\) has 4 volumes.*there are 3 b-values"),
        (np.ones((3, 9)), ShapeError, r"Axis 0 fits: use numpy.moveaxis"),
    ],
)
def test_signals_that_cannot_be_used(signal, error, message):
    with pytest.raises(error, match=message):
        DWI(signal, [0, 100, 800])


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((4, 3)), ShapeError, r"mask has shape \(4, 3\); expected \(4, 3, 2\)"),
        (np.zeros((4, 3, 2)), ShapeError, "mask is empty; expected at least one voxel > 0"),
        (np.full((4, 3, 2), np.nan), ShapeError, "mask is empty"),
        (np.ones((4, 3, 2), complex), InputError, "mask is of type complex128; expected numbers"),
    ],
)
def test_masks_that_cannot_be_used(mask, error, message):
    with pytest.raises(error, match=message):
        DWI(ARRAY, BVALS, mask=mask)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.float32, np.float64])
def test_mask_of_any_type(dtype):
    mask = np.zeros((4, 3, 2), dtype)
    mask[1, 1] = 1
    assert DWI(ARRAY, BVALS, mask=mask).n_voxels == 2


def test_mask_is_what_is_above_zero():
    mask = np.array([0.5, -1, 0, 3, np.nan])
    assert DWI(np.ones((5, 2)), [0, 500], mask=mask).mask.tolist() == [1, 0, 0, 1, 0]


def test_options_that_contradict_each_other():
    with pytest.raises(OptionError, match="average is 'mean'; expected one of auto, geometric"):
        DWI(ARRAY, BVALS, average="mean")
    with pytest.raises(OptionError, match="both affine and geometry were given; expected one"):
        DWI(ARRAY, BVALS, np.eye(4), geometry=Geometry())
    with pytest.raises(OptionError, match="Acquisition was given with separate directions"):
        DWI(ARRAY, Acquisition(BVALS), tolerance=3)


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        ([0, 1], r"has 2 selected volumes and there are 6 b-values"),
        ([0, 1, 2, 3, 4, 6], "volumes 0 to 6 are to be used; expected 0 to 5"),
    ],
)
def test_volumes_that_are_not_there(volumes, message):
    with pytest.raises(ShapeError, match=message):
        DWI(ARRAY, BVALS, volumes=volumes)


def test_bad_bvals_are_refused():
    with pytest.raises(AcquisitionError, match="--b-unit ms/um2"):
        DWI(np.ones((2, 3)), [0, 0.1, 0.8])


def test_the_signal_is_not_copied():
    signal = np.asfortranarray(ARRAY)
    assert np.shares_memory(DWI(signal, BVALS).signal, signal)
    assert np.shares_memory(DWI(signal, BVALS).select(bmax=200).signal, signal)


def test_the_mask_of_all_voxels_takes_no_memory():
    assert DWI(ARRAY, BVALS).mask.strides == (0, 0, 0)


def test_affine_and_sources():
    source = Source("scan", "/data/dwi.nii", "00")
    dwi = DWI(ARRAY, BVALS, np.diag([2, 2, 5, 1]), sources=[source])
    assert dwi.geometry.voxel_size == (2, 2, 5)
    assert dwi.affine[2, 2] == 5
    assert dwi.select(bmax=200).sources == (source,)


@pytest.mark.parametrize("average", ["auto", "arithmetic"])
def test_repeats_are_averaged_and_weighted(average):
    dwi = DWI(ARRAY, BVALS, average=average)
    assert dwi.fit_bvals.tolist() == [0, 100, 800]
    assert dwi.fit_counts.tolist() == [2, 3, 1]
    parts = [ARRAY[..., :2].mean(-1), ARRAY[..., 2:5].mean(-1), ARRAY[..., 5]]
    np.testing.assert_allclose(fitted(dwi), np.stack(parts, -1), rtol=1e-14)


def test_geometric_average():
    low, middle, high = ARRAY[..., :2], ARRAY[..., 2:5], ARRAY[..., 5]
    parts = [low.prod(-1) ** (1 / 2), middle.prod(-1) ** (1 / 3), high]
    dwi = DWI(ARRAY, BVALS, average="geometric")
    np.testing.assert_allclose(fitted(dwi), np.stack(parts, -1), rtol=1e-13)


def test_auto_is_geometric_across_directions_and_arithmetic_across_repeats():
    bvecs = [[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [1, 0, 0]]
    x = (ARRAY[..., 2] + ARRAY[..., 4]) / 2
    parts = [ARRAY[..., :2].mean(-1), np.sqrt(x * ARRAY[..., 3]), ARRAY[..., 5]]
    dwi = DWI(ARRAY, BVALS, bvecs=bvecs)
    np.testing.assert_allclose(fitted(dwi), np.stack(parts, -1), rtol=1e-13)


def test_no_average():
    dwi = DWI(ARRAY, BVALS, average="none")
    assert dwi.fit_bvals.tolist() == BVALS
    assert dwi.fit_counts.tolist() == [1] * 6
    np.testing.assert_array_equal(fitted(dwi), ARRAY)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(AVERAGES), st.floats(1e-3, 1e3))
def test_averages_scale_with_the_signal(average, factor):
    one = fitted(DWI(ARRAY, BVALS, average=average))
    other = fitted(DWI(ARRAY * factor, BVALS, average=average))
    np.testing.assert_allclose(other, one * factor, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(AVERAGES[:3]), st.permutations(range(6)))
def test_the_order_of_volumes_does_not_matter(average, order):
    bvals = np.array(BVALS)[list(order)]
    other = fitted(DWI(ARRAY[..., list(order)], bvals, average=average))
    np.testing.assert_allclose(other, fitted(DWI(ARRAY, BVALS, average=average)), rtol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
def test_equal_repeats_average_to_themselves(average):
    dwi = DWI(np.full((2, 6), 700.0), BVALS, average=average)
    np.testing.assert_allclose(fitted(dwi), 700.0, rtol=1e-14)


def test_selection_is_the_same_as_a_smaller_scan():
    dwi = DWI(ARRAY, BVALS).select(volumes=[1, 2, 4, 5])
    np.testing.assert_array_equal(
        fitted(dwi), fitted(DWI(ARRAY[..., [1, 2, 4, 5]], [0, 100, 100, 800]))
    )
    again = dwi.select(bmin=100)
    assert again.volumes.tolist() == [2, 4, 5]
    np.testing.assert_array_equal(again.mean_image(800), ARRAY[..., 5])


def test_selection_of_one_b_value_cannot_be_fitted():
    with pytest.raises(
        AcquisitionError, match=r"volumes that are selected all have b = 0 s/mm\^2; expected two"
    ):
        DWI(ARRAY, BVALS).select(bvals=[0])


def test_other_mask_and_average():
    dwi = DWI(ARRAY, BVALS, mask=np.ones((4, 3, 2)))
    mask = np.zeros((4, 3, 2))
    mask[0, 0, 0] = 1
    assert dwi.with_mask(mask).n_voxels == 1
    assert dwi.with_mask(mask).with_mask(None).n_voxels == 24
    assert dwi.with_average("none").average == "none"


def test_mean_image_is_of_the_nearest_shell_and_ignores_the_mask():
    mask = np.zeros((4, 3, 2))
    mask[0, 0, 0] = 1
    for average in ("auto", "none"):
        image = DWI(ARRAY, BVALS, mask=mask, average=average).mean_image(150)
        np.testing.assert_allclose(image, ARRAY[..., 2:5].mean(-1), rtol=1e-14)


@pytest.mark.parametrize("order", ["C", "F"])
def test_parts_of_a_mean_image_are_those_of_the_whole(order):
    mask = np.zeros((4, 3, 2), dtype=bool)
    mask[1:3, 0] = True
    dwi = DWI(np.array(ARRAY, order=order), BVALS, mask=mask)
    image = dwi.mean_image(150)
    for box in (np.s_[1:3, :, [1, 0]], np.s_[[3, 0], 1:, :], np.s_[:, :, [1]]):
        np.testing.assert_array_equal(dwi.mean_part(150, box), image[box])
    np.testing.assert_array_equal(dwi.mean_values(150), dwi.voxels().gather(image))
    everywhere = dwi.mean_values(150, np.ones(dwi.shape))
    np.testing.assert_array_equal(everywhere, dwi.with_mask(None).voxels().gather(image))


def test_it_cannot_be_changed():
    dwi = DWI(ARRAY, BVALS, mask=np.ones((4, 3, 2)))
    with pytest.raises(AttributeError, match="cannot assign to field 'average'"):
        dwi.average = "none"
    with pytest.raises(ValueError, match="read-only"):
        dwi.mask[0] = False


def test_another_signal_keeps_the_context_of_its_volumes():
    class Context:
        def __init__(self, names):
            self.names = names

        def of_volumes(self, volumes):
            return Context([self.names[volume] for volume in volumes])

    dwi = DWI(np.ones((2, 4)), [0, 100, 400, 800], source_context=Context("abcd"))
    late = dwi.select(bmin=100)
    assert late.with_signal(2 * late.signal).source_context.names == ["b", "c", "d"]
