"""Residuals of regions: a model that does not describe a small lesion, and noise that looks so."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.quality import Finding, lights
from ivimkit.quality.region_findings import region_findings

B = np.array([0, 10, 20, 30, 50, 100, 150, 200, 300, 400, 600, 800, 1000])
PLACES = np.full((30, 20, 2), 2, np.int32)
PLACES[10:15, 5:9] = 1
REGIONS = ik.Labels(PLACES, {1: "lesion", 2: "liver"})


def fitted(lesion):
    """Fit a liver with a lesion of 40 of 1200 voxels at an SNR of 50."""
    clean = ik.simulate.signals(
        "biexp", np.full((*PLACES.shape, 4), (1000, 0.25, 0.05, 1.1e-3)), B
    )
    clean[PLACES == 1] = lesion
    return ik.fit(ik.simulate.add_noise(clean, sigma=20.0, seed=1), B)


@pytest.fixture(scope="module")
def clean():
    return fitted(ik.simulate.signals("biexp", (1000, 0.15, 0.05, 0.8e-3), B))


def test_noise_of_a_small_region_is_no_misfit(clean):
    assert region_findings(clean, REGIONS, ()) == ()
    # Without labels, and with them, the residuals are those of the scan that the result has.
    for labels in (None, REGIONS):
        found = {one.name: one for one in lights(clean, labels=labels)}
        assert found["residuals"].colour == found["the scan"].colour == "green"
        assert ("voxels and mean signal" in found) == (labels is not None)


def test_a_lesion_that_the_model_does_not_describe_is_found_in_a_good_mask():
    three = 0.25 * np.exp(-B * 0.3) + 0.2 * np.exp(-B * 0.01) + 0.55 * np.exp(-B * 4e-4)
    result = fitted(1000 * three)
    whole = ik.quality.residual_findings(ik.quality.residuals(result))
    assert whole == ()
    (found,) = region_findings(result, REGIONS, whole)
    assert (found.kind, found.region) == ("model", "lesion")
    assert found.sentence.startswith("lesion: The mean residual reaches from −")
    light = {one.name: one for one in lights(result, labels=REGIONS)}["residuals"]
    assert (light.colour, light.region) == ("yellow", "lesion")


def test_of_the_scan_stays_what_does_not_concern_the_model(clean):
    air = Finding("model", "model biexp does not describe the decay.", "Compare models.")
    drift = Finding("drift", "The signal falls.", "Correct it.")
    assert region_findings(clean, REGIONS, [drift, air]) == (drift,)
