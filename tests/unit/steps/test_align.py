"""Align: what is found, moved, left alone and missing."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import steps
from ivimkit.errors import InputError, OptionError
from ivimkit.simulate import Artefacts, Motion, residual_motion
from ivimkit.steps import _motion, estimate_motion

B = [0, 50, 800]
FOUND = 0.35
"""Share of the motion that may remain: the images of these tests have voxels of 8 mm."""


def moving(kind="rigid", shape=(40, 30, 8), mm=6.0, bvals=B, **options):
    faults = Artefacts(motion=Motion(kind, mm=mm))
    return ik.simulate.phantom(shape=shape, bvals=bvals, snr=40, artefacts=faults, **options)


@pytest.fixture(scope="module")
def made():
    return moving()


@pytest.fixture(scope="module")
def pair():
    """The first and one that moved."""
    return moving(bvals=B[:2])


@pytest.fixture(scope="module")
def aligned(made):
    return ik.preprocess(made.dwi, "align")


def numbers(preprocessed):
    return preprocessed.records[0].numbers


def test_the_motion_is_found(made, aligned):
    found = numbers(aligned)
    before = residual_motion(made.artefacts).rms
    assert residual_motion(made.artefacts, found["transforms"]).rms < FOUND * before
    assert found["shift_mm"][0] == 0.0
    assert found["rotation_deg"][0] == 0.0
    assert min(found["shift_mm"][1:]) > 1.0
    assert min(found["rotation_deg"][1:]) > 0.1
    assert found["flagged"] == []
    assert found["bvals"] == B
    assert aligned.dwi.history.noise == "interpolated"
    assert aligned.dwi.signal.dtype == np.float32


def true_shifts(made):
    """Root mean square displacement of what is bright from where it is in the first volume, mm."""
    truth, image = made.artefacts, made.dwi.signal[..., 0]
    places = truth.positions()[image > image.mean()]
    whole = np.concatenate([places, np.ones((len(places), 1))], axis=1)
    first = np.linalg.inv(truth.transforms[0])
    moved = [whole @ (matrix @ first - np.eye(4)).T for matrix in truth.transforms]
    return np.array([np.sqrt((one**2).sum(axis=1).mean()) for one in moved])


def test_a_quick_estimate_and_what_is_found_after_alignment():
    made = moving(shape=(56, 42, 14), bvals=B[::2])
    expected = true_shifts(made)
    quick = estimate_motion(made.dwi, quick=True)
    assert expected.max() > 5.0
    # Voxels of 5 mm: in those of 3 mm, half of this.
    assert np.sqrt(np.mean((quick.shift_mm - expected)[1:] ** 2)) < 0.35
    aligned = ik.preprocess(made.dwi, steps.Align())
    found = numbers(aligned)
    # It ends its search sooner, so it is not the same.
    assert np.abs(quick.shift_mm - found["shift_mm"]).max() > 0.01
    left = residual_motion(made.artefacts, found["transforms"]).by_volume
    assert np.isnan(aligned.dwi.signal).any()
    np.testing.assert_allclose(found["shift_after_mm"], left, atol=0.3)
    assert max(found["rotation_after_deg"]) < 0.5 < max(found["rotation_deg"])
    assert "; a second registration finds 0." in aligned.records[0].summary


def test_what_a_volume_did_not_see_is_missing_and_not_zero(aligned):
    signal, weights = aligned.dwi.signal, aligned.dwi.value_weights
    unseen = np.isnan(signal)
    assert unseen.any()
    assert np.array_equal(weights == 0, unseen)
    share = numbers(aligned)["missing_share"]
    assert share == pytest.approx(unseen[aligned.dwi.mask].mean(), abs=1e-5)
    assert "were outside of their volume" in aligned.records[0].summary


@pytest.mark.parametrize("kind", ["affine", "translation"])
def test_other_transforms(pair, kind):
    made = moving("affine", mm=5.0, bvals=B[:2]) if kind == "affine" else pair
    found = np.array(numbers(ik.preprocess(made.dwi, f"align:transform={kind}"))["transforms"])
    before = residual_motion(made.artefacts).rms
    assert residual_motion(made.artefacts, found).rms < 0.7 * before
    turn = found[:, :3, :3]
    if kind == "translation":
        np.testing.assert_allclose(turn, np.tile(np.eye(3), (2, 1, 1)), atol=1e-9)
    else:
        assert np.abs(np.linalg.det(turn[1:]) - 1).max() > 1e-3


def test_slices_move_separately():
    made = moving("slices", bvals=B[:2])
    found = numbers(ik.preprocess(made.dwi, "align:slices=yes"))
    assert np.shape(found["transforms"]) == (2, 8, 4, 4)
    before = residual_motion(made.artefacts).rms
    assert residual_motion(made.artefacts, found["transforms"]).rms < FOUND * before
    whole = estimate_motion(made.dwi, quick=True)
    assert residual_motion(made.artefacts, whole.transforms).rms > 2 * FOUND * before


def test_an_image_without_a_third_axis():
    made = moving("slices", shape=(40, 30, 1), bvals=B[:2]).dwi
    flat = ik.DWI(made.signal[:, :, 0], B[:2], affine=made.affine)
    found = ik.preprocess(flat, "align").dwi
    assert found.shape == (40, 30)
    np.testing.assert_array_equal(found.signal, ik.preprocess(made, "align").dwi.signal[:, :, 0])


def test_a_volume_that_is_lost_is_left_alone_and_named(pair):
    signal = pair.dwi.signal.copy()
    signal[..., 1] = 0.0
    dark = ik.preprocess(pair.dwi.with_signal(signal), "align")
    assert [one["volume"] for one in numbers(dark)["flagged"]] == [1]
    assert numbers(dark)["shift_mm"][1] == 0.0
    np.testing.assert_array_equal(dark.dwi.signal[..., 1], 0.0)
    assert "left alone: volume 1 (no movement could be found)" in dark.records[0].summary
    near = ik.preprocess(pair.dwi, steps.Align(max_shift_mm=1.0))
    assert {one["volume"] for one in numbers(near)["flagged"]} == {1}
    assert "a displacement of" in numbers(near)["flagged"][0]["why"]
    np.testing.assert_array_equal(near.dwi.signal, pair.dwi.signal)


def test_missing_values_and_weights_move_with_the_tissue(pair):
    signal = pair.dwi.signal.copy()
    signal[18:22, 13:17, 4, 1] = np.nan
    weights = np.ones(signal.shape)
    weights[..., 1] = 0.5
    weights[:, :, 2, 1] = 0.0
    done = ik.preprocess(pair.dwi.with_signal(signal, value_weights=weights), "align")
    found = done.dwi
    hole = np.isnan(found.signal[14:26, 9:21, 2:7, 1])
    assert hole.any()
    # The spline must not spread one missing value over the volume.
    assert hole.sum() < 200
    assert not np.isnan(found.signal[..., 0]).any()
    assert (found.value_weights[np.isnan(found.signal)] == 0).all()
    left = found.value_weights[..., 1]
    share = numbers(done)["noise_share"][1]
    np.testing.assert_allclose(left[left > 0], 0.5 / share, rtol=2e-3)
    assert (left[:, :, 2] == 0).any()


def test_directions_turn_with_the_volumes(pair):
    made, vectors = pair, np.tile([0.6, 0.0, 0.8], (2, 1))
    dwi = made.dwi.with_signal(made.dwi.signal, acquisition=ik.Acquisition(B[:2], vectors))
    found = ik.preprocess(dwi, "align")
    matrices = np.array(numbers(found)["transforms"])
    # The phantom has a diagonal affine.
    axes = np.sign(np.diagonal(made.dwi.affine)[:3])
    flip = [-1.0, 1.0, 1.0] if axes.prod() > 0 else [1.0, 1.0, 1.0]
    frame = np.diag(axes * flip)
    turned = frame @ np.linalg.inv(matrices[1, :3, :3]) @ frame @ vectors[1]
    np.testing.assert_allclose(found.dwi.acquisition.bvecs[1], turned, atol=1e-9)
    assert np.abs(turned - vectors[1]).max() > 1e-3


def test_auto_aligns_what_moved_and_leaves_the_rest(made, aligned, monkeypatch):
    decision = ik.steps.get("align").decide(made.dwi)
    assert decision.taken
    assert "displaced by" in decision.reason
    calls = []
    monkeypatch.setattr(
        "ivimkit.steps.align.estimate_motion",
        lambda dwi, *rest, **options: calls.append(options["quick"]) or decision.estimate,
    )
    work = ik.extend.preprocessing_step.Workpiece(made.dwi, estimate=decision.estimate)
    again = steps.Align().apply(work, lambda share: None)
    np.testing.assert_array_equal(again.work.dwi.signal, aligned.dwi.signal)
    assert again.work.unmoved is made.dwi
    # It is not found twice, but the aligned scan is looked at again.
    assert calls == [True]


def test_auto_leaves_a_still_scan_alone():
    still = ik.simulate.phantom(shape=(40, 30, 8), bvals=B[:2], snr=40).dwi
    decision = steps.get("align").decide(still)
    assert not decision.taken
    assert "no more than the error" in decision.reason
    assert not steps.get("align").decide(ik.DWI(np.ones((9, 3)), B)).taken


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((50,), "lists of voxels"),
        ((20, 4, 9), "at least 8 along both axes"),
    ],
)
def test_scans_that_cannot_be_aligned(shape, message):
    dwi = ik.DWI(np.ones((*shape, 3)), B)
    with pytest.raises(InputError, match=message):
        ik.preprocess(dwi, "align")
    with pytest.raises(InputError, match=message):
        estimate_motion(dwi)


def test_wrong_options(made, monkeypatch):
    with pytest.raises(OptionError, match="expected one of rigid, affine, translation"):
        steps.Align(transform="elastic")
    with pytest.raises(OptionError, match="expected one of rigid, affine, translation"):
        estimate_motion(made.dwi, "elastic")
    with pytest.raises(OptionError, match="max_shift_mm is 0; expected a number of mm above 0"):
        steps.Align(max_shift_mm=0)
    with pytest.raises(OptionError, match="slices is 'no'; expected yes or no"):
        steps.Align(slices="no")
    monkeypatch.setattr(_motion, "library_is_installed", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'ivimkit\[preprocess\]'"):
        estimate_motion(made.dwi)
