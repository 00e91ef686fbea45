"""Traffic-light checks of a result, with reasons and advice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ivimkit import noise as noises
from ivimkit.errors import NoiseError, OptionError
from ivimkit.extend.b_value_advice import coverage_needed, n_distinct_settings, settings_of
from ivimkit.quality.fit_residuals import residuals
from ivimkit.quality.nothing_to_read import nothing_to_read, of_fitted
from ivimkit.quality.region_checks import in_each, outside_mask
from ivimkit.quality.region_findings import region_findings
from ivimkit.quality.residual_findings import residual_findings
from ivimkit.quality.status_checks import or_bayes, status_lights
from ivimkit.quality.table_rows import labelled
from ivimkit.quality.traffic_light import THRESHOLDS, WORDS, Light, Threshold
from ivimkit.quality.voxels_and_signal import disagreements
from ivimkit.rounding import thousands
from ivimkit.scan.checks import scan_findings
from ivimkit.scan.coverage import CoverageRange
from ivimkit.scan.labels import Labels
from ivimkit.scan.variables import B

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ivimkit.fitting.result import FitResult
    from ivimkit.noise import NoiseEstimate
    from ivimkit.quality.residual_findings import Finding
    from ivimkit.quality.voxels_and_signal import Disagreement
    from ivimkit.scan.checks import ScanFinding

__all__ = ["DECAY", "THRESHOLDS", "WORDS", "Light", "Threshold", "lights"]

DECAY = "decay of the signal"
"""Name of the check that there is if a result contains no information."""


def lights(
    result: FitResult,
    *,
    labels: Labels | ArrayLike | None = None,
    noise: NoiseEstimate | None = None,
    findings: Sequence[Finding] | None = None,
    regions: Sequence[Disagreement] | None = None,
    scan: Sequence[ScanFinding] | None = None,
) -> tuple[Light, ...]:
    """Judge a result: the fit, the acquisition, the noise and the residuals.

    The result is all it needs. Scan and residuals are judged if it has its scan, as that of
    `ivimkit.fit` has; `ivimkit.load_result` loads it with ``scan=True``.

    Parameters
    ----------
    result : FitResult
        The fit.
    labels : Labels or array_like of int, shape of the maps, optional
        The regions whose numbers are to be read. Voxels are counted in each of them, and the
        worst counts; by default in the whole mask.
    noise : NoiseEstimate, optional
        Noise of one volume; by default the one given to the fit, else from repeated volumes if the
        scan is available and has them, else from the residuals.
    findings : sequence of Finding, optional
        What the residuals show, if it is known already: see `residual_findings`.
    regions : sequence of Disagreement, optional
        Regions whose voxels and mean signal disagree, if they are known already: see
        `disagreements`.
    scan : sequence of ScanFinding, optional
        What cannot be right about the scan, if it is known already: see `scan_findings`.

    Returns
    -------
    tuple of Light
        The scan, voxels without a fit, perfusion not detected and tissue not detected (models with
        a perfusion fraction), values at a bound, coverage of the decay, distinct b-values,
        signal-to-noise ratio, residuals, voxels and mean signal (with labels); voxels without an
        ADC, or without a standard deviation, and voxels of a region outside the mask only where
        there are more than a few, and the decay of the signal only where there is none. A check
        is never good if its status flag is set in most voxels. The thresholds are in
        `THRESHOLDS`.

    Raises
    ------
    ShapeError
        If the labels have another shape than the maps, or there is no region.

    Examples
    --------
    >>> import ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2), snr=50)
    >>> result = ik.fit(made.dwi)
    >>> found = {light.name: light for light in ik.quality.lights(result)}
    >>> found["signal-to-noise ratio"].word, found["residuals"].word
    ('good', 'good')
    >>> regions = ik.Labels(made.labels, made.label_names)
    >>> found = {light.name: light for light in ik.quality.lights(result, labels=regions)}
    >>> found["perfusion not detected"].region
    'muscle'
    """
    known = None if labels is None else labelled(labels, result)
    whole = tuple(_decay(result, noise))
    ratio = _RatioCheck(result, noise)

    def of_voxels(part: FitResult) -> Iterator[Light]:
        yield from () if whole else _decay(part, noise)
        yield from status_lights(part)
        yield from ratio.judge(part)

    found = tuple(in_each(result, known, of_voxels))
    return (
        *_scan(_found_in_scan(result) if scan is None else scan),
        *whole,
        *(light for light in found if light.name != ratio.name),
        *outside_mask(result, known),
        _coverage(result),
        _b_values(result),
        *(light for light in found if light.name == ratio.name),
        _residuals(result, _found_in_residuals(result, known) if findings is None else findings),
        *_regions(_disagreeing(result, known) if regions is None else regions),
    )


def _found_in_scan(result: FitResult) -> Sequence[ScanFinding] | None:
    return None if result.dwi is None else scan_findings(result.dwi.with_mask(result.mask))


def _found_in_residuals(result: FitResult, labels: Labels | None) -> Sequence[Finding] | None:
    """Return what stands out in the residuals; None if they cannot be known."""
    if result.dwi is None or result.provenance.history.noise == "changed":
        return None
    with suppress(OptionError):
        whole = residual_findings(residuals(result))
        return whole if labels is None else region_findings(result, labels, whole)
    # Nothing was fitted, as another check says.
    return None


def _disagreeing(result: FitResult, labels: Labels | None) -> Sequence[Disagreement] | None:
    """Return the regions whose voxels and mean signal disagree; None if they cannot be known."""
    if labels is None or result.dwi is None:
        return None
    # Method bayes may have no prior for these regions.
    with suppress(OptionError):
        return disagreements(result, labels)
    return None


def _scan(found: Sequence[ScanFinding] | None) -> Iterator[Light]:
    if found is None:
        return
    name = "the scan"
    if not found:
        reason = "The mean signal falls with b; no volume is empty, a copy or out of place."
        yield Light(name, "green", reason)
        return
    # What makes all numbers wrong comes first.
    first, *others = sorted(found, key=lambda finding: not finding.is_fault)
    more = f" ({len(others)} more, see ivimkit check)" if others else ""
    colour = "red" if first.is_fault else "yellow"
    yield Light(name, colour, f"{_sentence(first.text)}{more}", _sentence(first.advice))


def _decay(result: FitResult, noise: NoiseEstimate | None) -> Iterator[Light]:
    """Judge a result without information, if it is one; voxels without a fit have their check."""
    why = nothing_to_read(result, noise=noise) if result.codes.fitted.total else ""
    if why:
        advice = "Do not interpret any map. Check the b-values, the mask and the scan."
        yield Light(DECAY, "red", why, advice)


def _coverage(result: FitResult) -> Light:
    """Judge the b-values by the ranges that the model needs."""
    ranges = result.acquisition.coverage()
    needed = coverage_needed(result.model, result.acquisition)
    poor = [part for part in needed if part.grade != "good"]
    # A model extrapolates to b = 0 and through the transition, but not beyond a compartment.
    gravest = [
        part for part in poor if part.grade == "missing" and part not in (ranges[0], ranges[2])
    ]
    said = "; ".join(f"{_limits(part.low, part.high)}: {part.grade}" for part in needed)
    advice = " ".join(
        f"For {_purpose(part)} {'measure' if part.grade == 'missing' else 'add some of'} "
        f"b = {', '.join(f'{b:g}' for b in part.recommended)} s/mm²."
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
    model = result.model
    n, free = n_distinct_settings(model, result.acquisition), max(1, model.n_free)
    colour = THRESHOLDS[name].colour(n / free)
    # The light is called after b-values, which settings of more variables are not.
    what = "" if model.variables == (B.name,) else f" {settings_of(model)}"
    reason = f"{n}{what} for the {free} free parameters of {model.name}."
    advice = f"{2 * free} or more are recommended; or use a model with fewer parameters."
    return Light(name, colour, reason, "" if colour == "green" else advice)


class _RatioCheck:
    """The check of the signal-to-noise ratio: one noise, and the signals of regions."""

    name = "signal-to-noise ratio"

    def __init__(self, result: FitResult, noise: NoiseEstimate | None) -> None:
        self._result = result
        self._noise: NoiseEstimate | NoiseError | None = noise
        if noise is None and "S0" in result.maps:
            try:
                self._noise = _noise(result)
            except NoiseError as error:
                self._noise = error

    def judge(self, part: FitResult) -> Iterator[Light]:
        """Yield the check of some of the voxels."""
        result, name, found = self._result, self.name, self._noise
        if "S0" not in part.maps:
            yield Light(name, "grey", f"Model {result.model.name} has no S0.")
            return
        if found is None or isinstance(found, NoiseError):
            yield Light(name, "grey", _sentence(str(found)), "Measure b = 0 twice.")
            return
        signal = of_fitted(part, "S0")
        if not signal.size:
            yield Light(name, "grey", "No voxel was fitted.")
            return
        # Most b-values have the median number of volumes; a hundred at b = 0 hardly help them.
        volumes = float(np.median(_images(result)))
        ratio = float(np.median(signal)) / found.sigma
        averaged = ratio * math.sqrt(volumes)
        colour = THRESHOLDS[name].colour(averaged)
        about = f"About {thousands(averaged)} in the median voxel at b = 0"
        if volumes > 1.0:
            what = "volumes" if result.settings.averages is None else "images"
            about += (
                f" with {volumes:g} {what} per b-value ({thousands(ratio)} in one {what[:-1]})"
            )
        other = or_bayes(result)
        advice = f"Average more volumes, use larger voxels, or regions instead of voxels{other}."
        yield Light(
            name,
            colour,
            f"{about}: {found}. {found.assumes}{_scatter(result, found)}",
            "" if colour == "green" else advice,
        )


def _images(result: FitResult) -> NDArray[np.float64]:
    """Return the number of images of each b-value, of volumes that were averaged, too."""
    number = result.settings.averages
    single = np.ones(result.acquisition.n_volumes) if number is None else np.asarray(number)
    return np.array([single[list(shell.volumes)].sum() for shell in result.acquisition.shells])


def _scatter(result: FitResult, noise: NoiseEstimate) -> str:
    """Say how much of the spread of repeats is noise, where that was taken as the noise."""
    if result.dwi is None or noise.source != "repeats":
        return ""
    found = noises.repeat_scatter(result.dwi)
    return f" {found}" if found is not None and found.moves else ""


def _noise(result: FitResult) -> NoiseEstimate:
    """Return the noise that was given, or from repeats, which need no model, or from residuals."""
    sigma = result.settings.sigma
    if isinstance(sigma, float):
        return noises.given(sigma)
    before = noises.before_denoising(result.provenance.history)
    if before is not None:
        return before
    if result.dwi is not None:
        try:
            return noises.from_repeats(result.dwi, each_voxel=False)
        except NoiseError:
            pass
    return noises.from_residuals(result, each_voxel=False)


def _sentence(error: Exception | str) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _residuals(result: FitResult, findings: Sequence[Finding] | None) -> Light:
    name = "residuals"
    if result.provenance.history.noise == "changed":
        return Light(
            name,
            "grey",
            "The scan was denoised: residuals do not show its noise, nor signal that was removed "
            "with it.",
            "Look at those of the scan as acquired.",
        )
    if findings is None and not result.model.has_equation:
        return Light(
            name,
            "grey",
            f"The equation of model {result.model.name} is not known, so measured and fitted "
            "signal could not be compared.",
            "Give the model that was fitted.",
        )
    if findings is None:
        return Light(
            name,
            "grey",
            "The scan is not available, so measured and fitted signal could not be compared.",
            "Name the scan.",
        )
    if not findings:
        return Light(name, "green", "No b-value, slice or volume stands out.")
    first = findings[0]
    more = f" ({len(findings)} findings, all in section Residuals)" if len(findings) > 1 else ""
    # The effect of the method itself on residuals is no evidence for or against the scan.
    colour = "grey" if all(finding.kind == "method" for finding in findings) else "yellow"
    return Light(name, colour, f"{first.sentence}{more}", first.advice, first.region)


def _regions(found: Sequence[Disagreement] | None) -> Iterator[Light]:
    if found is None:
        return
    name = "voxels and mean signal"
    if not found:
        reason = "In every region the median voxel and the fit of the mean signal agree."
        yield Light(name, "green", reason)
        return
    worst = found[0]
    more = f" ({len(found)} such maps of regions)" if len(found) > 1 else ""
    yield Light(
        name,
        THRESHOLDS[name].colour(worst.size),
        f"They disagree: in {worst.region}, {worst.sentence}{more}.",
        "Report neither number alone. Noise biases voxels, mixed tissue the mean signal: "
        "draw the region in one tissue, and look at reliable voxels only.",
        worst.region,
    )
