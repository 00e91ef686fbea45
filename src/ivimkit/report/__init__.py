"""Reports: one HTML page on one or two results; also exports the figures of `ivimkit.figures`."""

from ivimkit import figures
from ivimkit.figures import *  # noqa: F403
from ivimkit.report.builder import build
from ivimkit.report.html_document import Report

__all__ = ["Report", "build"]
__all__ += figures.__all__
