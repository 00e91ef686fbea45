"""Figures of results: pure functions from data to a matplotlib Figure, nothing computed."""

from ivimkit.report.comparison_panels import comparison_panels
from ivimkit.report.histograms import histograms
from ivimkit.report.maps import compare_methods, map_panels
from ivimkit.report.prior_panels import prior_panels
from ivimkit.report.status_panels import status_panels
from ivimkit.report.uncertainty_panels import uncertainty_panels
from ivimkit.report.voxel import voxel_plot

__all__ = [
    "compare_methods",
    "comparison_panels",
    "histograms",
    "map_panels",
    "prior_panels",
    "status_panels",
    "uncertainty_panels",
    "voxel_plot",
]
