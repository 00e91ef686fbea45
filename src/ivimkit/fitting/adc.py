"""ADC: how the apparent diffusion coefficient is fitted in addition to every model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ivimkit import methods, models
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel

__all__ = ["ADC"]


@dataclass(frozen=True)
class _AdcFit:
    """A model and the method that fits it."""

    model: SignalModel
    method: FitMethod


ADC: Final = _AdcFit(models.get("monoexp"), methods.get("loglinear"))
"""One decay by a line through the logarithms: `ADC.model` and `ADC.method`."""
