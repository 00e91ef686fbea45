"""Reports: an HTML page on results, or on models; exports the figures of `ivimkit.figures`."""

from ivimkit import figures
from ivimkit.figures import *  # noqa: F403
from ivimkit.report.builder import build
from ivimkit.report.comparison_report import compare_report
from ivimkit.report.html_document import Report

__all__ = ["Report", "build", "compare_report"]
__all__ += figures.__all__
