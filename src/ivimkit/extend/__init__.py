"""What a model, method, estimator or prior derives from."""
