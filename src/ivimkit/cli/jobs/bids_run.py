"""BidsRun: the scans of a data set, or their group; the work behind ``ivimkit bids``."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import typer

from ivimkit import cohort
from ivimkit.cli.options.assignments import number_list, parse_assignments, words
from ivimkit.cli.options.bids_options import BidsDataset, BidsMachine, BidsOutput
from ivimkit.cli.options.fit_setup import FitSetup
from ivimkit.cli.options.model_file import is_model_file
from ivimkit.cli.options.output_folders import check_writable
from ivimkit.cli.options.scan_input import ScanInput
from ivimkit.cli.process.exit_codes import DONE, FAULT
from ivimkit.cli.process.run_log import begin_log, is_logged, log
from ivimkit.cli.process.typed_line import command_line
from ivimkit.cli.screen.bids_tables import found_table
from ivimkit.cli.screen.terminal import Screen, say_error
from ivimkit.cohort.ledger import DONE as FITTED
from ivimkit.cohort.ledger import FAILED, UNSUITABLE
from ivimkit.cohort.subjects import SIGMA
from ivimkit.errors import OptionError
from ivimkit.extend.option_values import number_or_text
from ivimkit.fitting.pooled_prior import SHARED
from ivimkit.fitting.settings import FitSettings
from ivimkit.noise import FIT_SOURCES
from ivimkit.rounding import several

__all__ = ["BidsRun"]

_PARTICIPANTS = "participants.tsv"
_FIX_EXAMPLE = "D_star=0.02 or D=param-D"
_USUAL_PROCESSORS = 4
"""Processors of a job of a cluster, unless --n-procs says otherwise."""


@dataclass(frozen=True, kw_only=True)
class BidsRun:
    """What to fit of which data set, and what to write.

    Parameters
    ----------
    ctx : typer.Context
        Of the command.
    screen : Screen
        Where to print.
    dataset, out : Path
        The data set, or a table of paths, and the folder of the derivatives.
    chosen : BidsDataset
        Which scans, and what belongs to them.
    scan : ScanInput
        How to read them.
    setup : FitSetup
        What to fit and how.
    steps : str, optional
        Steps before the fit.
    output : BidsOutput
        What to write.
    machine : BidsMachine
        What to compute on.
    """

    ctx: typer.Context
    screen: Screen
    dataset: Path
    out: Path
    chosen: BidsDataset
    scan: ScanInput
    setup: FitSetup
    steps: str | None
    output: BidsOutput
    machine: BidsMachine

    def participant(self) -> int:
        """Fit the scans, or say what would be done; return the exit code."""
        with self.screen.warnings_shown():
            self._check_machine()
            self.scan.check()
            recipe = self._recipe()
            found = self._found()
            if self.machine.slurm is not None:
                typer.echo(self._script(found, self.machine.slurm), nl=False)
                return DONE
            planned = self._plan(found, recipe)
            if self.machine.dry_run:
                self.screen.show(found_table(found), *_left_out(found), _summary(planned))
                return DONE
            for folder in (self.out, self.output.work_dir):
                if folder is not None:
                    check_writable(folder)
            self.screen.show(*_left_out(found))
            done = self._run(planned)
        return self._end(done)

    def _run(self, planned: cohort.Plan) -> cohort.CohortRun:
        """Fit the scans, on this machine or on a cluster."""
        begin_log()
        run = partial(
            cohort.run,
            stop_on_first_crash=self.machine.stop_on_first_crash,
            on_done=self._say_done,
            say=self.screen.show,
        )
        if self.machine.dask is None:
            self.screen.show(_summary(planned))
            return run(planned)
        with cohort.dask_workers(
            self.machine.dask, portable_bits=self.machine.portable_bits
        ) as workers:
            share = cohort.ShareOfMachine(
                workers.n_workers, self.machine.threads or workers.threads
            )
            planned = planned.with_share(share)
            self.screen.show(_summary(planned), f"progress: {workers.dashboard}")
            return run(planned, executor=workers)

    def _check_machine(self) -> None:
        """Refuse options that contradict each other."""
        machine = self.machine
        of_this_machine = {
            "--n-procs": machine.n_procs,
            "--mem-mb": machine.mem_mb,
            "--slurm": machine.slurm,
        }
        for option, value in of_this_machine.items():
            if machine.dask is not None and value is not None:
                raise OptionError(
                    f"{option} is given with --dask; expected one of them: the cluster decides "
                    "how many scans are fitted at a time. Leave one out"
                )

    def group(self) -> int:
        """Write tables and page of the group; return the exit code."""
        check_writable(self.out)
        root = self.dataset if self.dataset.is_dir() else self.dataset.parent
        files = cohort.group(
            self.out, participants=root / _PARTICIPANTS, overwrite=self.output.overwrite
        )
        self.screen.show(*map(str, files))
        if not any(path.suffix == ".parquet" for path in files):
            self.screen.show(cohort.NO_PARQUET)
        return DONE

    def _recipe(self) -> cohort.Recipe:
        shared = self.setup.prior == SHARED
        setup = self._setup
        if shared:
            # Until it has been learned, the method has the prior that a scan without it takes.
            setup = replace(setup, prior=None)
        model = setup.signal_model()
        method = setup.fit_method(model)
        settings = FitSettings.of(
            model,
            method,
            setup.estimator(model, method),
            adc_bvals=self._adc_bvals,
            # Many processes would wait for one GPU.
            device="cpu",
            organ=self.setup.organ,
            reading=self.scan.record(),
            call=command_line(self.ctx),
        )
        return cohort.Recipe(
            settings,
            self._sigma,
            self.steps,
            self.scan.strict,
            self.output.reports,
            shared,
            self.machine.portable_bits,
            tuple(name for name in self._maps if name != SIGMA),
            cohort.ModelSource.of(Path(setup.model)) if is_model_file(setup.model) else None,
        )

    @property
    def _adc_bvals(self) -> list[float] | None:
        given = self.setup.adc_bvalues
        if given is None:
            return None
        return [self.scan.in_s_mm2(b) for b in number_list(given, "--adc-bvalues")]

    @property
    def _fixed(self) -> dict[str, float | str]:
        return parse_assignments(self.setup.fix, "--fix", _FIX_EXAMPLE, number_or_text)

    @property
    def _setup(self) -> FitSetup:
        """The options of the fit, without the maps that fix parameters."""
        numbers = {name: one for name, one in self._fixed.items() if isinstance(one, float)}
        return replace(self.setup, fix=[f"{name}={one!r}" for name, one in numbers.items()])

    @property
    def _sigma(self) -> float | str | None:
        """The noise: a number, what to estimate it from, or that there is a map of each scan."""
        given = self.setup.sigma
        if given is None or given in FIT_SOURCES:
            return given
        level = number_or_text(given)
        if isinstance(level, str):
            return cohort.MAP
        if not (math.isfinite(level) and level > 0):
            raise OptionError(
                f"--sigma is {given!r}; expected a number > 0, one of {', '.join(FIT_SOURCES)}, "
                "or maps in the derivatives by their entities, like desc-noise"
            )
        return level

    @property
    def _maps(self) -> dict[str, cohort.MapName | None]:
        """The maps of each scan by what they are for; a table of paths names them itself."""
        given = {name: text for name, text in self._fixed.items() if isinstance(text, str)}
        if self._sigma == cohort.MAP:
            given[SIGMA] = str(self.setup.sigma)
        return {
            name: self._map_name(f"--{name}" if name == SIGMA else f"--fix {name}", text)
            for name, text in given.items()
        }

    def _map_name(self, option: str, text: str) -> cohort.MapName | None:
        if not cohort.is_path_table(self.dataset):
            return cohort.MapName.of_text(text, option)
        if text == cohort.MAP:
            return None
        column = SIGMA if option == f"--{SIGMA}" else option.removeprefix("--").replace(" ", "_")
        raise OptionError(
            f"{option} is {text!r} with a table of paths; expected a number or {cohort.MAP}, for "
            f"the maps in the column {column} of the table"
        )

    @cached_property
    def _derivatives(self) -> dict[str, Path]:
        """The data sets of masks and labels by name; without a name, that of the folder."""
        found: dict[str, Path] = {}
        for text in self.chosen.derivatives or ():
            name, is_set, folder = text.partition("=")
            path = Path(folder if is_set else text)
            name = name if is_set else path.resolve().name
            if not name or (not folder and is_set):
                raise OptionError(
                    f"--derivatives is {text!r}; expected NAME=FOLDER, like "
                    "seg=data/derivatives/seg"
                )
            if name in found or name == "raw":
                raise OptionError(
                    f"--derivatives {name} is given twice or is raw; expected a new name for each "
                    "data set. Write NAME=FOLDER with another name"
                )
            found[name] = path
        return found

    def _found(self) -> cohort.Found:
        chosen = self.chosen
        if cohort.is_path_table(self.dataset):
            self._refuse_with_table()
            return cohort.find_in_table(self.dataset, mask=chosen.mask)
        filters = chosen.bids_filter_file
        return cohort.find_bids(
            self.dataset,
            participants=_labels(chosen.participant_label),
            sessions=_labels(chosen.session_id),
            filters=None if filters is None else cohort.read_filters(filters),
            derivatives=self._derivatives,
            mask=chosen.mask,
            labels=self.setup.labels,
            maps={name: one for name, one in self._maps.items() if one is not None},
        )

    def _refuse_with_table(self) -> None:
        """Refuse options that choose files of a data set: a table names them."""
        given = {
            "--participant-label": self.chosen.participant_label,
            "--session-id": self.chosen.session_id,
            "--bids-filter-file": self.chosen.bids_filter_file,
            "--derivatives": self.chosen.derivatives,
            "--labels": self.setup.labels,
        }
        for option, value in given.items():
            if value is not None:
                raise OptionError(
                    f"{option} is given with a table of paths; expected it for a BIDS data set "
                    "only. Name the files in the table, and delete the rows of other scans"
                )

    def _plan(self, found: cohort.Found, recipe: cohort.Recipe) -> cohort.Plan:
        machine = self.machine
        return cohort.plan(
            found,
            self.out,
            recipe,
            derivatives=self._derivatives,
            work=self.output.work_dir,
            part=None if machine.part is None else cohort.Part.of_text(machine.part),
            n_procs=machine.n_procs,
            mem_mb=machine.mem_mb,
            threads=machine.threads,
            overwrite=self.output.overwrite,
            prior_only=machine.prior_only,
        )

    def _script(self, found: cohort.Found, scans_per_part: int) -> str:
        for option, value in {
            "--part": self.machine.part,
            "--prior-only": self.machine.prior_only or None,
        }.items():
            if value is not None:
                raise OptionError(f"{option} is given with --slurm, which sets it; leave it out")
        processors = self.machine.n_procs or _USUAL_PROCESSORS
        needed = cohort.memory_for(found.subjects, processors)
        command = _without_option(shlex.split(command_line(self.ctx)), "--slurm")
        group = ["ivimkit", "bids", str(self.dataset), str(self.out), "group"]
        return cohort.slurm_script(
            command,
            group,
            n_scans=len(found.subjects),
            scans_per_part=scans_per_part,
            cpus=processors,
            memory_mb=self.machine.mem_mb or needed,
            shares_prior=self.setup.prior == SHARED,
        )

    def _say_done(self, outcome: cohort.Outcome, number: int, total: int) -> None:
        head = f"{number} of {total}: {outcome.name}"
        if outcome.warnings and is_logged():
            # The process that fitted it has left what it said in the ledger.
            entry = cohort.Ledger(self.out).read(outcome.name)
            for text in () if entry is None else entry.warnings:
                log(logging.WARNING, f"{outcome.name}: {text}")
        if outcome.state == FAILED:
            say_error(f"failed: {head}: {outcome.sentence}")
        elif outcome.state == FITTED:
            told = f", {several(outcome.warnings, 'warning')}" if outcome.warnings else ""
            self.screen.show(f"{head}: {outcome.seconds:.2f} s{told}")
        else:
            self.screen.show(f"{head}: {outcome.state}: {outcome.sentence}")

    def _end(self, done: cohort.CohortRun) -> int:
        if self.machine.prior_only and not done.failed:
            return DONE
        n_done = done.counts.get(FITTED, 0)
        unsuitable = done.counts.get(UNSUITABLE, 0)
        told = [f"{several(n_done, 'scan')} fitted", f"{done.kept} done before"]
        if unsuitable:
            told.append(f"{unsuitable} not suitable for the model")
        self.screen.show(f"{', '.join(told)}: {self.out}")
        if not done.failed:
            return DONE
        names = ", ".join(outcome.name for outcome in done.failed)
        rest = "; the others were not begun" if done.stopped else ""
        say_error(f"failed: {several(len(done.failed), 'scan')}: {names}{rest}")
        return FAULT


def _labels(given: Sequence[str] | None) -> list[str]:
    return [label for text in given or () for label in words(text)]


def _left_out(found: cohort.Found) -> list[str]:
    return [f"left out: {name}: {reason}" for name, reason in found.skipped]


def _summary(planned: cohort.Plan) -> str:
    share = planned.share
    prior = planned.prior
    first = f"{several(len(prior.tasks), 'sample')} to take; " if prior and prior.tasks else ""
    how = (
        f"{share.processes} at a time, {several(share.threads, 'thread')} each"
        if share.processes
        else "one after the other in this process"
    )
    to_fit = f"{several(len(planned.tasks), 'scan')} to fit, {planned.kept} done before"
    return f"{first}{to_fit}; {how}"


def _without_option(command: Sequence[str], option: str) -> list[str]:
    """Return a command without an option and its value."""
    kept, skip = [], False
    for word in command:
        if skip or word.startswith(f"{option}="):
            skip = False
        elif word == option:
            skip = True
        else:
            kept.append(word)
    return kept
