"""Fixtures of the tests of the node."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="package", autouse=True)
def _nobody_cuts_the_power():
    """Do not wait for the disk: only a machine that stops could tell the difference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
