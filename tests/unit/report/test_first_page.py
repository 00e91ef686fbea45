"""The first page alone never misleads: a lesion, pure noise, swapped volumes, other content."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import ScanWarning
from ivimkit.report import builder
from ivimkit.report.section_blocks import Facts, Front, Overall, Pictures, Table, Text
from ivimkit.report.sections.summary_section import summary
from made_results import biexp_maps, made_result

B = [0, 0, 10, 20, 30, 50, 100, 200, 400, 600, 800]
TISSUE, LESION = (1000, 0.3, 0.07, 1.1e-3), (1000, 0.15, 0.07, 0.8e-3)
LABELS = np.zeros((16, 12, 1), np.int32)
LABELS[5:10, 4:8], LABELS[:, 8:] = 1, 2
AIR = (LABELS == 0) & (np.arange(12) < 4)[:, np.newaxis]
REGIONS = ik.Labels(LABELS, {1: "lesion", 2: "liver"})


def scan(change=None):
    """Return a slice with a lesion at an SNR of 50; `change` gets its signal."""
    truth = np.where((LABELS == 1)[..., np.newaxis], LESION, TISSUE)
    signal = ik.simulate.signals("biexp", truth, B)
    signal = ik.simulate.add_noise(signal, sigma=20.0, seed=1)
    return ik.DWI(signal if change is None else change(signal), B)


def fit_of_fault(change):
    """Fit a scan that cannot be right."""
    with pytest.warns(ScanWarning):
        return ik.fit(scan(change))


def swapped(signal):
    found = signal.copy()
    found[..., [3, 8]] = found[..., [8, 3]]
    return found


def noise(signal):
    return ik.simulate.add_noise(np.zeros_like(signal), sigma=20.0, seed=2)


def first(report):
    """Return the blocks of the first page, those side by side, too."""
    found = []
    for block in report.sections[0].blocks:
        inside = block.columns if isinstance(block, Front) else ()
        found += [block, *(part for _, parts in inside for part in parts)]
    return found


def of(report, kind):
    return [block for block in first(report) if isinstance(block, kind)]


def texts(report, tone):
    return [block.text for block in of(report, Text) if block.tone == tone]


@pytest.fixture(autouse=True)
def _only_the_first_page(monkeypatch):
    """Leave the other sections out: they take most of the time."""
    monkeypatch.setattr(builder, "_sections", lambda subject: (summary(subject),))


@pytest.fixture(scope="module")
def result():
    return ik.fit(scan())


@pytest.fixture(scope="module")
def wrong():
    """The fit of a scan with two swapped volumes."""
    return fit_of_fault(swapped)


def test_a_known_lesion_has_its_direction_and_limits_around_the_truth(result):
    compared = ik.report.build(result, labels=REGIONS, lesion="lesion", reference="liver")
    (said,) = texts(compared, "lead")
    assert not texts(compared, "warning")
    for name, place in (("D", 3), ("f", 1)):
        (word, low, high) = re.search(
            rf"{name} [\d.]+ against [\d.]+[^(]*\((?:clearly )?(\w+), \d+ %; "
            r"95 % limits (\S+) % to (\S+) %\)",
            said,
        ).groups()
        true = 100 * (LESION[place] / TISSUE[place] - 1)
        low, high = (float(end.replace("−", "-")) for end in (low, high))
        assert (word, low <= true <= high) == ("lower", True)
    (numbers,) = of(compared, Table)
    assert [row[0] for row in numbers.rows] == ["lesion", "liver"]
    for row, truth in zip(numbers.rows, (LESION, TISSUE), strict=True):
        ends = [[float(part) for part in re.findall(r"[\d.]+", cell)] for cell in row[1:]]
        assert all(low <= value <= high for value, low, high in ends)
        # The limits of a median know nothing of the small bias of f.
        assert ends[1][1] <= 1e3 * truth[3] <= ends[1][2]
    assert len(of(compared, Pictures)) == 1


def test_the_light_is_that_of_the_lesion_and_its_reference_not_of_the_mask():
    def in_air(signal):
        """Return the signal of a body, with air in a third of the mask."""
        return ik.simulate.add_noise(signal * ~AIR[..., np.newaxis], sigma=5.0, seed=3)

    def dark(signal):
        small = np.where((LABELS == 1)[..., np.newaxis], 0.04, 1.0) * signal
        return ik.simulate.add_noise(small, sigma=20.0, seed=3)

    def judged(change, **regions):
        with warnings.catch_warnings():
            # Of the air, which some masks contain.
            warnings.simplefilter("ignore", ScanWarning)
            report = ik.report.build(ik.fit(scan(change)), **regions)
        (overall,) = of(report, Overall)
        poor = {one.name: one.region for one in overall.lights if one.colour == "red"}
        return overall, poor, report

    lesion = {"labels": REGIONS, "lesion": "lesion", "reference": "liver"}
    overall, poor, _ = judged(in_air)
    assert "values at a bound" in poor
    assert overall.about == "Voxels are counted in the whole mask."
    overall, poor, _ = judged(in_air, **lesion)
    assert not poor
    assert overall.about.startswith("Voxels are counted in lesion and liver, each on its own")
    _, poor, _ = judged(dark)
    assert not poor
    overall, poor, report = judged(dark, **lesion)
    assert overall.light.colour == "red"
    assert set(poor.values()) == {"lesion"}
    assert "signal-to-noise ratio (lesion)" in re.sub(r"\s+", " ", report.html)


def test_of_noise_there_is_nothing_to_read():
    report = ik.report.build(ik.fit(scan(noise)), labels=REGIONS, lesion="lesion")
    (said,) = texts(report, "warning")
    assert said.startswith("Nothing to read. The signal does not fall with b")
    assert not texts(report, "lead")
    assert not of(report, Table)
    (overall,) = of(report, Overall)
    assert overall.light.colour == "red"
    assert "decay of the signal" in [one.name for one in overall.lights if one.colour == "red"]


def test_swapped_volumes_are_told_in_place_of_numbers(wrong):
    report = ik.report.build(wrong, labels=REGIONS, lesion="lesion")
    (said,) = texts(report, "warning")
    assert "volumes 3 (b = 20) and 8 (b = 400) look swapped" in said
    assert not texts(report, "lead")
    assert not of(report, Table)
    (overall,) = of(report, Overall)
    assert (overall.light.colour, overall.lights[0].name) == ("red", "the scan")


def test_another_fault_is_told_before_the_numbers():
    def copied(signal):
        found = signal.copy()
        found[..., 7] = found[..., 6]
        return found

    report = ik.report.build(fit_of_fault(copied))
    (said,) = texts(report, "warning")
    assert "equal in every voxel" in said
    tones = [block.tone for block in of(report, Text)]
    assert tones.index("warning") < tones.index("lead")
    assert of(report, Overall)[0].light.colour == "red"


def test_one_region_several_and_none(result):
    one = ik.Labels(np.where(LABELS == 2, 1, 0), {1: "liver"})
    (said,) = texts(ik.report.build(result, labels=one), "lead")
    assert said.startswith("Liver: ADC ")
    assert "with 95 % limits; medians of the reliable voxels" in said
    several = ik.report.build(result, labels=REGIONS)
    assert re.match(
        r"2 regions: ADC from .* in lesion to .* in liver; D from", *texts(several, "lead")
    )
    assert len(of(several, Table)[0].rows) == 2
    bare = ik.report.build(result)
    (said,) = texts(bare, "lead")
    assert said.startswith("All 192 voxels together: ADC ")
    assert len(of(bare, Table)[0].rows[0]) == 7
    assert len(of(bare, Pictures)) == 1


def test_two_results_begin_with_their_difference(result, wrong):
    other = ik.fit(scan(), method="segmented")
    report = ik.report.build(result, other, labels=REGIONS, lesion="lesion", reference="liver")
    difference, *lesions = texts(report, "lead")
    assert difference.startswith("segmented minus varpro: ADC the same in all 192 voxels, D ")
    assert [text.split(":")[0] for text in lesions] == ["varpro", "segmented"]
    assert [one.name for one in of(report, Overall)] == ["varpro", "segmented"]
    rows = [row[:2] for row in of(report, Table)[0].rows]
    names = [(region, name) for region in ("lesion", "liver") for name in ("varpro", "segmented")]
    assert rows == names
    half = ik.report.build(result, wrong, names=["right", "wrong"])
    assert texts(half, "warning")[0].startswith("wrong: Nothing to read.")
    assert [text.split(":")[0] for text in texts(half, "lead")] == ["right"]


def test_too_few_reliable_voxels_are_told():
    maps = biexp_maps((6, 5, 1))
    status = np.full((6, 5, 1), int(ik.status.FitStatus.TISSUE_NOT_DETECTED))
    result = made_result({**maps, "cost": np.ones((6, 5, 1))}, status=status)
    report = ik.report.build(result, labels=np.ones((6, 5, 1), int))
    (said,) = texts(report, "lead")
    assert said.startswith("1: ADC 1.1")
    assert said.endswith(". D, f, f D*: unknown, only 0 of 30 voxels are reliable.")
    (row,) = of(report, Table)[0].rows
    assert (row[2], row[3], row[5]) == ("unknown",) * 3


def test_study_date_organ_and_protocol(result):
    organ = replace(result, settings=replace(result.settings, organ="liver"))
    facts = dict(*[one.facts for one in of(ik.report.build(organ), Facts)])
    assert facts["Scan"] == "an array, without a file"
    assert facts["Fitted"] == result.provenance.started[:10]
    assert facts["Organ"] == "liver"
    assert facts["Protocol"].startswith("10 b-values from 0 to 800 s/mm², 11 volumes; 16 × 12 × 1")


def test_names_of_files_in_a_fault_are_hidden(result, monkeypatch):
    fault = ik.quality.ScanFinding("names", (1,), "Mustermann_b50.nii is given b = 20", "Look")
    monkeypatch.setattr(ik.quality, "scan_findings", lambda dwi: (fault,))
    hidden = ik.report.build(result)
    assert "names of the files and the b-values contradict" in texts(hidden, "warning")[0]
    assert "Mustermann" not in hidden.html
    assert "Mustermann" in texts(ik.report.build(result, anonymous=False), "warning")[0]
