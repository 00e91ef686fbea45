"""protocol_errors: the bound, simulated fits, and what is said of each parameter."""

from __future__ import annotations

import math

import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.planning import ParameterErrors


def test_the_bound_of_the_mean_tissue():
    found = ik.protocol_errors(ik.simulate.B13, snr=50, organ="liver", noise="gaussian")
    tissue = [1.0, *(one.typical for one in found.parameters)]
    sd = ik.crlb("biexp", tissue, ik.simulate.B13, 0.02).sd
    for one in found.parameters:
        assert one.sd == pytest.approx(sd[one.name], rel=1e-12)
        assert math.isnan(one.simulated_sd)
    assert found["D"].typical == pytest.approx(1.1e-3, rel=0.01)


def test_simulated_fits_agree_with_the_bound_at_a_high_snr():
    found = ik.protocol_errors(ik.simulate.B13, snr=300, organ="liver", monte_carlo=2000)
    for one in found.parameters:
        assert one.simulated_sd == pytest.approx(one.sd, rel=0.1)
        assert abs(one.simulated_bias) < 0.2 * one.sd
    assert found.simulated == 2000


def test_options_change_the_outcome():
    def row(**options):
        given = {"snr": 20, "organ": "kidney", "monte_carlo": 50} | options
        return ik.protocol_errors(ik.simulate.B21, **given).to_dataframe()

    usual = row()
    for options in (
        {"snr": 21},
        {"organ": "liver"},
        {"noise": "gaussian"},
        {"monte_carlo": 60},
        {"seed": 1},
        {"organ": None},
    ):
        assert not row(**options).equals(usual), options


@pytest.mark.parametrize(
    ("sd", "verdict", "voxels"),
    [
        (0.19, "f can be estimated per voxel", 2),
        (0.9, "f cannot be estimated per voxel at this SNR; regions of 21 voxels can", 21),
        (30.0, "f cannot be estimated with this protocol at this SNR", 22500),
        (math.inf, "f cannot be estimated with this protocol at this SNR", math.inf),
    ],
)
def test_verdicts(sd, verdict, voxels):
    one = ParameterErrors("f", "f", "", 1.0, sd)
    assert one.verdict == verdict
    assert one.region_voxels == voxels


def test_a_biased_fit_is_not_acceptable():
    assert not ParameterErrors("f", "f", "", 1.0, 0.1, 0.1, 0.3).per_voxel


def test_text_and_wrong_input():
    found = ik.protocol_errors(ik.simulate.B13, snr=20, organ="brain")
    assert str(found).startswith("biexp, brain, SNR 20\nf cannot be estimated per voxel")
    with pytest.raises(OptionError, match="no parameter 'K'; expected one of f, D_star, D"):
        found["K"]
    with pytest.raises(OptionError, match="unknown method 'best'; there are bayes"):
        ik.protocol_errors(ik.simulate.B13, snr=20, monte_carlo=20, method="best")
    with pytest.raises(OptionError, match="SNR is 0"):
        ik.protocol_errors(ik.simulate.B13, snr=0)
    with pytest.raises(OptionError, match="3 simulated fits were asked for; expected 0, or 10"):
        ik.protocol_errors(ik.simulate.B13, snr=20, monte_carlo=3)
