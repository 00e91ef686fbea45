"""The methods paragraph says what was done, and cites what was used."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.report.methods_text import (
    Citations,
    agreement_text,
    comparison_text,
    methods_text,
)


@pytest.fixture(scope="module")
def dwi():
    bvals = [0, 0, 10, 20, 50, 100, 200, 400, 800]
    made = ik.simulate.phantom(shape=(16, 12, 1), bvals=bvals)
    return made.dwi.with_mask(made.labels > 0)


def written(result):
    """Return the paragraph and its references, numbers checked against each other."""
    citations = Citations()
    text = methods_text(result, citations)
    groups = re.findall(r" \[(\d+(?:, \d+)*)\]", text)
    numbers = {int(n) for group in groups for n in group.split(", ")}
    assert numbers == set(range(1, len(citations.listed) + 1))
    return text, citations.listed


def test_a_usual_fit(dwi):
    result = ik.fit(dwi)
    text, listed = written(result)
    versions = result.provenance.versions
    assert text.startswith(
        "Diffusion-weighted images at 8 b-values (0, 10, 20, 50, 100, 200, 400, 800 s/mm²; "
        f"9 volumes) were analysed voxel by voxel with ivimkit {versions['ivimkit']} (NumPy "
    )
    assert "averaged by the geometric mean across directions" in text
    assert "The bi-exponential IVIM model [1], S(b) = S0 [f exp(-b D*)" in text
    bounds = "f from 0 to 1, D* from 2 to 200 × 10⁻³ mm²/s, D from 0 to 5 × 10⁻³ mm²/s."
    assert bounds in plain(text)
    assert "The noise was taken to be Gaussian." in text
    assert "over all b-values" in text
    assert f"All {np.count_nonzero(result.mask)} voxels could be fitted." in text
    own = [*result.model.references, *result.method.references]
    assert listed[: len(own)] == own


def plain(text):
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sigma": 25.0}, "taken to be Gaussian with sigma = 25 a.u."),
        ({"sigma": np.full((16, 12, 1), 25.0)}, "with a map of sigma"),
        ({"method": "segmented", "sigma": 25.0}, "of one volume was given as sigma = 25 a.u."),
        ({"method": ik.methods.VarPro(noise="rician")}, "taken to be Rician."),
        (
            {"method": ik.methods.VarPro(noise="chi", coils=4)},
            "non-central chi-distributed of 4 coils.",
        ),
        ({"method": ik.methods.Segmented(b_split=150)}, "segmented; b_split = 150, steps = 3)"),
        (
            {"method": ik.methods.TRR(two_stage=False)},
            "split_b_D = 400, split_b_S0 = 200, two_stage = no)",
        ),
        ({"weights": [1, 1, 1, 1, 1, 1, 1, 2]}, "Additional weights were 1, 1, 1, 1, 1, 1, 1, 2."),
        ({"adc_bvals": [0, 400, 800]}, "over b = 0, 400, 800 s/mm²"),
        (
            {"model": ik.models.get("biexp").with_fixed(D_star=0.02)},
            "D* was fixed to 20 × 10⁻³ mm²/s.",
        ),
        (
            {"model": ik.models.get("biexp").with_fixed(D=np.full((16, 12, 1), 1e-3))},
            "D was fixed to a map.",
        ),
        ({"uncertainty": "profile"}, "by the profile likelihood (profile; parameters = none)"),
        (
            {"method": ik.methods.Bayes(prior=ik.priors.Organ("liver"))},
            "The prior was literature values of an organ.",
        ),
    ],
)
def test_what_a_fit_was_told(dwi, options, said):
    text, _ = written(ik.fit(dwi, **options))
    assert said in plain(text)


def test_a_learned_prior_says_from_how_many_voxels(dwi):
    text, listed = written(ik.fit(dwi, method="bayes"))
    assert re.search(r"learned from the voxels of the scan \(\d+ voxels\) \[", text)
    assert set(ik.priors.get("learned").references) <= set(listed)


def test_a_prior_from_elsewhere_is_called_by_its_rule(dwi):
    result = ik.fit(dwi, method=ik.methods.Bayes(prior="flat"))
    table = replace(result.priors["all"], rule="mine")
    text, _ = written(replace(result, priors={"3": table}))
    assert "The prior of region 3 was mine." in text


def test_an_organ_preset_is_named_with_its_literature(dwi):
    result = ik.fit(dwi)
    options = {**result.provenance.options, "organ": "kidney"}
    of_kidney = replace(result, provenance=replace(result.provenance, options=options))
    text, listed = written(of_kidney)
    assert "those of the preset kidney [" in text
    assert set(ik.organs.get("kidney").references) <= set(listed)


def test_an_adc_is_not_fitted_twice(dwi):
    text, _ = written(ik.fit(dwi, model="monoexp", method="loglinear"))
    assert "The apparent diffusion coefficient" not in text
    assert "perfusion fraction" not in text


def test_voxels_that_failed_are_counted(dwi):
    signal = np.array(dwi.signal, dtype=float)
    at = np.argwhere(dwi.mask)[0]
    signal[tuple(at)] = np.nan
    result = ik.fit(ik.DWI(signal, dwi.acquisition, mask=dwi.mask))
    n = np.count_nonzero(result.mask)
    text, _ = written(result)
    assert f"Of {n} voxels, 1 ({100 / n:.1f} %) could not be fitted" in text


def test_the_average_that_was_chosen(dwi):
    text, _ = written(ik.fit(dwi.with_average("arithmetic")))
    assert "averaged by their arithmetic mean" in text
    text, _ = written(ik.fit(dwi.with_average("none")))
    assert "averaged" not in text


def test_comparisons_cite_their_statistics():
    citations = Citations()
    assert "[1], the area under" in comparison_text(citations)
    assert "agreement [3]" in agreement_text(citations)
    assert "[1]" in comparison_text(citations)
    assert len(citations.listed) == 3
