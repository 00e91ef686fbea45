"""Scans that contradict themselves: warnings of check, fit and compare, and --strict."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from ivimkit import DWI, io
from ivimkit.cli.screen.option_words import for_command_line
from ivimkit.engine import waiting
from ivimkit.fitting.fit import fit
from ivimkit.simulate import B13

QUICK = ("--model", "monoexp", "--method", "loglinear", "--no-figures")


@pytest.fixture
def reversed_scan(folder):
    """The phantom with its b-values in reverse order."""
    (folder / "dwi.bval").write_text(" ".join(f"{b:g}" for b in B13[::-1]))
    return folder / "dwi.nii.gz", "--mask", folder / "mask.nii.gz"


def test_check(run, reversed_scan):
    text = run("check", *reversed_scan).stdout
    assert "warning the mean signal rises with b, from" in text
    assert "seem to be in reverse order" in text
    assert text.endswith("before the warnings on its volumes are cleared up\n")
    for word in ("sound", "can be fitted", "belong together", "\nok      13"):
        assert word not in text
    assert run("check", *reversed_scan, "--strict", code=2).stdout == text


def test_check_of_an_empty_scan(run, folder, made):
    io.save_scan(DWI(0 * made.dwi.signal, B13), folder / "zero.nii.gz")
    text = run("check", folder / "zero.nii.gz", code=2).stdout
    assert "error   the whole scan is 0 everywhere: there is no signal to fit" in text
    assert "cannot be fitted with model biexp" in text
    assert "sound" not in text


def test_check_says_nothing_of_noise_where_repeats_differ(run, folder, scan):
    (folder / "dwi.bval").write_text(" ".join(f"{b if b > 50 else 0:g}" for b in B13))
    text = run("check", scan, "--mask", folder / "mask.nii.gz").stdout
    assert "warning the volumes at b = 0 differ by" in text
    assert "Noise and SNR: cannot be estimated from volumes of one b-value" in text
    # That of the air is known, whatever the b-values are.
    assert "sigma" not in text.replace("Noise floor, where a method subtracts one: sigma", "")
    assert "~" not in text.partition("Coverage")[0].partition("mean signal")[2]


def test_check_advises_options_only(run, folder, scan):
    text = run("check", scan).stdout
    assert "have one made (--mask auto)" in text
    for word in ("ivimkit.", "noise.from", "dwi.select"):
        assert word not in text.replace(str(folder), "")


@pytest.mark.parametrize(
    ("command", "options"), [("fit", QUICK), ("compare", ("--models", "monoexp,sivim"))]
)
def test_fit_and_compare(run, reversed_scan, folder, command, options):
    out = folder / "out"
    call = (command, *reversed_scan, *options, "--out", out)
    result = run(*call, "--strict", code=2)
    assert "error: the mean signal rises with b" in result.stderr
    assert not out.exists()
    assert run(*call).stderr.count("warning: the mean signal rises with b") == 1
    assert out.exists()


def test_strict_lets_a_good_scan_pass(run, scan, folder):
    """Air is no fault, and it is said in the terms of the command line."""
    result = run("fit", scan, *QUICK, "--strict", "--out", folder / "out")
    assert "have hardly any signal (air)" in result.stderr
    assert result.stderr.count("--mask auto)") == 1
    assert "ivimkit.masks" not in result.stderr


@pytest.mark.parametrize(
    ("command", "options"), [("fit", QUICK), ("compare", ("--models", "monoexp,sivim"))]
)
def test_strict_does_not_count_volumes_without_weight(run, folder, made, command, options):
    signal = made.dwi.signal.copy()
    signal[..., 4] = 0
    scan = folder / "hole.nii.gz"
    io.save_scan(DWI(signal, B13, mask=made.dwi.mask), scan)
    call = (command, scan, "--mask", folder / "mask.nii.gz", *options, "--out", folder / "out")
    assert "volume 4" in run(*call, "--strict", code=2).stderr
    weights = ",".join("0" if volume == 4 else "1" for volume in range(len(B13)))
    assert "volume 4" not in run(*call, "--weights", weights, "--strict").stderr


def test_stack_in_the_order_of_the_shell(run, folder, made):
    paths = [folder / f"dwi_b{b:g}.nii.gz" for b in B13]
    for k, path in enumerate(paths):
        io.save_map(made.dwi.signal[..., k], path, made.dwi.geometry)
    options = ("--stack", "--bval", folder / "dwi.bval", "--mask", folder / "mask.nii.gz")
    text = run("check", *sorted(paths), *options).stdout
    assert "contradict each other in" in text
    assert "dwi_b110.nii.gz (volume 2, counted from 0) is given b = 20" in text
    assert "alphabetical order of their b-values" in text
    good = run("check", *paths, *options, "--strict").stdout
    assert "contradict" not in good


def test_advice_in_the_terms_of_the_command_line():
    text = "Leave out the highest (--bmax 1000, or dwi.select(bmax=1000)); or not (as here)"
    assert for_command_line(text) == "Leave out the highest (--bmax 1000); or not (as here)"


def test_what_is_compiled_is_not_announced(caplog):
    """The first fit may compile; the second finds it in memory, another process on disk."""
    signal = np.exp(-np.arange(4.0))[None] * 100
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="ivimkit"):
            fit(signal, [0, 100, 200, 800], model="monoexp", method="loglinear")
    assert waiting.COMPILING not in caplog.messages
