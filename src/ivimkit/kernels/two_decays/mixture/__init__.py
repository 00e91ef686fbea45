"""Gaussian mixtures of ln D, ln D* and logit f: likelihoods to learn them from, and neighbours."""
