"""Rerun: the command that reproduces a result, from its record, and its options."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ivimkit import methods, models, priors
from ivimkit import uncertainty as estimators
from ivimkit.extend.model_prior import ModelPrior
from ivimkit.extend.prior_table import COHORT, PriorTable
from ivimkit.extend.signal_model import S0, SignalModel
from ivimkit.fitting.result import FitResult
from ivimkit.fitting.settings import ScanReading
from ivimkit.io.scan_bvals import B_UNITS
from ivimkit.methods._posterior import PosteriorMethod

__all__ = ["GivenOption", "Rerun", "rerun"]

GivenOption = tuple[str] | tuple[str, str]
"""An option with its value, or a flag: ``("--bmax", "800")``, ``("--stack",)``."""

PLACEHOLDERS = {
    "scan": "dwi.nii.gz",
    "bvals": "dwi.bval",
    "bvecs": "dwi.bvec",
    "variables": "dwi_volumes.tsv",
    "mask": "mask.nii.gz",
    "weights": "weights.nii.gz",
    "model": "model.py",
}
"""Names used instead of the real file names, which may contain the name of a patient."""

_FILE_OPTIONS = {
    "bvals": "--bval",
    "bvecs": "--bvec",
    "variables": "--variables",
    "mask": "--mask",
    "weights": "--weights",
}
_NIFTI = re.compile(r"\.(nii|hdr|img)(\.gz)?$", re.IGNORECASE)
# As `ivimkit.masks` says it.
_MASK_FOUND = re.compile(r"auto \((\w+)\)")
# As `ivimkit.io.region_masks` says it.
_MASK_REGIONS = re.compile(r"regions of a label image: (.+)")


@dataclass(frozen=True)
class Rerun:
    """How to reproduce a result.

    Parameters
    ----------
    scans : tuple of str
        The arguments of ``ivimkit fit``.
    options : tuple of GivenOption
        Its options.
    notes : tuple of str
        What the command line cannot express.
    """

    scans: tuple[str, ...]
    options: tuple[GivenOption, ...]
    notes: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """Line for a shell."""
        words = [word for option in self.options for word in option]
        return shlex.join(["ivimkit", "fit", *self.scans, *words])


def rerun(result: FitResult, *, anonymous: bool = True) -> Rerun:
    """Return the command line that reproduces a result.

    It is written from the record of the fit, not from the line that was typed, so that it contains
    no trace of the file names.

    Parameters
    ----------
    result : FitResult
        The fit.
    anonymous : bool
        Whether files are named by their roles, ``dwi.nii.gz``, instead of their real names.

    Returns
    -------
    Rerun

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.report.rerun_command import rerun
    >>> made = ik.simulate.phantom(shape=(16, 12, 1), bvals=[0, 300, 500, 800])
    >>> rerun(ik.fit(made.dwi, model="monoexp")).command
    'ivimkit fit dwi.nii.gz --bvals 0,300,500,800 --model monoexp --method varpro'
    """
    notes: list[str] = []
    options: list[GivenOption] = [
        *_files(result, anonymous),
        *_volumes(result, anonymous),
        ("--model", _model(result, anonymous, notes)),
        *_parameters(result),
        ("--method", result.method.name),
        *([] if result.also is None else [("--also", result.also.method.name)]),
        *_method(result, notes),
        *_trust(result),
        *_weights(result, notes),
    ]
    return Rerun(tuple(_scans(result, anonymous)), tuple(options), tuple(notes))


def _model(result: FitResult, anonymous: bool, notes: list[str]) -> str:
    """Return the model as the command line names it: by its name, or by its file."""
    model = result.model
    for source in result.provenance.sources:
        if source["role"] == "model":
            file = PLACEHOLDERS["model"] if anonymous else source["path"]
            notes.append(
                f"{file} is the Python file of model {model.name}, with the SHA-256 "
                f"{source['sha256']}."
            )
            return file
    if model.name not in models.names():
        notes.append(
            f"Model {model.name} is not one of ivimkit's: it has to be given as it was for this "
            "fit, as a Python file (--model FILE) or from Python."
        )
    return model.name


def _is_stack(result: FitResult) -> bool:
    return result.settings.reading is not None and result.settings.reading.stack


def _scans(result: FitResult, anonymous: bool) -> Iterator[str]:
    scans = [source for source in result.provenance.sources if source["role"] == "scan"]
    if not scans:
        yield PLACEHOLDERS["scan"]
    elif anonymous:
        single = len(scans) == 1 and not _is_stack(result)
        images = bool(_NIFTI.search(scans[0]["path"]))
        name, ending = ("dwi", ".nii.gz") if images else ("dicom", "")
        yield from (
            [f"{name}{ending}"]
            if single
            else [f"{name}_{number}{ending}" for number in range(1, len(scans) + 1)]
        )
    else:
        yield from (source["path"] for source in scans)


def _files(result: FitResult, anonymous: bool) -> Iterator[GivenOption]:
    if _is_stack(result):
        yield ("--stack",)
    regions = _MASK_REGIONS.fullmatch(result.settings.mask_origin)
    for role, option in _FILE_OPTIONS.items():
        for source in result.provenance.sources:
            if source["role"] == role:
                file = PLACEHOLDERS[role] if anonymous else source["path"]
                chosen = f":{regions[1]}" if regions and role == "mask" else ""
                yield (option, f"{file}{chosen}")
    found = _MASK_FOUND.match(result.settings.mask_origin)
    if found:
        yield ("--mask", f"auto:{found[1]}")


def _volumes(result: FitResult, anonymous: bool) -> Iterator[GivenOption]:
    scan, average = result.settings.reading, result.settings.average
    if average != "auto":
        yield ("--average", average)
    if scan is None:
        # Fitted from Python, where a scan may have been cut before.
        yield ("--bvals", _numbers(dict.fromkeys(result.acquisition.shell_bvals.tolist())))
        return
    yield from _of_dicom(scan, anonymous)
    if scan.axes is not None:
        yield ("--axes", scan.axes)
    if scan.b_unit != "s/mm2":
        yield ("--b-unit", scan.b_unit)
    if scan.bval is not None:
        yield ("--bval", _numbers(scan.bval))
    factor = _b_factor(result)
    limits = {"bmin": scan.bmin, "bmax": scan.bmax, "tolerance": scan.tolerance}
    for name, value in limits.items():
        if value is not None:
            yield (f"--{name}", _exact(value / factor))
    if scan.bvals is not None:
        yield ("--bvals", _numbers([b / factor for b in scan.bvals]))
    if scan.volumes is not None:
        yield ("--volumes", _numbers(scan.volumes))
    if scan.where is not None:
        yield ("--select", scan.where)
    if scan.echo_time is not None:
        yield ("--te", _times(scan.echo_time))


def _of_dicom(scan: ScanReading, anonymous: bool) -> Iterator[GivenOption]:
    """Yield the choice of images of DICOM; UIDs may lead to a patient, numbers do not."""
    if scan.series is not None:
        hidden = ["SERIES_UID" if anonymous and "." in name else name for name in scan.series]
        yield ("--series", ",".join(hidden))
    if scan.images != "auto":
        yield ("--images", scan.images)
    if scan.drop_incomplete:
        yield ("--drop-incomplete",)


def _b_factor(result: FitResult) -> float:
    """Return what b-values of options are multiplied by; the record has them in s/mm^2."""
    reading = result.settings.reading
    return 1.0 if reading is None else B_UNITS[reading.b_unit]


def _parameters(result: FitResult) -> Iterator[GivenOption]:
    """Yield bounds, fixed values and starts that are not those of the model."""
    organ = result.settings.organ
    usual = _usual(result.model)
    if organ:
        yield ("--organ", organ)
        usual = usual.for_organ(organ)
    for own, other in zip(result.model.parameters, usual.parameters, strict=True):
        if own.name in result.model.fixed_maps:
            yield ("--fix", f"{own.name}=fixed_{own.name}.nii.gz")
            continue
        if own.fixed and not other.fixed:
            yield ("--fix", f"{own.name}={_exact(own.lower)}")
            continue
        if (own.lower, own.upper) != (other.lower, other.upper):
            yield ("--bounds", f"{own.name}={_exact(own.lower)}:{_exact(own.upper)}")
        if own.start != min(max(other.start, own.lower), own.upper):
            yield ("--start", f"{own.name}={_exact(own.start)}")


def _usual(model: SignalModel) -> SignalModel:
    """Return a model with its own bounds and starts; no limits and NaN where not known."""
    if model.name in models.names():
        return models.get(model.name)
    if model.has_equation:
        # The compartments have the parameters as they were declared, whatever the fit changed.
        return dataclasses.replace(model, parameters=())
    # The record has those of the fit alone: all of them are named.
    every = (
        S0
        if p.name == S0.name
        else dataclasses.replace(p, lower=-math.inf, upper=math.inf, start=math.nan)
        for p in model.parameters
    )
    return dataclasses.replace(model, parameters=tuple(every))


def _method(result: FitResult, notes: list[str]) -> Iterator[GivenOption]:
    usual = methods.get(result.method.name).options()
    organ = bool(result.settings.organ)
    fields = dataclasses.fields(result.method)
    in_b = [field.name for field in fields if field.metadata.get("unit") == "s/mm^2"]
    for name, value in result.method.options().items():
        if name == "prior":
            yield from _prior(result, notes)
        elif value != usual[name] or (organ and name == "b_split" and value is not None):
            if name in in_b and value is not None:
                value = float(value) / _b_factor(result)
            edges = name == "windows" and isinstance(value, tuple)
            yield ("--option", f"{name}={_numbers(value) if edges else _word(value)}")
    if result.settings.labels:
        yield ("--labels", "labels.nii.gz")


def _prior(result: FitResult, notes: list[str]) -> Iterator[GivenOption]:
    method = result.method
    if not isinstance(method, PosteriorMethod):
        return
    if method.rule is None:
        assert isinstance(method.prior, PriorTable | ModelPrior)
        if file := method.prior.about.get(COHORT, {}).get("file"):
            yield ("--prior", str(file))
            notes.append(f"{file} is in the output folder of the cohort.")
            return
        yield ("--prior", "prior.npz")
        notes.append("prior.npz is in the folder of the result.")
        return
    rule, options = method.rule.name, method.rule.options()
    if rule == "organ":
        organ = str(options.pop("organ"))
        if not result.settings.organ:
            yield ("--organ", organ)
    yield ("--prior", rule)
    known = {**priors.get(rule).options(), "organ": None}
    notes += [
        f"Option {name} = {_word(value)} of prior {rule} can only be set in Python."
        for name, value in options.items()
        if value != known[name]
    ]


def _trust(result: FitResult) -> Iterator[GivenOption]:
    estimator, sigma = result.settings.estimator, result.settings.sigma
    if estimator is not None:
        name = estimator.name
        usual = estimators.get(name).options()
        others = [
            f":{key}={'+'.join(value) if isinstance(value, tuple) else _word(value)}"
            for key, value in estimator.options().items()
            if value != usual[key]
        ]
        yield ("--uncertainty", name + "".join(others))
    if sigma is not None:
        yield ("--sigma", "sigma.nii.gz" if sigma == "map" else _exact(sigma))


def _weights(result: FitResult, notes: list[str]) -> Iterator[GivenOption]:
    weights, adc_bvals = result.settings.weights, result.settings.adc_bvals
    averages = result.settings.averages
    if averages is not None:
        yield ("--averages", _numbers(averages if len(set(averages)) > 1 else averages[:1]))
    if weights is not None and weights != averages:
        yield ("--weights", _numbers(weights))
    given = any(source["role"] == "weights" for source in result.provenance.sources)
    if result.settings.value_weights and not given:
        yield ("--weights", "value_weights.nii.gz")
        notes.append("value_weights.nii.gz is in the folder of the result.")
    if adc_bvals is not None:
        factor = _b_factor(result)
        yield ("--adc-bvalues", _numbers([b / factor for b in adc_bvals]))


def _numbers(values: Iterable[float]) -> str:
    return ",".join(map(_exact, values))


def _exact(value: float) -> str:
    """Return the shortest text that is the same number again."""
    short = f"{float(value):.10g}"
    return short if float(short) == value else repr(float(value))


def _times(value: float | Sequence[float]) -> str:
    return _numbers([value] if isinstance(value, int | float) else value)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isfinite(value):
        return _exact(value)
    return str(value)
