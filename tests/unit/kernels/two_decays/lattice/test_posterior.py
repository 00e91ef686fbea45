"""The posterior against plain sums over fine grids and against quadrature by scipy."""

import math

import numpy as np
import pytest
from scipy import integrate
from scipy.interpolate import RegularGridInterpolator
from scipy.special import rel_entr

import ivimkit as ik
from ivimkit.status import FitStatus
from tolerances import POSTERIOR, POSTERIOR_LIMIT, POSTERIOR_TAILED

B21 = np.array(ik.simulate.B21, dtype=float)
B13 = np.array(ik.simulate.B13, dtype=float)

# Bounds of D, D*, f in which the reference lies, and in which voxels are drawn.
NARROW = ((0.5e-3, 8e-3, 0.03), (2.5e-3, 80e-3, 0.4))
WIDE = ((0.0, 2e-3, 0.0), (5e-3, 0.2, 1.0))
NAMES = ("D", "D_star", "f")
SHARES = (0.025, 0.975, 0.25, 0.75, 0.5)

# How far below its top the logarithm of the likelihood is still looked at, zoom after zoom.
_KEPT = (400.0, 60.0, 20.0, 14.0, 14.0, None)
# The fast rate is above the slow one by this factor.
_APART = 1.02


def by_grid(
    signal,
    b,
    lower,
    upper,
    *,
    sigma=None,
    degrees=0.0,
    scale=0.0,
    times=1.0,
    prior=None,
    instant=False,
    n=64,
):
    """Return the posterior of D, D* and f between bounds, S0 uniform on a line.

    Without sigma the noise variance is scaled inverse chi-squared; no degrees are Jeffreys' prior.
    Equal bounds fix a parameter; `instant` is a fast pool that is seen at b = 0 alone; `times` are
    weights; without a prior's table D, D* and f are uniform. Every free parameter gets mean,
    standard deviation and quantiles.
    """
    power, known = 0.5 * (degrees + b.size - 1), sigma is not None
    first, last = np.array(lower, dtype=float), np.array(upper, dtype=float)
    low, high, free = first.copy(), last.copy(), first < last
    size = np.where(free, n, 1)
    norm = (times * signal**2).sum() + degrees * scale
    for kept in _KEPT:
        step = (high - low) / size
        d, d_star, f = (low[k] + (np.arange(size[k]) + 0.5) * step[k] for k in range(3))
        one = np.exp(-np.outer(d, b))
        two = 1.0 * (b == 0.0)[None] if instant else np.exp(-np.outer(d_star, b))
        g11, g22 = (times * one**2).sum(1)[:, None, None], (times * two**2).sum(1)[None, :, None]
        g12 = ((times * one) @ two.T)[:, :, None]
        p1, p2 = (one @ (times * signal))[:, None, None], (two @ (times * signal))[None, :, None]
        c = (1 - f) * p1 + f * p2
        q = (1 - f) ** 2 * g11 + 2 * f * (1 - f) * g12 + f**2 * g22
        apart = instant | (d_star[None, :, None] > _APART * d[:, None, None])
        gain = np.where(apart & (c > 0), c * c / q, 0.0)
        top = gain.max()
        if known:
            log = (gain - top) / (2 * sigma**2)
        else:
            log = -power * np.log1p((top - gain) / (norm - top))
        if kept is not None:
            inside = np.argwhere(log > -kept)
            low = np.where(free, np.maximum(low + (inside.min(0) - 1) * step, first), low)
            high = np.where(free, np.minimum(high - (size - inside.max(0) - 2) * step, last), high)
    weight = np.exp(log) / np.sqrt(q) * (gain > 0)
    if prior is None:
        weight /= np.prod((last - first)[free])
    else:
        points = np.meshgrid(d, np.log(d_star), f, indexing="ij")
        weight *= RegularGridInterpolator(prior.axes(), prior.density)(np.stack(points, -1))
        weight /= d_star[None, :, None]
    total = weight.sum()
    weight /= total
    axes = (d[:, None, None], d_star[None, :, None], f[None, None, :])

    def mean(values):
        return float((weight * values).sum())

    found = {}
    for k in np.flatnonzero(free):
        mass = weight.sum(axis=tuple(i for i in range(3) if i != k))
        centre = mean(axes[k])
        edges = np.linspace(low[k], high[k], n + 1)
        quantiles = np.interp(SHARES, np.cumsum([0, *mass]), edges)
        found[NAMES[k]] = (centre, math.sqrt(mean((axes[k] - centre) ** 2)), *quantiles)
        found[f"{NAMES[k]}_mode"] = float(axes[k].ravel()[mass.argmax()])
        even = np.full(n, 1 / (last[k] - first[k]))
        if prior is not None:
            even = np.interp((d, np.log(d_star), f)[k], prior.axes()[k], prior.marginals()[k])
            even /= d_star if k == 1 else 1
        found[f"{NAMES[k]}_bits"] = rel_entr(mass, even * step[k]).sum() / math.log(2)
    flow = axes[1] * axes[2]
    found["flow"] = mean(flow), math.sqrt(mean((flow - mean(flow)) ** 2))
    for i, k in ((2, 1), (2, 0), (1, 0)):
        if free[i] and free[k]:
            (m1, s1), (m2, s2) = found[NAMES[i]][:2], found[NAMES[k]][:2]
            found[f"corr_{NAMES[i]}_{NAMES[k]}"] = mean((axes[i] - m1) * (axes[k] - m2)) / s1 / s2
    variance = sigma**2 if known else mean(norm - gain) / (2 * power - 2)
    s0 = mean(c / q)
    found["S0"] = s0, math.sqrt(mean((c / q - s0) ** 2) + variance * mean(1 / q))
    found["sigma"] = math.sqrt(variance)
    found["ln_evidence"] = math.log(total * np.prod(step[free]))
    found["ln_evidence"] -= (
        0.5 * (norm - top) / sigma**2 if known else power * math.log(norm - top)
    )
    return found


