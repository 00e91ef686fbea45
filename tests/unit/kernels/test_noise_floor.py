import numpy as np
from scipy.stats import rice

from ivimkit.kernels.noise_floor import N_FLOOR, excess, excess_table

# The promise of `excess`: linear between entries of the table, a series beyond it.
EXCESS = 1.2e-3


def test_excess_is_the_mean_of_a_rician_magnitude_less_its_signal():
    table = excess_table()
    assert table.shape == (N_FLOOR,)
    ratios = np.concatenate([np.linspace(0.0, 30.0, 1201), [11.999999]])
    found = np.array([excess(ratio, table, 0) for ratio in ratios])
    np.testing.assert_allclose(found, rice.mean(ratios) - ratios, atol=EXCESS)
    assert found[0] == np.sqrt(np.pi / 2)
    assert (np.diff(found[np.argsort(ratios)]) <= 0).all()


def test_the_table_may_stand_anywhere():
    table = np.concatenate([np.full(5, np.nan), excess_table()])
    assert excess(1.3, table, 5) == excess(1.3, table[5:], 0)
