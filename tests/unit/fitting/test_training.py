from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, final

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import ivimkit as ik
from ivimkit.extend.prior import Prior, even_knots
from ivimkit.extend.prior_table import PriorTable
from ivimkit.fitting.training import variance_distribution
from ivimkit.kernels.two_decays.fitted_decays import MIN_RATE_RATIO

B21 = np.array(ik.simulate.B21, dtype=float)
B13 = np.array(ik.simulate.B13, dtype=float)

# f, D*, D of four kinds of tissue.
ORGANS = np.array(
    [(0.28, 70e-3, 1.1e-3), (0.15, 25e-3, 2e-3), (0.2, 20e-3, 1.25e-3), (0.1, 30e-3, 1.45e-3)]
)
SPREAD = np.array([0.25, 0.35, 0.12])


def organs(n, seed=0):
    """Parameters of voxels of `ORGANS`, log-normal around their means."""
    rng = np.random.default_rng(seed)
    values = ORGANS[rng.integers(4, size=n)] * np.exp(
        SPREAD * rng.standard_normal((n, 3)) - SPREAD**2 / 2
    )
    f, d_star, d = values.T
    return {"S0": np.full(n, 1000.0), "f": np.minimum(f, 0.9), "D_star": d_star, "D": d}


def measured(truth, b, sigma, kind="rician", seed=1):
    clean = ik.simulate.signals("biexp", truth, b)
    return ik.simulate.add_noise(clean, sigma=sigma, seed=seed, kind=kind)


# ------------------------------------------------------------------------------ noise variance


@pytest.mark.parametrize("degrees", [5.0, 20.0])
def test_distribution_of_variances_is_recovered(degrees):
    rng = np.random.default_rng(2)
    variances = 400.0 * degrees / rng.chisquare(degrees, 20_000)
    sums = variances * rng.chisquare(9, variances.size)
    sums[:20] *= 1e4  # Outliers are no noise.
    found, scale = variance_distribution(sums, 9)
    # Pulling the tails in makes 20 degrees about 22: they look more alike than they are.
    assert found == pytest.approx(degrees, rel=0.15)
    assert scale == pytest.approx(400.0, rel=0.02)


def test_noise_of_a_scan_is_one_value_for_all_voxels_and_that_of_a_voxel_is_not():
    signals = measured(organs(600), B13, 25.0)
    scan = ik.fit(signals, B13, method=ik.methods.Bayes(prior="organ"))
    alone = ik.fit(signals, B13, method=ik.methods.Bayes(prior="organ", variance="voxel"))
    assert np.median(scan.maps["sigma"]) == pytest.approx(25.0, rel=0.05)
    assert np.std(scan.maps["sigma"]) < 0.1 * np.std(alone.maps["sigma"])
    variance = scan.learned["all"].variance
    again = ik.fit(signals, B13, method=ik.methods.Bayes(prior="organ", variance=variance))
    np.testing.assert_array_equal(scan.maps["D_sd"], again.maps["D_sd"])
    # What is given is not learned.
    known = [
        ik.fit(signals[:60], B13, method=ik.methods.Bayes(prior="organ", variance=v), sigma=30.0)
        for v in ("scan", "voxel")
    ]
    assert (known[0].maps["sigma"] == 30.0).all()
    np.testing.assert_array_equal(known[0].maps["D_sd"], known[1].maps["D_sd"])
    # Fewer than 50 voxels do not tell a distribution.
    few = [
        ik.fit(signals[:49], B13, method=ik.methods.Bayes(prior="organ", variance=v))
        for v in ("scan", "voxel")
    ]
    np.testing.assert_array_equal(few[0].maps["sigma"], few[1].maps["sigma"])
    assert not np.array_equal(few[0].maps["sigma"], scan.maps["sigma"][:49])


def test_volumes_one_by_one_count_one_by_one():
    b = np.repeat(B13, 3)
    dwi = ik.DWI(measured(organs(800), b, 40.0, kind="gaussian"), b, average="none")
    result = ik.fit(dwi, method=ik.methods.Bayes(prior="organ", noise="gaussian"))
    assert np.median(result.maps["sigma"]) == pytest.approx(40.0, rel=0.03)


# --------------------------------------------------------------------------------- likelihoods


@final
@dataclass(frozen=True)
class Listener(Prior):
    """Keeps what it is given to learn from."""

    name: ClassVar[str] = "listener"
    title: ClassVar[str] = "listens"
    trains: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ()
    heard: ClassVar[list] = []

    def tabulate(self, model, likelihoods=None):
        self.heard.append(likelihoods)
        return even_knots(model, (5, 5, 5))


# Mass between knots is given to both sides by its nearness, which is exact for a density that is
# linear between them; what is left are float32, shares of a row below 1e-7, and the other sum.
_EXACT = 2e-3
# The lattice of a fit has fewer nodes, in places that depend on the prior.
_EVIDENCE = 0.02


