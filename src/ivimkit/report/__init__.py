"""Figures of results: pure functions from data to a matplotlib Figure; and pages of them."""

from ivimkit.report.bland_altman import bland_altman
from ivimkit.report.builder import build
from ivimkit.report.comparison_panels import comparison_panels
from ivimkit.report.difference_panels import agreement_panels, difference_panels
from ivimkit.report.document import Report
from ivimkit.report.example_panels import example_panels
from ivimkit.report.histograms import histograms
from ivimkit.report.lesion_panels import lesion_panels
from ivimkit.report.maps import compare_methods, map_panels
from ivimkit.report.mosaic import image_mosaic, mosaic, mosaic_names
from ivimkit.report.picture import Encoded, Picture
from ivimkit.report.prior_panels import prior_panels
from ivimkit.report.region_curves import RegionCurve, region_curves
from ivimkit.report.residual_panels import residual_panels
from ivimkit.report.status_panels import status_panels
from ivimkit.report.uncertainty_panels import uncertainty_panels
from ivimkit.report.voxel import voxel_plot

__all__ = [
    "Encoded",
    "Picture",
    "RegionCurve",
    "Report",
    "agreement_panels",
    "bland_altman",
    "build",
    "compare_methods",
    "comparison_panels",
    "difference_panels",
    "example_panels",
    "histograms",
    "image_mosaic",
    "lesion_panels",
    "map_panels",
    "mosaic",
    "mosaic_names",
    "prior_panels",
    "region_curves",
    "residual_panels",
    "status_panels",
    "uncertainty_panels",
    "voxel_plot",
]
