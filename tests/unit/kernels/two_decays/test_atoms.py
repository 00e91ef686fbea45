"""The dictionary of a protocol: rates, inner products and their series against plain numpy."""

import numpy as np
import pytest

from ivimkit.kernels.two_decays.atoms import (
    MOMENTS,
    NORMS,
    RATES,
    build_dictionary,
    even_rates,
)
from ivimkit.kernels.two_decays.atoms import moments as compiled_moments
from plain_kernels import plain
from tolerances import CLOSED_FORM, MOMENT

moments = plain(compiled_moments)
PROTOCOLS = {
    "b13": np.array([0.0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 800]),
    "no b = 0": np.array([5.0, 10, 50, 100, 200, 500, 1000]),
    "very high b": np.array([0.0, 50, 1000, 3000, 10_000]),
    "low b": np.array([0.0, 2, 4, 8, 12, 17]),
}
SLOW, FAST, FRACTION = (0.0, 5e-3), (2e-3, 0.2), (0.0, 1.0)


def dictionary(b, slow=SLOW, fast=FAST, n1=16, n2=8):
    return build_dictionary(b, np.linspace(1.0, 2.0, b.size), slow, fast, FRACTION, n1, n2)


@pytest.mark.parametrize("b", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize("bounds", [SLOW, FAST, (1e-3, 1.1e-3), (0.0, 1e-6)])
def test_rates_go_from_bound_to_bound_in_even_angles(b, bounds):
    rates = even_rates(b, np.ones(b.size), *bounds, 16)
    assert rates.shape == (16,)
    assert rates[0] == pytest.approx(bounds[0])
    assert rates[-1] == pytest.approx(bounds[1])
    assert (np.diff(rates) > 0).all()
    decays = np.exp(-np.outer(rates, b))
    decays /= np.linalg.norm(decays, axis=1, keepdims=True)
    angles = np.linalg.norm(np.diff(decays, axis=0), axis=1)
    if angles.sum() > 1e-3:  # Else the protocol does not tell the rates apart.
        assert angles.max() < 1.5 * angles.mean()


def test_a_range_that_is_a_point_is_one_rate():
    b = PROTOCOLS["b13"]
    assert even_rates(b, np.ones(b.size), 1e-3, 1e-3, 16).tolist() == [1e-3]
    assert even_rates(b, np.ones(b.size), 0.0, 0.0, 16).tolist() == [0.0]
    fixed = dictionary(b, slow=(1e-3, 1e-3))
    assert (fixed.n1, fixed.n2) == (1, 8)
    assert fixed.table[RATES, 0] == 1e-3


@pytest.mark.parametrize("b", PROTOCOLS.values(), ids=PROTOCOLS)
def test_norms_are_weighted_inner_products(b):
    made = dictionary(b)
    weight = np.linspace(1.0, 2.0, b.size)
    for column in [*range(made.n1), *range(16, 16 + made.n2)]:
        decay = np.exp(-b * made.table[RATES, column])
        assert made.table[NORMS, column] == pytest.approx((weight * decay**2).sum())


def test_padding_columns_are_empty():
    made = dictionary(PROTOCOLS["b13"], n1=5, n2=3)
    padding = [5, 6, 7, 11, 12, 13, 14, 15]
    assert not made.table[RATES, padding].any()
    assert not made.table[NORMS, padding].any()


@pytest.mark.parametrize("b", PROTOCOLS.values(), ids=PROTOCOLS)
def test_moments_on_the_whole_range(b):
    made = dictionary(b)
    weight = np.linspace(1.0, 2.0, b.size)
    rng = np.random.default_rng(0)
    end = 2 * FAST[1]
    sums = np.concatenate(
        [[0.0, 1e-9, end], rng.uniform(0, end, 300), 10 ** rng.uniform(-8, np.log10(end), 300)]
    )
    decays = weight * np.exp(-np.outer(sums, b))
    for t, expected in zip(sums, decays @ np.vander(b, 3, increasing=True), strict=True):
        found = np.array(moments(made.table, t))
        # Errors count on the scale on which g changes: a derivative is g over t, or over 1 / b.
        scale = expected[0] / (t + 1.0 / b.max()) ** np.arange(3)
        allowed = np.array([CLOSED_FORM, MOMENT, MOMENT]) * scale
        assert (np.abs(found - expected) <= allowed).all(), f"t = {t}: {found}"


def test_moments_of_a_pool_that_is_gone_are_the_weight_at_b_0():
    for b in (PROTOCOLS["b13"], PROTOCOLS["no b = 0"]):
        made = dictionary(b)
        for t in (1.0, 1e9, 2e9, np.inf):
            assert moments(made.table, t) == ((b == 0).sum() * 1.0, 0.0, 0.0)


def test_moments_of_no_number_stay_inside_the_table():
    made = dictionary(PROTOCOLS["b13"])
    assert np.isnan(moments(made.table, np.nan)).any()


def test_offset_and_end_cover_the_rates():
    made = dictionary(PROTOCOLS["b13"])
    assert made.table[MOMENTS, 1] >= 2 * FAST[1]
