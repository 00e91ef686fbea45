"""The posterior of a sum of two decays on a lattice that is laid where the posterior is."""
