"""Step outliers: slices of volumes that lost signal are left out, and nothing else is."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit import simulate
from ivimkit.errors import InputError, OptionError
from ivimkit.fitting.screening import Screening

SHAPE = (38, 28, 8)


@pytest.fixture(scope="module")
def clean():
    return simulate.phantom(shape=SHAPE, snr=25, partial_volume=2)


@pytest.fixture(scope="module")
def spoiled(clean):
    """A scan with drop-outs, two of them at neighbouring b-values, and their places."""
    signal = clean.dwi.signal.copy()
    lost = np.zeros((SHAPE[2], 13), dtype=bool)
    for volume, place, factor in (
        (5, 1, 0.74),
        (6, 1, 0.79),
        (9, 1, 0.5),
        (7, 3, 0.8),
        (12, 6, 0.4),
    ):
        signal[:, :, place, volume] *= factor
        lost[place, volume] = True
    return clean.dwi.with_signal(signal), lost


def _left_out(dwi):
    """Return which slices of which volumes have the weight 0 as a whole."""
    if dwi.value_weights is None:
        return np.zeros((SHAPE[2], 13), dtype=bool)
    return (dwi.value_weights == 0).all(axis=(0, 1))


@pytest.fixture(scope="module")
def found(spoiled):
    return ik.preprocess(spoiled[0], "outliers")


@pytest.mark.parametrize("with_mask", [True, False])
def test_all_dropouts_are_found_and_none_is_false(spoiled, found, with_mask):
    dwi, lost = spoiled
    made = found if with_mask else ik.preprocess(dwi.with_mask(None), "outliers")
    np.testing.assert_array_equal(_left_out(made.dwi), lost)
    # Left out as wholes, with the air around, and nothing else.
    assert (made.dwi.value_weights == 0).sum() == lost.sum() * SHAPE[0] * SHAPE[1]
    np.testing.assert_array_equal(made.dwi.signal, dwi.signal)
    assert made.records[0].summary.startswith("5 slices of 5 volumes left out (")
    assert made.dwi.history.noise == "raw"


def test_nothing_of_a_clean_scan_is_left_out(clean):
    # Auto looks for the motion of each volume, too, which takes longer.
    made = ik.preprocess(clean.dwi.select(volumes=[0, 1, 2, 4, 6, 8, 10, 12]), "auto")
    assert "outliers" in [record.name for record in made.records]
    assert made.dwi.value_weights is None
    step = ik.steps.get("outliers")
    assert step.tell(clean.dwi) == "none found"


def test_what_is_told_names_volumes_and_slices(spoiled):
    text = ik.steps.get("outliers").tell(spoiled[0])
    assert "volume 5 in slice 1 (signal × 0.74), volume 6 in slice 1 (signal × 0.79)" in text
    assert text.endswith("(volumes and slices count from 0)")


def test_every_option_does_something(spoiled):
    dwi, lost = spoiled
    some = _left_out(ik.preprocess(dwi, "outliers:keep=11").dwi)
    assert some[1].sum() <= 2 < lost[1].sum()
    np.testing.assert_array_equal(some[3], lost[3])
    assert not _left_out(ik.preprocess(dwi, "outliers:limit=500").dwi).any()
    signal = np.array(dwi.signal)
    signal[19, 14, 4, 8] *= 5.0
    single = dwi.with_signal(signal)
    assert ik.preprocess(single, "outliers").dwi.value_weights[19, 14, 4, 8] == 1
    assert ik.preprocess(single, "outliers:values=yes").dwi.value_weights[19, 14, 4, 8] == 0
    with pytest.raises(InputError, match="degrees of freedom"):
        ik.preprocess(dwi.select(bvals=[0, 10, 40, 80, 200]), "outliers:model=sivim")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"limit": 0.0}, "limit is 0.0; expected a number of standard deviations > 0"),
        ({"keep": -1}, "keep is -1; expected a number of b-values >= 0"),
        ({"model": "biexq"}, "biexp"),
    ],
)
def test_wrong_options_are_refused(options, text):
    with pytest.raises(OptionError, match=text):
        ik.steps.get("outliers", **options)


def test_a_scan_that_cannot_be_judged_is_refused_or_not_taken(clean):
    few = clean.dwi.select(bvals=[0, 40, 200, 400, 800])
    step = ik.steps.get("outliers")
    with pytest.raises(InputError, match="step outliers: 5 volumes leave 1 degrees of freedom"):
        step.check(few)
    assert not step.decide(few).taken
    assert step.tell(few).startswith("not looked for, as 5 volumes")


def test_weights_of_the_scan_stay_and_the_numbers_can_be_drawn(spoiled):
    dwi, lost = spoiled
    own = np.ones(dwi.signal.shape, dtype=np.uint8)
    own[:10] = 0
    made = ik.preprocess(dwi.with_value_weights(own), "outliers")
    assert (made.dwi.value_weights[:10] == 0).all()
    np.testing.assert_array_equal(_left_out(made.dwi), lost)
    again = Screening.of_numbers(made.records[0].numbers)
    np.testing.assert_array_equal(again.left_out, lost)
    with pytest.raises(OptionError, match="incomplete or damaged"):
        Screening.of_numbers({"volumes": [1]})
