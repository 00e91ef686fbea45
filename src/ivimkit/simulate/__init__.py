"""Simulated data: signals of any model, noise with a seed, digital phantoms with known truth."""

from ivimkit.simulate.digital_phantom import B13, B21, PHANTOM_MODEL, PHANTOMS, Phantom, phantom
from ivimkit.simulate.forward import signals
from ivimkit.simulate.noise import NOISE_KINDS, add_noise, apply_noise, draw_noise
from ivimkit.simulate.texture import TEXTURE_SPREAD, Texture
from ivimkit.simulate.tissue import Tissue

__all__ = [
    "B13",
    "B21",
    "NOISE_KINDS",
    "PHANTOMS",
    "PHANTOM_MODEL",
    "TEXTURE_SPREAD",
    "Phantom",
    "Texture",
    "Tissue",
    "add_noise",
    "apply_noise",
    "draw_noise",
    "phantom",
    "signals",
]
