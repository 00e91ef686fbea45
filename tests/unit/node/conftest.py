"""Fixtures of the tests of the node."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _nobody_cuts_the_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: only a machine that stops could tell the difference."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
