"""The quantile of the normal distribution that 95 % limits are made of."""

from __future__ import annotations

from typing import Final

__all__ = ["NORMAL_975"]

NORMAL_975: Final = 1.959963984540054
"""Standard deviations on either side of the mean that hold 95 % of a normal distribution."""
