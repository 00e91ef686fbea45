"""The contract of contenders: each that is installed gives noise-free signals back."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy
from benchmarks.contender import Answer, Contender
from benchmarks.contender_process import ContenderProcess, absence, interpreter
from benchmarks.contenders import all_contenders
from benchmarks.data import B13, B21, simulated
from benchmarks.recovery import recovery_error, whole_rates

from ivimkit import methods
from ivimkit.conventions import D_STAR

PAIRS = [(file, one) for file, several in all_contenders().items() for one in several]
SCIPY = next(one for _, one in PAIRS if one.package == "scipy")
NAMES = [one.name for _, one in PAIRS]
# Method bayes learns from no fewer than 50 voxels; the slowest fit a dozen in a second.
MANY, FEW, SLOW = 64, 6, 1000


def test_a_contender_without_what_it_needs_is_left_out_with_its_name() -> None:
    lame = replace(SCIPY, needs=("nobody_wrote_this",))
    assert interpreter(SCIPY) is not None
    assert interpreter(lame) is None
    assert "scipy or nobody_wrote_this is not installed" in absence(lame)


@pytest.mark.parametrize(("file", "contender"), PAIRS, ids=NAMES)
@pytest.mark.parametrize("bvals", [B21, B13], ids=["b21", "b13"])
@pytest.mark.filterwarnings("ignore")  # Those of other people's packages.
def test_noise_free_signals_are_given_back(
    file: str, contender: Contender, bvals: np.ndarray
) -> None:
    python = interpreter(contender)
    if python is None:
        pytest.skip(absence(contender))
    voxels = FEW if contender.pace < SLOW else MANY
    if python == Path(sys.executable):
        error = recovery_error(contender, contender.make(bvals), bvals, voxels=voxels)
    else:
        with ContenderProcess(file, contender) as process:
            error = recovery_error(
                contender, lambda signal: process.fit(signal, bvals).answer, bvals, voxels=voxels
            )
    assert error <= contender.tolerance


def test_every_method_takes_part() -> None:
    ours = {one.name for _, one in PAIRS if one.package == "ivimkit"}
    without_penalty = [name for name in methods.names() if not methods.get(name).has_penalty]
    assert ours == {f"ivimkit-{name}" for name in without_penalty}


def test_names_are_unique_and_adapters_complete() -> None:
    assert len(set(NAMES)) == len(NAMES) == len({one.label for _, one in PAIRS})
    for _, one in PAIRS:
        assert one.install.startswith(("pip install", "python3 -m venv"))
        assert one.convention in D_STAR
        assert one.tolerance <= 0.01
        for name in one.estimates:
            low, high = one.bounds[name]
            assert low <= one.checked[name][0] < one.checked[name][1] <= high


def test_a_missing_package_is_a_sentence_with_the_command() -> None:
    absent = replace(SCIPY, package="no-such", module="no_such", install="pip install no-such")
    assert interpreter(absent) is None
    assert "no-such is not installed. To install it: pip install no-such" in absence(absent)
    with pytest.raises(ModuleNotFoundError, match="pip install no-such"):
        ContenderProcess("scipy", absent)


def test_a_process_is_pinned_and_goes_on_after_a_fault() -> None:
    data = simulated("b21", 50, 3)
    with ContenderProcess("scipy", SCIPY) as process:
        first = process.fit(data.signal, data.bvals)
        with pytest.raises(RuntimeError, match="scipy curve_fit stopped: IndexError"):
            process.fit(data.signal[0, 0], data.bvals)
        second = process.fit(data.signal, data.bvals)
        if hasattr(os, "sched_getaffinity"):
            assert len(os.sched_getaffinity(process.pid)) == 1
    here = SCIPY.make(data.bvals)(data.signal)
    np.testing.assert_array_equal(second.answer.params, here.params)
    assert second.answer.flagged is None
    assert second.version == scipy.__version__
    # The first has the start of the process in it.
    assert first.seconds > second.seconds > 0.0
    assert 10e6 < second.peak < 10e9


def test_flags_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three voxels take less time than compiling for them, which a contender always does anew.
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    file, ours = next(pair for pair in PAIRS if pair[1].name == "ivimkit-loglinear")
    signal = np.vstack([simulated("b21", 50, 2).signal, np.full((1, B21.size), np.nan)])
    with ContenderProcess(file, ours) as process:
        answer = process.fit(signal, B21).answer
    assert answer.flagged is not None
    assert answer.flagged[-1]
    assert np.isnan(answer.params[-1]).all()
    assert np.isnan(answer.params[:, 2]).all()  # Simplified IVIM has no D*.
    assert np.isfinite(answer.params[:2, [0, 1, 3]]).all()


def test_d_star_is_converted() -> None:
    params = np.array([[1000.0, 0.1, 0.02, 1e-3]])
    ours = whole_rates(Answer(params), replace(SCIPY, convention="plus_Db"))
    np.testing.assert_allclose(ours, np.array([[1000.0, 0.1, 0.02175, 1e-3]]), rtol=1e-12)
    np.testing.assert_array_equal(whole_rates(Answer(params), SCIPY), params)


def test_wrong_answers_are_not_recovered() -> None:
    def wrong_f(signal: np.ndarray) -> Answer:
        answer = SCIPY.make(B21)(signal)
        return Answer(answer.params * [1.0, 1.01, 1.0, 1.0])

    def nothing(signal: np.ndarray) -> Answer:
        return Answer(np.full((signal.shape[0], 4), np.nan))

    assert recovery_error(SCIPY, wrong_f, B21, voxels=3) == pytest.approx(0.01, rel=1e-3)
    assert recovery_error(SCIPY, nothing, B21, voxels=3) == np.inf
