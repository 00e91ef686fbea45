"""Shells: what a person would group, whatever the order and the jitter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivimkit import models
from ivimkit.errors import AcquisitionWarning
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.shell_clusters import shell_clusters

EXACT = {
    "steps of 10": np.r_[0:100:10, 100, 150, 200, 400, 800],
    "steps of 5": np.r_[0:205:5, 400, 800],
    "steps of 5 at the end": np.r_[0, 100:130:5],
    "steps of 3": np.r_[0:13:3, 100, 800],
    "powers of 2": 2.0 ** np.arange(11),
    "1, 2, 5": [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
    "published": [1.4, 5, 10, 20, 35, 50, 75, 100, 201, 401, 602, 802],
    "low": [0, 1.4, 5, 10, 800],
    "close to 0": [0, 4, 10, 100, 800],
    "brain": [0, 10, 20, 30, 40, 50, 100, 150, 200, 900, 1000],
    "prostate": [0, 25, 50, 75, 100, 150, 200, 500, 800, 1000, 1250, 1500, 2000],
}
# Nominal b-values at least 10 % apart: jitter of 2 % either way leaves a gap between them.
NOMINAL = st.lists(st.sampled_from([0, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150,
                                    200, 250, 300, 400, 500, 600, 800, 1000, 1200, 1500, 2000]),
                   min_size=2, max_size=12, unique=True).filter(lambda b: max(b) > 10)  # fmt: skip


@pytest.mark.parametrize("bvals", EXACT.values(), ids=EXACT.keys())
def test_exact_protocols_keep_every_b_value(bvals):
    repeated = np.random.default_rng(0).permutation(np.repeat(bvals, 3))
    np.testing.assert_array_equal(Acquisition(repeated).shell_bvals, np.asarray(bvals))


@given(NOMINAL, st.integers(1, 8), st.integers(0, 1000), st.booleans())
def test_the_nominal_grouping_is_found_again(nominal, n, seed, extreme):
    random = np.random.default_rng(seed)
    groups = np.repeat(nominal, n)
    jitter = random.uniform(-1, 1, groups.size)
    jittered = groups * (1 + 0.02 * (np.sign(jitter) if extreme else jitter))
    order = random.permutation(groups.size)
    found = shell_clusters(jittered[order], None)
    _, expected = np.unique(groups[order], return_inverse=True)
    np.testing.assert_array_equal(found, expected)


def test_jitter_of_a_real_scan_is_three_shells():
    b = [5, 5, 990, 995, 1000, 1005, 1010, 985, 1015, 5, *range(1980, 2020, 5)]
    acquisition = Acquisition(b)
    np.testing.assert_allclose(acquisition.shell_bvals, [5, 1000, 1997.5])
    assert Acquisition(b, tolerance=30).n_shells == 3
    apart = Acquisition(b, tolerance=0)
    assert (apart.n_shells, apart.n_distinct) == (16, 3)
    assert any(
        "no b-value above the lowest one, 5, and up to 50" in w
        for w in models.get("biexp").advice(apart)
    )
    assert acquisition.select(bvals=[5, 1000, 2000]).size == 18
    assert acquisition.select(bmax=1000).size == 10
    assert acquisition.select(bmin=1000).size == 15


def test_what_a_limit_leaves_out_nearby_is_said():
    scan = Acquisition([0, 990, 1000, 1010, 2000], tolerance=5)
    with pytest.warns(AcquisitionWarning, match=r"b = 1010 s/mm\^2 is left out.*3 % of 1000"):
        assert scan.select(bmax=1000).tolist() == [0, 1, 2]
