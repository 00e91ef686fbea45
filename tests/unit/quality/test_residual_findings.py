import re
import warnings

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import ScanWarning
from ivimkit.quality import residual_findings, residuals
from ivimkit.scan.dwi import DWI

B = np.array(ik.simulate.B13)
SHAPE = (48, 40, 8)
MIXED = np.random.default_rng(3).permutation(np.repeat(B, 3))


def findings(signal, bvals, made, **options):
    scan = DWI(signal, bvals, made.dwi.affine, made.dwi.mask)
    with warnings.catch_warnings():
        # The scan is spoilt on purpose, and some of it shows before the fit.
        warnings.simplefilter("ignore", ScanWarning)
        return residual_findings(residuals(ik.fit(scan, **options)))


def phantom(kind="abdomen", *, shape=SHAPE, **options):
    return ik.simulate.phantom(kind, shape=shape, **options)


FEW = np.array([0, 10, 20, 50, 100, 200, 400, 800])


@pytest.mark.parametrize(
    ("kind", "snr", "bvals"),
    [
        ("abdomen", 15, B),
        ("brain", 40, B),
        ("abdomen", 100, B),
        ("brain", 15, FEW),
        ("abdomen", 40, FEW),
        ("brain", 100, FEW),
        ("brain", 15, MIXED),
        ("abdomen", 40, MIXED),
        ("brain", 100, MIXED),
    ],
)
def test_nothing_is_found_in_a_clean_scan(kind, snr, bvals):
    made = phantom(kind, shape=(40, 32, 8), snr=snr, bvals=bvals)
    assert findings(made.dwi.signal, bvals, made) == ()


@pytest.mark.parametrize(
    ("kind", "said", "true"),
    [("abdomen", 400, 350), ("brain", 400, 350), ("brain", 110, 90), ("abdomen", 20, 12)],
)
def test_a_wrong_b_value_is_found_with_its_true_value(kind, said, true):
    made = phantom(kind, bvals=np.where(said == B, true, B))
    (found,) = findings(made.dwi.signal, B, made)
    assert found.kind == "b-value"
    assert found.sentence.startswith(f"b = {said} lies ")
    assert "above the fit of the others in all slices" in found.sentence
    guess = int(re.search(r"as if b were (\d+)", found.sentence)[1])
    assert abs(guess - true) < 0.3 * abs(said - true)


def test_two_wrong_b_values_are_found():
    made = phantom(bvals=np.where(B == 400, 350, np.where(B == 20, 10, B)))
    found = findings(made.dwi.signal, B, made)
    assert {one.sentence.split()[2] for one in found if one.kind == "b-value"} == {"400", "20"}


def test_a_darker_volume_is_below_the_fit():
    made = phantom()
    (found,) = findings(made.dwi.signal * np.where(B == 200, 0.9, 1.0), B, made)
    assert found.sentence.startswith("b = 200 lies ")
    assert " below the fit" in found.sentence


def test_drift_is_found_if_the_order_of_b_values_is_mixed():
    made = phantom(bvals=MIXED)
    drift = np.linspace(1.04, 0.96, MIXED.size)
    (found,) = findings(made.dwi.signal * drift, MIXED, made)
    assert found.kind == "drift"
    assert re.search(r"falls by (7\.\d|8\.\d) % from the first volume to the last", found.sentence)
    (upwards,) = findings(made.dwi.signal * drift[::-1], MIXED, made)
    assert "grows by" in upwards.sentence


def test_drift_along_rising_b_values_looks_like_diffusion():
    made = phantom()
    drift = np.linspace(1.04, 0.96, B.size)
    assert findings(made.dwi.signal * drift, B, made) == ()


@pytest.mark.parametrize("kind", ["abdomen", "brain"])
def test_a_displaced_slice_is_found(kind):
    made = phantom(kind)
    signal = made.dwi.signal.copy()
    signal[:, :, 5, 8] = np.roll(signal[:, :, 5, 8], 3, axis=1)
    (found,) = findings(signal, B, made)
    assert found.kind == "slice"
    assert "slice 5 in volume 8 (b = 200)" in found.sentence


def test_a_slice_with_artefacts_in_most_volumes_is_found_as_a_whole():
    made = phantom()
    factors = np.random.default_rng(0).uniform(0.7, 1.1, B.size)
    signal = made.dwi.signal.copy()
    signal[:, :, 2] *= factors
    (found,) = findings(signal, B, made)
    assert found.kind == "slice"
    assert re.match(r"Residuals of slice 2 are \d\.\d times .* in many volumes", found.sentence)


@pytest.mark.parametrize("kind", ["abdomen", "brain"])
def test_a_displaced_volume_is_not_taken_for_a_wrong_b_value(kind):
    made = phantom(kind)
    signal = made.dwi.signal.copy()
    signal[..., 8] = np.roll(signal[..., 8], 3, axis=1)
    (found,) = findings(signal, B, made)
    assert found.kind == "volume"
    assert "volume 8 (b = 200)" in found.sentence


def test_one_volume_of_a_shell_that_is_too_bright():
    made = phantom(bvals=MIXED)
    gain = np.ones(MIXED.size)
    number = int(np.flatnonzero(MIXED == 80)[1])
    gain[number] = 1.2
    (found,) = findings(made.dwi.signal * gain, MIXED, made)
    assert found.kind == "volume"
    assert re.match(rf"Volume {number} \(b = 80\) lies \d.* above the fit", found.sentence)


def test_many_displaced_volumes_are_one_finding():
    made = phantom(bvals=MIXED)
    signal = made.dwi.signal.copy()
    moved = np.arange(0, MIXED.size, 5)
    signal[..., moved] = np.roll(signal[..., moved], 2, axis=1)
    (found,) = findings(signal, MIXED, made)
    assert found.kind == "volume"
    assert re.search(r"volumes 0 \(b = \d+\), .* \d more are \d", found.sentence)


def test_a_model_that_does_not_fit():
    made = phantom()
    (found,) = findings(made.dwi.signal, B, made, model="monoexp")
    assert found.kind == "model"
    assert "model monoexp does not describe the decay" in found.sentence
    assert "of S0 at b = 0" in found.sentence


def test_too_few_b_values_tell_nothing_of_one():
    b = np.array([0, 20, 50, 200, 400, 800])
    made = phantom(bvals=np.where(b == 400, 300, b))
    with pytest.warns(UserWarning, match="6 distinct b-values"):
        found = findings(made.dwi.signal, b, made)
    assert all(one.kind != "b-value" for one in found)


def test_advice_comes_with_every_finding():
    made = phantom(bvals=np.where(B == 400, 350, B))
    (found,) = findings(made.dwi.signal, B, made)
    assert "Leave b = 400 out" in found.advice
