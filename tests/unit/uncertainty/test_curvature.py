"""Curvature: the scatter of repeated scans, and where it has nothing to say."""

import dataclasses

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.status import FitStatus

B21 = np.array(ik.simulate.B21, dtype=float)
TISSUE = [1000.0, 0.25, 0.025, 1e-3]


@pytest.mark.parametrize("given", [True, False])
def test_it_is_the_scatter_of_repeated_scans(given):
    clean = np.tile(ik.simulate.signals("biexp", TISSUE, B21), (1000, 1))
    signals = ik.simulate.add_noise(clean, sigma=10.0, kind="gaussian", seed=0)
    result = ik.fit(signals, B21, uncertainty="curvature", sigma=10.0 if given else None)
    assert (result.status == 0).all()
    for name in (*result.model.names, "fD_star"):
        scatter = np.std(result.maps[name])
        # A thousand draws have a scatter that is known to 2.2 %.
        np.testing.assert_allclose(np.sqrt(np.mean(result.sd[name] ** 2)), scatter, rtol=0.05)
    both = np.corrcoef(result.maps["f"], result.maps["D_star"])[0, 1]
    np.testing.assert_allclose(np.mean(result.maps["corr_f_D_star"]), both, atol=0.05)


def test_intervals_are_those_of_students_distribution():
    signals = ik.simulate.add_noise(ik.simulate.signals("biexp", TISSUE, B21), sigma=10.0, seed=1)
    known, unknown = (
        ik.fit(signals, B21, uncertainty="curvature", sigma=sigma) for sigma in (10.0, None)
    )
    for result, quantile in ((known, 1.959964), (unknown, 2.109816)):
        for name in result.model.names:
            low, high = result.interval[name]
            half = quantile * result.sd[name]
            np.testing.assert_allclose([low, high], result.maps[name] + [-half, half], rtol=1e-6)
    variance = unknown.maps["cost"] / (B21.size - 4)
    np.testing.assert_allclose(unknown.sd["D"] / known.sd["D"], np.sqrt(variance) / 10.0)


def test_a_parameter_at_a_bound_has_none_and_the_others_have():
    model = ik.models.get("biexp").with_bounds(D=(0.0, 0.9e-3))
    signals = ik.simulate.signals("biexp", TISSUE, B21)
    result = ik.fit(signals, B21, model=model, uncertainty="curvature", sigma=10.0)
    assert result.maps["D"] == 0.9e-3
    assert np.isnan(result.sd["D"])
    assert result.status & int(FitStatus.SD_NOT_AVAILABLE)
    fixed = ik.models.get("biexp").with_fixed(D=0.9e-3)
    same = ik.fit(signals, B21, model=fixed, uncertainty="curvature", sigma=10.0)
    for name in ("S0", "f", "D_star"):
        np.testing.assert_allclose(result.sd[name], same.sd[name], rtol=1e-3)
    assert not same.status & int(FitStatus.SD_NOT_AVAILABLE)


def test_d_star_without_perfusion_has_none():
    signals = ik.simulate.signals("biexp", [1000.0, 0.0, 0.02, 1e-3], B21)
    signals = ik.simulate.add_noise(np.tile(signals, (100, 1)), sigma=20.0, seed=2)
    result = ik.fit(signals, B21, uncertainty="curvature")
    hidden = (result.status & int(FitStatus.PERFUSION_NOT_DETECTED)) != 0
    assert hidden.mean() > 0.5
    assert np.isnan(result.sd["D_star"][hidden]).all()
    assert np.isnan(result.sd["fD_star"][hidden]).all()


def test_models_that_are_too_large_are_refused():
    many = ik.models.get("biexp")
    more = [dataclasses.replace(many["f"], name=f"f_{k}") for k in range(3)]
    many = dataclasses.replace(many, parameters=(*many.parameters, *more))
    method = ik.methods.get("varpro")
    for name in ("curvature", "profile"):
        with pytest.raises(OptionError, match=f"{name} serves up to 6. Use bootstrap"):
            ik.uncertainty.get(name).check(many, method)
