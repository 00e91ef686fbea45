"""Curvature: the scatter of repeated scans, and where it has nothing to say."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.engine.cpu import estimate_chunk
from ivimkit.engine.row_steps import estimate_row
from ivimkit.extend import Compartment, Parameter, SignalModel, decay
from ivimkit.kernels.templates import filled, pasted_with_kernels, with_kernels
from ivimkit.status import FitStatus
from plain_kernels import plain

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


def test_eight_parameters_have_the_inverse_of_the_hessian():
    """Four decays, at their true values: there the Hessian of half the sum of squares is J' J."""
    rates = (0.12, 0.012, 1.5e-3, 0.2e-3)
    compartments = tuple(
        Compartment(
            f"part{k}",
            decay,
            (Parameter(f"D{k}", f"D{k}", "mm^2/s", 0.0, 1.0, rate, description="a rate"),),
            fraction=Parameter(f"f{k}", f"f{k}", "", 0.0, 1.0, 0.2) if k < 3 else None,
        )
        for k, rate in enumerate(rates)
    )
    model = SignalModel("four", "four decays", "S = ...", compartments)
    params = np.array([1000.0, 0.2, rates[0], 0.25, rates[1], 0.3, rates[2], rates[3]])
    assert len(params) == len(model.parameters) == 8
    b = np.array([0.0, *np.geomspace(2.0, 8000.0, 47)])
    weight = np.arange(48) % 3 + 1.0

    def signal(values):
        shares = np.array([*values[[1, 3, 5]], 1.0 - values[[1, 3, 5]].sum()])
        return values[0] * shares @ np.exp(-np.outer(values[[2, 4, 6, 7]], b))

    # A step along the imaginary axis gives slopes without the rounding of a difference.
    steps = params[:, None] * 1e-20
    slopes = np.array([
        signal(params + 1j * steps[k] * (np.arange(8) == k)).imag / steps[k] for k in range(8)
    ])  # fmt: skip
    inverse = np.linalg.inv(slopes * weight @ slopes.T)

    estimator, x, cost = ik.uncertainty.get("curvature"), b[np.newaxis], 900.0
    plan = estimator.plan(model, x, weight)
    voxel = with_kernels(type(estimator).voxel, ("signal_kernel", model.kernel))
    row = pasted_with_kernels(estimate_row, ("estimate_voxel", voxel))
    driver = plain(filled(estimate_chunk, ("estimate_row", row)))
    lower, upper = (np.array([[getattr(p, s) for p in model.parameters]])
                    for s in ("lower", "upper"))  # fmt: skip
    found, nothing = np.array([[*params, cost, 1.0]]), np.zeros((1, 1))
    for sigma, variance in ((5.0, 25.0), (np.nan, cost / (48 - 8))):
        out, status = np.empty((1, 24)), np.zeros(1, np.int32)
        driver(
            x, np.sqrt(weight), signal(params)[np.newaxis], np.array([sigma]), lower, upper,
            params, nothing[0], nothing, 1, found, status, plan.options, plan.table,
            plan.scratch, out,
        )  # fmt: skip
        assert status[0] == 0
        expected = np.sqrt(variance * np.diagonal(inverse))
        np.testing.assert_allclose(out[0, :8], expected, rtol=1e-6)
