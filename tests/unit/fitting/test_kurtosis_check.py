"""Kurtosis that biexp takes for perfusion is flagged above b = 1000, and perfusion is not."""

from __future__ import annotations

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.fitting.kurtosis_check import kurtosis_tasks
from ivimkit.status import FitStatus, describe

B_HIGH = np.array([*ik.simulate.B21, 1250, 1500, 2000], dtype=float)
BIEXP = ik.models.get("biexp")
VARPRO = ik.methods.get("varpro")
KURTOSIS = [1000.0, 0.05, 0.03, 1.2e-3, 1.0]
PERFUSION = [1000.0, 0.2, 0.03, 1.2e-3]

pytestmark = pytest.mark.filterwarnings("ignore::ivimkit.errors.AcquisitionWarning")


def noisy(model, params, n=300, b=B_HIGH):
    clean = ik.simulate.signals(model, np.tile(params, (n, 1)), b)
    return clean + np.random.default_rng(8).normal(0.0, 20.0, clean.shape)


@pytest.fixture(scope="module")
def both():
    """The same number of voxels with kurtosis, and with perfusion."""
    return np.concatenate([noisy("kurtosis", KURTOSIS), noisy("biexp", PERFUSION)])


def flagged(result):
    return (result.status & FitStatus.KURTOSIS_LIKELY) != 0


@pytest.mark.parametrize("sigma", [None, 20.0], ids=["residuals", "sigma"])
def test_kurtosis_is_flagged_and_perfusion_is_not(both, sigma):
    result = ik.fit(both, B_HIGH, sigma=sigma)
    found = flagged(result)
    assert found[:300].mean() > 0.8
    assert found[300:].mean() < 0.06
    assert result.counts()["KURTOSIS_LIKELY"] == found.sum()
    assert "bends like kurtosis" in result.sentence(int(np.argmax(found)))
    for name in ("D", "f", "D_star", "fD_star"):
        assert np.isnan(result.reliable(name)[found]).all()
        assert np.isfinite(result.reliable(name)[300:]).mean() > 0.9
    assert np.isfinite(result.reliable("ADC")).all()


def test_methods_that_fit_all_b_values_at_once_agree(both):
    both = both[::3]
    plain = flagged(ik.fit(both, B_HIGH))
    flat = ik.methods.Bayes(prior="flat")
    labels, mask = np.repeat([1, 2], 100), np.ones(200)
    for options in ({"method": flat}, {"method": ik.methods.TRR()}):
        np.testing.assert_array_equal(flagged(ik.fit(both, B_HIGH, **options)), plain)
    learned = ik.fit(both, B_HIGH, method="bayes", mask=mask, labels=labels)
    np.testing.assert_array_equal(flagged(learned), plain)
    assert not flagged(ik.fit(both, B_HIGH, method="segmented")).any()


def test_nothing_is_checked_without_need():
    def tasks(model=BIEXP, method=VARPRO, b=B_HIGH, weight=None):
        return kurtosis_tasks(model, method, b, np.ones(b.size) if weight is None else weight)

    assert len(tasks()) == 1
    assert len(tasks(method=ik.methods.VarPro(noise="rician"))) == 2
    assert not tasks(b=np.array(ik.simulate.B21, dtype=float))
    assert not tasks(b=np.where(B_HIGH > 1000, 1010.0, B_HIGH))
    assert not tasks(weight=np.where(B_HIGH > 1000, 0.0, 1.0))
    assert not tasks(ik.models.get("kurtosis"))
    assert not tasks(ik.models.get("monoexp"))
    assert not tasks(BIEXP.with_fixed(f=0.1))
    assert len(tasks(BIEXP.with_fixed(D_star=0.02))) == 1
    assert not tasks(b=np.array([0.0, 100, 500, 2000]))


def test_the_order_of_voxels_and_the_scale_do_not_matter(both):
    usual = flagged(ik.fit(both, B_HIGH))
    np.testing.assert_array_equal(flagged(ik.fit(1e-3 * both[::-1], B_HIGH))[::-1], usual)
    spoiled = both.copy()
    spoiled[5] = np.nan
    result = ik.fit(spoiled, B_HIGH)
    assert result.status[5] == FitStatus.NON_FINITE
    usual[5] = False
    np.testing.assert_array_equal(flagged(result), usual)


def test_the_flag_survives_a_folder(both, tmp_path):
    result = ik.fit(both, B_HIGH)
    ik.save(result, tmp_path / "out")
    again = ik.load_result(tmp_path / "out")
    np.testing.assert_array_equal(again.status, result.status)
    assert "KURTOSIS_LIKELY" in (tmp_path / "out" / "fit.json").read_text()


def test_one_exponential_is_said_where_a_compartment_is_not_detected():
    for flag in (FitStatus.PERFUSION_NOT_DETECTED, FitStatus.TISSUE_NOT_DETECTED):
        assert "One exponential describes this voxel as well" in describe(flag, BIEXP)
        assert "One exponential" not in describe(flag, ik.models.get("kurtosis"))
    assert "One exponential" not in describe(0, BIEXP)
    result = ik.fit(noisy("monoexp", [1000.0, 1.2e-3]), B_HIGH)
    one = ik.status.monoexponential(result.status, result.model)
    assert one.mean() > 0.8
    names = [light.name for light in ik.quality.lights(result)]
    assert "one exponential as good" in names
    assert "kurtosis likely" not in names
    assert "kurtosis likely" in [
        light.name for light in ik.quality.lights(ik.fit(noisy("kurtosis", KURTOSIS), B_HIGH))
    ]
