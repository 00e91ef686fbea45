"""The posterior of a model of any compartments, by importance sampling on a fixed table."""
