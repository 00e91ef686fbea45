"""Reports whose figures are blank, for tests of their text: figures take most of the time."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from matplotlib.figure import Figure

__all__ = ["blank_figures"]

_DRAWING = {
    "summary": ("lesion_panels", "map_panels", "difference_panels"),
    "maps": ("mosaic", "image_mosaic", "prior_panels"),
    "histograms": ("draw",),
    "regions": ("lesion_panels",),
    "curves": ("example_panels", "region_curves"),
    "status": ("status_panels",),
    "residuals": ("residual_panels",),
    "differences": ("difference_panels", "agreement_panels"),
}
"""What each section of a report draws."""


def blank_figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Draw next to nothing in reports; return what is asked for, by the name of the function."""
    calls: dict[str, list[Any]] = {}

    def recorder(name: str) -> Any:
        def record(*args: Any, **options: Any) -> Figure:
            calls.setdefault(name, []).append((args, options))
            return Figure(figsize=(1, 1))

        return record

    for section, names in _DRAWING.items():
        home = import_module(f"ivimkit.report.sections.{section}_section")
        for name in names:
            monkeypatch.setattr(home, name, recorder(name))
    return calls
