"""TwoPoolMethod: which models it takes, and how much scratch it asks for."""

from dataclasses import replace

import numpy as np
import pytest

from ivimkit import methods, models
from ivimkit.errors import AcquisitionError, OptionError
from ivimkit.scan.acquisition import Acquisition

VARPRO = methods.get("varpro")
B = np.array([0.0, 10, 20, 50, 100, 200, 400, 800])


def test_a_model_that_is_no_sum_of_decays():
    biexp = models.get("biexp")
    other = replace(biexp, name="kurtosis", ascending=())
    with pytest.raises(
        OptionError, match=r"fits sums of one or two exponential decays; .*kurtosis"
    ):
        methods.get("segmented").check(other, Acquisition(B))


def test_perfusion_at_b_0_only_needs_a_b_of_0():
    with pytest.raises(
        AcquisitionError, match="sivim sees perfusion only at b = 0, and the lowest b-value is 10"
    ):
        VARPRO.check(models.get("sivim"), Acquisition(B[1:]))
    VARPRO.check(models.get("monoexp"), Acquisition(B[1:]))
    VARPRO.check(models.get("biexp"), Acquisition(B[1:]))


def test_scratch_does_not_depend_on_the_protocol():
    sizes = set()
    for n in (8, 16, 64):
        b = np.linspace(0.0, 1000.0, n)
        plan = VARPRO.plan(models.get("biexp"), b[np.newaxis], np.ones(n))
        sizes.add((plan.scratch, plan.table.shape[1]))
    assert len(sizes) == 1


def test_padding_is_no_degree_of_freedom():
    model = models.get("biexp")
    padded, weight = np.zeros(16), np.zeros(16)
    padded[:8], weight[:8] = B, 1.0
    plain = VARPRO.plan(model, B[np.newaxis], np.ones(8))
    longer = VARPRO.plan(model, padded[np.newaxis], weight)
    np.testing.assert_array_equal(plain.options, longer.options)
