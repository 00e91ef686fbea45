"""Which tests `make test-fast` leaves out, and the list of slow files at the end of `make test`.

The hooks are those of pytest; `conftest` imports them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

__all__ = [
    "SLOW",
    "pytest_addoption",
    "pytest_ignore_collect",
    "pytest_runtest_logreport",
    "pytest_terminal_summary",
]

SLOW = (
    "bench",
    "browser",
    "contracts",
    "docs",
    "fuzz",
    "golden",
    "gpu",
    "test_architecture.py",
    "test_dicom_collection.py",
    "test_page_sources.py",
    "test_scans.py",
    "unit/cli/commands",
    "unit/cli/process",
    "unit/cli/test_fit_also.py",
    "unit/cli/test_fit_bayes.py",
    "unit/cli/test_fit_robust.py",
    "unit/cli/test_help.py",
    "unit/cli/test_model_file.py",
    "unit/cli/test_process.py",
    "unit/cli/test_repeated_options.py",
    "unit/cli/test_scan_warnings.py",
    "unit/cli/test_settings.py",
    "unit/cli/test_volume_variables.py",
    "unit/cohort/test_bids_command.py",
    "unit/cohort/test_bids_validator.py",
    "unit/cohort/test_dask_cluster.py",
    "unit/cohort/test_processes.py",
    "unit/cohort/test_shared_prior.py",
    "unit/compat/test_dipy.py",
    "unit/compat/test_osipi.py",
    "unit/datasets",
    "unit/engine/test_bind.py",
    "unit/engine/test_code_cache.py",
    "unit/engine/test_other_process.py",
    "unit/engine/test_run.py",
    "unit/engine/test_single.py",
    "unit/figures/test_baselines.py",
    "unit/figures/test_bland_altman.py",
    "unit/figures/test_difference_panels.py",
    "unit/figures/test_figure_page.py",
    "unit/figures/test_lesion_panels.py",
    "unit/figures/test_map_panels.py",
    "unit/figures/test_picture.py",
    "unit/figures/test_plain_text.py",
    "unit/figures/test_prior_panels.py",
    "unit/figures/test_reliability.py",
    "unit/figures/test_residual_panels.py",
    "unit/figures/test_voxel_plot.py",
    "unit/fitting/test_comparison.py",
    "unit/fitting/test_cramer_rao.py",
    "unit/fitting/test_denoised.py",
    "unit/fitting/test_fit.py",
    "unit/fitting/test_local_prior.py",
    "unit/fitting/test_prior_choice.py",
    "unit/fitting/test_screen.py",
    "unit/fitting/test_slab_fits.py",
    "unit/fitting/test_training.py",
    "unit/fitting/test_uncertain_voxels.py",
    "unit/io/dicom/test_choice.py",
    "unit/io/dicom/test_reading_dicom.py",
    "unit/io/dicom/test_saving.py",
    "unit/io/dicom/test_uids.py",
    "unit/io/test_label_files.py",
    "unit/io/test_nifti_header.py",
    "unit/io/test_placing.py",
    "unit/io/test_prior_files.py",
    "unit/io/test_result_files.py",
    "unit/io/test_scan_loading.py",
    "unit/io/test_unregistered_model.py",
    "unit/io/test_zarr_maps.py",
    "unit/kernels/separable/test_magnitude.py",
    "unit/kernels/separable/test_voxel_fit.py",
    "unit/kernels/two_decays/lattice/test_posterior.py",
    "unit/kernels/two_decays/test_descent.py",
    "unit/methods/test_model_posterior.py",
    "unit/methods/test_nnls.py",
    "unit/methods/test_varpro.py",
    "unit/methods/test_varpro_rician.py",
    "unit/models/test_tensor.py",
    "unit/node",
    "unit/planning/test_exchange.py",
    "unit/planning/test_protocol_design.py",
    "unit/preprocessing/test_preprocess.py",
    "unit/quality/test_agreement.py",
    "unit/quality/test_region_contrast.py",
    "unit/quality/test_region_fit.py",
    "unit/quality/test_region_limits.py",
    "unit/quality/test_residual_findings.py",
    "unit/report/test_builder.py",
    "unit/report/test_first_page.py",
    "unit/report/test_large_results.py",
    "unit/report/test_pdf_file.py",
    "unit/report/test_rerun_command.py",
    "unit/scan/checks/test_scan_findings.py",
    "unit/scan/test_acquisition.py",
    "unit/scan/test_masks.py",
    "unit/scan/test_value_weights.py",
    "unit/scan/test_weights.py",
    "unit/simulate/test_motion.py",
    "unit/simulate/test_simulate.py",
    "unit/steps/test_align.py",
    "unit/steps/test_denoise.py",
    "unit/steps/test_follow.py",
    "unit/steps/test_interpolated_noise.py",
    "unit/steps/test_outliers.py",
    "unit/test_deprecation.py",
    "unit/test_portable_bits.py",
    "unit/test_testing.py",
    "unit/uncertainty/test_curvature.py",
    "unit/uncertainty/test_profile.py",
    "unit/viewer/test_drawn_regions.py",
    "unit/viewer/test_large_scan.py",
    "unit/viewer/test_voxel_refit.py",
    "unit/viewer/test_wild_numbers.py",
    "unit/writing/test_exchange.py",
    "unit/writing/test_target.py",
)
"""Folders and files that `--fast` leaves out: those of about 2 s or more on a slow processor."""

_TESTS = Path(__file__).parent
_MIN_SHOWN_S = 3.0
_seconds: Counter[str] = Counter()
_n_tests: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make test-fast`."""
    about = f"leave out what takes long: {len(SLOW)} folders and files, see tests/slow_files.py"
    parser.addoption("--fast", action="store_true", help=about)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what takes long, before it is imported."""
    if config.getoption("fast") and collection_path in {_TESTS / name for name in SLOW}:
        return True
    return None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add the time of a test, its fixtures included, to that of its file."""
    name = report.nodeid.split("::")[0]
    _seconds[name] += report.duration
    _n_tests[name] += report.when == "call"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Where the slowest tests are asked for, list the slowest files as well."""
    if config.getoption("durations") is None:
        return
    slow = [(seconds, name) for name, seconds in _seconds.items() if seconds >= _MIN_SHOWN_S]
    if slow:
        terminalreporter.section(f"files that took {_MIN_SHOWN_S:.0f} s or more")
    for seconds, name in sorted(slow, reverse=True):
        left_out = any((_TESTS.parent / name).is_relative_to(_TESTS / one) for one in SLOW)
        note = "" if left_out else "  part of make test-fast"
        terminalreporter.write_line(f"{seconds:7.1f} s {_n_tests[name]:5d} tests  {name}{note}")
