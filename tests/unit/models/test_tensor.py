"""The tensor model on scans: what does not depend on axes, and scans that are refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ivimkit as ik
from ivimkit.errors import AcquisitionError, AcquisitionWarning, OptionError
from ivimkit.extend.diffusion_tensor import parameters_of, tensors
from ivimkit.fitting.decay_curves import decay_curves
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.quality import main_maps
from ivimkit.viewer.voxel_answer import fit_entry

MODEL = ik.models.get("tensor")
EDGES = np.array([(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]) / 2**0.5
B = np.array([0.0, 0, 0, *np.repeat([10.0, 20, 40, 80, 150, 300, 500, 800], 6)])
VECTORS = np.concatenate([np.zeros((3, 3)), np.tile(EDGES, (8, 1))])
N = 100
# How far two fits of the same data may be apart, where their minimum is well determined.
SAME = 1e-5


def parameters(rng, n=N):
    """Return rows of parameters of tissue in any direction."""
    axes = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    values = rng.uniform(0.5e-3, 2e-3, (n, 3))
    matrices = np.einsum("nij,nj,nkj->nik", axes, values, axes)
    columns = [np.full(n, 1000.0), rng.uniform(0.1, 0.3, n), rng.uniform(0.02, 0.08, n)]
    return np.column_stack([*columns, parameters_of(matrices)])


def signals(params, vectors=VECTORS):
    table = {"b": B, **dict(zip(("gx", "gy", "gz"), vectors.T, strict=True))}
    return ik.simulate.signals(MODEL, params, table)


def fitted(values, vectors=VECTORS):
    return ik.fit(ik.DWI(values, ik.Acquisition(B, vectors)), model=MODEL, threads=1)


@pytest.fixture(scope="module")
def noisy():
    """A fit of tissue, of tissue with little signal, and of noise alone."""
    rng = np.random.default_rng(3)
    clean = signals(parameters(rng, 300))
    clean[200:] *= 0.0
    return fitted(
        clean + rng.normal(0, 1, clean.shape) * np.repeat([20.0, 100.0, 20.0], 100)[:, None]
    )


@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_turned_head_has_the_same_maps(seed):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    before = parameters(rng)
    after = before.copy()
    after[:, 3:] = parameters_of(turn @ tensors(*before[:, 3:].T) @ turn.T)
    noise = rng.normal(0, 10.0, (N, B.size))
    first = fitted(signals(before) + noise)
    second = fitted(signals(after, VECTORS @ turn.T) + noise, VECTORS @ turn.T)
    clear = (first.status | second.status) == 0
    assert clear.mean() > 0.9
    for name in ("S0", "f", "D_star", "MD", "FA", "L1", "L2", "L3", "cost"):
        one, two = first.maps[name][clear], second.maps[name][clear]
        np.testing.assert_allclose(one, two, rtol=1e-3, err_msg=name)
        assert np.median(np.abs(one / two - 1.0)) < SAME
    directions = [
        np.stack([r.maps[f"V1{axis}"] for axis in "xyz"], axis=1) for r in (first, second)
    ]
    turned = np.abs((directions[0] @ turn.T * directions[1]).sum(axis=1))
    assert np.median(np.abs(turned[clear] - 1.0)) < SAME


def test_tensors_are_positive_definite_and_slower_than_blood_in_every_voxel(noisy):
    there = np.isfinite(noisy.params).all(axis=1)
    assert there[:200].all()
    maps = {name: values[there] for name, values in noisy.maps.items()}
    assert (maps["L3"] > 0.0).all()
    assert (maps["L1"] >= maps["L2"]).all()
    assert (maps["L2"] >= maps["L3"]).all()
    assert (maps["D_star"] > maps["MD"]).all()
    assert ((maps["FA"] >= 0.0) & (maps["FA"] <= 1.0)).all()
    np.testing.assert_allclose((maps["L1"] + maps["L2"] + maps["L3"]) / 3, maps["MD"], rtol=1e-9)
    np.testing.assert_allclose(sum(maps[f"V1{axis}"] ** 2 for axis in "xyz"), 1.0, rtol=1e-9)


def test_anisotropy_is_as_reliable_as_the_tensor(noisy):
    doubtful = np.isnan(noisy.reliable("MD"))
    assert doubtful.any()
    assert np.isnan(noisy.reliable("FA"))[doubtful].all()
    assert np.isfinite(noisy.reliable("FA")).mean() > 0.3
    failed = ~np.isfinite(noisy.params).all(axis=1)
    assert np.isnan(noisy.maps["FA"][failed]).all()


def test_directions_are_not_averaged_and_repeats_are():
    twice, vectors = np.tile(B, 2), np.concatenate([VECTORS, -VECTORS])
    dwi = ik.DWI(np.ones((2, twice.size)), ik.Acquisition(twice, vectors))
    assert dwi.acquisition.n_shells == 9
    found = dwi.for_variables(MODEL.variables)
    assert found.acquisition.n_shells == 1 + 8 * 6
    assert found.fit_counts.tolist() == [6.0] + [2.0] * 48


def test_MD_is_the_D_of_a_trace_weighted_scan():
    rng = np.random.default_rng(5)
    params = parameters(rng)
    params[:, 3:] = parameters_of(
        (tensors(*params[:, 3:].T) + 2.0 * params[:, 3, None, None] * np.eye(3)) / 3.0
    )
    values = signals(params)
    averaged = ik.fit(ik.DWI(values, ik.Acquisition(B, VECTORS)), model="biexp", threads=1)
    directional = fitted(values)
    np.testing.assert_allclose(averaged.maps["D"], directional.maps["MD"], rtol=0.02)
    np.testing.assert_allclose(averaged.maps["f"], directional.maps["f"], rtol=0.05)


def test_a_scan_with_a_bvec_file_is_fitted_as_it_is_in_memory(tmp_path):
    values = signals(parameters(np.random.default_rng(6), 8)).reshape(2, 2, 2, -1)
    dwi = ik.DWI(
        values.astype(np.float32), ik.Acquisition(B, VECTORS), affine=np.diag([-2, 2, 2, 1])
    )
    ik.io.save_scan(dwi, tmp_path / "dwi.nii.gz")
    result = ik.fit(ik.load(tmp_path / "dwi.nii.gz"), model="tensor", threads=1)
    expected = ik.fit(dwi, model="tensor", threads=1)
    for name in ("MD", "FA", "V1x"):
        np.testing.assert_allclose(result.maps[name], expected.maps[name], rtol=1e-4)
    ik.io.save(result, tmp_path / "out")
    again = ik.io.load_result(tmp_path / "out")
    assert again.model.further_maps == MODEL.further_maps
    np.testing.assert_allclose(again.maps["FA"], result.maps["FA"], rtol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (None, "directions of the gradients are not known"),
        (np.where(B[:, None] == 150, 0, VECTORS), r"6 volumes with b > 0 have no"),
        (np.tile(EDGES[:1], (B.size, 1)), "1 different gradient directions; expected"),
        (np.where(VECTORS[:, 2:] != 0, EDGES[0], VECTORS), "2 different gradient"),
    ],
)
def test_scans_without_directions_are_refused(vectors, message):
    acquisition = ik.Acquisition(B, vectors)
    with pytest.raises(AcquisitionError, match=message):
        require_identifiable(MODEL, acquisition)


def test_directions_on_a_cone_are_refused():
    turn = np.arange(8) * np.pi / 8
    cone = np.stack([np.cos(turn), np.sin(turn), np.ones(8)], axis=1)
    acquisition = ik.Acquisition(
        [0, *np.repeat([20, 300, 800], 8)], [[0, 0, 0], *np.tile(cone, (3, 1))]
    )
    with pytest.raises(AcquisitionError, match="lie on a cone or in a plane"):
        require_identifiable(MODEL, acquisition)


def test_few_directions_at_high_b_are_told():
    few = (B < 200) | (VECTORS[:, 2] == 0)
    (found,) = [s for s in MODEL.advice(ik.Acquisition(B[few], VECTORS[few])) if "directions" in s]
    assert found.startswith("2 directions at b-values of 200 s/mm^2 or more; expected at least 6")
    assert MODEL.advice(ik.Acquisition(B, VECTORS)) == []
    with pytest.warns(AcquisitionWarning, match="2 directions at b-values"):
        ik.fit(ik.DWI(np.ones((1, few.sum())), ik.Acquisition(B[few], VECTORS[few])), model=MODEL)


def test_curves_are_means_over_the_directions():
    params = parameters(np.random.default_rng(7), 1)[0]
    dwi = ik.DWI(signals(params[None]), ik.Acquisition(B, VECTORS))
    result = fitted(dwi.signal)
    (one,) = decay_curves(MODEL, params, dwi)
    assert one.is_line
    expected = signals(params).reshape(-1)[3:].reshape(8, 6).mean(axis=1)
    np.testing.assert_allclose(one(B[3::6]), expected, rtol=1e-9)
    assert one([0.0]) == pytest.approx(params[0])
    entry = fit_entry(result, {name: v[0] for name, v in result.maps.items()}, 0, None)
    highest = entry["curve"]["signal"][-1]
    assert highest == pytest.approx(expected[-1], rel=1e-4)
    assert sum(part["signal"][-1] for part in entry["curve"]["components"]) == pytest.approx(
        highest
    )
    assert {"MD", "FA", "L1", "V1z"} <= {row["name"] for row in entry["estimates"]}


def test_tables_count_directions_and_leave_out_elements_of_the_orientation():
    apart = ik.Acquisition(B, VECTORS).with_directions_apart()
    together = apart.with_directions_together()
    assert "gx" in apart.variables
    assert not together.variables
    assert [shell.n_directions for shell in together.shells] == [0] + [6] * 8
    found = fitted(signals(parameters(np.random.default_rng(2), 3)))
    assert {"MD", "FA", "L1", "f"} <= set(main_maps(found))
    assert not {"C_yy", "V1x"} & set(main_maps(found))


def test_a_comparison_is_of_the_values_of_each_direction():
    rng = np.random.default_rng(8)
    values = signals(parameters(rng, 20)) + rng.normal(0, 10.0, (20, B.size))
    found = ik.compare(ik.DWI(values, ik.Acquisition(B, VECTORS)), models=("biexp", "tensor"))
    assert [found.names[k] for k in found.chosen].count("tensor") > 15
    costs = [fit.maps["cost"] for fit in found.results.values()]
    assert (costs[1] < costs[0]).all()


def test_the_fit_takes_candidates_of_the_right_shape_only():
    blood, tissue = MODEL.compartments
    wrong = replace(MODEL, compartments=(blood, replace(tissue, candidates=lambda *_: [[1e-3]])))
    with pytest.raises(OptionError, match=r"candidates of a compartment have shape \(1, 1\); exp"):
        ik.fit(ik.DWI(np.ones((1, B.size)), ik.Acquisition(B, VECTORS)), model=wrong)