def summed(signals, table, sigma):
    """Logarithms of the evidence of voxels, but for a constant, by a sum over a fine grid."""
    shape = (250, 120, 250)
    nodes = []
    for knots, n in zip(table.axes(), shape, strict=True):
        step = (knots[-1] - knots[0]) / n
        nodes.append(knots[0] + step * (np.arange(n) + 0.5))
    slow, log_fast, f = nodes
    e1, e2 = np.exp(-np.outer(slow, B13)), np.exp(-np.outer(np.exp(log_fast), B13))
    g11, g12, g22 = (e1**2).sum(1)[:, None, None], (e1 @ e2.T)[:, :, None], (e2**2).sum(1)
    q = (1 - f) ** 2 * g11 + 2 * f * (1 - f) * g12 + f**2 * g22[:, None]
    near = [
        np.stack([np.interp(at, knots, one) for one in np.eye(knots.size)], axis=1)
        for at, knots in zip(nodes, table.axes(), strict=True)
    ]
    prior = np.einsum("ia,jb,kc,abc->ijk", *near, table.density, optimize=True)
    apart = np.exp(log_fast)[:, None] > MIN_RATE_RATIO * slow[:, None, None]
    logs = []
    for signal in signals:
        c = (1 - f) * (e1 @ signal)[:, None, None] + f * (e2 @ signal)[:, None]
        gain = np.where((c > 0) & apart, c**2 / q / (2 * sigma**2), 0.0)
        top = gain.max()
        logs.append(top + np.log(np.sum(np.exp(gain - top) * (gain > 0) * prior / np.sqrt(q))))
    return np.array(logs)


def test_likelihoods_give_the_evidence_of_any_prior():
    signals = measured(organs(80), B13, 40.0, kind="gaussian")
    options = {"noise": "gaussian"}
    ik.fit(signals, B13, method=ik.methods.Bayes(prior=Listener(), **options), sigma=40.0)
    likelihoods = Listener.heard.pop()
    assert likelihoods.n_voxels == 80
    frame = likelihoods.frame
    least_squares = ik.fit(signals, B13)
    assert likelihoods.median == np.median(least_squares.maps["D"])
    logs, evidence, exact = [], [], []
    for seed in (3, 4, 5):
        # The nodes of a posterior see no density that changes from knot to knot.
        density = np.random.default_rng(seed).uniform(0.0, 1.0, [a.size for a in frame.knots])
        density = gaussian_filter(density, 3.0, mode="nearest") ** 4
        table = PriorTable(frame.model, "random", frame.names, frame.knots, density)
        logs.append(np.log(likelihoods.matrix @ (table.density * table.volumes()).ravel()))
        fit = ik.fit(signals, B13, method=ik.methods.Bayes(prior=table, **options), sigma=40.0)
        evidence.append(fit.maps["ln_evidence"])
        exact.append(summed(signals[::16], table, 40.0))
    found, fitted, right = (np.array(each[1:]) - each[0] for each in (logs, evidence, exact))
    np.testing.assert_allclose(fitted[:, ::16], right, atol=_EVIDENCE)
    # A prior hears the voxels in an order of its own: the same whatever that of the scan is.
    np.testing.assert_allclose(np.sort(found), np.sort(fitted), atol=_EVIDENCE)
    away = np.abs(right[:, :, np.newaxis] - found[:, np.newaxis]).max(axis=0).min(axis=1)
    assert away.max() < _EXACT


# --------------------------------------------------------------------------- priors that learn


def errors(result, truth):
    return {
        name: np.sqrt(np.mean((result.maps[name] - truth[name]) ** 2))
        for name in ("D", "f", "D_star")
    }


def test_learned_prior_lowers_the_error_and_keeps_its_promise():
    truth = organs(600)
    signals = measured(truth, B13, 50.0)
    flat = ik.fit(signals, B13, method=ik.methods.Bayes(prior="flat"), sigma=50.0)
    for name in ("learned", "shrinkage"):
        result = ik.fit(signals, B13, method=ik.methods.Bayes(prior=name))
        ours, others = errors(result, truth), errors(flat, truth)
        assert ours["D"] < 0.85 * others["D"]
        assert ours["f"] < 0.9 * others["f"]
        assert ours["D_star"] < 0.4 * others["D_star"]
        for parameter in ours:
            low, high = result.interval[parameter]
            inside = np.mean((low <= truth[parameter]) & (truth[parameter] <= high))
            assert 0.9 < inside < 0.99, f"{parameter} of {name}: {inside}"
        about = result.priors["all"].about
        assert about["voxels"] == 600
        assert about["steps"] > 0
    # The table alone is all that was learned beside the noise.
    again = ik.fit(signals, B13, method=ik.methods.Bayes(prior=result.priors["all"]))
    np.testing.assert_array_equal(again.maps["f"], result.maps["f"])


