import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import OptionError
from ivimkit.extend.mixture import Mixture
from ivimkit.extend.prior import even_knots

BIEXP = ik.models.get("biexp")


def mixture(sd=(0.05, 0.3, 0.2), correlation=0.0):
    one = np.diag(np.square(sd))
    one[0, 2] = one[2, 0] = correlation * sd[0] * sd[2]
    means = np.log([[0.8e-3, 0.08, 0.04 / 0.96], [2e-3, 0.02, 0.2 / 0.8]])
    return Mixture(np.array([0.7, 0.3]), means, np.array([one, 4 * one]), (True, True, True))


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_table_has_the_moments_of_the_mixture(correlation):
    given = mixture(correlation=correlation)
    table = given.tabulate(even_knots(BIEXP, (20, 30, 16)), "learned", {})
    draws = []
    rng = np.random.default_rng(0)
    for weight, mean, covariance in zip(
        given.weights, given.means, given.covariances, strict=True
    ):
        draws.append(rng.multivariate_normal(mean, covariance, int(2e5 * weight)))
    eta = np.concatenate(draws)
    expected = {"D": np.exp(eta[:, 0]), "f": 1 / (1 + np.exp(-eta[:, 2]))}
    slow, _, fraction = table.knots
    mass = table.density * table.volumes()
    for name, axis, knots in (("D", 0, slow), ("f", 2, fraction)):
        own = mass.sum(axis=tuple(k for k in range(3) if k != axis))
        mean = (own * knots).sum()
        # A table widens a narrow peak by less than a tenth.
        sd = np.sqrt((own * (knots - mean) ** 2).sum())
        assert mean == pytest.approx(expected[name].mean(), rel=0.01)
        assert sd == pytest.approx(expected[name].std(), rel=0.1)


def test_a_density_below_a_least_fast_rate_is_zero():
    table = mixture().tabulate(even_knots(BIEXP, (20, 30, 16)), "learned", {}, 6e-3)
    assert not table.density[:, table.knots[1] < 6e-3].any()
    assert table.density[:, table.knots[1] >= 6e-3].any()


def test_numbers_for_a_file_give_the_same_mixture():
    one = mixture(correlation=0.5)
    again = Mixture.from_dict(one.to_dict())
    np.testing.assert_array_equal(again.components(), one.components())
    assert again.free == one.free
    for damaged in ({}, {**one.to_dict(), "means": [1.0]}, {**one.to_dict(), "free": [1]}):
        with pytest.raises(OptionError, match="the mixture of a prior is damaged"):
            Mixture.from_dict(damaged)
