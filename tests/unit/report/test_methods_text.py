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
    assert "averaged by their arithmetic mean" in text
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
        ({"method": "segmented", "sigma": "repeats"}, "a.u., estimated from repeated volumes."),
        ({"method": ik.methods.VarPro(noise="rician")}, "taken to be Rician."),
        (
            {"method": ik.methods.VarPro(noise="chi", coils=4)},
            "non-central chi-distributed of 4 coils.",
        ),
        (
            {"method": ik.methods.Segmented(b_split=150)},
            "method segmented (segmented fit; b_split = 150, steps = 3)",
        ),
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
    text, listed = written(ik.fit(dwi, method=ik.methods.Bayes(prior="learned")))
    assert re.search(r"learned from the voxels of the scan \(\d+ voxels\) \[", text)
    assert set(ik.priors.get("learned").references) <= set(listed)


def test_the_prior_that_auto_took_is_named_with_the_reason(dwi):
    text, _ = written(ik.fit(dwi, method="bayes"))
    said = "The prior, chosen by ivimkit because voxels have neighbours, was learned from the "
    assert f"{said}voxels around each voxel" in plain(text)


def test_a_prior_from_elsewhere_is_called_by_its_rule(dwi):
    result = ik.fit(dwi, method=ik.methods.Bayes(prior="flat"))
    table = replace(result.priors["all"], rule="mine")
    learned = replace(result.learned["all"], prior=table)
    text, _ = written(replace(result, learned={"3": learned}))
    assert "The prior of region 3 was mine." in text


def with_organ(result, organ):
    return replace(result, settings=replace(result.settings, organ=organ))


SAID_OF_KIDNEY = {
    "trr": "The starting value of D* was that of the preset kidney [",
    "segmented": "The threshold of {b_split:g} s/mm² was that of the preset kidney [",
}


@pytest.mark.parametrize("name", sorted(ik.methods.names()))
def test_only_what_a_method_takes_from_a_preset_is_said(dwi, name):
    kidney = ik.organs.get("kidney")
    model = ik.models.get("sivim" if name == "loglinear" else "biexp")
    if model.name == "biexp":
        model = model.with_start(D_star=kidney.means["D_star"])
    own = {"b_split": kidney.b_split} if "b_split" in ik.methods.get(name).options() else {}
    method = ik.methods.get(name, **own)
    text, listed = written(with_organ(ik.fit(dwi, model=model, method=method), "kidney"))
    said = SAID_OF_KIDNEY.get("segmented" if own else name)
    if said is None:
        assert "preset" not in text
        assert "tarting" not in text
        return
    assert said.format(b_split=kidney.b_split) in text
    assert set(kidney.references) <= set(listed)


def test_the_split_of_an_organ_is_said(dwi):
    result = with_organ(ik.fit(dwi), "liver")
    model = ik.models.get("triexp")
    usual = replace(result, settings=replace(result.settings, model=model))
    assert "preset" not in written(usual)[0]
    split = replace(result, settings=replace(result.settings, model=model.for_organ("liver")))
    text, listed = written(split)
    assert "The bounds of D_fast and D_inter were those of the preset liver [" in text
    assert set(ik.organs.get("liver").references) <= set(listed)


def test_a_threshold_of_ones_own_is_not_that_of_the_preset(dwi):
    result = ik.fit(dwi, method=ik.methods.Segmented(b_split=130))
    assert "preset" not in written(with_organ(result, "kidney"))[0]


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


AVERAGES = {
    # Of b = 400 twice in each of three directions, as averaged by hand.
    ("auto", True): "by the geometric mean across directions and the arithmetic mean across rep",
    ("auto", False): "by their arithmetic mean",
    ("arithmetic", True): "by their arithmetic mean",
    ("arithmetic", False): "by their arithmetic mean",
    ("geometric", True): "by their geometric mean",
    ("geometric", False): "by their geometric mean",
    ("none", True): "",
    ("none", False): "",
}


@pytest.mark.parametrize(("average", "directions"), AVERAGES)
def test_the_average_is_the_one_that_was_made(average, directions):
    b = np.array([0, 10, 20, 50, 100, 200, 800, *[400] * 6])
    signal = np.array([[100, 90, 86, 80, 74, 66, 30, *[60, 50, 40, 56, 48, 44]]], float)
    vectors = np.zeros((b.size, 3))
    vectors[1:7, 0] = 1.0
    vectors[7:] = np.tile(np.eye(3), (2, 1))
    acquisition = ik.Acquisition(b, vectors if directions else None)
    scan = ik.DWI(signal, acquisition, average=average)
    text, _ = written(ik.fit(scan))
    expected = AVERAGES[average, directions]
    assert f"averaged {expected}" in text if expected else "averaged" not in text
    at_400 = scan.voxels()
    values = np.empty((1, scan.fit_bvals.size))
    at_400.read(0, 1, values)
    triples = signal[0, 7:].reshape(2, 3)
    by_hand = {
        "by their arithmetic mean": triples.mean(),
        "by their geometric mean": np.exp(np.log(triples).mean()),
    }.get(expected, np.exp(np.log(triples.mean(axis=0)).mean()))
    if expected:
        assert values[0, list(scan.fit_bvals).index(400)] == pytest.approx(by_hand)


def test_one_direction_is_averaged_arithmetically():
    b = np.array([0, 0, 10, 20, 50, 100, 200, 400, 800])
    vectors = np.where(b[:, np.newaxis] > 0, [[1.0, 0, 0]], 0.0)
    scan = ik.DWI(np.exp(-1e-3 * b)[np.newaxis], ik.Acquisition(b, vectors))
    assert "by their arithmetic mean" in written(ik.fit(scan))[0]


def test_comparisons_cite_their_statistics():
    citations = Citations()
    text = comparison_text(citations)
    assert "difference [1], voxel-wise by Hedges' g [2], the area under" in text
    assert "did not determine" in text
    assert "left out" not in comparison_text(citations, reliable_only=False)
    assert "agreement [4]" in agreement_text(citations)
    assert "[1]" in comparison_text(citations)
    assert len(citations.listed) == 4
