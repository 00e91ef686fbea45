"""DIPY's own tests of IVIM run against our face of it, then what is ours alone."""

from __future__ import annotations

import ast
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.compat.dipy import (
    BOUNDS,
    IvimFit,
    IvimModel,
    IvimModelTRR,
    IvimModelVP,
    ivim_model_selector,
    ivim_prediction,
)
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    IvimkitWarning,
    OptionError,
    ShapeError,
)
from ivimkit.status import FitStatus
from tolerances import CLOSED_FORM, NOISE_FREE, OPTIMUM, SAME_COST

NOT_RUN = {
    "test_noisy_fit": "counts the warnings of a defect: where the lines are no valid start for "
    "SciPy, DIPY gives up and returns the lines. Ours has a minimum there",
    "test_leastsq_failing": "asserts that defect again, and the numbers of the lines",
    "test_leastsq_error": "calls `_leastsq`, which is private",
}
"""DIPY's tests that are not run, with the reason."""

B21 = np.array(ik.simulate.B21, dtype=float)
GTAB = SimpleNamespace(bvals=B21)
PARAMS = np.array([1000.0, 0.13, 0.01, 1e-3])


def source():
    """Where DIPY's tests are; DIPY itself is not imported to find them."""
    found = find_spec("dipy")
    return Path(found.origin).parent / "reconst" / "tests" / "test_ivim.py" if found else None


def names():
    if source() is None:
        return []
    tree = ast.parse(source().read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("test_")]


@cache
def dipys_tests():
    """DIPY's test module with one import changed, in memory."""
    pytest.importorskip("dipy", reason="DIPY comes with the extra test")
    text = source().read_text(encoding="utf-8")
    old = "from dipy.reconst.ivim import"
    assert text.count(old) == 1, "DIPY's test module imports the fit in another way"
    module = ModuleType("dipys_tests")
    with warnings.catch_warnings():
        # What DIPY's own imports say of other packages is none of our business.
        warnings.simplefilter("ignore")
        code = text.replace(old, "from ivimkit.compat.dipy import")
        exec(compile(code, str(source()), "exec"), module.__dict__)
    assert module.IvimModel is IvimModel
    module.setup_module()
    return module


