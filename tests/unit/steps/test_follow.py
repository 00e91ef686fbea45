"""Follow: volumes pulled to the prediction of the model."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import steps
from ivimkit.errors import AcquisitionError, InputError, OptionError
from ivimkit.simulate import Artefacts, Motion
from ivimkit.steps._flow import composed, flow
from ivimkit.steps._moved_scan import moved_scan

B = [0, 20, 60, 120, 400, 800]


@pytest.fixture(scope="module")
def made():
    faults = Artefacts(motion=Motion("breathing", mm=6))
    return ik.simulate.phantom(shape=(30, 22, 8), bvals=B, snr=40, artefacts=faults)


@pytest.fixture(scope="module")
def resampled():
    """The signals that were resampled for `followed`."""
    return []


@pytest.fixture(scope="module")
def followed(made, resampled):
    def seen(dwi, *rest, **named):
        resampled.append(dwi.signal)
        return moved_scan(dwi, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ivimkit.steps.follow.moved_scan", seen)
        return ik.preprocess(
            made.dwi, [steps.Align("translation"), steps.Follow(iterations=2, radius=4)]
        )


def test_it_lowers_residuals_and_says_what_it_changed(followed):
    align, follow = followed.records
    before, after = follow.numbers["medians_before"], follow.numbers["medians_after"]
    assert set(before) == set(after) == {"D", "f", "D_star", "rmse_percent_of_S0"}
    assert after["rmse_percent_of_S0"] < before["rmse_percent_of_S0"]
    assert "which changed the medians in tissue: D from" in follow.summary
    assert len(follow.numbers["shift_mm"]) == len(B) == len(align.numbers["shift_mm"])
    assert followed.dwi.history.names == ("align", "follow")


def test_the_displacements_are_those_of_the_tissue(made, followed):
    aligned = np.array(followed.records[0].numbers["transforms"])
    left = [
        ik.simulate.residual_motion(made.artefacts, found).rms
        for found in (None, aligned, followed.displacements)
    ]
    assert left[2] < left[0]
    # Follow adds to the movement of align, and keeps within its error.
    np.testing.assert_allclose(left[2], left[1], rtol=0.5)


def test_volumes_are_resampled_once_from_the_scan_as_acquired(made, followed, resampled):
    assert all(np.shares_memory(signal, made.dwi.signal) for signal in resampled)
    assert len(resampled) == 2, "once in each turn"


def test_a_second_interpolation_is_refused(followed):
    with pytest.raises(InputError, match="the scan has had align and follow already"):
        steps.Follow().check(followed.dwi)
    with pytest.raises(InputError, match="step align resamples the volumes as acquired"):
        steps.Align().check(followed.dwi)
    with pytest.raises(OptionError, match="step align comes after follow"):
        ik.preprocess(followed.dwi, "follow,align")
    with pytest.raises(InputError, match="expected slices along the third axis"):
        steps.Follow().check(ik.DWI(np.ones((1, 20, 20, 6)), B))
    with pytest.raises(AcquisitionError):
        steps.Follow().check(ik.DWI(np.ones((20, 20, 8, 3)), B[:3]))


def test_a_flow_finds_a_shift_and_flows_add_up():
    x, y, z = np.meshgrid(*(np.arange(n) for n in (32, 24, 6)), indexing="ij")
    image = (np.sin(x / 3) + np.cos(y / 4) + 0.1 * z + 3).astype(np.float32)
    moved = (np.sin((x - 1) / 3) + np.cos(y / 4) + 0.1 * z + 3).astype(np.float32)
    for in_planes in (True, False):
        field = flow(image, moved, radius=5, in_planes=in_planes)
        np.testing.assert_allclose(field[0, 8:24, 6:18, 2:4], 1.0, atol=0.15)
        np.testing.assert_allclose(field[1, 8:24, 6:18, 2:4], 0.0, atol=0.15)
    shift = np.zeros((3, 8, 8, 4), np.float32)
    shift[0] = 1.5
    np.testing.assert_allclose(composed(shift, 2 * shift)[0, :4], 4.5)


@pytest.mark.parametrize(("option", "value"), [("iterations", 0), ("radius", 1), ("radius", 2.5)])
def test_wrong_options(option, value):
    with pytest.raises(OptionError, match=f"{option} is {value}; expected a whole number from"):
        steps.Follow(**{option: value})
