"""The quantile of the normal distribution for 95 % limits."""

from __future__ import annotations

from typing import Final

__all__ = ["NORMAL_975"]

NORMAL_975: Final = 1.959963984540054
"""Standard deviations on either side of the mean that contain 95 % of a normal distribution."""
