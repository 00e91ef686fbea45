"""What a scan says about itself: every fault is named with its volumes, and good scans are not."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from benchmarks.scan_checks import phantoms, shared_scans

import ivimkit as ik
from ivimkit.errors import ScanWarning
from ivimkit.quality import scan_findings
from ivimkit.scan.checks.finding import named

B = np.array([0, 10, 20, 40, 60, 80, 100, 150, 200, 400, 600, 800.0])


def truth(shape=(12, 10, 4), seed=0):
    random = np.random.default_rng(seed)
    return {
        "f": random.uniform(0.1, 0.35, shape),
        "D_star": random.uniform(0.015, 0.06, shape),
        "D": random.uniform(0.7e-3, 1.8e-3, shape),
        "S0": random.uniform(500, 1500, shape),
    }


def signal(b=B, *, sd=5.0, seed=0):
    t = {name: values[..., None] for name, values in truth(seed=seed).items()}
    clean = t["S0"] * (t["f"] * np.exp(-b * t["D_star"]) + (1 - t["f"]) * np.exp(-b * t["D"]))
    return (clean + np.random.default_rng(seed + 1).normal(0, sd, clean.shape)).astype("f4")


S = signal()


def kinds(values, b, **options):
    return [(found.kind, found.volumes) for found in scan_findings(ik.DWI(values, b, **options))]


def with_volume(volume, value):
    values = S.copy()
    values[..., volume] = value
    return values


def test_flat_volume_of_a_selection():
    """It is looked up among the volumes that are used, and named by its number in the scan."""
    dwi = ik.DWI(with_volume(9, 7.0), B).select(volumes=list(range(3, 12)))
    assert [found.volumes for found in scan_findings(dwi)] == [(9,)]


def swapped(one, other):
    b = B.copy()
    b[[one, other]] = b[[other, one]]
    return b


def test_good_scan_has_none():
    assert scan_findings(ik.DWI(S, B)) == ()


ALL = tuple(range(12))


@pytest.mark.parametrize(
    ("b", "volumes", "text"),
    [
        (B[::-1], ALL, "the b-values seem to be in reverse order"),
        (np.roll(B, -1), ALL, "the volumes of the lowest b-value seem to be the first one"),
        (np.roll(B, 1), ALL, "the volumes of the lowest b-value seem to be the last one"),
        (swapped(4, 9), (4, 9), r"volumes 4 \(b = 400\) and 9 \(b = 60\) look swapped"),
        *((swapped(k, k + 1), (k, k + 1), "look swapped") for k in range(11)),
    ],
)
def test_order(b, volumes, text):
    (found,) = scan_findings(ik.DWI(S, b))
    assert (found.kind, found.volumes) == ("order", volumes)
    assert found.is_fault
    with pytest.warns(ScanWarning, match=f"the mean signal rises with b, from .*{text}"):
        ik.fit(S, b, model="monoexp", method="loglinear")


def test_files_in_alphabetical_order():
    by_name = sorted(range(12), key=lambda k: f"b{B[k]:g}")
    (found,) = scan_findings(ik.DWI(S[..., by_name], B))
    assert "alphabetical order of their b-values (0, 10, 100, 150, 20, 200 ...)" in found.text
    # 0 and 10 are in their places, and so is 800.
    assert found.volumes == tuple(range(2, 11))


def test_order_that_nothing_explains():
    random = np.random.default_rng(3)
    (found,) = scan_findings(ik.DWI(S[..., random.permutation(12)], random.permutation(B)))
    assert found.kind == "order"
    assert "do not fit into a decay (volumes count from 0)" in found.text


def test_low_b_written_as_0():
    b = np.where(B < 70, 0.0, B)
    (found,) = scan_findings(ik.DWI(S, b))
    assert (found.kind, found.volumes) == ("spread", (0, 1, 2, 3, 4))
    assert "the volumes at b = 0 differ by 30% in their mean signal" in found.text


@pytest.mark.parametrize("gain", [1.3, 1.1])
def test_b0_of_another_gain(gain):
    values = np.concatenate([gain * S[..., :1], S[..., :1], S], axis=-1)
    assert kinds(values, np.r_[0, 0, B]) == [("spread", (0, 1, 2))]


def test_repeats_that_agree():
    again = np.concatenate([S, signal(seed=0, sd=20.0)], axis=-1)
    assert kinds(again, np.r_[B, B]) == []
    # Measured twice, the second time in reverse: one finding, not one per b-value.
    assert [kind for kind, _ in kinds(again, np.r_[B, B[::-1]])] == ["spread"]


@pytest.mark.parametrize("volume", [0, 4, 11])
def test_volumes_without_an_image(volume):
    for value, kind in (
        (0.0, "empty"),
        (7.0, "constant"),
        (-1.0 - S[..., 0], "negative"),
        (np.nan, "not finite"),
    ):
        assert kinds(with_volume(volume, value), B) == [(kind, (volume,))]


def test_numbers_of_volumes_are_those_of_the_file():
    dwi = ik.DWI(with_volume(6, 0.0), B).select(bmin=40)
    assert [found.volumes for found in scan_findings(dwi)] == [(6,)]
    assert scan_findings(dwi.select(volumes=[0, 1, 2, 4, 5, 6, 7, 8])) == ()


@pytest.mark.parametrize(
    ("values", "kind"), [(0 * S, "empty"), (0 * S + 5, "constant"), (-1 - S, "negative")]
)
def test_whole_scan_without_an_image(values, kind):
    (found,) = scan_findings(ik.DWI(values, B))
    assert (found.kind, found.volumes, found.is_hopeless) == (kind, (), True)


def test_one_tissue_without_noise():
    clean = np.tile(1000 * np.exp(-1e-3 * B), (4, 4, 1))
    assert kinds(clean, B) == []
    assert kinds(clean, B[::-1]) == [("order", ALL)]
    clean[..., 4] = 0.0
    assert kinds(clean, B) == [("empty", (4,))]


def test_a_volume_that_only_looks_empty_in_a_sample():
    values = np.zeros((100, 100, 4))
    values[50, 50] = [4.0, 3.0, 2.0, 1.0]
    found = scan_findings(ik.DWI(values, [0, 50, 400, 800]))
    assert [finding.kind for finding in found if finding.is_fault] == []


def test_volume_written_twice():
    values = S.copy()
    values[..., 10] = values[..., 9]
    assert kinds(values, B) == [("copy", (9, 10))]


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("b", [0.0, 50.0, 800.0, 1000.0])
def test_map_of_the_adc_at_the_end(scale, b):
    values = np.concatenate([S, scale * truth()["D"][..., None]], axis=-1)
    found = kinds(values, np.r_[B, b])
    assert found
    assert all(12 in volumes for _, volumes in found)


def test_air_is_named_and_no_fault():
    made = ik.simulate.phantom(shape=(32, 24, 2))
    (found,) = scan_findings(made.dwi.with_mask(None))
    assert (found.kind, found.is_fault) == ("air", False)
    air = 1 - made.dwi.n_voxels / made.dwi.mask.size
    share = (
        float(re.search(r"about (\d+)% of the voxels have hardly any signal", found.text)[1]) / 100
    )
    assert share == pytest.approx(air, abs=0.1)
    assert "ivimkit.masks.auto(dwi)" in str(found)
    assert scan_findings(made.dwi) == ()


def test_few_voxels_tell_nothing():
    assert kinds(S[0, 0, :1], B[::-1]) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScanWarning)
        ik.fit(S[0, 0, 0], B[::-1], model="monoexp", method="loglinear")


@pytest.mark.parametrize("weights", [np.arange(12) != 4, np.arange(12) != 4.0])
def test_volumes_without_weight_do_not_count(weights):
    values = with_volume(4, 0.0)
    with pytest.warns(ScanWarning, match=r"volume 4 \(b = 60\) is 0 everywhere"):
        ik.fit(values, B, model="monoexp", method="loglinear")
    ik.fit(values, B, model="monoexp", method="loglinear", weights=weights.astype(float))


def test_compare_warns_once():
    with pytest.warns(ScanWarning, match="look swapped") as caught:
        ik.compare(S[:4], swapped(8, 9), models=["monoexp", "sivim"])
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("ignored", "asked"),
    [
        ({"category": ScanWarning}, 0),
        ({"category": UserWarning}, 0),
        ({"category": ScanWarning, "lineno": 1}, 1),
        ({"category": DeprecationWarning}, 1),
        ({"category": ScanWarning, "message": "something else"}, 1),
    ],
)
def test_nobody_looks_for_what_nobody_hears(monkeypatch, ignored, asked):
    """Fits within ivimkit, such as that of a region for its noise, leave the scan unexamined."""
    seen = []
    monkeypatch.setattr("ivimkit.fitting.fit.scan_findings", lambda dwi: seen.append(dwi) or ())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", **ignored)
        ik.fit(S[:4], B, model="monoexp", method="loglinear")
    assert len(seen) == asked


def test_good_phantoms_have_none():
    """Seven families at SNR 10 to 100; `python -m benchmarks.scan_checks` looks at thousands."""
    found = {number: case.kinds() for number, case in enumerate(phantoms(63))}
    assert {number: kinds for number, kinds in found.items() if kinds} == {}


def test_shared_scans_have_none(shared_data):
    """Every mask; of the abdomens all volumes, and one diffusion time with bipolar gradients."""
    prostate, abdomen = shared_data / "prostate", shared_data / "abdomen" / "volunteer1"
    cases = list(shared_scans(prostate, abdomen, slice(0, 3, 2)))
    assert len(cases) == 8 + 2 * 6 * 2
    assert [(case.family, case.bvals.size) for case in cases if case.kinds()] == []


def test_swaps_in_the_prostate(shared_data):
    b = np.loadtxt(shared_data / "prostate" / "dwi.bval")
    mask = shared_data / "prostate" / "roi_pz.nii.gz"
    dwi = ik.load(shared_data / "prostate" / "dwi.nii.gz", mask=mask)
    for k in range(b.size - 1):
        wrong = b.copy()
        wrong[[k, k + 1]] = b[[k + 1, k]]
        assert kinds(dwi.signal, wrong, mask=dwi.mask) == [("order", (k, k + 1))]


def test_long_lists_of_volumes_are_cut():
    assert named([3]) == "volume 3"
    assert named(range(20)).endswith("10 and 9 more")


def test_the_page_has_the_figures_of_the_study():
    root = Path(__file__).parents[4]
    study = json.loads((root / "benchmarks" / "results" / "scan_checks.json").read_text())
    page = (root / "docs" / "before-a-fit.md").read_text()
    for target in study["targets"]:
        assert target["reached"]
        assert f"- {target['text']}: {target['measured']}." in page


def test_a_scan_with_its_directions_apart_is_checked_like_any_other():
    """As a model of the direction fits it: they are neither shells nor scatter."""
    b = np.repeat([0.0, 200, 500, 800], 3)
    vectors = np.tile([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], (4, 1))
    clean = 1000.0 * np.exp(-b * (5e-4 + 1e-3 * vectors[:, 2]))
    measured = np.random.default_rng(1).normal(clean, 5.0, (400, 12))
    measured[:, 1] *= 1.5
    dwi = ik.DWI(measured, b, bvecs=vectors)
    found = scan_findings(dwi)
    assert [finding.volumes for finding in found] == [(0, 1, 2)]
    assert scan_findings(dwi.for_variables(("b", "gx"))) == found
