"""Figures of results: pure functions from data to a matplotlib Figure."""

from ivimkit.figures.bland_altman import bland_altman
from ivimkit.figures.cohort_panels import cohort_panels
from ivimkit.figures.comparison_panels import comparison_panels
from ivimkit.figures.design_panels import design_panels
from ivimkit.figures.difference_panels import agreement_panels, difference_panels
from ivimkit.figures.example_panels import example_panels
from ivimkit.figures.histograms import histograms
from ivimkit.figures.lesion_panels import lesion_panels
from ivimkit.figures.map_panels import compare_methods, map_panels
from ivimkit.figures.mosaic import image_mosaic, mosaic, mosaic_names
from ivimkit.figures.motion_panels import motion_panels
from ivimkit.figures.picture import Encoded, Picture
from ivimkit.figures.prior_panels import prior_panels
from ivimkit.figures.region_curves import RegionCurve, region_curves
from ivimkit.figures.residual_panels import residual_panels
from ivimkit.figures.screening_panels import screening_panels
from ivimkit.figures.spectrum_panels import spectrum_panels
from ivimkit.figures.status_panels import status_panels
from ivimkit.figures.uncertainty_panels import uncertainty_panels
from ivimkit.figures.voxel_plot import voxel_plot

__all__ = [
    "Encoded",
    "Picture",
    "RegionCurve",
    "agreement_panels",
    "bland_altman",
    "cohort_panels",
    "compare_methods",
    "comparison_panels",
    "design_panels",
    "difference_panels",
    "example_panels",
    "histograms",
    "image_mosaic",
    "lesion_panels",
    "map_panels",
    "mosaic",
    "mosaic_names",
    "motion_panels",
    "prior_panels",
    "region_curves",
    "residual_panels",
    "screening_panels",
    "spectrum_panels",
    "status_panels",
    "uncertainty_panels",
    "voxel_plot",
]
