"""The noise of a scan: its level, the source of the estimate, and its assumptions."""

from ivimkit.noise.background import from_background, level_of_air
from ivimkit.noise.estimate import FIT_SOURCES, SOURCES, estimate, for_fit
from ivimkit.noise.given import given
from ivimkit.noise.images import from_images
from ivimkit.noise.lowest_signals import largest_sigma
from ivimkit.noise.measurable import before_denoising
from ivimkit.noise.mppca import from_mppca
from ivimkit.noise.noise_estimate import NoiseEstimate, snr_map
from ivimkit.noise.repeats import from_repeats
from ivimkit.noise.residuals import from_residuals
from ivimkit.noise.shells import ShellSignal, shell_signals
from ivimkit.noise.thermal import RepeatScatter, for_floor, repeat_scatter, thermal_noise

__all__ = [
    "FIT_SOURCES",
    "SOURCES",
    "NoiseEstimate",
    "RepeatScatter",
    "ShellSignal",
    "before_denoising",
    "estimate",
    "for_fit",
    "for_floor",
    "from_background",
    "from_images",
    "from_mppca",
    "from_repeats",
    "from_residuals",
    "given",
    "largest_sigma",
    "level_of_air",
    "repeat_scatter",
    "shell_signals",
    "snr_map",
    "thermal_noise",
]
