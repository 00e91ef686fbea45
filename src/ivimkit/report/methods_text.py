"""Methods text: the methods paragraph of a paper, written from the record of a fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ivimkit import organs as presets
from ivimkit import priors
from ivimkit.extend.prior_table import learned_from
from ivimkit.fitting.adc import ADC
from ivimkit.fitting.prior_choice import why_this_prior
from ivimkit.fitting.result import FitResult
from ivimkit.noise.noise_estimate import ORIGINS
from ivimkit.noise.noise_kinds import NOISES
from ivimkit.organs import OrganPreset
from ivimkit.parameter import Parameter
from ivimkit.rounding import percent, shown_factor, shown_unit, thousands
from ivimkit.scan.acquisition import Acquisition

__all__ = ["Citations", "agreement_text", "comparison_text", "methods_text"]

_DIRECTIONS = "by the geometric mean across directions"
_AND_REPEATS = f"{_DIRECTIONS} and the arithmetic mean across repeats"
_GEOMETRIC, _ARITHMETIC = "by their geometric mean", "by their arithmetic mean"
_EFFECT = (
    "Hedges LV. Distribution theory for Glass's estimator of effect size and related estimators. "
    "J Educ Stat 1981;6:107-128. doi:10.3102/10769986006002107"
)
_MEDIANS = (
    "Bonett DG, Price RM. Statistical inference for a linear function of medians: confidence "
    "intervals, hypothesis testing, and sample size requirements. Psychol Methods "
    "2002;7:370-383. doi:10.1037/1082-989X.7.3.370"
)
_ROC = (
    "Hanley JA, McNeil BJ. The meaning and use of the area under a receiver operating "
    "characteristic (ROC) curve. Radiology 1982;143:29-36. doi:10.1148/radiology.143.1.7063747"
)
_AGREEMENT = (
    "Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of "
    "clinical measurement. Lancet 1986;327:307-310. doi:10.1016/S0140-6736(86)90837-8"
)
# Described in separate sentences.
_SAID = ("noise", "coils", "prior", "floor")


class Citations:
    """References in the order in which a text cites them.

    Attributes
    ----------
    listed : list of str
        The references; the first is number 1.
    """

    def __init__(self) -> None:
        self.listed: list[str] = []

    def cite(self, references: Iterable[str]) -> str:
        """Return the numbers of references in brackets, after a space; nothing for none."""
        numbers = []
        for reference in references:
            if reference not in self.listed:
                self.listed.append(reference)
            numbers.append(self.listed.index(reference) + 1)
        return f" [{', '.join(map(str, sorted(numbers)))}]" if numbers else ""


def methods_text(result: FitResult, citations: Citations) -> str:
    """Describe how a result was obtained, in the style of a paper.

    Parameters
    ----------
    result : FitResult
        The fit.
    citations : Citations
        Collects the references.

    Returns
    -------
    str
        One paragraph.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.report.methods_text import Citations, methods_text
    >>> result = ik.fit(ik.simulate.phantom(shape=(16, 12, 1)).dwi)
    >>> "bi-exponential IVIM model [1]" in methods_text(result, Citations())
    True
    """
    parts = (_scan, _model, _noise, _prior, _uncertainty, _adc, _outcome)
    return " ".join(text for part in parts for text in part(result, citations))


def comparison_text(citations: Citations, *, reliable_only: bool = True) -> str:
    """Describe how a lesion was compared with its reference.

    Parameters
    ----------
    citations : Citations
        Collects the references.
    reliable_only : bool
        Whether voxels that are not reliable were left out.
    """
    left_out = (
        " Voxels whose value the data did not determine (a parameter at a bound, or a compartment "
        "not detected) were excluded, map by map."
        if reliable_only
        else ""
    )
    return (
        "Lesion and reference were compared by the medians of their voxels with 95 % limits of "
        f"the difference{citations.cite([_MEDIANS])}, voxel-wise by Hedges' "
        f"g{citations.cite([_EFFECT])}, the area under the receiver operating characteristic "
        f"curve{citations.cite([_ROC])} and the Mann-Whitney U test.{left_out}"
    )


def agreement_text(citations: Citations) -> str:
    """Describe how two results were compared.

    Parameters
    ----------
    citations : Citations
        Collects the references.
    """
    return (
        "The two results were compared voxel-wise by their mean difference and 95 % limits of "
        f"agreement{citations.cite([_AGREEMENT])}."
    )


def _scan(result: FitResult, citations: Citations) -> Iterator[str]:
    record, acquisition = result.provenance, result.acquisition
    b = np.unique(acquisition.shell_bvals)
    listed = ", ".join(f"{value:g}" for value in b)
    settings = acquisition.differing
    further = f" and {acquisition.n_shells} settings of b and {', '.join(settings)}"
    versions = ", ".join(
        f"{_SOFTWARE.get(name, name)} {version}"
        for name, version in record.versions.items()
        if name != "ivimkit"
    )
    version = record.versions.get("ivimkit", "")
    software = f"ivimkit {version}".strip() + (f" ({versions})" if versions else "")
    yield (
        f"Diffusion-weighted images at {b.size} b-values{further if settings else ''} "
        f"({listed} s/mm²; "
        f"{acquisition.n_volumes} volumes) were analysed voxel by voxel with {software}."
    )
    yield from _steps(result, citations)
    average = _average(acquisition, result.settings.average)
    if average:
        yield (
            f"Volumes of the same {'setting' if settings else 'b-value'} were averaged "
            f"{average}, and each average was weighted by its number of volumes."
        )
    weights, averages = result.settings.weights, result.settings.averages
    if averages is not None:
        yield _averaged_before(averages)
    if weights is not None and weights != averages:
        yield _weighting(weights, acquisition.n_volumes)
    yield from _left_out(result, citations)


def _steps(result: FitResult, citations: Citations) -> Iterator[str]:
    """Say what was done to the scan before the fit, with which options and by what."""
    history = result.provenance.history
    for why in history.not_judged.values():
        # What was found, without what to do.
        yield f"Not considered before the fit: {why.partition(';')[0]}."
    steps = history.steps
    if not steps:
        return
    parts = []
    for step in steps:
        options = ", ".join(f"{name} {value}" for name, value in step.options.items())
        software = ", ".join(f"{k} {v}" for k, v in step.versions.items() if k != "ivimkit")
        about = "; ".join(filter(None, (options, software)))
        parts.append(
            f"{step.name}{f' ({about})' if about else ''}{citations.cite(step.references)}"
        )
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    yield f"Before the fit, the scan went through {listed}."
    yield from (f"{step.summary[:1].upper()}{step.summary[1:]}." for step in steps)


def _left_out(result: FitResult, citations: Citations) -> Iterator[str]:
    """Say which values were left out, voxel by voxel, and by what rule."""
    weights, screening = result.provenance.value_weights, result.screening
    share = 0.0 if weights is None else weights.left_out / weights.values
    if result.settings.value_weights:
        yield f"Single values had weights; those of weight 0 ({percent(share)}) were excluded."
    if weights is not None and weights.missing:
        missing = percent(weights.missing / weights.values)
        yield f"Values that were not finite ({missing}) were treated as missing."
    if screening is None:
        return
    if not screening.is_judged:
        yield f"Volumes and values were not screened, as {screening.reason}."
        return
    yield (
        "Volumes whose signal lay apart from a robust fit of all of them, slice by slice, and "
        "single values whose residual was larger than four standard deviations of the noise were "
        f"excluded before the fit{citations.cite([_SCREEN])}: "
        f"{percent(screening.share_left_out)} of all values."
    )


_SCREEN = (
    "Chang LC, Jones DK, Pierpaoli C. RESTORE: robust estimation of tensors by outlier rejection. "
    "Magn Reson Med 2005;53:1088-1095. doi:10.1002/mrm.20426"
)


def _averaged_before(averages: Sequence[float]) -> str:
    """Say of how many images each volume was the mean before it was read."""
    low, high = min(averages), max(averages)
    number = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"Each volume was the mean of {number} magnitude images, and had that weight."


def _weighting(weights: Sequence[float], n_volumes: int) -> str:
    left_out = [str(number) for number, weight in enumerate(weights) if weight == 0.0]
    if len(weights) == n_volumes and left_out and set(weights) == {0.0, 1.0}:
        which = (
            f"Volume {left_out[0]} was"
            if len(left_out) == 1
            else (f"Volumes {', '.join(left_out[:-1])} and {left_out[-1]} were")
        )
        return f"{which} excluded (weight 0; the first volume is 0)."
    return f"Additional weights were {', '.join(f'{weight:g}' for weight in weights)}."


def _average(acquisition: Acquisition, chosen: str) -> str:
    """Return how volumes of one b-value were averaged; nothing if none were."""
    several = [shell.volumes for shell in acquisition.shells if shell.count > 1]
    if not several or chosen == "none":
        return ""
    if chosen == "geometric":
        return _GEOMETRIC
    if chosen == "arithmetic" or acquisition.bvecs is None:
        return _ARITHMETIC
    groups = [acquisition.directions(volumes) for volumes in several]
    if all(len(directions) == 1 for directions in groups):
        return _ARITHMETIC
    repeated = any(len(volumes) > 1 for directions in groups for volumes in directions)
    return _AND_REPEATS if repeated else _DIRECTIONS


_SOFTWARE = {"numpy": "NumPy", "numba": "Numba", "nibabel": "NiBabel"}


def _model(result: FitResult, citations: Citations) -> Iterator[str]:
    model, method = result.model, result.method
    fixed = {p.name for p in model.parameters if p.fixed} | set(model.fixed_maps)
    bounds = [
        f"{p.symbol} from {_plain(p, p.lower)} to {_plain(p, p.upper)}{_spaced_unit(p)}"
        for p in model.parameters
        if p.name not in fixed and np.isfinite(p.upper)
    ]
    within = f" within the bounds {', '.join(bounds)}" if bounds else ""
    yield (
        f"The {model.title} model{citations.cite(model.references)}, {model.equation}, was fitted "
        f"by method {method.name} ({method.title}{_options(method.options())})"
        f"{citations.cite(method.references)}{within}."
    )
    yield from _found_options(result, citations)
    for p in model.parameters:
        if p.name in model.fixed_maps:
            yield f"{p.symbol} was fixed to a map."
        elif p.fixed:
            yield f"{p.symbol} was fixed to {_plain(p, p.lower)}{_spaced_unit(p)}."
    organ = result.settings.organ
    if organ:
        yield from _preset(result, presets.get(organ), citations)


def _found_options(result: FitResult, citations: Citations) -> Iterator[str]:
    """Say which options of the method were found from the scan, and how."""
    for name, how in result.provenance.chosen.items():
        if name in _SAID:
            continue
        rule, _, sample = how.partition(", ")
        words, *sources = _RULES.get(rule, (rule,))
        yield f"{name} was found by {words}{citations.cite(sources)} from {sample}."


# The rules that find an option, in words, and their sources.
_RULES = {
    "gcv": (
        "generalised cross-validation",
        "Golub GH, Heath M, Wahba G. Generalized cross-validation as a method for choosing a good "
        "ridge parameter. Technometrics 1979;21:215-223. doi:10.1080/00401706.1979.10489751",
    ),
    "lcurve": (
        "the corner of the L-curve",
        "Hansen PC, O'Leary DP. The use of the L-curve in the regularization of discrete "
        "ill-posed problems. SIAM J Sci Comput 1993;14:1487-1503. doi:10.1137/0914086",
    ),
    "discrepancy": ("the discrepancy principle",),
}


def _preset(result: FitResult, organ: OrganPreset, citations: Citations) -> Iterator[str]:
    """Say what the method took from a preset, leaving out what it does not use."""
    model, method = result.model, result.method
    taken = [
        f"the starting value of {model[name].symbol}"
        for name in method.starts_from(model)
        if model[name].start == organ.value(name, model[name].like)
    ]
    split = [p for p in model.parameters if organ.bounds.get(p.name) == (p.lower, p.upper)]
    if split:
        taken.append(f"the bounds of {' and '.join(p.symbol for p in split)}")
    if method.options().get("b_split") == organ.b_split:
        taken.append(f"the threshold of {organ.b_split:g} s/mm²")
    if not taken:
        return
    was = "was that" if len(taken) == 1 and not split else "were those"
    text = f"{' and '.join(taken)} {was} of the preset {organ.name}"
    yield f"{text[:1].upper()}{text[1:]}{citations.cite(organ.references)}."


def _options(options: Mapping[str, Any]) -> str:
    found = [f"{name} = {_word(value)}" for name, value in options.items() if name not in _SAID]
    return f"; {', '.join(found)}" if found else ""


def _word(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return ", ".join(map(_word, value)) or "none"
    return str(value)


def _plain(parameter: Parameter, value: float) -> str:
    """Write a value in the unit that is shown, without digits that nobody gave."""
    return f"{value * shown_factor(parameter):g}"


def _spaced_unit(parameter: Parameter) -> str:
    unit = shown_unit(parameter)
    return f" × {unit}" if unit.startswith("10") else f" {unit}" if unit else ""


def _noise(result: FitResult, citations: Citations) -> Iterator[str]:
    options = result.method.options()
    kind = options.get("noise")
    coils = int(options.get("coils", 1))
    sigma = result.settings.sigma
    given = "a map of sigma" if sigma == "map" else f"sigma = {sigma:g} a.u." if sigma else ""
    measured = result.settings.noise
    origin = ""
    if measured is not None and measured.source != "given":
        origin = f", estimated {ORIGINS[measured.source]}"
    if kind is not None:
        of_coils = f" of {coils} coils" if coils > 1 else ""
        known = f" with {given}{origin}" if given else ""
        yield f"The noise was taken to be {NOISES.get(str(kind), str(kind))}{of_coils}{known}."
        if floor := result.provenance.chosen.get("floor"):
            yield f"The noise floor was computed with the noise of one volume, {floor}."
        if left := result.provenance.chosen.get("noise"):
            yield f"The errors of the parameters follow from {left}."
    elif left := result.provenance.chosen.get("noise"):
        yield f"The errors of the parameters follow from {left}."
    elif given:
        taken = "taken to be" if origin else "given as"
        yield f"The noise of one volume was {taken} {given}{origin}."


def _prior(result: FitResult, citations: Citations) -> Iterator[str]:
    why = why_this_prior(result.provenance.chosen)
    by_auto = f", chosen by ivimkit because {why}," if why else ""
    for region, table in result.priors.items():
        known = table.rule in priors.names()
        title = priors.get(table.rule).title if known else table.rule
        cited = citations.cite(priors.get(table.rule).references) if known else ""
        where = "" if region == "all" else f" of region {region}"
        source = learned_from(table.about)
        learned = f" ({source})" if source else ""
        yield f"The prior{where}{by_auto} was {title}{learned}{cited}."


def _uncertainty(result: FitResult, citations: Citations) -> Iterator[str]:
    estimator = result.settings.estimator
    if estimator is None:
        return
    yield (
        f"Standard deviations and 95 % intervals were estimated by the {estimator.title} "
        f"({estimator.name}{_options(estimator.options())}){citations.cite(estimator.references)}."
    )


def _adc(result: FitResult, citations: Citations) -> Iterator[str]:
    if "ADC" in result.model.names or "ADC" not in result.maps:
        return
    model, method = ADC.model, ADC.method
    chosen = result.settings.adc_bvals
    values = (
        "all b-values" if chosen is None else f"b = {', '.join(f'{b:g}' for b in chosen)} s/mm²"
    )
    cited = citations.cite([*model.references, *method.references])
    yield (
        f"The apparent diffusion coefficient (ADC) was estimated by {method.title} over "
        f"{values}{cited}."
    )


def _outcome(result: FitResult, citations: Citations) -> Iterator[str]:
    total = result.codes.inside.total
    failed = total - result.codes.fitted.total
    yield (
        f"Of {thousands(total)} voxels, {thousands(failed)} ({percent(failed / max(1, total))}) "
        "could not be fitted and were excluded."
        if failed
        else f"All {thousands(total)} voxels could be fitted."
    )
    shares = {c.name: c.fraction for c in result.model.compartments if c.fraction is not None}
    for about in result.model.unseen:
        unseen = result.codes.having(about.flag)
        if about.compartment in shares and unseen:
            what = shares[about.compartment].description
            yield (
                f"In {thousands(unseen)} ({percent(unseen / max(1, total))}) the {what} could not "
                "be distinguished from 0 at this level of noise, so "
                f"{about.what} {about.verb} not identifiable there."
            )