def by_log_grid(signal, b, sigma, n=(400, 200, 400)):
    """Return what `by_grid` does for the free parameters in `WIDE`, on a grid even in ln D*.

    Without zooms: a second mode, where nearly all signal is of a pool little faster than the
    rest, is thin and far from the first.
    """
    (low, high), edges = WIDE, []
    for k in range(3):
        edges.append(np.linspace(low[k], high[k], n[k] + 1))
    edges[1] = np.geomspace(low[1], high[1], n[1] + 1)
    middle = [0.5 * (edge[1:] + edge[:-1]) for edge in edges]
    middle[1] = np.sqrt(edges[1][1:] * edges[1][:-1])
    d, d_star, f = middle
    one, two = np.exp(-np.outer(d, b)), np.exp(-np.outer(d_star, b))
    g11, g22, g12 = (one**2).sum(1), (two**2).sum(1), one @ two.T
    p1, p2 = one @ signal, two @ signal
    marginals = [np.zeros(size) for size in n]
    norm = (signal**2).sum()
    for i in range(n[0]):
        c = (1 - f) * p1[i] + f * p2[:, None]
        q = (1 - f) ** 2 * g11[i] + 2 * f * (1 - f) * g12[i][:, None] + f**2 * g22[:, None]
        weight = np.exp((c * c / q - norm) / (2 * sigma**2)) / np.sqrt(q) * (c > 0)
        weight *= (d_star * (d_star > _APART * d[i]))[:, None]
        marginals[0][i] = weight.sum()
        marginals[1] += weight.sum(1)
        marginals[2] += weight.sum(0)
    found = {}
    for name, values, edge, mass in zip(NAMES, middle, edges, marginals, strict=True):
        mass /= mass.sum()
        mean = (mass * values).sum()
        sd = math.sqrt((mass * (values - mean) ** 2).sum())
        found[name] = (mean, sd, *np.interp(SHARES, np.cumsum([0, *mass]), edge))
    return found


def voxels(n, b, snr, seed=3):
    """Signals of voxels that are drawn evenly in `NARROW`, with Gaussian noise."""
    d, d_star, f = np.random.default_rng(seed).uniform(*NARROW, (n, 3)).T
    truth = {"S0": np.full(n, 1000.0), "f": f, "D_star": d_star, "D": d}
    clean = ik.simulate.signals("biexp", truth, b)
    return ik.simulate.add_noise(clean, sigma=1000 / snr, seed=snr, kind="gaussian")


def bounded(bounds=NARROW):
    low, high = bounds
    limits = {name: (low[k], high[k]) for k, name in enumerate(NAMES)}
    return ik.models.get("biexp").with_bounds(**limits)


def bayes(**options):
    return ik.methods.Bayes(
        **{"prior": "flat", "noise": "gaussian", "variance": "voxel", **options}
    )


