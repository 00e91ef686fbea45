"""Traffic lights: what speaks for and against a result, with the reason and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ivimkit import noise as noises
from ivimkit.coverage import CoverageRange
from ivimkit.errors import NoiseError
from ivimkit.status import FAILED, FitStatus, at_lower, at_upper, explain

if TYPE_CHECKING:
    from ivimkit.noise import NoiseEstimate
    from ivimkit.quality.residual_findings import Finding
    from ivimkit.result import FitResult

__all__ = ["THRESHOLDS", "WORDS", "Light", "Threshold", "lights"]

WORDS = {"green": "good", "yellow": "caution", "red": "poor", "grey": "not known"}
"""What each colour means: a light is never told by its colour alone."""


@dataclass(frozen=True)
class Threshold:
    """Where a light changes its colour.

    Parameters
    ----------
    yellow, red : float
        Last values that are green, that are yellow.
    unit : str
        Of both.
    why : str
        Where the numbers are from.
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
    "values at a bound": Threshold(
        0.05,
        0.2,
        "share of fitted voxels",
        "bounds are wide, so tissue is rarely near one; voxels without perfusion do not count",
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
        "S0 by noise of a b-value, its volumes averaged",
        "typical error of D, f and D* in a voxel: 3, 7 and 17 % at 50; 8, 18 and 40 % at 20",
    ),
}
"""The one place of the thresholds of `lights`."""


@dataclass(frozen=True)
class Light:
    """One traffic light.

    Parameters
    ----------
    name : str
        What it is about.
    colour : {"green", "yellow", "red", "grey"}
        How good it is; grey if there is nothing to judge by.
    reason : str
        Why it has this colour, with the number behind it.
    advice : str
        What to do; empty if there is nothing to do.
    """

    name: str
    colour: str
    reason: str
    advice: str = ""

    @property
    def word(self) -> str:
        """The colour as a word."""
        return WORDS[self.colour]


def lights(
    result: FitResult,
    *,
    noise: NoiseEstimate | None = None,
    findings: Sequence[Finding] | None = None,
) -> tuple[Light, ...]:
    """Judge a result: the fit, the acquisition, the noise and the residuals.

    Parameters
    ----------
    result : FitResult
        The fit.
    noise : NoiseEstimate, optional
        Noise of one volume; by default that which the fit was given, else that from repeated
        volumes if the scan is at hand and has them, else that from the residuals.
    findings : sequence of Finding, optional
        What the residuals show, see `residual_findings`; that light is grey without them.

    Returns
    -------
    tuple of Light
        Voxels without a fit, perfusion not detected (models with a perfusion fraction), values
        at a bound, coverage of the decay, distinct b-values, signal-to-noise ratio, residuals.
        The thresholds are in `THRESHOLDS`.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), snr=50)
    >>> found = {light.name: light for light in ik.quality.lights(ik.fit(made.dwi))}
    >>> found["signal-to-noise ratio"].word
    'good'
    """
    return (
        _failed(result),
        *_perfusion(result),
        _bounds(result),
        _coverage(result),
        _b_values(result),
        _snr(result, noise),
        _residuals(findings),
    )


def _fitted(result: FitResult) -> NDArray[np.bool_]:
    return np.asarray(result.mask & ((result.status & int(FAILED)) == 0))


def _spaced(n: int) -> str:
    return f"{n:,}".replace(",", "\u202f")


def _share(n: int, total: int, what: str) -> str:
    return f"{_spaced(n)} of {_spaced(total)} {what} ({100 * n / total:.1f} %)"


def _failed(result: FitResult) -> Light:
    name = "voxels without a fit"
    total = int(np.count_nonzero(result.mask))
    if not total:
        return Light(name, "red", "The mask is empty.", "Draw a mask of the tissue.")
    n = total - int(np.count_nonzero(_fitted(result)))
    colour = THRESHOLDS[name].colour(n / total)
    reason = f"{_share(n, total, 'voxels in the mask')} have no value."
    if not n:
        return Light(name, colour, f"All {_spaced(total)} voxels in the mask have values.")
    known = {flag: about for flag, about in explain(()).items() if flag & FAILED}
    counts = {flag: int(np.count_nonzero(result.status & flag)) for flag in known}
    most = max(counts, key=lambda flag: counts[flag])
    _, sentence, advice = known[most]
    return Light(name, colour, f"{reason} Most often: {sentence}", advice)


def _perfusion(result: FitResult) -> Iterator[Light]:
    pools = result.model.pools
    fitted = _fitted(result)
    total = int(np.count_nonzero(fitted))
    if pools is None or pools.fraction is None or not total:
        return
    name = "perfusion not detected"
    flag = int(FitStatus.PERFUSION_NOT_DETECTED)
    n = int(np.count_nonzero(result.status[fitted] & flag))
    reason = f"In {_share(n, total, 'fitted voxels')} f is not distinguishable from 0."
    advice = (
        "Do not interpret D* there: use result.reliable('D_star'), regions or more b-values up "
        "to 100 s/mm²."
        if pools.fast is not None
        else "Average over regions, or add volumes at b = 0."
    )
    colour = THRESHOLDS[name].colour(n / total)
    yield Light(name, colour, reason, "" if colour == "green" else advice)


