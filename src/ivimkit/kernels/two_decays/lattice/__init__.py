"""The posterior of a sum of two decays on a lattice that covers where it is not negligible."""
