"""Scalar device functions: mathematics only, no allocation, no exceptions."""
