"""What residuals show, in words: wrong b-values, drift, motion, a model that does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ivimkit.extend.fit_method import FitMethod
from ivimkit.fitting.decay_curves import with_b
from ivimkit.methods._posterior import PosteriorMethod
from ivimkit.quality.fit_residuals import Residuals
from ivimkit.quality.residual_faults import Faults, relative_signal
from ivimkit.quality.residual_scatter import Scatter

__all__ = ["Finding", "misfit", "residual_findings"]

MIN_MISFIT_PERCENT = 1.0
"""Mean residual over b-values at which a model does not fit, root mean square, % of S0."""

_MAX_NAMED_SHARE = 1 / 3
"""Share of the volumes up to which they are named one by one."""

_MAX_NAMES = 6


@dataclass(frozen=True)
class Finding:
    """Something that residuals show.

    Parameters
    ----------
    kind : {"b-value", "drift", "volume", "slice", "model", "method"}
        What stands out; ``method`` is the effect of the fit method itself on residuals.
    sentence : str
        What was found.
    advice : str
        What to do about it.
    bvals : tuple of int
        Positions in `Residuals.bvals` of the b-values concerned, which a figure marks.
    cells : tuple of tuple of int
        Slice, and position in `Residuals.bvals`, if it concerns slices.
    region : str
        The region that it concerns; empty if it is the scan.
    """

    kind: str
    sentence: str
    advice: str
    bvals: tuple[int, ...] = field(default=(), repr=False)
    cells: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    region: str = ""


def residual_findings(residuals: Residuals) -> tuple[Finding, ...]:
    """Say what the residuals show, if anything.

    A fit hides part of a fault: it follows the points. The residuals are therefore compared with
    what remains of a fault of one b-value, or of a drift, after the fit (a projection, linear
    around the fitted parameters). It is named if it explains 70 % of them, squared, and exceeds
    the thresholds of `ivimkit.quality.residual_faults` and `ivimkit.quality.residual_scatter`.

    Parameters
    ----------
    residuals : Residuals
        See `ivimkit.quality.residuals`.

    Returns
    -------
    tuple of Finding
        Wrong b-values, drift, volumes, slices, the model; empty if nothing stands out.

    Examples
    --------
    >>> import numpy as np, ivimkit as ik
    >>> made = ik.simulate.phantom(shape=(32, 24, 2))
    >>> b = np.where(made.dwi.fit_bvals == 400, 450, made.dwi.fit_bvals)
    >>> result = ik.fit(ik.DWI(made.dwi.signal, b, mask=made.dwi.mask))
    >>> found = ik.quality.residual_findings(ik.quality.residuals(result))
    >>> [finding.kind for finding in found], found[0].sentence[:7]
    (['b-value'], 'b = 450')
    """
    if residuals.unknown:
        return (_not_known(residuals),)
    known, scatter = Faults(residuals), Scatter(residuals)
    # A volume that moved also shifts its b-value; motion explains both.
    moved = {int(residuals.shell[number]) for number in scatter.moved}
    faults = [fault for fault in known.wrong() if fault[0] not in moved]
    found = [_wrong_b(residuals, known, fault) for fault in faults]
    found += [_drift(known.drift)] if known.drift else []
    found += [_moved(residuals, scatter)] if scatter.moved else []
    if not known.drift:
        found += [_shifted(residuals, number) for number in scatter.shifted]
    found += [_slice(residuals, *place) for place in scatter.places]
    return tuple(found) or tuple(misfit(residuals))


def _not_known(residuals: Residuals) -> Finding:
    """Say why these residuals cannot show faults: they show what the model leaves out."""
    listed = " and ".join(residuals.unknown)
    return Finding(
        "model",
        f"The volumes differ in {listed}, which model {residuals.model.name} does not include: "
        "the residuals show that, and cannot show faults of single volumes.",
        f"Select volumes of one {residuals.unknown[0]} (--select), or use a model of it.",
    )


def _wrong_b(residuals: Residuals, known: Faults, fault: tuple[int, float]) -> Finding:
    number, size = fault
    name = residuals.names[number]
    _, slices = known.slices_with(number, size)
    where = f" in {slices}" if slices else ""
    dense = np.linspace(0.0, 1.5 * residuals.bvals.max(), 600)
    # The same setting at any b.
    own = np.repeat(residuals.x[..., number : number + 1], dense.size, axis=-1)
    decay = relative_signal(residuals, with_b(own, residuals.model.variables, dense))
    target = known.signal[number] + size / 100
    as_if = ""
    if decay.min() < target <= decay.max():
        as_if = f", as if b were {np.interp(-target, -decay, dense):.0f}"
    return Finding(
        "b-value",
        f"b = {name} lies {abs(size):.1f} % of S0 {_side(size)} the fit of the others{where}"
        f"{as_if}.",
        "Check the b-values and the calibration of the gradients, and look at the volumes of this "
        f"b-value for artefacts. Leave b = {name} out to see what it does to the maps.",
        (number,),
    )


def _drift(size: float) -> Finding:
    verb = "grows" if size > 0 else "falls"
    return Finding(
        "drift",
        f"The signal {verb} by {abs(size):.1f} % from the first volume to the last, beyond the "
        "decay.",
        "Correct the drift of the signal with the volumes at b = 0, or acquire b-values in mixed "
        "order.",
    )


def _moved(residuals: Residuals, scatter: Scatter) -> Finding:
    ratio = float(scatter.ratio[scatter.moved].max())
    return Finding(
        "volume",
        f"Residuals of {_volume_names(residuals, scatter.moved)} are {ratio:.1f} times those of "
        "the other volumes, in both directions: motion between volumes?",
        "Look at the volume; register the volumes, or leave it out.",
        _shells(residuals, scatter.moved),
    )


def _shifted(residuals: Residuals, number: int) -> Finding:
    size = residuals.by_volume[number]
    return Finding(
        "volume",
        f"{_volume_names(residuals, [number]).capitalize()} lies {abs(size):.1f} % of S0 "
        f"{_side(size)} the fit.",
        "Look for a change of the gain of the receiver or an artefact; leave the volume out.",
        _shells(residuals, [number]),
    )


def _slice(
    residuals: Residuals, number: int, cells: list[int], ratio: NDArray[np.float64]
) -> Finding:
    places = tuple((number, shell) for shell in _shells(residuals, cells))
    if len(cells) > _MAX_NAMED_SHARE * residuals.volumes.size:
        return Finding(
            "slice",
            f"Residuals of slice {number} are {np.median(ratio[cells]):.1f} times those of the "
            "other slices in many volumes: motion, pulsation or distortion?",
            "Look at the slice, and do not take numbers from it alone.",
            cells=places,
        )
    return Finding(
        "slice",
        f"Residuals of slice {number} in {_volume_names(residuals, cells)} are "
        f"{ratio[cells].max():.1f} times those of the other slices: motion?",
        "Look at the slice in that volume; register, or leave the volume out.",
        cells=places,
    )


def _shells(residuals: Residuals, volumes: list[int]) -> tuple[int, ...]:
    """Return the positions of the b-values of volumes."""
    return tuple(sorted({int(residuals.shell[volume]) for volume in volumes}))


def _volume_names(residuals: Residuals, numbers: list[int]) -> str:
    names = [
        f"{residuals.volumes[k]} (b = {residuals.names[residuals.shell[k]]})"
        for k in numbers[:_MAX_NAMES]
    ]
    more = len(numbers) - len(names)
    names += [f"{more} more"] if more else []
    return f"volume{'s' if len(numbers) > 1 else ''} {', '.join(names)}"


def _side(size: float) -> str:
    return "above" if size > 0 else "below"


def misfit(residuals: Residuals) -> list[Finding]:
    """Say where the mean residuals lie, if the model does not describe the signal."""
    weights = residuals.weights
    size = float(np.sqrt(weights @ residuals.mean**2 / weights.sum()))
    if size < MIN_MISFIT_PERCENT:
        return []
    low, high = int(residuals.mean.argmin()), int(residuals.mean.argmax())
    parts = [
        f"{residuals.mean[k]:+.1f} % of S0 at b = {residuals.names[k]}".replace("-", "−")
        for k in (low, high)
    ]
    reach = f"The mean residual reaches from {parts[0]} to {parts[1]}"
    method = residuals.method
    bending = " and ".join(_bending(method))
    if method is not None and bending:
        return [
            Finding(
                "method",
                f"{reach}. {bending[:1].upper()}{bending[1:]} of method {method.name} "
                f"bend residuals, so they do not tell whether model {residuals.model.name} "
                "describes the decay.",
                "To judge the model, fit by varpro with Gaussian noise and look at the residuals "
                "of that fit.",
                (low, high),
            )
        ]
    return [
        Finding(
            "model",
            f"{reach}: model {residuals.model.name} does not describe the decay.",
            "Compare models. At high b, kurtosis and the noise floor bend the curve: leave the "
            "highest b-values out. If only b = 0 stands out, its images may be scaled "
            "differently.",
            (low, high),
        )
    ]


def _bending(method: FitMethod | None) -> list[str]:
    """Return the part of a method that leaves residuals even if the model is right."""
    if method is None:
        return []
    prior = ["the prior"] if isinstance(method, PosteriorMethod) else []
    floor = method.options().get("noise", "gaussian") != "gaussian"
    return [*prior, *(["the noise floor"] if floor else [])]
