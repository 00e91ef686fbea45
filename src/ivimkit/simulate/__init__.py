"""Simulated data: signals of any model, noise with a seed, digital phantoms with known truth."""

from ivimkit.simulate.artefacts import Artefacts
from ivimkit.simulate.digital_phantom import B13, B21, PHANTOM_MODEL, PHANTOMS, Phantom, phantom
from ivimkit.simulate.drift import DRIFT_KINDS, Drift
from ivimkit.simulate.dropouts import Dropouts
from ivimkit.simulate.forward import signals
from ivimkit.simulate.motion import MOTION_KINDS, Motion
from ivimkit.simulate.noise import NOISE_KINDS, add_noise, apply_noise, draw_noise
from ivimkit.simulate.residual_motion import ResidualMotion, residual_motion
from ivimkit.simulate.ringing import Ringing
from ivimkit.simulate.texture import TEXTURE_SPREAD, Texture
from ivimkit.simulate.tissue import Tissue
from ivimkit.simulate.true_artefacts import TrueArtefacts

__all__ = [
    "B13",
    "B21",
    "DRIFT_KINDS",
    "MOTION_KINDS",
    "NOISE_KINDS",
    "PHANTOMS",
    "PHANTOM_MODEL",
    "TEXTURE_SPREAD",
    "Artefacts",
    "Drift",
    "Dropouts",
    "Motion",
    "Phantom",
    "ResidualMotion",
    "Ringing",
    "Texture",
    "Tissue",
    "TrueArtefacts",
    "add_noise",
    "apply_noise",
    "draw_noise",
    "phantom",
    "residual_motion",
    "signals",
]
