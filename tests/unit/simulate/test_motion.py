"""Motion: displaced tissue, its truth, and what a registration leaves of it."""

import numpy as np
import pytest

from ivimkit import Acquisition, simulate
from ivimkit.errors import OptionError, ShapeError
from ivimkit.simulate import MOTION_KINDS, Artefacts, Motion, residual_motion
from ivimkit.simulate.motion_path import MatrixPath

SHAPE = (40, 30, 6)
B = (0, 50, 800)

NEAR = 1e-3
"""Relative: what is left of the displacement that was asked for after some steps of scaling."""

SINGLE = 1e-5
"""Relative: phantoms are float32, with a few sums."""


def made(kind=None, mm=5.0, name="abdomen", **options):
    motion = None if kind is None else Motion(kind, mm)
    settings = {"shape": SHAPE, "bvals": B, "snr": None, "partial_volume": 2, "seed": 4}
    return simulate.phantom(name, **(settings | options), artefacts=Artefacts(motion))


@pytest.fixture(scope="module")
def moving():
    return {kind: made(kind) for kind in MOTION_KINDS}


@pytest.fixture(scope="module")
def rest():
    return made()


def displacements(truth):
    return np.stack([truth.displacement(volume) for volume in range(truth.n_volumes)])


def test_a_scan_without_faults_is_that_of_a_phantom_without_artefacts(rest):
    plain = simulate.phantom(shape=SHAPE, bvals=B, snr=None, partial_volume=2, seed=4)
    assert plain.artefacts is None
    np.testing.assert_array_equal(rest.dwi.signal, plain.dwi.signal)
    truth = rest.artefacts
    assert not displacements(truth).any()
    assert not truth.dropped.any()
    np.testing.assert_array_equal(truth.transforms, np.broadcast_to(np.eye(4), (3, 4, 4)))


@pytest.mark.parametrize("kind", MOTION_KINDS)
def test_the_displacement_is_the_one_that_was_asked_for(moving, kind):
    truth = moving[kind].artefacts
    measured = moving[kind].labels == 1 if kind == "breathing" else truth.body
    squares = (displacements(truth)[:, measured] ** 2).sum(axis=-1)
    assert not squares[0].any()
    assert np.sqrt(squares[1:].mean()) == pytest.approx(5.0, rel=NEAR)


@pytest.mark.parametrize("kind", MOTION_KINDS)
def test_tissue_is_where_its_truth_says(moving, rest, kind):
    """The place at rest of what a volume shows is the place from which it has come."""
    truth = moving[kind].artefacts
    places = truth.positions()
    for volume in range(truth.n_volumes):
        there = places + truth.displacement(volume)
        np.testing.assert_allclose(truth.at_rest(volume, there), places, atol=1e-6)
    np.testing.assert_array_equal(moving[kind].labels, rest.labels)
    np.testing.assert_array_equal(moving[kind].truth["D"], rest.truth["D"])
    np.testing.assert_array_equal(moving[kind].dwi.signal[..., 0], rest.dwi.signal[..., 0])
    assert not np.array_equal(moving[kind].dwi.signal[..., 2], rest.dwi.signal[..., 2])


@pytest.fixture
def moved_by(monkeypatch):
    """Return a function that sets the motion of the second volume, a matrix of (u, v, w)."""

    def _moved_by(matrix):
        matrices = np.broadcast_to(np.eye(4), (3, SHAPE[2], 4, 4)).copy()
        matrices[1] = matrix
        place = "ivimkit.simulate.true_artefacts.draw_path"
        monkeypatch.setattr(place, lambda *_: MatrixPath(matrices))

    return _moved_by


@pytest.mark.parametrize(
    "tissue", [{}, {"texture": simulate.Texture(), "lesions": [4.0]}], ids=["plain", "rough"]
)
def test_a_shift_by_whole_voxels_shifts_the_image(monkeypatch, moved_by, rest, tissue):
    """Nothing is interpolated: the image is the same but for the coils, which stay."""
    for module in ("spoiled_scan", "digital_phantom"):
        name = f"ivimkit.simulate.{module}.receive_field"
        monkeypatch.setattr(name, lambda *_: np.ones(SHAPE[:2], np.float32))
    shift = np.array([2.0, -1.0, 1.0]) * rest.dwi.geometry.voxel_size
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    moved_by(matrix)
    moving, still = made("rigid", **tissue), made(**tissue)
    assert not tissue or still.region("lesion of 4 mm")[:-2, 1:, :-1].any()
    moved, stayed = moving.dwi.signal[2:, :-1, 1:, 1], still.dwi.signal[:-2, 1:, :-1, 1]
    np.testing.assert_allclose(moved, stayed, rtol=SINGLE, atol=1e-3)
    # u points to the patient's left, x to the right.
    np.testing.assert_allclose(moving.artefacts.transforms[1, :3, 3], shift * [-1, 1, 1])


def test_transforms_are_those_of_the_positions(moving):
    for kind in ("rigid", "affine"):
        truth = moving[kind].artefacts
        places = truth.positions()
        matrix = truth.transforms[2]
        np.testing.assert_allclose(
            places @ matrix[:3, :3].T + matrix[:3, 3],
            places + truth.displacement(2),
            atol=1e-9,
        )
        turned = matrix[:3, :3] @ matrix[:3, :3].T
        assert np.allclose(turned, np.eye(3)) == (kind == "rigid")


def test_slices_move_in_their_plane_and_each_on_its_own(moving):
    truth = moving["slices"].artefacts
    assert truth.transforms.shape == (3, SHAPE[2], 4, 4)
    moved = displacements(truth)
    assert not moved[..., 2].any()
    assert len({matrix.tobytes() for matrix in truth.transforms[1]}) == SHAPE[2]


