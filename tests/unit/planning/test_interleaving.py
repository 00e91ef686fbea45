"""The order of volumes: complete, beginning with b = 0, hardly correlated with time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ivimkit.planning.interleaving import interleaved


@given(st.lists(st.sampled_from([0.0, 10.0, 50.0, 200.0, 800.0]), min_size=1, max_size=40))
def test_every_volume_once_and_the_lowest_first(values):
    b = np.array(values)
    order = interleaved(b)
    assert sorted(order.tolist()) == list(range(len(b)))
    assert b[order][0] == b.min()


def test_a_drift_does_not_look_like_a_decay():
    b = np.repeat([0.0, 10, 20, 60, 140, 800], [2, 1, 1, 1, 3, 4])
    time = np.arange(len(b))
    assert abs(np.corrcoef(time, b[interleaved(b)])[0, 1]) < 0.3 < np.corrcoef(time, b)[0, 1]