def compare(result, expected, names=NAMES, factor=1):
    """Hold the maps of all voxels against what a grid found."""
    maps, mean, limit = result.maps, POSTERIOR * factor, POSTERIOR_LIMIT * factor

    def close(name, wanted, sd, tolerance):
        error = np.abs(maps[name] - wanted) / sd
        assert (error <= tolerance).all(), f"{name}: {error.max():.3f} at {error.argmax()}"

    for name in names:
        wanted = np.array([one[name] for one in expected]).T
        close(name, wanted[0], wanted[1], mean)
        close(f"{name}_sd", wanted[1], wanted[1], mean)
        for k, end in enumerate(("lo", "hi", "lo50", "hi50"), start=2):
            close(f"{name}_{end}", wanted[k], wanted[1], limit)
    if "S0" in expected[0]:
        wanted = np.array([one["S0"] for one in expected]).T
        close("S0", wanted[0], wanted[1], mean)
        close("S0_sd", wanted[1], wanted[1], mean)
        sigma = np.array([one["sigma"] for one in expected])
        close("sigma", sigma, sigma, mean)
        for name in names:
            close(f"{name}_bits", [one[f"{name}_bits"] for one in expected], 1.0, mean)
    if "D_star" in names and "corr_f_D" in expected[0]:
        wanted = np.array([one["flow"] for one in expected]).T
        close("fD_star", wanted[0], wanted[1], mean)
        close("fD_star_sd", wanted[1], wanted[1], mean)
        for name in ("corr_f_D_star", "corr_f_D", "corr_D_star_D"):
            close(name, [one[name] for one in expected], 1.0, mean)


@pytest.mark.parametrize("known", [True, False], ids=["known", "jeffreys"])
@pytest.mark.parametrize("snr", [10, 20, 50, 100, 200])
def test_posterior_is_that_of_a_fine_grid(snr, known):
    for b in (B21, B13):
        signals = voxels(5, b, snr)
        sigma = 1000 / snr if known else None
        result = ik.fit(signals, b, model=bounded(), method=bayes(), sigma=sigma)
        expected = [by_grid(signal, b, *NARROW, sigma=sigma) for signal in signals]
        compare(result, expected, factor=1 if known else POSTERIOR_TAILED)
        evidence = result.maps["ln_evidence"] - [one["ln_evidence"] for one in expected]
        assert np.ptp(evidence) < POSTERIOR


# In the whole range that the model allows, a second mode can hold some per cent: nearly all
# signal in a pool that is little faster than the rest. It is thinner than the lattice's steps.
_THIN = 5


@pytest.mark.parametrize("snr", [20, 50])
def test_posterior_between_wide_bounds(snr):
    signals = voxels(6, B13, snr)
    result = ik.fit(signals, B13, method=bayes(), sigma=1000 / snr)
    expected = [by_log_grid(signal, B13, 1000 / snr) for signal in signals]
    compare(result, expected, factor=_THIN)


def test_noise_with_a_distribution():
    signals = voxels(5, B13, 20)
    method = bayes(variance=(9.0, 40.0**2))
    result = ik.fit(signals, B13, model=bounded(), method=method)
    grids = [by_grid(s, B13, *NARROW, degrees=9.0, scale=40.0**2) for s in signals]
    compare(result, grids, factor=POSTERIOR_TAILED)
    # As good as known: the distribution is one value.
    sure = ik.fit(signals, B13, model=bounded(), method=bayes(variance=(1e6, 50.0**2)))
    known = ik.fit(signals, B13, model=bounded(), method=method, sigma=50.0)
    for name in known.maps:
        if name != "ln_evidence":
            np.testing.assert_array_equal(sure.maps[name], known.maps[name], err_msg=name)


def test_weights_and_volumes_one_by_one():
    signals, times = voxels(4, B13, 20), np.tile([1.0, 2.0], 7)[:13]
    weighted = ik.fit(signals, B13, model=bounded(), method=bayes(), sigma=50.0, weights=times)
    compare(weighted, [by_grid(s, B13, *NARROW, sigma=50.0, times=times) for s in signals])
    b = np.repeat(B13, 2)
    apart = voxels(4, b, 20)
    dwi = ik.DWI(apart, b, average="none")
    result = ik.fit(dwi, model=bounded(), method=bayes())
    compare(result, [by_grid(s, b, *NARROW) for s in apart], factor=POSTERIOR_TAILED)


def test_prior_of_a_table():
    table = ik.priors.Organ("liver").tabulate(bounded())
    signals = voxels(6, B13, 20)
    result = ik.fit(signals, B13, model=bounded(), method=bayes(prior=table), sigma=50.0)
    grids = [by_grid(s, B13, *NARROW, sigma=50.0, prior=table) for s in signals]
    compare(result, grids)
    evidence = result.maps["ln_evidence"] - [one["ln_evidence"] for one in grids]
    assert np.ptp(evidence) < POSTERIOR


def test_estimates_are_mean_median_and_mode():
    signals = voxels(6, B21, 20)
    grids = [by_grid(s, B21, *NARROW, sigma=50.0) for s in signals]
    found = {
        estimate: ik.fit(
            signals, B21, model=bounded(), method=bayes(estimate=estimate), sigma=50.0
        )
        for estimate in ("mean", "median", "mode")
    }
    for name in NAMES:
        columns = np.array([one[name] for one in grids]).T
        sd = columns[1]
        assert (np.abs(found["mean"].maps[name] - columns[0]) < POSTERIOR * sd).all()
        assert (np.abs(found["median"].maps[name] - columns[6]) < POSTERIOR_LIMIT * sd).all()
        # A summit is flat: 0.2 sd from it the density has fallen by 2 %.
        mode = np.array([one[f"{name}_mode"] for one in grids])
        assert (np.abs(found["mode"].maps[name] - mode) < 0.25 * sd).all(), name
    for other in ("median", "mode"):
        assert not np.array_equal(found["mean"].maps["f"], found[other].maps["f"])
        np.testing.assert_array_equal(found["mean"].maps["S0"], found[other].maps["S0"])
        np.testing.assert_array_equal(found["mean"].maps["D_lo"], found[other].maps["D_lo"])


