"""Step drift: measured from images at b = 0, and divided out."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import simulate
from ivimkit.errors import InputError, NoiseError, OptionError
from ivimkit.scan.signal_drift import measured_drift, why_unseen

B = [0, 10, 20, 40, 0, 110, 170, 0, 300, 400, 0, 800, 0]


def _made(percent, **options):
    drift = simulate.Drift(percent, **options) if percent else None
    return simulate.phantom(
        shape=(48, 36, 3),
        bvals=B,
        snr=30,
        partial_volume=2,
        artefacts=simulate.Artefacts(drift=drift),
    )


@pytest.fixture(scope="module")
def drifted():
    return _made(5)


def test_the_drift_is_measured_and_divided_out(drifted):
    truth = drifted.artefacts.drift
    made = ik.preprocess(drifted.dwi, "drift")
    numbers = made.records[0].numbers
    np.testing.assert_allclose(numbers["factors"], truth / truth[0], atol=0.003)
    np.testing.assert_allclose(
        made.dwi.signal, drifted.dwi.signal / np.array(numbers["factors"]), rtol=1e-6
    )
    assert made.dwi.signal.dtype == drifted.dwi.signal.dtype
    assert made.dwi.history.noise == "raw"
    whole = drifted.dwi.with_signal(np.rint(drifted.dwi.signal).astype(np.int16))
    assert ik.preprocess(whole, "drift").dwi.signal.dtype == np.float32


def test_a_quadratic_drift_needs_a_quadratic_fit():
    time = np.linspace(0.0, 1.0, len(B))
    bent = 1.0 - 0.2 * time * (1.0 - time)
    clean = _made(0).dwi
    dwi = clean.with_signal(clean.signal * bent.astype(np.float32))
    left = [
        np.abs(np.array(ik.preprocess(dwi, step).records[0].numbers["factors"]) / bent - 1).max()
        for step in ("drift:order=1", "drift:order=2", "drift")
    ]
    assert left[1] == left[2] < 0.004 < 0.02 < left[0]
    three = dwi.select(volumes=[v for v, b in enumerate(B) if b or v in (0, 7, 12)])
    assert ik.preprocess(three, "drift").records[0].numbers["order"] == 1


def test_auto_takes_it_only_where_it_is_more_than_its_error(drifted):
    step = ik.steps.get("drift")
    taken = step.decide(drifted.dwi)
    assert taken.taken
    assert taken.reason == "the drift is -4.9 % ± 0.2 %"
    still = _made(0).dwi
    assert not step.decide(still).taken
    assert step.tell(still).endswith("as 5 images at b = 0 show: no more than its error")
    assert step.tell(drifted.dwi).startswith("-4.9 % ± 0.2 % of the signal, as 5 images")


def test_a_slice_that_dropped_out_and_missing_values_do_not_count(drifted):
    signal = drifted.dwi.signal.copy()
    signal[:, :, 1, 7] *= 0.5
    signal[:10, :, :, 4] = np.nan
    found = measured_drift(drifted.dwi.with_signal(signal))
    assert found.change == pytest.approx(-0.05, abs=0.004)
    made = ik.preprocess(drifted.dwi.with_signal(signal), "drift").dwi
    np.testing.assert_array_equal(np.isnan(made.signal), np.isnan(signal))


@pytest.mark.parametrize(
    ("b", "why"),
    [
        ([0, 10, 50, 100, 400, 800], "there is one image at b = 0, and a drift needs 3 spread"),
        ([0, 0, 0, 10, 50, 100, 400, 800], "all 3 images at b = 0 are near the start"),
        ([10, 50, 100, 400, 800, 0, 0, 0], "all 3 images at b = 0 are near the end"),
        ([50, 60, 0, 0, 0, 70, 80, 90], "all 3 images at b = 0 are near the middle"),
        ([50, 100, 50, 400, 50, 800], "the lowest b-value is 50, and images near b = 0"),
    ],
)
def test_a_drift_that_cannot_be_seen_is_refused_with_the_reason(b, why):
    dwi = ik.DWI(np.ones((4, len(b))), b)
    with pytest.raises(InputError, match=f"step drift: ({why})"):
        ik.preprocess(dwi, "drift")
    assert not ik.steps.get("drift").decide(dwi).taken


def test_what_is_wrong_is_an_error():
    with pytest.raises(OptionError, match="order is 3; expected 1 for a linear drift"):
        ik.steps.get("drift", order=3)
    assert "needs 4" not in why_unseen(ik.DWI(np.ones((4, 13)), B), 2)
    with pytest.raises(NoiseError, match="4 voxels have a signal"):
        measured_drift(ik.DWI(np.ones((4, 13)), B))
