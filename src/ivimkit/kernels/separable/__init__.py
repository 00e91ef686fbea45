"""Models of several compartments of any shape: least squares by variable projection."""
