"""Quantities: the codes, units and display windows of maps in DICOM.

The only place that knows them. Codes are those of the standard (PS3.16, context groups 7272,
7273, 7274 and 7180) where there is one that means the same, otherwise of the coding scheme
99IVIMKIT, whose values are the names that ivimkit uses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.sr.coding import Code

from ivimkit import organs
from ivimkit.extend.compartment import Compartment
from ivimkit.extend.derived_maps import SUFFIXES, describe
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.adc import ADC
from ivimkit.fitting.result import FitResult
from ivimkit.io.dicom.texts import MAX_SHORT, text_of
from ivimkit.kernels.separable.atoms import decay, kurtosis, stretched
from ivimkit.kernels.separable.tensor_atom import tensor
from ivimkit.parameter import RATE_UNIT, Parameter

__all__ = ["PRIVATE_SCHEME", "Quantity", "Unit", "quantity_of"]

PRIVATE_SCHEME = "99IVIMKIT"
"""Designator of the coding scheme of ivimkit."""


@dataclass(frozen=True)
class Unit:
    """A unit in DICOM.

    Parameters
    ----------
    code : Code
        In UCUM.
    factor : float
        From the unit of the map to this one.
    step : float
        The smallest step of integers that is worth storing, in this unit.
    text : str
        Its form in descriptions.
    """

    code: Code
    factor: float = 1.0
    step: float = 0.0
    text: str = ""


@dataclass(frozen=True)
class Quantity:
    """What the values of a map are, in DICOM.

    Parameters
    ----------
    name : str
        Name of the map.
    code : Code
        The quantity.
    unit : Unit
        Its unit.
    model, method : Code
        The equation that was fitted, and how.
    derivation : Code, optional
        What the map gives instead of the value itself: its standard deviation, a limit.
    window : tuple of float
        Range to display, in `unit`; ``(nan, nan)`` leaves it to the data.
    bounds : tuple of float
        Lowest and highest possible value, in `unit`.
    bvals : sequence of float
        b-values that were used, s/mm^2.
    description : str
        The map in words.
    """

    name: str
    code: Code
    unit: Unit
    model: Code
    method: Code
    derivation: Code | None
    window: tuple[float, float]
    bounds: tuple[float, float]
    bvals: Sequence[float]
    description: str

    @property
    def label(self) -> str:
        """Name and unit, for people."""
        return f"{self.name} [{self.unit.text}]" if self.unit.text else self.name


# Rates in um2/s: about 1000, as radiologists read them, and windows wider than 1, which the
# standard requires and mm2/s would not have. Fractions in percent for the same reason.
_RATE = Unit(Code("um2/s", "UCUM", "um2/s"), 1e6, 1.0, "10^-6 mm2/s")
_PERCENT = Unit(Code("%", "UCUM", "Percent"), 100.0, 0.01, "%")
_UNITS = {
    RATE_UNIT: _RATE,
    "": Unit(Code("1", "UCUM", "no units"), step=1e-4),
    "a.u.": Unit(Code("[arb'U]", "UCUM", "arbitrary unit"), text="a.u."),
    "a.u.^2": Unit(Code("[arb'U]2", "UCUM", "arbitrary unit squared"), text="a.u.^2"),
    "bit": Unit(Code("bit", "UCUM", "bit"), step=1e-3, text="bit"),
    "ms": Unit(Code("ms", "UCUM", "millisecond"), step=1e-2, text="ms"),
    "mm/s": Unit(Code("mm/s", "UCUM", "millimeter per second"), step=1e-4, text="mm/s"),
    "s": Unit(Code("s", "UCUM", "second"), text="s"),
    "1/s": Unit(Code("/s", "UCUM", "per second"), text="1/s"),
    "mm": Unit(Code("mm", "UCUM", "millimeter"), text="mm"),
    "um": Unit(Code("um", "UCUM", "micrometer"), text="um"),
}

_ADC = Code("113290", "DCM", "Mono-exponential Apparent Diffusion Coefficient")
_SLOW = Code("113291", "DCM", "Slow Diffusion Coefficient")
_FAST = Code("113292", "DCM", "Fast Diffusion Coefficient")
_FRACTION = Code("113293", "DCM", "Fast Diffusion Coefficient Fraction")
_SIGNAL = Code("110852", "DCM", "MR signal intensity")
_FA = Code("110808", "DCM", "Fractional Anisotropy")
_R2 = Code("126220", "DCM", "R2-Coefficient")
_BY_ATOM = {
    tensor: (Code("113202", "DCM", "Mean Diffusivity"),),
    kurtosis: (
        Code("113294", "DCM", "Kurtosis Diffusion Coefficient"),
        Code("113206", "DCM", "Apparent Kurtosis Coefficient"),
    ),
    stretched: (
        Code("113298", "DCM", "Distributed Diffusion Coefficient"),
        Code("113299", "DCM", "Anomalous Exponent Parameter"),
    ),
}

_MONO_EXPONENTIAL = Code("113250", "DCM", "Mono-exponential diffusion model")
_BI_EXPONENTIAL = Code("113251", "DCM", "Bi-exponential (IVIM) diffusion model")
_MODEL_BY_ATOM = {
    kurtosis: Code("113252", "DCM", "Kurtosis diffusion model"),
    stretched: Code("113254", "DCM", "Stretched exponential diffusion model"),
    tensor: Code("113231", "DCM", "Single Tensor"),
}

_FIXED_FAST = Code("113267", "DCM", "Fixed-Dp")
# By their names, as methods of other packages have none of these codes.
_METHODS = {
    "trr": Code("113266", "DCM", "Trust-Region"),
    "bayes": Code("113270", "DCM", "Bayesian-Probability"),
    "loglinear": Code("113261", "DCM", "Least squares fit of multiple samples"),
}
# Two kinds of segmented fit, named as by Cho et al., doi:10.1002/mrm.25484: constrained means
# that f comes from the intercept, so that D* alone is left for the last of three steps.
_BY_STEPS: dict[tuple[str, object], Code] = {
    ("segmented", 2): Code("113268", "DCM", "Segmented-Unconstrained"),
    ("segmented", 3): Code("113269", "DCM", "Segmented-Constrained"),
}

_DERIVATIONS = {
    "_sd": Code("386136009", "SCT", "Standard Deviation"),
    "_lo": Code("LOWER95", PRIVATE_SCHEME, "Lower limit of the 95 % interval"),
    "_hi": Code("UPPER95", PRIVATE_SCHEME, "Upper limit of the 95 % interval"),
    "_lo50": Code("LOWER50", PRIVATE_SCHEME, "Lower limit of the 50 % interval"),
    "_hi50": Code("UPPER50", PRIVATE_SCHEME, "Upper limit of the 50 % interval"),
    "_width": Code("WIDTH", PRIVATE_SCHEME, "Standard deviation of the logarithm in the spectrum"),
    "_flow": Code("FLOW", PRIVATE_SCHEME, "Product with the fraction of the compartment"),
    "_bits": Code("INFORMATION", PRIVATE_SCHEME, "Information that the data added to the prior"),
}


def quantity_of(result: FitResult, name: str) -> Quantity:
    """Return what a map of a result is in DICOM.

    Parameters
    ----------
    result : FitResult
        The fit.
    name : str
        Name of one of its maps.

    Raises
    ------
    OptionError
        If there is no such map.

    Examples
    --------
    >>> import ivimkit as ik
    >>> from ivimkit.io.dicom.quantities import quantity_of
    >>> result = ik.fit(ik.simulate.phantom(shape=(12, 10, 1)).dwi)
    >>> found = quantity_of(result, "D_star")
    >>> found.code.meaning, found.unit.code.value
    ('Fast Diffusion Coefficient', 'um2/s')
    """
    model = result.model
    shown = describe(name, model.quantities)
    suffix = _suffix(name, shown, model)
    about = describe(name.removesuffix(suffix), model.quantities)
    unit = _unit(shown, about)
    # The ADC is fitted in addition to every model, by one decay.
    own_adc = about.name == "ADC" and "ADC" not in model.names
    fitted = (ADC.model, ADC.method) if own_adc else (model, result.method)
    bvals = result.settings.adc_bvals if own_adc else None
    return Quantity(
        name=name,
        code=_codes(model).get(about.name) or _private(about.name, about.description),
        unit=unit,
        model=_model(fitted[0]),
        method=_method(fitted[1], fitted[0]),
        derivation=_DERIVATIONS.get(suffix),
        window=_scaled(_window(shown, result.settings.organ), unit),
        bounds=_scaled((shown.lower, shown.upper), unit),
        bvals=sorted(set(result.provenance.bvals if bvals is None else bvals)),
        description=shown.description or shown.name,
    )


def _suffix(name: str, shown: Parameter, model: SignalModel) -> str:
    """Return the ending that makes a map the uncertainty of another one; empty for none."""
    if shown in model.quantities:
        return ""
    return next((end for end in SUFFIXES if name.endswith(end)), "")


def _unit(shown: Parameter, about: Parameter) -> Unit:
    """Return the unit of a map; any other text becomes an annotation, as UCUM provides."""
    if about.role == "fraction" and not shown.unit:
        return _PERCENT
    known = _UNITS.get(shown.unit)
    if known is not None:
        return known
    plain = re.sub(r"[^!-~]|[{}\\]", "", shown.unit)[: MAX_SHORT - 2] or "unit"
    return Unit(Code(f"{{{plain}}}", "UCUM", plain), text=plain)


def _window(shown: Parameter, organ: str | None) -> tuple[float, float]:
    """Return the display range of the organ, or of the quantity."""
    preset = organs.get(organ).display if organ in organs.names() else {}
    return preset.get(shown.name, shown.display)


def _scaled(limits: tuple[float, float], unit: Unit) -> tuple[float, float]:
    return limits[0] * unit.factor, limits[1] * unit.factor


def _codes(model: SignalModel) -> dict[str, Code]:
    """Return the codes of the standard for quantities of a model, by their names.

    From the structure of the model and not its name, so that one's own models have them, too. A
    slow and a fast coefficient are those of two compartments; of three there is no standard name.
    """
    found = {"ADC": _ADC, "S0": _SIGNAL, "r2": _R2}
    if not model.has_equation or len(model.compartments) > 2:
        return found
    *before, reference = model.compartments
    if reference.atom is decay:
        found[reference.parameters[0].name] = _SLOW if before else _ADC
    found |= _of_atom(reference)
    if reference.atom is tensor:
        found["FA"] = _FA
    for blood in before:
        if blood.signal == "perfusion" and blood.fraction is not None:
            found[blood.fraction.name] = _FRACTION
            if blood.atom is decay:
                found[blood.parameters[0].name] = _FAST
    return found


def _of_atom(compartment: Compartment) -> dict[str, Code]:
    """Return the codes of the parameters of a compartment that does not decay exponentially."""
    codes = next((known for atom, known in _BY_ATOM.items() if atom is compartment.atom), ())
    names = [parameter.name for parameter in compartment.parameters]
    return dict(zip(names, codes, strict=False))


def _model(model: SignalModel) -> Code:
    """Return the code of a model."""
    decays = model.two_decays() if model.has_equation else None
    if decays is not None and decays.fraction is None:
        return _MONO_EXPONENTIAL
    if decays is not None and decays.fast is not None:
        return _BI_EXPONENTIAL
    if len(model.compartments) <= 2:
        for atom, code in _MODEL_BY_ATOM.items():
            if any(atom is compartment.atom for compartment in model.compartments):
                return code
    return _private(model.name, model.title)


def _method(method: FitMethod, model: SignalModel) -> Code:
    """Return the code of a method."""
    decays = model.two_decays() if model.has_equation else None
    fast = None if decays is None else decays.fast
    if fast is not None and (model[fast].fixed or fast in model.fixed_maps):
        return _FIXED_FAST
    segmented = _BY_STEPS.get((method.name, method.options().get("steps")))
    return segmented or _METHODS.get(method.name) or _private(method.name, method.title)


def _private(name: str, meaning: str) -> Code:
    """Return a code of ivimkit; a long name is cut, and made unique by a hash."""
    value = name
    if len(name.encode()) > MAX_SHORT:
        mark = hashlib.sha256(name.encode()).hexdigest()[:6]
        value = f"{text_of(name, MAX_SHORT - 7)}-{mark}"
    words = text_of(meaning) or name
    return Code(value, PRIVATE_SCHEME, text_of(f"{words[0].upper()}{words[1:]}"))
