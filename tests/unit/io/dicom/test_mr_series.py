"""MR series: whole numbers from which each value is read back within half a step."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dicom_results import dicom_result
from ivimkit.io.dicom.mr_series import NO_VALUE, scale_of
from ivimkit.io.dicom.quantities import quantity_of

RESULT = dicom_result()
# What the numbers of a double add to half a step.
ROUNDING = 1e-9


@given(
    st.sampled_from(["D", "D_star", "f", "ADC", "S0"]),
    st.floats(1e-6, 1e9),
    arrays(np.float64, 20, elements=st.floats(-1, 1, allow_subnormal=False) | st.just(np.nan)),
)
def test_within_half_a_step(name, size, shares):
    values = shares * size
    scale = scale_of(quantity_of(RESULT, name), values)
    stored = scale.stored(values)
    assert stored.dtype == np.int16
    lost = np.isnan(values)
    assert (stored[lost] == NO_VALUE).all()
    assert (stored[~lost] >= 0).all()
    back = stored[~lost] * scale.slope + scale.intercept
    assert (np.abs(back - values[~lost]) <= scale.slope * (0.5 + ROUNDING)).all()


@pytest.mark.parametrize(
    ("name", "highest", "slope"),
    [("D", 3000.0, 1.0), ("ADC", 3000.0, 1.0), ("D_star", 50_000.0, 10.0), ("f", 30.0, 0.01)],
)
def test_steps_do_not_depend_on_the_patient(name, highest, slope):
    quantity = quantity_of(RESULT, name)
    for values in (np.array([highest]), np.array([0.1 * highest]), np.array([np.nan])):
        scale = scale_of(quantity, values)
        assert (scale.slope, scale.intercept) == (slope, 0.0)


def test_infinite_is_no_value():
    scale = scale_of(quantity_of(RESULT, "ADC"), np.array([np.inf, 100.0]))
    assert scale.stored(np.array([np.inf, -np.inf, 100.0])).tolist() == [NO_VALUE, NO_VALUE, 100]


def test_negative_values_have_room_below_zero():
    quantity = dataclasses.replace(quantity_of(RESULT, "ADC"), bounds=(-np.inf, np.inf))
    scale = scale_of(quantity, np.array([-250.0, 1000.0]))
    assert scale.intercept == -250.0
    assert scale.stored(np.array([-250.0, 1000.0])).tolist() == [0, 1250]
