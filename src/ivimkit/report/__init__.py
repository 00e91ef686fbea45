"""Figures of results: pure functions from data to a matplotlib Figure, nothing computed."""

from ivimkit.report.histograms import histograms
from ivimkit.report.maps import compare_methods, map_panels
from ivimkit.report.status_panels import status_panels
from ivimkit.report.voxel import voxel_plot

__all__ = ["compare_methods", "histograms", "map_panels", "status_panels", "voxel_plot"]