@cache
def dipy():
    pytest.importorskip("dipy", reason="DIPY comes with the extra test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dipy.core.gradients import gradient_table
        from dipy.reconst import ivim
    bvecs = np.tile([1.0, 0.0, 0.0], (len(B21), 1))
    bvecs[0] = 0.0
    return ivim, gradient_table(B21, bvecs=bvecs, b0_threshold=0)


def noisy(n=40, snr=40.0, seed=3):
    rng = np.random.default_rng(seed)
    params = np.column_stack(
        [
            rng.uniform(500, 1500, n),
            rng.uniform(0.03, 0.4, n),
            rng.uniform(0.008, 0.08, n),
            rng.uniform(0.5e-3, 2e-3, n),
        ]
    )
    signal = ivim_prediction(params, GTAB)
    return signal + rng.normal(0.0, 1000.0 / snr, signal.shape)


def cost(params, signal):
    return ((ivim_prediction(params, GTAB) - signal) ** 2).sum(axis=-1)


# -------------------------------------------------------------------------- DIPY's own tests


@pytest.mark.parametrize("name", [name for name in names() if name not in NOT_RUN])
def test_of_dipy(name):
    getattr(dipys_tests(), name)()


@pytest.mark.skipif(source() is None, reason="DIPY comes with the extra test")
def test_what_is_not_run_is_there_and_little():
    assert set(NOT_RUN) < set(names())
    assert len(names()) - len(NOT_RUN) >= 22


def test_a_voxel_that_dipy_gives_up_has_a_minimum():
    ivim, gtab = dipy()
    signal = dipys_tests().noisy_single
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        theirs = ivim.IvimModel(gtab, fit_method="trr", bounds=BOUNDS).fit(signal)
    assert any("Returning x0 values from the linear fit" in str(w.message) for w in said)
    ours = IvimModel(gtab, fit_method="trr", bounds=BOUNDS).fit(signal)
    assert cost(ours.model_params, signal) < 0.9 * cost(theirs.model_params, signal)


# ---------------------------------------------------------------------- compared with DIPY


def test_one_stage_is_dipys():
    ivim, gtab = dipy()
    signal = noisy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ivim.IvimModel(gtab, two_stage=False, bounds=BOUNDS).fit(signal)
    ours = IvimModel(gtab, two_stage=False, bounds=BOUNDS).fit(signal)
    np.testing.assert_allclose(ours.S0_predicted, theirs.S0_predicted, rtol=CLOSED_FORM)
    np.testing.assert_allclose(ours.D, theirs.D, rtol=CLOSED_FORM)
    allowed = (theirs.perfusion_fraction >= 0.0) & (theirs.perfusion_fraction <= 0.2)
    allowed &= (theirs.D_star > theirs.D) & (theirs.D_star <= 1.0)
    assert allowed.sum() > 10
    ours_cost, theirs_cost = (cost(fit.model_params, signal)[allowed] for fit in (ours, theirs))
    assert (ours_cost <= theirs_cost * (1 + SAME_COST)).all()


@pytest.mark.parametrize("method", ["trr", "varpro"])
def test_no_voxel_is_worse_than_dipys(method):
    if method == "varpro":
        pytest.importorskip("cvxpy", reason="DIPY's variable projection needs cvxpy")
    ivim, gtab = dipy()
    signal = noisy(12)
    bounds = BOUNDS if method == "trr" else (BOUNDS[0][1:], BOUNDS[1][1:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = ivim.IvimModel(gtab, fit_method=method, bounds=bounds).fit(signal)
    ours = IvimModel(gtab, fit_method=method, bounds=bounds).fit(signal)
    assert (cost(ours.model_params, signal) <= OPTIMUM * cost(theirs.model_params, signal)).all()
    assert (ours.perfusion_fraction <= 0.2).all()


# ----------------------------------------------------------------------------- the two models


@pytest.mark.parametrize("model", [IvimModelTRR, IvimModelVP])
def test_any_object_with_bvalues_will_do(model):
    fitted = model(GTAB).fit(ivim_prediction(PARAMS, GTAB))
    np.testing.assert_allclose(fitted.model_params, PARAMS, rtol=NOISE_FREE)
    assert fitted.shape == ()
    with pytest.raises(OptionError, match=r"gtab is of type ndarray, without b-values; expected"):
        model(B21)


def test_the_selector_takes_dipys_names():
    assert IvimModel is ivim_model_selector
    for name, kind in (("trr", IvimModelTRR), ("TRR", IvimModelTRR), ("VarPro", IvimModelVP)):
        assert type(IvimModel(GTAB, fit_method=name, bounds=None)) is kind
    with pytest.raises(OptionError, match="fit_method is 'lm'; expected 'trr' or 'varpro'"):
        IvimModel(GTAB, fit_method="lm")


@pytest.mark.parametrize("method", ["trr", "varpro"])
def test_it_says_which_bounds_are_used(method):
    said = r"Bounds for this fit have been set from experiments .*: f 0 to 1, D\* 0.002 to 0.2, D"
    with pytest.warns(IvimkitWarning, match=said) as record:
        model = IvimModel(GTAB, fit_method=method)
    assert record[0].filename == __file__
    n = 4 if method == "trr" else 3
    assert model.bounds == ([0.0, 0.0, 2e-3, 0.0][-n:], [np.inf, 1.0, 0.2, 5e-3][-n:])


@pytest.mark.parametrize("method", ["trr", "varpro"])
@pytest.mark.parametrize("narrow", [([0.05, 5e-3, 1e-3], [0.08, 0.02, 1.1e-3])])
def test_bounds_are_kept(method, narrow):
    lower, upper = narrow
    bounds = narrow if method == "varpro" else ([900.0, *lower], [950.0, *upper])
    fitted = IvimModel(GTAB, fit_method=method, bounds=bounds).fit(noisy())
    assert (fitted.model_params[:, 1:] >= lower).all()
    assert (fitted.model_params[:, 1:] <= upper).all()
    if method == "trr":
        assert ((fitted.S0_predicted >= 900.0) & (fitted.S0_predicted <= 950.0)).all()
    else:
        whole = IvimModelVP(GTAB, bounds=([900.0, *lower], [950.0, *upper])).fit(noisy())
        assert (whole.S0_predicted <= 950.0).all()


@pytest.mark.parametrize("none", [1.0, 0.5, np.inf])
def test_rates_without_an_upper_bound(none):
    model = IvimModelTRR(GTAB, bounds=([0, 0, 0, 0], [np.inf, 1.0, none, none]))
    assert model.bounds[1] == [np.inf, 1.0, min(none, 1.0), 0.1]
    np.testing.assert_allclose(
        model.fit(ivim_prediction(PARAMS, GTAB)).model_params, PARAMS, rtol=NOISE_FREE
    )


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (3, r"bounds are 3; expected \(lower, upper\), each with S0, f, D_star, D"),
        ([[0, 0], [1, 1]], "bounds have 2 lower and 2 upper values; expected as many for S0, f"),
        (([0] * 4, [np.inf, 0.2, 1.0]), "bounds have 4 lower and 3 upper"),
        (([0] * 4, [np.inf, 1.5, 1, 1]), "f is to be between 0 and 1.5"),
        (([0] * 4, [np.inf, 0.3, 200, 1]), "D_star is 200; expected mm.*um.*: 0.2"),
        (
            ([0] * 4, [np.inf, 0.3, 1, 3]),
            "the upper bound of D is 3; expected mm.*0.003",
        ),
        (([0] * 4, [np.inf, 0.3, 1, 3e-9]), "D is 3e-09; .* by 1e6 .*0.003"),
        (([0] * 4, [np.inf, 0.3, 2e-7, 0.1]), "D_star is 2e-07"),
        (([0, 0, 0, 0.02], [np.inf, 1, 0.01, 0.1]), r"D from 0.02 and D\* up to 0.01 .* room for"),
        (([0, 0.5, 0, 0], [np.inf, 0.2, 1, 1]), "f is to be between 0.5 and 0.2"),
    ],
)
def test_bounds_that_cannot_be(bounds, message):
    with pytest.raises(OptionError, match=message):
        IvimModelTRR(GTAB, bounds=bounds)


def test_varpro_takes_three_bounds_or_four():
    with pytest.raises(OptionError, match=r"2 lower .* for f, D_star, D or S0, f, D_star, D"):
        IvimModelVP(GTAB, bounds=([0, 0], [1, 1]))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (IvimModelTRR, {"tol": 1e-6}),
        (IvimModelTRR, {"gtol": 1e-6}),
        (IvimModelTRR, {"ftol": 1e-6}),
        (IvimModelTRR, {"eps": 1e-6}),
        (IvimModelTRR, {"maxiter": 5}),
        (IvimModelTRR, {"x_scale": [1.0, 1.0, 1.0, 1.0]}),
        (IvimModelVP, {"maxiter": 50}),
        (IvimModelVP, {"xtol": 1e-4}),
    ],
)
def test_what_an_optimiser_would_need_has_no_effect_and_says_so(model, options):
    with pytest.warns(IvimkitWarning, match=f"{next(iter(options))}=.* has no effect: ivim") as w:
        fitted = model(GTAB, **options).fit(noisy())
    assert [warning.filename for warning in w] == [__file__]
    np.testing.assert_array_equal(fitted.model_params, model(GTAB).fit(noisy()).model_params)


