"""Traffic-light checks of the status: share of voxels, flag by flag."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.quality.traffic_light import THRESHOLDS, Light
from ivimkit.rounding import percent, thousands
from ivimkit.status import (
    FAILED,
    MONOEXPONENTIAL,
    UNSEEN_REFERENCE,
    UNSEEN_SHARES,
    FitStatus,
    at_lower,
    at_upper,
    can_be_widened,
    explain,
    in_words,
    monoexponential,
)

if TYPE_CHECKING:
    from ivimkit.fitting.result import FitResult

__all__ = ["StatusRow", "or_bayes", "status_lights", "status_rows"]


def status_lights(result: FitResult) -> tuple[Light, ...]:
    """Judge a result by the flags of its voxels.

    A check is never good if its flag is set in most voxels.

    Parameters
    ----------
    result : FitResult
        The fit.

    Returns
    -------
    tuple of Light
    """
    return (
        _failed(result),
        *_perfusion(result),
        *_tissue(result),
        *_one_exponential(result),
        *_kurtosis(result),
        _bounds(result),
        *_adc(result),
        *_sd(result),
        *_posterior(result),
    )


class StatusRow(NamedTuple):
    """One line of a table of the status.

    Parameters
    ----------
    words : str
        The flag in words.
    n : int
        Number of voxels.
    share : float
        Share of the mask; NaN for voxels outside it.
    sentence, advice : str
        What it means, and what to do.
    """

    words: str
    n: int
    share: float
    sentence: str
    advice: str


def status_rows(result: FitResult) -> list[StatusRow]:
    """Return the lines of a table of the status: the flags that occur, and what follows from them.

    Parameters
    ----------
    result : FitResult
        The fit.

    Returns
    -------
    list of StatusRow
        A voxel counts in each of its flags. Voxels that one exponential describes as well have no
        flag for it, but the last line.
    """
    about = {name: texts for name, *texts in explain(result.model).values()}
    about[MONOEXPONENTIAL[0]] = list(MONOEXPONENTIAL[1:])
    counts = dict(result.counts())
    one = result.codes.where(monoexponential(result.codes.codes, result.model))
    if one:
        counts[MONOEXPONENTIAL[0]] = one
    total = max(1, result.codes.inside.total)
    rows = []
    for name, n in counts.items():
        share = math.nan if name == FitStatus.OUTSIDE_MASK.name else n / total
        sentence, advice = about[name]
        rows.append(StatusRow(in_words(name, result.model), n, share, sentence, advice))
    return rows


def _share(n: int, total: int, what: str) -> str:
    return f"{thousands(n)} of {thousands(total)} {what} ({percent(n / total)})"


def or_bayes(result: FitResult) -> str:
    """Return the advice to use method bayes, unless it was used."""
    return "" if isinstance(result.method, PosteriorMethod) else ", or use method bayes"


def _failed(result: FitResult) -> Light:
    name = "voxels without a fit"
    total = result.codes.inside.total
    if not total:
        return Light(name, "red", "No voxel is in the mask.", "Draw a mask of the tissue.")
    n = total - result.codes.fitted.total
    colour = THRESHOLDS[name].colour(n / total)
    reason = f"{_share(n, total, 'voxels in the mask')} have no value."
    if not n:
        return Light(name, colour, f"All {thousands(total)} voxels in the mask have values.")
    known = {flag: about for flag, about in explain().items() if flag & FAILED}
    counts = {flag: result.codes.having(flag) for flag in known}
    most = max(counts, key=lambda flag: counts[flag])
    _, sentence, advice = known[most]
    return Light(name, colour, f"{reason} Most often: {sentence}", advice)


def _perfusion(result: FitResult) -> Iterator[Light]:
    """Judge, for each compartment with a fraction, the voxels in which it is not detected."""
    fitted = result.codes.fitted
    total = fitted.total
    if not total:
        return
    for flag, compartment in zip(UNSEEN_SHARES, result.model.compartments[:-1], strict=False):
        assert compartment.fraction is not None
        n = fitted.having(flag)
        reason = (
            f"In {_share(n, total, 'fitted voxels')} {compartment.fraction.symbol} is not "
            "distinguishable from 0."
        )
        what = next((u.what for u in result.model.unseen if u.flag == flag), "")
        advice = (
            f"Do not interpret {what} there: look at reliable voxels only, average over regions, "
            "or measure more b-values up to 100 s/mm²."
            if what
            else "Average over regions, or add volumes at b = 0."
        )
        colour = THRESHOLDS["perfusion not detected"].colour(n / total)
        name = f"{compartment.signal.replace('_', ' ')} not detected"
        yield Light(name, colour, reason, "" if colour == "green" else advice)


def _flagged(result: FitResult, flag: FitStatus, name: str, said: str, advice: str) -> Light:
    """Judge the share of the fitted voxels with a flag."""
    fitted = result.codes.fitted
    total = fitted.total
    n = fitted.having(flag)
    colour = THRESHOLDS[name].colour(n / total)
    reason = said.format(_share(n, total, "fitted voxels"))
    return Light(name, colour, reason, "" if colour == "green" else advice)


def _tissue(result: FitResult) -> Iterator[Light]:
    """Judge the voxels in which the reference is not detected."""
    about = next((u for u in result.model.unseen if u.flag == UNSEEN_REFERENCE), None)
    if about is None or not result.codes.fitted.total:
        return
    said = f"In {{}} {about.is_not}, so {about.what} {about.verb} not identifiable."
    advice = (
        f"Do not interpret {about.what} there: mask fluid and vessels, or measure more b-values "
        "above 200 s/mm²."
    )
    flag = FitStatus.TISSUE_NOT_DETECTED
    yield _flagged(result, flag, "tissue not detected", said, advice)


def _one_exponential(result: FitResult) -> Iterator[Light]:
    """Judge the voxels that one exponential describes as well, if there are more than a few."""
    fitted = result.codes.fitted
    total = fitted.total
    if not total:
        return
    name = "one exponential as good"
    n = fitted.where(monoexponential(fitted.codes, result.model))
    colour = THRESHOLDS[name].colour(n / total)
    if colour != "green":
        yield Light(
            name,
            colour,
            f"One exponential describes {_share(n, total, 'fitted voxels')} as well: f and D* are "
            "not established there.",
            "Use model monoexp there, average over regions, or compare the models (ivimkit "
            "compare).",
        )


def _kurtosis(result: FitResult) -> Iterator[Light]:
    """Judge the voxels in which kurtosis is likely, if there are more than a few."""
    if not (result.model.is_two_decays and result.codes.fitted.total):
        return
    light = _flagged(
        result,
        FitStatus.KURTOSIS_LIKELY,
        "kurtosis likely",
        "In {} the signal above b = 1000 s/mm² bends like kurtosis: f may be far too high, D too "
        "low.",
        "Leave out b-values above 1000 (--bmax 1000), or use model kurtosis.",
    )
    if light.colour != "green":
        yield light


def _adc(result: FitResult) -> Iterator[Light]:
    """Judge the voxels without an ADC, if there are more than a few."""
    if not result.codes.fitted.total:
        return
    light = _flagged(
        result,
        FitStatus.ADC_NOT_AVAILABLE,
        "voxels without an ADC",
        "{} have no ADC: fewer than two positive signals among its b-values.",
        "Choose other b-values for the ADC, or mask these voxels.",
    )
    if light.colour != "green":
        yield light


def _sd(result: FitResult) -> Iterator[Light]:
    """Judge the voxels without a standard deviation, if there are more than a few."""
    if not result.codes.fitted.total:
        return
    light = _flagged(
        result,
        FitStatus.SD_NOT_AVAILABLE,
        "no standard deviation",
        "{} lack the standard deviation of a parameter, at a bound or not identifiable.",
        f"Look at profile intervals{or_bayes(result)}.",
    )
    if light.colour != "green":
        yield light


def _posterior(result: FitResult) -> Iterator[Light]:
    """Judge the voxels whose posterior was integrated with a large error, if there are any."""
    if not result.codes.fitted.total:
        return
    light = _flagged(
        result,
        FitStatus.POSTERIOR_INACCURATE,
        "inaccurate posterior",
        "{} have a posterior with an error of more than a tenth of a standard deviation.",
        "See the map accuracy; fix parameters that are known, or use a model with fewer.",
    )
    if light.colour != "green":
        yield light


def _bounds(result: FitResult) -> Light:
    name = "values at a bound"
    fitted = result.codes.fitted
    total = fitted.total
    if not total:
        return Light(name, "grey", "No voxel was fitted.")
    counts: dict[str, int] = {}
    every: dict[str, int] = {}
    widened: dict[str, bool] = {}
    mine = np.zeros(fitted.codes.size, dtype=bool)
    for text, flag, unseen, wide in _sides(result):
        there = (fitted.codes & flag) != 0
        every[text], widened[text] = fitted.where(there), wide
        # Without perfusion f is 0 and D* is meaningless: that is a separate check.
        there &= (fitted.codes & unseen) == 0
        counts[text] = fitted.where(there)
        mine |= there
    n = fitted.where(mine)
    colour = THRESHOLDS[name].colour(n / total)
    reason = f"{_share(n, total, 'fitted voxels')} have a value at a bound"
    most = max(counts, key=lambda text: counts[text], default="")
    if n:
        reason += f", most often {most} ({thousands(counts[most])})"
    largest = max(every, key=lambda text: every[text], default="")
    if colour == "green" and largest and every[largest] > total / 2:
        colour = "yellow"
        reason += f"; without perfusion, which is not counted, {largest} in most voxels"
        return Light(name, colour, f"{reason}.", "See perfusion not detected.")
    by = "widen the bound, " if n and widened[most] else ""
    advice = f"The data do not determine it there: {by}mask fluid and vessels{or_bayes(result)}."
    return Light(name, colour, f"{reason}.", "" if colour == "green" else advice)


def _sides(result: FitResult) -> Iterator[tuple[str, int, int, bool]]:
    """Yield each bound in words, its flag, and two properties.

    These are the flag of the voxels in which it is ignored, because its compartment is absent, and
    whether it can be widened.
    """
    model = result.model
    shares = dict(zip((c.name for c in model.compartments[:-1]), UNSEEN_SHARES, strict=False))
    for k, parameter in enumerate(model.parameters):
        if parameter.fixed or parameter.name in model.fixed_maps:
            continue
        own = model.compartment_of(parameter.name)
        unseen = 0 if own is None else shares.get(own.name, 0)
        for side, flag in (("lower", at_lower(k)), ("upper", at_upper(k))):
            wide = can_be_widened(parameter, side)
            yield f"{parameter.symbol} at its {side} bound", flag, unseen, wide
