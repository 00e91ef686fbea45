"""compare: the models of simulated voxels are found, and every number is one computed by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import simpson

import ivimkit as ik
from ivimkit.errors import (
    AcquisitionError,
    AcquisitionWarning,
    InputError,
    OptionError,
    ShapeError,
)
from ivimkit.fitting.comparison import CRITERIA, REFERENCES
from ivimkit.testing import measurements
from tolerances import CLOSED_FORM

B = np.array(ik.simulate.B21, dtype=float)
NAMES = ("monoexp", "sivim", "biexp")
TRUTH = {
    "monoexp": [1000.0, 1.2e-3],
    "sivim": [1000.0, 0.2, 1.2e-3],
    "biexp": [1000.0, 0.2, 0.03, 1.2e-3],
}

# ln evidence: the lattice of the method promises 1e-3, and a corner of the bounds where D* < D
# holds 0.5 % of the prior.
LN_EVIDENCE = 0.01


def noisy(model, n, sigma, seed=0):
    clean = ik.simulate.signals(model, np.tile(TRUTH[model], (n, 1)), B)
    return clean + np.random.default_rng(seed).normal(0.0, sigma, clean.shape)


@pytest.fixture(scope="module")
def mixed():
    """Forty voxels of each model, one after the other."""
    return np.concatenate([noisy(name, 40, 15.0, k) for k, name in enumerate(NAMES)])


def cost_of(result, signal, counts=1.0):
    return (counts * (signal - result.predict(result.provenance.bvals)) ** 2).sum(axis=-1)


# ------------------------------------------------------------------------------- the choice


@pytest.mark.parametrize("sigma", [None, 10.0], ids=["residuals", "sigma"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_voxels_choose_the_model_that_made_them(criterion, sigma):
    n = 100
    signal = np.concatenate([noisy(name, n, 10.0, k) for k, name in enumerate(NAMES)])
    comparison = ik.compare(signal, B, criterion=criterion, sigma=sigma)
    assert comparison.names == NAMES
    for index, name in enumerate(NAMES):
        share = (comparison.chosen[index * n : (index + 1) * n] == index).mean()
        assert share > 0.85, f"{share:.0%} of the voxels made by {name} chose it"


@pytest.mark.parametrize(
    ("alpha", "sigma"), [(0.01, None), (0.05, 25.0), (0.2, None), (0.2, 25.0)]
)
def test_the_f_test_finds_too_much_no_more_often_than_alpha(alpha, sigma):
    n = 4000
    signal = noisy("monoexp", n, 25.0)
    comparison = ik.compare(signal, B, criterion="f_test", alpha=alpha, sigma=sigma)
    rate = (comparison.chosen > 0).mean()
    assert rate < alpha + 3 * np.sqrt(alpha * (1 - alpha) / n)
    assert rate > alpha / 4
    assert comparison.alpha == alpha


def test_models_of_any_compartments_are_compared():
    b = measurements(ik.models.get("kurtosis"))["b"]
    truth = {
        "monoexp": TRUTH["monoexp"],
        "biexp": TRUTH["biexp"],
        "kurtosis": [1000.0, 0.2, 0.03, 1.2e-3, 0.9],
        "triexp": [1000.0, 0.2, 0.15, 0.2, 0.012, 1.2e-3],
        "stretched": [1000.0, 0.2, 0.03, 1.2e-3, 0.75],
    }
    n, names = 20, tuple(truth)
    signal = np.concatenate(
        [ik.simulate.signals(name, np.tile(truth[name], (n, 1)), b) for name in names]
    )
    signal += np.random.default_rng(1).normal(0.0, 1.0, signal.shape)
    with warnings.catch_warnings():
        # biexp and triexp have no kurtosis, and b = 2000 is too high for them.
        warnings.simplefilter("ignore", AcquisitionWarning)
        comparison = ik.compare(signal, b, models=names, criterion="bic")
        nested = ik.compare(signal, b, models=names[:3], criterion="f_test")
    own = np.repeat(np.arange(len(names)), n)
    assert (comparison.chosen == own).reshape(len(names), n).mean(axis=1).min() > 0.8
    # Each has a D and fractions, whatever they are called.
    for index, name in enumerate(names):
        fractions = [ik.models.get(name).index(f) for f in ik.models.get(name).fractions]
        found = np.median(comparison.averaged["f"][own == index])
        np.testing.assert_allclose(found, sum(truth[name][k] for k in fractions), atol=0.01)
        slow = -2 if name in ("kurtosis", "stretched") else -1
        found = np.median(comparison.averaged["D"][own == index])
        np.testing.assert_allclose(found, truth[name][slow], rtol=0.05)
    assert (nested.chosen == own)[: 3 * n].mean() > 0.9


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", NAMES)
def test_without_noise_the_simplest_model_that_fits_is_chosen(name, criterion):
    signal = ik.simulate.signals(name, np.tile(TRUTH[name], (3, 1)), B)
    comparison = ik.compare(signal, B, criterion=criterion)
    assert [comparison.names[index] for index in comparison.chosen] == [name] * 3
    assert all(np.isfinite(weight).all() for weight in comparison.weights.values())


# ------------------------------------------------------------------------- scores by hand


def test_information_criteria_by_hand(mixed):
    # b = 0 was measured three times: one value with weight 3.
    bvals = np.concatenate([[0.0, 0.0], B])
    signal = np.concatenate([mixed[:, [0, 0]], mixed], axis=1)
    counts = np.where(B == 0.0, 3.0, 1.0)
    n = B.size
    for criterion in ("aicc", "bic"):
        free = ik.compare(signal, bvals, criterion=criterion)
        known = ik.compare(signal, bvals, criterion=criterion, sigma=15.0)
        for name, p in (("monoexp", 2), ("sivim", 3), ("biexp", 4)):
            cost = cost_of(free.results[name], mixed, counts)
            k = p + 1
            if criterion == "aicc":
                expected = n * np.log(cost / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
                with_sigma = cost / 15.0**2 + 2 * p
            else:
                expected = n * np.log(cost / n) + k * np.log(n)
                with_sigma = cost / 15.0**2 + p * np.log(n)
            np.testing.assert_allclose(free.scores[name], expected, rtol=CLOSED_FORM)
            np.testing.assert_allclose(known.scores[name], with_sigma, rtol=CLOSED_FORM)
        scores = np.stack([free.scores[name] for name in NAMES])
        likely = np.exp(-0.5 * (scores - scores.min(axis=0)))
        np.testing.assert_allclose(
            np.stack([free.weights[name] for name in NAMES]), likely / likely.sum(axis=0)
        )
        np.testing.assert_array_equal(free.chosen, scores.argmin(axis=0))


@pytest.mark.parametrize("sigma", [None, 15.0], ids=["residuals", "sigma"])
def test_f_test_by_hand(mixed, sigma):
    comparison = ik.compare(mixed, B, criterion="f_test", sigma=sigma)
    free = [2, 3, 4]
    costs = np.stack([cost_of(comparison.results[name], mixed) for name in NAMES])
    assert np.isnan(comparison.scores["monoexp"]).all()
    for voxel in range(len(mixed)):
        taken = 0
        for index in (1, 2):
            gain, more = costs[taken, voxel] - costs[index, voxel], free[index] - free[taken]
            left = B.size - free[index]
            if sigma is None:
                p = stats.f.sf(gain / more / (costs[index, voxel] / left), more, left)
            else:
                p = stats.chi2.sf(gain / sigma**2, more)
            assert comparison.scores[NAMES[index]][voxel] == pytest.approx(p, rel=1e-6)
            taken = index if p < 0.05 else taken
        assert comparison.chosen[voxel] == taken
        assert [comparison.weights[name][voxel] for name in NAMES] == np.eye(3)[taken].tolist()


def test_evidence_by_quadrature():
    sigma, b = 25.0, np.array([0, 10, 30, 60, 100, 150, 200, 400, 600, 800.0])
    truth = [1000.0, 0.15, 0.03, 1.1e-3]
    signal = ik.simulate.signals("biexp", truth, b)
    signal = signal + np.random.default_rng(4).normal(0.0, sigma, b.size)
    method = ik.methods.Bayes(prior="flat", noise="gaussian")
    comparison = ik.compare(
        signal[np.newaxis], b, criterion="evidence", method=method, sigma=sigma
    )

    def likelihood(shape):
        # S0, flat, is integrated over all its values.
        square = (shape**2).sum(axis=-1)
        least = (signal**2).sum() - (shape @ signal) ** 2 / square
        norm = (2 * np.pi * sigma**2) ** (-0.5 * (b.size - 1))
        return norm * np.exp(-0.5 * least / sigma**2) / np.sqrt(square)

    D = np.linspace(0.0, 5e-3, 801)
    slow = np.exp(-b * D[:, np.newaxis])
    # Uniform in D up to 0.005 mm^2/s, in D* from 0.002 to 0.2 and in f from 0 to 1.
    expected = {"monoexp": simpson(likelihood(slow), D) / 5e-3}
    coarse, f = slow[::8], np.linspace(0.0, 1.0, 101)
    mixed = (1.0 - f[:, np.newaxis, np.newaxis]) * coarse
    instant = f[:, np.newaxis, np.newaxis] * (b == 0.0)
    expected["sivim"] = simpson(simpson(likelihood(mixed + instant), D[::8]), f) / 5e-3
    ln_fast = np.linspace(np.log(2e-3), np.log(0.2), 81)
    inner = [
        simpson(
            simpson(
                likelihood(mixed + f[:, np.newaxis, np.newaxis] * np.exp(-b * np.exp(value))),
                D[::8],
            ),
            f,
        )
        for value in ln_fast
    ]
    expected["biexp"] = simpson(inner * np.exp(ln_fast), ln_fast) / (5e-3 * (0.2 - 2e-3))
    for name in NAMES:
        assert comparison.scores[name][0] == pytest.approx(np.log(expected[name]), abs=LN_EVIDENCE)
    total = sum(expected.values())
    for name in NAMES:
        share = expected[name] / total
        assert comparison.weights[name][0] == pytest.approx(share, abs=LN_EVIDENCE)


def test_evidence_has_one_prior_for_the_rate_in_common():
    signal = noisy("monoexp", 2, 10.0)
    own = ik.models.get("monoexp").with_bounds(ADC=(0.0, 4e-3))
    options = {"criterion": "evidence", "sigma": 10.0}
    comparison = ik.compare(signal, B, models=("monoexp", "biexp"), **options)
    assert comparison.results["monoexp"].model["ADC"].upper == 5e-3
    given = ik.compare(signal, B, models=(own, ik.models.get("biexp")), **options)
    assert given.results["monoexp"].model["ADC"].upper == 4e-3
    assert given.results["biexp"].model["D"].upper == 5e-3
    # A flat density is as high as its range is short.
    np.testing.assert_allclose(
        given.scores["monoexp"] - comparison.scores["monoexp"], np.log(5 / 4), atol=LN_EVIDENCE
    )
    narrow = ik.compare(signal, B, models=(own, "biexp"), **options)
    assert narrow.results["biexp"].model["D"].upper == 4e-3


def test_evidence_measures_all_models_by_the_same_noise(mixed):
    comparison = ik.compare(mixed, B, criterion="evidence")
    found = {result.method.options()["variance"] for result in comparison.results.values()}
    assert len(found) == 1
    _, scale = found.pop()
    assert np.sqrt(scale) == pytest.approx(15.0, rel=0.05)
    few = ik.compare(mixed[:5], B, criterion="evidence")
    assert {r.method.options()["variance"] for r in few.results.values()} == {"voxel"}
    noisier = ik.methods.Bayes(prior="flat", variance=(1e9, 60.0**2))
    doubtful = ik.compare(mixed, B, criterion="evidence", method=noisier)
    n = {c: (c.chosen == 2).sum() for c in (comparison, doubtful)}
    assert n[doubtful] < n[comparison]


def test_the_method_counts(mixed):
    assert ik.compare(mixed[:2], B).results["biexp"].method == ik.methods.VarPro()
    by_name = ik.compare(mixed[:2], B, criterion="evidence", method="bayes", sigma=15.0)
    usual = ik.compare(mixed[:2], B, criterion="evidence", sigma=15.0)
    organ = ik.methods.Bayes(prior="organ")
    np.testing.assert_array_equal(by_name.scores["biexp"], usual.scores["biexp"])
    assert usual.results["biexp"].method.options()["prior"] == "flat"
    other = ik.compare(
        mixed[:2], B, models=("sivim", "biexp"), criterion="evidence", method=organ, sigma=15.0
    )
    assert (other.scores["biexp"] != usual.scores["biexp"]).all()


# -------------------------------------------------------------------------- what stays equal


@pytest.mark.parametrize("sigma", [None, 15.0], ids=["residuals", "sigma"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_scale_and_order_of_voxels_do_not_matter(mixed, criterion, sigma):
    # Enough voxels for a distribution of their noise.
    mixed = mixed[::2]
    usual = ik.compare(mixed, B, criterion=criterion, sigma=sigma)
    total = sum(usual.weights[name] for name in NAMES)
    np.testing.assert_allclose(total, 1.0, rtol=CLOSED_FORM)
    order = np.random.default_rng(1).permutation(len(mixed))
    for factor in (1e-4, 1e5):
        scaled = None if sigma is None else factor * sigma
        other = ik.compare(factor * mixed[order], B, criterion=criterion, sigma=scaled)
        np.testing.assert_array_equal(other.chosen, usual.chosen[order])
        for name in NAMES:
            # The lattice of a posterior is laid anew where rounding moves its edge.
            close = LN_EVIDENCE if criterion == "evidence" else 1e-9
            np.testing.assert_allclose(
                other.weights[name], usual.weights[name][order], rtol=1e-5, atol=close
            )


def test_forms_of_sigma(mixed):
    number = ik.compare(mixed, B, sigma=15.0)
    several = (
        np.full(len(mixed), 15.0),
        ik.noise.given(15.0),
        ik.noise.given(np.full(len(mixed), 15.0)),
    )
    for sigma in several:
        other = ik.compare(mixed, B, sigma=sigma)
        np.testing.assert_array_equal(other.scores["biexp"], number.scores["biexp"])
    half = np.where(np.arange(len(mixed)) < 60, 15.0, 30.0)
    local = ik.compare(mixed, B, criterion="bic", sigma=half)
    left, right = (ik.compare(mixed, B, criterion="bic", sigma=s) for s in (15.0, 30.0))
    np.testing.assert_array_equal(local.chosen[:60], left.chosen[:60])
    np.testing.assert_array_equal(local.chosen[60:], right.chosen[60:])


def test_order_of_models_and_threads_do_not_matter(mixed):
    for criterion in ("aicc", "f_test"):
        one = ik.compare(mixed, B, criterion=criterion, threads=1)
        two = ik.compare(
            mixed, B, models=("biexp", "monoexp", "sivim"), criterion=criterion, threads=2
        )
        assert two.names == ("biexp", "monoexp", "sivim")
        np.testing.assert_array_equal(
            np.array(one.names)[one.chosen], np.array(two.names)[two.chosen]
        )
        for name in NAMES:
            np.testing.assert_allclose(one.weights[name], two.weights[name], rtol=CLOSED_FORM)


# ------------------------------------------------------------------ masks, averages, tables


@pytest.fixture(scope="module")
def patient():
    """A small volume with a mask and a voxel that cannot be fitted."""
    made = ik.simulate.phantom(shape=(16, 12, 2))
    signal = np.array(made.dwi.signal, dtype=float)
    bad = tuple(np.argwhere(made.dwi.mask)[7])
    signal[bad] = np.nan
    dwi = ik.DWI(signal, made.dwi.acquisition.bvals, made.dwi.affine, made.dwi.mask)
    return dwi, made, bad


@pytest.mark.parametrize("criterion", CRITERIA)
def test_voxels_without_a_fit_have_no_choice(patient, criterion):
    dwi, _, bad = patient
    comparison = ik.compare(dwi, criterion=criterion)
    missing = ~dwi.mask
    missing[bad] = True
    np.testing.assert_array_equal(comparison.chosen == -1, missing)
    assert comparison.chosen.dtype == np.int32
    maps = {**comparison.weights, **comparison.averaged}
    assert set(maps) == {*NAMES, "D", "f"}
    for values in maps.values():
        np.testing.assert_array_equal(np.isnan(values), missing)
    np.testing.assert_array_equal(comparison.mask, dwi.mask)
    assert comparison.geometry == dwi.geometry


def test_a_mask_takes_the_place_of_the_scans(patient):
    dwi, made, _ = patient
    region = made.region("liver")
    comparison = ik.compare(dwi, mask=region)
    np.testing.assert_array_equal(comparison.mask, region)
    whole = ik.compare(dwi)
    np.testing.assert_array_equal(comparison.chosen[region], whole.chosen[region])


def test_averages(mixed):
    comparison = ik.compare(mixed, B)
    w, r = comparison.weights, comparison.results
    expected = (
        w["monoexp"] * r["monoexp"].maps["ADC"]
        + w["sivim"] * r["sivim"].maps["D"]
        + w["biexp"] * r["biexp"].maps["D"]
    )
    np.testing.assert_allclose(comparison.averaged["D"], expected, rtol=CLOSED_FORM)
    expected = w["sivim"] * r["sivim"].maps["f"] + w["biexp"] * r["biexp"].maps["f"]
    np.testing.assert_allclose(comparison.averaged["f"], expected, rtol=CLOSED_FORM)


def test_table(patient):
    dwi, made, bad = patient
    comparison = ik.compare(dwi)
    table = comparison.table(made.labels, made.label_names)
    for label in filter(None, np.unique(made.labels)):
        region, voxels = made.label_names[label], made.labels == label
        inside = voxels & (comparison.chosen >= 0)
        assert table.loc[region, "n"] == inside.sum()
        assert table.loc[region, "missing"] == (voxels & ~inside).sum()
        for index, name in enumerate(NAMES):
            share = (comparison.chosen[inside] == index).mean()
            assert table.loc[region, f"share_{name}"] == pytest.approx(share)
            weight = comparison.weights[name][inside].mean()
            assert table.loc[region, f"weight_{name}"] == pytest.approx(weight)
    assert list(comparison.table(made.labels).index) == [
        str(label) for label in np.unique(made.labels) if label
    ]
    (row,) = comparison.table().index
    assert row == "all"
    assert comparison.table().loc["all", "missing"] == 1
    only = np.zeros(dwi.shape, int)
    only[bad] = 4
    assert np.isnan(comparison.table(only).loc["4", "share_biexp"])
    with pytest.raises(ShapeError, match=r"labels have shape \(3,\); expected \(16, 12, 2\)"):
        comparison.table([1, 2, 3])
    with pytest.raises(ShapeError, match="there is no region"):
        comparison.table(np.zeros(dwi.shape))


def test_progress_counts_every_model(mixed):
    calls = []
    ik.compare(mixed, B, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (3 * len(mixed), 3 * len(mixed))


# ------------------------------------------------------------------------- models and errors


def test_a_registered_model_is_found_by_its_name(mixed):
    biexp = ik.models.get("biexp")
    ik.models.register(replace(biexp.with_bounds(f=(0, 0.1)), name="restricted"))
    try:
        comparison = ik.compare(mixed[-40:], B, models=("restricted", "biexp"))
    finally:
        ik.models.unregister("restricted")
    assert comparison.names == ("restricted", "biexp")
    assert comparison.averaged["f"].shape == (40,)
    assert (comparison.chosen == 1).mean() > 0.9


@pytest.mark.parametrize(
    ("n_b", "sigma", "criterion", "left"),
    [
        (6, None, "aicc", {"biexp": "6 values leave no room .* needs 7; give sigma"}),
        (6, 10.0, "aicc", {}),
        (4, None, "bic", {"biexp": "4 values leave no room .* needs 5; give sigma"}),
        (4, None, "f_test", {"biexp": "4 values leave no room .* needs 5; give sigma"}),
        (3, 10.0, "bic", {"biexp": "3 distinct b-values are too few for its 4 free parameters"}),
        (3, None, "evidence", {"biexp": "3 distinct b-values are too few for its 4"}),
        (4, None, "evidence", {}),
    ],
)
def test_models_that_the_b_values_cannot_carry_are_left_out(n_b, sigma, criterion, left):
    bvals = np.array([0, 50, 400, 800, 200, 100])[:n_b]
    signal = ik.simulate.signals("biexp", np.tile(TRUTH["biexp"], (4, 1)), bvals)
    signal = signal + np.random.default_rng(0).normal(0.0, 10.0, signal.shape)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        comparison = ik.compare(signal, bvals, criterion=criterion, sigma=sigma)
    assert {w.category for w in caught} == {AcquisitionWarning}
    messages = [str(w.message) for w in caught]
    assert len(messages) == len(set(messages)), "said once, not once per model"
    assert set(comparison.left_out) == set(left)
    assert comparison.names == tuple(name for name in NAMES if name not in left)
    for name, reason in left.items():
        assert any(m.startswith(f"model {name} is left out: ") for m in messages)
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(comparison.left_out[name])
    for name in comparison.names:
        assert np.isfinite(comparison.weights[name]).all()
        first = criterion == "f_test" and name == "monoexp"
        assert np.isfinite(comparison.scores[name]).all() != first


def test_a_model_that_the_method_cannot_fit_to_these_b_values_is_left_out():
    bvals = np.array([10, 20, 50, 100, 200, 300, 400, 600, 800])
    signal = ik.simulate.signals("biexp", TRUTH["biexp"], bvals)
    with (
        pytest.warns(AcquisitionWarning, match="model sivim is left out: .* only at b = 0"),
        pytest.warns(AcquisitionWarning, match="the lowest b-value is 10 s/mm"),
    ):
        comparison = ik.compare([signal], bvals)
    assert comparison.names == ("monoexp", "biexp")


def test_fewer_than_two_models_left():
    with pytest.raises(
        AcquisitionError, match=r"sufficient for 0 of 3 models \(monoexp: .*needs 5"
    ):
        ik.compare([[3.0, 2.0, 1.0]], [0, 400, 800])
    with pytest.raises(AcquisitionError, match="array without b-values"):
        ik.compare([[3.0, 2.0, 1.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "aic"}, "criterion is 'aic'; expected one of aicc, bic, f_test, evidence"),
        ({"alpha": 0.0}, "alpha is 0.0; expected a level between 0 and 1"),
        ({"models": ("monoexp", "tri")}, "unknown model 'tri'; there are ballistic, "),
        ({"models": ("biexp",)}, "expected two or more, like .*There are ballistic, "),
        ({"models": "monoexp,biexp"}, "models is 'monoexp,biexp'; expected two or more"),
        ({"models": ("biexp", "biexp")}, "model biexp is given twice"),
        ({"method": "segmented"}, "criterion aicc compares least sums of squares, and method seg"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"method": "trr"}, "method trr fits bi-exponential models and monoexp is not one"),
        ({"method": ik.methods.VarPro(noise="rician")}, "method varpro with these options"),
        ({"criterion": "evidence", "method": "varpro"}, "integrates, and varpro does not"),
        ({"sigma": -1.0}, "sigma has values that are zero, negative"),
        (
            {
                "criterion": "f_test",
                "models": ("sivim", ik.models.get("biexp").with_fixed(D_star=0.02)),
            },
            "models sivim and biexp are not nested, as an F-test needs",
        ),
        (
            {
                "criterion": "f_test",
                "models": (ik.models.get("sivim").with_fixed(f=0.1), "monoexp"),
            },
            "not nested",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:12],
)
def test_errors(mixed, options, message):
    with pytest.raises(OptionError, match=message):
        ik.compare(mixed[:2], B, **options)


def test_sources_of_all_criteria(mixed):
    assert set(REFERENCES) == set(CRITERIA)
    assert "doi:10.1093/biomet/76.2.297" in " ".join(ik.compare(mixed[:2], B).references)


def test_a_comparison_for_which_there_is_no_room_is_refused_before_any_fit(mixed, monkeypatch):
    monkeypatch.setattr("ivimkit.scan.whole_scan.free_memory_mb", lambda: 1e-3)
    with pytest.raises(
        InputError, match="a comparison of 3 models, which looks at the whole scan"
    ):
        ik.compare(mixed, B, progress=lambda *_: pytest.fail("a fit has begun"))