def test_defaults_of_dipy_are_no_news():
    IvimModelTRR(
        GTAB, tol=1e-15, x_scale=[1000.0, 0.1, 0.001, 0.0001], gtol=1e-15, ftol=1e-15, eps=1e-15
    )
    IvimModelVP(GTAB, maxiter=10, xtol=1e-8)


def test_thresholds_decide_which_volumes_the_lines_use():
    signal = ivim_prediction(PARAMS, GTAB)
    one = IvimModelTRR(GTAB, two_stage=False, split_b_D=700, split_b_S0=40).fit(signal)
    two = IvimModelTRR(GTAB, two_stage=False).fit(signal)
    # Without blood at high b, and with less decay at low b, both lines come nearer to the truth.
    for k in (0, 3):
        assert abs(one.model_params[k] - PARAMS[k]) < 0.2 * abs(two.model_params[k] - PARAMS[k])
    both = IvimModelTRR(GTAB, split_b_D=700, split_b_S0=40).fit(signal).result.method
    assert both == ik.methods.TRR(split_b_D=700.0, split_b_S0=40.0)
    used = np.flatnonzero(B21 >= 700)
    S0, D = IvimModelTRR(GTAB).estimate_linear_fit(signal, 700, less_than=False)
    slope, height = np.polyfit(B21[used], -np.log(signal[used]), 1)
    assert pytest.approx(slope, rel=CLOSED_FORM) == D == one.D
    assert pytest.approx(np.exp(-height), rel=CLOSED_FORM) == S0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"split_b_D": 1000.0},
            AcquisitionError,
            r"split_b_D: a line needs two b-values with b >=",
        ),
        ({"split_b_S0": 5}, AcquisitionError, "split_b_S0: a line needs two b-values with b <= 5"),
        ({"split_b_D": "high"}, OptionError, "split_b_D is 'high'"),
    ],
)
def test_thresholds_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        IvimModelTRR(GTAB, **options)


