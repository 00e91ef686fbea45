"""Priors of models of any compartments, and learning them."""

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError, ShapeError
from ivimkit.extend.model_prior import ModelPrior, coordinates_of
from ivimkit.extend.model_prior_learning import broad_prior, learned_prior
from ivimkit.extend.prior import ModelPosteriors

TRIEXP = ik.models.get("triexp")
KURTOSIS = ik.models.get("kurtosis")
ALONE = np.ones(1), np.zeros((1, 4)), np.eye(4)[None]


def test_coordinates_are_shapes_then_shares_the_first_fraction_last():
    assert [c.name for c in coordinates_of(TRIEXP)] == [
        "D_fast", "D_inter", "D", "f_inter", "f_fast"
    ]  # fmt: skip
    fixed = KURTOSIS.with_fixed(D_star=0.02, f=0.1)
    assert [c.name for c in coordinates_of(fixed)] == ["D", "K"]
    star = coordinates_of(KURTOSIS)[0]
    assert star.values(np.array([-50.0, 0.0, 50.0])) == pytest.approx(
        [star.lower, np.sqrt(star.lower * star.upper), star.upper]
    )


@pytest.mark.parametrize("model", [KURTOSIS, TRIEXP], ids=lambda model: model.name)
def test_draws_are_inside_the_bounds_and_have_the_mean(model):
    flat = ModelPrior(model.name, "flat", coordinates_of(model))
    for prior in (flat, broad_prior(model)):
        drawn = prior.draw(4000)
        assert set(drawn) == set(model.names[1:])
        for name, values in drawn.items():
            assert ((values >= model[name].lower) & (values <= model[name].upper)).all()
            assert prior.mean()[name] == pytest.approx(values.mean(), rel=0.1)
        assert (sum(drawn[name] for name in model.fractions) <= 1.0).all()
    assert flat.flat
    assert flat.varies
    assert not flat.same_as(broad_prior(model))


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((np.ones(2), *ALONE[1:]), ShapeError, "expected 2 Gaussians of 4 coordinates"),
        ((-np.ones(1), *ALONE[1:]), OptionError, "weights >= 0"),
        ((np.ones(1), np.full((1, 4), np.nan), ALONE[2]), OptionError, "must be finite"),
    ],
)
def test_gaussians_that_are_none(arrays, error, message):
    with pytest.raises(error, match=message):
        ModelPrior("kurtosis", "learned", coordinates_of(KURTOSIS), *arrays)


class Voxels(ModelPosteriors):
    """Voxels whose likelihoods are Gaussians of the coordinates, so that posteriors are known."""

    def __init__(self, truth, sd, seed=0):
        self.random = np.random.default_rng(seed)
        self.n_voxels = len(truth)
        self.seen = truth + sd * self.random.standard_normal(truth.shape)
        self.noise = sd**2 * np.eye(truth.shape[1])

    def draw(self, prior):
        n, d = self.seen.shape
        levels, means, factors = [], [], []
        for weight, mean, covariance in zip(
            prior.weights, prior.means, prior.covariances, strict=True
        ):
            gain = covariance @ np.linalg.inv(covariance + self.noise)
            off = self.seen - mean
            square = np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance + self.noise), off)
            log_det = np.linalg.slogdet(covariance + self.noise)[1]
            levels.append(np.log(weight) - 0.5 * (square + log_det))
            means.append(mean + off @ gain.T)
            factors.append(np.linalg.cholesky(covariance - gain @ covariance))
        shares = np.exp(np.array(levels) - np.max(levels, axis=0))
        shares = np.cumsum(shares / shares.sum(axis=0), axis=0)
        found = np.empty((n, 32, d))
        for i in range(32):
            k = (self.random.random(n) > shares).sum(axis=0)
            noise = self.random.standard_normal((n, d))
            found[:, i] = np.array(means)[k, np.arange(n)]
            found[:, i] += np.einsum("nij,nj->ni", np.array(factors)[k], noise)
        return found


def test_the_population_is_found_without_the_noise():
    random = np.random.default_rng(3)
    one = np.array([0.0, -1.0, 0.5, -1.5]), 0.3
    two = np.array([0.5, 0.5, -0.5, 0.0]), 0.2
    truth = np.concatenate(
        [mean + sd * random.standard_normal((400, 4)) for mean, sd in (one, two)]
    )
    prior = learned_prior(
        KURTOSIS, Voxels(truth, 0.4), "learned", seed=0, max_steps=40, n_components=4
    )
    own = prior.weights[:-1] / prior.weights[:-1].sum()
    mean = own @ prior.means[:-1]
    off = prior.means[:-1] - mean
    spread = np.einsum("k,kij->ij", own, prior.covariances[:-1]) + (own * off.T) @ off
    assert np.abs(mean - truth.mean(axis=0)).max() < 0.1
    # With the noise of the estimates it would be larger by 0.16.
    assert np.abs(np.diag(spread) / truth.var(axis=0) - 1.0).max() < 0.25
    assert prior.about["voxels"] == 800
    assert prior.weights[-1] >= 0.029
