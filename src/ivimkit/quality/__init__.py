"""Numbers about results: summaries, regions, lesion contrast, error against the truth."""

from ivimkit.quality.agreement import repeatability
from ivimkit.quality.change import change
from ivimkit.quality.contrast_sentence import sentence
from ivimkit.quality.difference import Difference, difference
from ivimkit.quality.example_spectra import example_spectra
from ivimkit.quality.example_voxels import example_voxels
from ivimkit.quality.fit_residuals import Residuals, residuals
from ivimkit.quality.map_summary import main_maps, summary_rows, summary_table
from ivimkit.quality.nothing_to_read import nothing_to_read
from ivimkit.quality.overall_light import overall
from ivimkit.quality.phantom_error import error_table
from ivimkit.quality.region_contrast import compare_regions, ring
from ivimkit.quality.region_fit import roi_fit
from ivimkit.quality.region_models import model_table, verdicts
from ivimkit.quality.region_tables import roi_status, roi_table
from ivimkit.quality.repeat_values import pairs, repeat_values
from ivimkit.quality.residual_findings import Finding, residual_findings
from ivimkit.quality.result_checks import Light, lights
from ivimkit.quality.voxels_and_signal import Disagreement, disagreements
from ivimkit.scan.checks import ScanFinding, scan_findings

__all__ = [
    "Difference",
    "Disagreement",
    "Finding",
    "Light",
    "Residuals",
    "ScanFinding",
    "change",
    "compare_regions",
    "difference",
    "disagreements",
    "error_table",
    "example_spectra",
    "example_voxels",
    "lights",
    "main_maps",
    "model_table",
    "nothing_to_read",
    "overall",
    "pairs",
    "repeat_values",
    "repeatability",
    "residual_findings",
    "residuals",
    "ring",
    "roi_fit",
    "roi_status",
    "roi_table",
    "scan_findings",
    "sentence",
    "summary_rows",
    "summary_table",
    "verdicts",
]
