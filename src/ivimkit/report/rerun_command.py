"""Rerun: the command that reproduces a result, from its record."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ivimkit import methods, models, priors
from ivimkit import organs as presets
from ivimkit import uncertainty as estimators
from ivimkit.fitting.result import FitResult

__all__ = ["Rerun", "rerun"]

PLACEHOLDERS = {
    "scan": "dwi.nii.gz",
    "bvals": "dwi.bval",
    "bvecs": "dwi.bvec",
    "mask": "mask.nii.gz",
}
"""Names used instead of the real file names, which may contain the name of a patient."""

_FILE_OPTIONS = {"bvals": "--bval", "bvecs": "--bvec", "mask": "--mask"}
# The wording of `ivimkit.masks`.
_MASK_FOUND = re.compile(r"auto \((\w+)\)")


@dataclass(frozen=True)
class Rerun:
    """How to reproduce a result.

    Parameters
    ----------
    command : str
        Line for a shell.
    notes : tuple of str
        What the command line cannot express.
    """

    command: str
    notes: tuple[str, ...] = ()


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
    words = [
        "ivimkit",
        "fit",
        *_files(result, anonymous),
        *_volumes(result),
        *("--model", result.model.name),
        *_parameters(result),
        *("--method", result.method.name),
        *_method(result, notes),
        *_trust(result, notes),
        *_weights(result),
    ]
    return Rerun(shlex.join(words), tuple(notes))


def _files(result: FitResult, anonymous: bool) -> Iterator[str]:
    sources = result.provenance.sources
    scans = [source for source in sources if source["role"] == "scan"]
    stack = bool(result.provenance.options.get("scan", {}).get("stack", False))
    if not scans:
        yield PLACEHOLDERS["scan"]
    elif anonymous:
        single = len(scans) == 1 and not stack
        yield from (
            [PLACEHOLDERS["scan"]]
            if single
            else [f"dwi_{number}.nii.gz" for number in range(1, len(scans) + 1)]
        )
    else:
        yield from (source["path"] for source in scans)
    if stack:
        yield "--stack"
    for role, option in _FILE_OPTIONS.items():
        for source in sources:
            if source["role"] == role:
                yield from (option, PLACEHOLDERS[role] if anonymous else source["path"])
    found = _MASK_FOUND.match(str(result.provenance.options.get("mask_origin", "")))
    if found:
        yield from ("--mask", f"auto:{found[1]}")


def _volumes(result: FitResult) -> Iterator[str]:
    options = result.provenance.options
    scan = options.get("scan")
    average = str(options.get("average", "auto"))
    if average != "auto":
        yield from ("--average", average)
    if scan is None:
        # Fitted from Python, where a scan may have been cut before.
        yield from ("--bvals", _numbers(result.acquisition.shell_bvals.tolist()))
        return
    if scan.get("b_unit", "s/mm2") != "s/mm2":
        yield from ("--b-unit", str(scan["b_unit"]))
    if scan.get("bval") is not None:
        yield from ("--bval", _numbers(scan["bval"]))
    factor = _b_factor(result)
    for name in ("bmin", "bmax", "tolerance"):
        if scan.get(name) is not None:
            yield from (f"--{name}", f"{float(scan[name]) / factor:.10g}")
    if scan.get("bvals") is not None:
        yield from ("--bvals", _numbers([b / factor for b in scan["bvals"]]))
    if scan.get("volumes") is not None:
        yield from ("--volumes", _numbers(scan["volumes"]))


def _b_factor(result: FitResult) -> float:
    """Return what b-values of options are multiplied by; the record has them in s/mm^2."""
    unit = result.provenance.options.get("scan", {}).get("b_unit", "s/mm2")
    return {"s/mm2": 1.0, "ms/um2": 1000.0, "s/cm2": 0.01}[str(unit)]


def _parameters(result: FitResult) -> Iterator[str]:
    """Yield bounds, fixed values and starts that are not those of the model."""
    organ = result.provenance.options.get("organ")
    usual = models.get(result.model.name)
    if organ:
        yield from ("--organ", str(organ))
        means = presets.get(str(organ)).means
        usual = usual.with_start(**{k: v for k, v in means.items() if k in usual.names})
    for own, other in zip(result.model.parameters, usual.parameters, strict=True):
        if own.name in result.model.fixed_maps:
            yield from ("--fix", f"{own.name}=fixed_{own.name}.nii.gz")
            continue
        if own.fixed and not other.fixed:
            yield from ("--fix", f"{own.name}={own.lower:.10g}")
            continue
        if (own.lower, own.upper) != (other.lower, other.upper):
            yield from ("--bounds", f"{own.name}={own.lower:.10g}:{own.upper:.10g}")
        if own.start != min(max(other.start, own.lower), own.upper):
            yield from ("--start", f"{own.name}={own.start:.10g}")


def _method(result: FitResult, notes: list[str]) -> Iterator[str]:
    usual = methods.get(result.method.name).options()
    organ = bool(result.provenance.options.get("organ"))
    fields = dataclasses.fields(result.method)
    in_b = [field.name for field in fields if field.metadata.get("unit") == "s/mm^2"]
    for name, value in result.method.options().items():
        if name == "prior":
            yield from _prior(result, notes)
        elif value != usual[name] or (organ and name == "b_split" and value is not None):
            if name in in_b and value is not None:
                value = float(value) / _b_factor(result)
            yield from ("--option", f"{name}={_word(value)}")
    if result.provenance.options.get("labels"):
        yield from ("--labels", "labels.nii.gz")


def _prior(result: FitResult, notes: list[str]) -> Iterator[str]:
    regions = result.provenance.options.get("regions", {})
    first: Any = next(iter(regions.values()), None)
    if first is None:
        return
    if first["prior_given"]:
        yield from ("--prior", "prior.npz")
        notes.append("prior.npz is in the folder of the result.")
        return
    rule, options = str(first["prior"]), dict(first["prior_options"])
    if rule == "organ":
        organ = str(options.pop("organ"))
        if not result.provenance.options.get("organ"):
            yield from ("--organ", organ)
    yield from ("--prior", rule)
    known = {**priors.get(rule).options(), "organ": None}
    notes += [
        f"Option {name} = {_word(value)} of prior {rule} can only be set in Python."
        for name, value in options.items()
        if value != known[name]
    ]


def _trust(result: FitResult, notes: list[str]) -> Iterator[str]:
    options = result.provenance.options
    name = options.get("uncertainty")
    if name is not None:
        yield from ("--uncertainty", str(name))
        usual = dataclasses.asdict(estimators.get(name))
        notes += [
            f"Option {key} = {_word(value)} of uncertainty {name} can only be set in Python."
            for key, value in options.get("uncertainty_options", {}).items()
            if value != usual[key]
        ]
    sigma = options.get("sigma")
    if sigma is not None:
        yield from ("--sigma", "sigma.nii.gz" if sigma == "map" else f"{float(sigma):.17g}")


def _weights(result: FitResult) -> Iterator[str]:
    options = result.provenance.options
    if options.get("weights") is not None:
        yield from ("--weights", _numbers(options["weights"]))
    if options.get("adc_bvals") is not None:
        factor = _b_factor(result)
        yield from ("--adc-bvalues", _numbers([b / factor for b in options["adc_bvals"]]))


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{float(value):.10g}" for value in values)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.10g}"
    return str(value)
