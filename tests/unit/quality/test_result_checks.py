"""Traffic lights: every colour, from data that have it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.quality import Finding, ScanFinding, lights
from ivimkit.quality.result_checks import THRESHOLDS, WORDS, Light
from ivimkit.scan.acquisition import Acquisition
from ivimkit.status import FitStatus, at_lower, at_upper
from made_results import biexp_maps, made_result

SHAPE = (10, 10)


def with_status(shares):
    """Return a result whose 100 voxels have flags, by their numbers."""
    status = np.zeros(100, np.int32)
    start = 0
    for flag, n in shares:
        status[start : start + n] = int(flag)
        start += n
    maps = biexp_maps(SHAPE)
    maps["cost"] = np.full(SHAPE, 400.0)
    return made_result(maps, status=status.reshape(SHAPE))


def light(result, name, **arguments):
    return {one.name: one for one in lights(result, **arguments)}[name]


@pytest.mark.parametrize(
    ("n", "colour"), [(0, "green"), (1, "green"), (2, "yellow"), (5, "yellow"), (6, "red")]
)
def test_voxels_without_a_fit(n, colour):
    found = light(with_status([(FitStatus.NON_FINITE, n)]), "voxels without a fit")
    assert found.colour == colour
    assert found.word == WORDS[colour]
    if n:
        assert f"{n} of 100 voxels" in found.reason
        assert found.advice == (
            "Look for the failed volume or processing step, or for the gap in the map."
        )


def test_an_empty_mask_is_poor_and_no_fault():
    found = {one.name: one for one in lights(with_status([(FitStatus.OUTSIDE_MASK, 100)]))}
    assert found["voxels without a fit"].colour == "red"
    assert found["values at a bound"].colour == "grey"
    assert found["signal-to-noise ratio"].colour == "grey"
    assert "perfusion not detected" not in found


@pytest.mark.parametrize(("n", "colour"), [(20, "green"), (21, "yellow"), (51, "red")])
def test_perfusion_not_detected(n, colour):
    found = light(with_status([(FitStatus.PERFUSION_NOT_DETECTED, n)]), "perfusion not detected")
    assert found.colour == colour
    assert ("D*" in found.advice) == (colour != "green")


def test_a_model_without_perfusion_has_no_such_light():
    maps = {"S0": np.ones(SHAPE), "ADC": np.ones(SHAPE), "cost": np.ones(SHAPE)}
    found = [one.name for one in lights(made_result(maps, model="monoexp", method="loglinear"))]
    assert "perfusion not detected" not in found


@pytest.mark.parametrize(("n", "colour"), [(0, "green"), (6, "yellow"), (21, "red")])
def test_values_at_a_bound(n, colour):
    upper = with_status([(at_upper(2), n)])
    found = light(upper, "values at a bound")
    assert found.colour == colour
    if n:
        assert "D* at its upper bound" in found.reason


def test_f_at_zero_without_perfusion_is_no_bound_of_its_own():
    flags = FitStatus.PERFUSION_NOT_DETECTED | at_lower(1)
    assert light(with_status([(flags, 40)]), "values at a bound").colour == "green"


@pytest.mark.parametrize(
    ("bvals", "coverage", "number"),
    [
        ((0, 10, 20, 30, 40, 50, 100, 150, 200, 400, 600, 800), "green", "green"),
        ((0, 10, 20, 50, 100, 200, 400, 800), "yellow", "green"),
        ((5, 10, 20, 50, 100, 200, 400, 800), "yellow", "green"),
        ((0, 100, 200, 400, 800), "red", "yellow"),
        ((0, 50, 200, 800), "yellow", "red"),
    ],
)
def test_b_values(bvals, coverage, number):
    result = replace(with_status([]), acquisition=Acquisition(bvals))
    noise = ik.noise.given(10.0)
    assert light(result, "coverage of the decay", noise=noise).colour == coverage
    assert light(result, "distinct b-values", noise=noise).colour == number


def test_monoexp_needs_no_low_b_values():
    maps = {"S0": np.ones(SHAPE), "ADC": np.ones(SHAPE), "cost": np.ones(SHAPE)}
    result = made_result(maps, model="monoexp", method="loglinear")
    result = replace(result, acquisition=Acquisition((0, 400, 600, 800)))
    noise = ik.noise.given(10.0)
    assert light(result, "coverage of the decay", noise=noise).colour == "green"


@pytest.mark.parametrize(("sigma", "colour"), [(10.0, "green"), (20.0, "yellow"), (75.0, "red")])
def test_signal_to_noise_ratio_of_a_given_noise(sigma, colour):
    # The median S0 is 750.
    found = light(with_status([]), "signal-to-noise ratio", noise=ik.noise.given(sigma))
    assert found.colour == colour
    assert f"About {750 / sigma:.0f} in the median voxel" in found.reason


def test_noise_that_the_fit_was_given_comes_first():
    made = ik.simulate.phantom(shape=(16, 12, 1), snr=50)
    result = ik.fit(made.dwi, sigma=100.0)
    assert "as given" in light(result, "signal-to-noise ratio").reason
    repeats = ik.simulate.phantom(shape=(16, 12, 1), bvals=[0, 0, 0, *ik.simulate.B13])
    reason = light(ik.fit(repeats.dwi), "signal-to-noise ratio").reason
    assert "from repeated volumes" in reason
    without = replace(ik.fit(repeats.dwi), dwi=None)
    assert "from the residuals" in light(without, "signal-to-noise ratio").reason


def test_without_a_basis_the_noise_is_not_known():
    result = with_status([])
    few = replace(
        result, provenance=replace(result.provenance, bvals=(0, 1, 2, 3), counts=[1.0] * 4)
    )
    found = light(few, "signal-to-noise ratio")
    assert found.word == "not known"
    assert found.reason.startswith("Cannot estimate the noise from")


def test_the_scan():
    result = with_status([])
    assert "the scan" not in [one.name for one in lights(result)]
    assert light(result, "the scan", scan=()).colour == "green"
    air = ScanFinding("air", (), "much of it is air", "Draw a mask")
    fault = ScanFinding("order", (1, 2), "volumes 1 and 2 look swapped", "Check the order")
    assert light(result, "the scan", scan=[air]).colour == "yellow"
    found = light(result, "the scan", scan=[air, fault])
    reason = "Volumes 1 and 2 look swapped. (1 more, see ivimkit check)"
    assert found == Light("the scan", "red", reason, "Check the order.")


def test_residuals():
    result = with_status([])
    assert light(result, "residuals").colour == "grey"
    assert light(result, "residuals", findings=()).colour == "green"
    finding = Finding("slice", "Slice 3 is off.", "Leave it out.")
    found = light(result, "residuals", findings=[finding, finding])
    assert found == Light(
        "residuals",
        "yellow",
        "Slice 3 is off. (2 findings, all in section Residuals)",
        "Leave it out.",
    )


def test_a_result_without_S0_has_no_ratio():
    maps = biexp_maps(SHAPE)
    del maps["S0"]
    assert "no S0" in light(made_result(maps), "signal-to-noise ratio").reason


def test_the_page_has_the_thresholds(repository):
    text = (repository / "docs" / "report.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (.+?) \|.*?\| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    rows = {name: (float(yellow), float(red)) for name, yellow, red in found}
    for name, threshold in THRESHOLDS.items():
        factor = 100 if threshold.unit.startswith("share") else 1
        assert rows[name] == (
            pytest.approx(factor * threshold.yellow),
            pytest.approx(factor * threshold.red),
        )


def test_signal_to_noise_ratio_counts_the_volumes_of_a_b_value():
    """Nine volumes have a third of the noise; a hundred at b = 0 alone are no help."""
    clean = ik.simulate.signals("biexp", [1000.0, 0.2, 0.03, 1e-3], ik.simulate.B13)
    b = np.array(ik.simulate.B13, float)

    def judged(times):
        bvals = np.repeat(b, times)
        signal = np.random.default_rng(0).normal(np.repeat(clean, times), 50.0, (50, bvals.size))
        found = light(ik.fit(signal, bvals), "signal-to-noise ratio", noise=ik.noise.given(50.0))
        return found.colour, found.reason

    assert judged(np.ones(b.size, int))[0] != "green"
    colour, reason = judged(np.full(b.size, 9))
    assert colour == "green"
    assert "About 60 in the median voxel at b = 0 with 9 volumes per b-value (20 in one" in reason
    colour, reason = judged(np.r_[100, np.ones(b.size - 1, int)])
    assert colour != "green"
    assert "per b-value" not in reason
