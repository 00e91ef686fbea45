"""Fits and what comes of them: the fit, its result, comparisons and the Cramér-Rao bound."""