def test_models_with_one_rate_and_their_evidence():
    # Tissue that one decay explains, and tissue with blood that is gone at b = 10.
    truth = {"S0": np.full(3, 1000.0), "f": np.array([0.0, 0.15, 0.3]), "D": np.full(3, 1.2e-3)}
    b = B13[B13 != 10]
    signals = ik.simulate.signals("sivim", truth, b)
    signals = ik.simulate.add_noise(signals, sigma=30.0, seed=5, kind="gaussian")
    for sigma in (30.0, None):
        sivim = ik.fit(signals, b, model="sivim", method=bayes(), sigma=sigma)
        one = ik.fit(signals, b, model="monoexp", method=bayes(), sigma=sigma)
        two = ik.fit(signals, b, method=bayes(), sigma=sigma)
        # In the first voxel f is at its bound: half a peak, and the rest of it is tail.
        factor = 1 if sigma else 2 * POSTERIOR_TAILED
        gone = ((0.0, 1.0, 0.0), (5e-3, 1.0, 1.0))
        grids = [by_grid(s, b, *gone, sigma=sigma, instant=True, n=200) for s in signals]
        compare(sivim, grids, names=("D", "f"), factor=factor)
        low, high = one.model["ADC"].lower, one.model["ADC"].upper
        line = [by_line(s, b, low, high, sigma) for s in signals]
        sd = np.array([x[1] for x in line])
        assert (np.abs(one.maps["ADC"] - [x[0] for x in line]) < POSTERIOR * sd).all()
        assert (np.abs(one.maps["ADC_sd"] - sd) < POSTERIOR * sd).all()
        wide = [by_grid(s, b, *WIDE, sigma=sigma, n=128)["ln_evidence"] for s in signals]
        first = np.array([x["ln_evidence"] for x in grids])
        gain = sivim.maps["ln_evidence"] - one.maps["ln_evidence"]
        np.testing.assert_allclose(gain, first - [x[2] for x in line], atol=2 * POSTERIOR)
        second = sivim.maps["ln_evidence"] - two.maps["ln_evidence"]
        np.testing.assert_allclose(second, first - wide, atol=5 * POSTERIOR)
        assert gain[0] < 0 < gain[2], "blood that is not there costs evidence"


def by_line(signal, b, low, high, sigma):
    """Return mean, standard deviation and logarithm of the evidence of one decay, by scipy."""
    norm = (signal**2).sum()

    def gain(rate):
        decay = np.exp(-b * rate)
        return (signal @ decay) ** 2 / (decay @ decay), math.sqrt(decay @ decay)

    top = max(gain(rate)[0] for rate in np.linspace(low, high, 4001))

    def density(rate, moment=0, centre=0.0):
        here, root = gain(rate)
        if sigma is None:
            value = ((norm - here) / (norm - top)) ** (-0.5 * (b.size - 1))
        else:
            value = math.exp((here - top) / (2 * sigma**2))
        return value / root * (rate - centre) ** moment

    peak = max(np.linspace(low, high, 4001), key=lambda rate: gain(rate)[0])

    def over(*args):
        points = [
            peak + step for step in (-3e-4, -1e-4, 0, 1e-4, 3e-4) if low < peak + step < high
        ]
        return integrate.quad(density, low, high, args, points=points, limit=200)[0]

    total = over()
    mean = over(1) / total
    evidence = math.log(total / (high - low))
    if sigma is None:
        evidence -= 0.5 * (b.size - 1) * math.log(norm - top)
    else:
        evidence -= 0.5 * (norm - top) / sigma**2
    return mean, math.sqrt(over(2, mean) / total), evidence


def test_a_voxel_that_is_noise_has_a_number_or_a_status():
    # Only b = 0 is positive: S0 is above 0 in one corner alone.
    signals = np.random.default_rng(4).normal(0.0, 100.0, (2000, B13.size))
    signals[:, 0] = np.abs(signals[:, 0])
    for model in ("biexp", "sivim", "monoexp"):
        result = ik.fit(signals, B13, model=model, method=bayes())
        failed = result.status == int(FitStatus.NO_SIGNAL)
        assert np.isfinite(result.params[~failed]).all()
        assert np.isnan(result.params[failed]).all()
