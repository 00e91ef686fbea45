"""CheckReport: the checks of scans before a fit; the work behind ``ivimkit check``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import typer
from rich.console import RenderableType
from rich.text import Text

from ivimkit import steps
from ivimkit.cli.error_guard import exit_code_of
from ivimkit.cli.jobs.check_errors import ErrorQuestion, snr_of_scan
from ivimkit.cli.jobs.check_motion import motion_finding, motion_table
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.scan_input import ScanInput, first_files
from ivimkit.cli.process.exit_codes import DONE, WRONG_INPUT, worst
from ivimkit.cli.process.run_log import begin_log
from ivimkit.cli.screen.check_tables import (
    coverage_table,
    noise_note,
    perfusion_table,
    shell_table,
)
from ivimkit.cli.screen.option_words import for_command_line
from ivimkit.cli.screen.terminal import Screen
from ivimkit.errors import GeometryWarning, InputError, NoiseError
from ivimkit.extend.b_value_advice import coverage_needed, n_distinct_settings, settings_of
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.identifiability import require_identifiable, unknown_to
from ivimkit.noise import (
    NoiseEstimate,
    ShellSignal,
    before_denoising,
    estimate,
    for_floor,
    level_of_air,
    repeat_scatter,
    shell_signals,
)
from ivimkit.parameter import RATE_UNIT
from ivimkit.rounding import how_shown, percent, thousands
from ivimkit.scan.acquisition import Acquisition
from ivimkit.scan.checks import ScanFinding, scan_findings
from ivimkit.scan.dwi import DWI
from ivimkit.scan.geometry import Geometry
from ivimkit.scan.thresholds import require_split

__all__ = ["CheckReport"]

_USUAL_SPLIT = 200.0
# Difference of sform and qform, in voxels, from which it is reported, as in reading the scan.
_FORMS_DIFFER = r".*: its sform and qform differ by up to \S+ mm: the sform counts\. Volumes"
_MIN_DIFFERENCE_VOXELS = 0.1


@dataclass(frozen=True)
class CheckReport:
    """Checks scans and prints the findings.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    scan : ScanInput
        How to read the scans.
    setup : FitSetup
        The fit to be checked.
    b_split : float, optional
        Threshold to use, in the unit of the b-values.
    errors : ErrorQuestion
        How the errors of parameters are found.
    motion : bool
        Whether motion is estimated.
    """

    ctx: typer.Context
    screen: Screen
    scan: ScanInput
    setup: FitSetup
    b_split: float | None = None
    errors: ErrorQuestion = field(default_factory=ErrorQuestion)
    motion: bool = True

    def run(self, scans: Sequence[Path]) -> int:
        """Check all scans, or the one scan whose volumes they are; return the exit code."""
        self.scan.check()
        model = self.setup.signal_model()
        method = self.setup.fit_method(model)
        inputs = self.scan.inputs(scans)
        codes: list[int] = []
        # With --strict, too, a scan is described before it is refused.
        scan_input = replace(self.scan, strict=False)
        reading = scan_input.each(first_files(inputs), self.screen)
        begin_log()
        with self.screen.warnings_shown():
            for number, scan in enumerate(inputs):
                if number:
                    self.screen.show("")
                check = partial(self._one, scan, reading[number], model, method, codes)
                codes.append(exit_code_of(check, self.ctx))
        return worst(codes)

    def _one(
        self,
        scan: Path | Sequence[Path],
        reading: ScanInput,
        model: SignalModel,
        method: FitMethod,
        codes: list[int],
    ) -> None:
        name = str(scan if isinstance(scan, Path) else f"{scan[0]} and {len(scan) - 1} more")
        with warnings.catch_warnings():
            # The checks report this, and what it means for masks.
            warnings.filterwarnings("ignore", _FORMS_DIFFER, GeometryWarning)
            dwi = reading.load(scan)
        if self.b_split is not None:
            require_split(dwi.acquisition, "--b-split", self.scan.in_s_mm2(self.b_split))
        signals = shell_signals(dwi)
        found = scan_findings(dwi)
        error = _why_not(dwi, model, method, found)
        self.screen.show(Text(name, style="bold"), *_facts(dwi), "")
        for mark, style, text in _findings(dwi, signals, model, error, found):
            self.screen.show(Text.assemble((f"{mark:8}", style), text))
        if self.motion and not any(finding.is_hopeless for finding in found):
            self._show_motion(dwi)
        split = self._threshold(method)
        shown = signals
        if any(finding.kind == "spread" for finding in found):
            # The difference between such volumes is not noise.
            shown = tuple(replace(signal, sigma=math.nan) for signal in signals)
        noise, sigma = _noise(dwi, found)
        self.screen.show(
            "",
            _title("Settings" if dwi.acquisition.variables else "b-values"),
            shell_table(shown),
            *map(partial(Text, style="dim"), noise_note(shown)),
            noise,
            _floor(dwi),
            "",
            _title("Coverage of the decay"),
            coverage_table(dwi.acquisition.coverage()),
            "",
            _title(f"Perfusion signal left, exp(-b D*), in %; D* in {how_shown(RATE_UNIT)[0]}"),
            perfusion_table(dwi.acquisition.perfusion_left(b_split=split), split),
            "",
            *_before_fit(dwi, found),
        )
        if error is None:
            answer = self.errors.answer(
                dwi.for_variables(model.variables).acquisition,
                model,
                method,
                organ=self.setup.organ,
                measured_snr=snr_of_scan(dwi, signals, sigma),
            )
            self.screen.show(*answer, "")
        self.screen.show(
            Text(f"{name}: {_verdict(model, method, error, found)}", style="bold"),
        )
        refused = error is not None or (self.scan.strict and any(f.is_fault for f in found))
        codes.append(WRONG_INPUT if refused else DONE)

    def _show_motion(self, dwi: DWI) -> None:
        finding = motion_finding(dwi)
        if finding is None:
            return
        line = Text.assemble((f"{finding.mark:8}", finding.style), finding.text)
        self.screen.show(line)
        if self.screen.verbose and finding.motion is not None:
            self.screen.show("", _title("Motion"), motion_table(dwi, finding.motion))

    def _threshold(self, method: FitMethod) -> float:
        organ = self.setup.preset()
        usual = _USUAL_SPLIT if organ is None else organ.b_split
        own = method.options().get("b_split")
        given = None if self.b_split is None else self.scan.in_s_mm2(self.b_split)
        return next(float(b) for b in (given, own, usual) if b is not None)


def _why_not(
    dwi: DWI, model: SignalModel, method: FitMethod, found: Sequence[ScanFinding]
) -> InputError | None:
    """Return the reason why the scan cannot be fitted."""
    for finding in found:
        if finding.is_hopeless:
            return InputError(str(finding))
    try:
        require_identifiable(model, dwi.for_variables(model.variables).acquisition)
        method.check(model, dwi.acquisition)
    except InputError as error:
        return error
    return None


def _facts(dwi: DWI) -> Iterator[str]:
    """Describe the scan."""
    shape = " x ".join(map(str, dwi.shape))
    size = " x ".join(f"{edge:.3g}" for edge in dwi.geometry.voxel_size)
    total = dwi.mask.size
    yield (f"{shape} voxels of {size} mm, {dwi.acquisition.n_volumes} volumes, {dwi.stored.dtype}")
    further = ", ".join(dwi.acquisition.variables)
    roles = {"bvals": "b", "bvecs": "directions", "variables": further, "sidecar": further}
    read = [(roles[s.role], s.path) for s in dwi.sources if s.role in roles]
    if read:
        yield ", ".join(f"{what} from {path}" for what, path in read)
    if dwi.acquisition.bvecs is not None:
        yield "directions are taken as unit vectors: their lengths do not count"
    if dwi.n_voxels == total:
        inside = thousands(total)
        yield f"no mask: all {inside} voxels, air included (--mask auto finds the tissue)"
    else:
        share = dwi.n_voxels / total
        yield f"mask: {thousands(dwi.n_voxels)} of {thousands(total)} voxels ({percent(share)})"
        if dwi.mask_origin:
            yield f"mask found by {dwi.mask_origin}"


def _before_fit(dwi: DWI, found: Sequence[ScanFinding]) -> Iterator[RenderableType]:
    """Say what the steps before the fit see in the scan."""
    if any(finding.is_fault for finding in found):
        # Volumes that are no images of the scan would be called displaced, or without signal.
        return
    told = [(step.title, step.tell(dwi)) for step in map(steps.get, steps.names())]
    lines = [f"{title}: {text}." for title, text in told if text]
    if lines:
        yield _title("Before the fit (ivimkit preprocess)")
        yield from map(for_command_line, lines)
        yield ""


def _noise(dwi: DWI, odd: Sequence[ScanFinding]) -> tuple[str, float]:
    """Report the noise, its source and its assumptions; return its sigma, or NaN, too."""
    if any(finding.kind == "spread" for finding in odd):
        return (
            "Noise and SNR: cannot be estimated from volumes of one b-value that differ by more "
            "than noise.",
            math.nan,
        )
    try:
        found = _measured_noise(dwi)
    except NoiseError as error:
        # The library would advise its functions.
        reason, _, _ = str(error).partition(";")
        return (
            f"Noise: cannot be estimated from this scan, so no SNR: {reason}. If you know it, "
            "give it to ivimkit fit (--sigma).",
            math.nan,
        )
    of_voxels = f", {thousands(found.n_voxels)} voxels" if found.n_voxels else ""
    text = f"Noise: {found}{of_voxels}. {found.assumes}"
    scatter = repeat_scatter(dwi)
    return text if scatter is None else f"{text} {scatter}", found.sigma


def _measured_noise(dwi: DWI) -> NoiseEstimate:
    """Return the noise from repeats, or else from the air; raise what is wrong with repeats.

    Of a denoised scan that before denoising.
    """
    before = before_denoising(dwi.history)
    if before is not None:
        return before
    try:
        return estimate(dwi)
    except NoiseError:
        with suppress(NoiseError):
            return level_of_air(dwi)
        raise


def _floor(dwi: DWI) -> str:
    """Report the noise that sizes the floor of magnitudes."""
    found = for_floor(dwi)
    source = "from the residuals of the fit" if found is None else str(found)
    return f"Noise floor, where a method subtracts one: {source}."


def _findings(
    dwi: DWI,
    signals: Sequence[ShellSignal],
    model: SignalModel,
    error: InputError | None,
    odd: Sequence[ScanFinding],
) -> Iterator[tuple[str, str, str]]:
    """Yield a mark, its style and a sentence for each check."""
    acquisition = dwi.acquisition
    b = acquisition.bvals
    faults = [finding for finding in odd if finding.is_fault]
    # No check of the b-values can pass if they cannot belong to the volumes.
    ok = _plain if faults else _ok
    yield ok(f"{b.size} b-values for {b.size} volumes, {b.min():g} to {b.max():g} s/mm²")
    yield from _position(dwi)
    yield from _finite(dwi, signals, faults)
    for finding in odd:
        if not finding.is_hopeless:
            yield _warning(for_command_line(str(finding)))
    if not faults:
        yield _ok("volumes and b-values belong together, judging by the signal")
    if error is not None:
        yield "error", "bold red", str(error)
    else:
        yield ok(
            f"{n_distinct_settings(model, acquisition)} distinct {settings_of(model)} for the "
            f"{model.n_free} free parameters of {model.name}"
        )
    found = model.advice(acquisition)
    yield from map(_warning, found)
    left_out = unknown_to(model, acquisition)
    if left_out is not None:
        yield _warning(left_out)
    if not found and not faults:
        poor = _not_covered(acquisition, model)
        yield _ok(
            f"the choice of b-values is sound for {model.name}"
            + (f", but for {' and '.join(poor)}: see the coverage below" if poor else "")
        )


def _finite(
    dwi: DWI, signals: Sequence[ShellSignal], faults: Sequence[ScanFinding]
) -> Iterator[tuple[str, str, str]]:
    """Report values that are not there."""
    broken = dwi.n_voxels - max(signal.n_finite for signal in signals)
    known = any(finding.kind == "not finite" for finding in faults)
    missing = 0 if dwi.missing is None else int(np.count_nonzero(dwi.missing[dwi.mask]))
    if broken and not known:
        yield _warning(
            f"{thousands(broken)} voxels have a NaN or infinite signal in all volumes and will "
            "not be fitted; look for the failed processing step"
        )
    if missing and not known:
        yield _warning(
            f"{percent(missing / (dwi.n_voxels * len(dwi.volumes)))} of the values are NaN or "
            "infinite: they are missing, and fits do without them"
        )
    elif not broken and not missing:
        yield _ok("the signal is finite everywhere in the mask")


def _not_covered(acquisition: Acquisition, model: SignalModel) -> list[str]:
    """Name the ranges of b-values that the model needs and in which there are none."""
    needed = coverage_needed(model, acquisition)
    return [
        f"b = {part.low:g}" if part.low == part.high else f"b = {part.low:g}-{part.high:g}"
        for part in needed
        if part.grade == "missing"
    ]


def _position(dwi: DWI) -> Iterator[tuple[str, str, str]]:
    """Report the position of the scan, where it is ambiguous."""
    geometry = dwi.geometry
    if not geometry.placed:
        yield _warning(
            "the scan does not say where its voxels are: masks, labels and maps are used voxel "
            "by voxel"
        )
        return
    if geometry.other_affine is None:
        return
    apart = float(np.abs(geometry.shifts(Geometry(geometry.other_affine), dwi.shape)).max())
    if apart > _MIN_DIFFERENCE_VOXELS * min(geometry.voxel_size):
        yield _warning(
            f"sform and qform of the scan differ by up to {apart:.2g} mm: the sform counts. "
            "Masks, labels and maps that lie where the qform says are recognised if they have "
            "all voxels of the scan"
        )


def _title(text: str) -> Text:
    return Text(text, style="bold")


def _ok(text: str) -> tuple[str, str, str]:
    return "ok", "green", text


def _plain(text: str) -> tuple[str, str, str]:
    return "", "", text


def _warning(text: str) -> tuple[str, str, str]:
    return "warning", "yellow", text


def _verdict(
    model: SignalModel,
    method: FitMethod,
    error: InputError | None,
    found: Sequence[ScanFinding],
) -> str:
    what = f"with model {model.name} by method {method.name}"
    if error is not None:
        return f"cannot be fitted {what}"
    if any(finding.is_fault for finding in found):
        return f"not to be fitted {what} before the warnings on its volumes are cleared up"
    return f"can be fitted {what}"
