"""Steps before the fit: which, in which order, and their application."""