def test_learned_prior_resolves_uniform_tissue_with_little_perfusion():
    # At fixed knots, D* of all voxels was twice the truth, and the intervals missed it.
    made = ik.simulate.phantom("brain", shape=(32, 40, 2), bvals=B21, snr=30)
    result = ik.fit(made.dwi, method="bayes")
    tissue = made.region("grey matter") | made.region("white matter")
    for name, most in (("D", 0.035e-3), ("f", 0.012), ("D_star", 25e-3)):
        truth = made.truth[name][tissue]
        error = result.maps[name][tissue] - truth
        assert np.sqrt(np.mean(error**2)) < most, name
        low, high = (limit[tissue] for limit in result.interval[name])
        assert np.mean((low <= truth) & (truth <= high)) > 0.93, name


def test_shrinkage_finds_mean_and_covariance_of_a_population():
    rng = np.random.default_rng(5)
    mean = np.array([np.log(1.2e-3), np.log(0.03), np.log(0.2 / 0.8)])
    root = np.array([[0.2, 0.0, 0.0], [0.0, 0.4, 0.0], [0.15, 0.0, 0.3]])
    log_d, log_d_star, logit = (mean + rng.standard_normal((1500, 3)) @ root.T).T
    truth = {
        "S0": np.full(1500, 1000.0),
        "D": np.exp(log_d),
        "D_star": np.exp(log_d_star),
        "f": 1 / (1 + np.exp(-logit)),
    }
    signals = measured(truth, B21, 10.0)
    about = ik.fit(signals, B21, method=ik.methods.Bayes(prior="shrinkage")).priors["all"].about
    covariance = np.array(about["covariance"])
    np.testing.assert_allclose(about["mean"], mean, atol=0.05)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(sd, [0.2, 0.4, np.hypot(0.15, 0.3)], rtol=0.15)
    assert covariance[0, 2] / sd[0] / sd[2] == pytest.approx(0.447, abs=0.1)
    assert abs(covariance[0, 1] / sd[0] / sd[1]) < 0.1


@pytest.fixture
def in_few_steps(monkeypatch):
    """Priors for what holds bit by bit: other voxels, or another order, show in the first step.

    After the fifth step the lattices of prior learned have followed the posteriors.
    """
    monkeypatch.setattr(import_module("ivimkit.priors.shrinkage"), "_MAX_STEPS", 6)

    def prior(name, **options):
        own = {"max_steps": 6} if name == "learned" else {}
        return ik.priors.get(name, **{**own, **options})

    return prior


@pytest.mark.parametrize("name", ["learned", "shrinkage"])
def test_the_seed_chooses_the_voxels_and_decides_all(name, in_few_steps):
    signals = measured(organs(120), B13, 40.0)

    def table(**options):
        method = ik.methods.Bayes(prior=in_few_steps(name, **options))
        return ik.fit(signals, B13, method=method).priors["all"]

    some = table(n_voxels=60)
    assert some.about["voxels"] == 60
    assert some.same_as(table(n_voxels=60))
    assert not some.same_as(table(n_voxels=60, seed=1))
    everything = table()
    assert everything.about["voxels"] == 120
    assert everything.same_as(table(n_voxels=120))
    if name == "shrinkage":  # All voxels in one order, and none held out: nothing is drawn.
        assert everything.same_as(table(seed=1))
    else:
        assert table(max_steps=1).about["steps"] <= 1 < everything.about["steps"]


def test_learned_prior_needs_steps():
    with pytest.raises(ik.errors.OptionError, match="max_steps is 0; expected a number >= 1"):
        ik.priors.Learned(max_steps=0)


# ---------------------------------------------------------------------- the order of the voxels


@pytest.mark.parametrize("prior", ["learned", "shrinkage"])
def test_where_a_voxel_lies_changes_no_bit(prior, in_few_steps):
    truth = organs(120)
    signals = measured(truth, B13, 30.0)
    signals[:9] = signals[9:18]
    signals[20, 3] = np.nan
    sigma = np.linspace(25.0, 35.0, 120)
    # Fewer than there are, so that some are drawn.
    rule = in_few_steps(prior, n_voxels=80)

    def maps(order, index):
        scan = np.array(signals[index].reshape(8, 5, 3, B13.size), order=order)
        result = ik.fit(
            scan, B13, method=ik.methods.Bayes(prior=rule), sigma=sigma[index].reshape(8, 5, 3)
        )
        table = result.priors["all"]
        return table, {
            name: np.asarray(values).reshape(120) for name, values in result.maps.items()
        }

    index = np.arange(120)
    table, first = maps("C", index)
    shuffled = np.random.default_rng(1).permutation(120)
    for order, where in (("F", index), ("C", shuffled), ("F", index[::-1])):
        other, found = maps(order, where)
        assert other.same_as(table)
        for name, values in first.items():
            np.testing.assert_array_equal(found[name], values[where], err_msg=name)