def _bounds(result: FitResult) -> Light:
    name = "values at a bound"
    fitted = _fitted(result)
    seen = (result.status & int(FitStatus.PERFUSION_NOT_DETECTED)) == 0
    total = int(np.count_nonzero(fitted))
    if not total:
        return Light(name, "grey", "No voxel was fitted.")
    status = result.status[fitted & seen]
    sides = {
        f"{parameter.symbol} at its {side} bound": flag
        for k, parameter in enumerate(result.model.parameters)
        if not parameter.fixed and parameter.name not in result.model.fixed_maps
        for side, flag in (("lower", at_lower(k)), ("upper", at_upper(k)))
    }
    n = int(np.count_nonzero(status & sum(sides.values())))
    counts = {text: int(np.count_nonzero(status & flag)) for text, flag in sides.items()}
    colour = THRESHOLDS[name].colour(n / total)
    reason = f"{_share(n, total, 'fitted voxels')} have a value at a bound"
    if not n:
        return Light(name, colour, f"{reason}.")
    most = max(counts, key=lambda text: counts[text])
    advice = "The data do not decide there: widen the bound, mask fluid and vessels, or use bayes."
    return Light(
        name,
        colour,
        f"{reason}, most often {most} ({_spaced(counts[most])}).",
        "" if colour == "green" else advice,
    )


def _coverage(result: FitResult) -> Light:
    """Judge the b-values by the ranges that the model needs."""
    pools = result.model.pools
    ranges = result.acquisition.coverage()
    needed = ranges if pools is None or pools.fast is not None else (ranges[0], ranges[-1])
    poor = [part for part in needed if part.grade != "good"]
    # A model extrapolates to b = 0 and through the transition, but not out of a pool.
    gravest = [
        part for part in poor if part.grade == "missing" and part not in (ranges[0], ranges[2])
    ]
    said = "; ".join(f"{_limits(part.low, part.high)}: {part.grade}" for part in needed)
    advice = " ".join(
        f"For {_purpose(part)} measure b = {', '.join(f'{b:g}' for b in part.recommended)} s/mm²."
        for part in poor
    )
    colour = "red" if gravest else "yellow" if poor else "green"
    return Light("coverage of the decay", colour, f"Ranges of b in s/mm²: {said}.", advice)


def _purpose(part: CoverageRange) -> str:
    what, colon, parameters = part.purpose.partition(": ")
    return f"{what} ({parameters})" if colon else what


def _limits(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def _b_values(result: FitResult) -> Light:
    name = "distinct b-values"
    n, free = result.acquisition.n_shells, max(1, result.model.n_free)
    colour = THRESHOLDS[name].colour(n / free)
    reason = f"{n} for the {free} free parameters of {result.model.name}."
    advice = f"{2 * free} or more are recommended; or use a model with fewer parameters."
    return Light(name, colour, reason, "" if colour == "green" else advice)


def _snr(result: FitResult, noise: NoiseEstimate | None) -> Light:
    name = "signal-to-noise ratio"
    if "S0" not in result.maps:
        return Light(name, "grey", f"Model {result.model.name} has no S0.")
    try:
        found = _noise(result) if noise is None else noise
    except NoiseError as error:
        return Light(name, "grey", f"{_sentence(error)}", "Measure b = 0 twice.")
    signal = result.maps["S0"][_fitted(result)]
    ratio = float(np.median(signal)) / found.sigma if signal.size else math.nan
    if math.isnan(ratio):
        return Light(name, "grey", "No voxel was fitted.")
    # Most b-values have as many volumes as the median; a hundred at b = 0 help these little.
    volumes = float(np.median(result.acquisition.counts))
    averaged = ratio * math.sqrt(volumes)
    colour = THRESHOLDS[name].colour(averaged)
    about = f"About {averaged:.0f} in the median voxel at b = 0"
    if volumes > 1.0:
        about += f" with {volumes:g} volumes per b-value ({ratio:.0f} in one volume)"
    advice = "Average more volumes, use larger voxels, regions in place of voxels, or bayes."
    return Light(
        name,
        colour,
        f"{about}: {found}. {found.assumes}",
        "" if colour == "green" else advice,
    )


def _noise(result: FitResult) -> NoiseEstimate:
    """Return the noise that was given, or from repeats, which need no model, or residuals."""
    sigma = result.provenance.options.get("sigma")
    if isinstance(sigma, float):
        return noises.given(sigma)
    if result.dwi is not None:
        try:
            return noises.from_repeats(result.dwi)
        except NoiseError:
            pass
    return noises.from_residuals(result)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _residuals(findings: Sequence[Finding] | None) -> Light:
    name = "residuals"
    if findings is None:
        return Light(
            name,
            "grey",
            "The scan is not at hand, so measured and fitted signal could not be compared.",
            "Name the scan.",
        )
    if not findings:
        return Light(name, "green", "No b-value, slice or volume stands out.")
    more = f" ({len(findings)} findings, all in section Residuals)" if len(findings) > 1 else ""
    return Light(name, "yellow", f"{findings[0].sentence}{more}", findings[0].advice)
