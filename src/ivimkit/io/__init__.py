"""Files to scans and results, and back; the only importer of nibabel."""

from ivimkit.io.comparisons import check_comparison, save_comparison
from ivimkit.io.fitted_scan import load_fitted_scan
from ivimkit.io.maps import save_map, save_scan
from ivimkit.io.priors import load_prior, save_prior
from ivimkit.io.reading import load, load_map
from ivimkit.io.results import check_output, load_result, save

__all__ = [
    "check_comparison",
    "check_output",
    "load",
    "load_fitted_scan",
    "load_map",
    "load_prior",
    "load_result",
    "save",
    "save_comparison",
    "save_map",
    "save_prior",
    "save_scan",
]
