"""The spectrum of decay rates of a voxel: non-negative least squares with a penalty."""
