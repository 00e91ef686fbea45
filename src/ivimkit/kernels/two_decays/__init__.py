"""Models whose signal is a sum of one or two exponential decays of b: the fast path."""
