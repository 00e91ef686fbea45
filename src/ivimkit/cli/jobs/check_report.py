"""CheckReport: the checks of scans before a fit; the work behind ``ivimkit check``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import typer
from rich.console import RenderableType
from rich.text import Text

from ivimkit import steps
from ivimkit.cli.answers.check_answer import (
    CHECK_UNITS,
    CheckAnswer,
    Finding,
    ScanCheck,
    coverage_forms,
    parameter_forms,
    perfusion_form,
    shell_forms,
)
from ivimkit.cli.error_guard import exit_code_of
from ivimkit.cli.jobs.check_errors import ErrorQuestion, snr_of_scan
from ivimkit.cli.jobs.check_findings import check_findings, scan_facts
from ivimkit.cli.jobs.check_motion import MotionFinding, motion_finding, motion_table
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.scan_input import ScanInput, first_files
from ivimkit.cli.process.address_copies import named_by_address
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
from ivimkit.extend.fit_method import FitMethod
from ivimkit.extend.signal_model import SignalModel
from ivimkit.fitting.identifiability import require_identifiable
from ivimkit.noise import (
    NoiseEstimate,
    before_denoising,
    estimate,
    for_floor,
    level_of_air,
    repeat_scatter,
    shell_signals,
)
from ivimkit.parameter import RATE_UNIT
from ivimkit.rounding import how_shown, thousands
from ivimkit.scan.checks import ScanFinding, scan_findings
from ivimkit.scan.dwi import DWI
from ivimkit.scan.thresholds import require_split

__all__ = ["CheckReport"]

_USUAL_SPLIT = 200.0
_LEVELS: dict[str, Literal["ok", "note", "warning", "error"]] = {
    "ok": "ok",
    "": "note",
    "warning": "warning",
    "error": "error",
}
# Difference of sform and qform, in voxels, from which it is reported, as in reading the scan.
_FORMS_DIFFER = r".*: its sform and qform differ by up to \S+ mm: the sform counts\. Volumes"


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
    answers : list
        What --json says of the scans that are done.
    """

    ctx: typer.Context
    screen: Screen
    scan: ScanInput
    setup: FitSetup
    b_split: float | None = None
    errors: ErrorQuestion = field(default_factory=ErrorQuestion)
    motion: bool = True
    answers: list[ScanCheck] = field(default_factory=list)

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
                codes.append(exit_code_of(partial(self._told, check, scan), self.ctx))
        if self.screen.json:
            self.screen.answer(CheckAnswer(units=CHECK_UNITS, scans=self.answers))
        return worst(codes)

    def _told(self, check: Callable[[], None], scan: Path | Sequence[Path]) -> None:
        """Check a scan; if it cannot be read, --json says so, too."""
        try:
            check()
        except InputError as error:
            name = str(first_files([scan])[0])
            self.answers.append(ScanCheck(scan=named_by_address(name), error=str(error)))
            raise

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
        lines = list(check_findings(dwi, signals, model, error, found))
        answer = _described(name, dwi, model, method)
        answer.can_be_fitted = error is None
        answer.error = None if error is None else str(error)
        answer.checks = [_finding(mark, text) for mark, _, text in lines]
        self.screen.show(Text(name, style="bold"), *scan_facts(dwi), "", *map(_line, lines))
        if self.motion and not any(finding.is_hopeless for finding in found):
            motion = self._show_motion(dwi)
            answer.motion = None if motion is None else _finding(motion.mark, motion.text)
        split = self._threshold(method)
        shown = signals
        if any(finding.kind == "spread" for finding in found):
            # The difference between such volumes is not noise.
            shown = tuple(replace(signal, sigma=math.nan) for signal in signals)
        noise, sigma = _noise(dwi, found)
        answer.shells, answer.noise, answer.sigma = shell_forms(shown), noise, sigma
        coverage = dwi.acquisition.coverage()
        left = dwi.acquisition.perfusion_left(b_split=split)
        answer.b_split, answer.coverage = split, coverage_forms(coverage)
        answer.perfusion_left = perfusion_form(left)
        answer.before_the_fit = _before_fit(dwi, found)
        self.screen.show(
            "",
            _title("Settings" if dwi.acquisition.variables else "b-values"),
            shell_table(shown),
            *map(partial(Text, style="dim"), noise_note(shown)),
            noise,
            _floor(dwi),
            "",
            _title("Coverage of the decay"),
            coverage_table(coverage),
            "",
            _title(f"Perfusion signal left, exp(-b D*), in %; D* in {how_shown(RATE_UNIT)[0]}"),
            perfusion_table(left, split),
            "",
            *_told_before_fit(answer.before_the_fit),
        )
        if error is None:
            errors = self.errors.found(
                dwi.for_variables(model.variables).acquisition,
                model,
                method,
                organ=self.setup.organ,
                measured_snr=snr_of_scan(dwi, signals, sigma),
            )
            self.screen.show(*errors.shown(), "")
            answer.snr = None if errors.errors is None else errors.snr
            answer.parameters = parameter_forms(errors.errors)
        answer.verdict = _verdict(model, method, error, found)
        self.screen.show(Text(f"{name}: {answer.verdict}", style="bold"))
        refused = error is not None or (self.scan.strict and any(f.is_fault for f in found))
        self.answers.append(answer)
        codes.append(WRONG_INPUT if refused else DONE)

    def _show_motion(self, dwi: DWI) -> MotionFinding | None:
        finding = motion_finding(dwi)
        if finding is not None:
            self.screen.show(_line((finding.mark, finding.style, finding.text)))
            if self.screen.verbose and finding.motion is not None:
                self.screen.show("", _title("Motion"), motion_table(dwi, finding.motion))
        return finding

    def _threshold(self, method: FitMethod) -> float:
        organ = self.setup.preset()
        usual = _USUAL_SPLIT if organ is None else organ.b_split
        own = method.options().get("b_split")
        given = None if self.b_split is None else self.scan.in_s_mm2(self.b_split)
        return next(float(b) for b in (given, own, usual) if b is not None)


def _described(name: str, dwi: DWI, model: SignalModel, method: FitMethod) -> ScanCheck:
    """Return what is known of a scan before it is checked, for --json."""
    return ScanCheck(
        scan=name,
        shape=list(dwi.shape),
        voxel_size=[float(edge) for edge in dwi.geometry.voxel_size],
        n_volumes=dwi.acquisition.n_volumes,
        n_voxels=int(dwi.mask.size),
        n_voxels_fitted=int(dwi.n_voxels),
        model=model.name,
        method=method.name,
    )


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


def _before_fit(dwi: DWI, found: Sequence[ScanFinding]) -> list[str]:
    """Return what the steps before the fit see in the scan."""
    if any(finding.is_fault for finding in found):
        # Volumes that are no images of the scan would be called displaced, or without signal.
        return []
    told = [(step.title, step.tell(dwi)) for step in map(steps.get, steps.names())]
    return [for_command_line(f"{title}: {text}.") for title, text in told if text]


def _told_before_fit(lines: Sequence[str]) -> Iterator[RenderableType]:
    if lines:
        yield _title("Before the fit (ivimkit preprocess)")
        yield from lines
        yield ""


def _line(finding: tuple[str, str, str]) -> Text:
    mark, style, text = finding
    return Text.assemble((f"{mark:8}", style), text)


def _finding(mark: str, text: str) -> Finding:
    return Finding(_LEVELS[mark], text)


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


def _title(text: str) -> Text:
    return Text(text, style="bold")


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