def test_two_straight_lines_are_no_start_for_a_missing_b0():
    gtab = SimpleNamespace(bvals=np.where(B21 == 0, 5, B21))
    with pytest.raises(AcquisitionError, match=r"^No measured signal at bvalue == 0\. The lowest"):
        IvimModelTRR(gtab)
    # As in DIPY, variable projection does without.
    with pytest.warns(AcquisitionWarning, match="the lowest b-value is 5"):
        fitted = IvimModelVP(gtab).fit(ivim_prediction(PARAMS, gtab))
    np.testing.assert_allclose(fitted.model_params, PARAMS, rtol=NOISE_FREE)


def test_a_b0_threshold_is_an_error():
    gtab = SimpleNamespace(bvals=B21, b0_threshold=50)
    with pytest.raises(AcquisitionError, match=r"requires a measurement at b==0\. .* has 50; exp"):
        IvimModelTRR(gtab)


def test_volumes_are_neither_grouped_nor_averaged():
    gtab = SimpleNamespace(bvals=[0, 0, 1, 2, 3, 10, 50, 200, 400, 800, 802])
    fitted = IvimModelTRR(gtab).fit(ivim_prediction(PARAMS, gtab))
    assert list(fitted.result.provenance.bvals) == gtab.bvals
    assert list(fitted.result.provenance.counts) == [1.0] * 11
    np.testing.assert_allclose(fitted.model_params, PARAMS, rtol=NOISE_FREE)


# ------------------------------------------------------------------------------------- the fit


def test_f_and_D_star_with_the_rest_given():
    model = IvimModelTRR(GTAB)
    params = np.tile(PARAMS, (3, 1))
    params[:, 1] = [0.1, 0.2, 0.3]
    f, D_star = model.estimate_f_D_star([0, 0], ivim_prediction(params, GTAB), 1000.0, [1e-3] * 3)
    np.testing.assert_allclose(f, params[:, 1], rtol=NOISE_FREE)
    np.testing.assert_allclose(D_star, 0.01, rtol=NOISE_FREE)


@pytest.mark.parametrize("two_stage", [True, False])
@pytest.mark.parametrize("shape", [(), (4,), (2, 2), (2, 1, 2)])
def test_data_of_any_shape(shape, two_stage):
    signal = noisy(4)[: max(1, int(np.prod(shape)))].reshape(*shape, -1)
    model = IvimModelTRR(GTAB, two_stage=two_stage)
    fitted = model.fit(signal)
    assert fitted.shape == shape
    assert fitted.model_params.shape == (*shape, 4)
    assert fitted.predict(GTAB).shape == signal.shape
    for k, name in enumerate(("S0_predicted", "perfusion_fraction", "D_star", "D")):
        np.testing.assert_array_equal(getattr(fitted, name), fitted.model_params[..., k])
    np.testing.assert_array_equal(model.predict(fitted.model_params, GTAB), fitted.predict(GTAB))


@pytest.mark.parametrize(
    ("model", "options"),
    [(IvimModelTRR, {}), (IvimModelTRR, {"two_stage": False}), (IvimModelVP, {})],
)
def test_a_voxel_without_a_fit_is_nan_and_says_why(model, options):
    signal = np.tile(ivim_prediction(PARAMS, GTAB), (2, 2, 1))
    signal[0, 1] = 0.0
    signal[1, 1] = np.nan
    mask = np.array([[True, True], [False, True]])
    fitted = model(GTAB, **options).fit(signal, mask=mask)
    assert np.isnan(fitted.model_params).all(axis=-1).tolist() == [[False, True], [True, True]]
    assert np.isnan(fitted.predict(GTAB)[0, 1]).all()
    assert fitted.status[0, 0] == FitStatus.OK
    assert fitted.status[1, 0] == FitStatus.OUTSIDE_MASK
    failed = FitStatus.NO_SIGNAL | FitStatus.TOO_FEW_BVALUES | FitStatus.NON_FINITE
    assert (fitted.status[[0, 1], [1, 1]] & failed).all()
    np.testing.assert_array_equal(fitted.result.maps["D"], fitted.D)


