"""What every step before the fit promises."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import steps
from ivimkit.errors import InputError, OptionError
from ivimkit.extend import preprocessing_step
from ivimkit.extend.preprocessing_step import STAGES, Step
from ivimkit.preprocessing.step_list import check_order
from ivimkit.simulate import Artefacts, Motion

NAMES = steps.names()
BVALS = [0, 40, 0, 150, 300, 500, 800, 0]


@pytest.fixture(scope="module")
def dwi():
    """A scan of moving tissue with repeats, a mask and directions."""
    moving = Artefacts(motion=Motion("rigid", mm=3))
    made = ik.simulate.phantom(shape=(22, 18, 4), bvals=BVALS, snr=40, artefacts=moving).dwi
    acquisition = ik.Acquisition(BVALS, np.tile([0.0, 0.6, 0.8], (len(BVALS), 1)))
    return made.with_signal(made.signal, acquisition=acquisition)


@pytest.fixture(scope="module")
def applied(dwi):
    """What each step makes of the scan with its default options; None if it refuses the scan."""
    known = {}

    def apply(name):
        if name not in known:
            shares = []
            try:
                made = ik.preprocess(dwi, name, progress=lambda step, share: shares.append(share))
            except InputError:
                made = None
            known[name] = made, shares
        if known[name][0] is None:
            pytest.skip("refuses this scan")
        return known[name]

    return apply


def test_every_file_is_a_step_and_every_step_a_file():
    files = {path.stem for path in Path(steps.__file__).parent.glob("[!_]*.py")}
    assert files == set(NAMES)
    stages = list(STAGES)
    order = [stages.index(steps.get(name).stage) for name in NAMES]
    assert order == sorted(order)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_says_what_it_is_and_where_it_comes_from(name):
    step = steps.get(name)
    assert step.name == name
    assert step.stage in STAGES
    assert step.title[0].isupper()
    assert not step.title.endswith(".")
    assert all("doi:10." in reference for reference in step.references)
    assert all(library.strip() for library in step.libraries.values())
    assert step == steps.get(name, **step.options())
    assert json.loads(json.dumps(step.options())) == step.options()
    assert getattr(steps, type(step).__name__) is type(step)


@pytest.mark.parametrize("name", NAMES)
def test_options_are_checked(name):
    with pytest.raises(OptionError, match=f"step {name} has no option 'magic'; it has "):
        steps.get(name, magic=1)
    for option, usual in steps.get(name).options().items():
        wrong = "nonsense" if isinstance(usual, str) or usual is None else -1
        with pytest.raises(OptionError, match=r"; (expected|there are) "):
            steps.get(name, **{option: wrong})


@pytest.mark.parametrize("name", NAMES)
def test_a_step_keeps_what_is_not_its_business(name, dwi, applied):
    before = dwi.signal.copy()
    made, shares = applied(name)
    new, step = made.dwi, steps.get(name)
    assert np.array_equal(dwi.signal, before)
    assert (new.shape, new.geometry) == (dwi.shape, dwi.geometry)
    if step.stage != "average":
        assert np.array_equal(new.acquisition.bvals, dwi.acquisition.bvals)
        assert [s.volumes for s in new.acquisition.shells] == [
            s.volumes for s in dwi.acquisition.shells
        ]
    if step.stage != "mask":
        assert np.array_equal(new.mask, dwi.mask)
    left_out = ~np.isfinite(new.signal)
    if left_out.any():
        # A missing value is never the value 0, and never fitted.
        assert (new.value_weights[left_out] == 0).all()
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert min(shares) >= 0.0


@pytest.mark.parametrize("name", NAMES)
def test_the_record_is_plain_and_complete(name, applied):
    made, _ = applied(name)
    (record,) = made.records
    step = steps.get(name)
    assert made.dwi.history.steps == (record,)
    assert record.options == step.options()
    assert json.loads(json.dumps(record.numbers, allow_nan=False)) == record.numbers
    assert set(record.versions) == {"ivimkit", *step.libraries.values()}
    assert record.summary
    assert not record.summary.endswith(".")
    assert record.noise in ("raw", "interpolated", "changed")


@pytest.mark.parametrize("name", NAMES)
def test_results_do_not_depend_on_the_number_of_threads(name, dwi, applied, monkeypatch):
    made, _ = applied(name)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    again = ik.preprocess(dwi, name)
    assert np.array_equal(again.dwi.signal, made.dwi.signal, equal_nan=True)
    assert again.records == made.records


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_library_is_one_sentence(name, dwi, monkeypatch):
    step = steps.get(name)
    if not step.libraries:
        pytest.skip("needs no library")
    monkeypatch.setattr(preprocessing_step, "find_spec", lambda module: None)
    with pytest.raises(InputError, match=r"pip install 'ivimkit\[preprocess\]'"):
        ik.preprocess(dwi, step)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_after_a_later_one_is_an_error_that_says_why(name):
    step = steps.get(name)
    stages = list(STAGES)
    for other in map(steps.get, NAMES):
        if stages.index(other.stage) > stages.index(step.stage):
            with pytest.raises(OptionError, match=STAGES[step.stage]):
                check_order([other, step])
        check_order(sorted([step, other], key=lambda one: stages.index(one.stage)))


def test_a_step_is_a_plug_in():
    assert all(isinstance(steps.get(name), Step) for name in NAMES)
