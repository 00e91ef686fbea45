"""preprocess: the steps that are applied, and what the scan says of them afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import InputError, NoiseChangedWarning, OptionError, StepWarning
from ivimkit.extend.preprocessing_step import STAGES, Decision, Outcome, Step
from ivimkit.preprocessing.step_list import check_order, steps_of
from ivimkit.report.methods_text import Citations, methods_text
from ivimkit.scan.history import NO_HISTORY, StepRecord


@dataclass(frozen=True)
class _Scale(Step):
    name: ClassVar[str] = "scale"
    title: ClassVar[str] = "Scale"
    stage: ClassVar[str] = "drift"
    references: ClassVar[tuple[str, ...]] = ("Someone. Somewhere 2020. doi:10.1/2",)

    factor: float = 2.0
    round: bool = False
    passes: int = 1
    limit: float | None = None

    def decide(self, dwi):
        return Decision(taken=bool(dwi.signal.max() < 100), reason="the signal is low")

    def apply(self, work, progress):
        progress(0.5)
        made = work.dwi.with_signal(self.factor * work.dwi.signal)
        progress(1.0)
        return Outcome(work.with_dwi(made), "scaled", {"factor": self.factor}, "changed")


class _Mend(_Scale):
    name: ClassVar[str] = "mend"

    def apply(self, work, progress):
        signal = work.dwi.signal.copy()
        signal[..., 3] /= 0.7
        return Outcome(work.with_dwi(work.dwi.with_signal(signal)), "mended")


class _Early(_Scale):
    name: ClassVar[str] = "early"
    stage: ClassVar[str] = "denoise"


class _Lacking(_Scale):
    name: ClassVar[str] = "lacking"
    libraries: ClassVar[dict[str, str]] = {"no_such_module": "no-such-package"}


@pytest.fixture
def dwi():
    decay = 10.0 * np.exp([0.0, -0.1, -0.8])
    return ik.DWI(np.linspace(0.5, 1.0, 32).reshape(4, 4, 2, 1) * decay, [0, 100, 800])


def test_a_step_changes_the_scan_and_is_in_its_history(dwi):
    seen = []
    made = ik.preprocess(dwi, _Scale(3.0), progress=lambda step, share: seen.append(share))
    assert made.dwi.signal.max() == 30.0
    assert seen == [0.5, 1.0]
    (record,) = made.records
    assert made.dwi.history.steps == (record,)
    assert (record.name, record.options["factor"], record.noise) == ("scale", 3.0, "changed")
    assert record.numbers == {"factor": 3.0}
    assert set(record.versions) == {"ivimkit"}
    assert record.references == _Scale.references
    assert made.dwi.history.noise == "changed"
    assert dwi.history is NO_HISTORY
    with pytest.warns(NoiseChangedWarning, match="what was left of its noise is not known"):
        assert ik.fit(made.dwi, model="monoexp").provenance.history == made.dwi.history


def test_the_last_record_tells_of_residuals_before_and_after():
    made = ik.simulate.phantom(shape=(32, 24, 2), bvals=[0, 20, 50, 100, 200, 400, 600, 800])
    spoiled = made.dwi.signal.copy()
    spoiled[..., 3] *= 0.7
    dwi = made.dwi.with_signal(spoiled)
    done = ik.preprocess(dwi, [_Mend(), ik.steps.get("mask")])
    before, after = done.dwi.history.residuals
    assert before > 1.5 * after
    assert done.dwi.history.residuals_told[0].startswith("residuals of a bi-exponential fit: ")
    # A mask alone changes no value.
    assert ik.preprocess(dwi, "mask").dwi.history.residuals is None


def test_auto_takes_what_the_scan_needs(dwi, monkeypatch):
    monkeypatch.setattr(ik.steps._FOLDER, "_registered", {"scale": _Scale})
    monkeypatch.setattr(ik.steps._FOLDER, "_files", ())
    taken = ik.preprocess(dwi)
    assert taken.decisions["scale"] == Decision(taken=True, reason="the signal is low")
    assert taken.dwi.history.names == ("scale",)
    not_needed = ik.preprocess(dwi.with_signal(100.0 * dwi.signal))
    assert not not_needed.records
    assert not not_needed.dwi.history
    again = ik.preprocess(taken.dwi)
    assert "already" in again.decisions["scale"].reason
    assert not again.records


@pytest.mark.parametrize(
    ("spoil", "steps", "words"),
    [
        (lambda s: 0 * s, "auto", "the scan has no signal: all values are 0"),
        (lambda s: np.full_like(s, np.nan), "outliers", "the scan has no signal"),
        (lambda s: s * [0, *[1] * 12], "align", r"no signal in volume 0 .*--volumes"),
        (lambda s: s * [*[1] * 12, 0], "denoise", r"no signal in volume 12 .*--volumes"),
        (lambda s: s * [1, np.nan, *[1] * 9, np.inf, 1], "denoise", "volumes 1, 11"),
        (lambda s: s[:4, :4], "align", "expected at least 8 along both axes"),
        (lambda s: s[:4, :4], "gibbs:partial_fourier=1", "8 voxels or more"),
        (lambda s: s[:3, :2, :1], "denoise", "no patch has more voxels"),
        (lambda s: s[:4, :4], "outliers", "50 are needed"),
    ],
)
def test_a_scan_of_which_a_step_learns_nothing_is_refused(spoil, steps, words):
    bvals = [0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800]
    made = ik.simulate.phantom(shape=(16, 12, 2), bvals=bvals, partial_volume=1)
    with pytest.raises(InputError, match=words):
        ik.preprocess(ik.DWI(spoil(made.dwi.signal), bvals), steps)


@pytest.mark.parametrize(
    ("steps", "bvals"), [("denoise", ik.simulate.B13), ("gibbs:partial_fourier=1", [0, 400])]
)
def test_negative_values_of_real_valued_images_remain(steps, bvals):
    made = ik.simulate.phantom(shape=(20, 16, 3), bvals=bvals, noise="gaussian", snr=10)
    dwi = made.dwi.with_mask(None)
    assert dwi.signal.min() < 0.0
    found = ik.preprocess(dwi, steps).dwi.signal
    # Neither noise nor ringing depends on a constant, with which no value is negative.
    above = ik.preprocess(dwi.with_signal(dwi.signal + 2000.0), steps).dwi.signal
    assert np.sqrt(np.mean((found - (above - 2000.0)) ** 2)) < 0.02 * made.sigma


def test_auto_says_which_step_it_could_not_consider(dwi, monkeypatch, tmp_path):
    monkeypatch.setattr(ik.steps._FOLDER, "_files", ())
    for steps in ({"lacking": _Lacking}, {"lacking": _Lacking, "scale": _Scale}):
        monkeypatch.setattr(ik.steps._FOLDER, "_registered", steps)
        with pytest.warns(
            StepWarning, match=r"step lacking: .*pip install 'ivimkit\[preprocess\]'"
        ):
            made = ik.preprocess(dwi)
        assert len(made.records) == len(steps) - 1
        assert "extra preprocess" in made.dwi.history.not_judged["lacking"]
        if not made.records:  # One fit is enough.
            told = methods_text(ik.fit(made.dwi, model="monoexp"), Citations())
            assert "Not considered before the fit: step lacking: no-such-package is not" in told
        folder = tmp_path / str(len(steps))
        ik.io.save_preprocessed(made.dwi, folder)
        history = ik.load(folder / "dwi.nii.gz").history
        assert history.not_judged == made.dwi.history.not_judged
        # What is only done when asked for is nothing to warn of.
        monkeypatch.setattr(_Lacking, "decide", Step.decide)
        assert not ik.preprocess(dwi).dwi.history.not_judged
        monkeypatch.undo()
        monkeypatch.setattr(ik.steps._FOLDER, "_files", ())


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("masc", "unknown step 'masc'; there are "),
        ("", "empty entry"),
        ("mask,", "empty entry"),
        ([], "there are no steps; expected auto"),
        ("mask,mask", "given twice"),
        ("mask,auto", "expected auto alone, or some of denoise"),
        ("AUTO", "expected auto alone"),
        ("mask:kind", "expected an option and a value, like mask:kind=auto"),
        ("mask:kind=body:kind=brain", "twice"),
        ("mask:colour=red", "has no option 'colour'; it has kind"),
        ("mask:kind=leg", "expected one of auto, body, brain"),
        ([_Scale(), _Early()], "step early comes after scale; expected it before, as noise must"),
    ],
)
def test_a_wrong_list_of_steps_says_what_to_do(dwi, steps, words):
    with pytest.raises(OptionError, match=words):
        ik.preprocess(dwi, steps)


def test_a_wrong_order_names_the_right_one():
    with pytest.raises(OptionError, match="Give early,scale,mask"):
        check_order([_Scale(), ik.steps.get("mask"), _Early()])


def test_earlier_steps_of_the_scan_count():
    done = NO_HISTORY.followed_by(StepRecord("mask", ""))
    with pytest.raises(OptionError, match="has had step mask already: begin with the scan as"):
        check_order([_Scale()], done)
    with pytest.raises(OptionError, match="has had step mask already; expected it once"):
        check_order([ik.steps.get("mask")], done)
    # Steps of packages that are not installed here are not known.
    check_order([_Scale()], NO_HISTORY.followed_by(StepRecord("elsewhere", "")))


def test_a_missing_library_is_named_before_any_work(dwi):
    with pytest.raises(InputError, match=r"no-such-package .* 'ivimkit\[preprocess\]'"):
        ik.preprocess(dwi, [_Scale(), _Lacking()])


def test_options_have_the_type_of_their_defaults(monkeypatch):
    monkeypatch.setattr(ik.steps._FOLDER, "_registered", {"scale": _Scale})
    (step,) = steps_of("scale:factor=3:round=yes:passes=2:limit=4.5")
    assert step == _Scale(3.0, True, 2, 4.5)
    for wrong in ("factor=x", "round=perhaps", "passes=1.5"):
        with pytest.raises(OptionError, match=r"expected (a number|yes or no|a whole number)"):
            steps_of(f"scale:{wrong}")


def test_every_step_has_a_stage_and_names_come_in_order():
    order = list(STAGES)
    stages = [order.index(ik.steps.get(name).stage) for name in ik.steps.names()]
    assert stages == sorted(stages)
