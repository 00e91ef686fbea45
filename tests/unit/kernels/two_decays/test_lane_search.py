"""Voxels in SIMD lanes: step by step what `global_fit` does with one."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.engine import Task, evaluate, run
from ivimkit.engine.bind import tagged
from ivimkit.kernels.two_decays import lanes
from ivimkit.methods.varpro import VarPro
from ivimkit.scan.voxel_reader import Column, VoxelReader
from ivimkit.simulate import add_noise
from ivimkit.status import FAILED
from tolerances import SAME_COST, SAME_MINIMUM, SAME_SIDE_BY_SIDE

BIEXP = ik.models.get("biexp")
PROTOCOLS = {
    "b21": np.array([0, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100, 150, 200, 300, 400, 500,
                     600, 700, 800.0]),
    "b13": np.array([0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800.0]),
    "b5": np.array([0, 30, 100, 300, 800.0]),
    "no b = 0": np.array([10, 20, 40, 80, 150, 300, 500, 900.0]),
}  # fmt: skip
MODELS = {
    "usual bounds": BIEXP,
    # Neither pool may be gone; the slow rate ends below fluid; both pools are close.
    "both pools": BIEXP.with_bounds(f=(0.05, 0.4)),
    "slow only": BIEXP.with_bounds(f=(0.0, 0.3), D=(0.0, 1.5e-3)),
    "narrow": BIEXP.with_bounds(D=(2e-4, 1.2e-3), D_star=(4e-3, 0.05)),
}


def signals(bvals, n, snr, seed):
    """Tissue, vessels, fluid and noise alone, with voxels that cannot be fitted among them."""
    rng = np.random.default_rng(seed)
    truth = np.stack(
        [
            rng.uniform(200, 2000, n),
            rng.choice([0.0, 0.02, 0.1, 0.3, 0.9, 1.0], n),
            np.exp(rng.uniform(np.log(5e-3), np.log(0.2), n)),
            rng.choice([0.0, 3e-4, 1e-3, 2e-3, 4e-3, 8e-3], n),
        ],
        axis=1,
    )
    clean = evaluate(BIEXP, truth, bvals)
    noisy = add_noise(clean, sigma=1000.0 / snr, seed=seed)
    noisy[5] = rng.normal(0, 10, bvals.size)
    noisy[11] = np.nan
    noisy[12, 2] = np.inf
    noisy[20] = 0.0
    noisy[21] = -5.0
    return noisy


def fitted(model, bvals, data, weight=None, *, in_lanes=True):
    reader = VoxelReader(
        data, np.ones(len(data), bool), [Column(((k,),)) for k in range(bvals.size)]
    )
    task = Task(model, VarPro(), np.ones(bvals.size) if weight is None else weight)
    if in_lanes:
        return run(reader, bvals[np.newaxis], [task], threads=1)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VarPro, "batch", lambda self, model, plan, n_rows: None)
        return run(reader, bvals[np.newaxis], [task], threads=1)[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", MODELS)
def test_the_same_as_one_by_one(name, protocol):
    bvals, model = PROTOCOLS[protocol], MODELS[name]
    data = np.concatenate([signals(bvals, 150, snr, seed=snr) for snr in (8, 25, 100, 10_000)])
    together, status, variation = fitted(model, bvals, data)
    alone, status_alone, variation_alone = fitted(model, bvals, data, in_lanes=False)
    np.testing.assert_array_equal(status, status_alone)
    np.testing.assert_array_equal(variation, variation_alone)
    good = (status & int(FAILED)) == 0
    assert 0.8 < good.mean() < 1.0
    rounding = 1e-12 * (data[good] ** 2).sum(axis=1)
    apart = np.abs(together[good, 4] - alone[good, 4])
    assert (apart <= SAME_COST * alone[good, 4] + rounding).all()
    params, params_alone = together[good, :4], alone[good, :4]
    np.testing.assert_allclose(params, params_alone, rtol=SAME_MINIMUM, atol=1e-9)
    close = np.isclose(params, params_alone, rtol=SAME_SIDE_BY_SIDE, atol=1e-12).all(axis=1)
    # Where the two rates are hardly apart, rounding is multiplied a million times.
    assert close.mean() > 0.98
    # The number of passes tells that they went the same ways; rounding ends some a pass apart.
    assert np.mean(together[good, 5] == alone[good, 5]) > 0.98


def test_weights_and_values_without_any():
    bvals = PROTOCOLS["b13"]
    rng = np.random.default_rng(3)
    data = signals(bvals, 100, 40, seed=3)
    weight = rng.integers(0, 4, bvals.size).astype(float)
    weight[[0, 6, 12]] = 3.0, 0.0, 0.0
    spoiled = data.copy()
    spoiled[:, weight == 0] = np.nan
    one = fitted(BIEXP, bvals, data, weight)
    other = fitted(BIEXP, bvals, spoiled, weight)
    few = fitted(BIEXP, bvals[weight > 0], data[:, weight > 0], weight[weight > 0])
    alone = fitted(BIEXP, bvals, data, weight, in_lanes=False)
    good = (other[1] & int(FAILED)) == 0
    for k in range(2):
        np.testing.assert_array_equal(one[k][good], other[k][good])
    for reference in (few, alone):
        np.testing.assert_allclose(
            other[0][good, :4], reference[0][good, :4], rtol=SAME_SIDE_BY_SIDE, atol=1e-12
        )


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 40, 300])
def test_the_bits_of_a_voxel_depend_on_no_other(n):
    bvals = PROTOCOLS["b21"]
    data = signals(bvals, 300, 12, seed=9)
    values, status, _ = fitted(BIEXP, bvals, data)
    some = np.random.default_rng(n).permutation(300)[:n]
    few, few_status, _ = fitted(BIEXP, bvals, data[some])
    np.testing.assert_array_equal(few, values[some])
    np.testing.assert_array_equal(few_status, status[some])


def test_a_pool_that_is_not_there_is_as_close_to_the_other_as_may_be():
    bvals = PROTOCOLS["b13"]
    slow = 1000 * np.exp(-1.5e-3 * bvals)
    fast = 1000 * np.exp(-30e-3 * bvals)
    rising = slow.copy()
    rising[0] -= 300
    falling = fast.copy()
    falling[-1] -= 100
    values, _, _ = fitted(BIEXP, bvals, np.stack([rising, falling]))
    alone, _, _ = fitted(BIEXP, bvals, np.stack([rising, falling]), in_lanes=False)
    assert values[0, 1] == 0.0
    assert values[0, 2] == BIEXP["D_star"].lower
    np.testing.assert_allclose(values, alone, rtol=SAME_SIDE_BY_SIDE)
    assert values[1, 1] == 1.0
    assert values[1, 3] == BIEXP["D"].upper


def test_code_from_another_module_must_be_imported_by_its_name():
    def driver():
        return lanes.step(0)

    driver.__globals__["lanes"] = lanes
    with pytest.raises(
        AssertionError, match=r"uses the module ivimkit\.kernels\.two_decays\.lanes"
    ):
        tagged(driver)