def test_one_stage_says_which_voxel_has_no_line():
    signal = noisy(3)
    signal[0, B21 >= 400] = -1.0
    signal[1, -7:-2] = 0.0
    fitted = IvimModelTRR(GTAB, two_stage=False).fit(signal)
    assert fitted.status[0] == FitStatus.TOO_FEW_BVALUES
    assert np.isfinite(fitted.model_params[1:]).all()
    alone = IvimModelTRR(GTAB, two_stage=False).fit(signal[0])
    assert np.isnan(alone.model_params).all()
    assert alone.status == FitStatus.TOO_FEW_BVALUES
    assert alone.result is None


def test_a_mask_without_a_voxel_gives_nan():
    fitted = IvimModelVP(GTAB).fit(noisy(4).reshape(2, 2, -1), mask=np.zeros((2, 2)))
    assert fitted.shape == (2, 2)
    assert np.isnan(fitted.model_params).all()
    assert (fitted.status == FitStatus.OUTSIDE_MASK).all()


def test_shapes_must_fit():
    model = IvimModelVP(GTAB)
    with pytest.raises(ShapeError, match=r"mask and data shape do not match: .* \(3,\); expected"):
        model.fit(noisy(4), mask=np.ones(3))
    with pytest.raises(ShapeError, match="has 20 volumes on its last axis and there are 21"):
        model.fit(noisy(4)[:, 1:])


def test_options_of_fit():
    model = IvimModelVP(GTAB)
    signal = noisy(4)
    assert model.fit(signal, n_jobs=1, engine="serial").result.provenance.threads == 1
    every_core = model.fit(signal).result.provenance.threads
    assert model.fit(signal, n_jobs=-1).result.provenance.threads == every_core
    with pytest.warns(
        IvimkitWarning, match="engine='ray', verbose=True have no effect: .*n_jobs"
    ) as w:
        model.fit(signal, engine="ray", verbose=True)
    assert w[0].filename == __file__
    with pytest.raises(OptionError, match="fit has no option weights; expected mask, n_jobs or"):
        model.fit(signal, weights=np.ones(21))


def test_parts_of_a_fit():
    fitted = IvimModelVP(GTAB).fit(noisy(12).reshape(2, 3, 2, -1))
    params = fitted.model_params
    mask = np.zeros((2, 3, 2), dtype=bool)
    mask[0, 1] = True
    for index in (0, -1, (1, 2), (1, 2, 0), slice(1), (Ellipsis, 1), (0, slice(1, 3)), mask):
        part = fitted[index]
        assert isinstance(part, IvimFit)
        np.testing.assert_array_equal(
            part.model_params, np.stack([params[..., k][index] for k in range(4)], axis=-1)
        )
        np.testing.assert_array_equal(part.status, fitted.status[index])
        assert part.model is fitted.model
        np.testing.assert_array_equal(part.predict(GTAB), ivim_prediction(part.model_params, GTAB))
    assert fitted[1, 2, 0][0].model_params == params[1, 2, 0, 0]
    with pytest.raises(IndexError, match="too many indices"):
        _ = fitted[0, 0, 0, 0]
    with pytest.raises(IndexError, match="the fit is of one voxel"):
        _ = fitted[1, 2, 0][0, 0]


def test_S0_of_predict_has_no_effect_and_says_so():
    fitted = IvimModelVP(GTAB).fit(ivim_prediction(PARAMS, GTAB))
    with pytest.warns(IvimkitWarning, match=r"S0=5.0 has no effect: the signal is that") as record:
        predicted = fitted.predict(GTAB, S0=5.0)
    assert record[0].filename == __file__
    np.testing.assert_array_equal(predicted, fitted.predict(GTAB))
