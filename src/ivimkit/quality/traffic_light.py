"""Light: one traffic-light check, and the thresholds of its colours."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["THRESHOLDS", "WORDS", "WORST_FIRST", "Light", "Threshold"]

WORDS = {"green": "good", "yellow": "caution", "red": "poor", "grey": "not known"}
"""The meaning of each colour: a check is never identified by colour alone."""

WORST_FIRST = ("red", "yellow", "grey", "green")
"""The colours; a check that could not be made is worse than a good one."""


@dataclass(frozen=True)
class Threshold:
    """Thresholds of the colours of a check.

    Parameters
    ----------
    yellow, red : float
        Last green and last yellow value.
    unit : str
        Of both.
    why : str
        Origin of the numbers.
    """

    yellow: float
    red: float
    unit: str
    why: str

    def colour(self, value: float) -> str:
        """Return the colour of a value; larger is worse if red is the larger limit."""
        sign = 1.0 if self.red > self.yellow else -1.0
        if sign * value > sign * self.red:
            return "red"
        return "yellow" if sign * value > sign * self.yellow else "green"


THRESHOLDS = {
    "voxels without a fit": Threshold(
        0.01, 0.05, "share of the mask", "a mask that ends in tissue has hardly any"
    ),
    "perfusion not detected": Threshold(
        0.2, 0.5, "share of fitted voxels", "beyond one half the map of D* is mostly noise"
    ),
    "tissue not detected": Threshold(
        0.2, 0.5, "share of fitted voxels", "beyond one half the map of D is mostly noise"
    ),
    "one exponential as good": Threshold(
        0.2, 0.5, "share of fitted voxels", "beyond one half f describes a minority"
    ),
    "kurtosis likely": Threshold(
        0.1,
        0.5,
        "share of fitted voxels",
        "without kurtosis, 3 % of the voxels have the flag at SNR 50, and 9 % at SNR 20",
    ),
    "values at a bound": Threshold(
        0.05,
        0.2,
        "share of fitted voxels",
        "bounds are wide, so tissue is rarely near one; f and D* do not count without perfusion, "
        "but no single bound may hold most voxels",
    ),
    "voxels without an ADC": Threshold(
        0.05, 0.2, "share of fitted voxels", "an ADC needs two positive signals"
    ),
    "no standard deviation": Threshold(
        0.2, 0.5, "share of fitted voxels", "beyond one half the sd maps describe a minority"
    ),
    "inaccurate posterior": Threshold(
        0.05, 0.2, "share of fitted voxels", "their intervals are not those of the posterior"
    ),
    "region outside the mask": Threshold(
        0.25,
        0.5,
        "share of a region",
        "a mask may cut the rim of a small region; beyond one half a minority has numbers",
    ),
    "voxels and mean signal": Threshold(
        0.2,
        0.5,
        "share of the larger value",
        "largest disagreement of a region; one half is a factor of two",
    ),
    "distinct b-values": Threshold(
        2.0,
        1.25,
        "per free parameter",
        "8 for the 4 parameters of a bi-exponential, 5 at the very least: 4 leave no residual",
    ),
    "signal-to-noise ratio": Threshold(
        50.0,
        20.0,
        "S0 divided by the noise of a b-value, its volumes averaged",
        "typical error of D, f and D* in a voxel: 3, 7 and 17 % at 50; 8, 18 and 40 % at 20",
    ),
}
"""The thresholds of `lights`."""


@dataclass(frozen=True)
class Light:
    """One traffic-light check.

    Parameters
    ----------
    name : str
        Its name.
    colour : {"green", "yellow", "red", "grey"}
        Its verdict; grey if there is nothing to judge by.
    reason : str
        Why it has this colour, with the number behind it.
    advice : str
        What to do; empty if there is nothing to do.
    region : str
        The region, or regions, that have this colour; empty if it is that of the whole mask.
    """

    name: str
    colour: str
    reason: str
    advice: str = ""
    region: str = ""

    @property
    def word(self) -> str:
        """The colour as a word."""
        return WORDS[self.colour]