def test_breathing_spares_the_spine_and_has_no_matrices(moving):
    truth = moving["breathing"].artefacts
    assert truth.transforms is None
    lengths = np.sqrt((displacements(truth)[1:] ** 2).sum(axis=-1)).mean(axis=0)
    x, y, _ = np.moveaxis(truth.positions(), -1, 0)
    spine = np.hypot(x, y + 55) < 10
    assert lengths[spine].max() < 0.1 * lengths[moving["breathing"].region("liver")].mean()


def test_gradients_turn_with_the_head(moved_by):
    """Tissue that has turned sees the gradient from another direction."""
    angle = np.deg2rad(20.0)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    moved_by(matrix)
    protocol = Acquisition([0, 1000, 1000], [[0, 0, 0], [0.6, 0.8, 0], [0, 1, 0]])
    head = made("rigid", name="brain", model="tensor", bvals=protocol)
    places = head.artefacts.at_rest(1, head.artefacts.positions())
    index = np.linalg.solve(
        head.dwi.geometry.affine[:3, :3], (places - head.dwi.geometry.affine[:3, 3])[..., None]
    )[..., 0]
    nearest = np.clip(np.rint(index).astype(int), 0, np.array(SHAPE) - 1)
    white = head.region("white matter")
    white &= white[tuple(np.moveaxis(nearest, -1, 0))]
    values = {name: head.truth[name][white].astype(float) for name in head.model.names}

    def agree(gx, gy):
        table = {"b": [1000], "gx": [gx], "gy": [gy], "gz": [0.0]}
        expected = simulate.signals("tensor", values, table)[:, 0]
        return np.isclose(head.dwi.signal[white, 1], expected, rtol=1e-3).mean()

    cosine, sine = np.cos(angle), np.sin(angle)
    assert agree(0.6 * cosine + 0.8 * sine, 0.8 * cosine - 0.6 * sine) > 0.4
    assert agree(0.6 * cosine - 0.8 * sine, 0.8 * cosine + 0.6 * sine) < 0.1
    assert agree(0.6, 0.8) < 0.1


def test_the_seed_decides_the_motion(moving):
    again, other = (made("affine", seed=seed).dwi.signal for seed in (4, 5))
    np.testing.assert_array_equal(moving["affine"].dwi.signal, again)
    assert not np.array_equal(again, other)


@pytest.mark.parametrize("kind", MOTION_KINDS)
def test_the_true_motion_leaves_no_residual(moving, kind):
    truth = moving[kind].artefacts
    before = residual_motion(truth)
    assert before.rms > 1.0
    assert residual_motion(truth, displacements(truth)).rms < 1e-6
    if truth.transforms is not None:
        found = residual_motion(truth, truth.transforms)
        assert found.rms < 1e-6
        np.testing.assert_allclose(found.frame[truth.body], truth.positions()[truth.body])


def test_a_residual_does_not_depend_on_the_volume_to_which_others_were_registered(moving):
    truth = moving["rigid"].artefacts
    to_second = truth.transforms @ np.linalg.inv(truth.transforms[1])
    assert residual_motion(truth, to_second).rms < 1e-6


def test_a_residual_is_that_of_the_volume_with_the_error(moving):
    truth = moving["affine"].artefacts
    found = truth.transforms.copy()
    found[2, 0, 3] += 3.0
    residual = residual_motion(truth, found)
    np.testing.assert_allclose(residual.by_volume, [0, 0, 3], atol=0.1)
    assert residual.rms == pytest.approx(np.sqrt((residual.by_volume**2).mean()))
    one = np.zeros(SHAPE)
    one[20, 15, 3] = 1
    assert residual_motion(truth, found, mask=one).distances.shape == (3, 1)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (np.eye(4), r"shape \(4, 4\); expected matrices \(3, 4, 4\)"),
        (np.zeros((2, *SHAPE, 3)), r"or displacements \(3, 40, 30, 6, 3\)"),
    ],
)
def test_registrations_of_another_scan(moving, found, message):
    with pytest.raises(ShapeError, match=message):
        residual_motion(moving["rigid"].artefacts, found)


def test_a_residual_needs_voxels(moving):
    with pytest.raises(ShapeError, match=r"0 voxels; expected \(40, 30, 6\), and at least one"):
        residual_motion(moving["rigid"].artefacts, mask=np.zeros(SHAPE))


def test_there_are_no_other_volumes(moving):
    with pytest.raises(OptionError, match="no volume 3; expected a number from 0 to 2"):
        moving["rigid"].artefacts.displacement(3)
    with pytest.raises(ShapeError, match=r"expected one of each voxel, \(40, 30, 6, 3\)"):
        moving["rigid"].artefacts.at_rest(0, [0, 0, 0])


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (("jump", 5), "no motion 'jump'; expected one of rigid, affine, breathing, slices"),
        (("rigid", -1), "is -1 mm; expected a number from 0 to 50"),
        (("rigid", np.nan), "is nan mm; expected"),
    ],
)
def test_motions_that_there_are_not(motion, message):
    with pytest.raises(OptionError, match=message):
        Motion(*motion)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "breathing", "name": "brain"}, "the brain does not breathe; expected the abdom"),
        ({"kind": "rigid", "partial_volume": 1}, "motion needs several sample points in a voxel"),
        ({"kind": "rigid", "seed": -1}, "the seed is -1; expected a whole number >= 0"),
        ({"kind": "breathing", "shape": (1, 1, 1)}, "no voxel shows liver, which is to move"),
    ],
)
def test_phantoms_that_cannot_move(options, message):
    with pytest.raises(OptionError, match=message):
        made(**options)
