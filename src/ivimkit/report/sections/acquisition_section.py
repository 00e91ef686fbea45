"""Acquisition: matrix, b-values with their signal and noise, coverage of the decay."""

from __future__ import annotations

from ivimkit.fitting.result import FitResult
from ivimkit.noise import repeat_scatter, shell_signals
from ivimkit.noise.shells import shown_snr, usual_sigma
from ivimkit.report.report_subject import Side, Subject
from ivimkit.report.section_blocks import Block, Items, Section, Table, Text
from ivimkit.rounding import percent, rounded, thousands, times
from ivimkit.scan.acquisition import Shell
from ivimkit.scan.variables import shown, variable_of

__all__ = ["acquisition"]


def acquisition(subject: Subject) -> Section:
    """Return the section on the acquisition, once if both results have the same.

    Parameters
    ----------
    subject : Subject
        The content of the report.
    """
    shared = len({_identity(side.result) for side in subject.sides}) == 1
    blocks = _of_one(subject.first) if shared else subject.each(_of_one)
    return Section("Acquisition", "acquisition", blocks)


def _identity(result: FitResult) -> tuple[object, ...]:
    further = [(name, *v.tolist()) for name, v in result.acquisition.variables.items()]
    return (*result.acquisition.bvals.tolist(), *further, result.codes.inside.total)


def _of_one(side: Side) -> list[Block]:
    result = side.result
    found = result.model.advice(result.acquisition)
    warnings = [Items([text[:1].upper() + text[1:] + "." for text in found])] if found else []
    return [
        Text(_matrix(result)),
        _b_values(result),
        _coverage(result),
        *_about_the_noise(result),
        *warnings,
    ]


def _matrix(result: FitResult) -> str:
    n = result.codes.inside.total
    total = result.status.size
    mask = (
        "no mask, so air is included"
        if n == total
        else f"{thousands(n)} of them in the mask ({percent(n / max(1, total))})"
    )
    origin = result.settings.mask_origin
    if origin.startswith("regions"):
        mask += f", made of {origin}"
    elif origin:
        mask += ", which ivimkit has found in the scan"
    voxels = f"{times(result.shape, 'voxel')} of {result.geometry.size_text}"
    return f"{voxels}, {mask}; {result.acquisition.n_volumes} volumes."


def _b_values(result: FitResult) -> Table:
    """Return the table of settings; signal and noise only where the scan is loaded.

    Directions are counted, not listed.
    """
    acquisition = result.acquisition.with_directions_together()
    further = list(acquisition.variables)
    heads = tuple(variable_of(name).head for name in further)
    settings = "b-values (s/mm²)" + (" and other variables" if further else "")
    if result.dwi is None:
        bare = [
            (f"{shell.b:g}", *_further(shell), str(shell.count), _directions(shell.n_directions))
            for shell in acquisition.shells
        ]
        caption = f"{settings} of the volumes that were used"
        return Table(("b", *heads, "volumes", "directions"), bare, caption)
    signals = shell_signals(result.dwi.with_directions_together())
    usual = usual_sigma(signals)
    rows = [
        (
            f"{signal.shell.b:g}",
            *_further(signal.shell),
            str(signal.shell.count),
            _directions(signal.shell.n_directions),
            rounded(signal.mean),
            *shown_snr(signal, usual),
        )
        for signal in signals
    ]
    caption = f"{settings}, mean signal in the mask (a.u.), SNR of one image and of their mean"
    columns = ("b", *heads, "volumes", "directions", "mean signal", "SNR", "averaged")
    return Table(columns, rows, caption)


def _further(shell: Shell) -> list[str]:
    """Return the other variables of a shell as texts."""
    return [shown(value) for value in shell.variables.values()]


def _about_the_noise(result: FitResult) -> list[Block]:
    if result.dwi is None:
        return []
    text = (
        "The signal-to-noise ratio is that of one image, from volumes with the same direction "
        "that were repeated, and that of the mean of all images of the b-value; ~ with the noise "
        "of other b-values, – where nothing was repeated."
    )
    scatter = repeat_scatter(result.dwi)
    floor = result.provenance.chosen.get("floor")
    sentences = [
        text,
        *([] if scatter is None else [str(scatter)]),
        *([f"The noise floor was subtracted with sigma {floor}."] if floor else []),
    ]
    return [Text(" ".join(sentences), "note")]


def _directions(n: int | None) -> str:
    return "–" if n is None else str(n)


def _coverage(result: FitResult) -> Table:
    rows = [
        (
            f"{part.low:g}" if part.low == part.high else f"{part.low:g}–{part.high:g}",
            part.purpose,
            part.grade,
            ", ".join(f"{b:g}" for b in part.present) or "none",
            ", ".join(f"{b:g}" for b in part.recommended),
        )
        for part in result.acquisition.coverage()
    ]
    head = ("range", "for", "grade", "here", "recommended")
    return Table(head, rows, "Coverage of the decay, b in s/mm²", words=5)
