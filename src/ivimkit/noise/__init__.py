"""The noise of a scan: its level, the source of the estimate, and its assumptions."""

from ivimkit.noise.background import from_background
from ivimkit.noise.estimate import FIT_SOURCES, SOURCES, estimate, for_fit
from ivimkit.noise.given import given
from ivimkit.noise.noise_estimate import NoiseEstimate, snr_map
from ivimkit.noise.repeats import from_repeats
from ivimkit.noise.residuals import from_residuals
from ivimkit.noise.shells import ShellSignal, shell_signals

__all__ = [
    "FIT_SOURCES",
    "SOURCES",
    "NoiseEstimate",
    "ShellSignal",
    "estimate",
    "for_fit",
    "from_background",
    "from_repeats",
    "from_residuals",
    "given",
    "shell_signals",
    "snr_map",
]
